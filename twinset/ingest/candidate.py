"""Read a candidate by the columns of the real set, however it is written, and say what differs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from twinset.core.data.arrow_tables import to_table
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import RESERVED, Field, Schema
from twinset.core.errors import ParameterError, SchemaError
from twinset.core.reading_faults import ReadingFault, ReadingFaultKind
from twinset.ingest.input_table import check_values, same_columns
from twinset.io.datasets import CandidateTable, read_candidate_table
from twinset.io.formats import find_format
from twinset.io.reading.cells import CellFault
from twinset.io.reading.expected import Expectation, named_faults, read_column
from twinset.io.reading.options import ReadChoice, ReadOptions, read_options

_MAX_NAMES = 30  # columns in an error; more would hide what it says
OF_COLUMNS = frozenset(
    {
        ReadingFaultKind.MISSING_COLUMN,
        ReadingFaultKind.ADDED_COLUMN,
        ReadingFaultKind.COLUMN_NAME,
    }
)


@dataclass(frozen=True)
class Candidate:
    """Rows read as those of the real set, and how their file differs from it."""

    rows: Dataset  # Columns in common, in the order of the real set
    faults: tuple[ReadingFault, ...] = ()  # Those of columns first
    changed: Mapping[str, Field] | None = None  # Columns of a wider kind than the real ones

    def fit(self, real: Dataset) -> Dataset:
        """Return real rows with the columns and kinds of the candidate."""
        schema = real.schema.select(self.rows.schema.names)
        for field in (self.changed or {}).values():
            own = schema[field.name]
            schema = schema.with_field(
                replace(own, kind=field.kind, stored=field.stored, decimals=field.decimals)
            )
        names = schema.names
        return real if names == real.schema.names and not self.changed else _select(real, schema)


def _select(real: Dataset, schema: Schema) -> Dataset:
    return real.select(schema.names).with_schema(schema)


@dataclass(frozen=True)
class RealFile:
    """The file of the real set, whose cells are looked at where those of a candidate differ."""

    source: object  # As it was given; anything but the path of a CSV file has no cells
    schema: Schema
    options: ReadOptions

    @property
    def path(self) -> Path | None:
        """The CSV file; None for other sources."""
        if not isinstance(self.source, str | Path):
            return None
        found = find_format(Path(self.source))
        return Path(self.source) if found is not None and found[0].name == "csv" else None

    @cached_property
    def written(self) -> CandidateTable | None:
        """The cells of the file; None for other sources."""
        if self.path is None:
            return None
        return read_candidate_table(self.path, self.schema, self.options)

    def also_shows(self, name: str, expected: Expectation) -> set[tuple[ReadingFaultKind, str]]:
        """Return the faults that the real column itself shows: what real rows do is none."""
        if self.written is None or name not in self.written.table.column_names:
            return set()
        cells = self.written.table.column(name)
        found = read_column(cells, replace(expected, is_typed=False))
        return {(one.kind, one.sign) for one in found.faults if one.rows.any()}


def read_candidate(
    source: object,
    real: Dataset,
    name: str = "synthetic",
    *,
    real_source: object = None,
    read: ReadChoice = None,
    ignored: Collection[str] = (),
) -> Candidate:
    """Return the rows of a candidate as the columns of the real set, and what is written otherwise.

    Parameters
    ----------
    source : path or Arrow object
        The candidate.
    real : Dataset
        All real rows, by whose kinds, levels and ranges cells are understood.
    name : str
        Name of a table without one, for errors.
    real_source : object
        Where the real rows are from: what its own cells show is no fault.
    read : ReadOptions, mapping or sequence of str, optional
        How the real file was read.
    ignored : collection of str
        Columns that are neither compared nor missed.

    Raises
    ------
    SchemaError
        No column is in common.
    DataError
        The file cannot be read as a table, or has no rows.

    Examples
    --------
    >>> real = Dataset.from_arrow(pa.table({"age": [31, 47, 50], "sex": ["f", "m", "m"]}))
    >>> found = read_candidate(pa.table({"age": [33.5, 40.0], "sex": ["F", "M"]}), real)
    >>> found.rows.schema["age"].kind, [one.kind.value for one in found.faults]
    ('number', ['fractions', 'spelling of levels'])
    """
    options = read_options(read)
    written = _open(source, real.schema, options)
    if written is None:
        return Candidate(same_columns(source, real, name))
    table = written.table
    places, faults = _match_names(table.column_names, real.schema.names, ignored, name)
    original = RealFile(real_source, real.schema, options)
    faults += _layout_faults(written, original)
    columns, schema, changed = {}, real.schema.select(list(places)), {}
    for column, place in places.items():
        expected = Expectation.from_real(
            real, column, options.missing, options.dates, is_typed=not written.delimiter
        )
        found = read_column(table.column(place), expected)
        columns[column] = found.column
        if found.field != expected.field:
            changed[column] = found.field
            schema = schema.with_field(found.field)
        faults += named_faults(column, _unexpected(found.faults, original, column, expected))
    columns |= {one: table.column(one) for one in RESERVED if one in table.column_names}
    title = Path(source).name.partition(".")[0] if isinstance(source, str | Path) else name
    rows = Dataset.from_arrow(
        pa.table(columns), schema, Card(name=title or name, origin="synthetic")
    )
    check_values(rows)
    faults.sort(key=lambda one: one.kind not in OF_COLUMNS)
    return Candidate(rows, tuple(faults), changed)


def read_holdout(source: object, real: Dataset, read: ReadChoice, real_source: object) -> Candidate:
    """Return unseen real rows, which have all columns of the others; cells may be written otherwise."""
    found = read_candidate(source, real, "holdout", real_source=real_source, read=read)
    for one in found.faults:
        if one.kind in (ReadingFaultKind.MISSING_COLUMN, ReadingFaultKind.ADDED_COLUMN):
            lacks = one.kind == ReadingFaultKind.MISSING_COLUMN
            raise SchemaError(
                "the holdout table does not fit the real one: the table "
                f"{'lacks' if lacks else 'has the unexpected'} '{one.column}'",
                allowed="the columns " + ", ".join(real.schema.names[:_MAX_NAMES]),
                todo="give a table with the same columns",
            )
    origin = source.card.origin if isinstance(source, Dataset) else "real"
    return replace(found, rows=found.rows.with_card(origin=origin))


def named_columns(names: Sequence[str], schema: Schema) -> tuple[str, ...]:
    """Return columns that a user named, each by itself or several in one text with commas.

    Raises
    ------
    SchemaError
        There is no such column.

    Examples
    --------
    >>> schema = Schema(tuple(Field(name=n, kind="number") for n in ("age", "sex", "a,b")))
    >>> named_columns(["age,sex", "a,b"], schema)
    ('age', 'sex', 'a,b')
    """
    given = [names] if isinstance(names, str) else names
    found = [part for one in given for part in ([one] if one in schema else one.split(","))]
    return tuple(dict.fromkeys(schema[one if one in schema else one.strip()].name for one in found))


def kept_columns(
    schema: Schema, ignored: Collection[str], needed: Mapping[str, str | None]
) -> list[str]:
    """Return the columns that are measured; raise ParameterError where an ignored one is `needed`.

    `needed` has the column of each other option.
    """
    for option, column in needed.items():
        if column is not None and column in ignored:
            raise ParameterError(
                f"the column '{column}' cannot be ignored, since it is the {option}",
                todo=f"leave out one of the two: ignore, or {option}",
            )
    kept = [name for name in schema.names if name not in ignored]
    if not kept:
        raise ParameterError("every column is ignored", todo="leave at least one to be measured")
    return kept


def _open(source: object, schema: Schema, options: ReadOptions) -> CandidateTable | None:
    """Return the columns as they are written; None for sets of images or spans."""
    if isinstance(source, str | Path):
        return read_candidate_table(Path(source), schema, options)
    if any(field.column_kind.is_nested for field in schema.fields):
        return None
    return CandidateTable(to_table(source))


def _match_names(
    own: Sequence[str], names: Sequence[str], ignored: Collection[str], subject: str
) -> tuple[dict[str, str], list[ReadingFault]]:
    """Return real column -> column of the candidate, in the order of the real set, and the faults."""
    given = [one for one in own if one not in RESERVED]
    wanted = [one for one in names if one not in ignored]
    places = {one: one for one in wanted if one in given}
    left: dict[str, list[str]] = {}
    for one in given:
        if one not in places and one not in ignored:
            left.setdefault(one.strip().casefold(), []).append(one)
    faults = []
    for one in wanted:
        like = left.get(one.strip().casefold(), [])
        if one not in places and len(like) == 1:
            places[one] = like.pop()
            kind = ReadingFaultKind.COLUMN_NAME
            faults.append(ReadingFault(kind=kind, column=one, sign=places[one]))
    places = {one: places[one] for one in wanted if one in places}
    if not places:
        raise SchemaError(
            f"the {subject} table has no column of the real one",
            got=f"{len(given)} columns of other names",
            allowed="the columns " + ", ".join(wanted[:_MAX_NAMES]),
            todo="give a table with the same columns; a file needs their names in its first line",
        )
    missing = [one for one in wanted if one not in places]
    added = [one for same in left.values() for one in same]
    kinds = (ReadingFaultKind.MISSING_COLUMN, missing), (ReadingFaultKind.ADDED_COLUMN, added)
    whole = [ReadingFault(kind=kind, column=one) for kind, found in kinds for one in found]
    order = [one for one in given if one in places.values()]
    if order != list(places.values()):
        faults.append(ReadingFault(kind=ReadingFaultKind.COLUMN_ORDER))
    return places, [*whole, *faults]


def _layout_faults(written: CandidateTable, real: RealFile) -> list[ReadingFault]:
    """Return faults of the file: an encoding, or a separator that the real file does not have."""
    faults = []
    if written.encoding:
        faults.append(ReadingFault(kind=ReadingFaultKind.ENCODING, sign=written.encoding))
    if written.delimiter and real.path is not None:
        from twinset.io.csv_tables import find_delimiter

        if written.delimiter != find_delimiter(real.path, real.options):
            faults.append(ReadingFault(kind=ReadingFaultKind.DELIMITER, sign=written.delimiter))
    return faults


def _unexpected(
    faults: Sequence[CellFault], real: RealFile, name: str, expected: Expectation
) -> list[CellFault]:
    """Return the faults that the real column itself does not show."""
    if not faults:
        return []
    usual = real.also_shows(name, expected)
    return [one for one in faults if (one.kind, one.sign) not in usual]
