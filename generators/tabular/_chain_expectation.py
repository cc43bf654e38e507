"""What the parents let one expect of a number: a small forest, honest about rows it has seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._chain_routing import ROWS_AT_ONCE, Desk, Features, Nodes, Ways, route
from ._chain_tree import DonorTree

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
    ) -> Learnt | None:
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
        desk = Desk(min(len(features), ROWS_AT_ONCE))
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
    def _trees(self) -> tuple[tuple[Ways, npt.NDArray[np.float32]], ...]:
        """The ways down each tree, and what its nodes add."""
        trees = []
        for first, end in pairwise([*self.roots.tolist(), len(self.mean)]):
            nodes = slice(first, end)
            children = self.children[nodes] - np.int32(first)
            ways = Ways.of(self.feature[nodes], self.threshold[nodes], children)
            trees.append((ways, self.mean[nodes]))
        return tuple(trees)


class Learnt(NamedTuple):
    """A forest; what its trees expect of rows they have not seen, shape (n,); and `calm`.

    A rest beyond the mean of all trees is smaller by that factor than one beyond the third of the
    trees that has not seen a row: 0.2 to 1.
    """

    expectation: Expectation
    unseen: Floats
    calm: float


def _grown(
    features: Features, number: Floats, least_r2: float, rounds: int, rng: np.random.Generator
) -> Learnt | None:
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
    return Learnt(forest, unseen, calm)


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
