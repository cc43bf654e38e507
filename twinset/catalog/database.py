"""The catalogue's SQLite database: its tables, read and written in transactions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from twinset.catalog.version import Manifest, Version, canonical_json
from twinset.core.errors import CatalogError
from twinset.core.version import __version__

# Another process holds the write lock only while it registers one version, which takes milliseconds.
_BUSY_SECONDS = 30

_LAYOUT = 1  # number of the table layout; a catalogue of a later layout is refused

# `version.digest` is that of the manifest, which lists the data files, the schema and the card. A version
# has one file today; a later layout may cut a large set into several. A parent is stored by digest: it
# may be in another catalogue.
_TABLES = """
CREATE TABLE IF NOT EXISTS dataset (id INTEGER PRIMARY KEY, name VARCHAR(100) NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS blob (
    digest VARCHAR(64) PRIMARY KEY NOT NULL, suffix VARCHAR(16) NOT NULL, size INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS version (
    id INTEGER PRIMARY KEY,
    dataset_id INTEGER NOT NULL REFERENCES dataset (id),
    number INTEGER NOT NULL,
    digest VARCHAR(64) NOT NULL REFERENCES blob (digest),
    n_rows INTEGER NOT NULL,
    origin VARCHAR(16) NOT NULL,
    licence TEXT NOT NULL,
    schema TEXT NOT NULL,
    card TEXT NOT NULL,
    software VARCHAR(64) NOT NULL,
    created_at VARCHAR(32) NOT NULL,
    UNIQUE (dataset_id, number),
    UNIQUE (dataset_id, digest)
);
CREATE INDEX IF NOT EXISTS ix_version_digest ON version (digest);
CREATE TABLE IF NOT EXISTS version_file (
    version_id INTEGER NOT NULL REFERENCES version (id),
    path VARCHAR(255) NOT NULL,
    digest VARCHAR(64) NOT NULL REFERENCES blob (digest),
    PRIMARY KEY (version_id, path)
);
CREATE TABLE IF NOT EXISTS parent (
    version_id INTEGER NOT NULL REFERENCES version (id),
    position INTEGER NOT NULL,
    digest VARCHAR(64) NOT NULL,
    PRIMARY KEY (version_id, position)
);
CREATE TABLE IF NOT EXISTS step (
    address VARCHAR(255) PRIMARY KEY NOT NULL, version_id INTEGER NOT NULL REFERENCES version (id)
);
CREATE TABLE IF NOT EXISTS note (
    step VARCHAR(255) PRIMARY KEY NOT NULL,
    kind VARCHAR(64) NOT NULL,
    digest VARCHAR(64) NOT NULL REFERENCES blob (digest)
);
"""
# Registered rows do not change, not even by SQL.
_IMMUTABLE = "".join(
    f"CREATE TRIGGER IF NOT EXISTS {table}_is_immutable BEFORE UPDATE ON {table} "
    "BEGIN SELECT RAISE(ABORT, 'registered versions are immutable'); END;\n"
    for table in ("version", "version_file", "parent", "blob")
)
_VERSIONS = "SELECT version.*, name FROM version JOIN dataset ON dataset.id = dataset_id "


class Blob(NamedTuple):
    """A stored file."""

    digest: str
    suffix: str
    size: int


class Database:
    """The database file of one catalogue; it is created when something is first written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def transaction(self, kind: str = "DEFERRED") -> Iterator[sqlite3.Connection]:
        """Yield a connection that sees one state; with "IMMEDIATE" it is the only one that may write.

        All its changes appear at once, or none does.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Python's own transactions are off: they would begin too late.
            connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
            with closing(connection):
                connection.row_factory = sqlite3.Row
                _prepare(connection, self._path)
                connection.execute(f"BEGIN {kind}")
                yield connection
                connection.execute("COMMIT")
        except (sqlite3.DatabaseError, OSError) as error:
            raise CatalogError(
                f"the catalogue '{self._path}' cannot be used",
                got=str(error) if isinstance(error, sqlite3.DatabaseError) else str(error.strerror),
                todo="check its rights, the free space, and that no other program holds it",
            ) from error

    def add_version(
        self, name: str, blobs: tuple[Blob, ...], manifest: Manifest, address: str
    ) -> Version:
        """Insert a version, or find the equal one; return it.

        The manifest is the last of its `blobs`; `address` is the step that produced it.
        """
        with self.transaction("IMMEDIATE") as connection:
            for blob in blobs:
                _insert_blob(connection, blob)
            connection.execute(
                "INSERT INTO dataset (name) VALUES (?) ON CONFLICT DO NOTHING", [name]
            )
            same = _VERSIONS + "WHERE name = ? AND digest = ?"
            key = (name, blobs[-1].digest)
            if connection.execute(same, key).fetchone() is None:
                _insert_version(connection, name, blobs[-1].digest, manifest)
            found = connection.execute(same, key).fetchone()
            if address:
                connection.execute("REPLACE INTO step VALUES (?, ?)", [address, found["id"]])
        return _version(found)

    def add_note(self, step: str, kind: str, blob: Blob) -> None:
        """Insert the note of a step; it replaces an earlier one."""
        with self.transaction("IMMEDIATE") as connection:
            _insert_blob(connection, blob)
            connection.execute("REPLACE INTO note VALUES (?, ?, ?)", [step, kind, blob.digest])

    def all_versions(self) -> list[Version]:
        """Return every version, by name and number."""
        return [_version(row) for row in self._rows(f"{_VERSIONS} ORDER BY name, number")]

    def versions_named(self, name: str) -> list[Version]:
        """Return the versions of one set, by number."""
        rows = self._rows(f"{_VERSIONS} WHERE name = ? ORDER BY number", name)
        return [_version(row) for row in rows]

    def versions_by_digest(self, prefix: str) -> list[Version]:
        """Return the versions whose digest begins with `prefix`, the earliest first."""
        where = "WHERE substr(digest, 1, ?) = ? ORDER BY version.id"
        return [_version(row) for row in self._rows(_VERSIONS + where, len(prefix), prefix)]

    def with_component(self, digest: str) -> tuple[Version, str] | None:
        """Return the earliest version with this digest, and its generator or augmenter."""
        rows = self._rows(f"{_VERSIONS} WHERE digest = ? ORDER BY version.id LIMIT 1", digest)
        return (_version(rows[0]), json.loads(rows[0]["card"])["component"]) if rows else None

    def step(self, address: str) -> tuple[Version, list[Blob]] | None:
        """Return the version of the step with this address, and its files."""
        where = "WHERE version.id = (SELECT version_id FROM step WHERE address = ?)"
        rows = self._rows(_VERSIONS + where, address)
        if not rows:
            return None
        files = "SELECT digest FROM version_file WHERE version_id = ?"
        needed = f"SELECT * FROM blob WHERE digest IN ({files}) OR digest = ?"  # noqa: S608
        blobs = self._rows(needed, rows[0]["id"], rows[0]["digest"])
        return _version(rows[0]), [Blob(*row) for row in blobs]

    def note(self, step: str) -> Blob | None:
        """Return the file of the note of a step."""
        query = "SELECT blob.* FROM note JOIN blob USING (digest) WHERE step = ?"
        return next((Blob(*row) for row in self._rows(query, step)), None)

    def _rows(self, query: str, *values: str | int) -> list[sqlite3.Row]:
        """Return the rows of a query; none if nothing was ever written."""
        if not self._path.is_file():
            return []
        with self.transaction() as connection:
            return connection.execute(query, values).fetchall()


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Set up a connection; create the tables if there are none."""
    for pragma in ("foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode=WAL")
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > _LAYOUT:
        raise CatalogError(
            f"the catalogue '{path}' was made by a later version of twinset",
            got=f"layout {found}",
            allowed=f"layout {_LAYOUT}",
            todo="install the newer twinset",
        )
    if found < _LAYOUT:
        end = f"PRAGMA user_version={_LAYOUT}; COMMIT;"
        connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} {_IMMUTABLE} {end}")


def _insert_blob(connection: sqlite3.Connection, blob: Blob) -> None:
    connection.execute("INSERT INTO blob VALUES (?, ?, ?) ON CONFLICT DO NOTHING", blob)


def _insert_version(
    connection: sqlite3.Connection, name: str, digest: str, manifest: Manifest
) -> None:
    card = manifest.card
    facts = (
        "SELECT id, (SELECT max(number) FROM version WHERE dataset_id = dataset.id) FROM dataset"
    )
    dataset_id, latest = connection.execute(f"{facts} WHERE name = ?", [name]).fetchone()
    row = {
        "dataset_id": dataset_id,
        "number": (latest or 0) + 1,
        "digest": digest,
        "n_rows": manifest.n_rows,
        "origin": card.origin,
        "licence": card.licence,
        "schema": canonical_json(manifest.schema.to_json()),
        "card": canonical_json(card.to_json()),
        "software": f"twinset {__version__}",
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    marks = ", ".join(f":{name}" for name in row)
    insert = f"INSERT INTO version ({', '.join(row)}) VALUES ({marks})"  # noqa: S608  (own names)
    number = connection.execute(insert, row).lastrowid
    files = [(number, path, file_digest) for path, file_digest in manifest.files.items()]
    parents = [(number, position, parent) for position, parent in enumerate(card.parents)]
    connection.executemany("INSERT INTO version_file VALUES (?, ?, ?)", files)
    connection.executemany("INSERT INTO parent VALUES (?, ?, ?)", parents)


def _version(row: sqlite3.Row) -> Version:
    """Return the version of a row of `_VERSIONS`."""
    facts = {key: row[key] for key in ("name", "number", "digest", "n_rows", "origin", "licence")}
    return Version(**facts, parents=tuple(json.loads(row["card"])["parents"]))
