"""Rows as 64-bit keys: equal rows have equal keys, and a column can be taken out of a key again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.hashing import GOLDEN, spread
from twinset.core.features.encoder import robust_scale

Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class RowKeys:
    """The cells of several sets, one below the other, as numbers that mix to a key a row.

    Parameters
    ----------
    cells : mapping
        Column -> mixed 64-bit number of every row, shape (n,).
    numbers : mapping
        Numeric column -> values as floats, NaN where missing, shape (n,).
    """

    cells: Mapping[str, Keys]
    numbers: Mapping[str, npt.NDArray[np.float64]]
    _kept: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, parts: Sequence[Dataset], names: Sequence[str]) -> RowKeys:
        """Return the keys of the named columns of all parts, in the order given."""
        cells, numbers = {}, {}
        for place, name in enumerate(names):
            if all(part.schema[name].column_kind.has_float_values for part in parts):
                numbers[name] = np.concatenate([part.values(name) for part in parts])
                raw = _bits(numbers[name])
            else:
                raw = _codes(parts, name)
            cells[name] = mixed(raw, place)
        return cls(cells, numbers)

    def key(self, names: Sequence[str]) -> Keys:
        """Return one key a row over the named columns, shape (n,)."""
        total = np.zeros(len(next(iter(self.cells.values()))), dtype=np.uint64)
        for name in names:
            total += self.cells[name]
        return total

    def _scaled(self, name: str) -> npt.NDArray[np.float64]:
        """Return a numeric column in units of its spread; computed once."""
        if name not in self._kept:
            values = self.numbers[name]
            centre, spread = robust_scale(values[np.isfinite(values)])
            self._kept[name] = (values - centre) / spread
        return self._kept[name]

    def grid_key(self, names: Sequence[str], width: float, shift: float) -> Keys:
        """Return one key a row in which numbers that fall into one cell of a grid are equal.

        Parameters
        ----------
        names : sequence of str
            Columns; those that are not numeric must be equal.
        width : float
            Side of a cell, in units of the column's spread.
        shift : float
            Where the grid begins, in [0, 1) of a side.
        """
        total = np.zeros(len(next(iter(self.cells.values()))), dtype=np.uint64)
        for place, name in enumerate(names):
            if name not in self.numbers:
                total += self.cells[name]
                continue
            cell = np.floor(self._scaled(name) / width + (shift + 0.618 * place) % 1.0)
            total += mixed(_bits(cell), place)
        return total


def mixed(raw: Keys, salt: int) -> Keys:
    """Return well-mixed 64-bit numbers (SplitMix64), other ones for every salt.

    Examples
    --------
    >>> a, b = mixed(np.array([1, 1], dtype=np.uint64), 0), mixed(np.array([1], dtype=np.uint64), 1)
    >>> bool(a[0] == a[1]), bool(a[0] == b[0])
    (True, False)
    """
    with np.errstate(over="ignore"):
        return spread(raw + GOLDEN * np.uint64(2 * salt + 1))


def row_key(points: npt.NDArray[np.float64]) -> Keys:
    """Return one key a row of a matrix, equal for equal rows, shape (n,)."""
    total = np.zeros(len(points), dtype=np.uint64)
    for place, column in enumerate(points.T):
        total += mixed(_bits(column), place)
    return total


def _bits(values: npt.NDArray[np.float64]) -> Keys:
    plain = np.where(np.isnan(values), np.nan, values + 0.0)
    return np.ascontiguousarray(plain, dtype=np.float64).view(np.uint64)


def _codes(parts: Sequence[Dataset], name: str) -> Keys:
    """Return the values of a column as codes that all parts share."""
    columns = [_plain(part.records.column(name)) for part in parts]
    types = {column.type for column in columns}
    if len(types) > 1:
        columns = [pc.cast(column, pa.string()) for column in columns]
    joined = pa.chunked_array([chunk for column in columns for chunk in column.chunks])
    encoded = joined.combine_chunks().dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return np.asarray(codes.astype(np.int64).view(np.uint64))


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        return pc.cast(column, pa.string())
    if pa.types.is_struct(column.type):
        content = pc.struct_field(column, "bytes")
        return content if content.null_count < len(content) else pc.struct_field(column, "path")
    return column
