"""Results of a benchmark: rows by key, appended to a file one by one, and the software behind them."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Key = tuple[Any, ...]

LIBRARIES = ("twinset", "numpy", "scipy", "scikit-learn", "pyarrow", "pandas")


def environment(*more: str) -> dict[str, str]:
    """Return the Python, the machine and the versions of the libraries that decide the figures."""
    found = {
        "Python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
    return found | versions(*LIBRARIES, *more)


def versions(*names: str) -> dict[str, str]:
    """Return the installed version of each distribution, "absent" where it is not installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


@dataclass(frozen=True)
class ResultLog:
    """Measured rows by key, so that an interrupted run continues where it stopped.

    Rows measured by different code do not belong together: take a new file after a change.
    """

    key: tuple[str, ...]  # Fields of a row that identify it
    # JSON-lines file that every new row is appended to; None keeps the rows in memory only
    path: Path | None = None
    rows: dict[Key, Row] = field(default_factory=dict)  # All rows, by key

    @classmethod
    def open(cls, key: tuple[str, ...], path: Path | None) -> ResultLog:
        """Return the log with the rows that its file holds."""
        log = cls(key, path)
        if path is None:
            return log
        path.parent.mkdir(parents=True, exist_ok=True)
        # An interrupted run leaves at most its last line incomplete.
        lines = path.read_text("utf-8").split("\n") if path.exists() else []
        for line in lines[:-1]:
            row = json.loads(line)
            log.rows[log.key_of(row)] = row
        if lines and lines[-1]:
            path.write_text("".join(f"{line}\n" for line in lines[:-1]), "utf-8")
        return log

    def key_of(self, row: Row) -> Key:
        """Return the values that identify a row or a job."""
        return tuple(row[name] for name in self.key)

    def add(self, row: Row) -> None:
        """Append one row."""
        self.rows[self.key_of(row)] = row
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")

    def missing(self, jobs: Iterable[Row]) -> list[Row]:
        """Return the jobs without a row, in their order."""
        return [job for job in jobs if self.key_of(job) not in self.rows]


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a results file: JSON lines, or JSON with a list "rows"; none if absent."""
    if not path.exists():
        return []
    text = path.read_text("utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return list(json.loads(text)["rows"])


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON, one final newline."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def write_rows(path: Path, facts: dict[str, Any], rows: Iterable[Row]) -> None:
    """Write a results file: JSON with the versions and one row a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(row) for row in rows)
    path.write_text(f'{{"versions": {json.dumps(facts)},\n"rows": [\n{lines}\n]}}\n', "utf-8")


def grouped(rows: Iterable[Row], name: str) -> dict[Any, list[Row]]:
    """Return the rows by the value of one field, in order of first appearance."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[name], []).append(row)
    return groups
