"""Losses of models of parts of the real rows, and of all of them beside synthetic ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._data_splits import DataSplits
from ._models import Learner, Rows, learner

Floats = npt.NDArray[np.float64]

_FEWEST_ALONE = 64


@dataclass(frozen=True)
class HoldoutLosses:
    """Losses of models on the holdout rows.

    Parameters
    ----------
    sizes : numpy.ndarray, shape (k,)
        Sizes of the learning curve, as shares of the train part, falling from 1.
    real : sequence of numpy.ndarray, each shape (m, h)
        Losses of the m models of each size.
    mixed : mapping of float to numpy.ndarray, shape (h,)
        Losses of all real rows beside this many synthetic ones, as a multiple of the train part.
    alone : numpy.ndarray, shape (h,), or None
        Losses of as many synthetic rows without the real ones.
    strata : numpy.ndarray of int, shape (h,)
        Holdout rows are drawn within these.
    shares : numpy.ndarray, shape (s,), or None
        What the strata weigh; None is by their rows.
    """

    sizes: Floats
    real: Sequence[Floats]
    mixed: Mapping[float, Floats]
    alone: Floats | None
    strata: npt.NDArray[Any]
    shares: Floats | None = None

    def holdout_weights(self, b: int, rng: np.random.Generator) -> Floats:
        """Return what the holdout rows weigh, shape (1 + b, h): all of them first, then draws."""
        out = np.empty((1 + b, len(self.strata)))
        for i, stratum in enumerate(np.unique(self.strata)):
            rows = np.flatnonzero(self.strata == stratum)
            share = len(rows) / len(self.strata) if self.shares is None else self.shares[i]
            out[0, rows] = share / len(rows)
            even = np.full(len(rows), 1 / len(rows))
            out[1:, rows] = rng.multinomial(len(rows), even, size=b) * (share / len(rows))
        return out


def measured_losses(
    plan: DataSplits, name: str, cache: dict[str, Any], seed: int, iterations: int
) -> HoldoutLosses:
    """Return the losses of one judge; those of real rows alone are kept in `cache`.

    Parameters
    ----------
    plan : Plan
        Which rows.
    name : str
        Which judge.
    cache : dict
        Shared by comparisons with the same train part and holdout.
    seed, iterations : int
        Seed and number of trees of the boosted judge.
    """
    task, settings = plan.task, {"seed": seed, "iterations": iterations}
    key = f"learning curve of {name}, classes {plan.classes}"
    real = cache.get(key)
    if real is None:
        judge = learner(name, task, [plan.train], plan.holdout, **settings)
        real = cache[key] = [
            np.array([_losses(plan, judge, np.append(plan.always, part)) for part in parts])
            for parts in plan.blocks()
        ]
    judge = learner(name, task, [plan.train, plan.synthetic], plan.holdout, **settings)
    all_real, first = np.append(plan.always, plan.pool), len(plan.train)
    mixed = {
        dose: _losses(plan, judge, np.append(all_real, first + rows))
        for dose, rows in plan.doses.items()
    }
    only = np.append(plan.always, first + plan.made)
    learnable = task.name == "regression" or len(np.unique(judge.y[only])) > 1
    alone = _losses(plan, judge, only) if learnable and len(plan.made) >= _FEWEST_ALONE else None
    return HoldoutLosses(plan.sizes, real, mixed, alone, plan.strata, plan.shares)


def _losses(plan: DataSplits, judge: Learner, rows: Rows) -> Floats:
    return judge.losses(rows, plan.counterweight(judge.y[rows]))
