"""Typed results on a file: how it is written otherwise than the one that it is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from twinset.core.findings import Finding


class ReadingFaultKind(StrEnum):
    """Way in which a file is written otherwise than the real one."""

    # Of the file
    MISSING_COLUMN = "missing column"
    ADDED_COLUMN = "additional column"
    COLUMN_NAME = "name of the column"
    COLUMN_ORDER = "order of the columns"
    DELIMITER = "separator"
    ENCODING = "encoding"
    # Of cells that count as missing values
    UNREADABLE = "unreadable"
    MISSING_MARK = "mark of missing values"
    # Of cells that are understood
    FRACTIONS = "fractions"
    FLOATS = "integers as floats"
    NUMBERS = "notation of numbers"
    SIGN = "sign beside numbers"
    TEXTS = "numbers as texts"
    DATES = "notation of dates"
    ZONE = "time zone"
    TRUTH = "words for true and false"
    LEVELS = "spelling of levels"


@dataclass(frozen=True, kw_only=True)
class ReadingFault:
    """One way in which a column, or the file, is written otherwise than the real one."""

    kind: ReadingFaultKind
    column: str = ""  # Name in the real set, of an additional column its own; empty for the file
    sign: str = ""  # What was found: of a fixed list, or a name; never another cell
    n_rows: int = 0  # Rows that it concerns; 0 for a fact of the file
    rows: tuple[int, ...] = ()  # The first of them: positions in the set that was given, from 1


@dataclass(frozen=True)
class ReadingFaults(Finding, headline=True, nothing_without=("faults",)):
    """Ways in which the file of the synthetic rows is written otherwise than the real one."""

    faults: tuple[ReadingFault, ...]  # Those of columns first
    n_synthetic: int  # Rows of the set
