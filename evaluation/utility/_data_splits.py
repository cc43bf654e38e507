"""Which rows models are trained on and tested on, to tell what synthetic rows are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset

from ._models import Rows
from ._task import PredictionTask

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_HALVINGS = 3
_ALL_BLOCKS = 30_000
_FEWEST_ROWS, _FEWEST_OF_A_CLASS = 64, 16
_DOSES = (0.25, 0.5, 1.0)
_FAR_OFF = 4.0


@dataclass(frozen=True)
class DataSplits:
    """Which rows are trained on and tested on.

    Parameters
    ----------
    task : Task
        What is predicted.
    train, synthetic, holdout : Dataset
        Rows with a known target, at most as many as the caps allow.
    always : numpy.ndarray of int
        Train rows that are in every model: those of classes that the synthetic rows are not made for.
    pool : numpy.ndarray of int
        The other train rows, in an order of which every part has all classes in equal shares.
    made : numpy.ndarray of int
        Synthetic rows in the order in which they are added, at most as many as `pool` has.
    classes : tuple of int
        Classes of `pool`; empty for all.
    strata, shares : numpy.ndarray
        Class of each holdout row, and the share of each class among all holdout rows.
    cut : bool
        Whether the train part has more rows than models are trained on.
    """

    task: PredictionTask
    train: Dataset
    synthetic: Dataset
    holdout: Dataset
    always: Rows
    pool: Rows
    made: Rows
    classes: tuple[int, ...]
    strata: Labels
    shares: Floats
    cut: bool

    @classmethod
    def of(
        cls,
        task: PredictionTask,
        comparison: Comparison,
        max_rows: int,
        max_holdout: int,
        rng: np.random.Generator,
    ) -> DataSplits:
        """Return the plan of a comparison.

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
        classes = _made_for(task, train, synthetic)
        labels = _labels(task, train)
        chosen = np.isin(labels, classes) if classes else np.ones(len(train), dtype=bool)
        _enough(task, labels, chosen)
        pool = _evenly(np.flatnonzero(chosen), labels, rng)
        strata = _labels(task, whole)
        kept = _rarest_whole(strata, max_holdout, rng)
        return cls(
            task=task,
            train=train,
            synthetic=synthetic,
            holdout=whole.take(kept),
            always=np.flatnonzero(~chosen),
            pool=pool,
            made=rng.permutation(len(synthetic))[: len(pool)],
            classes=classes,
            strata=np.unique(strata[kept], return_inverse=True)[1],
            shares=np.unique(strata, return_counts=True)[1] / len(strata),
            cut=len(train) < len(labelled),
        )

    @property
    def doses(self) -> dict[float, Rows]:
        """Synthetic rows to add, by their number as a multiple of the pool's."""
        counts = sorted({max(1, round(part * len(self.made))) for part in _DOSES})
        return {n / len(self.pool): self.made[:n] for n in counts}

    @property
    def sizes(self) -> Floats:
        """Sizes of the learning curve, as shares of the pool."""
        out: Floats = np.exp2(-np.arange(_HALVINGS + 1.0))
        return out

    def blocks(self) -> list[list[Rows]]:
        """Return the parts of the pool of each size; those of one size do not overlap."""
        fewer = 1 if len(self.train) <= _ALL_BLOCKS else 2
        parts = [np.array_split(self.pool, 2**k) for k in range(_HALVINGS + 1)]
        return [found[: max(1, len(found) // fewer)] for found in parts]

    def counterweight(self, y: Floats) -> Floats | None:
        """Return weights with which the classes of `y` have the shares of the train part.

        None where they have them anyway, or where the target is a number: weighted fits are slow.
        """
        if self.task.name == "regression":
            return None
        n_classes = len(self.task.classes)
        usual = np.bincount(_labels(self.task, self.train), minlength=n_classes) / len(self.train)
        counts = np.bincount(y.astype(np.int64), minlength=n_classes)
        error = np.sqrt(np.maximum(usual * (1 - usual), 1 / len(self.train)) / len(y))
        if not len(self.always) and (abs(counts / len(y) - usual) <= _FAR_OFF * error).all():
            return None
        out: Floats = (usual * len(y) / np.maximum(counts, 1))[y.astype(np.int64)]
        return out


def _labels(task: PredictionTask, dataset: Dataset) -> Labels:
    """Return the class of each row; numbers are one class."""
    if task.name == "regression":
        return np.zeros(len(dataset), dtype=np.int64)
    return task.truth(dataset).astype(np.int64)


def _made_for(task: PredictionTask, train: Dataset, synthetic: Dataset) -> tuple[int, ...]:
    """Return the classes that the synthetic rows are made for; nothing where it is all of them.

    Rows that lack the commonest class cannot stand for the whole table.
    """
    if task.name == "regression":
        return ()
    held = np.unique(_labels(task, synthetic))
    commonest = int(np.bincount(_labels(task, train)).argmax())
    return () if commonest in held else tuple(int(k) for k in held)


def _enough(task: PredictionTask, labels: Labels, chosen: npt.NDArray[np.bool_]) -> None:
    """Hold that there are rows enough for an eighth of them to be learnt from."""
    counts = np.sort(np.bincount(labels))[::-1]
    second = counts[1] if task.name == "classification" else len(labels)
    fewest = _FEWEST_ROWS if chosen.all() else _FEWEST_OF_A_CLASS
    if chosen.sum() < fewest or second < _FEWEST_OF_A_CLASS:
        raise NotMeasurable(
            f"a learning curve needs at least {_FEWEST_ROWS} real rows in the train part, "
            f"{_FEWEST_OF_A_CLASS} of them of the class to be found"
        )


def _evenly(rows: Rows, labels: Labels, rng: np.random.Generator) -> Rows:
    """Return the rows in a random order in which each class is spread evenly."""
    place = np.empty(len(rows))
    for label in np.unique(labels[rows]):
        own = np.flatnonzero(labels[rows] == label)
        place[own] = (rng.permutation(len(own)) + rng.random()) / len(own)
    return rows[np.argsort(place, kind="stable")]


def _rarest_whole(strata: Labels, most: int, rng: np.random.Generator) -> Rows:
    """Return at most about `most` rows: an equal number of each class, all where it has fewer."""
    if len(strata) <= most:
        return np.arange(len(strata))
    values, counts = np.unique(strata, return_counts=True)
    left, quota = most, {}
    for i, position in enumerate(np.argsort(counts, kind="stable")):
        quota[position] = min(int(counts[position]), left // (len(counts) - i))
        left -= quota[position]
    drawn = [
        rng.choice(np.flatnonzero(strata == values[p]), max(1, n), replace=False)
        for p, n in quota.items()
    ]
    return np.sort(np.concatenate(drawn))
