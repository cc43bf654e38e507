"""Labelled texts between a table and the files of a format: rows, columns, reading and the base writer."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

import pyarrow as pa

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import RESERVED, SPAN, Field, Schema
from twinset.core.errors import DataError, SchemaError
from twinset.io.faults import Faults, OnFault
from twinset.io.formats import Format
from twinset.io.text.spans import LABEL, SPANS, TEXT, Span, facts_as_ids
from twinset.io.text.tokens import Place, runs_of, scheme_of, spans_of
from twinset.io.text_tables import cell_texts
from twinset.io.writer import ROW_EXCLUDED, RoundTripLosses, Target, Writer

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")


@dataclass
class Row:
    """One text, its spans, and the cells of all other columns as text, without missing ones."""

    text: str
    spans: list[Span] = field(default_factory=list)
    cells: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TextRows:
    """Content of a file of labelled texts."""

    rows: list[Row]  # the texts that can be used
    notes: tuple[str, ...] = ()  # content that is not kept
    label: str = ""  # cell with the class of a text, whatever its values look like
    has_spans: bool = True  # whether there is a column of spans


@dataclass(frozen=True)
class TextColumns:
    """Names of the columns of a set: its text, spans and label; "" if there is none."""

    text: str
    spans: str = ""
    label: str = ""
    others: tuple[str, ...] = ()
    plain: Mapping[str, str] = field(default_factory=dict)  # numbers and truth values, by kind

    def values_of(self, row: Row) -> dict[str, object]:
        """Return the cells of a row as JSON values, numbers as numbers."""
        return {
            key: json.loads(value) if key in self.plain else value
            for key, value in row.cells.items()
        }

    @classmethod
    def from_schema(cls, schema: Schema) -> TextColumns:
        """Return the columns of a set of texts."""
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


class Tagged(NamedTuple):
    """A row with its tokens and their tags."""

    row: Row
    places: Sequence[Place]
    tags: Sequence[str]
    token_name: Callable[[int], str]  # file and line of a token, for faults
    is_damaged: bool = False


def rows_of_tags(tagged: Sequence[Tagged], faults: Faults) -> list[Row]:
    """Return the rows with the spans of their tags, all in one scheme, without those with faults."""
    scheme, rows = scheme_of(one.tags for one in tagged), list[Row]()
    for one in tagged:
        runs, wrong = runs_of(one.tags, scheme)
        for token, fault in wrong:
            faults.add(one.token_name(token), fault)
        one.row.spans = spans_of(one.row.text, one.places, runs)
        if not wrong and not one.is_damaged:
            rows.append(one.row)
    return rows


def read_texts(entry: Format, path: Path, name: str, on_fault: OnFault = "stop") -> Dataset:
    """Return labelled texts as a table: text, spans, and the other columns of the format."""
    if path.stat().st_size == 0:
        raise DataError(f"the file '{path}' is empty", todo="give a file with at least one text")
    faults = Faults(on_fault)
    found: TextRows = entry.code("read")(path, faults)
    notes = found.notes + faults.resolve(f"the {entry.name} set '{name}'")
    return _to_dataset(found, name, notes)


def read_utf8(path: Path) -> str:
    """Return the text of a file, without a byte order mark; an error names the line that is not UTF-8."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"the file '{path}', line {line} is not encoded in UTF-8",
            todo=f"convert it, e.g.: iconv -f WINDOWS-1252 -t UTF-8 '{path.name}' > "
            f"'utf8-{path.name}'",
        ) from None


def _to_dataset(found: TextRows, name: str, notes: tuple[str, ...]) -> Dataset:
    """Return the table of rows: text, spans, and a column for each cell that any row has."""
    rows = found.rows
    if not rows:
        raise DataError(f"'{name}' holds no text that can be used", got="; ".join(notes[:3]))
    columns: dict[str, pa.Array] = {TEXT: pa.array([row.text for row in rows], pa.string())}
    fields = [Field(name=TEXT, kind="text", nullable=False)]
    if found.has_spans:
        columns[SPANS] = pa.array([row.spans for row in rows], pa.list_(SPAN))
        fields.append(Field(name=SPANS, kind="spans", nullable=False))
    keys = dict.fromkeys(key for row in rows for key in row.cells if key not in columns)
    odd = [key for key in keys if not key.strip() or not key.isprintable()]
    if odd:
        raise DataError(f"'{name}' has a column whose name cannot be used", got=ascii(odd[0])[:60])
    for key in keys:
        columns[key] = _column(key, [row.cells.get(key) for row in rows], key == found.label)
    own = [key for key in keys if key not in RESERVED]
    if own:
        schema = Dataset.from_arrow(pa.table({key: columns[key] for key in own})).schema
        fields += (facts_as_ids(schema) if found.has_spans else schema).fields
    if found.label in keys:  # a category, whatever its values look like
        levels = tuple(sorted({v for v in columns[found.label].to_pylist() if v is not None}))
        has_nulls = columns[found.label].null_count > 0
        label = Field(name=found.label, kind="category", nullable=has_nulls, levels=levels)
        fields = [label if f.name == found.label else f for f in fields]
    card = Card(name=name, origin="real", notes=notes)
    return Dataset.from_arrow(pa.table(columns), Schema(tuple(fields)), card)


