"""Columns as cells, and the positions of their tokens in the arrays of the masked network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import EncodedColumn, TableEncoding
from twinset.core.data.where import Condition, Where
from twinset.core.features.torch_device import torch

from .._discrete import (
    AdmissibleValues,
    Codes,
    Floats,
    Mask,
    WidthGroup,
    find_admissible,
    group_by_width,
    numbers_in,
)

UNKNOWN = -1  # cell of a value that the train set did not have

_OWN_LEVELS = (
    256  # levels with a coarse token each; beyond, the cost of a column would grow with them
)
_FREQUENT_LEVELS = 128  # levels that keep a coarse token of their own in a column with more
_MIN_REPEATS = (
    5  # rows from which on a value may be drawn exactly: rarer ones may be one individual's
)
_KNOTS = 9  # quantiles of each cell, both ends included
_SPLITS = 16  # cells that a bin is divided into, at most: a thousand cells of 64 bins
_MAX_BINS, _MIN_BINS = 8_192, 8  # of all numbers together, as of 128 columns; and of one column
_POINTS = 33  # points along a cell that measure the admissible share of it
_REDRAWS = 8  # of a value outside its condition; then an admissible candidate is taken


@dataclass(frozen=True)
class ColumnCells:
    """The cells of one column.

    A cell is a level of a category, an interval of numbers, one often repeated number, or "missing"
    (the last cell, where there is one). The coarse token is its neighbourhood, the fine token the
    cell in it, so that the cost of a column grows as the root of the number of its cells.
    """

    column: EncodedColumn
    coarse: Codes  # tokens of each cell, counted from 0, shape (k,)
    fine: Codes
    mass: Floats  # train rows in each cell, (k,)
    has_missing: bool  # the last cell is "missing"
    starts: Floats  # of numbers: smallest value coded as each cell but the first, (k - 1,)
    # Of numbers: quantiles of the values in each cell from end to end, (k, 9); all equal where a
    # repeated value has the cell to itself.
    knots: Floats

    @classmethod
    def from_column(cls, train: Dataset, column: EncodedColumn, bins: int) -> ColumnCells:
        """Return the cells of a train column: about `bins` quantile bins of a number."""
        starts, knots = np.empty(0), np.empty((0, _KNOTS))
        if column.is_nominal:
            codes, _ = train.codes(column.field.name)
            n_missing = int((codes < 0).sum())
            mass = np.bincount(codes[codes >= 0], minlength=len(column.levels)).astype(np.float64)
            coarse, fine = _level_tokens(mass)
        else:
            values = train.values(column.field.name)
            n_missing = int(np.isnan(values).sum())
            present = np.sort(values[~np.isnan(values)])
            coarse = fine = np.empty(0, dtype=np.int64)
            mass = np.empty(0)
            if len(present):
                coarse, fine, mass, starts, knots = _number_cells(present, bins)
        if n_missing:
            coarse = np.append(coarse, coarse.max(initial=-1) + 1)
            fine, mass = np.append(fine, 0), np.append(mass, n_missing)
        return cls(column, coarse, fine, mass, bool(n_missing), starts, knots)

    @property
    def is_number(self) -> bool:
        """Whether the cells stand in the order of a number or a time."""
        return not self.column.is_nominal

    @property
    def n_present(self) -> int:
        """Number of cells but for "missing"."""
        return len(self.coarse) - self.has_missing

    @property
    def ranks(self) -> Floats:
        """Middle of each cell on the scale of train shares, 0 to 1, shape (k,)."""
        share = self.mass[: self.n_present] / max(self.mass[: self.n_present].sum(), 1.0)
        middle = np.cumsum(share) - share / 2
        return np.append(middle, np.full(int(self.has_missing), 0.5))

    @property
    def grid(self) -> Codes:
        """Cell of each pair of tokens, shape (coarse, fine); -1 where there is none."""
        grid = np.full((self.coarse.max() + 1, self.fine.max() + 1), UNKNOWN, dtype=np.int64)
        grid[self.coarse, self.fine] = np.arange(len(self.coarse))
        return grid

    def encode(self, rows: Dataset) -> Codes:
        """Return the cell of each row's value, shape (n,); -1 for values that train did not have."""
        name = self.column.field.name
        if self.is_number:
            values = rows.values(name)
            missing = np.isnan(values)
            cells = np.searchsorted(self.starts, values, side="right").astype(np.int64)
            if not self.n_present:
                cells[:] = UNKNOWN
        else:
            codes, levels = rows.codes(name)
            place = {level: cell for cell, level in enumerate(self.column.levels)}
            table = np.array([*(place.get(level, UNKNOWN) for level in levels), UNKNOWN])
            missing, cells = codes < 0, table[codes]
        cells[missing] = self.n_present if self.has_missing else UNKNOWN
        return cells

    def draw(self, cells: Codes, rng: np.random.Generator) -> Floats:
        """Return a value from each cell, shape (n,): a level's code, or a number of the interval."""
        if not self.is_number or not self.n_present:
            return cells.astype(np.float64)
        at = rng.random(len(cells)) * (_KNOTS - 1)
        return self.value_at(np.minimum(cells, self.n_present - 1), at)

    def value_at(self, cells: Codes, at: Floats) -> Floats:
        """Return the values at points 0 ... 8 along the knots of number cells, shape (n,)."""
        left = np.minimum(at.astype(np.int64), _KNOTS - 2)
        low, high = self.knots[cells, left], self.knots[cells, left + 1]
        return np.asarray(low + (high - low) * (at - left))

    def find_admissible(self, condition: Condition) -> AdmissibleCells:
        """Return the cells that `condition` admits, and values in them."""
        values, cells, n_even = self._candidates(condition)
        missing = self.n_present if self.has_missing else None
        admissible, meets = AdmissibleValues.from_candidates(
            condition, self.column, missing, values, cells
        )
        k = len(self.coarse)
        tried = np.bincount(cells[:n_even], minlength=k)
        met = np.bincount(cells[:n_even][meets[:n_even]], minlength=k)
        # A single point of an interval is no share of it and can be drawn all the same.
        is_admitted = np.bincount(cells[meets], minlength=k) > 0
        share = np.maximum(met / np.maximum(tried, 1), 1 / (4 * _POINTS))
        return AdmissibleCells(self, admissible, np.where(is_admitted, share, 0.0))

    def _candidates(self, condition: Condition) -> tuple[Floats, Codes, int]:
        """Return values and cells: n evenly over the column, then values that a condition names."""
        k = len(self.coarse)
        if not self.is_number or not self.n_present:
            return np.arange(k, dtype=np.float64), np.arange(k), k
        points = np.linspace(0.02, _KNOTS - 1.02, _POINTS)
        cells = np.repeat(np.arange(self.n_present), _POINTS)
        values = self.value_at(cells, np.tile(points, self.n_present))
        cells = np.append(cells, np.arange(self.n_present, k))
        values = np.append(values, np.zeros(k - self.n_present))
        named = np.array(list(numbers_in(condition, self.column)), dtype=np.float64)
        if len(named):
            step = self.column.step
            if step is not None and not self.column.field.is_continuous:
                step = max(step, 1.0)
            lower, upper = np.nextafter(named, -np.inf), np.nextafter(named, np.inf)
            if step:
                lower, upper = named - step, named + step
            near = np.concatenate([named, lower, upper])
            named = np.clip(near, self.column.low, self.column.high)
        own = np.searchsorted(self.starts, named, side="right").astype(np.int64)
        return np.append(values, named), np.append(cells, own), len(values)


