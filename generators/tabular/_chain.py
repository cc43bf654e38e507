"""The chain: every variable given those drawn before it, in an order that conditions may change."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Progress, silent
from twinset.core.errors import FitError
from twinset.core.seeding import draw_seed, rng_for

from ._chain_calibration import calibrated
from ._chain_conditions import Conditions
from ._chain_growth import LinkSettings, fit_link
from ._chain_link import Link
from ._chain_order import Kinship, draw_order
from ._chain_table import ChainTable, Matrix, is_there

Mask = npt.NDArray[np.bool_]

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
            kinship = Kinship(self.matrix, self.table.variables)
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
