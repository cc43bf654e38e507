"""Numbers as what is expected of them, plus what a donor of the same leaf had beyond that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .rounding import NumberBins
from .table import Matrix
from .tree import ROWS_AT_ONCE, DonorTree, Features, FlatTree, Nodes, RoutingBuffer, route

Floats = npt.NDArray[np.float64]

_FOLDS, _ROUNDS = 3, 6
_MIN_LEAF = 3
_PROBE_ROWS, _MOST_ROWS = 3_000, 40_000
_LEAST_STRETCH, _MOST_STRETCH = 0.5, 2.0
_LEAST_CALM = 0.2


@dataclass(frozen=True)
class Expectation:
    """The mean of a forest of extremely randomised trees.

    Parameters
    ----------
    feature, threshold, children : numpy.ndarray
        Nodes of all trees, as in `DonorTree`, shapes (m,), (m,) and (m, 2).
    mean : numpy.ndarray
        What each node adds to the expectation: its mean, stretched against the pull of leaves
        towards the middle, or shrunk where it follows noise. Shape (m,).
    roots : numpy.ndarray
        First node of each tree, shape (t,).

    References
    ----------
    Geurts, Ernst and Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006.
    """

    feature: Nodes
    threshold: Features
    children: Nodes
    mean: npt.NDArray[np.float32]
    roots: Nodes

    @classmethod
    def fit(
        cls, features: Features, number: Floats, least_r2: float, rng: np.random.Generator
    ) -> FittedExpectation | None:
        """Return the forest, and what its trees expect of the rows they have not seen.

        Each of 6 rounds cuts the rows into thirds and grows a tree on every two of them, so each
        row is unseen by a third of all trees. None where those explain less than `least_r2` of the
        number's variance, or less than four fifths of that judging by 3,000 rows. Of more than
        40,000 rows, so many drawn at random are cut; all others are unseen.
        """
        n = len(number)
        if n > 2 * _PROBE_ROWS:
            probe = np.sort(rng.choice(n, _PROBE_ROWS, replace=False))
            if _grown(features[probe], number[probe], 0.8 * least_r2, 2, rng) is None:
                return None
        if n <= _MOST_ROWS:
            return _grown(features, number, least_r2, _ROUNDS, rng)
        rows = np.sort(rng.choice(n, _MOST_ROWS, replace=False))
        found = _grown(np.asfortranarray(features[rows]), number[rows], least_r2, _ROUNDS, rng)
        if found is None:
            return None
        unseen = found.expectation.with_others(found.unseen, rows, features, rng)
        return found._replace(unseen=unseen)

    def expected(self, features: Features) -> Floats:
        """Return the mean over all trees in each row, shape (n,)."""
        total = np.zeros(len(features))
        desk = RoutingBuffer(min(len(features), ROWS_AT_ONCE))
        for first in range(0, len(features), ROWS_AT_ONCE):
            block = slice(first, first + ROWS_AT_ONCE)
            some = np.asfortranarray(features[block])
            for ways, mean in self._trees:
                total[block] += mean[ways.leaves(some, desk)]
        return total / len(self.roots)

    def with_others(
        self,
        unseen: Floats,
        rows: npt.NDArray[np.int64],
        features: Features,
        rng: np.random.Generator,
    ) -> Floats:
        """Return what is expected of all rows if `unseen` is of some, shape (n,).

        Of the others it is the mean over one tree of each round, drawn for each row: as many trees
        as have not seen a row they were grown beside.
        """
        all_rows = np.zeros(len(features))
        all_rows[rows] = unseen
        others = np.setdiff1d(np.arange(len(features)), rows, assume_unique=True)
        n_rounds = len(self.roots) // _FOLDS
        for first in range(0, n_rounds * _FOLDS, _FOLDS):
            fold = rng.integers(0, _FOLDS, len(others))
            for k in range(_FOLDS):
                own = others[fold == k]
                ways, mean = self._trees[first + k]
                all_rows[own] += mean[route(features[own], ways)] / n_rounds
        return all_rows

    @cached_property
    def _trees(self) -> tuple[tuple[FlatTree, npt.NDArray[np.float32]], ...]:
        """The ways down each tree, and what its nodes add."""
        trees = []
        for first, end in pairwise([*self.roots.tolist(), len(self.mean)]):
            nodes = slice(first, end)
            children = self.children[nodes] - np.int32(first)
            ways = FlatTree.of(self.feature[nodes], self.threshold[nodes], children)
            trees.append((ways, self.mean[nodes]))
        return tuple(trees)


class FittedExpectation(NamedTuple):
    """A forest; what its trees expect of rows they have not seen, shape (n,); and `calm`.

    A rest beyond the mean of all trees is smaller by that factor than one beyond the third of the
    trees that has not seen a row: 0.2 to 1.
    """

    expectation: Expectation
    unseen: Floats
    calm: float


def _grown(
    features: Features, number: Floats, least_r2: float, rounds: int, rng: np.random.Generator
) -> FittedExpectation | None:
    from sklearn.tree import ExtraTreeRegressor

    n = len(number)
    unseen, squares = np.zeros(n), np.zeros(n)
    trees, means = [], []
    for _ in range(rounds):
        fold = rng.permutation(n) % _FOLDS
        for k in range(_FOLDS):
            seen, out = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            grown = ExtraTreeRegressor(
                min_samples_leaf=_MIN_LEAF,
                max_features=1.0,
                random_state=int(rng.integers(2**31 - 1)),
            ).fit(features[seen], number[seen], check_input=False)
            told = grown.tree_.predict(features[out])[:, 0]
            unseen[out] += told
            squares[out] += told**2
            trees.append(DonorTree.of_sklearn(grown.tree_))
            means.append(grown.tree_.value[:, 0, 0].astype(np.float32))
    unseen /= rounds
    noise = float(np.mean(squares / rounds - unseen**2)) / (rounds - 1)
    own, whole, calm = _stretches(number, unseen, noise * (1 - 1 / _FOLDS))
    unseen *= own
    if np.mean((number - unseen) ** 2) > (1 - least_r2) * np.var(number):
        return None
    roots = np.cumsum([0, *(len(mean) for mean in means)])[:-1].astype(np.int32)
    forest = Expectation(
        np.concatenate([tree.feature for tree in trees]),
        np.concatenate([tree.threshold for tree in trees]),
        np.concatenate([tree.children + root for tree, root in zip(trees, roots, strict=True)]),
        np.concatenate(means) * np.float32(whole),
        roots,
    )
    return FittedExpectation(forest, unseen, calm)


def _stretches(number: Floats, unseen: Floats, excess: float) -> tuple[float, float, float]:
    """Return what to multiply by: means of unseen trees, means of all trees, and rests beyond these.

    The first two are slopes of the regression of the number on either mean. All trees are thrice as
    many as unseen ones, so their mean has less noise: its variance is smaller by `excess`.
    """
    centred = unseen - unseen.mean()
    product, spread = float(centred @ number) / len(number), float(centred @ centred) / len(number)
    less = max(spread - excess, spread / 4, 1e-12)
    own, whole = np.clip(
        [product / max(spread, 1e-12), product / less], _LEAST_STRETCH, _MOST_STRETCH
    )
    rest, calmer = (
        float(np.var(number)) - 2 * slope * product + slope**2 * variance
        for slope, variance in ((own, spread), (whole, less))
    )
    calm = float(np.sqrt(np.clip(calmer / max(rest, 1e-12), _LEAST_CALM**2, 1.0)))
    return float(own), float(whole), calm


Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_LEAST_ROWS = 1_000
_LEAST_VALUES = 33
_LEAST_FRACTION = 0.9
_LEAST_R2, _LEAST_R2_OF_STEPS = 0.1, 0.5
_NEIGHBOURS = 5
_SPIKE, _SPIKE_FRACTION = 3.0, 0.01


@dataclass(frozen=True)
class Residuals:
    """How a number leans on a forest's expectation of it.

    Numbers become normal scores of their ranks; a draw is the expected score in its row plus the
    rest that its donor's score had beyond what trees expected that had not seen the donor. Scores
    become numbers again so that rows like those learnt from have the distribution of these.

    Parameters
    ----------
    expectation : Expectation
        The forest of the scores.
    rest : numpy.ndarray
        Rest of each donor, NaN for donors that are drawn as they are, shape (n,).
    edges, values : numpy.ndarray
        Ascending scores, and the numbers there. With as many edges as values numbers between two
        are interpolated, otherwise edges part the values.
    """

    expectation: Expectation
    rest: npt.NDArray[np.float32]
    edges: Floats
    values: Floats

    def scores(self, expected: Floats, donors: Codes) -> Floats:
        """Return the scores of rows with these donors, NaN where a donor does not lean, shape (n,)."""
        return np.asarray(expected + self.rest[donors])

    def drawn(self, scores: Floats) -> Floats:
        """Return the numbers at the scores, shape (n,).

        NaN where the score is NaN or outside the range of interpolation.
        """
        if len(self.edges) < len(self.values):
            found = self.values[np.searchsorted(self.edges, scores, side="right")]
            return np.where(np.isnan(scores), np.nan, found)
        inside = (scores >= self.edges[0]) & (scores <= self.edges[-1])
        return np.where(inside, np.interp(scores, self.edges, self.values), np.nan)

    def matched(self, scores: Floats, real: Floats) -> Residuals:
        """Return the same with edges by which rows with these scores get the numbers' distribution.

        Parameters
        ----------
        scores : numpy.ndarray
            Scores that are drawn, NaN for rows that do not lean, shape (n,).
        real : numpy.ndarray
            The numbers learnt from, shape (k,).
        """
        scores, n = scores[~np.isnan(scores)], len(self.values)
        if len(scores) < _LEAST_ROWS:
            return self
        below = (np.arange(n) + 0.5) / n
        if len(self.edges) < n:  # in steps: spikes are not among the values
            known = np.sort(real[np.isin(real, self.values)])
            below = np.searchsorted(known, self.values[1:]) / len(known)
        return replace(self, edges=quantiles(scores, below))

    def hoped(self, features: Features) -> Floats:
        """Return the expected number in each row, as if none were a spike, an atom or a tie.

        It is the mean over the deciles of the rest.
        """
        scores = self.expectation.expected(features)
        deciles = np.nanquantile(self.rest, np.linspace(0.05, 0.95, 10))
        bounded = np.clip(scores[:, None] + deciles, self.edges[0], self.edges[-1])
        return np.asarray(self.drawn(bounded.ravel()).reshape(bounded.shape).mean(1))


@dataclass(frozen=True)
class ExpectationRegression:
    """Rows of a number that lean on an expectation, while its tree is being grown.

    Parameters
    ----------
    rows : numpy.ndarray
        Positions of the rows, shape (k,).
    expectation : Expectation
        The forest.
    unseen, rest : numpy.ndarray
        What trees that have not seen a row expect of it, and its score beyond that, shape (k,).
    calm : float
        By how much rests beyond all trees are smaller.
    in_steps : bool
        Whether only values that were seen are drawn: a number with few of them.
    """

    rows: Codes
    expectation: Expectation
    unseen: Floats
    rest: Floats
    calm: float
    in_steps: bool

    def features(self, plain: Features, rng: np.random.Generator) -> Features:
        """Return the features with the expectation as one more, shape (n, f + 1).

        Rows that do not lean get the mean of as many trees as those that do, or the tree of the
        chain would know them by how exact their expectation is.
        """
        expected = self.expectation.with_others(self.unseen, self.rows, plain, rng)
        return with_expected(plain, expected)

    def labels(self, labels: Codes, n_bins: int) -> Codes:
        """Return labels in which leaning rows are told apart by quantiles of their rest."""
        made = labels + n_bins
        made[self.rows] = self._ranks() * n_bins // len(self.rows)
        return np.unique(made, return_inverse=True)[1]

    def places(self, codes: Codes) -> Codes:
        """Return where rows stand inside their leaf: leaning ones after the others, by their rest."""
        made = codes.copy()
        made[self.rows] = codes.max() + 1 + self._ranks()
        return made

    def residuals(
        self, tree: DonorTree, order: Codes, target: Floats, rng: np.random.Generator
    ) -> Residuals:
        """Return the residuals of donors, which are the rows in `order`."""
        leaf = np.empty(len(target), dtype=np.int64)
        leaf[order] = tree.leaves
        own = leaf[self.rows]
        dealt = np.lexsort((rng.random(len(own)), own))
        again = np.empty(len(own))
        again[np.argsort(own, kind="stable")] = self.rest[dealt]
        # Scores of rows that get the rest of another row of their leaf.
        scores, values = np.sort(self.unseen + again), np.sort(target[self.rows])
        if self.in_steps:
            values, counts = np.unique(values, return_counts=True)
            scores = quantiles(scores, np.cumsum(counts)[:-1] / counts.sum())
        rest = np.full(len(target), np.nan, dtype=np.float32)
        rest[self.rows] = self.rest * self.calm
        return Residuals(self.expectation, rest[order], scores, values)

    def _ranks(self) -> Codes:
        return np.argsort(np.argsort(self.rest, kind="stable"), kind="stable")


def find_leaning(
    features: Features,
    target: Floats,
    grain: NumberBins,
    codes: Codes,
    free: Mask,
    in_steps: bool,
    rng: np.random.Generator,
) -> ExpectationRegression | None:
    """Return how a number leans on its parents, or None where it does not.

    It does where nine tenths of its rows are no spikes, atoms or ties: a mixture of such has no
    mean worth expecting. And where there are parents that explain a tenth of it; half, if it has few
    values, whose donors otherwise come with exact shares.

    Parameters
    ----------
    features, target, grain, codes : numpy.ndarray, Grain
        What its tree looks at, the number, its grain and the code of each row.
    free : numpy.ndarray
        Rows whose number is neither an atom nor tied, shape (n,).
    in_steps : bool
        Whether it has so few values that each is an atom; then only spikes among them stand apart.
    rng : numpy.random.Generator
        The only source of randomness.
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    if in_steps:
        if len(grain.values) < _LEAST_VALUES:
            return None
        counts = np.bincount(codes, minlength=len(grain.values))
        free = ~_spikes(counts)[codes]
    rows = np.flatnonzero(free)
    if len(rows) < max(_LEAST_ROWS, _LEAST_FRACTION * len(target)) or not features.shape[1]:
        return None
    scores = ndtri((rankdata(target[rows]) - 0.5) / len(rows))
    found = Expectation.fit(
        features[rows], scores, _LEAST_R2_OF_STEPS if in_steps else _LEAST_R2, rng
    )
    if found is None:
        return None
    expectation, unseen, calm = found
    return ExpectationRegression(rows, expectation, unseen, scores - unseen, calm, in_steps)


