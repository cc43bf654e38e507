"""Tables as one matrix of numbers and one of codes: distinct rows, their hashes, and copies of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.encoding import EncodedColumn, TableEncoding, label_array, number_array
from twinset.core.data.schema import Schema
from twinset.core.seeding import GOLDEN, scramble

from .streams import Floats, Positions

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

    def contains(self, numbers: Floats, codes: Codes) -> npt.NDArray[np.bool_]:
        """Return which of the given rows equal one of these, shape (n,)."""
        hashes = row_hashes(numbers, codes)
        at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.asarray(self.hashes[at] == hashes)


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


_MIN_BITS, _MAX_BITS = 16, 22  # of a table of values: 64 kB to 4 MB, which a cache still holds
_SPARE_BITS = 7  # 128 places for each real row, so that few free numbers hit a place in use
_N_TABLES = 3  # columns compared before whole rows are: those with most distinct values
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2 ** 64 over the golden ratio (Fibonacci hashing)


@dataclass(frozen=True)
class KnownRows:
    """The real rows, and for the columns with most distinct values a table of values in use.

    A new row whose value in one of these columns no real row has is no copy. Most new rows are
    recognised so by one look into the table; only the others are compared as a whole.
    """

    cells: DistinctRows
    # Of each column: whether it is a number, its position, and a table of bits by the hash of a value.
    columns: tuple[tuple[bool, int, npt.NDArray[np.bool_]], ...]

    @classmethod
    def from_rows(cls, cells: DistinctRows) -> KnownRows:
        """Return the tables of these rows."""
        bits = max(_MIN_BITS, int(np.ceil(np.log2(max(len(cells), 1)))) + _SPARE_BITS)
        size = min(bits, _MAX_BITS)
        columns = []
        for is_number, matrix in ((True, cells.numbers), (False, cells.codes)):
            for i, values in enumerate(matrix.T):
                in_use = np.zeros(2**size, dtype=bool)
                in_use[_places(values, np.uint64(64 - size))] = True
                columns.append((is_number, i, in_use))
        columns.sort(key=lambda column: -int(column[2].sum()))
        return cls(cells, tuple(columns[:_N_TABLES]))

    def hash_columns(self, dataset: Dataset) -> Hashes:
        """Return a number for each row of a table, (n,), that depends on these columns alone."""
        hashes = np.zeros(len(dataset), dtype=np.uint64)
        fields = dataset.schema.fields
        numeric = [f.name for f in fields if not f.has_levels]
        nominal = [f.name for f in fields if f.has_levels]
        for is_number, i, _ in self.columns:
            plain = dataset.values(numeric[i]) if is_number else dataset.codes(nominal[i])[0] + 0.0
            hashes = (hashes ^ (plain + 0.0).view(np.uint64)) * _MIX
            hashes ^= hashes >> np.uint64(29)
        return hashes

    def find_copies(self, numbers: Floats, codes: Codes) -> Positions:
        """Return the positions of those of the given rows that equal a real one."""
        rows = np.arange(len(numbers))
        for is_number, i, in_use in self.columns:
            values = (numbers if is_number else codes)[:, i]
            shift = np.uint64(64 - int(np.log2(len(in_use))))
            rows = rows[in_use[_places(values[rows], shift)]]
            if not len(rows):
                return rows
        return rows[self.cells.contains(numbers[rows], codes[rows])]


def _places(values: Floats | Codes, shift: np.uint64) -> Positions:
    """Return the place of each value in a table of 2 ** (64 - shift) bits."""
    bits = _bits(values + 0.0)  # floats, and one zero
    bits = bits ^ (bits >> np.uint64(32))
    return ((bits * _MIX) >> shift).astype(np.int64)
