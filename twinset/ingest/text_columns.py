"""Reduce sets to the columns of Rasa's NLU data if one of them is such a file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import RESERVED, SPAN, Schema
from twinset.core.errors import SchemaError
from twinset.ingest.input_table import open_table
from twinset.io.formats import find_format
from twinset.io.text.rows import TextColumns


class TextComparison(NamedTuple):
    """The sets of a comparison with the columns that all of them have."""

    real: Dataset
    others: tuple[object, ...]  # unchanged, or as tables with the real one's columns
    notes: tuple[str, ...] = ()  # columns that are not compared


def reduce_to_texts(
    real: Dataset, source: object, others: tuple[object, ...], target: str | None
) -> TextComparison:
    """Return the sets of a comparison; if one is a Rasa file, text, spans and label of each.

    Rasa has no other columns, and its own names for these three. All other sets stay as they are.
    `source` is the real set's file or table, `target` its column of labels; None stands for a set
    that is absent.
    """
    given = (source, *others)
    files = [Path(one).name for one in given if isinstance(one, str | Path) and _is_rasa(Path(one))]
    if not files:
        return TextComparison(real, others)
    columns = _columns_of(real, target)
    kept = [name for name in (columns.text, columns.spans, columns.label) if name]
    schema = Schema(tuple(real.schema[name] for name in kept))
    lost = [name for name in real.schema.names if name not in kept]
    notes = [f"{', '.join(files)}: Rasa holds texts, spans and labels, so these alone are compared"]
    if lost:
        notes += [f"Not compared: {', '.join(lost)}."]
    narrow = real.select(kept).with_schema(schema)
    tables = [None if one is None else _renamed(one, columns, target) for one in others]
    return TextComparison(narrow, tuple(tables), tuple(notes))


def _is_rasa(path: Path) -> bool:
    found = find_format(path)
    return path.is_file() and found is not None and found[0].name == "rasa"


def _columns_of(rows: Dataset, target: str | None) -> TextColumns:
    schema = rows.schema
    known = target is not None and target in schema.names
    columns = TextColumns.from_schema(schema.with_target(str(target)) if known else schema)
    classes = [f.name for f in schema.of_kind("category") if f.name != columns.text]
    if not columns.label and classes:
        raise SchemaError(
            "it is not clear which column holds the labels that Rasa files examples by",
            got=", ".join(classes),
            todo="name it as the target",
        )
    return columns


def _renamed(source: object, names: TextColumns, target: str | None) -> pa.Table:
    """Return a set as a table with these column names; one without any span gets empty lists."""
    rows = open_table(source, lineage=True)
    own = _columns_of(rows, target if target in rows.schema.names else None)
    table = rows.to_arrow()
    pairs = ((names.text, own.text), (names.spans, own.spans), (names.label, own.label))
    columns = {name: table.column(had) for name, had in pairs if name and had}
    if names.spans and not own.spans:
        columns[names.spans] = pa.array([[]] * len(rows), pa.list_(SPAN))
    for name in RESERVED:
        if name in table.column_names:
            columns[name] = table.column(name)
    return pa.table(columns)