def with_expected(features: Features, expected: Floats) -> Features:
    """Return the features with one more column, feature by feature in memory, shape (n, f + 1)."""
    made = np.empty((len(features), features.shape[1] + 1), dtype=np.float32, order="F")
    made[:, :-1] = features
    made[:, -1] = expected
    return made


def quantiles(values: Floats, at: Floats) -> Floats:
    """Return the quantiles of values, shape of `at`: exactly numpy's, many times faster for many.

    numpy looks for each quantile's neighbours apart; sorted once, the values hold all of them.

    Examples
    --------
    >>> quantiles(np.array([3.0, 1.0, 2.0]), np.array([0.0, 0.25, 1.0])).tolist()
    [1.0, 1.5, 3.0]
    """
    ordered, last = np.sort(values), len(values) - 1
    place = last * at
    below = np.minimum(place.astype(np.int64), last)
    low, high = ordered[below], ordered[np.minimum(below + 1, last)]
    way, apart = place - below, high - low
    # From the nearer end, as numpy does, so that no rounding leads past either.
    return np.asarray(np.where(way >= 0.5, high - apart * (1 - way), low + apart * way))


def _spikes(counts: Codes) -> Mask:
    """Return which values stand out: 1 % of the rows, and thrice the median of 10 values around."""
    width = 2 * _NEIGHBOURS + 1
    around = np.pad(counts, _NEIGHBOURS, mode="reflect")
    local = np.median(np.lib.stride_tricks.sliding_window_view(around, width), axis=1)
    return np.asarray((counts > _SPIKE * local) & (counts > _SPIKE_FRACTION * counts.sum()))


