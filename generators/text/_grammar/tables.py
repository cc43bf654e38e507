"""Tables of records: the name and the address in one text come from one row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from math import inf
from typing import Any

import pyarrow as pa

from twinset.core.errors import ParameterError, Place, did_you_mean

from .formats import date_writer, number_writer
from .values import Entry, Records, bucket_of, cumulated

_KEYS = ("rows", "asset", "key", "labels", "formats", "unique")
_MAX_NAMED_ROWS = 5  # rows that an error names
_ALLOWED = (
    "a list of rows, the name of an asset, or {asset: NAME, key: COLUMN, labels: {COLUMN: LABEL}}"
)


@dataclass(frozen=True)
class BoundTable:
    """Settings of a table."""

    name: str  # Its name in templates
    rows: pa.Table | None  # Its rows; None until `with_rows` passes those of the asset
    asset: str  # Name of the asset; empty where the rows are part of the grammar
    key: str | None  # Column that identifies a record
    # Column -> label of its spans; None: each column is its own label
    labels: Mapping[str, str | None] | None
    formats: Mapping[str, Mapping[str, Any]]  # Column -> format of its numbers or dates
    unique: bool  # Whether records do not repeat in a set
    place: Place  # Its path in the settings

    @property
    def names_records(self) -> bool:
        """Whether a text reports its record."""
        return self.key is not None or bool(self.asset)

    @property
    def is_pending(self) -> bool:
        """Whether the rows are still missing."""
        return self.rows is None

    @property
    def subject(self) -> str:
        """Its name in errors."""
        name = f"the table '{self.name}'"
        return f"{name} (the asset '{self.asset}')" if self.asset else name

    def label_of(self, column: str) -> str | None:
        """Return the label of a column's spans."""
        return column if self.labels is None else self.labels.get(column)

    def check_column(self, column: str, subject: str, place: Place) -> None:
        """Raise ParameterError when the table has no such column, or its rows are missing."""
        if self.rows is None:
            raise ParameterError(
                f"the rows of the table '{self.name}' are not there",
                got=f"the asset '{self.asset}'",
                todo=f"name its file under 'assets' of the recipe: assets: {{{self.asset}: FILE}}",
                place=self.place,
            )
        if column not in self.rows.column_names:
            raise ParameterError(
                f"{subject} names an unknown column of the table '{self.name}'",
                got=column or "no column",
                allowed=", ".join(self.rows.column_names[:30]),
                todo=did_you_mean(column, self.rows.column_names),
                place=place,
            )

    def with_rows(self, rows: object) -> BoundTable:
        """Return the table with these rows, any object with the Arrow stream protocol."""
        table = replace(self, rows=pa.table(rows))
        for column in [table.key] if table.key is not None else []:
            table.check_column(column, "the setting 'key'", (*self.place, "key"))
        return table

    def records(self, columns: Iterable[str], locale: str) -> Records:
        """Return the records with the texts of these columns."""
        rows = self.rows
        assert rows is not None
        texts = {column: self._entries(rows, column, locale) for column in sorted(set(columns))}
        ids = None
        if self.names_records:
            ids = tuple(self._texts(rows, self.key, "")) if self.key else _counted(rows.num_rows)
            if len(set(ids)) < len(ids):
                first = {one: i for i, one in reversed(list(enumerate(ids)))}
                repeated = [i for i, one in enumerate(ids) if first[one] < i]
                raise self.fault(
                    f"the key '{self.key}' of {self.subject} is not unique",
                    got=f"a value that came before in {_named_rows(repeated)}",
                    todo="name a column without repeats, or correct these rows",
                )
        places = tuple(range(rows.num_rows))
        if not places:
            raise self.fault(f"the table '{self.name}' has no rows")
        bounds = None
        if not self.asset and "weight" in rows.column_names:
            weights = self._weights(rows.column("weight").to_pylist())
            bounds = cumulated(weights) if len(set(weights)) > 1 else None
        return Records(texts, ids, places, bounds)

    def fault(self, problem: str, **facts: str) -> ParameterError:
        """Return an error at the place of the table."""
        return ParameterError(problem, **facts, place=self.place)

    def _weights(self, cells: Sequence[object]) -> list[float]:
        weights = [float(one) if isinstance(one, int | float) else -1.0 for one in cells]
        if not all(0 <= weight < inf for weight in weights):
            raise self.fault(
                f"the column 'weight' of the table '{self.name}' is no weight of its rows",
                allowed="numbers of 0 or more",
                todo="rename the column if it means something else",
            )
        return weights

    def _entries(self, rows: pa.Table, column: str, locale: str) -> tuple[Entry, ...]:
        texts = self._texts(rows, column, locale)
        plain = texts
        if column in self.formats:
            plain = [_spell(value) for value in rows.column(column).to_pylist()]
        n = len(texts)
        return tuple(
            (text, len(text), None if text == own else own, bucket_of(i, n))
            for i, (text, own) in enumerate(zip(texts, plain))
        )

    def _texts(self, rows: pa.Table, column: str, locale: str) -> list[str]:
        values = rows.column(column).to_pylist()
        empty = [i for i, v in enumerate(values) if v is None or not _spell(v).strip()]
        if empty:
            cells = "a cell" if len(empty) == 1 else f"{len(empty):,} cells"
            raise self.fault(
                f"{cells} of the column '{column}' of {self.subject} {'is' if len(empty) == 1 else 'are'} "
                "empty",
                got=f"nothing in {_named_rows(empty)}",
                todo="fill them or leave these rows out: an empty value cannot be marked",
            )
        form = self.formats.get(column)
        if form is None:
            return [_spell(value).strip() for value in values]
        subject = f"the column '{column}' of the table '{self.name}'"
        text, marks = str(form.get("format", "{}")), str(form.get("marks", ",."))
        if isinstance(values[0], date):
            write = date_writer(text, locale, subject=subject, place=self.place)
            return [write(value) for value in values]
        if any(isinstance(value, str) for value in values):
            raise self.fault(f"{subject} has a format and holds texts", allowed="numbers or dates")
        number = number_writer(text, marks, subject=subject, place=self.place)
        return [number(value).strip() for value in values]


