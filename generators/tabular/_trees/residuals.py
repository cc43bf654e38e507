"""Numbers as an expected value plus a donor's residual, by a forest or by a slope in a leaf."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .table import Mask, Matrix, NumberBins, is_peak
from .tree import Codes, DonorTree, Features, FlatForest, Nodes

_FOLDS, _ROUNDS = 3, 6  # 18 trees, a third of them unfitted on any row; fewer: less fidelity
_MIN_LEAF = 3  # rows; larger leaves of the forest cost fidelity and gain no privacy (decision 0011)
_PROBE_ROWS, _MAX_ROWS = 3_000, 40_000  # bound the cost: probe first, then fit on so many at most
_PROBE_SHARE = 0.8  # of the R² that is required: the probe has fewer rows, so it explains less
# Bounds of the factor on the expectation: a slope of few rows is noisy.
_MIN_STRETCH, _MAX_STRETCH = 0.5, 2.0
_MIN_RESIDUAL_SCALE = 0.2  # smaller estimates are noise where nearly everything is explained


@dataclass(frozen=True)
class Expectation:
    """The mean of a forest of extremely randomised trees.

    Geurts, Ernst and Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006.
    """

    feature: Nodes  # nodes of all trees as in `DonorTree`, shapes (m,), (m,) and (m, 2)
    threshold: Features
    children: Nodes
    # What each node adds, (m,): its mean, stretched against the pull of leaves to the middle or
    # shrunk where it follows noise.
    mean: npt.NDArray[np.float32]
    roots: Nodes  # first node of each tree, (t,)

    @classmethod
    def fit(
        cls, features: Features, number: Matrix, min_r2: float, rng: np.random.Generator
    ) -> FittedExpectation | None:
        """Return the forest and its out-of-fold predictions; None where it explains too little.

        Each of 6 rounds divides the rows into thirds and grows a tree on every two of them, so each
        row is out of fold for a third of all trees. None where those explain less than `min_r2` of
        the number's variance, or less than four fifths of that on 3,000 rows. Of more than 40,000
        rows, so many are drawn for the forest.
        """
        n = len(number)
        if n > 2 * _PROBE_ROWS:
            probe = np.sort(rng.choice(n, _PROBE_ROWS, replace=False))
            if _grow(features[probe], number[probe], _PROBE_SHARE * min_r2, 2, rng) is None:
                return None
        if n <= _MAX_ROWS:
            return _grow(features, number, min_r2, _ROUNDS, rng)
        rows = np.sort(rng.choice(n, _MAX_ROWS, replace=False))
        found = _grow(np.asfortranarray(features[rows]), number[rows], min_r2, _ROUNDS, rng)
        if found is None:
            return None
        out_of_fold = found.expectation.with_others(found.out_of_fold, rows, features, rng)
        return found._replace(out_of_fold=out_of_fold)

    def predict(self, features: Features) -> Matrix:
        """Return the mean over all trees in each row, shape (n,)."""
        n_trees = len(self.roots)
        total = np.zeros(len(features))
        for nodes in self._forest.route(features, range(n_trees)):
            total += self.mean[nodes]
        return total / n_trees

    def with_others(
        self, out_of_fold: Matrix, rows: Codes, features: Features, rng: np.random.Generator
    ) -> Matrix:
        """Return predictions for all rows, given the out-of-fold ones of some, shape (n,)."""
        all_rows = np.zeros(len(features))
        all_rows[rows] = out_of_fold
        others = np.setdiff1d(np.arange(len(features)), rows, assume_unique=True)
        n_rounds = len(self.roots) // _FOLDS
        for first in range(0, n_rounds * _FOLDS, _FOLDS):
            fold = rng.integers(0, _FOLDS, len(others))
            for k in range(_FOLDS):
                own, tree = others[fold == k], first + k
                (nodes,) = self._forest.route(features[own], range(tree, tree + 1))
                all_rows[own] += self.mean[nodes] / n_rounds
        return all_rows

    @cached_property
    def _forest(self) -> FlatForest:
        roots = self.roots.tolist()
        return FlatForest.from_nodes(self.feature, self.threshold, self.children, roots)


class FittedExpectation(NamedTuple):
    """A forest with its predictions for rows that its trees were not fitted on."""

    expectation: Expectation
    out_of_fold: Matrix  # shape (n,)
    # Residual of the mean of all trees divided by that of the third that is out of fold, 0.2 to 1.
    residual_scale: float


def _grow(
    features: Features, number: Matrix, min_r2: float, rounds: int, rng: np.random.Generator
) -> FittedExpectation | None:
    from sklearn.tree import ExtraTreeRegressor

    n = len(number)
    predicted, squares = np.zeros(n), np.zeros(n)
    trees, means = [], []
    for _ in range(rounds):
        fold = rng.permutation(n) % _FOLDS
        for k in range(_FOLDS):
            train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            seed = int(rng.integers(2**31 - 1))
            model = ExtraTreeRegressor(
                min_samples_leaf=_MIN_LEAF, max_features=1.0, random_state=seed
            ).fit(features[train], number[train], check_input=False)
            forecast = model.tree_.predict(features[test])[:, 0]
            predicted[test] += forecast
            squares[test] += forecast**2
            trees.append(DonorTree.from_sklearn(model.tree_))
            means.append(model.tree_.value[:, 0, 0].astype(np.float32))
    predicted /= rounds
    noise = float(np.mean(squares / rounds - predicted**2)) / (rounds - 1)
    own, whole, residual_scale = _stretches(number, predicted, noise * (1 - 1 / _FOLDS))
    predicted *= own
    if np.mean((number - predicted) ** 2) > (1 - min_r2) * np.var(number):
        return None
    roots = np.cumsum([0, *(len(mean) for mean in means)])[:-1].astype(np.int32)
    forest = Expectation(
        np.concatenate([tree.feature for tree in trees]),
        np.concatenate([tree.threshold for tree in trees]),
        np.concatenate([tree.children + root for tree, root in zip(trees, roots, strict=True)]),
        np.concatenate(means) * np.float32(whole),
        roots,
    )
    return FittedExpectation(forest, predicted, residual_scale)


def _stretches(number: Matrix, predicted: Matrix, excess: float) -> tuple[float, float, float]:
    """Return factors of out-of-fold means, of means of all trees, and of residuals beyond these.

    The first two are slopes of the regression of the number on either mean; the variance of the mean
    of all trees, three times as many, is smaller by `excess`.
    """
    centred = predicted - predicted.mean()
    product, spread = float(centred @ number) / len(number), float(centred @ centred) / len(number)
    less = max(spread - excess, spread / 4, 1e-12)
    slopes = [product / max(spread, 1e-12), product / less]
    own, whole = np.clip(slopes, _MIN_STRETCH, _MAX_STRETCH)
    rest, rest_of_all = (
        float(np.var(number)) - 2 * slope * product + slope**2 * variance
        for slope, variance in ((own, spread), (whole, less))
    )
    share = np.clip(rest_of_all / max(rest, 1e-12), _MIN_RESIDUAL_SCALE**2, 1.0)
    return float(own), float(whole), float(np.sqrt(share))


# Rows that an expectation is fitted on, at least. Fewer give a forest that follows noise, and a trial
# with fewer gives quantiles that are too noisy to map to.
_MIN_EXPECTED_ROWS = 1_000
_MIN_VALUES = 33  # of a number in steps: fewer are better drawn by their own shares
# Share of rows that are no spike, atom or tie: on Default, whose payments are mixtures of zeros and
# exact bills, a forest for every number raised the detector AUC to .60 (decision 0011).
_MIN_FRACTION = 0.9
# R² that an expectation must reach; in steps more, since donors have exact shares there.
_MIN_R2, _MIN_R2_OF_STEPS = 0.1, 0.5
_SPIKE_FRACTION = 0.01  # of all rows, which a spike has at least


@dataclass(frozen=True)
class ResidualModel:
    """A number drawn as the expectation of a forest plus the residual of a donor.

    Numbers become normal scores of their ranks. A draw is the expected score of its row plus the
    residual that its donor's score had beyond trees not fitted on the donor. Scores become numbers
    again so that rows like those of the train set have the distribution of these.
    """

    expectation: Expectation
    rest: npt.NDArray[np.float32]  # residual of each donor, NaN for donors drawn as they are, (n,)
    # Ascending scores, and the numbers there. With as many edges as values numbers between two are
    # interpolated, otherwise edges separate the values.
    edges: Matrix
    values: Matrix

    @property
    def in_steps(self) -> bool:
        """Whether only values of the train set are drawn."""
        return len(self.edges) < len(self.values)

    def scores(
        self, expected: Matrix, donors: Codes, leaves: Nodes, rng: np.random.Generator
    ) -> Matrix:
        """Return the scores of rows with these donors, NaN for donors drawn as they are, (k,).

        `leaves` are those of all donors, shape (n,). A residual moves up to half-way to the next one of
        its leaf: otherwise rows whose parents equal those of a train row would repeat its number.
        """
        side = rng.choice([-1, 1], len(donors))
        gap = self._gaps(donors, side, leaves)
        gap = np.where(np.isnan(gap), self._gaps(donors, -side, leaves), gap)
        return np.asarray(
            expected + self.rest[donors] + rng.random(len(donors)) / 2 * np.nan_to_num(gap)
        )

    def _gaps(self, donors: Codes, side: Codes, leaves: Nodes) -> Matrix:
        """Return the distance to the residual before or after each one, NaN if its leaf has none."""
        other = np.clip(donors + side, 0, len(self.rest) - 1)
        is_other = (other != donors) & (leaves[other] == leaves[donors])
        return np.where(is_other, self.rest[other] - self.rest[donors], np.nan)

    def numbers(self, scores: Matrix) -> Matrix:
        """Return the numbers at the scores, (n,); NaN for a score of NaN or out of range."""
        if self.in_steps:
            found = self.values[np.searchsorted(self.edges, scores, side="right")]
            return np.where(np.isnan(scores), np.nan, found)
        inside = (scores >= self.edges[0]) & (scores <= self.edges[-1])
        return np.where(inside, np.interp(scores, self.edges, self.values), np.nan)

    def matched(self, scores: Matrix, real: Matrix) -> ResidualModel:
        """Return the model that maps drawn scores, (n,), to the distribution of `real`, (k,)."""
        scores, n = scores[~np.isnan(scores)], len(self.values)
        if len(scores) < _MIN_EXPECTED_ROWS:
            return self
        below = (np.arange(n) + 0.5) / n
        if self.in_steps:  # spikes are not among the values
            known = np.sort(real[np.isin(real, self.values)])
            below = np.searchsorted(known, self.values[1:]) / len(known)
        return replace(self, edges=quantiles(scores, below))

    def mean_numbers(self, features: Features) -> Matrix:
        """Return the expected number in each row: the mean over the deciles of the residual."""
        scores = self.expectation.predict(features)
        deciles = np.nanquantile(self.rest, np.linspace(0.05, 0.95, 10))
        bounded = np.clip(scores[:, None] + deciles, self.edges[0], self.edges[-1])
        return np.asarray(self.numbers(bounded.ravel()).reshape(bounded.shape).mean(1))


@dataclass(frozen=True)
class ExpectationRegression:
    """The rows of a number with a fitted expectation, while the number's tree is grown."""

    rows: Codes  # positions of the rows, shape (k,)
    fitted: FittedExpectation
    rest: Matrix  # score of each row beyond its out-of-fold prediction, (k,)
    in_steps: bool  # only values of the train set are drawn: a number with few of them

    def features(self, plain: Features, rng: np.random.Generator) -> Features:
        """Return the features with the expectation as one more, shape (n, f + 1).

        Other rows get the mean of as many trees, or trees would split by how exact it is.
        """
        fitted = self.fitted
        expected = fitted.expectation.with_others(fitted.out_of_fold, self.rows, plain, rng)
        return append_expectation(plain, expected)

    def labels(self, labels: Codes, n_bins: int) -> Codes:
        """Return labels in which `rows` are divided by quantiles of their residual."""
        labels = labels + n_bins
        labels[self.rows] = self._ranks() * n_bins // len(self.rows)
        return np.unique(labels, return_inverse=True)[1]

    def places(self, codes: Codes) -> Codes:
        """Return the order of rows inside their leaf: `rows` after the others, by residual."""
        places = codes.copy()
        places[self.rows] = codes.max() + 1 + self._ranks()
        return places

    def residuals(
        self, tree: DonorTree, order: Codes, target: Matrix, rng: np.random.Generator
    ) -> ResidualModel:
        """Return the residual model of donors, which are the rows in `order`."""
        leaf = np.empty(len(target), dtype=np.int64)
        leaf[order] = tree.leaves
        own = leaf[self.rows]
        shuffled = np.lexsort((rng.random(len(own)), own))
        swapped = np.empty(len(own))
        swapped[np.argsort(own, kind="stable")] = self.rest[shuffled]
        # Scores of rows that get the residual of another row of their leaf.
        scores = np.sort(self.fitted.out_of_fold + swapped)
        values = np.sort(target[self.rows])
        if self.in_steps:
            values, counts = np.unique(values, return_counts=True)
            scores = quantiles(scores, np.cumsum(counts)[:-1] / counts.sum())
        rest = np.full(len(target), np.nan, dtype=np.float32)
        rest[self.rows] = self.rest * self.fitted.residual_scale
        return ResidualModel(self.fitted.expectation, rest[order], scores, values)

    def _ranks(self) -> Codes:
        return np.argsort(np.argsort(self.rest, kind="stable"), kind="stable")


