"""What commands print and write: tables, JSON, progress, whole files, and colour for people."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

from twinset.core.errors import RecipeError
from twinset.core.quoting import escape_signs, quote
from twinset.io.paths import check_output, real_path


def check_new(
    option: str, path: Path | None, force: bool, inputs: Iterable[Path | None] = ()
) -> None:
    """Raise RecipeError when there is such a file already, unless `force`, or none can be written.

    `inputs`: files that are read, which `force` does not overwrite either.
    """
    if path is None:
        return
    check_places({option: path}, inputs)
    if path.exists() and not force:
        raise RecipeError(
            f"there is a '{path}' already", todo=f"choose another {option}, or --force"
        )


def check_places(outputs: Mapping[str, Path | None], inputs: Iterable[Path | None] = ()) -> None:
    """Raise RecipeError when an output cannot be written, is an input, or is named twice.

    `outputs`: option -> the file to write; None where it is not asked for. `inputs`: files that are
    read.
    """
    read = {real_path(path) for path in inputs if path is not None}
    taken: dict[Path, str] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        check_output(path)
        place = real_path(path)
        if place in read:
            raise RecipeError(f"{option} would overwrite '{path}'", todo="name another file")
        if place in taken:
            raise RecipeError(
                f"{taken[place]} and {option} name the same file '{path}'", todo="name two files"
            )
        taken[place] = option


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    from twinset.io.files import write_text  # late: it loads numpy

    write_text(path, text)


def print_lines(*lines: object, colour: Colour | None = None, stream: TextIO | None = None) -> None:
    """Print each argument on one line of its own, in `colour` if asked for.

    Every command prints through this: signs that would steer the terminal are shown as escapes.
    """
    for line in lines or ("",):
        text = escape_signs(str(line))
        print(paint(text, colour, stream) if colour else text, file=stream or sys.stdout)


def print_error(sentence: str) -> None:
    """Print what is wrong on standard error; each line of `sentence` is kept to a paragraph."""
    lines = sentence.split("\n")
    print_lines(*(quote(line, _LONGEST_LINE) for line in lines), stream=sys.stderr)


_LONGEST_LINE = 1600  # characters: the facts of an error are shortened to 1,500
_SILENCE = 15.0  # seconds without a line in a log: quick commands write none, long ones show that they live


def _lines() -> Callable[[str, int, int], None]:
    """Return a `Progress` that writes a plain line at most every 15 seconds."""
    last = time.monotonic()

    def report(step: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SILENCE:
            last = now
            print_lines(f"{step}: {done:,} of {total:,}", stream=sys.stderr)
            sys.stderr.flush()

    return report


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """Give a `Progress` callable that draws one bar a step while the block lasts.

    Not a terminal: rich is not imported, and a plain line is written at most every 15 seconds.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        TimeElapsedColumn(),
    )
    console = Console(file=sys.stderr, no_color=bool(os.environ.get("NO_COLOR")))
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, transient=True) as bar:

        def report(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(escape_signs(step), total=max(total, 1))
            bar.update(tasks[step], completed=done, total=max(total, 1))

        yield report


if TYPE_CHECKING:
    from twinset.core.contracts import Score
    from twinset.core.data.reading import TableReading

Colour = Literal["green", "yellow", "red", "bold"]
_CODES: Mapping[str, str] = {"green": "32", "yellow": "33", "red": "31", "bold": "1"}
_NUMBER_CELLS = (3, 4)  # missing and distinct, in the table of columns
_MIN_WIDTH = 60  # characters: of a narrower terminal the lines of sentences are broken by itself
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
            print_lines(text, colour="bold" if number == 0 else None)


def print_json(value: object) -> None:
    """Print plain values as JSON; NaN and infinities, which JSON lacks, become null."""
    print_text(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def print_text(text: str) -> None:
    """Print a text of several lines, such as JSON, which escapes do not damage."""
    print_lines(*text.removesuffix("\n").split("\n"))


def print_summary(summary: str) -> None:
    """Print a report's verdict, wrapped; the mark that each line begins with decides its colour."""
    colours: Mapping[str, Colour] = {"+": "green", "!": "red", "?": "yellow"}
    width = max(shutil.get_terminal_size((100, 24)).columns, _MIN_WIDTH)
    for line in summary.split("\n"):
        # The answer begins behind the question, which spaces fill up to the longest one.
        head = re.match(r"..(\S+ )+ +", line)
        indent = " " * (len(head[0]) if head else 2)
        for text in textwrap.wrap(line, width, subsequent_indent=indent, drop_whitespace=True):
            print_lines(text, colour=colours.get(line[:1]))


def print_reading(reading: TableReading, stream: TextIO | None = None) -> None:
    """Print how a file was read: uncertain columns first, each with what to write to overrule it."""
    from twinset.report.reading import HEAD, file_sentence, reading_lines, rest_sentence

    width = max(shutil.get_terminal_size((100, 24)).columns, _MIN_WIDTH)
    lines = reading_lines(reading)
    shown = textwrap.wrap(f"Read: {file_sentence(reading)}", width)
    rows = [[_cell(cell) for cell in one.cells] for one in lines]
    widths = [max(map(len, column)) for column in zip(HEAD, *rows)][:-1]
    shown += _reading_row("  ", HEAD, widths, width)
    for line, cells in zip(lines, rows):
        shown += _reading_row("  " if line.is_sure else "? ", cells, widths, width)
        for sentence in line.sentences:
            shown += textwrap.wrap(
                _cell(sentence), width, initial_indent=" " * 4, subsequent_indent=" " * 4
            )
    if rest := rest_sentence(reading):
        shown += textwrap.wrap(f"  {rest}", width, subsequent_indent="  ")
    for text in shown:
        print_lines(text, colour="yellow" if text.startswith("? ") else None, stream=stream)


def _reading_row(mark: str, cells: Sequence[str], widths: Sequence[int], width: int) -> list[str]:
    """Return the lines of one column: numbers to the right, the last cell wrapped."""
    aligned = [
        cell.rjust(size) if k in _NUMBER_CELLS else cell.ljust(size)
        for k, (cell, size) in enumerate(zip(cells, widths))
    ]
    start = f"{mark}{'  '.join(aligned)}  "
    wrapped = textwrap.wrap(cells[-1], max(width - len(start), _MIN_LAST_COLUMN)) or [""]
    return [f"{start}{wrapped[0]}".rstrip(), *(" " * len(start) + more for more in wrapped[1:])]


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
    width = max(shutil.get_terminal_size((100, 24)).columns, _MIN_WIDTH)
    for note in notes:
        # A file or another program gets one line a note, however long.
        is_seen = sys.stdout.isatty()
        print_lines(*(textwrap.wrap(f"Note: {note}", width) if is_seen else [f"Note: {note}"]))


def print_paths(paths: Mapping[str, Path]) -> None:
    """Print where things were written."""
    width = max((len(name) for name in paths), default=0) + 1
    for name, path in paths.items():
        print_lines(f"{name + ':':<{width}} {path}")


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
        from twinset.core import errors

        own = (
            errors.FewRowsWarning,
            errors.FormatLossWarning,
            errors.ConcurrentWriteWarning,
            errors.CatalogRestoredWarning,
        )
        if issubclass(category, own):
            return f"Note: {quote(str(message), _LONGEST_LINE)}\n"
        shown = usual(message, category, filename, lineno, line)
        return "\n".join(map(escape_signs, shown.split("\n")))

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
    return escape_signs(str(value))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
