"""Fill missing cells: each column given all others, over and over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.seeding import draw_seed, rng_for

from .chain import MOST_PARENTS, MOST_TREE_ROWS, Chain
from .link import Link, fit_link
from .parents import DependenceMatrix
from .table import Matrix, is_there

MOST_LEVELS = 256
_PULL = 100.0


@dataclass(frozen=True)
class NodeExpectation:
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
    def of(cls, link: Link, n_levels: int) -> NodeExpectation | None:
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


Mask = npt.NDArray[np.bool_]

_MIN_LEAF = 20
_SWEEPS = 4
_DRAWS = 24


@dataclass(frozen=True)
class Completion:
    """The links of some columns, each given all other variables.

    References
    ----------
    van Buuren, "Flexible Imputation of Missing Data", 2nd ed. 2018 (chained equations); Doove, van
    Buuren and Dusseldorp, Comput. Statist. Data Anal. 72, 2014 (trees as their conditionals).
    """

    chain: Chain
    links: dict[str, tuple[Link, ...]]

    @classmethod
    def of(cls, chain: Chain, columns: Sequence[str]) -> Completion:
        """Return the links that fill `columns`, learnt from the rows of the chain."""
        variables = chain.table.variables
        # A guess is a mean: it wants larger leaves than a draw does.
        least = max(chain.settings.min_leaf, min(_MIN_LEAF, len(chain.matrix) // 50))
        settings = replace(chain.settings, min_leaf=least)
        kinship = DependenceMatrix(chain.matrix, variables)
        links: dict[str, tuple[Link, ...]] = {}
        for name in columns:
            made = []
            own = chain.table.of_column(name)
            for position in (p for p in own if variables[p].part != "missing"):
                others = [p for p in range(len(variables)) if p not in own or p < position]
                others = [p for p in others if p != variables[position].indicator]
                parents = kinship.closest(position, others, MOST_PARENTS)
                rows = np.flatnonzero(is_there(chain.matrix, variables[position]))
                rng = rng_for(chain.seed, "complete", position)
                rows = chain.without_rare(position, rows)
                if len(rows) > MOST_TREE_ROWS:
                    rows = np.sort(rng.choice(rows, MOST_TREE_ROWS, replace=False))
                if len(rows):
                    made.append(
                        fit_link(
                            chain.matrix, variables, position, parents, rows, settings,
                            draw_seed(rng),
                        )
                    )  # fmt: skip
            if made:
                links[name] = tuple(made)
        return cls(chain, links)

    def fill(
        self, matrix: Matrix, missing: dict[str, Mask], rng: np.random.Generator, likeliest: bool
    ) -> Matrix:
        """Return the matrix with the cells of `missing` filled; it is changed in place.

        The first sweeps let the columns settle on one another. With `likeliest` what is expected (of
        a number) or the level expected most, over 24 further sweeps, is taken, otherwise one draw.
        """
        names = sorted(self.links, key=lambda name: (int(missing[name].sum()), name))
        outlooks = self._outlooks() if likeliest else {}
        hopes: dict[int, Matrix] = {}
        draws: dict[int, list[Matrix]] = {}
        for sweep in range(_SWEEPS + (_DRAWS if likeliest else 0)):
            for name in names:
                rows = np.flatnonzero(missing[name])
                for link in self.links[name]:
                    known = matrix[rows]
                    outlook = outlooks.get(link.position)
                    if sweep >= _SWEEPS and outlook is not None:
                        expected = outlook.expected(known)
                        hopes[link.position] = hopes.get(link.position, 0.0) + expected
                    drawn = link.draw(known, rng, self.chain.settings.back_off)
                    matrix[rows, link.position] = drawn
                    if sweep >= _SWEEPS and outlook is None:
                        draws.setdefault(link.position, []).append(drawn)
        for name in names if likeliest else ():
            rows = np.flatnonzero(missing[name])
            for link in self.links[name]:
                if link.position in draws:
                    matrix[rows, link.position] = _commonest(np.array(draws[link.position]))
                elif link.grain is None:
                    matrix[rows, link.position] = hopes[link.position].argmax(1)
                else:
                    mean = hopes[link.position][:, 0] / _DRAWS
                    matrix[rows, link.position] = link.grain.on_grid(mean)
        return matrix

    def _outlooks(self) -> dict[int, NodeExpectation | None]:
        variables = self.chain.table.variables
        links = [link for made in self.links.values() for link in made]
        return {
            one.position: NodeExpectation.of(one, variables[one.position].n_levels) for one in links
        }


def _commonest(draws: Matrix) -> Matrix:
    """Return the commonest value of each column: the longest run of its sorted draws."""
    ordered = np.sort(draws, axis=0)
    runs = np.stack([(draws == value).sum(0) for value in ordered])
    return np.asarray(ordered[runs.argmax(0), np.arange(draws.shape[1])])


def with_filled(rows: Dataset, made: Dataset, names: Sequence[str]) -> Dataset:
    """Return `rows` with the missing cells of the columns `names` taken from `made`."""
    table = rows.records
    for name in names:
        own, other = table.column(name), made.records.column(name)
        if pa.types.is_dictionary(own.type):
            text = pc.coalesce(own.cast(pa.string()), other.cast(pa.string()))
            filled = text.cast(own.type)
        else:
            filled = pc.coalesce(own, other.cast(own.type))
        table = table.set_column(table.column_names.index(name), name, filled)
    return Dataset(table, rows.schema, rows.card)
