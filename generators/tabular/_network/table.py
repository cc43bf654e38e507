"""A table as cells, and cells as a table again: what `tabular.network` learns and draws."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.encoding import EncodedColumn, TableEncoding, to_arrow
from twinset.core.data.schema import Schema

from .cells import Codes, ColumnCells

Arrays = dict[str, npt.NDArray[Any]]

_MOST_BINS, _LEAST_BINS = 8_192, 8


@dataclass(frozen=True)
class TableCells:
    """The cells of every column of a table.

    Parameters
    ----------
    schema : Schema
        The columns.
    columns : tuple of Cells
        Their cells.
    """

    schema: Schema
    columns: tuple[ColumnCells, ...]

    @classmethod
    def of(cls, train: Dataset, bins: int, splits: int) -> TableCells:
        """Return the cells that fit `train`."""
        encoding = TableEncoding.from_dataset(train)
        n_numbers = sum(not column.is_nominal for column in encoding.columns)
        # Together the numbers of a wide table get no more bins than those of 128 columns.
        bins = min(bins, max(_MOST_BINS // max(n_numbers, 1), _LEAST_BINS))
        columns = tuple(ColumnCells.of(train, column, bins, splits) for column in encoding.columns)
        return cls(train.schema, columns)

    @property
    def order(self) -> Codes:
        """The column order of unconditional draws: few tokens first, shape (d,).

        Columns of few values are learnt best with the fewest givens, and the columns that hold
        much then see all of them.
        """
        size = [len(np.flatnonzero(c.mass)) for c in self.columns]
        return np.argsort(np.array(size, dtype=np.int64), kind="stable")

    def encode(self, rows: Dataset) -> Codes:
        """Return the cell of every value, shape (n, d); -1 where train had no such value."""
        codes = np.empty((len(rows), len(self.columns)), dtype=np.int64)
        for j, column in enumerate(self.columns):
            codes[:, j] = column.encode(rows)
        return codes

    def values(self, codes: Codes, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Return a value drawn from each cell, shape (n, d)."""
        drawn = np.empty(codes.shape)
        for j, column in enumerate(self.columns):
            drawn[:, j] = column.draw(codes[:, j], rng)
        return drawn

    def column_of(self, j: int, values: npt.NDArray[np.float64], cells: Codes) -> pa.Array:
        """Return values of column `j` as its Arrow array; the missing cell gives null."""
        column = self.columns[j]
        missing = cells == column.n_present if column.has_missing else np.zeros(len(cells), bool)
        return to_arrow(column.column, np.where(missing, column.column.fill, values), missing)

    def decode(self, values: npt.NDArray[np.float64], codes: Codes) -> Dataset:
        """Return the rows that these values in these cells are."""
        arrays = [self.column_of(j, values[:, j], codes[:, j]) for j in range(len(self.columns))]
        records = pa.table(arrays, names=list(self.schema.names))
        return Dataset(records, self.schema, Card(name="synthetic", origin="synthetic"))

    def to_arrays(self) -> tuple[Arrays, dict[str, Any]]:
        """Return plain arrays and JSON values from which `from_arrays` makes the same cells."""
        arrays: Arrays = {}
        described = []
        for j, cells in enumerate(self.columns):
            arrays |= {f"column{j}/{key}": value for key, value in cells.to_arrays().items()}
            own = {k: v for k, v in asdict(cells.column).items() if k not in ("field", "levels")}
            described.append(own)
            arrays[f"column{j}/levels"] = _bytes_of(cells.column.levels)
        return arrays, {"schema": self.schema.to_json(), "columns": described}

    @classmethod
    def from_arrays(cls, arrays: Arrays, meta: dict[str, Any]) -> TableCells:
        """Return the cells that `to_arrays` wrote."""
        schema = Schema.from_json(meta["schema"])
        columns = []
        for j, (field, own) in enumerate(zip(schema.fields, meta["columns"], strict=True)):
            prefix = f"column{j}/"
            part = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            levels = _texts_of(part.pop("levels"))
            columns.append(
                ColumnCells.from_arrays(EncodedColumn(field=field, levels=levels, **own), part)
            )
        return cls(schema, tuple(columns))


def _bytes_of(texts: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """Pack texts into bytes: an array of objects would need a pickle."""
    import json

    return np.frombuffer(json.dumps(list(texts)).encode(), dtype=np.uint8)


def _texts_of(packed: npt.NDArray[np.uint8]) -> tuple[str, ...]:
    import json

    return tuple(json.loads(packed.tobytes().decode()))