def fit_expectation(
    features: Features,
    target: Matrix,
    bins: NumberBins,
    codes: Codes,
    free: Mask,
    in_steps: bool,
    rng: np.random.Generator,
) -> ExpectationRegression | None:
    """Return the regression of a number on the forest's expectation; None where it is of no use."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    if in_steps:
        if len(bins.values) < _MIN_VALUES:
            return None
        counts = np.bincount(codes, minlength=len(bins.values))
        free = ~(is_peak(counts) & (counts > _SPIKE_FRACTION * counts.sum()))[codes]
    rows = np.flatnonzero(free)
    min_rows = max(_MIN_EXPECTED_ROWS, _MIN_FRACTION * len(target))
    if len(rows) < min_rows or not features.shape[1]:
        return None
    scores = ndtri((rankdata(target[rows]) - 0.5) / len(rows))
    min_r2 = _MIN_R2_OF_STEPS if in_steps else _MIN_R2
    fitted = Expectation.fit(features[rows], scores, min_r2, rng)
    if fitted is None:
        return None
    return ExpectationRegression(rows, fitted, scores - fitted.out_of_fold, in_steps)


def append_expectation(features: Features, expected: Matrix) -> Features:
    """Return the features with one more column, in Fortran order, shape (n, f + 1)."""
    wide = np.empty((len(features), features.shape[1] + 1), dtype=np.float32, order="F")
    wide[:, :-1] = features
    wide[:, -1] = expected
    return wide


def quantiles(values: Matrix, at: Matrix) -> Matrix:
    """Return the quantiles of values, shape of `at`: numpy's, but sorted once for many of them."""
    ordered, last = np.sort(values), len(values) - 1
    place = last * at
    below = np.minimum(place.astype(np.int64), last)
    low, high = ordered[below], ordered[np.minimum(below + 1, last)]
    part, width = place - below, high - low
    # From the nearer end, as numpy does, so that no rounding leads past either.
    return np.asarray(np.where(part >= 0.5, high - width * (1 - part), low + width * part))


