"""What commands print: aligned tables, JSON, and colour where a person is looking."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

if TYPE_CHECKING:
    from twinset.core.contracts import Score

Colour = Literal["green", "yellow", "red", "bold"]
_CODES: Mapping[str, str] = {"green": "32", "yellow": "33", "red": "31", "bold": "1"}
_MIN_LAST_COLUMN = 24  # characters: narrower columns of text wrap after every second word


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]], *, indent: str = "") -> None:
    """Print rows in aligned columns; the last column is wrapped to the width of the terminal."""
    cells = [[_cell(value) for value in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head) - 1)]
    taken = len(indent) + sum(widths) + 2 * len(widths)
    left = max(shutil.get_terminal_size((100, 24)).columns - taken, _MIN_LAST_COLUMN)
    for number, row in enumerate(cells):
        start = indent + "".join(f"{cell:<{width}}  " for cell, width in zip(row, widths))
        # A file or another program gets one line a row, however long.
        wrapped = textwrap.wrap(row[-1], left) if sys.stdout.isatty() else [row[-1]]
        for i, line in enumerate(wrapped or [""]):
            text = ((start if i == 0 else " " * taken) + line).rstrip()
            print(paint(text, "bold") if number == 0 else text)


def print_json(value: object) -> None:
    """Print plain values as JSON; NaN and infinities, which JSON lacks, become null."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def print_summary(summary: str) -> None:
    """Print a report's verdict; the mark that each line begins with decides its colour."""
    colours: Mapping[str, Colour] = {"+": "green", "!": "red", "?": "yellow"}
    for line in summary.splitlines():
        print(paint(line, colours[line[0]]) if line[:1] in colours else line)


def print_scores(scores: Sequence[Score]) -> None:
    """Print one line per metric: its value beside the baseline."""
    rows = []
    for score in scores:
        interval = "-"
        if score.interval is not None:
            interval = " to ".join(f"{end:+.3g}" for end in score.interval)
        rows.append(
            (score.metric, score.value, score.baseline, interval, score.margin, score.verdict)
        )
    head = ("metric", "value", "real vs real", "difference (95 %)", "margin", "verdict")
    print_table(head, rows)


def print_notes(notes: Sequence[str]) -> None:
    """Print what must be read with care."""
    for note in notes:
        print(f"Note: {note}")


def print_paths(paths: Mapping[str, Path]) -> None:
    """Print where things were written."""
    width = max((len(name) for name in paths), default=0) + 1
    for name, path in paths.items():
        print(f"{name + ':':<{width}} {path}")


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Write our own warnings as notes: where in the source one was raised tells a user nothing."""
    usual = warnings.formatwarning

    def format_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        line: str | None = None,
    ) -> str:
        from twinset.core.errors import FewRowsWarning, FormatLossWarning

        if issubclass(category, (FewRowsWarning, FormatLossWarning)):
            return f"Note: {message}\n"
        return usual(message, category, filename, lineno, line)

    warnings.formatwarning = format_warning
    try:
        yield
    finally:
        warnings.formatwarning = usual


def paint(text: str, colour: Colour, stream: TextIO | None = None) -> str:
    """Return `text` in colour if `stream` (standard output) is a terminal and NO_COLOR is not set."""
    stream = stream or sys.stdout
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[{_CODES[colour]}m{text}\033[0m"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    # One row is one line, and no name out of a file may steer the terminal.
    return "".join(c if c.isprintable() else " " for c in str(value))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
