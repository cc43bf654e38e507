"""The catalogue's SQLite database: its tables, read and written in transactions."""

from __future__ import annotations

import os
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from twinset.catalog.journal import Journal, Record, Registration, StepNote
from twinset.catalog.objects import Blob, Objects
from twinset.catalog.restore import (
    RestoreSummary,
    count_versions,
    insert_blob,
    insert_version,
    mark_journal,
    restore,
)
from twinset.catalog.version import Manifest, Version
from twinset.core.errors import CatalogError, CatalogRestoredWarning
from twinset.core.untrusted import parse_json
from twinset.io.drafts import PRIVATE_FILE, private_folder

# Another process holds the write lock only while it registers one version, which takes milliseconds.
BUSY_SECONDS = 30

LAYOUT = 2  # number of the table layout; a catalogue of a later layout is refused
# Codes of SQLite for a file that is no whole database: a fault in it, no database, a missing table.
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
_PRIMARY_CODE = 0xFF  # the bits of an extended result code that hold the primary one

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
CREATE TABLE IF NOT EXISTS journal (
    id INTEGER PRIMARY KEY CHECK (id = 1), mark TEXT NOT NULL, n_versions INTEGER NOT NULL
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
# In one statement, as another process may be creating the tables.
_OWNER = """
SELECT user_version, (SELECT count(*) FROM sqlite_master), EXISTS (
    SELECT * FROM sqlite_master WHERE name = 'version' AND sql LIKE '%dataset_id%'
) FROM pragma_user_version
"""
_VERSIONS = "SELECT version.*, name FROM version JOIN dataset ON dataset.id = dataset_id "
_FACTS = ("name", "number", "digest", "n_rows", "origin", "licence")
# Shared ancestors are visited once: UNION leaves out what is there.
_ANCESTORS = """
WITH RECURSIVE ancestor (digest) AS (
    VALUES (?) UNION
    SELECT parent.digest FROM ancestor
    JOIN version USING (digest) JOIN parent ON parent.version_id = version.id
), earliest (id) AS (SELECT min(version.id) FROM version JOIN ancestor USING (digest) GROUP BY digest)
SELECT name, number, digest, n_rows, origin, version.licence,
    json_extract(card, '$.component') AS component, json_extract(card, '$.parents') AS parents
FROM earliest JOIN version USING (id) JOIN dataset ON dataset.id = dataset_id
"""


class Database:
    """The database file of one catalogue; it is created when something is first written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "catalog.sqlite"
        self.journal = Journal(root / "journal.jsonl")
        self._objects = Objects(root / "objects")

    @property
    def exists(self) -> bool:
        """Whether anything was ever written to the catalogue."""
        try:
            begun = self.path.is_file() or self.journal.mark() or any(self._objects.stored())
        except OSError as error:
            raise self.unusable(error) from error
        return bool(begun)

    @contextmanager
    def transaction(self, kind: str = "DEFERRED") -> Iterator[sqlite3.Connection]:
        """Yield a connection that sees one state; with "IMMEDIATE" it is the only one that may write.

        All its changes appear at once, or none does. Sets that the database lacks and the journal
        has are listed again before, with a `CatalogRestoredWarning`.
        """
        with self.connection() as connection:
            if not self._is_current(connection):
                # Another process may be between its record and the end of its transaction.
                connection.execute("BEGIN IMMEDIATE")
                restored = RestoreSummary()
                if not self._is_current(connection):
                    restored = restore(connection, self.journal, self._objects)
                connection.execute("COMMIT")
                if restored.sentence:
                    warnings.warn(
                        f"the catalogue '{self.root}': {restored.sentence}",
                        CatalogRestoredWarning,
                        stacklevel=4,
                    )
            connection.execute(f"BEGIN {kind}")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection to a database with all tables, outside of a transaction."""
        try:
            private_folder(self.root)
            with suppress(FileExistsError):  # SQLite gives its other files the mode of this one
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL, PRIVATE_FILE))
            # Python's own transactions are off: they would begin too late.
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
            with closing(connection):
                connection.row_factory = sqlite3.Row
                self._prepare(connection)
                yield connection
        except (sqlite3.DatabaseError, OSError) as error:
            raise self.unusable(error) from error

    def layout(self, connection: sqlite3.Connection) -> int:
        """Return the number of a database's layout, 0 if it is new.

        Raises
        ------
        CatalogError
            It is of a later layout.
        sqlite3.DatabaseError
            It is another program's.
        """
        layout, n_tables, is_ours = connection.execute(_OWNER).fetchone()
        if layout > LAYOUT and is_ours:
            raise CatalogError(
                f"the catalogue '{self.path}' was made by a later version of twinset",
                got=f"layout {layout}",
                allowed=f"layout {LAYOUT}",
                todo="install the newer twinset",
            )
        if not is_ours and (layout or n_tables):
            raise sqlite3.DatabaseError("it is no database of a catalogue")
        return int(layout)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Set up a connection; create the tables if there are none."""
        layout = self.layout(connection)
        for pragma in ("foreign_keys=ON", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode=WAL")
        if layout < LAYOUT:
            end = f"PRAGMA user_version={LAYOUT}; COMMIT;"
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} {_IMMUTABLE} {end}")

    def is_damage(self, error: sqlite3.DatabaseError) -> bool:
        """Return whether an error says that the file is no whole database of a catalogue.

        A database that is locked, or may not be opened, is not damaged.
        """
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_NOTADB)
        return (code & _PRIMARY_CODE) in _DAMAGED

    def unusable(self, error: sqlite3.DatabaseError | OSError) -> CatalogError:
        """Return the error that says why the database cannot be used, and what to do."""
        todo = "check its rights, the free space, and that no other program holds it"
        if isinstance(error, OSError):
            reason = error.strerror or type(error).__name__
        else:
            reason = str(error)
            if self.is_damage(error):
                todo = f"restore it from its manifests: twinset doctor --repair --root {self.root}"
        return CatalogError(f"the catalogue '{self.path}' cannot be used", got=reason, todo=todo)

    def _is_current(self, connection: sqlite3.Connection) -> bool:
        """Return whether the database has as many versions as it had, and all of the journal."""
        row = connection.execute("SELECT * FROM journal").fetchone()
        marked = (self.journal.mark(), count_versions(connection))
        return row is not None and tuple(row)[1:] == marked

    def open(self) -> None:
        """Create what does not exist; a catalogue that cannot be used is found before a file is stored."""
        with self.transaction():
            pass

    def add_version(
        self, name: str, blobs: tuple[Blob, ...], manifest: Manifest, address: str
    ) -> Version:
        """Insert a version, or find the equal one; return it.

        The manifest is the last of its `blobs`; `address` is the step that produced it.
        """
        with self.transaction("IMMEDIATE") as connection:
            for blob in blobs:
                insert_blob(connection, blob)
            same = _VERSIONS + "WHERE name = ? AND digest = ?"
            key = (name, blobs[-1].digest)
            found = connection.execute(same, key).fetchone()
            is_new = found is None
            if is_new:
                insert_version(connection, name, blobs[-1].digest, manifest)
                found = connection.execute(same, key).fetchone()
            made = (address, found["id"])
            has_step = "SELECT 1 FROM step WHERE address = ? AND version_id = ?"
            if address and connection.execute(has_step, made).fetchone() is None:
                connection.execute("REPLACE INTO step VALUES (?, ?)", made)
                is_new = True
            facts = (name, found["number"], found["digest"], address)
            record = Registration(*facts, found["software"], found["created_at"])
            self._record(connection, blobs, record if is_new else None)
        return _version(found)

    def add_note(self, step: str, kind: str, blob: Blob) -> None:
        """Insert the note of a step; it replaces an earlier one."""
        with self.transaction("IMMEDIATE") as connection:
            insert_blob(connection, blob)
            record = StepNote(step, kind, blob.digest)
            has_note = "SELECT 1 FROM note WHERE step = ? AND kind = ? AND digest = ?"
            is_new = connection.execute(has_note, record).fetchone() is None
            connection.execute("REPLACE INTO note VALUES (?, ?, ?)", record)
            self._record(connection, (blob,), record if is_new else None)

    def _record(
        self, connection: sqlite3.Connection, blobs: tuple[Blob, ...], record: Record | None
    ) -> None:
        """Append a record to the journal, if there is one, as the last act of a transaction.

        Raises
        ------
        CatalogError
            A stored file has been removed meanwhile: what a version lists exists.
        """
        if not all(map(self._objects.has, blobs)):
            raise CatalogError(
                f"a file of the catalogue '{self.root}' vanished while it was registered",
                todo="keep other programs out of its folder, and run again",
            )
        if record is not None:
            self.journal.append(record)
            mark_journal(connection, self.journal)

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

    def ancestors(self, digest: str) -> dict[str, tuple[Version, str]]:
        """Return digest -> version and its generator or augmenter, of a version and its ancestors.

        Of versions with equal digests the earliest counts.
        """
        found = {}
        for row in self._rows(_ANCESTORS, digest):
            facts = {key: row[key] for key in _FACTS}
            parents = tuple(parse_json(row["parents"]))
            found[row["digest"]] = (Version(**facts, parents=parents), row["component"])
        return found

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
        if not self.exists:
            return []
        with self.transaction() as connection:
            return connection.execute(query, values).fetchall()


def _version(row: sqlite3.Row) -> Version:
    """Return the version of a row of `_VERSIONS`."""
    facts = {key: row[key] for key in _FACTS}
    return Version(**facts, parents=tuple(parse_json(row["card"])["parents"]))
