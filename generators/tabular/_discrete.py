"""What the neural table generators share: columns as states, conditions on them, groups of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.conditions import unmet
from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import EncodedColumn, to_arrow
from twinset.core.data.schema import Schema
from twinset.core.data.where import Condition, Where

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Admissible = TypeVar("Admissible")


@dataclass(frozen=True)
class AdmissibleValues:
    """Values of one column that meet a condition, and the state that each value belongs to."""

    where: Where  # the condition on this column alone
    column: EncodedColumn
    missing: int | None  # state of missing values; their values have no meaning
    values: Floats  # shape (m,)
    states: Codes  # ascending, (m,)

    @classmethod
    def from_candidates(
        cls,
        condition: Condition,
        column: EncodedColumn,
        missing: int | None,
        values: Floats,
        states: Codes,
    ) -> tuple[AdmissibleValues, Mask]:
        """Return the candidates that meet `condition`, and which ones these are, shape (m,)."""
        where = Where({column.field.name: condition})
        meets = cls(where, column, missing, values, states).meets(values, states)
        if not meets.any():
            raise unmet(where)
        kept = np.flatnonzero(meets)
        kept = kept[np.argsort(states[kept], kind="stable")]
        return cls(where, column, missing, values[kept], states[kept]), meets

    def meets(self, values: Floats, states: Codes) -> Mask:
        """Return which values, with their states, meet the condition, shape (n,)."""
        field, is_missing = self.column.field, np.zeros(len(states), dtype=bool)
        if self.missing is not None:
            is_missing = states == self.missing
        array = to_arrow(self.column, np.where(is_missing, self.column.fill, values), is_missing)
        return Dataset(pa.table({field.name: array}), Schema((field,))).mask(self.where)

    def range_of(self, states: Codes) -> tuple[Codes, Codes]:
        """Return where the admissible values of each state begin and end, shape (n,) each."""
        first = np.searchsorted(self.states, states, side="left")
        return first, np.searchsorted(self.states, states, side="right")


def find_admissible(
    where: Where, schema: Schema, find: Callable[[int, Condition], Admissible]
) -> dict[int, Admissible]:
    """Return `find(position, condition)` of each conditioned column, by its position."""
    nothing = pa.table({f.name: pa.nulls(0, f.arrow_type) for f in schema.fields})
    Dataset(nothing, schema).mask(where)
    positions = {name: schema.names.index(name) for name in where.conditions}
    return {at: find(at, where.conditions[name]) for name, at in positions.items()}


def numbers_in(condition: Condition, column: EncodedColumn) -> Iterator[float]:
    """Yield the numbers that a condition on a number or datetime names."""
    kind = column.field.arrow_type
    if isinstance(condition, Mapping):
        for value in condition.values():
            yield from numbers_in(value, column)  # type: ignore[arg-type]
    elif isinstance(condition, Sequence) and not isinstance(condition, str):
        for value in condition:
            yield from numbers_in(value, column)
    elif isinstance(condition, str | date) and column.field.is_time:
        try:
            yield float(pa.scalar(condition).cast(kind).cast(pa.int64()).as_py())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return
    elif isinstance(condition, int | float):
        yield float(condition)


@dataclass(frozen=True)
class WidthGroup:
    """Neighbouring columns padded to one width, so that one softmax serves all of them."""

    columns: list[int]
    width: int  # slots of each column, padding included
    start: int  # first slot of the group


def group_by_width(widths: Sequence[int]) -> list[WidthGroup]:
    """Return the groups of equal width; widths must be ascending."""
    starts = offsets(widths)
    groups = []
    for width in sorted(set(widths)):
        columns = [i for i, w in enumerate(widths) if w == width]
        groups.append(WidthGroup(columns, width, int(starts[columns[0]])))
    return groups


def offsets(sizes: Sequence[int]) -> Codes:
    """Return the first position of each of several blocks that stand one after the other."""
    return np.cumsum([0, *sizes])[:-1].astype(np.int64)
