"""A decision tree as plain arrays, whose nodes are ranges of donors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Nodes = npt.NDArray[np.int32]
Features = npt.NDArray[np.float32]
Places = npt.NDArray[np.intp]
Codes = npt.NDArray[np.int64]

# Rows that test the splits which the others propose. One standard error as threshold, or more rows,
# prunes weak real dependence too: docs/decisions/0011.
_HOLDOUT_FRACTION = 0.25
_STRENGTH = 20.0  # pseudo-rows that pull a node's shares to its parent's in the test of its splits
_MIN_GAIN = 1.0  # nats of held-out likelihood that a split must gain: docs/decisions/0011
ROWS_AT_ONCE = 32_768  # rows whose features stay in a processor's cache while they are routed
_CHECK_EVERY = 4  # levels between checks for rows that have arrived
# Share of rows that must have arrived before they are taken out: copying the others costs as much as
# several levels of routing all.
_MIN_ARRIVED = 0.3


@dataclass(frozen=True)
class DonorTree:
    """A binary tree; sorted by leaf, the rows that reach a node are one range of donors.

    Nodes are numbered from the root on, left before right: a node comes before all nodes below it.
    """

    feature: Nodes  # where a node splits: rows with a feature <= the threshold go left, shape (m,)
    threshold: Features
    children: Nodes  # left and right child, (m, 2); a leaf is its own child
    parent: Nodes  # parent of each node, (m,); the root is its own
    start: Codes  # first donor of each node, (m,)
    size: Codes  # number of donors of each node, (m,)

    @classmethod
    def stump(cls, n: int) -> DonorTree:
        """Return the tree of one node that holds `n` donors."""
        root = np.zeros(1, dtype=np.int32)
        infinite = np.full(1, np.inf, dtype=np.float32)
        start, size = np.zeros(1, dtype=np.int64), np.full(1, n, dtype=np.int64)
        return cls(root, infinite, np.zeros((1, 2), dtype=np.int32), root, start, size)

    @classmethod
    def grow(
        cls,
        features: Features,
        labels: Codes,
        place: Codes,
        min_leaf: int,
        seed: int,
        slack: int | None = 0,
    ) -> tuple[DonorTree, Codes]:
        """Return an entropy tree of `labels`, and the rows sorted by leaf and `place`, shape (n,)."""
        from sklearn.tree import DecisionTreeClassifier

        if len(labels) < 2 * min_leaf or not features.shape[1]:
            return cls.stump(len(labels)), np.argsort(place, kind="stable")
        is_test = np.zeros(len(labels), dtype=bool)
        if slack is not None:
            n_test = round(_HOLDOUT_FRACTION * len(labels))
            is_test[np.random.default_rng(seed).permutation(len(labels))[:n_test]] = True
        train = np.flatnonzero(~is_test)
        model = DecisionTreeClassifier(
            criterion="entropy",
            min_samples_leaf=max(1, round(min_leaf * len(train) / len(labels))),
            random_state=seed,
        ).fit(features[train], labels[train], check_input=False)
        tree, leaves = cls.from_sklearn(model.tree_), model.tree_.apply(features)
        if slack is not None:
            splits = find_useful_splits(tree, leaves, labels, is_test, slack)
            tree, leaves = tree.prune(splits, leaves)
        return tree, np.lexsort((place, leaves))

    @classmethod
    def from_sklearn(cls, tree: Any) -> DonorTree:
        """Return the `tree_` of a fitted scikit-learn tree."""
        own = np.arange(tree.node_count, dtype=np.int32)
        is_leaf = tree.children_left < 0
        inner = np.flatnonzero(~is_leaf)
        children = np.column_stack([tree.children_left, tree.children_right]).astype(np.int32)
        children[is_leaf] = own[is_leaf, None]
        parent = own.copy()
        parent[children[inner]] = inner[:, None]
        size = np.asarray(tree.n_node_samples, dtype=np.int64)
        filled = np.where(is_leaf, size, 0)  # leaves with lower numbers lie before a node
        start = np.cumsum(filled) - filled
        threshold = tree.threshold.astype(np.float32)
        # Rounded down, a 32-bit threshold separates 32-bit features just as the 64-bit one does.
        lower = np.nextafter(threshold, np.float32(-np.inf))
        threshold = np.where(threshold > tree.threshold, lower, threshold)
        threshold[is_leaf] = np.inf
        feature = np.where(is_leaf, 0, tree.feature).astype(np.int32)
        return cls(feature, threshold, children, parent, start, size)

    def prune(
        self, splits: Mask, leaves: npt.NDArray[np.integer[Any]]
    ) -> tuple[DonorTree, npt.NDArray[np.int64]]:
        """Return the tree without the splits that are False, shape (m,), and the leaf of each row."""
        m = len(self.parent)
        alive, into = np.ones(m, dtype=bool), np.arange(m)
        for node in range(1, m):
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
        size = sum_upwards(parent, size)
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
        return np.asarray(self._flat.route(features)[0])

    @cached_property
    def _flat(self) -> FlatForest:
        return FlatForest.from_nodes(self.feature, self.threshold, self.children)

    def back_off(
        self, nodes: Nodes, strength: float, rng: np.random.Generator, certain: Mask | None = None
    ) -> Nodes:
        """Return the nodes or, at random, their ancestors: hierarchical shrinkage as a draw.

        With N rows in the parent, a node is kept with weight 1 / (1 + strength / N); a certain one,
        shape (m,), always is.

        Agarwal et al., "Hierarchical Shrinkage", ICML 2022.
        """
        if strength <= 0 or len(self.parent) == 1:
            return nodes
        weight = 1.0 / (1.0 + strength / self.size[self.parent])
        weight[0] = np.inf
        if certain is not None:
            weight[certain] = np.inf
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
    ) -> Codes:
        """Return one donor of each node, shape (n,).

        Draws of one node are spread evenly over its donors, as in systematic sampling: each donor is
        as likely as any other, and the shares of a large sample have less noise than by chance.
        With weights, shape (donors,), not all 0, donors are drawn by them; a node whose donors all
        have weight 0 is replaced by its nearest ancestor that has another.
        """
        order, spread = evenly_spread(nodes, rng)
        if weight is None:
            drawn = np.empty(len(nodes))
            drawn[order] = spread
            return self.start[nodes] + (drawn * self.size[nodes]).astype(np.int64)
        # Node by node and upwards inside nodes: numpy searches ascending numbers much faster.
        nodes = nodes[order]
        before = np.append(0.0, np.cumsum(weight, dtype=np.float64))
        mass = before[self.start + self.size] - before[self.start]
        at = nodes.copy()
        none = np.flatnonzero(mass[at] <= 0)
        while len(none):
            at[none] = self.parent[at[none]]
            none = none[mass[at[none]] <= 0]
        target = before[self.start[at]] + spread * mass[at]
        picked = np.searchsorted(before, target, side="right") - 1
        # Rounding may lead past the last donor with a weight.
        last = np.searchsorted(before, before[self.start + self.size]) - 1
        found = np.empty(len(nodes), dtype=np.int64)
        found[order] = np.minimum(picked, last[at])
        return found


def find_useful_splits(
    tree: DonorTree,
    leaves: npt.NDArray[np.integer[Any]],
    labels: Codes,
    is_test: Mask,
    slack: int,
) -> Mask:
    """Return which nodes keep their split, shape (m,), by reduced-error pruning on the test rows.

    From the leaves upwards, a split stays where the tree below it raises the log likelihood of the
    test labels over that of its node alone by a nat or more. Shares are those of the other rows,
    each node's pulled to its parent's by 20 rows. A split that fails only repeats single rows.
    Splits also stay up to `slack` levels below a useful one: single leaves have too few rows for a
    test of fine numbers.

    Quinlan, "Simplifying decision trees", Int. J. Man-Machine Studies 27, 1987.
    """
    own = np.arange(len(tree.parent))
    inner = tree.children[:, 0] != own
    n_labels = int(labels.max(initial=0)) + 1
    likelihood = np.log(_label_shares(tree, leaves[~is_test], labels[~is_test], n_labels))
    rows = np.flatnonzero(is_test)
    rows = rows[np.argsort(leaves[rows], kind="stable")]
    test_labels, first = labels[rows], np.searchsorted(leaves[rows], own)
    size = sum_upwards(tree.parent, np.bincount(leaves[rows], minlength=len(own)))
    best = np.empty(len(rows))
    splits = inner.copy()
    for node in own[::-1]:
        at = slice(first[node], first[node] + size[node])
        alone = likelihood[node, test_labels[at]]
        if inner[node] and best[at].sum() > alone.sum() + _MIN_GAIN:
            continue
        splits[node] = False
        best[at] = alone
    if slack:
        below = np.full(len(own), slack + 1)
        for node in own:
            below[node] = 0 if splits[node] else below[tree.parent[node]] + 1
        splits = inner & (below <= slack)
    return np.asarray(splits)


def _label_shares(
    tree: DonorTree, leaves: npt.NDArray[np.integer[Any]], labels: Codes, k: int
) -> npt.NDArray[np.float64]:
    """Return the share of each label in each node, pulled to its parent's, shape (m, k)."""
    m = len(tree.parent)
    places = leaves.astype(np.int64) * k + labels
    counts = np.bincount(places, minlength=m * k).reshape(m, k).astype(np.float64)
    counts = sum_upwards(tree.parent, counts)
    size = counts.sum(1)
    shares = np.empty((m, k))
    shares[0] = (counts[0] + 0.5 / k) / (size[0] + 0.5)
    # With N rows in the parent, a node's own shares have the weight 1 / (1 + strength / N).
    pull = _STRENGTH * size / np.maximum(size[tree.parent], 1)
    for node in range(1, m):
        above = shares[tree.parent[node]]
        shares[node] = (counts[node] + pull[node] * above) / (size[node] + pull[node])
    return shares


