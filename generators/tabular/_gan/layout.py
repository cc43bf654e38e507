"""A table as states and positions, and as rows of features that the conditional GAN works on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    offsets,
)
from ..copula import Margin

_FEW_VALUES = 20  # of a number: all that repeat are states, as in a count or a grade
_MAX_ATOMS = 64  # bounds the width of a number with many repeated values
# A repeated value is a state if it has 5 rows, .5 % of all and thrice as many as values around it.
_MIN_ATOM_ROWS, _MIN_ATOM_FRACTION, _SPIKE = 5, 0.005, 3.0
_ROWS_PER_INTERVAL = 40  # fewer rows cannot be separated from noise by the critic
_MAX_CORNERS = (
    4_096  # of the inverse distribution: bounds a checkpoint, finer than its sampling error
)
_POINTS_PER_INTERVAL = 16  # candidates for a condition on a part of an interval


@dataclass(frozen=True)
class StateColumn:
    """How each cell of a column becomes a state and, in an interval, a position there.

    The states stand in this order: the atoms, each a value of its own (levels, repeated numbers);
    intervals of equal mass of all other numbers; one for all rarer levels; one for missing. This is
    the mode-specific normalisation of Xu et al. with the ranks of the numbers in place of a
    Gaussian mixture: found by one sort, and even inside every mode.
    """

    column: EncodedColumn
    atoms: Floats  # values that are states of their own, ascending, shape (a,)
    n_intervals: int  # 0 where every number is an atom
    corners: Floats  # inverse distribution of the other numbers: points and values, (2, c)
    rest: Floats  # codes of the rarer levels and their cumulative shares, (2, r)

    @property
    def other(self) -> int | None:
        """State of the rarer levels."""
        return len(self.atoms) + self.n_intervals if self.rest.size else None

    @property
    def missing(self) -> int | None:
        """State of missing values."""
        return None if self.column.missing is None else self.n_states - 1

    @property
    def n_states(self) -> int:
        """Number of states, 1 or more."""
        extras = bool(self.rest.size) + (self.column.missing is not None)
        return max(len(self.atoms) + self.n_intervals + extras, 1)

    def encode(self, matrix: Floats, rng: np.random.Generator) -> tuple[Codes, Floats]:
        """Return state and position (-1 to 1; 0 outside intervals) of each row, shape (n,) each."""
        values = matrix[:, self.column.value]
        is_missing = _missing(self.column, matrix)
        states, positions = np.zeros(len(values), dtype=np.int64), np.zeros(len(values))
        if self.missing is not None:
            states[is_missing] = self.missing
        place = np.searchsorted(self.atoms, values)
        is_atom = np.append(self.atoms, np.nan)[place] == values
        states[is_atom & ~is_missing] = place[is_atom & ~is_missing]
        others = np.flatnonzero(~is_atom & ~is_missing)
        if self.other is not None:
            states[others] = self.other
        elif len(others):
            ranks = np.empty(len(others))
            ranks[np.lexsort((rng.random(len(others)), values[others]))] = np.arange(len(others))
            along = (ranks + 0.5) / len(others) * self.n_intervals
            states[others] = len(self.atoms) + along.astype(np.int64)
            positions[others] = 2 * (along % 1.0) - 1
        return states, positions

    def centres(self, counts: Codes) -> tuple[Floats, Floats]:
        """Return centre and half width of each number's state in ranks from -1 to 1."""
        centres, halves = np.zeros(self.n_states), np.zeros(self.n_states)
        n_numbers = len(self.atoms) + self.n_intervals
        if self.column.is_nominal or not n_numbers:
            return centres, halves
        ends = np.empty(0)
        if self.n_intervals:
            ends = np.interp(np.linspace(0, 1, self.n_intervals + 1), *self.corners)
        order = np.lexsort((np.append(self.atoms, ends[1:]), np.append(self.atoms, ends[:-1])))
        shares = counts[:n_numbers][order] / max(int(counts[:n_numbers].sum()), 1)
        ends = np.append(0.0, np.cumsum(shares))
        centres[order] = ends[:-1] + ends[1:] - 1
        halves[order] = np.diff(ends)
        halves[: len(self.atoms)] = 0
        return centres, halves

    def find_admissible(self, condition: Condition) -> AdmissibleValues:
        """Return atoms, levels and points inside the intervals that meet `condition`."""
        a, k = len(self.atoms), self.n_intervals
        values, states = [self.atoms], [np.arange(a)]
        if k:
            along = np.union1d(self.corners[0], np.linspace(0, 1, k * _POINTS_PER_INTERVAL + 1))
            points = np.interp(along, *self.corners)
            near = [
                value
                for number in numbers_in(condition, self.column)
                for step in [self.column.step or abs(number) * 1e-9]
                for value in (number - step, number, number + step)
                if points[0] <= value <= points[-1]
            ]
            near = [v for v in near if v not in set(self.atoms.tolist())]
            along = np.append(along, np.interp(near, self.corners[1], self.corners[0]))
            values.append(np.append(points, near))
            states.append(a + np.minimum((along * k).astype(np.int64), k - 1))
        if self.other is not None:
            values.append(self.rest[0])
            states.append(np.full(self.rest.shape[1], self.other))
        if self.missing is not None:
            values.append(np.array([self.column.fill]))
            states.append(np.array([self.n_states - 1]))
        every = np.concatenate(states).astype(np.int64)
        return AdmissibleValues.from_candidates(
            condition, self.column, self.missing, np.concatenate(values), every
        )[0]


