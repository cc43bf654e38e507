"""Velocity features: aggregates of an entity's latest rows, computed and never interpolated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Kind, Schema
from twinset.core.data.window_spec import Aggregate
from twinset.core.errors import SchemaError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """For each row, the stretch of rows that its window means, in the order of entity and time."""

    order: Ints  # Positions of the rows by entity, then time, shape (n,)
    # Half-open stretch of `order` for each row, in the order of the rows themselves, shape (n,)
    start: Ints
    end: Ints

    @classmethod
    def from_rows(
        cls, entities: Ints, times: Floats, length: float, *, with_row: bool = True
    ) -> Windows:
        """Return the windows ``t - length < time <= t``, or ``time < t`` without the row.

        Parameters
        ----------
        entities : numpy.ndarray of int, shape (n,)
            Code of each row's entity.
        times, length
            Times in one unit.
        """
        order = np.lexsort((times, entities))
        end = _rows_up_to(entities, times, entities, times, inclusive=with_row)
        if np.isinf(length):
            start = _rows_up_to(entities, times, entities, np.full(len(times), -np.inf), True)
        else:
            start = _rows_up_to(entities, times, entities, times - length, True)
        return cls(order, start, np.maximum(end, start))

    def counts(self) -> Floats:
        """Return the number of rows in each window."""
        return (self.end - self.start).astype(np.float64)

    def sums(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the sum of the values that are there and their number, for each window.

        Only values of the window itself are added up: a huge value elsewhere costs no digits.
        """
        ordered = values[self.order]
        there = np.isfinite(ordered)
        number = np.concatenate([[0], np.cumsum(there)])
        n = (number[self.end] - number[self.start]).astype(np.float64)
        total, at = np.zeros(len(n)), self.start.copy()
        width, table = self.end - self.start, np.where(there, ordered, 0.0)
        size, widest = 1, int(width.max(initial=0))
        # A window is one stretch for every power of two in its width: O(n log n), no loop over rows.
        while size <= widest:
            mine = np.flatnonzero(width & size)
            total[mine] += table[at[mine]]
            at[mine] += size
            if 2 * size <= widest:
                table = table[:-size] + table[size:]
            size *= 2
        return total, n

    def largest(self, values: Floats) -> Floats:
        """Return the largest value in each window, NaN where none is there."""
        ordered = np.where(np.isfinite(values), values, -np.inf)[self.order]
        width = self.end - self.start
        found = np.full(len(width), -np.inf)
        size, table, widest = 1, ordered, int(width.max(initial=0))
        # A window is two stretches of a power of two that overlap: O(n log n), and no loop over rows.
        while size <= widest:
            mine = (width >= size) & (width < 2 * size)
            left, right = self.start[mine], self.end[mine] - size
            found[mine] = np.maximum(table[left], table[right])
            if 2 * size <= widest:
                table = np.maximum(table[:-size], table[size:])
            size *= 2
        return np.where(np.isfinite(found), found, np.nan)


def time_since_last(entities: Ints, times: Floats) -> Floats:
    """Return the time since the entity's latest earlier row, NaN where there is none, shape (n,).

    Examples
    --------
    >>> time_since_last(np.array([0, 0, 1, 0]), np.array([1.0, 3.0, 2.0, 3.0])).tolist()
    [nan, 2.0, nan, 2.0]
    """
    order = np.lexsort((times, entities))
    before = _rows_up_to(entities, times, entities, times, inclusive=False)
    last = order[np.maximum(before - 1, 0)]
    known = (before > 0) & (entities[last] == entities)
    return np.where(known, times - times[last], np.nan)


def _rows_up_to(entities: Ints, times: Floats, of: Ints, until: Floats, inclusive: bool) -> Ints:
    """Return how many rows, by entity then time, stand up to each question (of, until)."""
    n = len(entities)
    asked = np.concatenate([np.zeros(n, np.int8), np.ones(len(of), np.int8)])
    # At one time the rows come before the questions, or after them.
    rank = asked if inclusive else 1 - asked
    order = np.lexsort((rank, np.concatenate([times, until]), np.concatenate([entities, of])))
    is_question = asked[order] == 1
    seen = np.cumsum(~is_question)
    found = np.empty(len(of), dtype=np.int64)
    found[order[is_question] - n] = seen[is_question]
    return found


_MICROSECONDS = 1e6  # of a second
_SAME = 1e-6  # relative difference that the order of a sum leaves
_DECIMALS = 6  # of a column whose schema names none


def recomputed(synthetic: Dataset, history: Sequence[Dataset] = ()) -> Dataset:
    """Return the set with every declared aggregate computed from what its rows and their past say.

    Parameters
    ----------
    synthetic : Dataset
        Rows whose schema declares aggregates (`Field.aggregate`).
    history : sequence of Dataset
        Further rows of the same entities, e.g. the real train set; they are not changed. Rows of an
        entity that is in no history have only one another.

    Returns
    -------
    Dataset
        The same rows in the same order; without a declared aggregate the set itself.

    Raises
    ------
    SchemaError
        A column that an aggregate needs is missing or of the wrong kind.

    Examples
    --------
    >>> day = 86_400
    >>> fields = (
    ...     Field(name="card", kind="category", role="group"),
    ...     Field(name="t", kind="integer", role="time"),
    ...     Field(name="n_7d", kind="integer", aggregate=Aggregate(how="count", over="7d")),
    ... )
    >>> table = pa.table({"card": ["a", "a", "b"], "t": [day, 9 * day, 2 * day], "n_7d": [0, 0, 0]})
    >>> past = pa.table({"card": ["a", "b"], "t": [6 * day, 3 * day], "n_7d": [0, 0]})
    >>> made, real = (Dataset.from_arrow(t, Schema(fields)) for t in (table, past))
    >>> recomputed(made, [real]).values("n_7d").tolist()
    [1.0, 2.0, 1.0]
    """
    for field in synthetic.schema.aggregates:
        assert field.aggregate is not None
        values = aggregate(synthetic, field.aggregate, history)
        synthetic = _with_values(synthetic, field, values)
    return synthetic


