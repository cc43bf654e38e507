"""Rows that occur in two sets: synthetic rows that equal real ones, holdout rows that equal train rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from twinset.core.data.dataset import Dataset

_HIGH_SHARE = 0.5  # of the rows: from there on, verdicts on the set would mislead
_N_ERRORS = 3.0  # standard errors beyond the expected share: chance reaches it 1 time in 740


@dataclass(frozen=True)
class RowOverlap:
    """Rows of a set that equal a row of another.

    Parameters
    ----------
    shared, rows : int
        Rows that equal one of the other set, and all rows.
    repeated : float
        Share of the other set's rows that equal a further row of it, in [0, 1]: about the share to
        expect of new real rows.
    """

    shared: int
    rows: int
    repeated: float

    @property
    def is_high(self) -> bool:
        """Whether half of the rows or more are shared."""
        return self.rows > 0 and self.shared >= self.rows * _HIGH_SHARE

    @property
    def is_beyond_chance(self) -> bool:
        """Whether half of the rows or more are shared, and more than chance explains."""
        error = (self.repeated * (1 - self.repeated) / max(self.rows, 1)) ** 0.5
        return self.is_high and self.shared > self.rows * (self.repeated + _N_ERRORS * error)


def count_row_overlap(
    known: Dataset, others: Dataset, names: Sequence[str] | None = None
) -> RowOverlap:
    """Return how many of the other rows equal a known one, value for value.

    Parameters
    ----------
    known, others : Dataset
        Two sets with the same columns.
    names : sequence of str, optional
        Columns to compare; by default all but masks, boxes and spans. Images are equal where their pixels
        are.

    Examples
    --------
    >>> real = Dataset.from_arrow(pa.table({"age": [31, 47, 47], "sex": ["f", "m", "m"]}))
    >>> found = count_row_overlap(real, real.slice(0, 1))
    >>> found.shared, found.rows, round(found.repeated, 2)
    (1, 1, 0.67)
    """
    able = [field.name for field in known.schema.fields if not field.column_kind.is_annotation]
    names = able if names is None else list(names)
    if not names:
        return RowOverlap(0, len(others), 0.0)
    tables = [
        pa.table([_content(part, name) for name in names], names=names).append_column(
            "_other", pa.array(np.full(len(part), place))
        )
        for place, part in enumerate((known, others))
    ]
    groups = pa.concat_tables(tables).group_by(names)
    counts = groups.aggregate([("_other", "count"), ("_other", "sum")])
    other = counts["_other_sum"].to_numpy()
    own = counts["_other_count"].to_numpy() - other
    repeated = float(own[own > 1].sum() / len(known)) if len(known) else 0.0
    return RowOverlap(int(other[own > 0].sum()), len(others), repeated)


def count_copied_rows(real: Dataset, synthetic: Dataset) -> RowOverlap:
    """Return how many synthetic rows equal a real one, without identifiers, which are placeholders."""
    fields = [field for field in real.schema.fields if field.kind not in ("id", "spans")]
    # Images decide alone: many of them share their few labels. Texts decide beside one label at most:
    # texts of tables are placeholders.
    tabular = [field.name for field in fields if field.is_tabular]
    images = [field.name for field in fields if field.column_kind.is_media]
    about_texts = len(tabular) < 2 and len(tabular) < len(fields)
    rest = [field.name for field in fields if not field.column_kind.is_annotation]
    return count_row_overlap(real, synthetic, images or (rest if about_texts else tabular))


def note_copied_rows(found: RowOverlap) -> list[str]:
    """Return a note where synthetic rows equal real ones and there is no holdout to compare with."""
    if not found.shared:
        return []
    verb = "equals" if found.rows == 1 else "equal"
    return [
        f"{_count(found)} of {found.rows:,} synthetic rows {verb} a real row. Without a holdout it is not "
        "known how many do so by chance; a mere copy, too, looks close to real and covers everything. Give "
        "such rows by --holdout"
    ]


def note_shared_holdout(found: RowOverlap) -> list[str]:
    """Return a note when most holdout rows are also train rows."""
    if not found.is_high:
        return []
    return [
        f"{_count(found)} of {found.rows:,} holdout rows also stand, value for value, in the real table; "
        "if they are the same records, the generator saw them and a leak cannot be found"
    ]


def _count(found: RowOverlap) -> str:
    """Return the shared rows; small counts, 1 to 10, are not disclosed."""
    return "fewer than 11" if 0 < found.shared < 11 else f"{found.shared:,}"


def _content(rows: Dataset, name: str) -> pa.ChunkedArray:
    return rows.schema[name].column_kind.content(rows.records.column(name))
