"""`HardNegatives`: far fewer rows of the large class, the informative ones kept, none invented."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.parameters import Fraction, Ge, Interval
from twinset.core.seeding import draw_seed, rng_for
from twinset.sklearn._columns import Rows
from twinset.sklearn._labels import Labels
from twinset.sklearn._rows import model_matrix, row_hashes, uniforms
from twinset.sklearn._sampler import Floats, Sampler
from twinset.sklearn._tables import Table


class HardNegatives(Sampler):
    """Keeps the hardest rows of the largest class and a random share of its other rows.

    A quick model, trained on folds that do not hold the row in question, predicts for each row of
    the largest class how likely it is of another class. The hardest rows are all kept; of the rest each
    is kept with the same probability p and gets the weight 1 / p (Horvitz and Thompson), so that
    weighted sums over the rows kept are right on average. Train with them:
    ``model.fit(X, y, sample_weight=sampler.sample_weight_)``. Every row of the other classes is kept.
    It saves time: it does not make a model better.

    Parameters
    ----------
    hard_fraction : float
        Share of the rows of the largest class that are kept for being hard, in [0, 1].
    rest_fraction : float
        Share of its other rows that are kept at random, in (0, 1].
    n_folds : int
        Folds for which the model is trained on the other folds, 2 or more.
    model : classifier or None
        A model with `predict_proba` that takes a float matrix with NaN and codes for labels; None
        stands for scikit-learn's HistGradientBoostingClassifier with 50 trees.
    max_rows : int
        Rows of the largest class that a model is trained on at most.

    References
    ----------
    Shrivastava, Gupta and Girshick, "Training region-based object detectors with online hard example
    mining", CVPR 2016. Horvitz and Thompson, "A generalization of sampling without replacement from a
    finite universe", J. Am. Stat. Assoc. 47, 1952.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], [2000, 40])
    >>> X = rng.normal(size=(2040, 3)) + 2 * y[:, None]
    >>> sampler = HardNegatives(random_state=0)
    >>> X_few, y_few = sampler.fit_resample(X, y)
    >>> len(y_few) < 700, int(y_few.sum()), round(float(sampler.odds_factor_[1]), 1)
    (True, 40, 1.0)
    """

    hard_fraction: Fraction = 0.1
    rest_fraction: Annotated[float, Interval(gt=0, le=1)] = 0.18
    n_folds: Annotated[int, Ge(2)] = 3
    model: Any = None
    max_rows: Annotated[int, Ge(1)] = 100_000

    _has_indices: ClassVar[bool] = True

    def _plan(self, labels: Labels) -> dict[Any, int]:
        labels.check_classes()
        large = int(labels.counts.argmax())
        n = int(labels.counts[large])
        n_hard = round(self.hard_fraction * n)
        kept = n_hard + round(self.rest_fraction * (n - n_hard))
        return {labels.classes.tolist()[large]: kept}

    def _resample(self, table: Table, labels: Labels) -> tuple[Any, Any]:
        seed = self._seed()
        whole = table.dataset(np.arange(len(table)))
        hashes = row_hashes(whole)
        is_large = labels.codes == labels.counts.argmax()
        large = np.flatnonzero(is_large)
        hardness = self._hardness(model_matrix(whole), is_large, hashes, seed)[large]
        # Ties are broken by the content of rows, so that their order does not matter.
        order = np.lexsort((hashes[large], -hardness))
        n_hard = round(self.hard_fraction * len(large))
        hard, rest = large[order[:n_hard]], large[order[n_hard:]]
        kept = rest[uniforms(hashes[rest], seed) < self.rest_fraction]
        self.hardness_ = np.full(len(table), np.nan)
        self.hardness_[large] = hardness
        weights = np.ones(len(table))
        weights[kept] = 1 / self.rest_fraction
        rows = np.sort(np.concatenate([np.flatnonzero(~is_large), hard, kept]))
        return self._choose_rows(table, labels, rows, weights[rows])

    def _hardness(
        self,
        matrix: Floats,
        is_large: npt.NDArray[np.bool_],
        hashes: npt.NDArray[np.uint64],
        seed: int,
    ) -> Floats:
        """Return the probability of another class for each row, by a model trained on other rows."""
        from sklearn.base import clone

        order = np.argsort(hashes, kind="stable")
        # Along this order rows of either kind are assigned to the folds in turn.
        fold = np.empty(len(matrix), dtype=np.int64)
        for kind in (is_large, ~is_large):
            own = order[kind[order]]
            fold[own] = np.arange(len(own)) % self.n_folds
        hardness = np.zeros(len(matrix))
        for k in range(self.n_folds):
            rng = rng_for(seed, f"fold-{k}")
            train = self._thin(order[fold[order] != k], is_large, rng)
            if is_large[train].all():
                continue
            model = _quick_model(draw_seed(rng)) if self.model is None else clone(self.model)
            model.fit(matrix[train], ~is_large[train])
            test = np.flatnonzero(fold == k)
            hardness[test] = model.predict_proba(matrix[test])[:, 1]
        return hardness

    def _thin(self, rows: Rows, is_large: npt.NDArray[np.bool_], rng: np.random.Generator) -> Rows:
        large = rows[is_large[rows]]
        if len(large) <= self.max_rows:
            return rows
        excluded = rng.choice(large, len(large) - self.max_rows, replace=False)
        return rows[~np.isin(rows, excluded)]


def _quick_model(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=50,
        max_leaf_nodes=15,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=seed,
    )
