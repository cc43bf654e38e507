"""Columns cut into a few cells: the most frequent levels, or quantile bins of real rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

Cells = npt.NDArray[np.int64]
CellCoder = Callable[[Dataset], tuple[Cells, int]]
"""Set -> cell of each row, shape (n,), and the number of cells."""

# Classes of a forest: coarser bins hide weak dependence, finer ones leave too few rows for each.
_N_CELLS = 8


def fit_cells(
    real: Dataset, name: str, *, n_bins: int = _N_CELLS, n_levels: int = _N_CELLS
) -> CellCoder:
    """Return a function that gives the cells of a column of any set, as the real rows cut it.

    A category or boolean has a cell for each of its `n_levels` most frequent real levels, one for all
    others, and one for missing. A number, integer or datetime is cut at the quantiles of the real rows
    into `n_bins` bins, and missing is the last cell.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"x": [1.5, 2.5, 3.5, 4.5]}))
    >>> cells, n = fit_cells(real, "x", n_bins=2)(real)
    >>> cells.tolist(), n
    ([0, 0, 1, 1], 3)
    """
    if real.schema[name].kind in ("category", "boolean"):
        codes, levels = real.codes(name)
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        common = [levels[i] for i in np.argsort(-counts, kind="stable")[:n_levels]]
        place = {level: i for i, level in enumerate(common)}

        def code_levels(dataset: Dataset) -> tuple[Cells, int]:
            codes, levels = dataset.codes(name)
            cells = [*[place.get(level, len(common)) for level in levels], len(common) + 1]
            return np.array(cells, dtype=np.int64)[codes], len(common) + 2

        return code_levels
    values = real.values(name)
    present = values[np.isfinite(values)]
    edges = np.zeros(0)
    if len(present):
        inner = np.linspace(0, 1, n_bins + 1)[1:-1]
        edges = np.unique(np.quantile(present, inner, method="inverted_cdf"))

    def code_numbers(dataset: Dataset) -> tuple[Cells, int]:
        values = dataset.values(name)
        place = np.searchsorted(edges, values, side="left")
        return np.where(np.isnan(values), len(edges) + 1, place), len(edges) + 2

    return code_numbers
