"""Rows as matrices for models, and an order of rows that depends on their content alone."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for, spread

Floats = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]


def model_matrix(dataset: Dataset) -> Floats:
    """Return rows for trees that split numbers and take NaN, shape (n, d), without empty columns.

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
    # Trees that bin their columns need at least one value in each.
    columns = [column for column in columns if not np.isnan(column).all()]
    return np.column_stack(columns or [np.zeros(len(dataset))])


def distance_matrix(dataset: Dataset, max_levels: int = 50) -> Floats:
    """Return rows for methods that measure distance: scaled, an indicator per level, nothing missing.

    Numbers are divided by their standard deviation; a missing one stands at the mean, beside an
    indicator of missing values. Two rows that differ in one label are as far apart as two numbers one
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
            kept = np.sort(np.argsort(-counts, kind="stable")[:max_levels])
            columns += [np.sqrt(0.5) * (codes + 1 == level) for level in kept if counts[level]]
            continue
        values = dataset.values(field.name)
        is_missing = np.isnan(values)
        if is_missing.all():
            continue
        center, scale = np.nanmean(values), np.nanstd(values)
        scaled = (values - center) / (scale if scale > 0 else 1.0)
        columns.append(np.where(is_missing, 0.0, scaled))
        if is_missing.any():
            columns.append(is_missing.astype(np.float64))
    return np.column_stack(columns) if columns else np.zeros((len(dataset), 1))


def row_hashes(dataset: Dataset) -> Hashes:
    """Return a 64-bit number for each row, shape (n,); equal rows have equal numbers.

    Examples
    --------
    >>> import pyarrow as pa
    >>> d = Dataset.from_arrow(pa.table({"x": [1.5, 2.5, 1.5], "c": ["a", "b", "a"]}))
    >>> one, other, same = row_hashes(d).tolist()
    >>> one == same, one == other
    (True, False)
    """
    rng = rng_for(0, "row order")
    joint = np.zeros(len(dataset), dtype=np.uint64)
    for field in dataset.schema.fields:
        if field.kind == "category":
            codes, levels = dataset.codes(field.name)
            digests = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in levels]
            known = [int.from_bytes(digest, "little") for digest in digests]
            bits = np.array([*known, 1], dtype=np.uint64)[codes]
        else:
            # Plus 0.0, so that -0.0 and 0.0 are the same.
            bits = (dataset.values(field.name) + 0.0).view(np.uint64)
        factor = np.uint64(int(rng.integers(2**62)) * 2 + 1)
        joint = spread(joint ^ (bits * factor)) + factor
    return joint


def canonical_order(dataset: Dataset) -> npt.NDArray[np.int64]:
    """Return the positions of the rows in an order that any shuffled copy of them would have, too."""
    return np.argsort(row_hashes(dataset), kind="stable")


def uniforms(hashes: Hashes, seed: int) -> Floats:
    """Return a number in [0, 1) for each row, decided by its hash and the seed alone."""
    key = np.uint64(int(rng_for(seed, "uniform by row").integers(2**63)))
    return np.asarray((spread(hashes ^ key) >> np.uint64(11)) * 2.0**-53)
