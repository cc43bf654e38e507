"""Run a benchmark of jobs.yaml: measure the jobs that have no row yet, write the results and the page."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import yaml
from threadpoolctl import threadpool_limits

from benchmarks.datasets import DataAbsentError
from benchmarks.markdown import listed, row_table, write_page

Row = dict[str, Any]
Settings = argparse.Namespace

HERE = Path(__file__).parent
JOBS: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "jobs.yaml").read_text("utf-8"))
PUBLISH_SECONDS = 30.0  # seldom enough to cost nothing, often enough to follow a run of hours
LIBRARIES = ("twinset", "numpy", "scipy", "scikit-learn", "pyarrow", "pandas")


@dataclass(frozen=True)
class ResultLog:
    """Measured rows by key, so that an interrupted run continues where it stopped."""

    key: tuple[str, ...]  # fields of a row that identify it
    path: Path | None = None  # JSON lines that every new row is appended to; None: memory only
    rows: dict[tuple[Any, ...], Row] = field(default_factory=dict)

    @classmethod
    def open(cls, key: tuple[str, ...], path: Path | None) -> ResultLog:
        """Return the log with the rows that its file holds."""
        log = cls(key, path)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = path.read_text("utf-8").split("\n") if path.exists() else [""]
            if lines.pop():  # an interrupted run leaves at most its last line incomplete
                path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
            log.rows.update((log.key_of(row), row) for row in map(json.loads, lines))
        return log

    def key_of(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[name] for name in self.key)

    def add(self, row: Row) -> None:
        self.rows[self.key_of(row)] = row
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")

    def missing(self, jobs: Iterable[Row]) -> list[Row]:
        """Return the jobs without a row, in their order."""
        return [job for job in jobs if self.key_of(job) not in self.rows]


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One benchmark: its jobs, what a job measures, and the blocks of its page."""

    results: Path  # committed file of rows: JSON lines are appended to, JSON is written whole
    page: Path  # committed results page
    key: tuple[str, ...]  # fields that identify a job and its row
    jobs: Callable[[Settings], Iterable[Row]]  # settings -> jobs, mappings that hold the key fields
    measure: Callable[[Row], Row]  # job -> row with the key fields; workers import it by its name
    blocks: Callable[[Sequence[Row]], Mapping[str, str]]  # rows -> block name -> Markdown
    # Name of a setting -> its default; the type of the default decides how it is read.
    settings: Mapping[str, Any] = field(default_factory=dict)
    summary: Callable[[list[Row]], list[Row]] = list  # rows -> rows that are stored, in their order
    libraries: tuple[str, ...] = ()
    workers: int = 1
    fresh: bool = False

    @classmethod
    def named(cls, name: str) -> Benchmark:
        """Return the benchmark that jobs.yaml describes."""
        how = dict(JOBS[name])
        path = HERE.joinpath(*name.split("."))
        part = "" if path.with_suffix(".py").exists() else f"_{path.name}"
        module = import_module(f"benchmarks.{name.rpartition('.')[0] if part else name}")
        folder = (path.parent if part else path).parent
        given = {"jobs": partial(crossed_settings, how.pop("axes", {})), "summary": list}
        given["blocks"] = partial(tables_of, name)
        how.pop("tables", None)
        for function in ("jobs", "measure", "blocks", "summary"):
            how[function] = getattr(module, f"{function}{part}", None) or given[function]
        files = {file: folder / how.pop(file) for file in ("results", "page")}
        return cls(**how, **files)

    def run(self, arguments: Sequence[str] | None = None) -> None:
        """Run the command line; absent data end it with one sentence."""
        try:
            self._run(self.parser().parse_args(arguments))
        except DataAbsentError as absent:
            raise SystemExit(str(absent)) from None

    def _run(self, options: Settings) -> None:
        target = options.out / self.results.name
        if options.page:
            rows = read_rows(target if target.exists() else self.results)
            if not rows:
                raise SystemExit(f"No row is recorded in {self.results}.")
            write_page(options.out / self.page.name, self.blocks(rows), self.page)
            return
        log = ResultLog.open(tuple(self.key), self._log_path(options, target))
        published = time.monotonic()
        jobs = log.missing(self.jobs(options))
        for row in measured(self.measure, jobs, options.workers, fresh=self.fresh):
            log.add(row)
            shown = {name: value for name, value in row.items() if not isinstance(value, dict)}
            print(str(shown)[:200], flush=True)
            if time.monotonic() - published > PUBLISH_SECONDS:
                self._publish(log, target, options)
                published = time.monotonic()
        self._publish(log, target, options)

    def parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(description=sys.modules[self.measure.__module__].__doc__)
        for name, default in self.settings.items():
            flag = f"--{name.replace('_', '-')}"
            if isinstance(default, bool):
                parser.add_argument(flag, action="store_true")
            elif isinstance(default, list):
                parser.add_argument(flag, nargs="*", type=type(default[0]), default=default)
            else:
                parser.add_argument(flag, type=type(default), default=default)
        parser.add_argument("--workers", type=int, default=self.workers, help="processes")
        parser.add_argument("--out", type=Path, default=self.results.parent, help="folder to write")
        parser.add_argument("--resume", type=Path, help="folder of a log to continue from")
        keep, page = "keep recorded rows that are not measured again", "write the page alone"
        parser.add_argument("--keep", action="store_true", help=keep)
        parser.add_argument("--page", action="store_true", help=page)
        return parser

    def _log_path(self, options: Settings, target: Path) -> Path | None:
        if target.suffix == ".jsonl":
            return target
        return options.resume / f"{self.results.stem}.jsonl" if options.resume else None

    def _publish(self, log: ResultLog, target: Path, options: Settings) -> None:
        kept = read_rows(self.results) if options.keep else []
        rows = [row for row in kept if log.key_of(row) not in log.rows]
        rows = self.summary([*rows, *log.rows.values()])
        blocks = dict(self.blocks(rows))
        if target.suffix != ".jsonl":
            facts = environment(*self.libraries)
            target.parent.mkdir(parents=True, exist_ok=True)
            lines = ",\n".join(map(json.dumps, rows))
            text = f'{{"versions": {json.dumps(facts)},\n"rows": [\n{lines}\n]}}\n'
            target.write_text(text, "utf-8")
            blocks = {"environment": listed(facts), **blocks}
        write_page(options.out / self.page.name, blocks, self.page)


