"""Run a benchmark: measure the jobs that have no row yet, then write the results and their page.

Every benchmark has the options ``--out``, ``--resume``, ``--workers``, ``--keep`` and ``--page``, and
its own settings.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from benchmarks.markdown import listed, write_page
from benchmarks.results import ResultLog, Row, environment, read_rows, write_json, write_rows

PUBLISH_SECONDS = 30.0  # seldom enough to cost nothing, often enough to follow a run of hours

Settings = argparse.Namespace


def same_rows(rows: Sequence[Row]) -> list[Row]:
    """Return the rows as they are."""
    return list(rows)


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One benchmark: its jobs, what a job measures, and the blocks of its page."""

    about: str  # Text of ``--help``
    results: Path  # Committed file of rows. JSON lines are appended to; JSON is written whole
    page: Path  # Committed results page
    key: tuple[str, ...]  # Fields that identify a job and its row
    jobs: Callable[[Settings], Iterable[Row]]  # Settings -> jobs, mappings that hold the key fields
    # Job -> row with the key fields; a function of a module, so that workers can import it
    measure: Callable[[Row], Row]
    blocks: Callable[[Sequence[Row]], Mapping[str, str]]  # Rows -> block name -> Markdown
    # Name of a setting -> its default; the type of the default decides how it is read
    settings: Mapping[str, Any] = field(default_factory=dict)
    order: Callable[[Sequence[Row]], list[Row]] = same_rows  # Rows -> rows in the order of the file
    # Rows -> rows that are stored, for benchmarks that keep sums only
    summary: Callable[[Sequence[Row]], list[Row]] = same_rows
    # Name of a further file -> function of the rows that returns its JSON
    sums: Mapping[str, Callable[[Sequence[Row]], Any]] = field(default_factory=dict)
    workers: int = 1  # Default number of processes

    def run(self, arguments: Sequence[str] | None = None) -> None:
        """Run the command line."""
        options = self.parser().parse_args(arguments)
        target = options.out / self.results.name
        if options.page:
            rows = read_rows(target if target.exists() else self.results)
            self._write(rows, options.out)
            return
        log = ResultLog.open(self.key, self._log_path(options, target))
        published = time.monotonic()
        jobs = list(self.jobs(options))
        for row in measured(self.measure, log.missing(jobs), options.workers):
            log.add(row)
            shown = {name: value for name, value in row.items() if not isinstance(value, dict)}
            print(str(shown)[:200], flush=True)
            if time.monotonic() - published > PUBLISH_SECONDS:
                self._publish(log, target, options)
                published = time.monotonic()
        self._publish(log, target, options)

    def parser(self) -> argparse.ArgumentParser:
        """Return the parser of the command line."""
        parser = argparse.ArgumentParser(
            description=self.about, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        for name, default in self.settings.items():
            flag = f"--{name.replace('_', '-')}"
            if isinstance(default, (list, tuple)):
                kind = type(default[0]) if default else str
                parser.add_argument(flag, nargs="*", type=kind, default=default)
            else:
                kind = str if default is None else type(default)
                parser.add_argument(flag, type=kind, default=default)
        parser.add_argument("--workers", type=int, default=self.workers, help="processes")
        parser.add_argument(
            "--out", type=Path, default=self.results.parent, help="folder of results and page"
        )
        parser.add_argument("--resume", type=Path, help="folder of a log to continue from")
        parser.add_argument(
            "--keep", action="store_true", help="keep recorded rows that are not measured again"
        )
        parser.add_argument(
            "--page", action="store_true", help="measure nothing, write the page again"
        )
        return parser

    def _log_path(self, options: Settings, target: Path) -> Path | None:
        if target.suffix == ".jsonl":
            return target
        return options.resume / f"{self.results.stem}.jsonl" if options.resume else None

    def _publish(self, log: ResultLog, target: Path, options: Settings) -> None:
        rows = self.summary(list(log.rows.values()))
        if target.suffix != ".jsonl":
            kept = read_rows(self.results) if options.keep else []
            rows = self.order([*(r for r in kept if log.key_of(r) not in log.rows), *rows])
            facts = environment()
            write_rows(target, facts, rows)
            write_page(options.out / self.page.name, {"environment": listed(facts)}, self.page)
        self._write(rows, options.out)

    def _write(self, rows: Sequence[Row], out: Path) -> None:
        write_page(out / self.page.name, self.blocks(rows), self.page)
        for name, content in self.sums.items():
            write_json(out / name, content(rows))


def measured(measure: Callable[[Row], Row], jobs: Sequence[Row], workers: int = 1) -> Iterator[Row]:
    """Yield the row of each job, in their order, from one thread a process."""
    if workers < 2:
        use_one_thread()
        yield from map(measure, jobs)
        return
    with ProcessPoolExecutor(workers, initializer=use_one_thread) as pool:
        yield from pool.map(measure, jobs)


def use_one_thread() -> None:
    """Restrict numerical libraries to one thread: more are slower where processes share cores."""
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    threadpool_limits(1)
    warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")


def matches(name: str, parts: str) -> bool:
    """Return whether a name contains one of several parts, separated by ``;``; "" matches all."""
    return any(part in name for part in parts.split(";"))
