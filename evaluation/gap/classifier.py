"""Classifier two-sample test of synthetic against real rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np

from twinset.core.contracts import Comparison, Measurement
from twinset.core.data.dataset import Dataset, sample_positions
from twinset.core.features.models import fit_discriminator
from twinset.core.parameters import Ge, Margin
from twinset.core.seeding import draw_seed
from twinset.core.stats.hypothesis_tests import areas

from .._bootstrap_metric import Floats, Ints, SampledMetric
from .._samples import require_rows, row_encoder
from ._explanation import (
    DiscriminatorScores,
    RowTable,
    compute_area,
    explain_discriminator,
    predict_folds,
)

_MIN_ROWS = 4  # two folds with two rows each
_LOGISTIC_ROWS = 4_000  # of each set: the logistic regression is a second opinion, not the value
_FOLDS_WITHOUT = 2  # folds fitted again without a column: enough to rank two close columns


@dataclass(frozen=True, kw_only=True)
class Classifier(SampledMetric):
    """Area under the ROC curve of a boosted-tree discriminator of synthetic and real rows.

    value = max(AUC, 0.5), of out-of-fold predictions in a cross-validation over both sets.

    0.5 is guessing, 1 is always right. Where the AUC is clearly above 0.5, findings name the columns
    that the discriminator needs (permutation importance), the synthetic rows with the highest
    predicted probability, and what most of them have in common. Facts add the AUC of a logistic
    regression, which sees no interaction: close to the value, single columns are off; far below it,
    their dependence is.

    Parameters
    ----------
    n_folds : int
        Folds of the cross-validation, 2 or more.
    iterations : int
        Trees of the discriminator.

    References
    ----------
    Lopez-Paz, Oquab (2017), Revisiting Classifier Two-Sample Tests, ICLR.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rng = np.random.default_rng(0)
    >>> real, far = (Dataset.from_arrow(pa.table({"x": rng.normal(m, 1, 300)})) for m in (0, 9))
    >>> sets = Comparison(train=real, synthetic=far, reference=real)
    >>> Classifier(iterations=5).compute(sets, np.random.default_rng(1)).value > 0.99
    True
    """

    family = "gap"
    title = "separating real from synthetic rows"
    interpretation = (
        "A model tries to separate synthetic rows from real ones: 0.5 is guessing, 1 is always right. "
        "What it separates can mislead another model too."
    )
    sees_everything = True
    bounds = (0.5, 1.0)

    margin: Margin = 0.05
    max_rows: Annotated[int, Ge(_MIN_ROWS)] = 20_000
    n_folds: Annotated[int, Ge(2)] = 5
    iterations: Annotated[int, Ge(1)] = 60

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the area under the curve, 0.5 to 1."""
        reference = comparison.reference.at_most(self.max_rows, rng)
        kept = sample_positions(len(comparison.synthetic), self.max_rows, rng)
        synthetic = comparison.synthetic.take(kept)
        require_rows((reference, synthetic), _MIN_ROWS)
        draws = [_draw_weights(len(part), self.replicates, rng) for part in (reference, synthetic)]
        table = RowTable.from_sets(reference, synthetic, comparison.train)
        fold = self._folds(len(reference), len(synthetic), rng)
        seed = draw_seed(rng)
        models = self._fit(table, fold, seed)
        probability = predict_folds(table, fold, models)
        low, high = probability[table.y == 0], probability[table.y == 1]
        area = compute_area(low, high)
        if comparison.value_only:
            return Measurement(max(area, 0.5))
        facts = {
            "auc": area,
            "logistic_auc": self._logistic(comparison, (reference, synthetic), rng),
            "rows": {"real": len(reference), "synthetic": len(synthetic)},
            "max_rows": self.max_rows,
        }
        places = kept if comparison.places is None else comparison.places[kept]
        findings = explain_discriminator(
            table,
            DiscriminatorScores(reference, synthetic, probability, fold),
            models,
            partial(self._area_without, table, fold, seed),
            places,
            comparison.train,
            rng,
        )
        return Measurement(max(area, 0.5), areas(low, high, *draws), findings, facts=facts)

    def _fit(
        self, table: RowTable, fold: Ints, seed: int, max_folds: int | None = None
    ) -> list[Any]:
        """Return for each fold, or the first `max_folds`, a model that was fitted on the others."""
        options: dict[str, Any] = {"task": "classification", "iterations": self.iterations}
        return [
            fit_discriminator(table.x[rows], table.y[rows], table.categorical, seed=seed, **options)
            for rows in (fold != k for k in range(int(fold.max()) + 1)[:max_folds])
        ]

    def _area_without(self, table: RowTable, fold: Ints, seed: int, name: str) -> float:
        """Return the area of a discriminator that is fitted without a column, on two folds."""
        left, some = table.without(name), fold < _FOLDS_WITHOUT
        probability = predict_folds(left, fold, self._fit(left, fold, seed, _FOLDS_WITHOUT))
        y = table.y[some]
        return compute_area(probability[some][y == 0], probability[some][y == 1])

    def _logistic(
        self, comparison: Comparison, sets: tuple[Dataset, Dataset], rng: np.random.Generator
    ) -> float:
        """Return the area of a logistic regression's out-of-fold predictions, on a sample of the rows."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import PredefinedSplit, cross_val_predict
        from threadpoolctl import threadpool_limits

        encoder = row_encoder(comparison)
        parts = [part.at_most(_LOGISTIC_ROWS, rng) for part in sets]
        features = np.concatenate([encoder.transform(part) for part in parts])
        y = np.repeat([0, 1], [len(part) for part in parts])
        fold = self._folds(len(parts[0]), len(parts[1]), rng)
        model = LogisticRegression(C=0.1, max_iter=1_000, tol=1e-3)
        with threadpool_limits(limits=1):
            found = cross_val_predict(
                model, features, y, cv=PredefinedSplit(fold), method="decision_function"
            )
        return compute_area(found[y == 0], found[y == 1])

    def _folds(self, n_real: int, n_synthetic: int, rng: np.random.Generator) -> Ints:
        """Return the fold of each row; both sets are split evenly."""
        n = min(self.n_folds, n_real, n_synthetic)
        return np.concatenate([rng.permutation(np.arange(m) % n) for m in (n_real, n_synthetic)])


def _draw_weights(n: int, b: int, rng: np.random.Generator) -> Floats:
    """Return how often each of `n` rows is in each of `b` bootstrap samples, shape (b, n)."""
    rows = rng.integers(0, n, size=(b, n))
    return np.stack([np.bincount(row, minlength=n) for row in rows]).astype(np.float64)
