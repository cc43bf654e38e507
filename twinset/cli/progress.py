"""How far the work is, on standard error: a bar where a person is looking, else a line now and then."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SILENCE = 15.0  # seconds without a line in a log: quick commands write none, long ones show that they live


def _lines() -> Callable[[str, int, int], None]:
    """Return a `Progress` that writes a plain line at most every 15 seconds."""
    last = time.monotonic()

    def report(step: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SILENCE:
            last = now
            print(f"{step}: {done:,} of {total:,}", file=sys.stderr, flush=True)

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
                tasks[step] = bar.add_task(step, total=max(total, 1))
            bar.update(tasks[step], completed=done, total=max(total, 1))

        yield report
