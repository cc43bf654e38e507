"""The chain: every variable given those drawn before it, in an order that conditions may change."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Progress, silent
from twinset.core.data.conditions import unmet
from twinset.core.data.where import Where
from twinset.core.errors import FitError
from twinset.core.seeding import draw_seed, rng_for

from .link import Link, LinkSettings, fit_link
from .table import ChainTable, Mask, Matrix, QuantileMapping, Variable, is_there, quantile_bins
from .tree import Codes

# Parents of a link at most: those with the strongest dependence. All pairs of a table of 500 columns
# would take the cube of its width.
_MAX_PARENTS = 64
# Variables up to which a link may have so many parents. Wider tables have as many pairs of a link and
# a parent in all, down to 16 parents a link: the time of the fit would grow with their square.
_FULL_WIDTH, _MIN_PARENTS = 300, 16
MAX_TREE_ROWS = 100_000  # rows that a tree is grown on: a million more change no split that matters
_ROUNDS = 8  # of drawing rows again whose sums exceed any real total; others stay as they are


@dataclass(frozen=True)
class Chain:
    """A fitted chain and the rows that it was fitted on."""

    table: ChainTable
    matrix: Matrix  # the train rows as variables, shape (n, v)
    links: tuple[Link, ...]  # in the order they are drawn; an empty column has none
    first: tuple[str, ...]  # columns that were requested to come first
    target: str  # the target, where it is a number; "" otherwise
    settings: LinkSettings
    seed: int  # decides subsamples and equal splits, the same for any order

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
        """Return the chain fitted on `matrix`."""
        empty = cls(table, matrix, (), tuple(first), target, settings, draw_seed(rng))
        return calibrate_chain(empty.reordered(first, progress))

    def reordered(self, first: Sequence[str], progress: Progress = silent) -> Chain:
        """Return the chain that draws the columns `first` before all others.

        Only the links that get other parents are fitted again, and those of `first` that are regressed
        on a forest: conditions choose donors. Calibrations of the old order stay.
        """
        distinct = [len(np.unique(column)) for column in self.matrix.T]
        order = draw_order(self.table, distinct, first, self.settings.n_cells, self.target)
        known = {(link.position, frozenset(link.view.parents)): link for link in self.links}
        dependence = DependenceMatrix(self.matrix, self.table.variables)
        earlier = [order[:place] for place in range(len(order))]
        jobs: list[Callable[[], Link | None]] = []
        for position, parents in zip(order, dependence.closest(order, earlier)):
            found = known.get((position, frozenset(parents)))
            regress = self.table.variables[position].name not in first
            if found is not None and found.residuals is not None and not regress:
                found = None
            jobs.append(self._job(position, parents, found, regress))
        links = _run_in_threads(jobs, progress)
        return replace(self, links=tuple(k for k in links if k is not None), first=tuple(first))

    def _job(
        self, position: int, parents: list[int], found: Link | None, regress: bool
    ) -> Callable[[], Link | None]:
        def job() -> Link | None:
            if found is not None:
                return found
            return self.fit_link(position, parents, "link", self.settings, regress=regress)

        return job

    def fit_link(
        self,
        position: int,
        parents: list[int],
        purpose: str,
        settings: LinkSettings,
        *,
        regress: bool = True,
    ) -> Link | None:
        """Return the link of a variable, fitted on rows that have it; None if no row has."""
        rows = np.flatnonzero(is_there(self.matrix, self.table.variables[position]))
        rows = self.without_rare(position, rows)
        rng = rng_for(self.seed, purpose, position)
        if len(rows) > MAX_TREE_ROWS:
            rows = np.sort(rng.choice(rows, MAX_TREE_ROWS, replace=False))
        if not len(rows):
            return None
        variables, seed = self.table.variables, draw_seed(rng)
        return fit_link(
            self.matrix, variables, position, parents, rows, settings, seed, regress=regress
        )

    def too_rare(self, position: int) -> Mask:
        """Return which rows have a level of the variable that is too rare to be drawn, shape (n,)."""
        variable, min_repeats = self.table.variables[position], self.settings.min_repeats
        if not min_repeats or variable.part != "value" or not variable.is_nominal:
            return np.zeros(len(self.matrix), dtype=bool)
        known = is_there(self.matrix, variable)
        codes = self.matrix[:, position].astype(np.int64)
        return np.asarray(known & (np.bincount(codes, known)[codes] < min_repeats))

    def without_rare(self, position: int, rows: Codes) -> Codes:
        """Return the rows without those whose level is too rare to be drawn."""
        kept = rows[~self.too_rare(position)[rows]]
        if len(rows) and not len(kept):
            name = self.table.variables[position].name
            raise FitError(
                f"every level of the column '{name}' is too rare to be drawn",
                allowed=f"levels that {self.settings.min_repeats} rows or more have",
                todo="lower 'min_repeats' or leave the column out",
            )
        return kept

    def uses_expectation(self, columns: Sequence[str]) -> bool:
        """Return whether a number among the columns is regressed on a forest."""
        return any(
            link.residuals is not None and self.table.variables[link.position].name in columns
            for link in self.links
        )

    def draws_first(self, columns: Sequence[str]) -> bool:
        """Return whether the columns are drawn before all others."""
        names = dict.fromkeys(self.table.variables[link.position].name for link in self.links)
        return set(list(names)[: len(set(columns))]) == set(columns)

    def draw(
        self, n: int, rng: np.random.Generator, conditions: ChainConditions | None = None
    ) -> Matrix:
        """Return `n` rows as variables, shape (n, v); all meet the conditions."""
        matrix = self._draw_once(n, rng, conditions)
        for _ in range(_ROUNDS):
            again = np.flatnonzero(self._violates_tie(matrix))
            if not len(again):
                break
            matrix[again] = self._draw_once(len(again), rng, conditions)
        return matrix

    def with_donors_in(self, is_own: Mask) -> Chain:
        """Return the chain whose donors are some of the train rows only, shape (n,)."""
        links = []
        for link in self.links:
            own = is_own[link.rows].astype(np.float32)
            weight = own if link.weight is None else own * link.weight
            # A column that these rows never have has no donor: those of others are better than none.
            links.append(replace(link, weight=weight) if weight.any() else link)
        return replace(self, links=tuple(links))

    def blank(self, n: int) -> Matrix:
        """Return `n` rows of which nothing is drawn yet, shape (n, v)."""
        matrix = np.empty((n, len(self.table.variables)), order="F")
        for position in range(matrix.shape[1]):
            matrix[:, position] = self.table.fill(position)
        return matrix

    def _violates_tie(self, matrix: Matrix) -> Mask:
        """Return which rows violate a tie that all train rows have, shape (n,)."""
        violated = np.zeros(len(matrix), dtype=bool)
        for link in self.links:
            if link.exact_tie is not None:
                there = is_there(matrix, self.table.variables[link.position])
                violated |= there & link.violates_tie(matrix)
        return violated

    def _draw_once(
        self, n: int, rng: np.random.Generator, conditions: ChainConditions | None
    ) -> Matrix:
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
                conditions.repair(variable.name, matrix, rng)
        return matrix


def _run_in_threads(
    jobs: Sequence[Callable[[], Link | None]], progress: Progress
) -> list[Link | None]:
    """Run the jobs in threads, the last ones first: they have the most parents."""
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8)) as pool:
        waiting = [pool.submit(job) for job in reversed(jobs)]
        links = []
        for done, one in enumerate(waiting):
            links.append(one.result())
            progress("fit", done + 1, len(jobs))
    return links[::-1]


def draw_order(
    table: ChainTable,
    n_distinct: Sequence[int],
    first: Iterable[str],
    n_cells: int,
    target: str = "",
) -> tuple[int, ...]:
    """Return the variables in the order they are drawn.

    First the columns named; then codes, in ascending order of their distinct values; then the target
    if it is a number (its tree is sharp when it splits on codes only); then numbers with few values,
    in ascending order; last the numbers with more than `n_cells` values, the finest first, since
    coarser ones tend to be made from them (decision 0010).
    """
    position = {name: i for i, name in enumerate(first)}
    variables = table.variables

    def key(v: int) -> tuple[int, int, int, int]:
        place = position.get(variables[v].name, len(position))
        if variables[v].is_nominal:
            return place, 0, n_distinct[v], v
        if variables[v].name == target:
            return place, 1, 0, v
        if n_distinct[v] <= n_cells:
            return place, 2, n_distinct[v], v
        return place, 3, -n_distinct[v], v

    order: list[int] = []

    def put(v: int) -> None:
        for needed in variables[v].needs:
            put(needed)
        # A time of day follows its day at once, so that later columns may depend on the whole date.
        own = table.positions_of(variables[v].name) if variables[v].part == "day" else []
        order.extend(u for u in [v, *own] if u not in order)

    for v in sorted(range(len(variables)), key=key):
        if variables[v].part != "time":
            put(v)
    return tuple(order)


_PROBE_ROWS = 4_000  # for correlations: their error of .016 does not change which parents are close
_SHOWN_LEVELS = 4  # most frequent levels of a code that its dependence is measured by
_BLOCK = 64  # variables whose correlations are computed together; more take memory, not less time
_DIGITS = 9  # of a correlation: equal columns are equally close, whatever the order of a sum


class DependenceMatrix:
    """Strength of dependence between variables, for tables too wide to use every parent."""

    def __init__(self, matrix: Matrix, variables: Sequence[Variable]) -> None:
        self._matrix, self._variables = matrix, variables
        self._max_parents = max_parents(len(variables))

    @cached_property
    def _features(self) -> tuple[Matrix, npt.NDArray[np.int64]]:
        """Standardised features, shape (n, f), and the first one of each variable, (v + 1,)."""
        probe = self._matrix[:: max(1, len(self._matrix) // _PROBE_ROWS)]
        blocks = []
        for v, variable in enumerate(self._variables):
            values, codes, counts = np.unique(probe[:, v], return_inverse=True, return_counts=True)
            block = codes.astype(np.float64)[:, None]
            if variable.is_nominal:
                shown = values[np.argsort(-counts, kind="stable")[:_SHOWN_LEVELS]]
                block = np.asarray(probe[:, [v]] == shown, dtype=np.float64)
            blocks.append(block)
        features = np.hstack(blocks)
        features -= features.mean(0)
        features /= np.maximum(np.sqrt((features**2).sum(0)), 1e-12)
        return features, np.cumsum([0, *(block.shape[1] for block in blocks)])

    def closest(
        self, positions: Sequence[int], candidates: Sequence[Sequence[int]]
    ) -> list[list[int]]:
        """Return the candidates that each variable depends on most, in their given order."""
        found = [list(of_one) for of_one in candidates]
        wide = [at for at, of_one in enumerate(found) if len(of_one) > self._max_parents]
        for start in range(0, len(wide), _BLOCK):
            block = wide[start : start + _BLOCK]
            for at, strength in zip(block, self._strength([positions[at] for at in block])):
                ranked = np.argsort(-strength[found[at]], kind="stable")[: self._max_parents]
                found[at] = [found[at][i] for i in np.sort(ranked)]
        return found

    def _strength(self, positions: Sequence[int]) -> Matrix:
        """Return the largest correlation of each variable with each of a few, shape (k, v)."""
        features, first = self._features
        own = np.concatenate([np.arange(first[v], first[v + 1]) for v in positions])
        widths = [first[v + 1] - first[v] for v in positions]
        found = np.abs(features[:, own].T @ features).round(_DIGITS)
        by_variable = np.maximum.reduceat(found, first[:-1], axis=1)
        return np.asarray(np.maximum.reduceat(by_variable, np.cumsum([0, *widths[:-1]]), axis=0))


def max_parents(n_variables: int) -> int:
    """Return the number of parents that a link of a table with so many variables has at most.

    >>> max_parents(30), max_parents(300), max_parents(1_000), max_parents(20_000)
    (64, 64, 19, 16)
    """
    return max(_MIN_PARENTS, min(_MAX_PARENTS, _MAX_PARENTS * _FULL_WIDTH // max(n_variables, 1)))


_TRIAL_ROWS = 50_000  # of the calibration: their shares have an error of .002
_BINS = 32  # of a number whose donors are weighted: finer ones are weighted by noise
_SHARE_PSEUDO_ROWS = 10  # keep the weights of rare levels near 1
_MAX_WEIGHT = 2.0  # one pass corrects drifts; a larger weight would repeat few donors
# A number is mapped to real quantiles if its distribution function is still .02 off beyond chance
# (1.95 is the Kolmogorov-Smirnov quantile of one in a thousand) on 1,000 rows or more. No column of
# the five benchmark sets needs it, amounts of the card-fraud table do: .068 to .007 (decision 0011).
_MAX_DISTANCE, _CHANCE, _MIN_MAPPED_ROWS = 0.02, 1.95, 1_000


def calibrate_chain(chain: Chain) -> Chain:
    """Return the chain whose drawn columns have the real distributions.

    Links are fitted on real parents and draw from synthetic ones, so shares drift along the chain.
    Link by link a trial is drawn and donors are weighted by real over drawn shares. Not done at a
    temperature other than 1, which changes shares on purpose.
    """
    if chain.settings.temperature != 1.0:
        return chain
    real, n = chain.matrix, min(len(chain.matrix), _TRIAL_ROWS)
    rng = rng_for(chain.seed, "calibrate")
    trial = chain.blank(n)
    links = []
    for link in chain.links:
        variable = chain.table.variables[link.position]
        rows, known = (np.flatnonzero(is_there(part, variable)) for part in (trial, real))
        if len(rows) and len(known):
            parents, numbers = trial[rows], real[known, link.position]
            at, back_off = link.assign(parents), chain.settings.back_off
            seed = draw_seed(rng)
            if link.residuals is not None and at.expected is not None:
                donors = link.tree.pick(at.leaves, rng, link.weight)
                scores = link.residuals.scores(at.expected, donors, link.tree.leaves, rng)
                link = replace(link, residuals=link.residuals.matched(scores, numbers))
            elif len(link.tree.parent) > 1:
                drawn = link.draw_at(at, parents, np.random.default_rng(seed), back_off)
                link = _weight_donors(link, variable.n_levels, numbers, drawn)
                drawn = link.draw_at(at, parents, np.random.default_rng(seed), back_off)
                link = add_quantile_mapping(link, numbers, drawn)
            drawn = link.draw_at(at, parents, np.random.default_rng(seed), back_off)
            trial[rows, link.position] = drawn
        links.append(link)
    return replace(chain, links=tuple(links))


def _weight_donors(link: Link, n_levels: int, real: Matrix, drawn: Matrix) -> Link:
    """Return the link with weights that turn the shares of `drawn` into those of `real`."""
    if link.bins is None:
        n_bins = n_levels
        bins = [part.astype(np.int64) for part in (real, drawn, link.donors)]
    else:
        values, counts = np.unique(real, return_counts=True)
        bin_of = quantile_bins(counts, _BINS)[0]
        n_bins = int(bin_of[-1]) + 1
        last = len(values) - 1
        parts = (real, drawn, link.bins.values[link.donors])
        bins = [bin_of[np.minimum(np.searchsorted(values, part), last)] for part in parts]
    real_counts, drawn_counts = (np.bincount(part, minlength=n_bins) for part in bins[:2])
    target = real_counts * (len(drawn) / len(real))
    ratio = (target + _SHARE_PSEUDO_ROWS) / (drawn_counts + _SHARE_PSEUDO_ROWS)
    weight: npt.NDArray[np.float64] = np.clip(ratio, 1 / _MAX_WEIGHT, _MAX_WEIGHT)[bins[2]]
    if link.weight is not None:
        weight = weight * link.weight
    return replace(link, weight=weight.astype(np.float32))


def add_quantile_mapping(link: Link, real: Matrix, drawn: Matrix) -> Link:
    """Return the link with a mapping if the drawn numbers are off in spite of their weights."""
    if link.bins is None or link.ties or len(drawn) < _MIN_MAPPED_ROWS:
        return link
    values = link.bins.values
    below = [
        np.searchsorted(np.sort(part), values, side="right") / len(part) for part in (real, drawn)
    ]
    max_distance = _MAX_DISTANCE + _CHANCE / np.sqrt(len(drawn))
    if np.abs(below[0] - below[1]).max() <= max_distance:
        return link
    mapping = QuantileMapping.from_numbers(drawn, np.searchsorted(values, real))
    return replace(link, mapping=mapping)


@dataclass(frozen=True)
class ChainConditions:
    """A `where` on a chain: the train rows that meet it, on each column and on all together."""

    where: Where
    chain: Chain  # draws the conditioned columns first
    columns: dict[str, Mask]  # column -> rows that meet its condition and are not too rare, (n,)
    # Column that a conditioned date is counted from -> rows from which that date can be reached.
    anchors: dict[str, Mask]

    @classmethod
    def from_where(cls, where: Where, chain: Chain, masks: dict[str, Mask]) -> ChainConditions:
        """Return the conditions, `masks` being the rows that meet each of them."""
        columns: dict[str, Mask] = {}
        anchors: dict[str, Mask] = {}
        for name, mask in masks.items():
            too_rare = [chain.too_rare(p) for p in chain.table.positions_of(name)]
            columns[name] = mask & ~np.logical_or.reduce(too_rare)
            if not columns[name].any():
                raise unmet(Where({name: where.conditions[name]}))
        for name in columns:
            for other in _anchors(chain, name) - set(columns):
                anchors[other] = columns[name] & anchors.get(other, columns[name])
        return cls(where, chain, columns, anchors)

    def allowed(self, name: str, link: Link) -> Mask | None:
        """Return which donors of a link may be drawn, shape (donors,); None for any."""
        own = self.columns.get(name, self.anchors.get(name))
        if own is None:
            return None
        for mask in (self._best_mask(own), own):
            allowed = mask[link.rows]
            if allowed.any():
                return np.asarray(allowed)
        return None

    def repair(self, name: str, matrix: Matrix, rng: np.random.Generator) -> None:
        """Give rows that moved out of the condition the exact value of a row that meets it."""
        if name not in self.columns:
            return
        decoded = self.chain.table.decode(matrix, [name])
        off = np.flatnonzero(~decoded.mask(Where({name: self.where.conditions[name]})))
        if not len(off):
            return
        source = rng.choice(np.flatnonzero(self._best_mask(self.columns[name])), len(off))
        real, table = self.chain.matrix, self.chain.table
        for other in sorted(_anchors(self.chain, name)):
            # The date it is counted from is copied too, so that the gap between them is a real one.
            if other not in self.columns or self._together.any():
                for position in table.positions_of(other):
                    matrix[off, position] = real[source, position]
        for position in table.positions_of(name):
            anchor = table.variables[position].anchor
            matrix[off, position] = real[source, position]
            if anchor is not None:
                matrix[off, position] += real[source, anchor] - matrix[off, anchor]

    @property
    def _together(self) -> Mask:
        return np.asarray(np.logical_and.reduce(list(self.columns.values())))

    def _best_mask(self, own: Mask) -> Mask:
        """Return the rows that meet all conditions, or `own` if no row does."""
        together = self._together
        return together if together.any() else own


def _anchors(chain: Chain, name: str) -> set[str]:
    """Return the columns that the dates of a column are counted from."""
    variables = chain.table.variables
    anchors = (variables[p].anchor for p in chain.table.positions_of(name))
    return {variables[anchor].name for anchor in anchors if anchor is not None}
