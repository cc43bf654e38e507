"""Read the tables of a one-shot job, name the target, split off a holdout, and match columns."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.persons import spell_levels
from twinset.core.data.reading import Reason, Remark, TableReading
from twinset.core.data.schema import RESERVED, SPAN, TABULAR_KINDS, Role, Schema
from twinset.core.errors import DataError, ParameterError, SchemaError
from twinset.core.seeding import rng_for
from twinset.ingest.table_reading import read_columns
from twinset.io import read_dataset
from twinset.io.faults import OnFault
from twinset.io.formats import find_format
from twinset.io.reading.options import ReadChoice, read_options
from twinset.io.text.rows import TextColumns
from twinset.measurement.comparison import part_of, split_rows

_KINDS = TABULAR_KINDS | {"id", "text"}
_TARGET_KINDS = ("category", "boolean", "integer", "number")
_MAX_CLASSES = 20  # an integer target with more values is a number to regress on, not a label


@dataclass(frozen=True)
class RealSplit:
    """Train set and holdout of a real table."""

    train: Dataset
    holdout: Dataset | None
    holdout_rows: npt.NDArray[np.int64]  # positions in the table, ascending, shape (n,)

    @property
    def whole(self) -> Dataset:
        """All rows without their lineage, those of the train set first."""
        parts = [part for part in (self.train, self.holdout) if part is not None]
        return Dataset.concat([part.without_reserved() for part in parts])


def open_table(
    source: object,
    schema: Schema | None = None,
    name: str = "data",
    *,
    lineage: bool = False,
    read: ReadChoice = None,
    remarks: list[Remark] | None = None,
    on_fault: OnFault = "stop",
) -> Dataset:
    """Return a table from a path, a set, or any object with an Arrow stream.

    The columns are inferred without a `schema`; `name` is that of a table without one. With
    `lineage` rows keep their origin, ids and parents. `read` says how to read a CSV file, `remarks` gets a
    remark for each decision on its cells. `on_fault` is that of `read_dataset`.
    """
    if isinstance(source, Dataset) and schema is None:
        found = source.without_reserved()
    elif isinstance(source, str | Path):
        path = Path(source)
        options = read_options(read)
        title = path.name.partition(".")[0] or name
        card = Card(name=title, origin="real", reading=options.to_json())
        found = read_dataset(
            path, schema, card, options=options, remarks=remarks, on_fault=on_fault
        )
    else:
        found = Dataset.from_arrow(source, schema, Card(name=name, origin="real"))
        found = found if lineage else found.without_reserved()
        if lineage and isinstance(source, Dataset):
            found = _with_lineage(found, source)
    check_values(found)
    return found


def check_values(table: Dataset) -> None:
    """Raise DataError for a table without rows or values."""
    if len(table) == 0:
        raise DataError(f"the table '{table.card.name}' has no rows", todo="give at least one row")
    if all(column.null_count == len(table) for column in table.records.columns):
        raise DataError(
            f"every value of the table '{table.card.name}' is missing",
            todo="give a table that holds values",
        )


class InspectedTable(NamedTuple):
    """A table, and what its columns were understood as."""

    table: Dataset
    reading: TableReading


def inspect_table(source: object, read: ReadChoice = None) -> InspectedTable:
    """Return a table as `open_table` does, and what its columns were understood as.

    Examples
    --------
    >>> found = inspect_table(pa.table({"n": ["1,5", "2,5", "7,25"]}))
    >>> found.reading.columns[0].remarks[0].reason.value
    'numbers_in_text'
    """
    remarks: list[Remark] = []
    table = open_table(source, read=read, remarks=remarks)
    lineage = [name for name in RESERVED[1:] if name in table.records.column_names]
    if lineage:
        remarks.append(Remark(reason=Reason.LINEAGE_NAMES, sign=", ".join(lineage)))
    return InspectedTable(table, read_columns(table, remarks))


def same_columns(source: object, real: Dataset, name: str, read: ReadChoice = None) -> Dataset:
    """Return the table read by the real one's schema; faults of objects stay, but for a holdout."""
    keeps = name != "holdout" and bool(real.schema.of_kind("boxes"))
    on_fault: OnFault = "keep" if keeps else "stop"
    try:
        found = open_table(source, real.schema, name, lineage=True, read=read, on_fault=on_fault)
    except SchemaError as error:
        raise SchemaError(
            f"the {name} table does not fit the real one: {error.message}",
            got=error.got,
            allowed=error.allowed,
            todo=error.todo,
        ) from error
    return found if name == "holdout" else found.with_card(origin="synthetic")


