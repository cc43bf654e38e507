"""A decision tree as plain arrays, whose nodes are ranges of donors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]

_HELD_FRACTION = 0.25
_STRENGTH = 20.0
_LEAST_GAIN = 1.0


def held_out(n: int, seed: int) -> Mask:
    """Return which quarter of n rows judges the splits that the others propose, shape (n,)."""
    held = np.zeros(n, dtype=bool)
    held[np.random.default_rng(seed).permutation(n)[: round(_HELD_FRACTION * n)]] = True
    return held


def worth_keeping(
    tree: DonorTree,
    leaves: npt.NDArray[np.integer[Any]],
    labels: npt.NDArray[np.int64],
    held: Mask,
    slack: int,
) -> Mask:
    """Return which nodes keep their split, shape (m,).

    From the leaves upwards, a split stays where the tree below it makes the held-out labels
    likelier than its node alone does, by a nat or more. Shares are those of the other rows, each
    node's drawn towards its parent's by 20 rows. What a split finds that is not there repeats
    single rows: it is of no use to anybody and tells of those rows.

    Parameters
    ----------
    tree : DonorTree
        The tree, grown on the rows that are not held out.
    leaves : numpy.ndarray
        Leaf of each row, shape (n,).
    labels : numpy.ndarray
        What the tree tells apart, from 0, shape (n,).
    held : numpy.ndarray
        Rows that judge, shape (n,).
    slack : int
        Splits also stay up to so many levels below one that is worth it: single leaves hold too few
        rows to judge fine numbers by.

    References
    ----------
    Quinlan, "Simplifying decision trees", Int. J. Man-Machine Studies 27, 1987 (reduced-error
    pruning).

    Examples
    --------
    >>> from twinset.generators.tabular._trees.tree import DonorTree
    >>> x = np.arange(400, dtype=np.float32)[:, None]
    >>> noise = np.random.default_rng(0).integers(0, 2, 400)
    >>> sizes = []
    >>> for labels in (noise, (x[:, 0] > 200).astype(np.int64)):
    ...     tree, _ = DonorTree.grow(x, labels, np.arange(400), 20, seed=0)
    ...     sizes.append(len(tree.parent))
    >>> sizes
    [1, 3]
    """
    own = np.arange(len(tree.parent))
    inner = tree.children[:, 0] != own
    n_labels = int(labels.max(initial=0)) + 1
    likelihood = np.log(_shares(tree, leaves[~held], labels[~held], n_labels))
    rows = np.flatnonzero(held)
    rows = rows[np.argsort(leaves[rows], kind="stable")]
    judged, first = labels[rows], np.searchsorted(leaves[rows], own)
    size = _counted_upwards(tree, np.bincount(leaves[rows], minlength=len(own)))
    best = np.empty(len(rows))
    splits = inner.copy()
    for node in own[::-1]:  # nodes are numbered from the root on, left before right
        at = slice(first[node], first[node] + size[node])
        alone = likelihood[node, judged[at]]
        if inner[node] and best[at].sum() > alone.sum() + _LEAST_GAIN:
            continue
        splits[node] = False
        best[at] = alone
    if slack:
        below = np.full(len(own), slack + 1)
        for node in own:
            below[node] = 0 if splits[node] else below[tree.parent[node]] + 1
        splits = inner & (below <= slack)
    return np.asarray(splits)


def _shares(
    tree: DonorTree,
    leaves: npt.NDArray[np.integer[Any]],
    labels: npt.NDArray[np.int64],
    k: int,
) -> npt.NDArray[np.float64]:
    """Return the share of each label in each node, drawn towards its parent's, shape (m, k)."""
    m = len(tree.parent)
    places = leaves.astype(np.int64) * k + labels
    counts = np.bincount(places, minlength=m * k).reshape(m, k).astype(np.float64)
    counts = _counted_upwards(tree, counts)
    size = counts.sum(1)
    shares = np.empty((m, k))
    shares[0] = (counts[0] + 0.5 / k) / (size[0] + 0.5)
    # With N rows in the parent, a node speaks for itself with weight 1 / (1 + strength / N).
    pull = _STRENGTH * size / np.maximum(size[tree.parent], 1)
    for node in range(1, m):
        above = shares[tree.parent[node]]
        shares[node] = (counts[node] + pull[node] * above) / (size[node] + pull[node])
    return shares


