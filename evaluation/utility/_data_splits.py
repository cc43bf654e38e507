"""Rows that models are trained and tested on for an exchange rate, and the losses of these models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset

from ._models import ModelSetup, Rows, build_setup
from ._task import PredictionTask

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_HALVINGS = 3  # of the train set: the learning curve has models of 1, 1/2, 1/4 and 1/8 of it
_MAX_ALL_BLOCKS = (
    30_000  # train rows: of more, half of the blocks are fitted, whose losses differ little
)
_MIN_ROWS, _MIN_CLASS_ROWS = (
    64,
    16,
)  # of the train set and of a class: an eighth of them trains a model
_DOSES = (0.25, 0.5, 1.0)  # parts of the synthetic rows that are added
_MAX_DEVIATION = 4.0  # standard errors of a class share: smaller deviations need no weights
_MIN_ALONE = 64  # synthetic rows: fewer train no model by themselves


@dataclass(frozen=True)
class DataSplits:
    """Rows of an exchange rate.

    Parameters
    ----------
    task : PredictionTask
        Target and features.
    train, synthetic, holdout : Dataset
        Rows with a known target, at most as many as the caps allow.
    always : numpy.ndarray of int
        Train rows in every model: those of classes that have no synthetic rows.
    pool : numpy.ndarray of int
        The other train rows, in an order in which every part has all classes in equal shares.
    synthetic_rows : numpy.ndarray of int
        Synthetic rows in the order in which they are added, at most as many as `pool` has.
    classes : tuple of int
        Classes of `pool`; empty for all.
    strata, shares : numpy.ndarray
        Class of each holdout row, and the share of each class among all holdout rows.
    is_sampled : bool
        Whether the train set has more rows than models are trained on.
    """

    task: PredictionTask
    train: Dataset
    synthetic: Dataset
    holdout: Dataset
    always: Rows
    pool: Rows
    synthetic_rows: Rows
    classes: tuple[int, ...]
    strata: Labels
    shares: Floats
    is_sampled: bool

    @classmethod
    def from_comparison(
        cls,
        task: PredictionTask,
        comparison: Comparison,
        max_rows: int,
        max_holdout: int,
        rng: np.random.Generator,
    ) -> DataSplits:
        """Return the rows of a comparison.

        Raises
        ------
        NotMeasurable
            There are too few rows, or no synthetic row has a target.
        """
        labelled = task.labelled(comparison.train)
        train = labelled.at_most(max_rows, rng)
        synthetic = task.labelled(comparison.synthetic)
        whole = task.labelled(comparison.reference)
        task.check(train, whole)
        if not len(synthetic):
            raise NotMeasurable(f"the target '{task.target}' is missing in every synthetic row")
        classes = _list_synthetic_classes(task, train, synthetic)
        labels = task.strata(train)
        chosen = np.isin(labels, classes) if classes else np.ones(len(train), dtype=bool)
        _check_rows(task, labels, chosen)
        pool = _spread_evenly(np.flatnonzero(chosen), labels, rng)
        strata = task.strata(whole)
        kept = _sample_by_class(strata, max_holdout, rng)
        return cls(
            task=task,
            train=train,
            synthetic=synthetic,
            holdout=whole.take(kept),
            always=np.flatnonzero(~chosen),
            pool=pool,
            synthetic_rows=rng.permutation(len(synthetic))[: len(pool)],
            classes=classes,
            strata=np.unique(strata[kept], return_inverse=True)[1],
            shares=np.unique(strata, return_counts=True)[1] / len(strata),
            is_sampled=len(train) < len(labelled),
        )

    @property
    def doses(self) -> dict[float, Rows]:
        """Synthetic rows to add, by their number as a multiple of the pool's."""
        counts = sorted({max(1, round(part * len(self.synthetic_rows))) for part in _DOSES})
        return {n / len(self.pool): self.synthetic_rows[:n] for n in counts}

    @property
    def sizes(self) -> Floats:
        """Sizes of the learning curve, as shares of the pool."""
        out: Floats = np.exp2(-np.arange(_HALVINGS + 1.0))
        return out

    def blocks(self) -> list[list[Rows]]:
        """Return the parts of the pool of each size; those of one size do not overlap."""
        fewer = 1 if len(self.train) <= _MAX_ALL_BLOCKS else 2
        parts = [np.array_split(self.pool, 2**k) for k in range(_HALVINGS + 1)]
        return [found[: max(1, len(found) // fewer)] for found in parts]

    def counterweight(self, y: Floats) -> Floats | None:
        """Return weights with which the classes of `y` have the shares of the train set.

        None where they have them already, or where the target is a number: weighted fits are slow.
        """
        if self.task.name == "regression":
            return None
        n_classes = len(self.task.classes)
        usual = np.bincount(self.task.strata(self.train), minlength=n_classes) / len(self.train)
        counts = np.bincount(y.astype(np.int64), minlength=n_classes)
        error = np.sqrt(np.maximum(usual * (1 - usual), 1 / len(self.train)) / len(y))
        if not len(self.always) and (abs(counts / len(y) - usual) <= _MAX_DEVIATION * error).all():
            return None
        out: Floats = (usual * len(y) / np.maximum(counts, 1))[y.astype(np.int64)]
        return out


@dataclass(frozen=True)
class HoldoutLosses:
    """Losses of models of real rows, and of real and synthetic ones, on the holdout rows.

    Parameters
    ----------
    sizes : numpy.ndarray, shape (k,)
        Sizes of the learning curve, as shares of the train set, falling from 1.
    real : sequence of numpy.ndarray, each shape (m, h)
        Losses of the m models of each size.
    mixed : mapping of float to numpy.ndarray, shape (h,)
        Losses of all real rows with this many synthetic ones, as a multiple of the train set.
    alone : numpy.ndarray, shape (h,), or None
        Losses of as many synthetic rows without the real ones.
    strata : numpy.ndarray of int, shape (h,)
        Holdout rows are drawn within these.
    shares : numpy.ndarray, shape (s,), or None
        Weights of the strata; by default their shares of the rows.
    """

    sizes: Floats
    real: Sequence[Floats]
    mixed: Mapping[float, Floats]
    alone: Floats | None
    strata: npt.NDArray[Any]
    shares: Floats | None = None

    def holdout_weights(self, b: int, rng: np.random.Generator) -> Floats:
        """Return weights of the holdout rows, shape (1 + b, h): of all of them, then of draws."""
        out = np.empty((1 + b, len(self.strata)))
        for i, stratum in enumerate(np.unique(self.strata)):
            rows = np.flatnonzero(self.strata == stratum)
            share = len(rows) / len(self.strata) if self.shares is None else self.shares[i]
            out[0, rows] = share / len(rows)
            even = np.full(len(rows), 1 / len(rows))
            out[1:, rows] = rng.multinomial(len(rows), even, size=b) * (share / len(rows))
        return out


def measure_losses(
    splits: DataSplits, name: str, cache: dict[str, Any], seed: int, iterations: int
) -> HoldoutLosses:
    """Return the losses of one kind of model; those of real rows alone are kept in `cache`.

    Parameters
    ----------
    splits : DataSplits
        The rows.
    name : str
        Kind of model.
    cache : dict
        Shared by comparisons with the same train set and holdout.
    seed, iterations : int
        Seed and number of trees of boosted models.
    """
    task, settings = splits.task, {"seed": seed, "iterations": iterations}
    key = f"learning curve of {name}, classes {splits.classes}"
    real = cache.get(key)
    if real is None:
        setup = build_setup(name, task, [splits.train], splits.holdout, **settings)
        real = cache[key] = [
            np.array([_losses(splits, setup, np.append(splits.always, part)) for part in parts])
            for parts in splits.blocks()
        ]
    setup = build_setup(name, task, [splits.train, splits.synthetic], splits.holdout, **settings)
    all_real, first = np.append(splits.always, splits.pool), len(splits.train)
    mixed = {
        dose: _losses(splits, setup, np.append(all_real, first + rows))
        for dose, rows in splits.doses.items()
    }
    only = np.append(splits.always, first + splits.synthetic_rows)
    learnable = task.name == "regression" or len(np.unique(setup.y[only])) > 1
    alone = None
    if learnable and len(splits.synthetic_rows) >= _MIN_ALONE:
        alone = _losses(splits, setup, only)
    return HoldoutLosses(splits.sizes, real, mixed, alone, splits.strata, splits.shares)


def _losses(splits: DataSplits, setup: ModelSetup, rows: Rows) -> Floats:
    return setup.losses(rows, splits.counterweight(setup.y[rows]))


def _list_synthetic_classes(
    task: PredictionTask, train: Dataset, synthetic: Dataset
) -> tuple[int, ...]:
    """Return the classes of the synthetic rows; nothing where the most frequent class is among them.

    Rows without the most frequent class cannot represent the whole table.
    """
    if task.name == "regression":
        return ()
    present = np.unique(task.strata(synthetic))
    most_frequent = int(np.bincount(task.strata(train)).argmax())
    return () if most_frequent in present else tuple(int(k) for k in present)


def _check_rows(task: PredictionTask, labels: Labels, chosen: npt.NDArray[np.bool_]) -> None:
    """Raise NotMeasurable where an eighth of the rows trains no model."""
    counts = np.sort(np.bincount(labels))[::-1]
    second = counts[1] if task.name == "classification" else len(labels)
    needed = _MIN_ROWS if chosen.all() else _MIN_CLASS_ROWS
    if chosen.sum() < needed or second < _MIN_CLASS_ROWS:
        raise NotMeasurable(
            f"a learning curve needs at least {_MIN_ROWS} real rows in the train set, "
            f"{_MIN_CLASS_ROWS} of them of the class to be found"
        )


def _spread_evenly(rows: Rows, labels: Labels, rng: np.random.Generator) -> Rows:
    """Return the rows in a random order in which each class is spread evenly."""
    place = np.empty(len(rows))
    for label in np.unique(labels[rows]):
        own = np.flatnonzero(labels[rows] == label)
        place[own] = (rng.permutation(len(own)) + rng.random()) / len(own)
    return rows[np.argsort(place, kind="stable")]


def _sample_by_class(strata: Labels, n: int, rng: np.random.Generator) -> Rows:
    """Return about `n` rows at most: an equal number of each class, all where it has fewer."""
    if len(strata) <= n:
        return np.arange(len(strata))
    values, counts = np.unique(strata, return_counts=True)
    rest, quota = n, {}
    for i, position in enumerate(np.argsort(counts, kind="stable")):
        quota[position] = min(int(counts[position]), rest // (len(counts) - i))
        rest -= quota[position]
    drawn = [
        rng.choice(np.flatnonzero(strata == values[p]), max(1, size), replace=False)
        for p, size in quota.items()
    ]
    return np.sort(np.concatenate(drawn))
