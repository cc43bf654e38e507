"""The worth of synthetic rows to one model, on the learning curve of real rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from twinset.core.findings import AddedRows, Effect, ExchangeRate

from ._data_splits import DataSplits
from ._learning_curve import LEAST, MOST, LearningCurve
from ._model_comparison import find_effect

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


def exchange_findings(
    plan: DataSplits, model: str, found: Rates, replicates: Floats, best: int
) -> tuple[ExchangeRate, AddedRows]:
    """Return the rate with the effect of adding all rows, and the numbers of rows that go with it."""
    # Whether they help is asked of the loss itself: the worth has the curve's doubts in it as well.
    low, high = np.quantile(found.gains[-1][1:], [0.025, 0.975])
    effect = find_effect(float(low), float(high))
    rate = ExchangeRate(
        plan.task.target,
        model,
        tuple(plan.task.classes[k] for k in plan.classes),
        rate=float(found.worth[-1][0]),
        half_width=1.96 * float(np.std(replicates, ddof=1)),
        effect=effect,
    )
    rows = AddedRows(best, n_train=len(plan.train) if plan.cut else None)
    if found.alone is not None and effect != Effect.NOT_SHOWN:
        share = float(found.alone[0])
        limit = "least" if share <= LEAST else "most" if share >= MOST else ""
        like = min(max(share, LEAST), MOST) * len(plan.pool)
        rows = replace(rows, n_alone=len(plan.made), like_real=like, limit=limit)
    return rate, rows


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