def sum_upwards(parent: Nodes, counts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Add the counts of the leaves to every node above them, in place."""
    for node in range(len(counts) - 1, 0, -1):
        counts[parent[node]] += counts[node]
    return counts


@dataclass(frozen=True)
class FlatForest:
    """The nodes of one or more trees, renumbered so that a right child comes next after the left one."""

    feature: Places  # shape (m,)
    threshold: Features  # infinite in leaves, (m,)
    left: Places  # left child; a leaf is its own, (m,)
    is_leaf: Mask  # (m,)
    node: Nodes  # number of the node in the trees themselves, (m,)
    depth: int  # steps to the farthest leaf

    @classmethod
    def from_nodes(
        cls, feature: Nodes, threshold: Features, children: Nodes, roots: Sequence[int] = (0,)
    ) -> FlatForest:
        """Return the flat trees of the arrays of a `DonorTree`, or of several one after the other."""
        own = np.arange(len(feature))
        is_leaf = children[:, 0] == own
        level, levels = np.asarray(roots, dtype=np.intp), []
        while len(level):
            levels.append(level)
            level = children[level[~is_leaf[level]]].ravel().astype(np.intp)
        order = np.concatenate(levels)
        number = np.empty(len(own), dtype=np.intp)
        number[order] = own
        limit = np.where(is_leaf[order], np.float32(np.inf), threshold[order])
        left, depth = number[children[order, 0]], len(levels) - 1
        nodes = order.astype(np.int32)
        return cls(feature[order].astype(np.intp), limit, left, is_leaf[order], nodes, depth)

    def route(self, features: Features, trees: range = range(1)) -> Nodes:
        """Return the leaf that each row reaches in some of the trees, shape (t, n)."""
        n, reached = len(features), np.empty((len(trees), len(features)), dtype=np.int32)
        size = max(1, ROWS_AT_ONCE // len(trees))
        for first in range(0, n, size):
            block = features[first : first + size]
            reached[:, first : first + size] = self._route(block, trees)
        return reached

    def _route(self, features: Features, trees: range) -> Nodes:
        # All places are in range: "wrap" is merely numpy's fastest way to take.
        n, flat, start = len(features), features.T.ravel(), self.feature * len(features)
        places = np.arange(n * len(trees))
        rows = np.tile(np.arange(n), len(trees))
        # The roots have the first numbers, in their order.
        at = np.repeat(np.arange(trees.start, trees.stop), n)
        reached = at.copy()
        for level in range(1, self.depth + 1):
            value = flat.take(start.take(at, mode="wrap") + rows, mode="wrap")
            is_right = value > self.threshold.take(at, mode="wrap")
            at = self.left.take(at, mode="wrap") + is_right
            if level > _CHECK_EVERY and level % _CHECK_EVERY == 0:
                has_arrived = self.is_leaf.take(at, mode="wrap")
                if np.count_nonzero(has_arrived) >= _MIN_ARRIVED * len(rows):
                    reached[places[has_arrived]] = at[has_arrived]
                    places, rows, at = (part[~has_arrived] for part in (places, rows, at))
        reached[places] = at
        return self.node[reached].reshape(len(trees), n)


def evenly_spread(
    groups: npt.NDArray[np.integer[Any]], rng: np.random.Generator
) -> tuple[Codes, npt.NDArray[np.float64]]:
    """Return uniform numbers, one in each of m equal parts of [0, 1) for a group of m rows."""
    n = len(groups)
    shuffled = rng.permutation(n)
    order = shuffled[np.argsort(groups[shuffled], kind="stable")]
    ordered = groups[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[:n])
    size = np.diff(np.append(first, n))
    place = np.arange(n) - np.repeat(first, size)
    drawn = (place + rng.random(n)) / np.repeat(size, size)
    return order, np.minimum(drawn, np.nextafter(1.0, 0.0))