def main() -> None:
    """Run the benchmark that the first word of the command line names."""
    name, words = "".join(sys.argv[1:2]), sys.argv[2:]
    if name not in JOBS:
        raise SystemExit("python -m benchmarks NAME [options]; names:\n  " + "\n  ".join(JOBS))
    Benchmark.named(name).run(words)


def crossed(**values: Iterable[Any]) -> list[Row]:
    """Return one job for each combination of values, those of the last name varying fastest."""
    return [dict(zip(values, chosen)) for chosen in itertools.product(*values.values())]


def crossed_settings(axes: Mapping[str, Any], options: Settings) -> list[Row]:
    """Return the jobs of axes: lists, or names of settings; other settings are in every job."""
    given = vars(options)
    values = {name: given[of] if isinstance(of, str) else of for name, of in axes.items()}
    lists = {name: range(of) if isinstance(of, int) else of for name, of in values.items()}
    used = {*_OPTIONS, *(of for of in axes.values() if isinstance(of, str))}
    others = {name: value for name, value in given.items() if name not in used}
    return [job | others for job in crossed(**lists)]


_OPTIONS = ("workers", "out", "resume", "keep", "page")


def tables_of(name: str, rows: Sequence[Row]) -> dict[str, str]:
    """Return the blocks of rows that jobs.yaml describes."""
    return {block: row_table(columns, rows) for block, columns in JOBS[name]["tables"].items()}


def measured(
    measure: Callable[[Row], Row], jobs: Sequence[Row], workers: int = 1, *, fresh: bool = False
) -> Iterator[Row]:
    """Yield the row of each job, in their order, from one thread a process."""
    use_one_thread()
    if workers < 2 and not fresh:
        yield from map(measure, jobs)
        return
    context, tasks = (get_context("spawn"), 1) if fresh else (None, None)
    pool = ProcessPoolExecutor(workers, context, use_one_thread, max_tasks_per_child=tasks)
    with pool:
        yield from pool.map(measure, jobs)


def use_one_thread() -> None:
    """Restrict numerical libraries to one thread: more are slower where processes share cores."""
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    threadpool_limits(1)
    warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")


def environment(*more: str) -> dict[str, str]:
    """Return the Python, the machine and the versions of the libraries that decide the figures."""
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    found = {"Python": platform.python_version(), "machine": machine}
    return found | {name: installed_version(name) for name in (*LIBRARIES, *more)}


def installed_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a results file: JSON lines, or JSON with a list "rows"; none if absent."""
    if not path.exists():
        return []
    text = path.read_text("utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return list(json.loads(text)["rows"])


def load_yaml(module: str, name: str) -> Any:
    """Return a YAML file beside a module, given by its ``__file__``."""
    return yaml.safe_load(Path(module).with_name(name).read_text("utf-8"))


def grouped(rows: Iterable[Row], name: str) -> dict[Any, list[Row]]:
    """Return the rows by the value of one field, in order of first appearance."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[name], []).append(row)
    return groups


def cpu_seconds(job: Callable[[], Any]) -> float:
    start = time.process_time()
    job()
    return time.process_time() - start


def memory_mb(name: str) -> float:
    """Return a line of ``/proc/self/status`` in MB: VmRSS is held now, VmHWM the peak (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"This system does not report {name}.")
