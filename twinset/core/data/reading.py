"""Typed findings on how a table was read: one remark for each decision that rests on its cells."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

# A level of fewer rows, or persons, may describe one person: its spelling is shown nowhere. Health
# statistics of the United States suppress counts below 11 (CMS cell size policy).
MIN_SHOWN_ROWS = 11


class Reason(StrEnum):
    """What a remark says; `twinset.report.reading` has a sentence for each."""

    # Of the file
    DELIMITER = "delimiter"
    TWO_DELIMITERS = "two_delimiters"
    HEADER_ABSENT = "header_absent"
    NUMBER_NAMES = "number_names"
    COMMENT_NAME = "comment_name"
    EMPTY_LINES = "empty_lines"
    TOTALS_ROW = "totals_row"
    LINEAGE_NAMES = "lineage_names"
    # Of a column that was read as something else than its cells show at first sight
    DECIMAL_COMMA = "decimal_comma"
    GROUPS = "groups"
    GROUPS_OR_DECIMALS = "groups_or_decimals"
    SIGN = "sign"
    BRACKETS = "brackets"
    MARKER_MISSING = "marker_missing"
    DATE_NOTATION = "date_notation"
    DIGITS_KEPT = "digits_kept"
    REQUESTED = "requested"
    # Of a column that was left as it is
    NUMBERS_MIXED = "numbers_mixed"
    NOTATIONS_MIXED = "notations_mixed"
    DATES_MIXED = "dates_mixed"
    DATE_ORDER = "date_order"
    SHORT_YEARS = "short_years"
    NUMBERS_IN_TEXT = "numbers_in_text"
    DATES_IN_TEXT = "dates_in_text"
    DOT_DECIMALS = "dot_decimals"
    MARKER_LEVEL = "marker_level"
    MARKER_NUMBER = "marker_number"
    ROW_NUMBERS = "row_numbers"
    TIME_NUMBERS = "time_numbers"
    DAY_NUMBERS = "day_numbers"
    LARGE_NUMBERS = "large_numbers"
    LEVELS_ALIKE = "levels_alike"
    TRUTH_MIXED = "truth_mixed"
    PADDED_NAME = "padded_name"
    NOT_REPEATED = "not_repeated"
    NO_VALUES = "no_values"
    # What a certain decision rests on
    NUMBER_CELLS = "number_cells"
    DATE_CELLS = "date_cells"
    TRUTH_CELLS = "truth_cells"
    TWO_NUMBERS = "two_numbers"
    KEY_NAME = "key_name"
    KEY_CELLS = "key_cells"
    LONG_TEXTS = "long_texts"
    FEW_LEVELS = "few_levels"
    STORED_TYPE = "stored_type"
    ONE_VALUE = "one_value"


_SURE = frozenset(
    {
        Reason.DELIMITER,
        Reason.HEADER_ABSENT,
        Reason.DECIMAL_COMMA,
        Reason.DATE_NOTATION,
        Reason.DIGITS_KEPT,
        Reason.REQUESTED,
        Reason.NUMBER_CELLS,
        Reason.DATE_CELLS,
        Reason.TRUTH_CELLS,
        Reason.TWO_NUMBERS,
        Reason.KEY_NAME,
        Reason.KEY_CELLS,
        Reason.LONG_TEXTS,
        Reason.FEW_LEVELS,
        Reason.STORED_TYPE,
        Reason.ONE_VALUE,
    }
)


@dataclass(frozen=True, kw_only=True)
class Remark:
    """One decision.

    Parameters
    ----------
    reason : Reason
        What was decided, and why.
    column : str
        Name of the column; empty for the file.
    rows : int, optional
        Number of cells or lines that it concerns.
    row : int, optional
        The first of them; the header is row 1.
    sign : str
        A mark of a fixed list, e.g. "%" or "?"; never another cell.
    """

    reason: Reason
    column: str = ""
    rows: int | None = None
    row: int | None = None
    sign: str = ""

    @property
    def is_sure(self) -> bool:
        """Whether the cells allow no other reading."""
        return self.reason in _SURE

    def to_json(self) -> dict[str, Any]:
        """Return the remark as plain JSON values, without empty ones."""
        values = {k: v for k, v in asdict(self).items() if v not in ("", None)}
        return {**values, "sure": self.is_sure}


@dataclass(frozen=True, kw_only=True)
class ColumnReading:
    """What a column was understood as."""

    name: str
    kind: str
    role: str
    missing_share: float
    n_distinct: int | None  # None for kinds whose values are files or lists
    remarks: tuple[Remark, ...]  # uncertain ones first; never empty
    is_counted: bool = True  # else there are at least so many distinct values

    @property
    def is_sure(self) -> bool:
        """Whether no remark is uncertain."""
        return all(one.is_sure for one in self.remarks)

    def to_json(self) -> dict[str, Any]:
        """Return the reading as plain JSON values."""
        remarks = [one.to_json() for one in self.remarks]
        return {**asdict(self), "sure": self.is_sure, "remarks": remarks}


@dataclass(frozen=True, kw_only=True)
class TableReading:
    """What a table was understood as.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    remarks : tuple of Remark
        Decisions on the file as a whole.
    columns : tuple of ColumnReading
        One for each column, in the order of the file.
    """

    n_rows: int
    remarks: tuple[Remark, ...] = ()
    columns: tuple[ColumnReading, ...] = ()

    @property
    def ordered(self) -> tuple[ColumnReading, ...]:
        """The columns, uncertain ones first."""
        return tuple(sorted(self.columns, key=lambda one: one.is_sure))

    def with_target(self, name: str, kind: str) -> TableReading:
        """Return the reading with the column to predict.

        Examples
        --------
        >>> TableReading(n_rows=3).with_target("label", "category").columns
        ()
        """
        columns = tuple(
            replace(one, role="target", kind=kind) if one.name == name else one
            for one in self.columns
        )
        return replace(self, columns=columns)

    def to_json(self) -> dict[str, Any]:
        """Return the reading as plain JSON values, uncertain columns first."""
        return {
            "rows": self.n_rows,
            "remarks": [one.to_json() for one in self.remarks],
            "columns": [one.to_json() for one in self.ordered],
        }
