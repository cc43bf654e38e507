"""The chain: every variable given those drawn before it, in an order that conditions may change."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Progress, silent
from twinset.core.data.conditions import unmet
from twinset.core.data.where import Where
from twinset.core.errors import FitError
from twinset.core.seeding import draw_seed, rng_for

from .link import Link, LinkSettings, fit_link
from .parents import DependenceMatrix, draw_order
from .rounding import quantile_bins
from .table import ChainTable, Matrix, is_there
from .ties import Overlay

_MOST_ROWS = 50_000
_BINS = 32
_PSEUDO_ROWS = 10
_MOST = 2.0
_OFF, _LEAST_LAID = 0.02, 1_000
_SURE = 1.95  # of a Kolmogorov-Smirnov distance times root rows: one in a thousand by chance


def calibrated(chain: Chain) -> Chain:
    """Return the chain whose drawn columns have the real distributions.

    Each link errs a little, and the next one is led by drawn parents where it learnt from real
    ones: shares drift along the chain. Link by link, a trial is drawn. Donors of every level or bin
    are weighted by how often it occurs among real rows and in the trial; the scores of a number that
    leans are laid anew on its values, and so is a number that is still .02 off. Not at a
    temperature other than 1, which asks for other shares.
    """
    if chain.settings.temperature != 1.0:
        return chain
    real, n = chain.matrix, min(len(chain.matrix), _MOST_ROWS)
    rng = rng_for(chain.seed, "calibrate")
    trial = chain.blank(n)
    links = []
    for link in chain.links:
        variable = chain.table.variables[link.position]
        rows, known = (np.flatnonzero(is_there(part, variable)) for part in (trial, real))
        if len(rows) and len(known):
            again, numbers = trial[rows], real[known, link.position]
            reached, back_off = link.reach(again), chain.settings.back_off
            seed = draw_seed(rng)
            if link.residuals is not None and reached.expected is not None:
                donors = link.tree.pick(reached.leaves, rng, link.weight)
                scores = link.residuals.scores(reached.expected, donors)
                link = replace(link, residuals=link.residuals.matched(scores, numbers))
            elif len(link.tree.parent) > 1:
                drawn = link.draw_at(reached, again, np.random.default_rng(seed), back_off)
                link = _weighted(link, variable.n_levels, numbers, drawn)
                drawn = link.draw_at(reached, again, np.random.default_rng(seed), back_off)
                link = laid_where_off(link, numbers, drawn)
            drawn = link.draw_at(reached, again, np.random.default_rng(seed), back_off)
            trial[rows, link.position] = drawn
        links.append(link)
    return replace(chain, links=tuple(links))


def _weighted(link: Link, n_levels: int, real: Matrix, drawn: Matrix) -> Link:
    """Return the link with weights that turn the shares of `drawn` into those of `real`."""
    if link.grain is None:
        n_bins = n_levels
        bins = [part.astype(np.int64) for part in (real, drawn, link.donors)]
    else:
        values, counts = np.unique(real, return_counts=True)
        bin_of = quantile_bins(counts, _BINS)[0]
        n_bins = int(bin_of[-1]) + 1
        last = len(values) - 1
        parts = (real, drawn, link.grain.values[link.donors])
        bins = [bin_of[np.minimum(np.searchsorted(values, part), last)] for part in parts]
    want, have = (np.bincount(part, minlength=n_bins) for part in bins[:2])
    wanted = want * (len(drawn) / len(real))
    ratio = np.clip((wanted + _PSEUDO_ROWS) / (have + _PSEUDO_ROWS), 1 / _MOST, _MOST)
    weight: npt.NDArray[np.float64] = ratio[bins[2]]
    if link.weight is not None:
        weight = weight * link.weight
    return replace(link, weight=weight.astype(np.float32))


def laid_where_off(link: Link, real: Matrix, drawn: Matrix) -> Link:
    """Return the link with an overlay if the drawn numbers are off in spite of their weights."""
    if link.grain is None or link.ties or len(drawn) < _LEAST_LAID:
        return link
    values = link.grain.values
    below = [
        np.searchsorted(np.sort(part), values, side="right") / len(part) for part in (real, drawn)
    ]
    if np.abs(below[0] - below[1]).max() <= _OFF + _SURE / np.sqrt(len(drawn)):
        return link
    return replace(link, overlay=Overlay.of(drawn, np.searchsorted(values, real)))


Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Conditions:
    """A `where` on a chain: which rows learnt from meet it, on each column and on all together.

    Parameters
    ----------
    where : Where
        The conditions.
    chain : Chain
        The chain, which draws their columns first.
    columns : mapping
        Column -> rows learnt from that meet its condition, shape (n,), and are not too rare.
    helpers : mapping
        Column that a conditioned date is counted from -> rows from which that date can be reached.
    """

    where: Where
    chain: Chain
    columns: dict[str, Mask]
    helpers: dict[str, Mask]

    @classmethod
    def of(cls, where: Where, chain: Chain, masks: dict[str, Mask]) -> Conditions:
        """Return the conditions, `masks` being the rows that meet each of them.

        Raises
        ------
        ParameterError
            Only levels that are too rare to be drawn meet one of them.
        """
        columns: dict[str, Mask] = {}
        helpers: dict[str, Mask] = {}
        for name, mask in masks.items():
            positions = chain.table.of_column(name)
            columns[name] = mask & ~np.logical_or.reduce([chain.too_rare(p) for p in positions])
            if not columns[name].any():
                raise unmet(Where({name: where.conditions[name]}))
        for name in columns:
            for other in _anchors(chain, name) - set(columns):
                helpers[other] = columns[name] & helpers.get(other, columns[name])
        return cls(where, chain, columns, helpers)

    def allowed(self, name: str, link: Link) -> Mask | None:
        """Return which donors of a link may be drawn, shape (donors,); None for any.

        Where none may (a long table's tree has seen only a part of it), any is drawn and mended.
        """
        own = self.columns.get(name, self.helpers.get(name))
        if own is None:
            return None
        for mask in (self._mask(name, own), own):
            allowed = mask[link.rows]
            if allowed.any():
                return np.asarray(allowed)
        return None

    def mend(self, name: str, matrix: Matrix, rng: np.random.Generator) -> None:
        """Give rows that moved out of the condition the very value of a row that meets it."""
        if name not in self.columns:
            return
        made = self.chain.table.decode(matrix, [name])
        off = np.flatnonzero(~made.mask(Where({name: self.where.conditions[name]})))
        if not len(off):
            return
        source = rng.choice(np.flatnonzero(self._mask(name, self.columns[name])), len(off))
        real, table = self.chain.matrix, self.chain.table
        for other in sorted(_anchors(self.chain, name)):
            # The date it is counted from comes along, so that the gap between them is a real one.
            if other not in self.columns or self._together.any():
                for position in table.of_column(other):
                    matrix[off, position] = real[source, position]
        for position in table.of_column(name):
            anchor = table.variables[position].anchor
            matrix[off, position] = real[source, position]
            if anchor is not None:
                matrix[off, position] += real[source, anchor] - matrix[off, anchor]

    @property
    def _together(self) -> Mask:
        return np.asarray(np.logical_and.reduce(list(self.columns.values())))

    def _mask(self, name: str, own: Mask) -> Mask:
        together = self._together
        return together if together.any() else own


def _anchors(chain: Chain, name: str) -> set[str]:
    """Return the columns that the dates of a column are counted from."""
    variables = chain.table.variables
    anchors = (variables[p].anchor for p in chain.table.of_column(name))
    return {variables[anchor].name for anchor in anchors if anchor is not None}


MOST_PARENTS = 64
MOST_TREE_ROWS = 100_000
_ROUNDS = 8


@dataclass(frozen=True)
class Chain:
    """A fitted chain and the rows it was learnt from.

    Parameters
    ----------
    table : ChainTable
        The way between rows and variables.
    matrix : numpy.ndarray
        The rows learnt from, as variables, shape (n, v).
    links : tuple of Link
        In the order they are drawn; a variable that is missing everywhere has none.
    first : tuple of str
        Columns that were asked to come first.
    target : str
        The column to predict, where that is a number; "" otherwise.
    settings : LinkSettings
        How links are grown.
    seed : int
        Decides subsamples and equal splits, for any order alike.
    """

    table: ChainTable
    matrix: Matrix
    links: tuple[Link, ...]
    first: tuple[str, ...]
    target: str
    settings: LinkSettings
    seed: int

    @classmethod
    def fit(
        cls,
        table: ChainTable,
        matrix: Matrix,
        first: Sequence[str],
        target: str,
        settings: LinkSettings,
        rng: np.random.Generator,
        progress: Progress = silent,
    ) -> Chain:
        """Return the chain learnt from `matrix`."""
        empty = cls(table, matrix, (), tuple(first), target, settings, draw_seed(rng))
        return calibrated(empty.reordered(first, progress))

    def reordered(self, first: Sequence[str], progress: Progress = silent) -> Chain:
        """Return the chain that draws the columns `first` before all others.

        Only the links that get other parents are learnt anew, and those of `first` that lean on a
        forest: conditions choose donors. What was calibrated in the old order stays as it is.
        """
        distinct = [len(np.unique(column)) for column in self.matrix.T]
        order = draw_order(self.table, distinct, first, self.settings.n_cells, self.target)
        known = {(link.position, frozenset(link.view.parents)): link for link in self.links}
        kinship = None
        if len(order) > MOST_PARENTS + 1:
            kinship = DependenceMatrix(self.matrix, self.table.variables)
        jobs: list[Callable[[], Link | None]] = []
        for place, position in enumerate(order):
            parents = list(order[:place])
            if kinship is not None and len(parents) > MOST_PARENTS:
                parents = kinship.closest(position, parents, MOST_PARENTS)
            found = known.get((position, frozenset(parents)))
            leans = self.table.variables[position].name not in first
            if found is not None and found.residuals is not None and not leans:
                found = None
            jobs.append(self._job(position, parents, found, leans))
        made = _side_by_side(jobs, progress)
        return replace(self, links=tuple(m for m in made if m is not None), first=tuple(first))

    def _job(
        self, position: int, parents: list[int], found: Link | None, leans: bool
    ) -> Callable[[], Link | None]:
        def job() -> Link | None:
            if found is not None:
                return found
            rows = np.flatnonzero(is_there(self.matrix, self.table.variables[position]))
            rows = self.without_rare(position, rows)
            rng = rng_for(self.seed, "link", position)
            if len(rows) > MOST_TREE_ROWS:
                rows = np.sort(rng.choice(rows, MOST_TREE_ROWS, replace=False))
            if not len(rows):
                return None
            seed = draw_seed(rng)
            return fit_link(
                self.matrix, self.table.variables, position, parents, rows, self.settings, seed,
                leans=leans,
            )  # fmt: skip

        return job

    def too_rare(self, position: int) -> Mask:
        """Return which rows have a level of the variable that is too rare to be drawn, shape (n,)."""
        variable, least = self.table.variables[position], self.settings.least_repeats
        if not least or variable.part != "value" or not variable.is_nominal:
            return np.zeros(len(self.matrix), dtype=bool)
        known = np.ones(len(self.matrix), dtype=bool)
        if variable.indicator is not None:
            known = self.matrix[:, variable.indicator] == 0
        codes = self.matrix[:, position].astype(np.int64)
        return np.asarray(known & (np.bincount(codes, known)[codes] < least))

    def without_rare(self, position: int, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Leave out the rows whose level is too rare to be drawn."""
        variable, least = self.table.variables[position], self.settings.least_repeats
        kept = rows[~self.too_rare(position)[rows]]
        if len(rows) and not len(kept):
            raise FitError(
                f"every level of the column '{variable.name}' is too rare to be drawn",
                allowed=f"levels that {least} rows or more have",
                todo="lower 'least_repeats' or leave the column out",
            )
        return kept

    def leans(self, columns: Sequence[str]) -> bool:
        """Return whether a number among the columns is drawn by a forest rather than a donor."""
        return any(
            link.residuals is not None and self.table.variables[link.position].name in columns
            for link in self.links
        )

    def draws_first(self, columns: Sequence[str]) -> bool:
        """Return whether the columns are drawn before all others."""
        names: list[str] = []
        for link in self.links:
            name = self.table.variables[link.position].name
            if name not in names:
                names.append(name)
        return set(names[: len(set(columns))]) == set(columns)

    def draw(
        self,
        n: int,
        rng: np.random.Generator,
        conditions: Conditions | None = None,
    ) -> Matrix:
        """Return `n` rows as variables, shape (n, v); all meet the conditions.

        Rows whose parts add up to more than any real total are drawn anew, up to 8 times.
        """
        matrix = self._drawn(n, rng, conditions)
        for _ in range(_ROUNDS):
            again = np.flatnonzero(self._broken(matrix))
            if not len(again):
                break
            matrix[again] = self._drawn(len(again), rng, conditions)
        return matrix

    def drawing_from(self, is_own: Mask) -> Chain:
        """Return the chain whose donors are some of the rows learnt from only, shape (n,)."""
        links = []
        for link in self.links:
            own = is_own[link.rows].astype(np.float32)
            weight = own if link.weight is None else own * link.weight
            # A column that these rows never have leaves no donor: those of others are better than none.
            links.append(replace(link, weight=weight) if weight.any() else link)
        return replace(self, links=tuple(links))

    def blank(self, n: int) -> Matrix:
        """Return `n` rows of which nothing is drawn yet, shape (n, v)."""
        matrix = np.empty((n, len(self.table.variables)), order="F")
        for position in range(matrix.shape[1]):
            matrix[:, position] = self.table.fill(position)
        return matrix

    def _broken(self, matrix: Matrix) -> Mask:
        """Return which rows lack a tie that all rows learnt from have, shape (n,)."""
        broken = np.zeros(len(matrix), dtype=bool)
        for link in self.links:
            if link.law is not None:
                there = is_there(matrix, self.table.variables[link.position])
                broken |= there & link.breaks_law(matrix)
        return broken

    def _drawn(self, n: int, rng: np.random.Generator, conditions: Conditions | None) -> Matrix:
        matrix = self.blank(n)
        last = {self.table.variables[link.position].name: link.position for link in self.links}
        for link in self.links:
            variable = self.table.variables[link.position]
            rows = np.flatnonzero(is_there(matrix, variable))
            if len(rows):
                allowed = None if conditions is None else conditions.allowed(variable.name, link)
                known = matrix if len(rows) == n else matrix[rows]
                drawn = link.draw(known, rng, self.settings.back_off, allowed)
                matrix[rows, link.position] = drawn
            if conditions is not None and last[variable.name] == link.position:
                conditions.mend(variable.name, matrix, rng)
        return matrix


def _side_by_side(
    jobs: Sequence[Callable[[], Link | None]], progress: Progress
) -> list[Link | None]:
    """Run the jobs in threads, the last ones first: they have the most parents."""
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8)) as pool:
        waiting = [pool.submit(job) for job in reversed(jobs)]
        made = []
        for done, one in enumerate(waiting):
            made.append(one.result())
            progress("fit", done + 1, len(jobs))
    return made[::-1]