def with_aggregate(dataset: Dataset, name: str, spec: Aggregate) -> Dataset:
    """Return the set with one more column, computed from its own rows.

    Raises
    ------
    SchemaError
        There is such a column, or one that the aggregate needs is missing.
    """
    if name in dataset.schema.names:
        raise SchemaError(f"there is a column '{name}' already", todo="choose another name")
    kind: Kind = "integer" if spec.how == "count" else "number"
    field = Field(name=name, kind=kind, aggregate=spec)
    empty = pa.nulls(len(dataset), field.arrow_type)
    wider = replace(
        dataset,
        records=dataset.records.add_column(len(dataset.schema.names), name, empty),
        schema=dataset.schema.with_field(field),
    )
    return _with_values(wider, field, aggregate(dataset, spec))


def aggregate(
    rows: Dataset, spec: Aggregate, history: Sequence[Dataset] = ()
) -> npt.NDArray[np.float64]:
    """Return one aggregate for every row, NaN where it is missing, shape (n,).

    Rows without an entity or a time have only themselves: their time window is unknown.

    Raises
    ------
    SchemaError
        A column that it needs is missing or of the wrong kind.
    """
    by = _column(rows.schema, spec.by, "group")
    time = _column(rows.schema, spec.time, "time")
    parts = [rows, *(part for part in history if len(part))]
    entities, times, values = _joined(parts, spec, by, time)
    if spec.how == "since_last":
        return time_since_last(entities, times)[: len(rows)]
    windows = Windows.from_rows(entities, times, spec.seconds, with_row=spec.with_row)
    if spec.how == "count":
        found = windows.counts()
    elif spec.how in ("sum", "mean"):
        total, number = windows.sums(values)
        mean = np.where(number > 0, total / np.maximum(number, 1), np.nan)
        found = total if spec.how == "sum" else mean
    else:
        sign = 1.0 if spec.how == "max" else -1.0
        found = sign * windows.largest(sign * values)
    return found[: len(rows)]


def agreement(dataset: Dataset) -> dict[str, float]:
    """Return, for each declared aggregate, the share of rows whose stored value is the computed one.

    A share well below 1 means that the source sums up otherwise (other windows, other entities, rows
    that are not in the set). Values may differ by rounding to the column's decimals.
    """
    found = {}
    for field in dataset.schema.aggregates:
        assert field.aggregate is not None
        stored, computed = dataset.values(field.name), aggregate(dataset, field.aggregate)
        decimals = _DECIMALS if field.decimals is None else field.decimals
        step = 0.5 if field.is_whole else 0.5 * 10.0**-decimals
        near = np.abs(stored - computed) <= step + _SAME * np.abs(computed)
        same = near | (np.isnan(stored) & np.isnan(computed))
        found[field.name] = float(same.mean()) if len(same) else 1.0
    return found


def _column(schema: Schema, name: str | None, role: str) -> str:
    found = name or next((field.name for field in schema.with_role(role)), None)
    if found is None:
        key = "by" if role == "group" else "time"
        raise SchemaError(
            f"an aggregate needs a column with the role {role} and there is none",
            todo=f"give one column the role '{role}', or name it under '{key}'",
        )
    return schema[found].name


def _joined(
    parts: Sequence[Dataset], spec: Aggregate, by: str, time: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return entity codes, times in the window's unit and values of all rows, one part below the other."""
    coded = [part.codes(by) for part in parts]
    place: dict[str, int] = {}
    codes = []
    for found, levels in coded:
        table = np.array([*[place.setdefault(level, len(place)) for level in levels], -1])
        codes.append(table[found])
    entities = np.concatenate(codes).astype(np.int64)
    unit = _MICROSECONDS if parts[0].schema[time].is_time else 1.0
    times = np.concatenate([part.values(time) for part in parts]) / unit
    lost = (entities < 0) | ~np.isfinite(times)
    # Each of these is an entity of its own.
    entities[lost] = len(place) + np.arange(int(lost.sum()))
    times[lost] = 0.0
    values = np.zeros(len(times))
    if spec.of is not None:
        values = np.concatenate([part.values(spec.of) for part in parts])
    return entities, times, values


def _with_values(dataset: Dataset, field: Field, values: npt.NDArray[np.float64]) -> Dataset:
    if not field.is_numeric:
        raise SchemaError(
            f"the aggregate '{field.name}' is no number", got=field.kind, allowed="number, integer"
        )
    missing = np.isnan(values)
    if field.is_whole:
        values = np.rint(values)
    elif field.decimals is not None:
        values = np.round(values, field.decimals)
    filled = pa.array(np.where(missing, 0.0, values), mask=missing).cast(field.arrow_type)
    at = dataset.records.schema.get_field_index(field.name)
    return replace(dataset, records=dataset.records.set_column(at, field.name, filled))


__all__ = ["Aggregate", "aggregate", "agreement", "recomputed", "with_aggregate"]