_LEAST_R2_OF_SLOPE = 0.15
_LEAST_ROWS_OF_SLOPE = 7


@dataclass(frozen=True)
class LeafSlopes:
    """For each node of a tree, the one numeric parent that explains most, and its slope.

    A slope is shrunk by what chance alone would explain, and is 0 where it explains less than
    15 % of what is left inside the leaf.

    Parameters
    ----------
    parent : numpy.ndarray
        Variable that the node leans on, shape (m,).
    slope : numpy.ndarray
        Change of the number for a change of 1 of the parent, shape (m,).
    low, high : numpy.ndarray
        Range of the number in the leaf, shape (m,); outside it the donor is kept as it is.
    rest : numpy.ndarray
        What of each donor's number its parent does not explain, shape (n,).
    """

    parent: Nodes
    slope: Matrix
    low: Matrix
    high: Matrix
    rest: Matrix

    @classmethod
    def of(
        cls,
        matrix: Matrix,
        target: Matrix,
        free: npt.NDArray[np.bool_],
        leaves: Nodes,
        n_nodes: int,
        parents: Sequence[int],
    ) -> LeafSlopes | None:
        """Return the slopes; None when no leaf has any.

        Parameters
        ----------
        matrix, target, free, leaves : numpy.ndarray
            Variables, the number, whether it may lean (no atom, no tie), and the leaf: one a donor.
        n_nodes : int
            Nodes of the tree, m.
        parents : sequence of int
            Numeric variables drawn before.
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
        honest = 1 - (1 - best_r2) * np.maximum(rows - 1, 0) / spare
        kept = np.clip(honest / np.maximum(best_r2, 1e-12), 0, 1)
        slope *= np.where(
            (best_r2 >= _LEAST_R2_OF_SLOPE) & (rows >= _LEAST_ROWS_OF_SLOPE), kept, 0.0
        )
        if not slope.any():
            return None
        low, high = np.full(n_nodes, np.inf), np.full(n_nodes, -np.inf)
        np.minimum.at(low, leaves[free], target[free])
        np.maximum.at(high, leaves[free], target[free])
        rest = target - slope[leaves] * matrix[np.arange(len(target)), best[leaves]]
        return cls(best, slope, low, high, rest)

    def lean(
        self, values: Matrix, moved: Matrix, donors: npt.NDArray[np.int64], leaves: Nodes,
        matrix: Matrix,
    ) -> Matrix:  # fmt: skip
        """Return the numbers of donors, `moved` in their bins, carried along to new parents."""
        at = matrix[np.arange(len(leaves)), self.parent[leaves]]
        carried = self.rest[donors] + self.slope[leaves] * at + (moved - values)
        fits = (self.slope[leaves] != 0) & (carried >= self.low[leaves])
        return np.where(fits & (carried <= self.high[leaves]), carried, moved)
