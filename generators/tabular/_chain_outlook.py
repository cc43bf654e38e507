"""What a link expects in a row: the mean of a number, or the share of each level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._chain_link import Link
from ._chain_table import Matrix

MOST_LEVELS = 256
_PULL = 100.0


@dataclass(frozen=True)
class Outlook:
    """A link's expectation in each node of its tree, drawn towards that of the nodes above.

    A leaf of a few rows says little by itself; shrunk along the path from the root, its mean errs
    less than that of an unpruned tree.

    Parameters
    ----------
    link : Link
        The link.
    mean : numpy.ndarray
        Expected number, shape (m, 1), or share of each level, shape (m, k).
    tilt : numpy.ndarray
        What to add for the slope of a number, apart from slope times parent, shape (m,).

    References
    ----------
    Agarwal et al., "Hierarchical Shrinkage", ICML 2022.
    """

    link: Link
    mean: Matrix
    tilt: Matrix

    @classmethod
    def of(cls, link: Link, n_levels: int) -> Outlook | None:
        """Return the outlook of a link; None for a code with more than 256 levels."""
        if n_levels > MOST_LEVELS:
            return None
        tree, leaves = link.tree, link.tree.leaves
        m, size = len(tree.parent), np.maximum(link.tree.size, 1)
        if link.grain is None:
            places = leaves.astype(np.int64) * n_levels + link.donors
            sums = np.bincount(places, minlength=m * n_levels).reshape(m, n_levels).astype(float)
        else:
            sums = np.bincount(leaves, link.grain.values[link.donors], m)[:, None]
        for node in range(m - 1, 0, -1):  # children come after their parents
            sums[tree.parent[node]] += sums[node]
        plain = sums / size[:, None]
        mean = plain.copy()
        trust = 1.0 / (1.0 + _PULL / size[tree.parent])
        for node in range(1, m):
            above = tree.parent[node]
            mean[node] = mean[above] + trust[node] * (plain[node] - plain[above])
        tilt = np.zeros(m)
        if link.slopes is not None:
            rest = np.bincount(leaves, link.slopes.rest, m) / size
            tilt = np.where(link.slopes.slope != 0, rest - plain[:, 0], 0.0)
        return cls(link, mean, tilt)

    def expected(self, matrix: Matrix) -> npt.NDArray[np.float64]:
        """Return the expectation in each row of `matrix`, shape (n, 1) or (n, k)."""
        link = self.link
        if link.grain is not None and link.law is not None:
            return link.draw(matrix, np.random.default_rng(0), 0.0)[:, None]
        features = link.view.features(matrix)
        if link.residuals is not None:
            return link.residuals.hoped(features)[:, None]
        leaves = link.tree.route(features)
        expected = self.mean[leaves]
        if link.grain is not None and link.slopes is not None:
            slopes = link.slopes
            at = matrix[np.arange(len(leaves)), slopes.parent[leaves]]
            expected[:, 0] += slopes.slope[leaves] * at + self.tilt[leaves]
            expected = np.clip(expected, link.grain.values[0], link.grain.values[-1])
        return expected