@dataclass(frozen=True)
class StateTable:
    """All columns of a table as states."""

    encoding: TableEncoding
    columns: tuple[StateColumn, ...]

    @classmethod
    def from_dataset(
        cls, train: Dataset, *, n_modes: int, max_levels: int
    ) -> tuple[StateTable, Floats]:
        """Return the table of states of `train`, and its rows as floats, shape (n, d)."""
        encoding = TableEncoding.from_dataset(train)
        matrix = encoding.encode(train)
        columns = [
            _states_of_levels(column, matrix, max_levels)
            if column.is_nominal
            else _states_of_numbers(column, matrix, n_modes)
            for column in encoding.columns
        ]
        return cls(encoding, tuple(columns)), matrix

    def encode(self, matrix: Floats, rng: np.random.Generator) -> tuple[Codes, Floats]:
        """Return states and positions, shape (n, number of columns) each."""
        states, positions = zip(*(column.encode(matrix, rng) for column in self.columns))
        return np.stack(states, axis=1), np.stack(positions, axis=1)

    def find_admissible(self, where: Where) -> Mapping[int, AdmissibleValues]:
        """Return, by position of the column, the values that meet each condition."""
        return find_admissible(
            where, self.encoding.schema, lambda i, one: self.columns[i].find_admissible(one)
        )


def force_condition(
    admissible: AdmissibleValues, matrix: Floats, states: Codes, rng: np.random.Generator
) -> None:
    """Give every row that violates a condition an admissible value of its own state, in place."""
    place = admissible.column.value
    wrong = ~admissible.meets(matrix[:, place], states)
    if wrong.any():
        low, high = admissible.range_of(states[wrong])
        chosen = low + (rng.random(len(low)) * (high - low)).astype(np.int64)
        matrix[wrong, place] = admissible.values[chosen]


def _states_of_levels(column: EncodedColumn, matrix: Floats, max_levels: int) -> StateColumn:
    codes = matrix[~_missing(column, matrix), column.value].astype(np.int64)
    counts = np.bincount(codes, minlength=len(column.levels))
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    kept, rare = np.sort(order[:max_levels]), order[max_levels:]
    rest = np.empty((2, 0))
    if len(rare):
        shares = np.cumsum(counts[rare])
        rest = np.stack([rare, shares / shares[-1]]).astype(np.float64)
    return StateColumn(column, kept.astype(np.float64), 0, np.empty((2, 0)), rest)


