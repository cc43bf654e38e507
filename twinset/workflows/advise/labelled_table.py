"""The labelled table that advice is given on: which rows are rare, their times, groups and prices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError, SchemaError
from twinset.ingest.input_table import name_target, open_table
from twinset.ingest.locale_formats import local_format
from twinset.workflows.options import AdviseOptions

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

_MICROSECONDS_PER_DAY = 86_400e6  # datetimes count microseconds, advice counts days
# Unit of a time column of plain numbers -> number of them in a day.
_UNITS_PER_DAY = {"second": 86_400.0, "minute": 1_440.0, "hour": 24.0, "day": 1.0}


@dataclass(frozen=True)
class LabelledTable:
    """A table with a rare class; arrays have one entry per row, shape (n,)."""

    dataset: Dataset  # features and target; the target has two labels
    target: str
    positive: str  # the rare label
    features: tuple[str, ...]  # columns that models see
    truth: Mask  # which rows are of the rare class
    time: Floats | None = (
        None  # in days for datetimes and where the unit is known, else in its own unit
    )
    group: Rows | None = None  # code of each row's entity
    amount: Floats | None = None  # loss when a row of the rare class is missed
    in_days: bool = False  # whether `time` counts days
    excluded: tuple[str, ...] = ()  # columns that models do not see: keys, free text, time, group

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def base_rate(self) -> float:
        """Share of the rare class, in (0, 1)."""
        return float(self.truth.mean())


def read_labelled_table(source: object, columns: AdviseOptions) -> LabelledTable:
    """Return the labelled table of a file or a table, given the roles of its columns.

    Raises
    ------
    SchemaError, DataError
        A column does not exist, or does not hold what its role needs.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"x": [0.5, 1.0, 1.5, 2.0], "fraud": [0, 0, 1, 0]})
    >>> labelled = read_labelled_table(table, AdviseOptions(target="fraud"))
    >>> labelled.positive, labelled.features, labelled.base_rate
    ('1', ('x',), 0.25)
    """
    target = columns.target or ""
    real = name_target(open_table(source), target, columns.positive)
    positive, truth = _labels(real, columns)
    time, in_days = _time(real, columns)
    special = {target, columns.time, columns.group}
    special |= {f.name for f in real.schema.fields if f.role in ("group", "identifier", "split")}
    fields = [field for field in real.schema.fields if field.name not in special]
    features = tuple(field.name for field in fields if field.is_tabular)
    if not features:
        raise SchemaError("no column is left to predict from", todo="give numbers or categories")
    shown = real.select([*features, target]).without_reserved()
    return LabelledTable(
        dataset=replace(shown, schema=replace(shown.schema, rules=())),
        target=target,
        positive=positive,
        features=features,
        truth=truth,
        time=time,
        group=None if columns.group is None else real.codes(columns.group)[0].astype(np.int64),
        amount=None if columns.amount is None else _amount(real, columns.amount),
        in_days=in_days,
        excluded=tuple(name for name in real.schema.names if name not in shown.schema.names),
    )


def _labels(real: Dataset, columns: AdviseOptions) -> tuple[str, Mask]:
    target = columns.target or ""
    codes, levels = real.codes(target)
    if (codes < 0).any():
        raise DataError(
            f"the target '{target}' has {int((codes < 0).sum()):,} missing values",
            todo="fill or remove these rows",
        )
    if len(levels) != 2:
        raise DataError(
            f"the target '{target}' does not have two labels",
            got=f"{len(levels):,} different values",
            allowed="2",
            todo="name a column that says yes or no",
        )
    counts = np.bincount(codes, minlength=2)
    chosen = int(np.argmin(counts)) if columns.positive is None else levels.index(columns.positive)
    return levels[chosen], codes == chosen


def _time(real: Dataset, columns: AdviseOptions) -> tuple[Floats | None, bool]:
    if columns.time is None:
        return None, False
    kind = real.schema[columns.time].kind
    if kind not in ("datetime", "number", "integer"):
        raise _wrong_kind(real, columns.time, "time", "times", "datetime, number, integer")
    values = real.values(columns.time)
    if not np.isfinite(values).all():
        raise DataError(
            f"the time column '{columns.time}' has {int((~np.isfinite(values)).sum()):,} missing values",
            todo="fill or remove these rows, or give no time",
        )
    if kind == "datetime":
        return values / _MICROSECONDS_PER_DAY, True
    if columns.time_unit is None:
        return values, False
    return values / _UNITS_PER_DAY[columns.time_unit], True


def _amount(real: Dataset, name: str) -> Floats:
    if real.schema[name].kind not in ("number", "integer"):
        raise _wrong_kind(real, name, "amount", "numbers", "")
    values = real.values(name)
    if not np.isfinite(values).all() or (values < 0).any():
        raise DataError(
            f"the amount column '{name}' cannot be used as a price",
            got="missing or negative values",
            todo="fill or remove these rows, or give one price by cost",
        )
    return values


def _wrong_kind(real: Dataset, name: str, role: str, content: str, allowed: str) -> SchemaError:
    found = local_format(real, name)
    kind = f"a column of kind {real.schema[name].kind}"
    return SchemaError(
        f"the {role} column '{name}' holds no {content}",
        got=kind if found is None else f"texts like {found.like}",
        allowed=allowed,
        todo="" if found is None else found.todo,
    )
