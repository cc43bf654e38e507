"""`Format`: what one file format is called, how it is recognised, read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from twinset.core.data.dataset import Dataset
    from twinset.io.text.losses import RoundTripLosses
    from twinset.io.vision.faults import OnFault


class Writer(Protocol):
    """Takes the chunks of one set, in order."""

    def write(self, chunk: Dataset) -> None:
        """Append the rows of `chunk`."""

    @property
    def losses(self) -> RoundTripLosses | None:
        """What the format could not hold; None where it holds everything."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format of files or folders.

    Parameters
    ----------
    name : str
        Its name in recipes and on the command line.
    ending : str
        Ending of what is written, without a point; `name` when empty.
    read_endings : tuple of str
        Endings that are read without a look at the content.
    holds : {"table", "image", "text"}
        What a set must have: any columns, a column of images, a column of texts.
    for_tiles : bool
        Whether `twinset tiles` writes it: a format that training frameworks read images in.
    omits_missing : bool
        Whether a column without any value is absent from a file.
    rank : int
        Formats with a `sniff` are tried in ascending order.
    sniff : callable, optional
        Takes a path; returns the file or folder to read, None where the format is another.
    read_table : callable, optional
        Takes a path and the columns to read as text; returns a table of columns without a schema.
    read_set : callable, optional
        Takes a path, the name of the set and "stop" or "skip" for faults; returns a `Dataset`.
    stream_set : callable, optional
        As `read_set`, but yields chunks.
    open : callable, optional
        Takes a path and whether formulas are escaped; gives a `Writer`. The file or folder appears
        when the block ends without an error.
    """

    name: str
    ending: str = ""
    read_endings: tuple[str, ...] = ()
    holds: Literal["table", "image", "text"] = "table"
    for_tiles: bool = False
    omits_missing: bool = False
    rank: int = 0
    sniff: Callable[[Path], Path | None] | None = None
    read_table: Callable[[Path, Sequence[str]], pa.Table] | None = None
    read_set: Callable[[Path, str, OnFault], Dataset] | None = None
    stream_set: Callable[[Path, str, OnFault], Iterator[Dataset]] | None = None
    open: Callable[[Path, bool], AbstractContextManager[Writer]] | None = None

    @property
    def can_read(self) -> bool:
        """Whether sets in this format can be read."""
        return self.read_table is not None or self.read_set is not None

    @property
    def can_write(self) -> bool:
        """Whether sets can be delivered in this format."""
        return self.open is not None
