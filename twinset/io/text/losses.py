"""What a format could not hold: counted, with the numbers of the rows and never with their texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twinset.io.text.rows import Row

_MOST_LISTED = 1_000
_MOST_TOLD = 5

LEFT_OUT = "the row is left out"


class RoundTripLosses:
    """Collects what does not come back from the files of one set.

    Parameters
    ----------
    format : str
        The format that the set is written in.
    """

    def __init__(self, format: str) -> None:  # noqa: A002
        self.format = format
        self.n_rows = 0
        self.columns: list[str] = []
        self.found: dict[str, list[int]] = {}
        self._touched: set[int] = set()

    def column(self, what: str) -> None:
        """Note what holds for all rows alike; said once."""
        if what not in self.columns:
            self.columns.append(what)

    def compare(self, row: Row, back: Row | None, why: Mapping[str, str]) -> None:
        """Note in what a row that was read back differs from the row that was written.

        Parameters
        ----------
        row : Row
            The row.
        back : Row or None
            What the file gives back; None where the row was left out.
        why : mapping
            Aspect (text, spans, cells, row) -> what the writer knows about its loss.
        """
        number = self.n_rows
        self.n_rows += 1
        if back is None:
            self.note(number, f"{LEFT_OUT}: {why.get('row', 'the format cannot say it')}")
            return
        if back.text != row.text:
            self.note(number, why.get("text") or "the text is changed")
        elif _places(back) != _places(row):
            self.note(number, why.get("spans") or "the spans are changed")
        if back.cells != row.cells:
            self.note(number, why.get("cells") or "a value of another column is left out")

    @property
    def n_whole(self) -> int:
        """Rows that come back exactly as they were."""
        return self.n_rows - len(self._touched)

    def told(self) -> str:
        """Return one sentence; empty when nothing is lost."""
        parts = []
        for what, rows in self.found.items():
            shown = ", ".join(map(str, rows[:_MOST_TOLD])) + (", ..." if rows[_MOST_TOLD:] else "")
            noun = "row" if len(rows) == 1 else "rows"
            parts.append(f"{what} ({len(rows):,} {noun}, counted from 0: {shown})")
        parts += self.columns
        if not parts:
            return ""
        whole = f"{self.n_whole:,} of {self.n_rows:,} rows come back exactly"
        return f"what {self.format} cannot hold: {'; '.join(parts)}; {whole}"

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON values; of each loss at most 1,000 row numbers."""
        rows = [
            {"what": what, "count": len(rows), "rows": rows[:_MOST_LISTED]}
            for what, rows in self.found.items()
        ]
        return {"rows": self.n_rows, "exact": self.n_whole, "losses": rows, "always": self.columns}

    def note(self, number: int, what: str) -> None:
        """Count a loss in the row of that number."""
        self.found.setdefault(what, []).append(number)
        self._touched.add(number)


def _places(row: Row) -> list[tuple[int, int, str, str]]:
    return sorted((s["start"], s["end"], s["label"], s["value"]) for s in row.spans)
