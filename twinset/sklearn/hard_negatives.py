"""`HardNegatives`: far fewer rows of the large class, the telling ones kept, none of them invented."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.utils._param_validation import Interval

from twinset.core.seeding import draw_seed, rng_for
from twinset.sklearn._columns import Rows, SamplerInputError
from twinset.sklearn._labels import Labels
from twinset.sklearn._matrix import model_matrix
from twinset.sklearn._order import row_hashes, uniforms
from twinset.sklearn._sampler import Chooser, Floats
from twinset.sklearn._tables import Table, dataset_of

_SHARE = Interval(Real, 0, 1, closed="both")


class HardNegatives(Chooser):
    """Keeps the hardest rows of the largest class and a random share of its other rows.

    A quick model, trained on parts that do not hold the row in question, says how much each row of
    the largest class looks like the other classes. The hardest rows are all kept; of the rest each
    is kept with one and the same chance and gets the inverse of that chance as its weight, so that
    weighted sums over the rows kept are right on average. Train with them:
    ``model.fit(X, y, sample_weight=sampler.sample_weight_)``. Every row of the other classes is kept.
    It saves time: it does not make a model better.

    Parameters
    ----------
    hard_fraction : float
        Share of the rows of the largest class that are kept for being hard, in [0, 1].
    rest_fraction : float
        Share of its other rows that are kept by chance, in (0, 1].
    n_folds : int
        Parts for which the model is trained on the other parts, 2 or more.
    judge : classifier or None
        A model with `predict_proba` that takes a float matrix with NaN and codes for labels; None
        takes scikit-learn's HistGradientBoostingClassifier with 50 trees.
    max_rows : int
        Rows of the largest class that a model is trained on at most.
    random_state : int, RandomState, Generator or None
        The seed. The rows chosen depend on it and on what rows hold, not on their order.

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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hard_fraction": [_SHARE],
        "rest_fraction": [Interval(Real, 0, 1, closed="right")],
        "n_folds": [Interval(Integral, 2, None, closed="left")],
        "judge": "no_validation",
        "max_rows": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        *,
        hard_fraction: float = 0.1,
        rest_fraction: float = 0.18,
        n_folds: int = 3,
        judge: Any = None,
        max_rows: int = 100_000,
        random_state: Any = None,
    ) -> None:
        self.hard_fraction = hard_fraction
        self.rest_fraction = rest_fraction
        self.n_folds = n_folds
        self.judge = judge
        self.max_rows = max_rows
        self.random_state = random_state

    def _planned(self, labels: Labels) -> dict[Any, int]:
        if len(labels.classes) < 2:
            raise SamplerInputError(
                "The target 'y' needs to have more than 1 class", got="1 class instead"
            )
        large = int(labels.counts.argmax())
        n = int(labels.counts[large])
        n_hard = round(self.hard_fraction * n)
        kept = n_hard + round(self.rest_fraction * (n - n_hard))
        return {labels.classes.tolist()[large]: kept}

    def _chosen(self, table: Table, labels: Labels) -> tuple[Rows, Floats]:
        seed = self._seed()
        whole = dataset_of(table, np.arange(len(table)))
        hashes = row_hashes(whole)
        is_large = labels.codes == labels.counts.argmax()
        large = np.flatnonzero(is_large)
        hardness = self._hardness(model_matrix(whole), is_large, hashes, seed)[large]
        # Ties are broken by what rows hold, so that their order does not matter.
        order = np.lexsort((hashes[large], -hardness))
        n_hard = round(self.hard_fraction * len(large))
        hard, rest = large[order[:n_hard]], large[order[n_hard:]]
        kept = rest[uniforms(hashes[rest], seed) < self.rest_fraction]
        self.hardness_ = np.full(len(table), np.nan)
        self.hardness_[large] = hardness
        weights = np.ones(len(table))
        weights[kept] = 1 / self.rest_fraction
        rows = np.sort(np.concatenate([np.flatnonzero(~is_large), hard, kept]))
        return rows, weights[rows]

    def _hardness(
        self,
        matrix: Floats,
        is_large: npt.NDArray[np.bool_],
        hashes: npt.NDArray[np.uint64],
        seed: int,
    ) -> Floats:
        """Return for each row the probability of another class, by a model that has not seen it."""
        from sklearn.base import clone

        order = np.argsort(hashes, kind="stable")
        # Along this order rows of either kind are dealt to the folds in turn.
        fold = np.empty(len(matrix), dtype=np.int64)
        for kind in (is_large, ~is_large):
            own = order[kind[order]]
            fold[own] = np.arange(len(own)) % self.n_folds
        hardness = np.zeros(len(matrix))
        for k in range(self.n_folds):
            seen = order[fold[order] != k]
            rng = rng_for(seed, f"fold-{k}")
            seen = self._thinned(seen, is_large, rng)
            if is_large[seen].all():
                continue
            judge = _quick_judge(draw_seed(rng)) if self.judge is None else clone(self.judge)
            judge.fit(matrix[seen], ~is_large[seen])
            unseen = np.flatnonzero(fold == k)
            hardness[unseen] = judge.predict_proba(matrix[unseen])[:, 1]
        return hardness

    def _thinned(
        self, rows: Rows, is_large: npt.NDArray[np.bool_], rng: np.random.Generator
    ) -> Rows:
        large = rows[is_large[rows]]
        if len(large) <= self.max_rows:
            return rows
        left_out = rng.choice(large, len(large) - self.max_rows, replace=False)
        return rows[~np.isin(rows, left_out)]


def _quick_judge(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=50,
        max_leaf_nodes=15,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=seed,
    )
