"""What the rows themselves tell: where they come from and whose children they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.dataset import Dataset
from twinset.leaks._found import Leak, counted


def synthetic_rows(holdout: Dataset) -> list[Leak]:
    """Return the leak of holdout rows that were made, by their origin or by the set's card."""
    n = len(holdout)
    if "_origin" in holdout.records.column_names:
        made = pc.not_equal(_texts(holdout.records.column("_origin")), "real")
        n_made = int(pc.sum(made).as_py() or 0)
        if n_made:
            return [Leak("synthetic_rows", f"{counted(n_made)} were made, not observed", n_made)]
    if holdout.card.origin != "real":
        what = f"the holdout is a set of {holdout.card.origin} rows, as its card says"
        return [Leak("synthetic_rows", what, n)]
    return []


def parents(holdout: Dataset, train: Dataset, made: Sequence[Dataset]) -> list[Leak]:
    """Return the leak of holdout rows that are parents of rows to train on; or none."""
    ids = _column(holdout, "_id")
    if ids is None or len(ids) == 0:
        return []
    own = _column(train, "_id")
    # Both sets number their rows from 0 under one name: then an id says nothing.
    if own is not None and pc.any(pc.is_in(ids, value_set=own)).as_py():
        return []
    children, touched = 0, np.zeros(len(ids), dtype=bool)
    for part in (train, *made):
        lists = _column(part, "_parents")
        if lists is None or len(lists) == 0:
            continue
        flat = pc.list_flatten(lists)
        hits = np.asarray(pc.is_in(flat, value_set=ids).to_numpy(zero_copy_only=False))
        if hits.any():
            owner = pc.list_parent_indices(lists).to_numpy()
            children += len(np.unique(owner[hits]))
            touched |= np.asarray(pc.is_in(ids, value_set=flat).to_numpy(zero_copy_only=False))
    if not children:
        return []
    rows = int(touched.sum())
    what = f"{counted(rows)} are parents of {counted(children, 'row')} to train on"
    return [Leak("parents", what, rows)]


def _column(dataset: Dataset, name: str) -> pa.Array | None:
    if name not in dataset.records.column_names:
        return None
    found = dataset.records.column(name).combine_chunks()
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(pc.cast(column, pa.string()), "real")
