"""Rows as a float matrix for quick models: numbers as they are, codes for labels, NaN for missing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

Floats = npt.NDArray[np.float64]


def model_matrix(dataset: Dataset) -> Floats:
    """Return rows for trees that split numbers and allow NaN, shape (n, d); empty columns are left out.

    Examples
    --------
    >>> import pyarrow as pa
    >>> d = Dataset.from_arrow(pa.table({"x": [1.5, None], "c": ["b", "a"]}))
    >>> model_matrix(d).tolist()
    [[1.5, 1.0], [nan, 0.0]]
    """
    columns = []
    for field in dataset.schema.fields:
        if field.kind == "category":
            codes = dataset.codes(field.name)[0].astype(np.float64)
            columns.append(np.where(codes < 0, np.nan, codes))
        else:
            columns.append(dataset.values(field.name))
    # Trees that bin their columns want at least one value in each.
    told = [column for column in columns if not np.isnan(column).all()]
    return np.column_stack(told or [np.zeros(len(dataset))])


def distance_matrix(dataset: Dataset, most_levels: int = 50) -> Floats:
    """Return rows for methods that measure distance: scaled, an indicator a level, nothing missing.

    Numbers are divided by their standard deviation and a missing one stands at the mean, beside an
    indicator that says so. Two rows that differ in one label are as far apart as two numbers one
    deviation from each other. Of a column with many levels the rarest ones count as one.

    Examples
    --------
    >>> import pyarrow as pa
    >>> d = Dataset.from_arrow(pa.table({"x": [1.0, 3.0, 2.0], "c": ["a", "b", "b"]}))
    >>> distance_matrix(d).shape
    (3, 3)
    """
    columns = []
    for field in dataset.schema.fields:
        if field.kind == "category":
            codes, levels = dataset.codes(field.name)
            counts = np.bincount(codes + 1, minlength=len(levels) + 1)
            kept = np.sort(np.argsort(-counts, kind="stable")[:most_levels])
            columns += [np.sqrt(0.5) * (codes + 1 == level) for level in kept if counts[level]]
            continue
        values = dataset.values(field.name)
        gone = np.isnan(values)
        if gone.all():
            continue
        centre, scale = np.nanmean(values), np.nanstd(values)
        columns.append(np.where(gone, 0.0, (values - centre) / (scale if scale > 0 else 1.0)))
        if gone.any():
            columns.append(gone.astype(np.float64))
    return np.column_stack(columns) if columns else np.zeros((len(dataset), 1))