def _counted_upwards(tree: DonorTree, counts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return what the leaves count, counted in every node above them too."""
    for node in range(len(counts) - 1, 0, -1):
        counts[tree.parent[node]] += counts[node]
    return counts


Nodes = npt.NDArray[np.int32]
Features = npt.NDArray[np.float32]
Places = npt.NDArray[np.intp]

ROWS_AT_ONCE = 32_768
"""So many rows' features stay in a processor's cache."""
_ASK_EVERY = 4
_WORTH_IT = 0.3


@dataclass(frozen=True)
class FlatTree:
    """The nodes of a tree, numbered anew so that a right child comes next after the left one.

    Parameters
    ----------
    feature : numpy.ndarray of intp
        The feature that a node looks at, shape (m,).
    threshold : numpy.ndarray of float32
        Rows with a feature of at most the threshold go left; infinite in leaves, shape (m,).
    left : numpy.ndarray of intp
        Left child; a leaf is its own. Shape (m,).
    is_leaf : numpy.ndarray of bool
        Shape (m,).
    node : numpy.ndarray of int32
        What the tree itself calls the node, shape (m,).
    depth : int
        Steps to the farthest leaf.
    """

    feature: Places
    threshold: Features
    left: Places
    is_leaf: npt.NDArray[np.bool_]
    node: Nodes
    depth: int

    @classmethod
    def of(cls, feature: Nodes, threshold: Features, children: Nodes) -> FlatTree:
        """Return the ways of a tree; see `DonorTree`."""
        own = np.arange(len(feature))
        is_leaf = children[:, 0] == own
        level, levels = np.zeros(1, dtype=np.intp), []
        while len(level):
            levels.append(level)
            level = children[level[~is_leaf[level]]].ravel().astype(np.intp)
        order = np.concatenate(levels)
        number = np.empty(len(own), dtype=np.intp)
        number[order] = own
        left = number[children[order, 0]]
        bar = np.where(is_leaf[order], np.float32(np.inf), threshold[order])
        return cls(
            feature[order].astype(np.intp),
            bar,
            left,
            is_leaf[order],
            order.astype(np.int32),
            len(levels) - 1,
        )

    def leaves(self, features: Features, desk: RoutingBuffer) -> Nodes:
        """Return the leaf that each row reaches, by the tree's own numbers, shape (n,).

        Features of shape (n, f), feature by feature in memory: no copy then. n is at most the desk's.
        """
        n = len(features)
        reached = np.zeros(n, dtype=np.intp)
        flat, start = features.T.ravel(), self.feature * n
        rows, at = np.arange(n), np.zeros(n, dtype=np.intp)
        for level in range(1, self.depth + 1):
            k = len(rows)
            place, value, limit = desk.place[:k], desk.value[:k], desk.limit[:k]
            # All places are in range: "wrap" is merely numpy's fastest way to take.
            start.take(at, out=place, mode="wrap")
            place += rows
            flat.take(place, out=value, mode="wrap")
            self.threshold.take(at, out=limit, mode="wrap")
            is_right, right = desk.is_right[:k], desk.right[:k]
            np.greater(value, limit, out=is_right)
            np.copyto(right, is_right)
            self.left.take(at, out=place, mode="wrap")
            np.add(place, right, out=at)
            if level > _ASK_EVERY and level % _ASK_EVERY == 0:
                is_there = self.is_leaf.take(at, mode="wrap")
                # Leaving rows behind costs as much as several levels of theirs do.
                if np.count_nonzero(is_there) >= _WORTH_IT * k:
                    there, on = np.flatnonzero(is_there), np.flatnonzero(~is_there)
                    reached[rows[there]] = at[there]
                    rows, at = rows[on], at[on]
        reached[rows] = at
        return self.node[reached]


class RoutingBuffer:
    """Room for the work on so many rows, asked for once."""

    def __init__(self, n: int) -> None:
        self.place = np.empty(n, dtype=np.intp)
        self.value, self.limit = np.empty((2, n), dtype=np.float32)
        self.is_right, self.right = np.empty(n, dtype=bool), np.empty(n, dtype=np.intp)


def route(features: Features, ways: FlatTree) -> Nodes:
    """Return the leaf that each row reaches, shape (n,), for any number of rows.

    Examples
    --------
    >>> children = np.array([[1, 2], [1, 1], [2, 2]], dtype=np.int32)
    >>> bars = np.array([0.5, np.inf, np.inf], dtype=np.float32)
    >>> tree = FlatTree.of(np.zeros(3, dtype=np.int32), bars, children)
    >>> route(np.array([[0.2], [0.5], [0.9]], dtype=np.float32), tree).tolist()
    [1, 1, 2]
    """
    n = len(features)
    if len(ways.node) == 1:
        return np.zeros(n, dtype=np.int32)
    reached = np.empty(n, dtype=np.int32)
    desk = RoutingBuffer(min(n, ROWS_AT_ONCE))
    for first in range(0, n, ROWS_AT_ONCE):
        block = slice(first, first + ROWS_AT_ONCE)
        reached[block] = ways.leaves(np.asfortranarray(features[block]), desk)
    return reached


@dataclass(frozen=True)
class DonorTree:
    """A binary tree; sorted by leaf, the rows that reach a node are one range of donors.

    Parameters
    ----------
    feature, threshold : numpy.ndarray
        Where a node splits: rows with a feature of at most the threshold go left. Shape (m,).
    children : numpy.ndarray
        Left and right child, shape (m, 2); a leaf is its own child.
    parent : numpy.ndarray
        Parent of each node; the root is its own. Shape (m,).
    start, size : numpy.ndarray
        First donor of each node and their number, shape (m,).
    """

    feature: Nodes
    threshold: Features
    children: Nodes
    parent: Nodes
    start: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]

    @classmethod
    def stump(cls, n: int) -> DonorTree:
        """Return the tree of one node that holds `n` donors."""
        one = np.zeros(1, dtype=np.int32)
        return cls(
            one,
            np.full(1, np.inf, dtype=np.float32),
            np.zeros((1, 2), dtype=np.int32),
            one,
            np.zeros(1, dtype=np.int64),
            np.full(1, n, dtype=np.int64),
        )

    @classmethod
    def grow(
        cls,
        features: Features,
        labels: npt.NDArray[np.int64],
        place: npt.NDArray[np.int64],
        min_leaf: int,
        seed: int,
        slack: int | None = 0,
    ) -> tuple[DonorTree, npt.NDArray[np.int64]]:
        """Return an entropy tree of `labels`, and the rows sorted by leaf and `place`, shape (n,).

        It is grown on three quarters of the rows; splits that say nothing about the others are
        taken back, but for `slack` levels below one that does. Then all rows go into its leaves.
        With a slack of None all rows grow it, and none is taken back.
        """
        from sklearn.tree import DecisionTreeClassifier

        if len(labels) < 2 * min_leaf or not features.shape[1]:
            return cls.stump(len(labels)), np.argsort(place, kind="stable")
        held = np.zeros(len(labels), dtype=bool) if slack is None else held_out(len(labels), seed)
        seen = np.flatnonzero(~held)
        grown = DecisionTreeClassifier(
            criterion="entropy",
            min_samples_leaf=max(1, round(min_leaf * len(seen) / len(labels))),
            random_state=seed,
        ).fit(features[seen], labels[seen], check_input=False)
        whole, leaves = cls.of_sklearn(grown.tree_), grown.tree_.apply(features)
        if slack is None:
            return whole, np.lexsort((place, leaves))
        tree, leaves = whole.cut(worth_keeping(whole, leaves, labels, held, slack), leaves)
        return tree, np.lexsort((place, leaves))

    @classmethod
    def of_sklearn(cls, tree: Any) -> DonorTree:
        """Return the `tree_` of a fitted scikit-learn tree."""
        own = np.arange(tree.node_count, dtype=np.int32)
        inner = np.flatnonzero(tree.children_left >= 0)
        is_leaf = tree.children_left < 0
        children = np.column_stack([tree.children_left, tree.children_right]).astype(np.int32)
        children[is_leaf] = own[is_leaf, None]
        parent = own.copy()
        parent[children[inner]] = inner[:, None]
        size = np.asarray(tree.n_node_samples, dtype=np.int64)
        # A node comes before all below it, left ones first: leaves with lower numbers lie before it.
        filled = np.where(is_leaf, size, 0)
        start = np.cumsum(filled) - filled
        threshold = tree.threshold.astype(np.float32)
        # Rounded down, a 32-bit threshold parts 32-bit features just as the 64-bit one does.
        threshold = np.where(
            threshold > tree.threshold, np.nextafter(threshold, np.float32(-np.inf)), threshold
        )
        feature = np.where(is_leaf, 0, tree.feature).astype(np.int32)
        threshold[is_leaf] = np.inf
        return cls(feature, threshold, children, parent, start, size)

    def cut(
        self, splits: npt.NDArray[np.bool_], leaves: npt.NDArray[np.integer[Any]]
    ) -> tuple[DonorTree, npt.NDArray[np.int64]]:
        """Return the tree without the splits that are False, shape (m,), and the leaf of each row.

        Donors are counted anew from `leaves`, the leaf of each row before, shape (n,).
        """
        m = len(self.parent)
        alive, into = np.ones(m, dtype=bool), np.arange(m)
        for node in range(1, m):  # parents come before their children
            above = self.parent[node]
            alive[node] = alive[above] and splits[above]
            if not alive[node]:
                into[node] = into[above]
        kept = np.flatnonzero(alive)
        number = np.cumsum(alive) - 1
        is_leaf = ~splits[kept]
        children = number[self.children[kept]].astype(np.int32)
        children[is_leaf] = np.flatnonzero(is_leaf)[:, None]
        parent = number[self.parent[kept]].astype(np.int32)
        reached = number[into[leaves]]
        size = np.bincount(reached, minlength=len(kept)).astype(np.int64)
        for node in range(len(kept) - 1, 0, -1):
            size[parent[node]] += size[node]
        start = np.zeros(len(kept), dtype=np.int64)
        for node in np.flatnonzero(~is_leaf).tolist():
            left, right = children[node]
            start[left], start[right] = start[node], start[node] + size[left]
        threshold = np.where(is_leaf, np.float32(np.inf), self.threshold[kept])
        feature = np.where(is_leaf, 0, self.feature[kept]).astype(np.int32)
        return DonorTree(feature, threshold, children, parent, start, size), reached

    @property
    def leaves(self) -> Nodes:
        """Return the leaf of each donor, shape (n,)."""
        is_leaf = np.flatnonzero(self.children[:, 0] == np.arange(len(self.parent)))
        return np.repeat(is_leaf, self.size[is_leaf]).astype(np.int32)

    def route(self, features: Features) -> Nodes:
        """Return the leaf that each row reaches, shape (n,)."""
        return route(features, self._ways)

    @cached_property
    def _ways(self) -> FlatTree:
        return FlatTree.of(self.feature, self.threshold, self.children)

    def back_off(
        self,
        nodes: Nodes,
        strength: float,
        rng: np.random.Generator,
        settled: npt.NDArray[np.bool_] | None = None,
    ) -> Nodes:
        """Return the nodes or, at random, ancestors of theirs: hierarchical shrinkage as a draw.

        With N rows in the parent, a node speaks for itself with weight 1 / (1 + strength / N); a
        settled one, shape (m,), always does.

        References
        ----------
        Agarwal et al., "Hierarchical Shrinkage", ICML 2022.
        """
        if strength <= 0 or len(self.parent) == 1:
            return nodes
        weight = 1.0 / (1.0 + strength / self.size[self.parent])
        weight[0] = np.inf
        if settled is not None:
            weight[settled] = np.inf
        drawn = rng.random(len(nodes))
        at = nodes.copy()
        low = np.flatnonzero(weight[at] < drawn)
        while len(low):
            at[low] = self.parent[at[low]]
            low = low[weight[at[low]] < drawn[low]]
        return at

    def pick(
        self,
        nodes: Nodes,
        rng: np.random.Generator,
        weight: npt.NDArray[np.floating[Any]] | None = None,
    ) -> npt.NDArray[np.int64]:
        """Return one donor of each node, shape (n,).

        Draws of one node are spread evenly over its donors, as in systematic sampling: each donor is
        as likely as any other, and the shares of a large sample have less noise than by chance.

        With weights, shape (donors,), not all 0, donors are drawn by them; a node whose donors all
        have weight 0 hands over to its nearest ancestor that has another.
        """
        order, spread = evenly_spread(nodes, rng)
        if weight is None:
            drawn = np.empty(len(nodes))
            drawn[order] = spread
            return self.start[nodes] + (drawn * self.size[nodes]).astype(np.int64)
        # Node by node and upwards inside nodes: numpy searches what ascends much faster.
        nodes = nodes[order]
        before = np.append(0.0, np.cumsum(weight, dtype=np.float64))
        mass = before[self.start + self.size] - before[self.start]
        at = nodes.copy()
        none = np.flatnonzero(mass[at] <= 0)
        while len(none):
            at[none] = self.parent[at[none]]
            none = none[mass[at[none]] <= 0]
        wanted = before[self.start[at]] + spread * mass[at]
        picked = np.searchsorted(before, wanted, side="right") - 1
        # Rounding may lead past the last donor that weighs something.
        last = np.searchsorted(before, before[self.start + self.size]) - 1
        found = np.empty(len(nodes), dtype=np.int64)
        found[order] = np.minimum(picked, last[at])
        return found


def evenly_spread(
    groups: npt.NDArray[np.integer[Any]], rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return uniform numbers, one in each of m equal parts of [0, 1) for a group of m rows.

    Returns
    -------
    order : numpy.ndarray of int64, shape (n,)
        The rows group by group, shuffled inside groups.
    drawn : numpy.ndarray, shape (n,)
        Their numbers, ascending inside groups.

    Examples
    --------
    >>> order, drawn = evenly_spread(np.array([0, 5, 0, 5, 5]), np.random.default_rng(0))
    >>> np.sort(order[:2]).tolist(), np.sort(order[2:]).tolist()
    ([0, 2], [1, 3, 4])
    >>> (2 * drawn[:2]).astype(int).tolist(), (3 * drawn[2:]).astype(int).tolist()
    ([0, 1], [0, 1, 2])
    """
    n = len(groups)
    shuffled = rng.permutation(n)
    order = shuffled[np.argsort(groups[shuffled], kind="stable")]
    ordered = groups[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[:n])
    size = np.diff(np.append(first, n))
    place = np.arange(n) - np.repeat(first, size)
    drawn = (place + rng.random(n)) / np.repeat(size, size)
    return order, np.minimum(drawn, np.nextafter(1.0, 0.0))