def read_table(name: str, source: object) -> BoundTable:
    """Return the table that settings describe."""
    place: Place = ("tables", name)

    def fault(problem: str, **facts: str) -> ParameterError:
        return ParameterError(problem, **facts, place=place)

    if not name.isidentifier():
        raise fault(f"'{name}' cannot be the name of a table", allowed="letters, digits and _")
    if isinstance(source, Mapping) and not hasattr(source, "__arrow_c_stream__"):
        settings: Mapping[str, Any] = source
    else:
        settings = {"asset" if isinstance(source, str) else "rows": source}
    for setting in settings:
        if setting not in _KEYS:
            raise fault(f"the table '{name}' has the unknown setting '{setting}'", allowed=_ALLOWED)
    rows, asset = settings.get("rows"), settings.get("asset", "")
    labels, formats, key = settings.get("labels"), settings.get("formats", {}), settings.get("key")
    if (rows is None and not asset) or not isinstance(asset, str):
        raise fault(f"the table '{name}' has no rows", allowed=_ALLOWED)
    if (
        not isinstance(labels, Mapping | None)
        or not isinstance(formats, Mapping)
        or not all(isinstance(form, Mapping) for form in formats.values())
    ):
        raise fault(f"the labels or formats of the table '{name}' are no mapping", allowed=_ALLOWED)
    table = BoundTable(
        name=name,
        rows=None,
        asset=asset,
        key=None if key is None else str(key),
        labels=labels,
        formats=formats,
        unique=bool(settings.get("unique", False)),
        place=place,
    )
    if rows is None:
        return table
    return table.with_rows(_inline(rows, fault) if isinstance(rows, Sequence) else rows)


def _inline(rows: Sequence[Any], fault: Any) -> pa.Table:
    if not rows or not all(
        isinstance(row, Mapping) and row.keys() == rows[0].keys() for row in rows
    ):
        raise fault("the rows of a table do not have the same columns", allowed="[{a: 1}, {a: 2}]")
    columns = {str(key): [row[key] for row in rows] for key in rows[0]}
    return pa.table(
        {
            key: values if _is_alike(values) else [_spell(value) for value in values]
            for key, values in columns.items()
        }
    )


def _is_alike(values: Sequence[object]) -> bool:
    return len({isinstance(value, str) for value in values}) == 1


def _counted(n: int) -> tuple[str, ...]:
    return tuple(str(i) for i in range(n))


def _named_rows(rows: Sequence[int]) -> str:
    """Return the numbers of some rows as text, counted from 1 without the header of a file."""
    shown = ", ".join(str(row + 1) for row in rows[:_MAX_NAMED_ROWS])
    more = ", ..." if len(rows) > _MAX_NAMED_ROWS else ""
    return f"row{'s' * (len(rows) > 1)} {shown}{more} (counted from 1)"


def _spell(value: object) -> str:
    """Return the text of a cell."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return str(value)
