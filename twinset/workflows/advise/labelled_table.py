"""The labelled table that advice is sought for: which rows are rare, when, whose, at what price."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError, ParameterError, SchemaError
from twinset.ingest.input_table import name_target, open_table
from twinset.ingest.locale_formats import local_format

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MICROSECONDS_A_DAY = 86_400e6
TIME_UNITS = {"second": 86_400.0, "minute": 1_440.0, "hour": 24.0, "day": 1.0}
"""Unit of a time column of plain numbers -> how many of them make a day."""


@dataclass(frozen=True)
class LabelledTable:
    """A table with a rare class.

    Parameters
    ----------
    dataset : Dataset
        Features and target; the target has two labels.
    target, positive : str
        The column to predict and its rare label.
    features : tuple of str
        Columns that models may look at.
    truth : numpy.ndarray of bool, shape (n,)
        Whether a row is of the rare class.
    time : numpy.ndarray, shape (n,), optional
        When each row happened: days for datetimes and where the unit is known, else its own unit.
    group : numpy.ndarray of int, shape (n,), optional
        Whose each row is.
    amount : numpy.ndarray, shape (n,), optional
        What is lost when a row of the rare class is missed.
    in_days : bool
        Whether `time` counts days.
    excluded : tuple of str
        Columns that models may not look at: keys, free text, time and group.
    """

    dataset: Dataset
    target: str
    positive: str
    features: tuple[str, ...]
    truth: Mask
    time: Floats | None = None
    group: npt.NDArray[np.int64] | None = None
    amount: Floats | None = None
    in_days: bool = False
    excluded: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def base_rate(self) -> float:
        """Share of the rare class, in (0, 1)."""
        return float(self.truth.mean())


@dataclass(frozen=True, kw_only=True)
class ColumnRoles:
    """Which column means what.

    Parameters
    ----------
    target : str
        The column to predict.
    positive : str, optional
        The label that counts as positive; by default the rarer one.
    time : str, optional
        When a row happened.
    group : str, optional
        Whose a row is, e.g. the card.
    amount : str, optional
        What a missed positive row costs.
    time_unit : str, optional
        What a plain number of `time` counts: second, minute, hour or day.
    """

    target: str = ""
    positive: str | None = None
    time: str | None = None
    group: str | None = None
    amount: str | None = None
    time_unit: str | None = None


def read_labelled_table(source: object, columns: ColumnRoles) -> LabelledTable:
    """Return the table with its roles read.

    Raises
    ------
    SchemaError
        A column is not there, or is of a kind that cannot play its part.
    DataError
        The target has missing values or not exactly two labels, or time or amount are missing somewhere.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"x": [0.5, 1.5, 2.5, 9.5], "fraud": [0, 0, 0, 1]})
    >>> labelled = read_labelled_table(table, ColumnRoles(target="fraud"))
    >>> labelled.positive, labelled.features, labelled.base_rate
    ('1', ('x',), 0.25)
    """
    real = name_target(open_table(source), columns.target, columns.positive)
    positive, truth = _labels(real, columns)
    time, in_days = _time(real, columns)
    special = {columns.target, columns.time, columns.group}
    special |= {f.name for f in real.schema.fields if f.role in ("group", "identifier", "split")}
    fields = [field for field in real.schema.fields if field.name not in special]
    features = tuple(field.name for field in fields if field.is_tabular)
    if not features:
        raise SchemaError("no column is left to predict from", todo="give numbers or categories")
    shown = real.select([*features, columns.target]).without_reserved()
    return LabelledTable(
        dataset=replace(shown, schema=replace(shown.schema, rules=())),
        target=columns.target,
        positive=positive,
        features=features,
        truth=truth,
        time=time,
        group=None if columns.group is None else real.codes(columns.group)[0].astype(np.int64),
        amount=None if columns.amount is None else _amount(real, columns.amount),
        in_days=in_days,
        excluded=tuple(name for name in real.schema.names if name not in shown.schema.names),
    )


def _labels(real: Dataset, columns: ColumnRoles) -> tuple[str, Mask]:
    codes, levels = real.codes(columns.target)
    if (codes < 0).any():
        raise DataError(
            f"the target '{columns.target}' has {int((codes < 0).sum()):,} missing values",
            todo="fill or remove these rows",
        )
    if len(levels) != 2:
        raise DataError(
            f"the target '{columns.target}' does not have two labels",
            got=f"{len(levels):,} different values",
            allowed="2",
            todo="name a column that says yes or no",
        )
    counts = np.bincount(codes, minlength=2)
    chosen = int(np.argmin(counts)) if columns.positive is None else levels.index(columns.positive)
    return levels[chosen], codes == chosen


def _time(real: Dataset, columns: ColumnRoles) -> tuple[Floats | None, bool]:
    if columns.time is None:
        return None, False
    if columns.time_unit is not None and columns.time_unit not in TIME_UNITS:
        raise ParameterError(
            "the unit of time is not known", got=columns.time_unit, allowed=", ".join(TIME_UNITS)
        )
    field = real.schema[columns.time]
    if not field.has_order:
        raise SchemaError(
            f"the time column '{columns.time}' holds no times",
            got=_got(real, columns.time),
            allowed="datetime, number, integer",
            todo=_todo(real, columns.time),
        )
    values = real.values(columns.time)
    if not np.isfinite(values).all():
        raise DataError(
            f"the time column '{columns.time}' has {int((~np.isfinite(values)).sum()):,} missing values",
            todo="fill or remove these rows, or give no time",
        )
    if field.is_time:
        return values / MICROSECONDS_A_DAY, True
    if columns.time_unit is None:
        return values, False
    return values / TIME_UNITS[columns.time_unit], True


def _amount(real: Dataset, name: str) -> Floats:
    if not real.schema[name].is_numeric:
        raise SchemaError(
            f"the amount column '{name}' holds no numbers",
            got=_got(real, name),
            todo=_todo(real, name),
        )
    values = real.values(name)
    if not np.isfinite(values).all() or (values < 0).any():
        raise DataError(
            f"the amount column '{name}' cannot be used as a price",
            got="missing or negative values",
            todo="fill or remove these rows, or give one price by cost",
        )
    return values


def _got(real: Dataset, name: str) -> str:
    found = local_format(real, name)
    kind = f"a column of kind {real.schema[name].kind}"
    return kind if found is None else f"texts like {found.like}"


def _todo(real: Dataset, name: str) -> str:
    found = local_format(real, name)
    return "" if found is None else found.todo
