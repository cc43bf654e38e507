"""What one judge says about the worth of synthetic rows, and the words for it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._data_splits import DataSplits
from ._learning_curve import LEAST, MOST, LearningCurve

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rates:
    """What one judge says; the first entry of an array is the estimate, the rest are replicates.

    Parameters
    ----------
    curve : LearningCurve
        The curve of real rows, with the doubts of what lies past its end.
    is_flat : bool
        Whether the curve does not surely fall as far as it was seen.
    sizes : numpy.ndarray, shape (k,)
        Sizes of the curve, as shares of the train part.
    real : numpy.ndarray, shape (k,)
        Mean loss at each size.
    gains, worth : tuple of numpy.ndarray, each shape (1 + b,)
        For each number of added rows: by how much they lower the loss, and the real rows that 1,000
        of them are worth.
    alone : numpy.ndarray, shape (1 + b,), or None
        Real rows, as a multiple of the train part, that synthetic rows without any real one are like.
    """

    curve: LearningCurve
    is_flat: bool
    sizes: Floats
    real: Floats
    gains: tuple[Floats, ...]
    worth: tuple[Floats, ...]
    alone: Floats | None

    @property
    def real_loss(self) -> float:
        """Loss of the model of all real rows."""
        return float(self.real[0])


def summary(plan: DataSplits, judge: str, found: Rates, replicates: Floats, best: int) -> str:
    """Return the headline, in words for somebody who knows no statistics."""
    value, reach = float(found.worth[-1][0]), 1.96 * float(np.std(replicates, ddof=1))
    # Whether they help is asked of the loss itself: the worth has the curve's doubts in it as well.
    low, high = np.quantile(found.gains[-1][1:], [0.025, 0.975])
    number = _number(abs(value), reach)
    ones = "real ones" if not plan.classes else f"real {counted_in(plan)}"
    task = f"for this task (predicting '{plan.task.target}' by {judge})"
    if high < 0:
        parts = [
            f"1,000 of these synthetic rows harm as much as taking away {number} {ones} would "
            f"{task}: add none"
        ]
    elif low <= 0 <= high:
        # The verdict is about real rows, this sentence about none: they must not seem to disagree.
        ends = value - reach, value + reach
        parts = [f"Whether adding these synthetic rows helps {task} cannot be told"]
        parts[0] += ", but as many real ones surely help more" if ends[1] < 1000 else ""
        if max(map(abs, ends)) < 1000:
            least, most = (f"{_round(abs(e), reach)} {'fewer' if e < 0 else 'more'}" for e in ends)
            parts[0] += f": 1,000 of them are worth between {least} and {most} {ones}"
        else:
            parts.append("More holdout rows would tell")
    else:
        parts = [f"1,000 of these synthetic rows are worth {number} more {ones} {task}"]
    if best:
        parts.append(f"Of the numbers tried, adding {best:,} of them is best")
    if found.alone is not None and not low <= 0 <= high:
        parts.append(_alone(plan, float(found.alone[0])))
    if plan.cut:
        parts.append(
            f"Only {len(plan.train):,} of the train rows are looked at, so what the synthetic rows "
            "know of the others is credited to them"
        )
    return ". ".join(parts)


def flat_curve(found: Rates, plan: DataSplits, judge: str) -> str:
    """Return why no rate is told, and what can be told in its place."""
    low, high = np.quantile(found.gains[-1][1:], [0.025, 0.975])
    seen = (
        "adding the synthetic rows makes the model better"
        if low > 0
        else "adding the synthetic rows makes the model worse"
        if high < 0
        else "adding the synthetic rows shows no difference"
    )
    return (
        f"the learning curve of {judge} is flat, so more real rows would not surely help either and "
        f"there is nothing to count synthetic rows in; {seen}"
    )


def counted_in(plan: DataSplits) -> str:
    """Return which real rows synthetic ones are counted in."""
    if not plan.classes:
        return "rows"
    names = " or ".join(plan.task.classes[k] for k in plan.classes)
    return f"rows with {plan.task.target} = {names}"


def _number(value: float, reach: float) -> str:
    """Return a number and its reach; one at the end of what is read has none."""
    if reach < 0.005 * value:
        return f"at least {_round(value, 0.1 * value)}"
    return f"{_round(value, reach)} ± {_round(reach, reach)}"


def _alone(plan: DataSplits, share: float) -> str:
    n = len(plan.pool)
    if share <= LEAST:
        like = f"fewer than {_round(LEAST * n, 0.1 * n)}"
    elif share >= MOST:
        like = f"more than {_round(MOST * n, 0.1 * n)}"
    else:
        like = f"about {_round(share * n, 0.1 * share * n)}"
    return f"Training on {len(plan.made):,} of them alone is like having {like} real rows"


def _round(number: float, error: float) -> str:
    """Return a number with as many digits as its error allows: two digits of the error."""
    digit = 10 ** max(0, math.floor(math.log10(error)) - 1) if error > 0 else 1
    return f"{round(number / digit) * digit:,.0f}"
