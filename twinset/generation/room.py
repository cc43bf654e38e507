"""What a request for rows needs of disk, memory and time: refused before a row is drawn."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from twinset.core.data.dataset import Dataset
from twinset.core.errors import RecipeError

_MIN_ROW_BYTES = (
    64  # of a row whose size is not known: less than any image or text with its id takes
)
_ROWS_PER_SECOND = 100_000  # of the fastest generators on one core: the real time is longer
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_DAY, _YEAR = 86_400, 365.25 * 86_400


@dataclass(frozen=True)
class Room:
    """Where rows are written, and whether they are all in memory at once, as to be measured."""

    folder: Path | None = Path()  # None: nothing is written
    in_memory: bool = True

    def check(self, rows: int, like: Dataset | None) -> None:
        """Raise RecipeError if so many rows fit neither the disk nor the memory of this machine.

        Parameters
        ----------
        rows : int
            Number of rows that are requested.
        like : Dataset or None
            Rows of about the same size; without them a row counts as 64 bytes.

        Raises
        ------
        RecipeError
            The sentence gives the bytes and the time that the rows need, and what there is.
        """
        row_bytes = float(_MIN_ROW_BYTES)
        if like is not None and len(like):
            row_bytes = max(1.0, like.records.nbytes / len(like))
        there = {}
        if self.folder is not None:
            place = next(
                p for p in (self.folder.absolute(), *self.folder.absolute().parents) if p.exists()
            )
            there["free disk"] = shutil.disk_usage(place).free
        if self.in_memory and hasattr(os, "sysconf"):
            there["memory"] = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        short = [name for name, room in there.items() if rows * row_bytes > room]
        if short:
            raise RecipeError(
                f"{rows:,} rows do not fit this machine: they need about "
                f"{format_bytes(rows * row_bytes)} of {' and '.join(short)}, and "
                f"{format_duration(rows / _ROWS_PER_SECOND)} or longer",
                got=", ".join(f"{format_bytes(room)} of {name}" for name, room in there.items()),
                allowed=f"about {int(min(there.values()) / row_bytes):,} rows",
                todo="ask for fewer rows, or for shards of images with: twinset shards",
            )


CHECKED = Room(None, in_memory=False)
"""Room that was looked at before: any number of rows passes."""


def format_bytes(number: float) -> str:
    """Return a number of bytes with its unit.

    >>> format_bytes(1_500), format_bytes(8e13)
    ('1.5 kB', '80 TB')
    """
    power = 0
    while number >= 1000 and power < len(_UNITS) - 1:
        number, power = number / 1000, power + 1
    return f"{number:,.3g} {_UNITS[power]}" if number < 1000 else f"{number:,.0f} {_UNITS[power]}"


def format_duration(seconds: float) -> str:
    """Return a duration in the largest unit that it fills.

    >>> format_duration(90), format_duration(1e7), format_duration(1e9)
    ('2 minutes', '116 days', '32 years')
    """
    for size, unit in ((_YEAR, "years"), (_DAY, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:,.0f} seconds"