@dataclass(frozen=True)
class AdmissibleCells:
    """The cells of a column that a condition admits."""

    cells: ColumnCells
    candidates: AdmissibleValues
    share: Floats  # part of each cell that meets the condition, 0 to 1, shape (k,)

    def draw(self, cells: Codes, rng: np.random.Generator) -> Floats:
        """Return a value that meets the condition from each of these cells, shape (n,)."""
        values = self.cells.draw(cells, rng)
        wrong = np.flatnonzero(~self.candidates.meets(values, cells))
        for _ in range(_REDRAWS):
            if not len(wrong):
                return values
            values[wrong] = self.cells.draw(cells[wrong], rng)
            wrong = wrong[~self.candidates.meets(values[wrong], cells[wrong])]
        chosen = rng.integers(*self.candidates.range_of(cells[wrong]))
        values[wrong] = self.candidates.values[chosen]
        return values


@dataclass(frozen=True)
class TableCells:
    """The cells of every column of a table."""

    encoding: TableEncoding
    columns: tuple[ColumnCells, ...]

    @classmethod
    def from_dataset(cls, train: Dataset, bins: int) -> TableCells:
        """Return the cells of `train`, with about `bins` bins of each number."""
        encoding = TableEncoding.from_dataset(train)
        n_numbers = sum(not column.is_nominal for column in encoding.columns)
        bins = min(bins, max(_MAX_BINS // max(n_numbers, 1), _MIN_BINS))
        columns = (ColumnCells.from_column(train, one, bins) for one in encoding.columns)
        return cls(encoding, tuple(columns))

    @property
    def order(self) -> Codes:
        """The column order of unconditional draws: few cells first, shape (d,)."""
        size = [len(np.flatnonzero(c.mass)) for c in self.columns]
        return np.argsort(np.array(size, dtype=np.int64), kind="stable")

    def encode(self, rows: Dataset) -> Codes:
        """Return the cell of every value, shape (n, d); -1 where train had no such value."""
        return np.stack([column.encode(rows) for column in self.columns], axis=1)

    def draw(self, codes: Codes, rng: np.random.Generator) -> Floats:
        """Return a value drawn from each cell, shape (n, d)."""
        drawn = [column.draw(codes[:, j], rng) for j, column in enumerate(self.columns)]
        return np.stack(drawn, axis=1)

    def decode(self, values: Floats, codes: Codes) -> Dataset:
        """Return the rows of these values in these cells."""
        matrix = np.zeros((len(values), self.encoding.width))
        for j, cells in enumerate(self.columns):
            matrix[:, cells.column.value] = values[:, j]
            if cells.column.missing is not None:
                missing = codes[:, j] == cells.n_present
                matrix[missing, cells.column.value] = cells.column.fill
                matrix[:, cells.column.missing] = missing
        return self.encoding.decode(matrix)

    def find_admissible(self, where: Where | None) -> Mapping[int, AdmissibleCells]:
        """Return, by position of the column, the cells that each condition admits."""
        if where is None or not where.conditions:
            return {}
        return find_admissible(
            where, self.encoding.schema, lambda j, one: self.columns[j].find_admissible(one)
        )


def _level_tokens(mass: Floats) -> tuple[Codes, Codes]:
    """Return coarse and fine tokens of levels in alphabetical order."""
    n_levels = len(mass)
    if n_levels <= _OWN_LEVELS:
        return np.arange(n_levels), np.zeros(n_levels, dtype=np.int64)
    by_mass = np.argsort(-mass, kind="stable")
    frequent, rare = np.sort(by_mass[:_FREQUENT_LEVELS]), np.sort(by_mass[_FREQUENT_LEVELS:])
    width = int(np.ceil(np.sqrt(len(rare))))
    coarse, fine = np.empty(n_levels, dtype=np.int64), np.zeros(n_levels, dtype=np.int64)
    coarse[frequent] = np.arange(len(frequent))
    coarse[rare] = len(frequent) + np.arange(len(rare)) // width
    fine[rare] = np.arange(len(rare)) % width
    return coarse, fine


def _number_cells(present: Floats, bins: int) -> tuple[Codes, Codes, Floats, Floats, Floats]:
    """Return coarse, fine, mass, starts and knots of the cells of sorted values."""
    n = len(present)
    values, counts = np.unique(present, return_counts=True)
    has_few_values = len(values) <= min(bins, n // 10)
    # A bin needs rows enough to be learnt; a small table gets fewer of them.
    bins = int(np.clip(n // 20, min(bins, 4), bins))
    own = has_few_values | (counts >= max(0.5 * n / bins, _MIN_REPEATS))
    bin_of = _groups(counts, own, n / bins)
    _, first_of_bin, coarse_of_value = np.unique(bin_of, return_index=True, return_inverse=True)
    in_bin = np.add.reduceat(counts, first_of_bin)[coarse_of_value]
    own = (counts == in_bin) | (counts >= _MIN_REPEATS)
    cell_of = _groups(counts, own, np.maximum(in_bin / _SPLITS, _MIN_REPEATS))
    first = np.flatnonzero(np.append(True, (np.diff(cell_of) != 0) | (np.diff(bin_of) != 0)))
    last = np.append(first[1:], len(values)) - 1
    mass = np.add.reduceat(counts, first).astype(np.float64)
    coarse = coarse_of_value[first].astype(np.int64)
    fine = np.arange(len(first)) - np.searchsorted(coarse, coarse, side="left")
    starts = (values[last[:-1]] + values[first[1:]]) / 2
    exact = (first == last) & (mass >= _MIN_REPEATS)
    return coarse, fine, mass, starts, _knots(present, values, first, last, mass, exact)


def _groups(counts: Codes, own: Mask, size: float | Floats) -> Floats:
    """Return a group for each ascending value: the `own` ones alone, others of about `size` rows."""
    shared = np.where(own, 0, counts)
    middle = np.cumsum(shared) - shared / 2
    chunk = np.floor(middle / size)
    # A chunk may continue after a value of its own: that begins a new group too.
    passed = 2 * np.cumsum(own) - own
    groups = np.append(0, np.cumsum((np.diff(chunk) != 0) | (np.diff(passed) != 0)))
    return groups.astype(np.float64)


def _knots(
    present: Floats, values: Floats, first: Codes, last: Codes, mass: Floats, exact: Mask
) -> Floats:
    """Return the ends of each cell and seven quantiles between them, shape (cells, 9)."""
    gap = np.diff(values)
    around = np.minimum(np.append(np.inf, gap), np.append(gap, np.inf)) / 2
    # A value reaches halfway to its nearer neighbour: nothing is drawn in a wide gap.
    reach = np.where(np.isfinite(around), around, 0.0)
    start = np.append(0, np.cumsum(mass)[:-1])
    at = start[:, None] + np.linspace(0, 1, _KNOTS)[None, :] * (mass - 1)[:, None]
    left = np.floor(at).astype(np.int64)
    right = np.minimum(left + 1, len(present) - 1)
    knots = present[left] + (present[right] - present[left]) * (at - left)
    single = first == last
    low, high = values[first] - reach[first], values[last] + reach[last]
    knots[:, 0], knots[:, -1] = low, high
    even = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, _KNOTS)
    knots[single] = even[single]
    knots[exact] = values[first[exact], None]
    knots[0, 0], knots[-1, -1] = values[0], values[-1]
    return knots


Singles = npt.NDArray[np.float32]

N_WAVES = 16  # smooth functions of a number: 14 cosines resolve about its 64 bins, rank and value
FINE_RANK = 32  # of the scores of fine tokens: bounds their weights for 10,000 of them
# Mean rows of a repeated value from which on a number's fine tokens are learnt: its values are
# habits then, not pieces of an interval.
_ROWS_PER_REPEAT = 12
_NEVER = -1e9  # score of a padding token: its probability is 0 in 32-bit floats
_MAX_SLOPE = 4.0  # nats over a bin: a steeper ramp follows noise of the neighbouring bins


class TokenLayout:
    """Positions of the tokens of every column that has more than one cell.

    Columns are ordered by the width of their coarse tokens; `columns` are their positions in the
    table.
    """

    def __init__(self, table: Sequence[ColumnCells]) -> None:
        n_coarse = [int(cells.coarse.max(initial=-1)) + 1 for cells in table]
        active = [j for j, cells in enumerate(table) if len(cells.coarse) > 1]
        self.columns = sorted(active, key=lambda j: (_padded(n_coarse[j]), j))
        self.cells = [table[j] for j in self.columns]
        self.n_coarse = [n_coarse[j] for j in self.columns]
        self.n_fine = [int(cells.fine.max()) + 1 for cells in self.cells]
        self.groups = group_by_width([_padded(n) for n in self.n_coarse])
        self.slot = np.zeros(len(self.columns), dtype=np.int64)
        for group in self.groups:
            self.slot[group.columns] = group.start + group.width * np.arange(len(group.columns))
        self.n_slots = sum(len(g.columns) * g.width for g in self.groups)
        split = [p for p, n in enumerate(self.n_fine) if n > 1]
        self.smooth = [p for p in split if _is_smooth(self.cells[p])]
        self.fine_groups = self._fine_groups([p for p in split if p not in self.smooth])
        self.numbers = [p for p, cells in enumerate(self.cells) if cells.is_number]
        self.wide_labels = [p for p in split if not self.cells[p].is_number]

    def _fine_groups(self, columns: list[int]) -> list[WidthGroup]:
        """Return the columns with fine tokens to learn, by width; they start at a row a token."""
        groups, start = [], 0
        widths = {p: _padded(self.n_fine[p]) for p in columns}
        for width in sorted(set(widths.values())):
            own = [p for p in columns if widths[p] == width]
            groups.append(WidthGroup(own, width, start))
            start += sum(self.n_coarse[p] for p in own)
        return groups

    @property
    def n_columns(self) -> int:
        """Number of columns in the network, d."""
        return len(self.columns)

    @cached_property
    def waves(self) -> list[Singles]:
        """Smooth functions of each cell of each number column, shape (k, m); 0 where missing."""
        return [_waves(self.cells[p]) for p in self.numbers]

    def shapes(self, width: int, blocks: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight array of a network of that size."""
        n_wide = sum(self.n_fine[p] for p in self.wide_labels)
        shapes: dict[str, tuple[int, ...]] = {
            "embed": (self.n_slots + self.n_columns + n_wide + 1, width),
            "start": (width,),
            "out": (self.n_slots, width),
            "out_bias": (self.n_slots,),
        }
        if self.numbers:
            shapes["waves"] = (len(self.numbers) * N_WAVES, width)
            shapes["out_waves"] = (len(self.numbers), N_WAVES, width)
        for b in range(blocks):
            shapes[f"in{b}"] = (width, 2 * width)
            shapes[f"back{b}"] = (width, width)
        for g, group in enumerate(self.fine_groups):
            n, rows = len(group.columns), sum(self.n_coarse[p] for p in group.columns)
            shapes[f"fine{g}_down"] = (width, n * FINE_RANK)
            shapes[f"fine{g}_scale"] = (rows, FINE_RANK)
            shapes[f"fine{g}_shift"] = (rows, FINE_RANK)
            shapes[f"fine{g}_out"] = (n, FINE_RANK, group.width)
        return shapes

    def marginal_scores(self) -> Singles:
        """Return the log share of every coarse token, with which the network begins."""
        out = np.full(self.n_slots, _NEVER, dtype=np.float32)
        for p, cells in enumerate(self.cells):
            at = self.slot[p]
            out[at : at + self.n_coarse[p]] = coarse_shares(cells, self.n_coarse[p])
        return out

    def slot_waves(self) -> tuple[Singles, Codes]:
        """Return mean waves of coarse tokens, (numbers, max tokens, m), and each slot's row there."""
        max_tokens = max(self.n_coarse[p] for p in self.numbers)
        means = np.zeros((len(self.numbers), max_tokens, N_WAVES), dtype=np.float32)
        row_of_slot = np.full(self.n_slots, len(self.numbers) * max_tokens, dtype=np.int64)
        for i, p in enumerate(self.numbers):
            n, cells = self.n_coarse[p], self.cells[p]
            mass = np.bincount(cells.coarse, cells.mass)
            sums = [np.bincount(cells.coarse, cells.mass * wave) for wave in self.waves[i].T]
            means[i, :n] = np.stack(sums, axis=1) / np.maximum(mass, 1)[:, None]
            row_of_slot[self.slot[p] : self.slot[p] + n] = i * max_tokens + np.arange(n)
        return means, row_of_slot


def _padded(n: int) -> int:
    """Return the next power of two, so that few widths occur."""
    return 1 << max(n - 1, 1).bit_length()


def _is_smooth(cells: ColumnCells) -> bool:
    """Return whether the fine cells of a number are pieces of bins, not values that repeat."""
    if not cells.is_number:
        return False
    n = cells.n_present
    shared = (np.bincount(cells.coarse)[cells.coarse] > 1)[:n]
    repeats = cells.mass[:n][shared & (cells.knots[:, 0] == cells.knots[:, -1])]
    is_discrete = repeats.sum() >= 0.5 * cells.mass[:n][shared].sum()
    return not (is_discrete and repeats.mean() >= _ROWS_PER_REPEAT)


def _waves(cells: ColumnCells) -> Singles:
    """Return cosines of each cell's rank, its rank and its value, shape (k, m)."""
    ranks = cells.ranks[:, None]
    waves = np.zeros((len(ranks), N_WAVES))
    waves[:, :-2] = np.cos(np.pi * np.arange(1, N_WAVES - 1) * ranks)
    waves[:, -2] = np.sqrt(3) * (2 * ranks[:, 0] - 1)
    n = cells.n_present
    middle = cells.knots[:, cells.knots.shape[1] // 2]
    share = cells.mass[:n] / max(cells.mass[:n].sum(), 1.0)
    deviation = np.sqrt(max(share @ (middle - share @ middle) ** 2, 0.0))
    if deviation > 0:
        waves[:n, -1] = np.clip((middle - share @ middle) / deviation, -4, 4)
    waves[n:] = 0
    return waves.astype(np.float32)


def coarse_shares(cells: ColumnCells, n_coarse: int) -> Singles:
    """Return the log share of each coarse token, shape (n_coarse,)."""
    mass = np.bincount(cells.coarse, np.maximum(cells.mass, 1e-6), n_coarse)
    return np.asarray(np.log(mass / mass.sum()), dtype=np.float32)


def fine_shares(cells: ColumnCells, n_coarse: int, width: int) -> Singles:
    """Return the log share of each fine token in its coarse one, shape (n_coarse, width)."""
    shares = np.zeros((n_coarse, width))
    shares[cells.coarse, cells.fine] = cells.mass
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(shares), _NEVER).astype(np.float32)


@dataclass(frozen=True)
class Ramp:
    """Fine tokens of a smooth number: a bin is tilted by the prediction for its neighbours.

    Within a bin the log of the ratio between the network's distribution and the column's own rises
    evenly, as it does from the bin before to the bin after. It has no weights, so it memorises no
    row.
    """

    own: torch.Tensor  # log share of every coarse token in the column, shape (k,)
    fine: torch.Tensor  # log share of every fine token in its coarse one, (k, fine)
    place: torch.Tensor  # place of a fine token in its bin, -1/2 to 1/2, (k, fine)
    before: torch.Tensor  # neighbours of each coarse token; itself without one or beside a tie
    after: torch.Tensor

    @classmethod
    def from_cells(cls, cells: ColumnCells, device: str) -> Ramp:
        """Return the ramp of a column."""
        n, width = int(cells.coarse.max()) + 1, int(cells.fine.max()) + 1
        size = np.bincount(cells.coarse)
        place = np.zeros((n, width))
        place[cells.coarse, cells.fine] = (cells.fine + 0.5) / size[cells.coarse] - 0.5
        token = np.arange(n)
        before, after = np.maximum(token - 1, 0), np.minimum(token + 1, n - 1)
        is_tie = size == 1
        arrays = (
            coarse_shares(cells, n),
            fine_shares(cells, n, width),
            place.astype(np.float32),
            np.where(is_tie[before], token, before),
            np.where(is_tie[after], token, after),
        )
        return cls(*(torch.as_tensor(a, device=device) for a in arrays))

    def scores(self, coarse_scores: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        """Return the scores of fine tokens given the coarse ones drawn, shape (n, fine)."""
        ratio = coarse_scores - self.own
        before, after = self.before[coarse], self.after[coarse]
        rise = ratio.gather(1, after[:, None]) - ratio.gather(1, before[:, None])
        rise = rise / (after - before).clamp(min=1)[:, None]
        return self.fine[coarse] + self.place[coarse] * rise.clamp(-_MAX_SLOPE, _MAX_SLOPE)
