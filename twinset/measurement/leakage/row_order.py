"""Groups that stand on both sides of a cut, and train rows from after its beginning."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError, did_you_mean
from twinset.measurement.leakage.findings import Leak, counted, first_rows

_ALONE = 0.9
_FEWEST = 20


def shared_groups(holdout: Dataset, train: Dataset) -> list[Leak]:
    """Return the leak of groups (cards, patients) with rows on both sides; or none."""
    for field in train.schema.with_role("group"):
        if field.name not in holdout.schema.names:
            continue
        mine, other = (_texts(part, field.name) for part in (holdout, train))
        both = np.asarray(
            pc.is_in(mine, value_set=other.drop_null()).to_numpy(zero_copy_only=False)
        )
        rows = int(both.sum())
        if rows:
            n = len(pc.unique(mine.filter(pa.array(both))))
            what = (
                f"{counted(n, 'group')} of the column '{field.name}' have rows on both sides, "
                f"{counted(rows)}"
            )
            return [Leak("group", what, rows, at=first_rows(both))]
    return []


def lone_groups(holdout: Dataset, train: Dataset) -> list[str]:
    """Return a remark on each column of groups whose groups hardly ever have two rows: it numbers rows."""
    remarks = []
    for field in train.schema.with_role("group"):
        if field.name in holdout.schema.names:
            present = pa.concat_arrays([_texts(part, field.name) for part in (train, holdout)])
            present = present.drop_null()
            if len(present) > _FEWEST and len(pc.unique(present)) > _ALONE * len(present):
                remarks.append(
                    f"nearly every group of the column '{field.name}' has one row only, so keeping groups "
                    "whole keeps nothing apart; name the column that says whose a row is, or none"
                )
    return remarks


def time_travel(holdout: Dataset, train: Dataset, on: str | None = None) -> list[Leak]:
    """Return the leak of train rows that are later than the earliest holdout row; or none.

    `on` names the column of the time; by default the first with the role time. ParameterError where
    one of the parts lacks it.
    """
    role = [field.name for field in train.schema.with_role("time")]
    names = [on] if on is not None else role[:1]
    for name in names:
        for words, part in (("train part", train), ("holdout", holdout)):
            if name not in part.schema.names:
                raise ParameterError(
                    f"the column of the time is not in the {words}",
                    got=f"'{name}'",
                    allowed=", ".join(part.schema.names[:20]),
                    todo=did_you_mean(name, part.schema.names),
                )
        first = holdout.values(name)
        first = first[~np.isnan(first)]
        later = train.values(name) > first.min() if len(first) else np.zeros(0, dtype=bool)
        if later.any():
            rows = int(later.sum())
            what = (
                f"{counted(rows, 'train row')} are later than the earliest holdout row ('{name}')"
            )
            return [Leak("time", what, rows)]
    return []


def _texts(part: Dataset, name: str) -> pa.Array:
    column = pc.cast(part.records.column(name), pa.string())
    found = column.combine_chunks()
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
