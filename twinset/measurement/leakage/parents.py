"""What the rows themselves tell: where they come from and whose children they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.measurement.leakage.findings import Leak, counted, first_rows


def synthetic_rows(holdout: Dataset) -> list[Leak]:
    """Return the leak of holdout rows that were made, by their origin or by the set's card."""
    n = len(holdout)
    if "_origin" in holdout.records.column_names:
        made = pc.not_equal(_texts(holdout.records.column("_origin")), "real").to_numpy()
        n_made = int(made.sum())
        if n_made:
            what = f"{counted(n_made)} were made, not observed"
            return [Leak("synthetic_rows", what, n_made, at=first_rows(made))]
    if holdout.card.origin != "real":
        what = f"the holdout is a set of {holdout.card.origin} rows, as its card says"
        return [Leak("synthetic_rows", what, n)]
    return []


def parents(holdout: Dataset, train: Dataset, made: Sequence[Dataset]) -> list[Leak]:
    """Return the leak of holdout rows that are parents of rows to train on; or none.

    An id that also stands in the train part does not tell whose child a row is: it is passed over.
    """
    ids = _column(holdout, "_id")
    if ids is None or len(ids) == 0:
        return []
    shared = _in_train(ids, train)
    if _is_most(shared, train):
        return []
    ids = ids.filter(pa.array(~shared))
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
    at = tuple(np.flatnonzero(~shared)[list(first_rows(touched))].tolist())
    return [Leak("parents", what, rows, at=at)]


def shared_ids(holdout: Dataset, train: Dataset) -> list[str]:
    """Return the remark that ids of the holdout also stand in the train part; or none."""
    ids = _column(holdout, "_id")
    if ids is None or len(ids) == 0:
        return []
    shared = _in_train(ids, train)
    n = int(shared.sum())
    if not n:
        return []
    if _is_most(shared, train):
        return [
            f"{counted(n)} have an id ('_id') that also stands in the train part: ids tell nothing, so "
            "parents were not looked for"
        ]
    return [
        f"{counted(n)} have an id ('_id') that also stands in the train part: whether these rows are "
        "parents was not looked at"
    ]


def _in_train(ids: pa.Array, train: Dataset) -> npt.NDArray[np.bool_]:
    own = _column(train, "_id")
    if own is None:
        return np.zeros(len(ids), dtype=bool)
    return np.asarray(pc.is_in(ids, value_set=own).to_numpy(zero_copy_only=False))


def _is_most(shared: npt.NDArray[np.bool_], train: Dataset) -> bool:
    """Return whether the two parts number their rows alike, so that an id says nothing."""
    return int(shared.sum()) > 0.5 * min(len(shared), len(train))


def _column(dataset: Dataset, name: str) -> pa.Array | None:
    if name not in dataset.records.column_names:
        return None
    found = dataset.records.column(name).combine_chunks()
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(pc.cast(column, pa.string()), "real")