def label_beside_texts(schema: Schema) -> str | None:
    """Return the only label of a set of texts, identifiers and spans; None for any other set.

    Examples
    --------
    >>> from twinset.core.data.schema import Field
    >>> said, about = Field(name="said", kind="text"), Field(name="about", kind="category")
    >>> label_beside_texts(Schema((said, about))), label_beside_texts(Schema((about,)))
    ('about', None)
    """
    others = [field for field in schema.fields if field.kind not in ("id", "text", "spans")]
    labels = [field.name for field in others if field.has_levels]
    alone = len(others) == len(labels) == 1 and bool(schema.of_kind("text"))
    return labels[0] if alone else None


def refuse_media(schema: Schema, also: frozenset[str] = frozenset()) -> None:
    """Raise SchemaError for a column that is no cell, identifier or free text, nor of a kind in `also`."""
    for field in schema.fields:
        if field.kind not in _KINDS | also:
            raise SchemaError(
                f"the column '{field.name}' cannot be twinned from one file",
                got=f"a column of kind {field.kind}",
                allowed=", ".join(sorted(_KINDS | also)),
                todo="write a recipe for such a set, or leave the column out",
            )


def name_target(real: Dataset, target: str | None, positive: str | None = None) -> Dataset:
    """Return the table with `target` as the column to predict.

    A target of at most 20 whole numbers is read as labels.
    """
    if target is None:
        if positive is not None:
            raise ParameterError("a positive label needs a target", todo="name the target column")
        return real
    field = real.schema[target]
    if field.kind not in _TARGET_KINDS:
        raise SchemaError(
            f"the target '{target}' cannot be predicted",
            got=f"a column of kind {field.kind}",
            allowed=", ".join(_TARGET_KINDS),
        )
    values = pc.unique(real.records.column(target)).drop_null()
    if len(values) < 2:
        raise DataError(
            f"the target '{target}' never changes",
            got="one value in all rows" if len(values) else "missing values only",
            todo="name a column with at least two different values, or no target",
        )
    as_labels = field.is_whole and len(values) <= _MAX_CLASSES
    found = real.with_schema(
        real.schema.with_target(target, kind="category" if as_labels else None)
    )
    if positive is not None and positive not in found.codes(target)[1]:
        raise DataError(
            f"no row of the target '{target}' has the label '{positive}'",
            allowed=spell_levels(found, target),
        )
    return found


def with_role(real: Dataset, column: str, role: Role) -> Dataset:
    """Return the table with a role of one of its columns."""
    field = real.schema[column]
    if role == "time" and not field.has_order:
        raise SchemaError(
            f"the column '{column}' cannot tell the time",
            got=f"a column of kind {field.kind}",
            allowed="datetime, integer, number",
        )
    return replace(real, schema=real.schema.with_field(replace(field, role=role)))


def split_holdout(real: Dataset, holdout_fraction: float, seed: int) -> RealSplit:
    """Return the table split in train set and holdout; the split depends on table and seed alone.

    Rows are drawn at random; if the target is a label, each label keeps its share. If a column has
    the role group, whole groups are drawn.
    """
    if not (math.isfinite(holdout_fraction) and 0 <= holdout_fraction < 1):
        raise ParameterError(
            "the holdout fraction is out of range", got=str(holdout_fraction), allowed="0 <= f < 1"
        )
    if holdout_fraction == 0:
        return RealSplit(real, None, np.empty(0, dtype=np.int64))
    groups = [field.name for field in real.schema.with_role("group")]
    train, holdout = split_rows(
        real,
        # Rows of one card or patient stay together, or they would leak into the holdout.
        by="group" if groups else "stratified",
        on=groups[0] if groups else None,
        holdout_fraction=holdout_fraction,
        rng=rng_for(seed, "split"),
    )
    return RealSplit(part_of(real, train), part_of(real, holdout), holdout)


def _with_lineage(table: Dataset, source: Dataset) -> Dataset:
    """Return the table with the origin, ids and parents of its source."""
    records = table.records
    for name in RESERVED:
        if name in source.records.column_names and name not in records.column_names:
            records = records.append_column(name, source.records.column(name))
    return replace(table, records=records).with_card(origin=source.card.origin)


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