_MIN_R2_OF_SLOPE = 0.15  # of the variance in the leaf: a weaker slope moves donors by noise
_MIN_ROWS_OF_SLOPE = 7  # free rows of a leaf: a slope of fewer is chance


@dataclass(frozen=True)
class LeafSlopes:
    """For each node of a tree, the numeric parent that explains most, and its slope.

    A slope is shrunk by what chance alone would explain, and is 0 where it explains less than 15 %
    of the variance inside the leaf.
    """

    parent: Nodes  # variable that the node's slope is on, shape (m,)
    slope: Matrix  # change of the number for a change of 1 of the parent, (m,)
    low: Matrix  # range of the number in the leaf, (m,); outside it the donor is kept as it is
    high: Matrix
    rest: Matrix  # part of each donor's number that its parent does not explain, (n,)

    @classmethod
    def fit(
        cls,
        matrix: Matrix,
        target: Matrix,
        free: Mask,
        leaves: Nodes,
        n_nodes: int,
        parents: Sequence[int],
    ) -> LeafSlopes | None:
        """Return the slopes of donors, given variables, number and leaf; None if no leaf has any.

        `free` are donors that are neither atom nor tie; `parents` the numeric variables drawn before.
        """
        weight = free.astype(np.float64)
        rows = np.bincount(leaves, weight, n_nodes)

        def centred(values: Matrix) -> Matrix:
            mean = np.bincount(leaves, values * weight, n_nodes) / np.maximum(rows, 1)
            return np.asarray((values - mean[leaves]) * weight)

        own = centred(target)
        own_square = np.bincount(leaves, own * own, n_nodes)
        best = np.zeros(n_nodes, dtype=np.int32)
        best_r2, slope = np.zeros(n_nodes), np.zeros(n_nodes)
        for parent in parents:
            other = centred(matrix[:, parent])
            square = np.bincount(leaves, other * other, n_nodes)
            product = np.bincount(leaves, other * own, n_nodes)
            able = (square > 1e-12) & (own_square > 1e-12)
            r2 = np.where(able, product**2 / np.where(able, square * own_square, 1.0), 0.0)
            better = r2 > best_r2
            best[better], best_r2[better] = parent, r2[better]
            slope[better] = product[better] / square[better]
        # The best of p parents explains something by chance: about 2 log p rows' worth.
        spare = np.maximum(rows - 2 - 2 * np.log(len(parents) + 1), 1)
        adjusted = 1 - (1 - best_r2) * np.maximum(rows - 1, 0) / spare
        kept = np.clip(adjusted / np.maximum(best_r2, 1e-12), 0, 1)
        strong = (best_r2 >= _MIN_R2_OF_SLOPE) & (rows >= _MIN_ROWS_OF_SLOPE)
        slope *= np.where(strong, kept, 0.0)
        if not slope.any():
            return None
        low, high = np.full(n_nodes, np.inf), np.full(n_nodes, -np.inf)
        np.minimum.at(low, leaves[free], target[free])
        np.maximum.at(high, leaves[free], target[free])
        rest = target - slope[leaves] * matrix[np.arange(len(target)), best[leaves]]
        return cls(best, slope, low, high, rest)

    def shift(
        self, values: Matrix, moved: Matrix, donors: Codes, leaves: Nodes, matrix: Matrix
    ) -> Matrix:
        """Return donors' numbers, `moved` in their bins, shifted along the slope to new parents."""
        at = matrix[np.arange(len(leaves)), self.parent[leaves]]
        shifted = self.rest[donors] + self.slope[leaves] * at + (moved - values)
        fits = (self.slope[leaves] != 0) & (shifted >= self.low[leaves])
        return np.where(fits & (shifted <= self.high[leaves]), shifted, moved)
