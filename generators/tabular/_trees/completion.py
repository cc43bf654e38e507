"""Fill missing cells: each column given all others, over and over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .chain import Chain, DependenceMatrix
from .link import Link
from .table import Mask, Matrix
from .tree import sum_upwards

# Levels of a code whose expected shares are added up; beyond, the most frequent draw is taken: the
# shares of every node would need more memory than the table.
_MAX_LEVELS = 256
_STRENGTH = 100.0  # pseudo-rows of the shrinkage of a node's mean to its parent's
# Rows in a leaf, at least: an imputed mean needs larger leaves than a draw does.
_MIN_LEAF = 20
_SWEEPS = 4  # over all columns until they agree; further ones change no error measurably
_DRAWS = 24  # sweeps that a mean or a most likely level is taken over


@dataclass(frozen=True)
class NodeExpectation:
    """A link's expectation in each node of its tree, pulled to that of the nodes above.

    A leaf of a few rows says little by itself; shrunk along the path from the root, its mean errs
    less than that of an unpruned tree.

    Agarwal et al., "Hierarchical Shrinkage", ICML 2022.
    """

    link: Link
    mean: Matrix  # expected number, shape (m, 1), or share of each level, (m, k)
    intercept: Matrix  # of the slope of a number in each node, less its mean, (m,)

    @classmethod
    def from_link(cls, link: Link, n_levels: int) -> NodeExpectation | None:
        """Return the expectations of a link; None for a code with more than 256 levels."""
        if n_levels > _MAX_LEVELS:
            return None
        tree, leaves = link.tree, link.tree.leaves
        m, size = len(tree.parent), np.maximum(link.tree.size, 1)
        if link.bins is None:
            places = leaves.astype(np.int64) * n_levels + link.donors
            sums = np.bincount(places, minlength=m * n_levels).reshape(m, n_levels).astype(float)
        else:
            sums = np.bincount(leaves, link.bins.values[link.donors], m)[:, None]
        plain = sum_upwards(tree.parent, sums) / size[:, None]
        mean = plain.copy()
        trust = 1.0 / (1.0 + _STRENGTH / size[tree.parent])
        for node in range(1, m):
            above = tree.parent[node]
            mean[node] = mean[above] + trust[node] * (plain[node] - plain[above])
        intercept = np.zeros(m)
        if link.slopes is not None:
            rest = np.bincount(leaves, link.slopes.rest, m) / size
            intercept = np.where(link.slopes.slope != 0, rest - plain[:, 0], 0.0)
        return cls(link, mean, intercept)

    def predict(self, matrix: Matrix) -> Matrix:
        """Return the expectation in each row of `matrix`, shape (n, 1) or (n, k)."""
        link = self.link
        if link.bins is not None and link.exact_tie is not None:
            return link.draw(matrix, np.random.default_rng(0), 0.0)[:, None]
        features = link.view.features(matrix)
        if link.residuals is not None:
            return link.residuals.mean_numbers(features)[:, None]
        leaves = link.tree.route(features)
        expected = self.mean[leaves]
        if link.bins is not None and link.slopes is not None:
            slopes = link.slopes
            at = matrix[np.arange(len(leaves)), slopes.parent[leaves]]
            expected[:, 0] += slopes.slope[leaves] * at + self.intercept[leaves]
            expected = np.clip(expected, link.bins.values[0], link.bins.values[-1])
        return expected


@dataclass(frozen=True)
class Completion:
    """The links of some columns, each given all other variables.

    van Buuren, "Flexible Imputation of Missing Data", 2nd ed. 2018 (chained equations); Doove, van
    Buuren and Dusseldorp, Comput. Statist. Data Anal. 72, 2014 (trees as their conditionals).
    """

    chain: Chain
    links: dict[str, tuple[Link, ...]]

    @classmethod
    def fit(cls, chain: Chain, columns: Sequence[str]) -> Completion:
        """Return the links that fill `columns`, fitted on the rows of the chain."""
        variables = chain.table.variables
        min_leaf = max(chain.settings.min_leaf, min(_MIN_LEAF, len(chain.matrix) // 50))
        settings = replace(chain.settings, min_leaf=min_leaf)
        dependence = DependenceMatrix(chain.matrix, variables)
        links: dict[str, tuple[Link, ...]] = {}
        for name in columns:
            own = chain.table.positions_of(name)
            found = []
            for position in (p for p in own if variables[p].part != "missing"):
                others = [p for p in range(len(variables)) if p not in own or p < position]
                others = [p for p in others if p != variables[position].indicator]
                (parents,) = dependence.closest([position], [others])
                found.append(chain.fit_link(position, parents, "complete", settings))
            if kept := tuple(link for link in found if link is not None):
                links[name] = kept
        return cls(chain, links)

    def fill(
        self, matrix: Matrix, missing: dict[str, Mask], rng: np.random.Generator, most_likely: bool
    ) -> Matrix:
        """Return the matrix with the cells of `missing` filled; it is changed in place."""
        names = sorted(self.links, key=lambda name: (int(missing[name].sum()), name))
        expectations = self._expectations() if most_likely else {}
        sums: dict[int, Matrix] = {}
        draws: dict[int, list[Matrix]] = {}
        for sweep in range(_SWEEPS + (_DRAWS if most_likely else 0)):
            for name in names:
                rows = np.flatnonzero(missing[name])
                for link in self.links[name]:
                    known = matrix[rows]
                    expectation = expectations.get(link.position)
                    if sweep >= _SWEEPS and expectation is not None:
                        expected = expectation.predict(known)
                        sums[link.position] = sums.get(link.position, 0.0) + expected
                    drawn = link.draw(known, rng, self.chain.settings.back_off)
                    matrix[rows, link.position] = drawn
                    if sweep >= _SWEEPS and expectation is None:
                        draws.setdefault(link.position, []).append(drawn)
        for name in names if most_likely else ():
            rows = np.flatnonzero(missing[name])
            for link in self.links[name]:
                if link.position in draws:
                    matrix[rows, link.position] = _most_frequent(np.array(draws[link.position]))
                elif link.bins is None:
                    matrix[rows, link.position] = sums[link.position].argmax(1)
                else:
                    mean = sums[link.position][:, 0] / _DRAWS
                    matrix[rows, link.position] = link.bins.round(mean)
        return matrix

    def _expectations(self) -> dict[int, NodeExpectation | None]:
        variables = self.chain.table.variables
        return {
            link.position: NodeExpectation.from_link(link, variables[link.position].n_levels)
            for links in self.links.values()
            for link in links
        }


def _most_frequent(draws: Matrix) -> Matrix:
    """Return the most frequent value of each column: the longest run of its sorted draws."""
    ordered = np.sort(draws, axis=0)
    runs = np.stack([(draws == value).sum(0) for value in ordered])
    return np.asarray(ordered[runs.argmax(0), np.arange(draws.shape[1])])
