"""Columns cut into a few cells, by edges and levels of the real train part alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

from ._labels import labeller

Codes = npt.NDArray[np.int64]


def column_cells(
    train: Dataset, sets: Sequence[Dataset], name: str, *, n_bins: int, n_levels: int
) -> tuple[list[Codes], int]:
    """Return the cell of every row, once a set, and how many cells there are.

    Numbers and datetimes are cut at the quantiles of train; of a category the commonest levels of
    train have a cell each. All other levels share one cell, and missing is the last cell. Train cuts,
    not one of the compared sets, so that both of them meet the same edges by the same chance.

    Parameters
    ----------
    train : Dataset
        The real rows that decide edges and levels.
    sets : sequence of Dataset
        Sets to cut.
    name : str
        The column.
    n_bins, n_levels : int
        Most cells of a number, and of a category, not counting the last two.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"x": [1.5, 2.5, 3.5, 4.5]}))
    >>> column_cells(real, [real], "x", n_bins=2, n_levels=2)[0][0].tolist()
    [0, 0, 1, 1]
    """
    cut = labeller(train, name, n_bins=n_bins, n_levels=n_levels)
    found = [cut(part) for part in sets]
    return [codes for codes, _ in found], found[0][1]
