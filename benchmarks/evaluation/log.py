"""Comparisons written down one by one, so that a run that was cut off goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Key = tuple[Hashable, ...]


@dataclass(frozen=True)
class Log:
    """Rows by key, and the file that each new one is appended to.

    Rows that other code measured do not belong together: take a new folder after a change.

    Parameters
    ----------
    path : Path or None
        A JSON-lines file; None keeps the rows in memory only.
    rows : dict
        What is known, by key.
    """

    path: Path | None
    rows: dict[Key, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: str, name: str) -> Log:
        """Return the log of that name in a folder, with what it holds; of no folder, an empty one."""
        if not folder:
            return cls(None)
        path = Path(folder) / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        log = cls(path)
        # A run that was cut off leaves at most its last line unfinished.
        lines = path.read_text().split("\n") if path.exists() else []
        for line in lines[:-1]:
            held = json.loads(line)
            log.rows[tuple(held["key"])] = held["row"]
        if lines and lines[-1]:
            path.write_text("".join(f"{line}\n" for line in lines[:-1]))
        return log

    def add(self, key: Key, row: Any) -> None:
        """Append one row."""
        self.rows[key] = row
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps({"key": list(key), "row": row}) + "\n")

    def missing(self, keys: Sequence[Key]) -> list[Key]:
        """Return those of `keys` that no row is known of, in their order."""
        return [key for key in keys if key not in self.rows]
