"""The catalogue's journal: one line for each registered set and note, from which a database is restored."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from twinset.core.untrusted import parse_json
from twinset.io.drafts import PRIVATE_FILE
from twinset.io.files import write_text

_TAIL = 1024  # bytes: some five records, which hold digests and times of no other catalogue
_HEAD = '{"journal of": "a twinset catalogue", "layout": 1}\n'


class Registration(NamedTuple):
    """A registered version, and the step that produced it (empty for none)."""

    name: str
    number: int
    digest: str
    step: str
    software: str
    created_at: str


class StepNote(NamedTuple):
    """The note of a step."""

    step: str
    kind: str
    digest: str


Record = Registration | StepNote


class Journal(NamedTuple):
    """The file of one catalogue's records; it is appended to under the database's write lock.

    A record is written before its transaction ends, so the journal is never behind the database.
    """

    path: Path

    def mark(self) -> str:
        """Return the size of the file with a digest of its end; empty if there is none."""
        try:
            with self.path.open("rb") as stream:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(0, size - _TAIL))
                return f"{size}:{hashlib.sha256(stream.read()).hexdigest()}"
        except FileNotFoundError:
            return ""

    def write(self, records: Iterable[Record]) -> None:
        """Write the whole journal in one step."""
        write_text(self.path, _HEAD + "".join(map(_line, records)), private=True)

    def append(self, record: Record) -> None:
        """Append a record to a journal that ends with a whole line."""
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND, PRIVATE_FILE)
        with open(handle, "ab") as stream:
            stream.write(_line(record).encode())
            stream.flush()
            os.fsync(handle)

    def trim(self) -> None:
        """Remove what follows the last whole line: a record that was not written to its end."""
        content = self.path.read_bytes()
        if not content.endswith(b"\n"):
            os.truncate(self.path, content.rfind(b"\n") + 1)

    def read(self) -> tuple[list[Record], bool]:
        """Return the records, and whether every whole line could be read.

        What follows the last line's end is part of a record that no transaction ended with.
        """
        try:
            head, *lines = self.path.read_bytes().split(b"\n")[:-1]
        except (FileNotFoundError, ValueError):
            return [], False
        records = [_record(line) for line in lines]
        found = [record for record in records if record is not None]
        return found, head == _HEAD.encode().rstrip() and len(found) == len(records)


def _line(record: Record) -> str:
    kind = "version" if isinstance(record, Registration) else "note"
    return json.dumps({kind: record}, ensure_ascii=False, separators=(",", ":")) + "\n"


def _record(line: bytes) -> Record | None:
    """Return the record of a line, None if it holds none."""
    try:
        match parse_json(line):
            case {"version": [str(), int(), str(), str(), str(), str()] as facts}:
                return Registration(*facts)
            case {"note": [str(), str(), str()] as facts}:
                return StepNote(*facts)
    except ValueError:
        pass
    return None
