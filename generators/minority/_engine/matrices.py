"""Random streams by block, and tables as a matrix of numbers and one of codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.encoding import EncodedColumn, TableEncoding, label_array, number_array
from twinset.core.data.schema import Schema
from twinset.core.seeding import GOLDEN, scramble

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

BLOCK_ROWS = 4_096  # drawn at a time: 30 columns of them fit a processor's cache

# Purposes: each has streams of its own, so one that draws more or less moves no other.
PARENTS, ROUNDING, NOISE, CLASSES = range(4)


@dataclass(frozen=True)
class Streams:
    """The key of one request; every block of rows, purpose and attempt has a stream of its own.

    Philox is a counter-based generator, so a stream opens at once, in any order and in any thread.
    """

    key: tuple[int, int]

    @classmethod
    def from_rng(cls, rng: np.random.Generator) -> Streams:
        """Return streams under a key drawn from `rng`."""
        first, second = rng.integers(0, 2**63, size=2)
        return cls((int(first), int(second)))

    def at(self, block: int, purpose: int, attempt: int = 0) -> np.random.Generator:
        """Return the stream of one block of rows for one purpose."""
        counter = np.array([0, block, purpose, attempt], dtype=np.uint64)
        key = np.array(self.key, dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))


@dataclass(frozen=True)
class RandomDraws:
    """Random numbers for some rows of one block; `attempt` counts how often they are drawn again."""

    streams: Streams
    block: int
    rows: Positions  # positions in the block, ascending, shape (r,)
    attempt: int = 0

    def uniform(self, purpose: int, width: int) -> Floats:
        """Return numbers in [0, 1), shape (r, width)."""
        stream = self.streams.at(self.block, purpose, self.attempt)
        return self._at_rows(stream.random((self._n_drawn, width)))

    def normal(self, purpose: int, width: int) -> Floats:
        """Return standard normal numbers, shape (r, width)."""
        stream = self.streams.at(self.block, purpose, self.attempt)
        return self._at_rows(stream.standard_normal((self._n_drawn, width)))

    @property
    def _n_drawn(self) -> int:
        return int(self.rows[-1]) + 1 if len(self.rows) else 0

    def _at_rows(self, drawn: Floats) -> Floats:
        return drawn if len(drawn) == len(self.rows) else drawn[self.rows]


Codes = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Grid:
    """The rows of a table in numpy; columns in the order of the schema."""

    schema: Schema
    number_columns: tuple[EncodedColumn, ...]  # numbers, integers and datetimes
    label_columns: tuple[EncodedColumn, ...]  # categories and booleans
    numbers: Floats  # shape (m, p), in their own unit (datetimes: microseconds); missing is NaN
    codes: Codes  # shape (m, c), codes of levels; missing is -1
    origin: Positions  # shape (m,), positions of the rows in the set that `fit` was given

    @classmethod
    def from_dataset(cls, dataset: Dataset, origin: Positions) -> Grid:
        """Return the grid of `dataset`, which holds the rows `origin` of the train set."""
        columns = TableEncoding.from_dataset(dataset).columns
        numeric = tuple(column for column in columns if not column.is_nominal)
        nominal = tuple(column for column in columns if column.is_nominal)
        numbers, codes = _read(dataset, numeric, nominal)
        return cls(dataset.schema, numeric, nominal, numbers, codes, origin)

    def read(self, dataset: Dataset) -> tuple[Floats, Codes]:
        """Return other rows of the table as numbers and codes; all labels unknown here are one."""
        return _read(dataset, self.number_columns, self.label_columns, order="F")

    def to_dataset(self, numbers: Floats, codes: Codes) -> Dataset:
        """Return new rows, numbers of shape (p, n) and codes of shape (c, n), as a set."""
        arrays: dict[str, pa.Array] = {}
        for column, values in zip(self.number_columns, numbers):
            missing = np.isnan(values) if column.missing is not None else None
            arrays[column.field.name] = number_array(column.field, values, missing)
        for column, drawn in zip(self.label_columns, codes):
            missing = drawn < 0 if column.missing is not None else None
            arrays[column.field.name] = label_array(column, drawn, missing)
        records = pa.table([arrays[name] for name in self.schema.names], list(self.schema.names))
        return Dataset(records, self.schema, Card(name="synthetic", origin="synthetic"))


@dataclass(frozen=True)
class DistinctRows:
    """Rows of a grid, each once and in an order that does not depend on theirs."""

    numbers: Floats  # shape (m, p)
    codes: Codes  # shape (m, c)
    origin: Positions  # shape (m,), position of the first row with this content
    # Ascending: the order of the rows. A hash is unrelated to the values, so of rows at the same
    # distance any may come first.
    hashes: Hashes
    counts: Positions  # shape (m,), number of rows with this content

    @classmethod
    def from_grid(cls, grid: Grid, rows: Positions | None = None) -> DistinctRows:
        """Return the given rows of `grid` (all by default)."""
        chosen: slice | Positions = slice(None) if rows is None else rows
        numbers, codes, origin = grid.numbers[chosen], grid.codes[chosen], grid.origin[chosen]
        hashes = row_hashes(numbers, codes)
        order = np.argsort(hashes, kind="stable")
        distinct, first, counts = np.unique(hashes[order], return_index=True, return_counts=True)
        order = order[first]
        return cls(numbers[order], codes[order], origin[order], distinct, counts)

    def __len__(self) -> int:
        return len(self.hashes)

    def find_copies(self, numbers: Floats, codes: Codes) -> Positions:
        """Return the positions of those of the given rows that equal one of these."""
        rows = np.arange(len(numbers))
        if self._free_number is not None:
            # A number that no row has tells most new rows from all of these by one look.
            column, known = self._free_number
            values = numbers[:, column]
            at = np.minimum(np.searchsorted(known, values), len(known) - 1)
            rows = np.flatnonzero((known[at] == values) | np.isnan(values))
        hashes = row_hashes(numbers[rows], codes[rows])
        at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.asarray(rows[self.hashes[at] == hashes])

    @cached_property
    def _free_number(self) -> tuple[int, Floats] | None:
        """The number with most distinct values, and these, ascending; None without numbers."""
        distinct = [np.unique(values) for values in self.numbers.T]
        most = max(range(len(distinct)), key=lambda i: len(distinct[i]), default=None)
        return None if most is None else (most, distinct[most])


def row_hashes(numbers: Floats, codes: Codes) -> Hashes:
    """Return a 64-bit hash of every row, shape (n,); equal rows have equal ones."""
    hashes = np.full(len(numbers), GOLDEN, dtype=np.uint64)
    for values in numbers.T:
        hashes = scramble(hashes ^ _bits(values))
    for column in codes.T:
        hashes = scramble(hashes ^ column.astype(np.int64).view(np.uint64))
    return hashes


def _bits(values: npt.NDArray[np.floating]) -> Hashes:
    """Return the bits of floats; every NaN has the same ones."""
    bits = np.ascontiguousarray(values).view(np.uint64)
    missing = np.isnan(values)
    return np.where(missing, np.uint64(1), bits) if missing.any() else bits


def _read(
    dataset: Dataset,
    numeric: Sequence[EncodedColumn],
    nominal: Sequence[EncodedColumn],
    order: Literal["C", "F"] = "C",
) -> tuple[Floats, Codes]:
    numbers = np.empty((len(dataset), len(numeric)), order="F")
    for i, column in enumerate(numeric):
        # -0.0 and 0.0 are one value.
        np.add(dataset.values(column.field.name), 0.0, out=numbers[:, i])
    codes = np.empty((len(dataset), len(nominal)), dtype=np.int32, order="F")
    for i, column in enumerate(nominal):
        found, levels = dataset.codes(column.field.name)
        if levels != column.levels:
            places = {level: code for code, level in enumerate(column.levels)}
            unknown = len(column.levels)
            table = np.array([*(places.get(level, unknown) for level in levels), -1], np.int32)
            found = table[found]
        codes[:, i] = found
    return np.asarray(numbers, order=order), np.asarray(codes, order=order)
