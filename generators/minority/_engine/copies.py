"""Which new rows are copies of real ones, asked for all at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

from .matrices import Codes, DistinctRows
from .streams import Floats, Positions

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
        numeric = [f.name for f in fields if f.kind not in ("category", "boolean")]
        nominal = [f.name for f in fields if f.kind in ("category", "boolean")]
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
