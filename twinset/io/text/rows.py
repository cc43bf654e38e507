"""One labelled text between a table and a file's format."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import pyarrow as pa

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import RESERVED, SPAN, SPAN_FACTS, Field, Schema
from twinset.core.errors import DataError, SchemaError
from twinset.io.cells import cell_texts

TEXT, SPANS, LABEL = "text", "spans", "label"
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")


class Span(TypedDict):
    """Where an entity stands: half-open, in code points; ``text[start:end] == value``."""

    start: int
    end: int
    label: str
    value: str


@dataclass
class Row:
    """One text, its spans, and the cells of all other columns as text; a missing one is left out."""

    text: str
    spans: list[Span] = field(default_factory=list)
    cells: dict[str, str] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True)
class TextColumns:
    """Which column of a set is the text, which holds spans, which is the label; "" where there is none."""

    text: str
    spans: str = ""
    label: str = ""
    others: tuple[str, ...] = ()
    plain: Mapping[str, str] = field(default_factory=dict)  # numbers and truth values, by kind

    def values_of(self, row: Row) -> dict[str, object]:
        """Return the cells of a row as JSON holds them, numbers as numbers."""
        return {
            key: json.loads(value) if key in self.plain else value
            for key, value in row.cells.items()
        }

    @classmethod
    def of(cls, schema: Schema) -> TextColumns:
        """Return the columns of a set of texts.

        Raises
        ------
        SchemaError
            There is not exactly one column of texts, more than one of spans, or one of pictures.
        """
        texts = [f.name for f in schema.of_kind("text")]
        if len(texts) != 1 and TEXT in schema.names:
            texts = [TEXT]
        spans = [f.name for f in schema.of_kind("spans")]
        media = [f.name for f in schema.of_kind("image", "mask", "boxes")]
        if len(texts) != 1 or len(spans) > 1 or media:
            raise SchemaError(
                "a format of labelled texts holds one column of texts and one of spans",
                got=", ".join([*texts, *spans, *media]) or "none of them",
                todo="write parquet or jsonl instead",
            )
        classes = [f.name for f in schema.of_kind("category", "boolean") if f.name != texts[0]]
        target = schema.target
        named = [target.name] if target is not None and target.name in classes else []
        named += [LABEL] if LABEL in classes else classes if len(classes) == 1 else []
        label = next(iter(named), "")
        rest = (n for n in (*schema.names, *RESERVED) if n not in (texts[0], *spans))
        numbers = schema.of_kind("number", "integer", "boolean")
        plain = {field.name: field.kind for field in numbers if field.name != label}
        return cls(texts[0], next(iter(spans), ""), label, tuple(rest), plain)


def rows_of(chunk: Dataset, columns: TextColumns, first: int = 0) -> Iterator[Row]:
    """Yield the rows of a chunk; a missing text is an error, as no format can say it.

    Parameters
    ----------
    chunk : Dataset
    columns : Columns
        Which columns are meant.
    first : int
        Number of the chunk's first row in its set.

    Raises
    ------
    DataError
        A row has no text.
    """
    table = chunk.to_arrow()
    texts = table.column(columns.text).to_pylist()
    marks = table.column(columns.spans).to_pylist() if columns.spans else [None] * len(texts)
    others = [name for name in columns.others if name in table.column_names]
    cells = {name: _cells(table.column(name), name, chunk.schema) for name in others}
    for k, (text, spans) in enumerate(zip(texts, marks)):
        if text is None:
            raise DataError(f"row {first + k} has no text", todo="leave the row out")
        told = {name: values[k] for name, values in cells.items()}
        yield Row(text, list(spans or ()), {n: v for n, v in told.items() if v is not None})


def _cells(column: pa.ChunkedArray, name: str, schema: Schema) -> list[str | None]:
    if name == RESERVED[2]:
        return [" ".join(parents) or None for parents in column.to_pylist()]
    found: list[str | None] = cell_texts(
        column, schema[name] if name in schema.names else None
    ).to_pylist()
    return found


def span_at(text: str, start: int, end: int, label: str) -> Span:
    """Return the span of a place in a text."""
    return Span(start=start, end=end, label=label, value=text[start:end])


def facts_of(row: Row) -> list[dict[str, str]] | None:
    """Return what a row tells of each of its spans; None where it does not tell of each.

    Examples
    --------
    >>> rome = span_at("to Rome", 3, 7, "city")
    >>> facts_of(Row("to Rome", [rome], {"span_facts": '[{"role": "goal"}]'}))
    [{'role': 'goal'}]
    """
    try:
        told = json.loads(row.cells.get(SPAN_FACTS, "null"))
    except ValueError:
        return None
    if not isinstance(told, list) or len(told) != len(row.spans):
        return None
    plain = all(
        isinstance(one, dict) and all(isinstance(value, str) for value in one.values())
        for one in told
    )
    return told if plain else None


def facts_as_ids(schema: Schema) -> Schema:
    """Return a schema that was inferred, what is told of spans not taken for classes or texts."""
    found = [field for field in schema.fields if field.name == SPAN_FACTS]
    if not found or found[0].kind not in ("category", "text", "id"):
        return schema
    told = "JSON: for each span its canonical value, role and group, where it has one"
    return schema.with_field(
        Field(name=SPAN_FACTS, kind="id", nullable=found[0].nullable, description=told)
    )


def facts_cell(facts: Sequence[Mapping[str, str]]) -> str:
    """Return what is told of the spans of a row as its cell."""
    return json.dumps(list(facts), ensure_ascii=False)


def to_dataset(
    rows: Sequence[Row],
    name: str,
    notes: tuple[str, ...],
    *,
    has_spans: bool = True,
    label: str = "",
) -> Dataset:
    """Return the table of rows: text, spans, and a column for each cell that any row has.

    Parameters
    ----------
    rows : sequence of Row
    name : str
        Name of the set.
    notes : tuple of str
        What a reader must know of it.
    has_spans : bool
        Whether there is a column of spans.
    label : str
        Cell that holds the class of a text, whatever its values look like.

    Raises
    ------
    DataError
        There is no row.
    """
    if not rows:
        raise DataError(f"'{name}' holds no text that can be used", got="; ".join(notes[:3]))
    columns: dict[str, pa.Array] = {TEXT: pa.array([row.text for row in rows], pa.string())}
    fields = [Field(name=TEXT, kind="text", nullable=False)]
    if has_spans:
        columns[SPANS] = pa.array([row.spans for row in rows], pa.list_(SPAN))
        fields.append(Field(name=SPANS, kind="spans", nullable=False))
    taken = {*columns}
    keys = {key: None for row in rows for key in row.cells if key not in taken}
    odd = [key for key in keys if not key.strip() or not key.isprintable()]
    if odd:
        raise DataError(f"'{name}' has a column whose name cannot be used", got=ascii(odd[0])[:60])
    for key in keys:
        columns[key] = _column(key, [row.cells.get(key) for row in rows], key == label)
    own = [key for key in keys if key not in RESERVED]
    if own:
        found = Dataset.from_arrow(pa.table({key: columns[key] for key in own})).schema
        fields += (facts_as_ids(found) if has_spans else found).fields
    fields = [_as_label(f, columns[f.name]) if f.name == label else f for f in fields]
    card = Card(name=name, origin="real", notes=notes)
    return Dataset.from_arrow(pa.table(columns), Schema(tuple(fields)), card)


def _as_label(found: Field, values: pa.Array) -> Field:
    levels = tuple(sorted({v for v in values.to_pylist() if v is not None}))
    return Field(name=found.name, kind="category", nullable=values.null_count > 0, levels=levels)


def _column(key: str, values: list[str | None], is_label: bool) -> pa.Array:
    """Return cells as numbers or truth values where all of them spell such, else as texts."""
    if key == RESERVED[2]:
        return pa.array([(value or "").split() for value in values], pa.list_(pa.string()))
    told = [value for value in values if value is not None]
    if key in RESERVED or is_label or not told:
        return pa.array(values, pa.string())
    if all(value in ("true", "false") for value in told):
        return pa.array([None if v is None else v == "true" for v in values], pa.bool_())
    if all(_INTEGER.fullmatch(value) for value in told):
        return pa.array([None if v is None else int(v) for v in values], pa.int64())
    if all(_NUMBER.fullmatch(value) for value in told):
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    return pa.array(values, pa.string())


def cells_of(values: Mapping[str, object]) -> dict[str, str]:
    """Return plain JSON values as cells; a list or an object stays JSON.

    Examples
    --------
    >>> cells_of({"n": 3, "ok": True, "none": None, "who": "Ann"})
    {'n': '3', 'ok': 'true', 'who': 'Ann'}
    """
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in values.items()
        if value is not None
    }
