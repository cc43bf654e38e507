"""The way of rows down a tree, a block of rows at a time and level by level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Nodes = npt.NDArray[np.int32]
Features = npt.NDArray[np.float32]
Places = npt.NDArray[np.intp]

ROWS_AT_ONCE = 32_768
"""So many rows' features stay in a processor's cache."""
_ASK_EVERY = 4
_WORTH_IT = 0.3


@dataclass(frozen=True)
class Ways:
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
    def of(cls, feature: Nodes, threshold: Features, children: Nodes) -> Ways:
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

    def leaves(self, features: Features, desk: Desk) -> Nodes:
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


class Desk:
    """Room for the work on so many rows, asked for once."""

    def __init__(self, n: int) -> None:
        self.place = np.empty(n, dtype=np.intp)
        self.value, self.limit = np.empty((2, n), dtype=np.float32)
        self.is_right, self.right = np.empty(n, dtype=bool), np.empty(n, dtype=np.intp)


def route(features: Features, ways: Ways) -> Nodes:
    """Return the leaf that each row reaches, shape (n,), for any number of rows.

    Examples
    --------
    >>> children = np.array([[1, 2], [1, 1], [2, 2]], dtype=np.int32)
    >>> bars = np.array([0.5, np.inf, np.inf], dtype=np.float32)
    >>> tree = Ways.of(np.zeros(3, dtype=np.int32), bars, children)
    >>> route(np.array([[0.2], [0.5], [0.9]], dtype=np.float32), tree).tolist()
    [1, 1, 2]
    """
    n = len(features)
    if len(ways.node) == 1:
        return np.zeros(n, dtype=np.int32)
    reached = np.empty(n, dtype=np.int32)
    desk = Desk(min(n, ROWS_AT_ONCE))
    for first in range(0, n, ROWS_AT_ONCE):
        block = slice(first, first + ROWS_AT_ONCE)
        reached[block] = ways.leaves(np.asfortranarray(features[block]), desk)
    return reached