def _column(key: str, values: list[str | None], is_label: bool) -> pa.Array:
    """Return cells as numbers or truth values if all of them are written so, else as texts."""
    if key == RESERVED[2]:
        return pa.array([(value or "").split() for value in values], pa.list_(pa.string()))
    present = [value for value in values if value is not None]
    if key in RESERVED or is_label or not present:
        return pa.array(values, pa.string())
    if all(value in ("true", "false") for value in present):
        return pa.array([None if v is None else v == "true" for v in values], pa.bool_())
    if all(_INTEGER.fullmatch(value) for value in present):
        return pa.array([None if v is None else int(v) for v in values], pa.int64())
    if all(_NUMBER.fullmatch(value) for value in present):
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


@dataclass(frozen=True)
class RoundTrip:
    """A row as a reader gets it, None if it was left out, and the reasons for each difference.

    `reasons` has the keys text, spans, cells and row; without a reason a general one is reported.
    """

    back: Row | None
    reasons: Mapping[str, str] = field(default_factory=dict)


class TextWriter(Writer):
    """Writes a set of texts; every row is compared with what a reader gets, and losses are counted."""

    losses: RoundTripLosses

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.losses = RoundTripLosses(target.format)
        self.columns: TextColumns | None = None
        self._streams: list[IO[str]] = []

    def write(self, chunk: Dataset) -> None:
        """Append the rows of `chunk`."""
        columns = TextColumns.from_schema(chunk.schema)
        if self.columns is None:
            self.columns = columns
            for name, usual in ((columns.text, TEXT), (columns.spans, SPANS)):
                if name and name != usual:
                    self.losses.add_column(f"the column '{name}' comes back as '{usual}'")
            self.begin(columns)
        for row in _rows_of(chunk, columns, self.losses.n_rows):
            self._count_losses(row, self.put(row))

    def _count_losses(self, row: Row, written: RoundTrip) -> None:
        losses, back, reasons = self.losses, written.back, written.reasons
        number = losses.n_rows
        losses.n_rows += 1
        if back is None:
            losses.add(number, f"{ROW_EXCLUDED}: {reasons.get('row', 'the format cannot hold it')}")
            return
        if back.text != row.text:
            losses.add(number, reasons.get("text") or "the text is changed")
        elif _places(back) != _places(row):
            losses.add(number, reasons.get("spans") or "the spans are changed")
        if back.cells != row.cells:
            losses.add(number, reasons.get("cells") or "a value of another column is left out")

    def refuse_names(self, columns: TextColumns, *needed: str) -> None:
        """Raise SchemaError if another column has a name that the format needs."""
        if taken := {*needed} & {*columns.others}:
            raise SchemaError(
                f"a column has a name that the format '{self.target.format}' needs: '{min(taken)}'",
                todo="rename the column",
            )

    def begin(self, columns: TextColumns) -> None:
        """Write what precedes the first row."""

    @abstractmethod
    def put(self, row: Row) -> RoundTrip:
        """Write one row and return what a reader gets from it."""

    def open(self, path: Path) -> IO[str]:
        """Return a new file of text; it is closed with the writer."""
        self._streams.append(path.open("w", encoding="utf-8", newline=""))
        return self._streams[-1]

    def close(self) -> None:
        """Close the files."""
        for stream in self._streams:
            stream.close()


def _places(row: Row) -> list[tuple[int, int, str, str]]:
    return sorted((s["start"], s["end"], s["label"], s["value"]) for s in row.spans)


def _rows_of(chunk: Dataset, columns: TextColumns, first: int) -> Iterator[Row]:
    """Yield the rows of a chunk; a missing text is an error, as no format can hold it."""
    table = chunk.to_arrow()
    texts = table.column(columns.text).to_pylist()
    spans = table.column(columns.spans).to_pylist() if columns.spans else [None] * len(texts)
    others = [name for name in columns.others if name in table.column_names]
    cells = {name: _cell_list(table.column(name), name, chunk.schema) for name in others}
    for k, (text, own) in enumerate(zip(texts, spans)):
        if text is None:
            raise DataError(f"row {first + k} has no text", todo="leave the row out")
        present = {n: values[k] for n, values in cells.items() if values[k] is not None}
        yield Row(text, list(own or ()), {n: str(v) for n, v in present.items()})


def _cell_list(column: pa.ChunkedArray, name: str, schema: Schema) -> list[str | None]:
    if name == RESERVED[2]:
        return [" ".join(parents) or None for parents in column.to_pylist()]
    field = schema[name] if name in schema.names else None
    return list(cell_texts(column, field).to_pylist())


def check_label(label: str, format: str) -> str:  # noqa: A002
    """Return a label that fits on one line; raise SchemaError for one that is empty or does not."""
    if not label.strip() or any(sign in label for sign in "\t\n\r"):
        raise SchemaError(
            f"a label of a span cannot be written as {format}",
            got=repr(label[:60]),
            allowed="a text on one line, without tabulators",
        )
    return label
