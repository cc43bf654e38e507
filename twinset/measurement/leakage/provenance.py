"""Leaks that origins, parents, groups and times of the rows show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError, did_you_mean
from twinset.measurement.leakage.findings import Leak, first_rows, format_count

_SINGLE_SHARE = 0.9  # of the rows in groups of their own: the column numbers rows
_MIN_GROUP_ROWS = 20  # in few rows, groups of one row are no surprise


def find_synthetic_rows(holdout: Dataset) -> list[Leak]:
    """Return the leak of holdout rows that are not real, by their origin or by the set's card."""
    origin = _column(holdout, "_origin")
    if origin is not None:
        texts = pc.fill_null(pc.cast(origin, pa.string()), "real")
        synthetic = pc.not_equal(texts, "real").to_numpy(zero_copy_only=False)
        n = int(synthetic.sum())
        if n:
            message = f"{format_count(n)} were made, not observed"
            return [Leak("synthetic_rows", message, n, at=first_rows(synthetic))]
    if holdout.card.origin != "real":
        message = f"the holdout is a set of {holdout.card.origin} rows, as its card says"
        return [Leak("synthetic_rows", message, len(holdout))]
    return []


def find_parents(holdout: Dataset, train: Dataset, synthetic: Sequence[Dataset]) -> list[Leak]:
    """Return the leak of holdout rows that are parents of rows to train on; or none.

    An id that is also one of a train row does not say which of the two is a parent: it is ignored.
    """
    ids = _column(holdout, "_id")
    if ids is None or len(ids) == 0:
        return []
    shared = _is_in(ids, _column(train, "_id"))
    if _ids_are_useless(shared, train):
        return []
    ids = ids.filter(pa.array(~shared))
    children, touched = 0, np.zeros(len(ids), dtype=bool)
    for part in (train, *synthetic):
        lists = _column(part, "_parents")
        if lists is None or len(lists) == 0:
            continue
        flat = pc.list_flatten(lists)
        hits = _is_in(flat, ids)
        if hits.any():
            owner = pc.list_parent_indices(lists).to_numpy()
            children += len(np.unique(owner[hits]))
            touched |= _is_in(ids, flat)
    if not children:
        return []
    rows = int(touched.sum())
    message = f"{format_count(rows)} are parents of {format_count(children, 'row')} to train on"
    at = tuple(np.flatnonzero(~shared)[list(first_rows(touched))].tolist())
    return [Leak("parents", message, rows, at=at)]


def note_shared_ids(holdout: Dataset, train: Dataset) -> list[str]:
    """Return the remark that holdout rows have ids of train rows; or none."""
    ids = _column(holdout, "_id")
    shared = np.zeros(0, bool) if ids is None else _is_in(ids, _column(train, "_id"))
    if not shared.any():
        return []
    limit = (
        "ids identify nothing, so parents were not searched"
        if _ids_are_useless(shared, train)
        else "these rows were not checked for being parents"
    )
    n = format_count(int(shared.sum()))
    return [f"{n} have an id ('_id') that also stands in the train set: {limit}"]


def find_shared_groups(holdout: Dataset, train: Dataset) -> list[Leak]:
    """Return the leak of groups (cards, patients) with rows in both train and holdout; or none."""
    for field in train.schema.with_role("group"):
        if field.name not in holdout.schema.names:
            continue
        own, other = (_texts(part, field.name) for part in (holdout, train))
        shared = _is_in(own, other.drop_null())
        rows = int(shared.sum())
        if rows:
            n = len(pc.unique(own.filter(pa.array(shared))))
            message = (
                f"{format_count(n, 'group')} of the column '{field.name}' have rows in both train and "
                f"holdout, {format_count(rows)}"
            )
            return [Leak("group", message, rows, at=first_rows(shared))]
    return []


def note_single_groups(holdout: Dataset, train: Dataset) -> list[str]:
    """Return a remark on each column of groups in which nearly every group has one row."""
    remarks = []
    for field in train.schema.with_role("group"):
        if field.name in holdout.schema.names:
            present = pa.concat_arrays([_texts(part, field.name) for part in (train, holdout)])
            present = present.drop_null()
            n_groups = len(pc.unique(present))
            if len(present) > _MIN_GROUP_ROWS and n_groups > _SINGLE_SHARE * len(present):
                remarks.append(
                    f"nearly every group of the column '{field.name}' has one row only, so keeping groups "
                    "whole separates nothing; name the column of the person or device, or none"
                )
    return remarks


def find_future_rows(holdout: Dataset, train: Dataset, on: str | None = None) -> list[Leak]:
    """Return the leak of train rows that are later than the earliest holdout row; or none.

    Parameters
    ----------
    holdout, train : Dataset
        The split by time.
    on : str, optional
        Column of the time; by default the first with the role time.

    Raises
    ------
    ParameterError
        One of the sets lacks the column.
    """
    role = [field.name for field in train.schema.with_role("time")]
    for name in [on] if on is not None else role[:1]:
        for title, part in (("train set", train), ("holdout", holdout)):
            if name not in part.schema.names:
                raise ParameterError(
                    f"the column of the time is not in the {title}",
                    got=f"'{name}'",
                    allowed=", ".join(part.schema.names[:20]),
                    todo=did_you_mean(name, part.schema.names),
                )
        held = holdout.values(name)
        held = held[~np.isnan(held)]
        rows = int((train.values(name) > held.min()).sum()) if len(held) else 0
        if rows:
            n = format_count(rows, "train row")
            message = f"{n} are later than the earliest holdout row ('{name}')"
            return [Leak("time", message, rows)]
    return []


def _ids_are_useless(shared: npt.NDArray[np.bool_], train: Dataset) -> bool:
    """Return whether both sets number their rows alike."""
    return int(shared.sum()) > 0.5 * min(len(shared), len(train))


def _is_in(values: pa.Array, known: pa.Array | None) -> npt.NDArray[np.bool_]:
    if known is None:
        return np.zeros(len(values), dtype=bool)
    return np.asarray(pc.is_in(values, value_set=known).to_numpy(zero_copy_only=False))


def _column(dataset: Dataset, name: str) -> pa.Array | None:
    if name not in dataset.records.column_names:
        return None
    found = dataset.records.column(name).combine_chunks()
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _texts(part: Dataset, name: str) -> pa.Array:
    return pc.cast(_column(part, name), pa.string())
