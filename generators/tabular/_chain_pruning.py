"""Which splits of a tree say something about rows that it has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ._chain_tree import DonorTree

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
    >>> from twinset.generators.tabular._chain_tree import DonorTree
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
