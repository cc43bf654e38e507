"""Rows of one table that also stand in another: synthetic rows that are real, a holdout that was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from twinset.core.data.dataset import Dataset

# From this share of repeated rows on, a reader should be told.
_MUCH = 0.5
_FEWEST_TOLD = 11
_REACH = 3.0


@dataclass(frozen=True)
class RowOverlap:
    """How many rows of a table equal a row of another.

    Parameters
    ----------
    seen, rows : int
        Rows that equal one of the other table, and all rows.
    repeated : float
        Share of the other table's rows that equal a further row of it, in [0, 1]: about the share to
        expect of fresh rows.
    """

    seen: int
    rows: int
    repeated: float

    @property
    def is_much(self) -> bool:
        """Whether half of the rows or more are seen ones."""
        return self.rows > 0 and self.seen >= self.rows * _MUCH

    @property
    def is_beyond_chance(self) -> bool:
        """Whether half of the rows or more are seen ones, and more than chance would make."""
        spread = (self.repeated * (1 - self.repeated) / max(self.rows, 1)) ** 0.5
        expected = self.repeated + _REACH * spread
        return self.is_much and self.seen > self.rows * expected

    @property
    def told(self) -> str:
        """The number of seen rows; one of 1 to 10 is not told."""
        return "fewer than 11" if 0 < self.seen < _FEWEST_TOLD else f"{self.seen:,}"


def count_row_overlap(
    known: Dataset, others: Dataset, names: Sequence[str] | None = None
) -> RowOverlap:
    """Return how many of the other rows equal a known one, value for value.

    Parameters
    ----------
    known, others : Dataset
        Two sets with the same columns.
    names : sequence of str, optional
        Columns to compare; by default all but spans, boxes and the like, which say something of
        their text or picture; pictures are equal where their pixels are.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"age": [31, 47, 47], "sex": ["f", "m", "m"]}))
    >>> found = count_row_overlap(real, real.slice(0, 1))
    >>> found.seen, found.rows, round(found.repeated, 2)
    (1, 1, 0.67)
    """
    able = [field.name for field in known.schema.fields if not field.column_kind.is_annotation]
    names = able if names is None else list(names)
    if not names:
        return RowOverlap(0, len(others), 0.0)
    sides = [
        pa.table([_content(part, name) for name in names], names=names).append_column(
            "_other", pa.array(np.full(len(part), side))
        )
        for side, part in enumerate((known, others))
    ]
    groups = pa.concat_tables(sides).group_by(names)
    counts = groups.aggregate([("_other", "count"), ("_other", "sum")])
    other = counts["_other_sum"].to_numpy()
    own = counts["_other_count"].to_numpy() - other
    repeated = float(own[own > 1].sum() / len(known)) if len(known) else 0.0
    return RowOverlap(int(other[own > 0].sum()), len(others), repeated)


def copied_rows(real: Dataset, synthetic: Dataset) -> RowOverlap:
    """Return how many synthetic rows equal a real one; identifiers, made afresh, are not looked at."""
    fields = [field for field in real.schema.fields if field.kind not in ("id", "spans")]
    # Free text is often made afresh as well; it decides only where there is a label beside it at most.
    tabular = [field.name for field in fields if field.is_tabular]
    # Beside a picture, its labels tell nothing: they stand with many others, too.
    images = [field.name for field in fields if field.column_kind.is_media]
    about_texts = len(tabular) < 2 and len(tabular) < len(fields)
    rest = [field.name for field in fields if not field.column_kind.is_annotation]
    return count_row_overlap(real, synthetic, images or (rest if about_texts else tabular))


def copied_note(found: RowOverlap) -> list[str]:
    """Return a note where synthetic rows equal real ones and nothing tells how many do by chance."""
    if not found.seen:
        return []
    verb = "equals" if found.rows == 1 else "equal"
    return [
        f"{found.told} of {found.rows:,} synthetic rows {verb} a real row. Without rows that the "
        "generator never saw it cannot be told how many do by chance; closeness to real and coverage "
        "look good for a mere copy, too. Give such rows by --holdout"
    ]


def seen_note(found: RowOverlap) -> list[str]:
    """Return a note when most rows of the holdout also stand in the rows that the generator saw."""
    if not found.is_much:
        return []
    return [
        f"{found.told} of {found.rows:,} holdout rows also stand, value for value, in the real table; "
        "if they are the same records, the generator saw them and a leak cannot be found"
    ]


def _content(rows: Dataset, name: str) -> pa.ChunkedArray:
    return rows.schema[name].column_kind.content(rows.records.column(name))
