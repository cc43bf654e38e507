"""`Writer`, the base class of everything that writes a set, and records of what it writes and loses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema
from twinset.core.errors import DataError

# Row numbers of each loss in formats.json: enough to find them, small for 10^6 rows.
_MAX_LISTED = 1_000
_MAX_SHOWN = 5  # row numbers in a warning, which is one line on a screen

ROW_EXCLUDED = "the row is left out"


class Target(NamedTuple):
    """Where and how a set is written."""

    draft: Path  # file or folder to write
    place: Path  # where the draft is moved when it is complete
    format: str  # its name
    escape_formulas: bool = False  # in CSV, with an apostrophe before what a spreadsheet would run


class Writer(ABC):
    """Writes the chunks of one set, in order. Use it through `twinset.io.open_writer`.

    Attributes
    ----------
    is_folder : bool
        Whether the format is a folder of files.
    losses : RoundTripLosses or None
        What the format could not hold; None for formats that hold everything.
    """

    is_folder: ClassVar[bool] = False

    def __init__(self, target: Target) -> None:
        self.target = target
        self.draft = target.draft
        self.losses: RoundTripLosses | None = None

    @abstractmethod
    def write(self, chunk: Dataset) -> None:
        """Append the rows of `chunk`."""

    def finish(self) -> None:  # noqa: B027  (most formats have no end)
        """Write what follows the last row; called once, unless an error occurred."""

    def close(self) -> None:  # noqa: B027  (most formats hold nothing open)
        """Close open files; called in any case."""


class StreamedSchema:
    """The schema of a stream of chunks with equal columns, and the levels that occur in them."""

    def __init__(self) -> None:
        self.first: Schema | None = None
        self._levels: dict[str, set[str]] = {}

    def add(self, chunk: Dataset) -> None:
        """Add the levels that occur in a chunk; raise DataError if its columns are not those before."""
        self.add_schema(chunk.schema, lambda name: chunk.codes(name)[1])

    def add_schema(
        self, schema: Schema, levels_of: Callable[[str], Sequence[str]] | None = None
    ) -> None:
        """Add the levels of a schema that `schema` returned for another part of the stream."""
        self.first = self.first or schema
        if schema.names != self.first.names:
            raise DataError(
                "the rows of the set do not have the same columns",
                got=", ".join(schema.names[:30]),
                allowed=", ".join(self.first.names[:30]),
                todo="deliver the rows of each step as a set of its own (deliver.include: synthetic)",
            )
        for field in schema.fields:
            if field.levels is not None:
                levels = levels_of(field.name) if levels_of else field.levels
                self._levels.setdefault(field.name, set()).update(levels)

    def schema(self) -> Schema:
        """Return the schema with only the levels that occurred: others may be personal."""
        assert self.first is not None
        fields = tuple(
            replace(f, levels=tuple(sorted(self._levels[f.name]))) if f.name in self._levels else f
            for f in self.first.fields
        )
        return replace(self.first, fields=fields)


class RoundTripLosses:
    """Counts what does not come back from the files of one set, by row number, never with content."""

    def __init__(self, format: str) -> None:  # noqa: A002
        self.format = format
        self.n_rows = 0
        self.columns: list[str] = []
        self.found: dict[str, list[int]] = {}
        self._touched: set[int] = set()

    def add_column(self, text: str) -> None:
        """Add a loss that is the same in all rows; it is reported once."""
        if text not in self.columns:
            self.columns.append(text)

    def add(self, row: int, text: str) -> None:
        """Count a loss in the row of that number."""
        self.found.setdefault(text, []).append(row)
        self._touched.add(row)

    @property
    def n_whole(self) -> int:
        """Number of rows that come back exactly as they were."""
        return self.n_rows - len(self._touched)

    def sentence(self) -> str:
        """Return all losses as one sentence; empty when nothing is lost."""
        parts = []
        for text, rows in self.found.items():
            shown = ", ".join(map(str, rows[:_MAX_SHOWN])) + (", ..." if rows[_MAX_SHOWN:] else "")
            noun = "row" if len(rows) == 1 else "rows"
            parts.append(f"{text} ({len(rows):,} {noun}, counted from 0: {shown})")
        parts += self.columns
        if not parts:
            return ""
        whole = f"{self.n_whole:,} of {self.n_rows:,} rows come back exactly"
        return f"what {self.format} cannot hold: {'; '.join(parts)}; {whole}"

    def to_json(self) -> dict[str, Any]:
        """Return all losses as plain JSON values; of each at most 1,000 row numbers."""
        rows = [
            {"what": text, "count": len(rows), "rows": rows[:_MAX_LISTED]}
            for text, rows in self.found.items()
        ]
        return {"rows": self.n_rows, "exact": self.n_whole, "losses": rows, "always": self.columns}
