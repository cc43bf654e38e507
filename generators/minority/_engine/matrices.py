"""Tables as one matrix of numbers and one of codes: distinct rows, their hashes, and copies of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.encoding import EncodedColumn, TableEncoding
from twinset.core.data.hashing import GOLDEN, scramble
from twinset.core.data.schema import Schema

from .streams import Floats, Positions

Codes = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Grid:
    """The rows of a table in numpy; columns in the order of the schema.

    Parameters
    ----------
    schema : Schema
        The fields.
    number_columns, label_columns : tuple of EncodedColumn
        Numbers, integers and datetimes; categories and booleans.
    numbers : numpy.ndarray, shape (m, p)
        Values in their own unit (datetimes in microseconds); missing is NaN.
    codes : numpy.ndarray of int32, shape (m, c)
        Levels as codes; missing is -1.
    origin : numpy.ndarray of int64, shape (m,)
        Positions of the rows in the set that `fit` was given.
    """

    schema: Schema
    number_columns: tuple[EncodedColumn, ...]
    label_columns: tuple[EncodedColumn, ...]
    numbers: Floats
    codes: Codes
    origin: Positions

    @classmethod
    def of(cls, dataset: Dataset, origin: Positions) -> Grid:
        """Return the grid of `dataset`, whose rows stand at `origin`."""
        columns = TableEncoding.from_dataset(dataset).columns
        numeric = tuple(column for column in columns if not column.is_nominal)
        nominal = tuple(column for column in columns if column.is_nominal)
        numbers, codes = _read(dataset, numeric, nominal)
        return cls(dataset.schema, numeric, nominal, numbers, codes, origin)

    def read(self, dataset: Dataset) -> tuple[Floats, Codes]:
        """Return other rows of the table as numbers and codes; a label not seen here is like no other."""
        return _read(dataset, self.number_columns, self.label_columns, order="F")

    def to_dataset(self, numbers: Floats, codes: Codes) -> Dataset:
        """Return new rows, numbers of shape (p, n) and codes of shape (c, n), as a set."""
        arrays: dict[str, pa.Array] = {}
        for column, values in zip(self.number_columns, numbers, strict=True):
            arrays[column.field.name] = _number_array(column, values)
        for column, drawn in zip(self.label_columns, codes, strict=True):
            arrays[column.field.name] = _label_array(column, drawn)
        records = pa.table([arrays[name] for name in self.schema.names], list(self.schema.names))
        return Dataset(records, self.schema, Card(name="synthetic", origin="synthetic"))


@dataclass(frozen=True)
class DistinctRows:
    """Rows of a grid, each once and in an order that does not depend on theirs.

    Parameters
    ----------
    numbers, codes : numpy.ndarray
        As in `Grid`, shapes (m, p) and (m, c).
    origin : numpy.ndarray of int64, shape (m,)
        Position of the first row of that content.
    hashes : numpy.ndarray of uint64, shape (m,)
        Hash of each row, ascending: the order. It has nothing to do with the values' own order, so
        that of equally near rows any may come first.
    counts : numpy.ndarray of int64, shape (m,)
        How many rows hold it.
    """

    numbers: Floats
    codes: Codes
    origin: Positions
    hashes: Hashes
    counts: Positions

    @classmethod
    def of(cls, grid: Grid, rows: Positions | None = None) -> DistinctRows:
        """Return the given rows of `grid` (all by default)."""
        numbers = grid.numbers if rows is None else grid.numbers[rows]
        codes = grid.codes if rows is None else grid.codes[rows]
        origin = grid.origin if rows is None else grid.origin[rows]
        hashes = row_hashes(numbers, codes)
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        is_first = np.ones(len(order), dtype=bool)
        is_first[1:] = ordered[1:] != ordered[:-1]
        counts = np.diff(np.flatnonzero(is_first), append=len(order))
        order = order[is_first]
        return cls(numbers[order], codes[order], origin[order], ordered[is_first], counts)

    def __len__(self) -> int:
        return len(self.hashes)

    def hold(self, numbers: Floats, codes: Codes) -> npt.NDArray[np.bool_]:
        """Return which of the given rows equal one of these, shape (n,)."""
        hashes = row_hashes(numbers, codes)
        at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.asarray(self.hashes[at] == hashes)


def row_hashes(numbers: Floats, codes: Codes) -> Hashes:
    """Return a 64-bit hash of every row, shape (n,); equal rows have equal ones."""
    hashes = np.full(len(numbers), GOLDEN, dtype=np.uint64)
    for i in range(numbers.shape[1]):
        bits = np.ascontiguousarray(numbers[:, i]).view(np.uint64)
        missing = np.isnan(numbers[:, i])
        if missing.any():
            bits = np.where(missing, np.uint64(1), bits)
        hashes = scramble(hashes ^ bits)
    for i in range(codes.shape[1]):
        hashes = scramble(hashes ^ codes[:, i].astype(np.int64).view(np.uint64))
    return hashes


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
            strange = len(column.levels)
            table = np.array([*(places.get(level, strange) for level in levels), -1], np.int32)
            found = table[found]
        codes[:, i] = found
    return np.asarray(numbers, order=order), np.asarray(codes, order=order)


def _number_array(column: EncodedColumn, values: Floats) -> pa.Array:
    kind = column.field.arrow_type
    missing = np.isnan(values) if column.missing is not None else None
    if column.field.is_continuous:
        return _cast(pa.array(values, mask=missing), kind)
    if missing is not None:
        values = np.where(missing, 0.0, values)
    if pa.types.is_unsigned_integer(kind):
        whole = np.clip(values, 0, np.nextafter(2.0**64, 0)).astype(np.uint64)
        return _cast(pa.array(whole, mask=missing), kind)
    # The greatest 64-bit integers have no exact float.
    signed = np.clip(values, -(2.0**63), np.nextafter(2.0**63, 0)).astype(np.int64)
    return _cast(pa.array(signed, mask=missing), kind)


def _label_array(column: EncodedColumn, codes: Codes) -> pa.Array:
    if not column.levels:
        return pa.nulls(len(codes), column.field.arrow_type)
    missing = codes < 0 if column.missing is not None else None
    if pa.types.is_boolean(column.field.arrow_type):
        return pa.array(np.array(column.levels)[codes] == "true", mask=missing)
    indices = pa.array(np.ascontiguousarray(codes), mask=missing)
    return pa.DictionaryArray.from_arrays(indices, pa.array(column.levels, pa.string()))


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    return array if array.type == kind else array.cast(kind, safe=False)


_BITS = 16
_LOOKED_AT = 3
_MIX = np.uint64(0x9E3779B97F4A7C15)

Seen = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class KnownRows:
    """The real rows, and for the columns that tell most rows apart which values they hold.

    A new row whose value in one of these columns is nobody's is no copy, and most are found so at the
    price of one look; only the others are compared whole.

    Parameters
    ----------
    cells : Cells
        The real rows.
    columns : tuple of (bool, int, numpy.ndarray)
        Whether it is a number, its position, and a table of bits by the hash of a value.
    """

    cells: DistinctRows
    columns: tuple[tuple[bool, int, Seen], ...]

    @classmethod
    def of(cls, cells: DistinctRows) -> KnownRows:
        """Return what is known of these rows."""
        bits = max(_BITS, int(np.ceil(np.log2(max(len(cells), 1)))) + 7)
        shift = np.uint64(64 - min(bits, 22))
        candidates = []
        for is_number, matrix in ((True, cells.numbers), (False, cells.codes)):
            for i in range(matrix.shape[1]):
                seen = np.zeros(2 ** int(64 - shift), dtype=bool)
                seen[_places(matrix[:, i], shift)] = True
                candidates.append((int(seen.sum()), is_number, i, seen))
        candidates.sort(key=lambda candidate: -candidate[0])
        return cls(cells, tuple(c[1:] for c in candidates[:_LOOKED_AT]))

    def marks(self, dataset: Dataset) -> npt.NDArray[np.uint64]:
        """Return a number for each row of a table, (n,), that depends on the telling columns alone."""
        marks = np.zeros(len(dataset), dtype=np.uint64)
        fields = dataset.schema.fields
        numeric = [f.name for f in fields if not f.has_levels]
        nominal = [f.name for f in fields if f.has_levels]
        for is_number, i, _ in self.columns:
            plain = dataset.values(numeric[i]) if is_number else dataset.codes(nominal[i])[0] + 0.0
            marks = (marks ^ (plain + 0.0).view(np.uint64)) * _MIX
            marks ^= marks >> np.uint64(29)
        return marks

    def among(self, numbers: Floats, codes: Codes) -> Positions:
        """Return the positions of those of the given rows that equal a real one."""
        rows = np.arange(len(numbers))
        for is_number, i, seen in self.columns:
            values = (numbers if is_number else codes)[:, i]
            shift = np.uint64(64 - int(np.log2(len(seen))))
            rows = rows[seen[_places(values[rows], shift)]]
            if not len(rows):
                return rows
        return rows[self.cells.hold(numbers[rows], codes[rows])]


def _places(values: Floats | npt.NDArray[np.int32], shift: np.uint64) -> Positions:
    """Return the place of each value in a table of 2 ** (64 - shift) bits."""
    plain = values + 0.0  # floats, and one zero
    bits = np.ascontiguousarray(plain).view(np.uint64)
    missing = np.isnan(plain)
    if missing.any():
        bits = np.where(missing, np.uint64(1), bits)
    bits = bits ^ (bits >> np.uint64(32))
    return ((bits * _MIX) >> shift).astype(np.int64)
