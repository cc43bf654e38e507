"""Numbers as what is expected of them, plus what a donor of the same leaf had beyond that."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ._chain_expectation import Expectation, Floats
from ._chain_grain import Grain
from ._chain_routing import Features
from ._chain_tree import DonorTree

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
class Leaning:
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
    grain: Grain,
    codes: Codes,
    free: Mask,
    in_steps: bool,
    rng: np.random.Generator,
) -> Leaning | None:
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
    return Leaning(rows, expectation, unseen, scores - unseen, calm, in_steps)


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
