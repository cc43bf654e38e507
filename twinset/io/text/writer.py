"""Base class of the writers of labelled texts; every row is read back and losses are counted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from twinset.core.data.dataset import Dataset
from twinset.core.errors import SchemaError
from twinset.io.text.losses import RoundTripLosses
from twinset.io.text.rows import SPANS, TEXT, Row, TextColumns, rows_of


@dataclass(frozen=True)
class RoundTrip:
    """What a format gives back of a row, None where it was left out, and why it differs where it does."""

    back: Row | None
    why: Mapping[str, str] = field(default_factory=dict)


class TextWriter(ABC):
    """Takes the chunks of one set. Every row is read back as it is written, and losses are counted.

    Parameters
    ----------
    place : Path
        File or folder to write.
    format : str
        Name of the format.
    """

    holds_names = False  # whether the names of the columns of texts and of spans come back

    def __init__(self, place: Path, format: str) -> None:  # noqa: A002
        self.place = place
        self.losses = RoundTripLosses(format)
        self.columns: TextColumns | None = None
        self._streams: list[IO[str]] = []

    def write(self, chunk: Dataset) -> None:
        """Append the rows of `chunk`.

        Raises
        ------
        SchemaError
            The set is none of texts, or a label cannot be written.
        DataError
            A row has no text.
        """
        columns = TextColumns.of(chunk.schema)
        if self.columns is None:
            self.columns = columns
            self._tell_names(columns)
            self.begin(columns)
        for row in rows_of(chunk, columns, self.losses.n_rows):
            written = self.put(row)
            self.losses.compare(row, written.back, written.why)

    def _tell_names(self, columns: TextColumns) -> None:
        for name, usual in ((columns.text, TEXT), (columns.spans, SPANS)):
            if name and name != usual and not self.holds_names:
                self.losses.column(f"the column '{name}' comes back as '{usual}'")

    def begin(self, columns: TextColumns) -> None:  # noqa: B027  (most formats have no head)
        """Write what stands before the first row."""

    @abstractmethod
    def put(self, row: Row) -> RoundTrip:
        """Write one row and return what a reader will get from it."""

    def finish(self) -> None:  # noqa: B027  (most formats have no end)
        """Write what stands behind the last row."""

    def open(self, path: Path) -> IO[str]:
        """Return a new file of texts; it is closed with the writer."""
        self._streams.append(path.open("w", encoding="utf-8", newline=""))
        return self._streams[-1]

    def close(self) -> None:
        """Close what is open."""
        for stream in self._streams:
            stream.close()


def check_label(label: str, format: str) -> str:  # noqa: A002
    """Return a label that stands on one line.

    Raises
    ------
    SchemaError
        It is empty or holds a line break or a tabulator.
    """
    if not label.strip() or any(sign in label for sign in "\t\n\r"):
        raise SchemaError(
            f"a label of a span cannot be written as {format}",
            got=repr(label[:60]),
            allowed="a text on one line, without tabulators",
        )
    return label