def _states_of_numbers(column: EncodedColumn, matrix: Floats, n_modes: int) -> StateColumn:
    present = matrix[~_missing(column, matrix), column.value]
    values, counts = np.unique(present, return_counts=True)
    is_atom = _find_atoms(counts)
    others = present[~is_atom[np.searchsorted(values, present)]]
    n_intervals = 0
    corners = np.empty((2, 0))
    if len(others):
        n_intervals = int(np.clip(len(others) // _ROWS_PER_INTERVAL, 1, n_modes))
        corners = np.stack(Margin.from_numbers(others, _MIN_ATOM_ROWS).corners)
        if corners.shape[1] > _MAX_CORNERS:
            grid = np.linspace(0, 1, _MAX_CORNERS)
            corners = np.stack([grid, np.interp(grid, *corners)])
    return StateColumn(column, values[is_atom], n_intervals, corners, np.empty((2, 0)))


def _find_atoms(counts: Codes) -> Mask:
    """Return which of the distinct numbers, in ascending order, are atoms, shape (k,)."""
    if len(counts) <= _FEW_VALUES:
        return np.asarray((counts >= 2) | (len(counts) == 1))
    from scipy.ndimage import median_filter

    beside = median_filter(counts, size=9, mode="mirror")
    min_rows = max(_MIN_ATOM_ROWS, _MIN_ATOM_FRACTION * counts.sum())
    atoms = (counts >= min_rows) & (counts >= _SPIKE * beside)
    atoms[np.argsort(-np.where(atoms, counts, 0), kind="stable")[_MAX_ATOMS:]] = False
    return np.asarray(atoms)


def _missing(column: EncodedColumn, matrix: Floats) -> npt.NDArray[np.bool_]:
    if column.missing is None:
        return np.zeros(len(matrix), dtype=bool)
    return np.asarray(matrix[:, column.missing] == 1)


_CELLS_AT_ONCE = 4_000_000  # 32-bit floats of a block of features: 16 MB


@dataclass(frozen=True)
class SlotLayout:
    """Slots of all states: one span a column, padded so that spans of one width lie together.

    A row of features is the one-hot of every span, then for every column with intervals the
    position inside its interval and the rank of the number in its column, both from -1 to 1.
    """

    spans: tuple[int, ...]  # columns of the table that vary, in the order of their spans
    widths: tuple[int, ...]  # slots of each span, ascending, padding included
    sizes: tuple[int, ...]  # states of each span
    n_atoms: tuple[int, ...]  # atoms of each span: the intervals begin after them
    n_intervals: tuple[int, ...]  # intervals of each span

    @classmethod
    def from_table(cls, table: StateTable) -> SlotLayout:
        """Return the layout of the columns that have more than one state, or an interval."""
        varying = [i for i, c in enumerate(table.columns) if c.n_states > 1 or c.n_intervals]
        widths = {i: _padded(table.columns[i].n_states) for i in varying}
        spans = sorted(varying, key=lambda i: (widths[i], i))
        columns = [table.columns[i] for i in spans]
        return cls(
            tuple(spans),
            tuple(widths[i] for i in spans),
            tuple(c.n_states for c in columns),
            tuple(len(c.atoms) for c in columns),
            tuple(c.n_intervals for c in columns),
        )

    @property
    def n_slots(self) -> int:
        """Slots of all spans together, p."""
        return sum(self.widths)

    @cached_property
    def starts(self) -> Codes:
        """First slot of each span, shape (s,)."""
        return offsets(self.widths)

    @cached_property
    def groups(self) -> list[WidthGroup]:
        """The groups of equally wide spans."""
        return group_by_width(self.widths)

    @cached_property
    def used(self) -> Mask:
        """Which slots represent a state, shape (p,); the others are padding."""
        parts = [np.arange(w) < size for w, size in zip(self.widths, self.sizes, strict=True)]
        return np.concatenate([*parts, np.empty(0, dtype=bool)])

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Spans that have intervals."""
        return tuple(i for i, k in enumerate(self.n_intervals) if k)

    @cached_property
    def interval_slots(self) -> Codes:
        """Slots of all intervals, shape (h,), span by span."""
        parts = [
            self.starts[i] + self.n_atoms[i] + np.arange(self.n_intervals[i]) for i in self.numbers
        ]
        return np.concatenate([*parts, np.empty(0)]).astype(np.int64)

    @cached_property
    def interval_owner(self) -> Codes:
        """Index in `numbers` of the span of each interval slot, shape (h,)."""
        return np.repeat(np.arange(len(self.numbers)), [self.n_intervals[i] for i in self.numbers])

    def slots_of(self, column: int) -> slice | None:
        """Return the slots of a column of the table; None if it has but one state."""
        if column not in self.spans:
            return None
        span = self.spans.index(column)
        start = int(self.starts[span])
        return slice(start, start + self.sizes[span])

    def rank_weights(self, table: StateTable, counts: Codes) -> tuple[Floats, Floats]:
        """Return matrices that turn one-hot rows and placed rows into ranks, (p, a) and (h, a)."""
        by_state = np.zeros((self.n_slots, len(self.numbers)))
        by_place = np.zeros((len(self.interval_slots), len(self.numbers)))
        for a, i in enumerate(self.numbers):
            own = slice(int(self.starts[i]), int(self.starts[i]) + self.sizes[i])
            centres, halves = table.columns[self.spans[i]].centres(counts[own])
            by_state[own, a] = centres
            intervals = slice(self.n_atoms[i], self.n_atoms[i] + self.n_intervals[i])
            by_place[self.interval_owner == a, a] = halves[intervals]
        return by_state, by_place

    def choose(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the slot with the highest score in every span, shape (n, s)."""
        picked = []
        for group in self.groups:
            part = self._part(scores, group)
            first = torch.arange(len(group.columns), device=scores.device)
            picked.append(part.argmax(2) + (group.start + group.width * first))
        return torch.cat(picked, 1)

    def softmax(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the softmax over every span, shape (n, p)."""
        parts = [self._part(scores, group).softmax(2).flatten(1) for group in self.groups]
        return torch.cat(parts, 1)

    def _part(self, scores: torch.Tensor, group: WidthGroup) -> torch.Tensor:
        n = len(group.columns)
        part = scores[:, group.start : group.start + n * group.width]
        return part.reshape(-1, n, group.width)


def _padded(width: int) -> int:
    """Return the next of 2, 3, 4, 6, 8, 12, 16, 24, ...: at most a third of a span is padding."""
    power = 2
    while width > power + power // 2:
        power *= 2
    return power if width <= power else power + power // 2


@dataclass(frozen=True)
class StateFeatures:
    """Tensors, on one device, that turn states and places into rows of features."""

    layout: SlotLayout
    used: torch.Tensor  # slots that represent a state, shape (p,)
    span_of: torch.Tensor  # span of each slot, (p,)
    interval_slots: torch.Tensor  # slot of each interval, (h,)
    owners: torch.Tensor  # one-hot of the column of each interval, (h, a)
    rank_of_state: torch.Tensor  # of `SlotLayout.rank_weights`
    rank_of_place: torch.Tensor

    @classmethod
    def from_layout(
        cls, layout: SlotLayout, ranks: tuple[Floats, Floats], device: str
    ) -> StateFeatures:
        """Return the features of a layout with the matrices of `SlotLayout.rank_weights`."""
        spans = np.repeat(np.arange(len(layout.spans)), layout.widths)
        owners = np.eye(len(layout.numbers))[layout.interval_owner]
        return cls(
            layout,
            torch.tensor(layout.used, device=device),
            torch.tensor(spans, device=device),
            torch.tensor(layout.interval_slots, device=device),
            *(torch.tensor(m, dtype=torch.float32, device=device) for m in (owners, *ranks)),
        )

    @property
    def n_features(self) -> int:
        """Width of a row of features, f."""
        return self.layout.n_slots + 2 * len(self.layout.numbers)

    def one_hot(self, slots: torch.Tensor) -> torch.Tensor:
        """Return rows with a 1 in every given slot, shape (n, p)."""
        empty = torch.zeros(len(slots), self.layout.n_slots, device=slots.device)
        return empty.scatter_(1, slots, 1.0)

    def rows(self, one_hot: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return features, shape (n, f), of one-hot states (n, p) and places of intervals (n, h)."""
        placed = one_hot[:, self.interval_slots] * places
        ranks = one_hot @ self.rank_of_state + placed @ self.rank_of_place
        return torch.cat([one_hot, placed @ self.owners, ranks], 1)


class RealRows:
    """The train rows, and draws of them as in training by sampling (Xu et al. 2019).

    A condition is a column at random and one of its states by the logarithm of its frequency; the
    row is one of those in that state. States of numbers, atoms and missing values take part too.
    """

    def __init__(self, features: StateFeatures, slots: Codes, positions: Floats) -> None:
        device = features.used.device
        self.features = features
        self.slots = torch.tensor(slots, dtype=torch.int32, device=device)
        n_slots = features.layout.n_slots
        counts = torch.zeros(n_slots, dtype=torch.float64, device=device)
        for column in self.slots.T:
            counts += torch.bincount(column, minlength=n_slots)
        self.extras = self._extras(torch.tensor(positions, dtype=torch.float32, device=device))
        chances = torch.log1p(counts)
        totals = torch.zeros(len(slots[0]), dtype=torch.float64, device=device)
        totals.index_add_(0, features.span_of, chances)
        self.chances = chances / totals[features.span_of] / len(slots[0])
        self.counts = counts.long()
        self.order = torch.argsort(self.slots.T, dim=1, stable=True).to(torch.int32)
        ends = torch.cumsum(self.counts, 0)
        self.first = ends - self.counts - features.span_of * len(slots)

    def __len__(self) -> int:
        return len(self.slots)

    def batch(self, n: int, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return `n` conditions as slots, shape (n,), and a real row for each, shape (n, f)."""
        device = self.slots.device
        slots = torch.multinomial(self.chances.float(), n, replacement=True, generator=random)
        along = torch.rand(n, generator=random, device=device, dtype=torch.float64)
        count = self.counts[slots]
        place = self.first[slots] + torch.minimum((along * count).long(), count - 1)
        rows = self.order[self.features.span_of[slots], place].long()
        return slots, self.take(rows)

    def take(self, rows: torch.Tensor | slice) -> torch.Tensor:
        """Return the features of these rows, shape (n, f)."""
        return torch.cat([self.features.one_hot(self.slots[rows].long()), self.extras[rows]], 1)

    def mean_squares(self) -> torch.Tensor:
        """Return the mean square of every feature over the rows as `batch` draws them, shape (f,)."""
        total = torch.zeros(self.features.n_features, device=self.slots.device)
        for rows, weights in self._weighted():
            total += weights @ rows**2
        return total

    def moments(self) -> torch.Tensor:
        """Return the mean product of any two features over the rows as `batch` draws them, (f, f)."""
        width = self.features.n_features
        total = torch.zeros(width, width, device=self.slots.device)
        for rows, weights in self._weighted():
            total += rows.T @ (rows * weights[:, None])
        return total

    def _blocks(self) -> Iterator[slice]:
        size = max(_CELLS_AT_ONCE // self.features.n_features, 1)
        yield from (slice(start, start + size) for start in range(0, len(self), size))

    def _weighted(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield blocks of rows with the chance that `batch` draws each, shapes (n, f) and (n,)."""
        chances = (self.chances / self.counts.clamp_min(1)).float()
        for block in self._blocks():
            yield self.take(block), chances[self.slots[block].long()].sum(1)

    def _extras(self, positions: torch.Tensor) -> torch.Tensor:
        """Return positions and ranks of every row, shape (n, 2 a)."""
        parts = []
        for block in self._blocks():
            one_hot = self.features.one_hot(self.slots[block].long())
            places = positions[block] @ self.features.owners.T
            parts.append(self.features.rows(one_hot, places)[:, self.features.layout.n_slots :])
        return torch.cat(parts)
