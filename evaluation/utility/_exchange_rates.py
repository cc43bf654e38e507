"""Exchange rates: rows of the models, their losses, and the rate with its findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.findings import Finding
from twinset.core.model_findings import AddedRows, Effect, ExchangeRate
from twinset.core.parameters import Ge, Margin

from ._holdout_scores import UtilityMetric, find_effect
from ._learning_curve import (
    MAX_SIZE,
    MIN_SIZE,
    NORMAL_QUANTILE,
    ExchangeRates,
    Floats,
    HoldoutLosses,
    widen_replicates,
)
from ._task import PredictionTask

Rows = npt.NDArray[np.int64]
Loss = Callable[[Rows, int], Floats]
"""Real rows of the pool and a number of synthetic rows -> losses of their model on the holdout rows."""

MIN_ROWS = 64  # of the train set, and of synthetic rows by themselves: an eighth trains a model
_HALVINGS = 3  # of the train set: the learning curve has models of 1, 1/2, 1/4 and 1/8 of it
_MIN_CLASS_ROWS = 16  # of a class: an eighth of them trains a model
_MAX_ALL_BLOCKS = 30_000  # train rows: of more, half of the blocks are fitted, which differ little
_DOSES = (0.25, 0.5, 1.0)  # parts of the synthetic rows that are added
_MAX_DEVIATION = 4.0  # standard errors of a class share: smaller deviations need no weights


@dataclass(frozen=True, kw_only=True)
class RateMetric(UtilityMetric):
    """Real rows that 1,000 synthetic rows are worth to a model.

    Parameters
    ----------
    margin : float
        Real rows that 1,000 synthetic ones may be short of and still count as equivalent.
    max_rows : int
        Rows of each set that a model is trained on.
    max_holdout : int
        Holdout rows that models are scored on; of rare classes all are kept.
    """

    bounds: ClassVar[tuple[float, float]] = (float("-inf"), float("inf"))
    is_thorough: ClassVar[bool] = True
    known_baseline: ClassVar[float | None] = 1000.0

    margin: Margin = 250.0
    max_rows: Annotated[int, Ge(100)] = 10_000
    max_holdout: Annotated[int, Ge(100)] = 10_000
    replicates: Annotated[int, Ge(20)] = 200

    def rate_measurement(
        self,
        splits: DataSplits,
        model: str,
        found: ExchangeRates,
        facts: Mapping[str, Any],
        findings: tuple[Finding, ...] = (),
    ) -> Measurement:
        """Return the rate by one model; raise NotMeasurable where the curve of real rows is flat."""
        if found.is_flat:
            raise NotMeasurable(_explain_flat_curve(found, model))
        replicates = widen_replicates(found.worth[-1])
        tried, best = list_added_rows(splits, found)
        facts = {
            **facts,
            "curve": found.describe_curve(len(splits.pool)),
            "sweep": tried,
            "best_rows": best,
            "rows": {"real": len(splits.train), "synthetic": len(splits.synthetic_rows)},
            "holdout_rows": len(splits.holdout),
        }
        findings = (*list_findings(splits, model, found, replicates, best), *findings)
        return Measurement(float(found.worth[-1][0]), replicates, findings, facts=facts)


@dataclass(frozen=True)
class DataSplits:
    """Rows of an exchange rate: those with a known target, at most as many as the caps allow."""

    task: PredictionTask
    train: Dataset
    synthetic: Dataset
    holdout: Dataset
    always: Rows  # train rows in every model: those of classes that have no synthetic rows
    pool: Rows  # the other train rows, in an order in which every part has all classes in equal shares
    synthetic_rows: Rows  # in the order in which they are added, at most as many as `pool` has
    classes: tuple[int, ...]  # of `pool`; empty for all
    strata: Rows  # class of each holdout row
    shares: Floats  # of each class among all holdout rows
    is_sampled: bool  # whether the train set has more rows than models are trained on

    @classmethod
    def from_comparison(
        cls,
        task: PredictionTask,
        comparison: Comparison,
        max_rows: int,
        max_holdout: int,
        rng: np.random.Generator,
    ) -> DataSplits:
        """Return the rows of a comparison; raise NotMeasurable where there are too few."""
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
    def doses(self) -> list[int]:
        """Numbers of synthetic rows to add."""
        return sorted({max(1, round(part * len(self.synthetic_rows))) for part in _DOSES})

    @property
    def sizes(self) -> Floats:
        """Sizes of the learning curve, as shares of the pool."""
        return np.asarray(np.exp2(-np.arange(_HALVINGS + 1.0)))

    @property
    def learns_alone(self) -> bool:
        """Whether the synthetic rows train a model without the pool: two classes, and rows enough."""
        if self.task.name == "regression":
            return len(self.synthetic_rows) >= MIN_ROWS
        labels = self.task.truth(self.train)[self.always]
        classes = np.append(labels, self.task.truth(self.synthetic)[self.synthetic_rows])
        return len(self.synthetic_rows) >= MIN_ROWS and len(np.unique(classes)) > 1

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
        return np.asarray((usual * len(y) / np.maximum(counts, 1))[y.astype(np.int64)])


def measure_losses(
    splits: DataSplits, real_loss: Callable[[], Loss], loss: Loss, cache: dict[str, Any], key: str
) -> HoldoutLosses:
    """Return the losses of one kind of model; those of real rows alone are kept in `cache`."""
    if key not in cache:
        of_real = real_loss()
        cache[key] = [np.array([of_real(part, 0) for part in parts]) for parts in splits.blocks()]
    mixed = {n / len(splits.pool): loss(splits.pool, n) for n in splits.doses}
    alone = None
    if splits.learns_alone:
        alone = loss(splits.pool[:0], len(splits.synthetic_rows))
    return HoldoutLosses(splits.sizes, cache[key], mixed, alone, splits.strata, splits.shares)


def list_added_rows(splits: DataSplits, found: ExchangeRates) -> tuple[list[dict[str, Any]], int]:
    """Return the gain of each number of added rows, none of them first, and the best number."""
    tried: list[dict[str, Any]] = []
    for rows, gain, worth in zip(splits.doses, found.gains, found.worth):
        low, high = np.quantile(gain[1:], [0.025, 0.975])
        interval = {"gain": float(gain[0]), "gain_interval": [float(low), float(high)]}
        tried.append({"rows": rows, **interval, **describe_rate(worth)})
    # Only numbers that help with confidence are recommended.
    helping = [entry for entry in tried if entry["gain_interval"][0] > 0]
    best = max(helping, key=lambda entry: entry["gain"])["rows"] if helping else 0
    return [{"rows": 0, "gain": 0.0}, *tried], best


def describe_rate(worth: Floats) -> dict[str, Any]:
    """Return a rate and its interval as plain JSON values."""
    reach = NORMAL_QUANTILE * float(np.std(widen_replicates(worth), ddof=1))
    return {"rate": float(worth[0]), "interval": [float(worth[0]) - reach, float(worth[0]) + reach]}


def list_findings(
    splits: DataSplits, model: str, found: ExchangeRates, replicates: Floats, best: int
) -> tuple[ExchangeRate, AddedRows]:
    """Return the rate with the effect of adding all rows, and the numbers of rows that go with it."""
    # The effect rests on the loss itself: the worth includes the uncertainty of the curve.
    effect = find_effect(*found.gain_interval)
    rate = ExchangeRate(
        splits.task.target,
        model,
        tuple(splits.task.classes[k] for k in splits.classes),
        rate=float(found.worth[-1][0]),
        half_width=NORMAL_QUANTILE * float(np.std(replicates, ddof=1)),
        effect=effect,
    )
    rows = AddedRows(best, n_train=len(splits.train) if splits.is_sampled else None)
    if found.alone is not None and effect != Effect.NOT_SHOWN:
        share = float(found.alone[0])
        limit = "least" if share <= MIN_SIZE else "most" if share >= MAX_SIZE else ""
        like = min(max(share, MIN_SIZE), MAX_SIZE) * len(splits.pool)
        rows = replace(rows, n_alone=len(splits.synthetic_rows), like_real=like, limit=limit)
    return rate, rows


def _explain_flat_curve(found: ExchangeRates, model: str) -> str:
    """Return the reason why there is no rate, with the effect of the synthetic rows."""
    effect = {
        Effect.HELPS: "makes the model better",
        Effect.HURTS: "makes the model worse",
        Effect.WORSE: "makes the model worse",
        Effect.NOT_SHOWN: "shows no difference",
    }[find_effect(*found.gain_interval)]
    return (
        f"the learning curve of {model} is flat, so more real rows would not surely help either and "
        f"there is nothing to count synthetic rows in; adding the synthetic rows {effect}"
    )


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


def _check_rows(task: PredictionTask, labels: Rows, chosen: npt.NDArray[np.bool_]) -> None:
    """Raise NotMeasurable where an eighth of the rows trains no model."""
    counts = np.sort(np.bincount(labels))[::-1]
    second = counts[1] if task.name == "classification" else len(labels)
    needed = MIN_ROWS if chosen.all() else _MIN_CLASS_ROWS
    if chosen.sum() < needed or second < _MIN_CLASS_ROWS:
        raise NotMeasurable(
            f"a learning curve needs at least {MIN_ROWS} real rows in the train set, "
            f"{_MIN_CLASS_ROWS} of them of the class to be found"
        )


def _spread_evenly(rows: Rows, labels: Rows, rng: np.random.Generator) -> Rows:
    """Return the rows in a random order in which each class is spread evenly."""
    place = np.empty(len(rows))
    for label in np.unique(labels[rows]):
        own = np.flatnonzero(labels[rows] == label)
        place[own] = (rng.permutation(len(own)) + rng.random()) / len(own)
    return rows[np.argsort(place, kind="stable")]


def _sample_by_class(strata: Rows, n: int, rng: np.random.Generator) -> Rows:
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
