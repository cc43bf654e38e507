"""How well a model tells synthetic rows from real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.dataset import Dataset, sample_positions
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.discriminator import fit_discriminator
from twinset.core.features.encoder import shared_encoder
from twinset.core.findings import ConfidentRows, FeatureImportances, Finding
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.seeding import draw_seed
from twinset.core.stats.roc_auc import areas

from ._confident_rows import DiscriminatorScores, common_rule, find_confident_rows
from ._feature_importance import (
    Opinion,
    SideTable,
    column_importance,
    find_important_columns,
    is_clear,
    is_clear_at_the_top,
    predict_logistic,
    settled,
    top_lift,
)

Floats = npt.NDArray[np.float64]

_LOGISTIC_ROWS = 4_000
_FOLDS_WITHOUT = 2


@dataclass(frozen=True, kw_only=True)
class Classifier(Metric):
    """Asks a boosted-tree judge to tell synthetic rows from real ones it has not seen.

    The value is the area under the ROC curve of out-of-fold opinions: 0.5 means that the judge
    guesses, 1 that it is always right. An area below 0.5 is chance and counts as 0.5. Where it is
    clearly above, details say what the judge loses when it is kept from each column: which columns
    gave it away; and which synthetic rows it is surest of, by their number, with what most of them have
    in common. The area of a logistic judge, which sees no interplay, stands beside it.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    max_rows : int
        Rows of each side that are looked at, 4 or more.
    n_folds : int
        Parts of the cross-validation, 2 or more.
    iterations : int
        Trees of the judge.
    replicates : int
        Bootstrap replicates; rows are drawn, the judge is not fitted again.

    References
    ----------
    Lopez-Paz, Oquab (2017), Revisiting Classifier Two-Sample Tests, ICLR.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset, sample_positions
    >>> rng = np.random.default_rng(0)
    >>> real, made = (Dataset.from_arrow(pa.table({"x": rng.normal(m, 1, 300)})) for m in (0, 9))
    >>> told = Comparison(train=real, synthetic=made, reference=real)
    >>> Classifier(iterations=5).compute(told, np.random.default_rng(1)).value > 0.99
    True
    """

    family: ClassVar[MetricFamily] = "gap"
    title: ClassVar[str] = "separating real from synthetic rows"
    interpretation: ClassVar[str] = (
        "A model tries to separate synthetic rows from real ones: 0.5 is guessing, 1 is always right. "
        "What it separates can mislead another model too."
    )
    sees_everything: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.5, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "text", "boxes", "spans"}

    margin: Margin = 0.05
    max_rows: Annotated[int, Ge(4)] = 20_000
    n_folds: Annotated[int, Ge(2)] = 5
    iterations: Annotated[int, Ge(1)] = 60
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the area under the curve, 0.5 to 1; details say which columns gave it away."""
        reference = comparison.reference.at_most(self.max_rows, rng)
        kept = sample_positions(len(comparison.synthetic), self.max_rows, rng)
        synthetic = comparison.synthetic.take(kept)
        fewest = min(len(reference), len(synthetic))
        if fewest < 4:
            raise NotMeasurable("the judge needs at least 4 rows of each side")
        draws_r = _draws(len(reference), self.replicates, rng)
        draws_s = _draws(len(synthetic), self.replicates, rng)
        table = SideTable.of(reference, synthetic, comparison.train)
        fold = self._folds(len(reference), len(synthetic), rng)
        seed = draw_seed(rng)
        opinions = self._judges(table, fold, seed)
        told = np.empty(len(table.y))
        for k, opinion in enumerate(opinions):
            told[fold == k] = opinion(table.x[fold == k])
        low, high = told[table.y == 0], told[table.y == 1]
        area = _area(low, high)
        if comparison.value_only:
            return Measurement(max(area, 0.5))
        findings: tuple[Finding, ...] = ()
        facts: dict[str, Any] = {
            "auc": area,
            "logistic_auc": self._logistic(comparison, reference, synthetic, rng),
            "rows": {"real": len(reference), "synthetic": len(synthetic)},
            "max_rows": self.max_rows,
        }
        # Where the judge guesses, what it loses without a column is noise.
        clear = is_clear(area, len(low), len(high))
        if clear or is_clear_at_the_top(low, high):
            measure = _area if clear else top_lift
            found = column_importance(table, fold, opinions, measure, rng)
            if clear:
                found = settled(found, partial(self._area_without, table, fold, seed))
            places = kept if comparison.places is None else comparison.places[kept]
            judged = DiscriminatorScores(reference, synthetic, told, fold)
            findings = _gave_away(judged, found, places, comparison.train)
        return Measurement(
            max(area, 0.5), areas(low, high, draws_r, draws_s), findings, facts=facts
        )

    def _judges(
        self, table: SideTable, fold: npt.NDArray[np.int64], seed: int, most: int | None = None
    ) -> list[Opinion]:
        """Return for each fold, or the first `most`, a judge that was fitted on the others."""
        judges = [
            fit_discriminator(
                table.x[fold != k],
                table.y[fold != k],
                table.categorical,
                task="classification",
                seed=seed,
                iterations=self.iterations,
            )
            for k in range(int(fold.max()) + 1)[:most]
        ]
        return [partial(_opinion, judge) for judge in judges]

    def _area_without(
        self, table: SideTable, fold: npt.NDArray[np.int64], seed: int, name: str
    ) -> float:
        """Return the area of a judge that never saw a column, on two folds."""
        left = table.without(name)
        opinions = self._judges(left, fold, seed, most=_FOLDS_WITHOUT)
        told = np.concatenate([opinion(left.x[fold == k]) for k, opinion in enumerate(opinions)])
        y = np.concatenate([left.y[fold == k] for k in range(len(opinions))])
        return _area(told[y == 0], told[y == 1])

    def _logistic(
        self,
        comparison: Comparison,
        reference: Dataset,
        synthetic: Dataset,
        rng: np.random.Generator,
    ) -> float:
        """Return the area of the logistic judge, on a part of the rows."""
        names = reference.schema.names
        encoder = shared_encoder(
            comparison.train, names, comparison.cache, comparison.text_embeddings
        )
        parts = [part.at_most(_LOGISTIC_ROWS, rng) for part in (reference, synthetic)]
        features = np.concatenate([encoder.transform(part) for part in parts])
        y = np.repeat([0, 1], [len(part) for part in parts])
        fold = self._folds(len(parts[0]), len(parts[1]), rng)
        told = predict_logistic(features, y, fold)
        return _area(told[y == 0], told[y == 1])

    def _folds(
        self, n_real: int, n_synthetic: int, rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """Deal both sides evenly into folds."""
        n = min(self.n_folds, n_real, n_synthetic)
        return np.concatenate([rng.permutation(np.arange(m) % n) for m in (n_real, n_synthetic)])


def _gave_away(
    judged: DiscriminatorScores,
    importance: Mapping[str, float],
    places: npt.NDArray[np.int64],
    train: Dataset,
) -> tuple[Finding, ...]:
    """Return the importance of columns, and the rows that look least real with a common condition."""
    named = find_important_columns(importance)
    columns = FeatureImportances(importance, tuple(named))
    if not named:
        return (columns,)
    rows = find_confident_rows(judged, named, places, train)
    return columns, ConfidentRows(rows, common_rule(judged, list(importance)))


def _area(real: Floats, synthetic: Floats) -> float:
    return float(areas(real, synthetic)[0])


def _opinion(judge: Any, x: Floats) -> Floats:
    return np.asarray(judge.predict_proba(x)[:, 1])


def _draws(n: int, b: int, rng: np.random.Generator) -> Floats:
    """Return how often each of `n` rows is in each of `b` bootstrap samples, shape (b, n)."""
    rows = rng.integers(0, n, size=(b, n))
    return np.stack([np.bincount(row, minlength=n) for row in rows]).astype(np.float64)
