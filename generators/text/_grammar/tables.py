"""Tables of records: the name and the address in one text come from one row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from math import inf
from typing import Any

import pyarrow as pa

from twinset.core.errors import ParameterError, Place

from .formats import date_writer, number_writer
from .settings import FormatSettings, TableSettings, unknown_name
from .values import Entry, Records, bucket_of, cumulated

_MAX_NAMED_ROWS = 5  # rows that an error names


@dataclass(frozen=True)
class BoundTable:
    """A table of a grammar: its name in templates, settings, formats of columns, and rows."""

    name: str
    settings: TableSettings
    formats: Mapping[str, FormatSettings]
    rows: pa.Table | None = None  # None until `with_rows` passes those of the asset

    @property
    def place(self) -> Place:
        """Its path in the settings."""
        return ("tables", self.name)

    @classmethod
    def read(cls, name: str, settings: TableSettings) -> BoundTable:
        """Return the table that settings describe."""
        table = cls(name, settings, dict(settings.formats))
        rows = settings.rows
        if rows is None:
            return table
        return table.with_rows(table._inline(rows) if isinstance(rows, Sequence) else rows)

    @property
    def names_records(self) -> bool:
        """Whether a text reports its record."""
        return self.settings.key is not None or bool(self.settings.asset)

    @property
    def subject(self) -> str:
        """Its name in errors."""
        name = f"the table '{self.name}'"
        return f"{name} (the asset '{self.settings.asset}')" if self.settings.asset else name

    def label_of(self, column: str) -> str | None:
        """Return the label of a column's spans."""
        labels = self.settings.labels
        return column if labels is None else labels.get(column)

    def check_column(self, column: str, subject: str, place: Place) -> None:
        """Raise ParameterError when the table has no such column, or its rows are missing."""
        if self.rows is None:
            asset = self.settings.asset
            raise self.fault(
                f"the rows of the table '{self.name}' are not there",
                got=f"the asset '{asset}'",
                todo=f"name its file under 'assets' of the recipe: assets: {{{asset}: FILE}}",
            )
        if column not in self.rows.column_names:
            problem = f"{subject} names an unknown column of the table '{self.name}'"
            known = self.rows.column_names[:30]
            raise unknown_name(problem, column, known, place, got=column or "no column")

    def with_rows(self, rows: object) -> BoundTable:
        """Return the table with these rows, any object with the Arrow stream protocol."""
        table = replace(self, rows=pa.table(rows))
        if self.settings.key is not None:
            table.check_column(self.settings.key, "the setting 'key'", (*self.place, "key"))
        return table

    def records(self, columns: Iterable[str], locale: str) -> Records:
        """Return the records with the texts of these columns."""
        rows = self.rows
        assert rows is not None
        texts = {column: self._entries(rows, column, locale) for column in sorted(set(columns))}
        ids = None
        if self.names_records:
            key = self.settings.key
            ids = tuple(self._texts(rows, key, "") if key else map(str, range(rows.num_rows)))
            if len(set(ids)) < len(ids):
                first = {one: i for i, one in reversed(list(enumerate(ids)))}
                repeated = [i for i, one in enumerate(ids) if first[one] < i]
                raise self.fault(
                    f"the key '{key}' of {self.subject} is not unique",
                    got=f"a value that came before in {_named_rows(repeated)}",
                    todo="name a column without repeats, or correct these rows",
                )
        n = rows.num_rows
        if not n:
            raise self.fault(f"the table '{self.name}' has no rows")
        bounds = None
        if not self.settings.asset and "weight" in rows.column_names:
            weights = self._weights(rows.column("weight").to_pylist())
            bounds = cumulated(weights) if len(set(weights)) > 1 else None
        entries = tuple((str(i), i, None, bucket_of(i, n)) for i in range(n))
        return Records(entries, bounds, texts, ids)

    def fault(self, problem: str, **facts: str) -> ParameterError:
        """Return an error at the place of the table."""
        return ParameterError(problem, **facts, place=self.place)

    def _inline(self, rows: Sequence[Any]) -> pa.Table:
        """Return rows that are part of the grammar; columns of texts and other values become texts."""
        if not rows or not all(
            isinstance(row, Mapping) and row.keys() == rows[0].keys() for row in rows
        ):
            raise self.fault(
                "the rows of a table do not have the same columns", allowed="[{a: 1}, {a: 2}]"
            )
        columns = {str(key): [row[key] for row in rows] for key in rows[0]}
        for key, values in columns.items():
            if len({isinstance(value, str) for value in values}) > 1:
                columns[key] = [_spell(value) for value in values]
        return pa.table(columns)

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
        if isinstance(values[0], date):
            write = date_writer(form.format, locale, subject=subject, place=self.place)
            return [write(value) for value in values]
        if any(isinstance(value, str) for value in values):
            raise self.fault(f"{subject} has a format and holds texts", allowed="numbers or dates")
        number = number_writer(form.format, form.marks, subject=subject, place=self.place)
        return [number(value).strip() for value in values]


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
