"""The catalogue's SQLite database: its tables, read and written in transactions.

Only `_prepare` (pragmas, triggers) and `_insert_new` are specific to SQLite.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from twinset.catalog.version import Manifest, Version, canonical_json
from twinset.core.errors import CatalogError
from twinset.core.version import __version__

# Another process holds the write lock only while it registers one version, which takes milliseconds.
_BUSY_SECONDS = 30

_LAYOUT = 1  # number of the table layout; a catalogue of a later layout is refused

_metadata = MetaData()

dataset = Table(
    "dataset",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
)

blob = Table(
    "blob",
    _metadata,
    Column("digest", String(64), primary_key=True),
    Column("suffix", String(16), nullable=False),
    Column("size", Integer, nullable=False),
)

# `digest` is that of the manifest, which lists the data files, the schema and the card.
version = Table(
    "version",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("dataset_id", ForeignKey("dataset.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", ForeignKey("blob.digest"), nullable=False, index=True),
    Column("n_rows", Integer, nullable=False),
    Column("origin", String(16), nullable=False),
    Column("licence", Text, nullable=False),
    Column("schema", Text, nullable=False),
    Column("card", Text, nullable=False),
    Column("software", String(64), nullable=False),
    Column("created_at", String(32), nullable=False),
    UniqueConstraint("dataset_id", "number"),
    UniqueConstraint("dataset_id", "digest"),
)

# One row today; a later layout may cut a large set into several files.
version_file = Table(
    "version_file",
    _metadata,
    Column("version_id", ForeignKey("version.id"), primary_key=True),
    Column("path", String(255), primary_key=True),
    Column("digest", ForeignKey("blob.digest"), nullable=False),
)

# A parent is stored by digest: it may be in another catalogue.
parent = Table(
    "parent",
    _metadata,
    Column("version_id", ForeignKey("version.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("digest", String(64), nullable=False),
)

step = Table(
    "step",
    _metadata,
    Column("address", String(255), primary_key=True),
    Column("version_id", ForeignKey("version.id"), nullable=False),
)

note = Table(
    "note",
    _metadata,
    Column("step", String(255), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("digest", ForeignKey("blob.digest"), nullable=False),
)

# Registered rows do not change, not even by SQL.
_IMMUTABLE = (version, version_file, parent, blob)

Blob = tuple[str, str, int]
"""Digest, suffix and size of a stored file."""


@dataclass(frozen=True)
class StoredVersion:
    """A version with its files."""

    version: Version
    blobs: tuple[Blob, ...]


class Database:
    """The database file of one catalogue; it is created when something is first written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine: Engine | None = None

    @property
    def exists(self) -> bool:
        """Whether anything was ever written."""
        return self._path.is_file()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that sees one state of the catalogue."""
        with self._guarded(), self._open().connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield the only connection that may write; its changes appear all at once, or not at all."""
        with self._guarded():
            engine = self._open().execution_options(begin="BEGIN IMMEDIATE")
            with engine.begin() as connection:
                yield connection

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (DatabaseError, OSError) as error:
            cause = error.orig if isinstance(error, DatabaseError) else error.strerror
            raise CatalogError(
                f"the catalogue '{self._path}' cannot be used",
                got=str(cause),
                todo="check its rights, the free space, and that no other program holds it",
            ) from error

    def _open(self) -> Engine:
        if self._engine is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # No pool: a connection is cheap compared with a data set, and none outlives a fork.
            engine = create_engine(
                URL.create("sqlite", database=str(self._path)),
                poolclass=NullPool,
                connect_args={"timeout": _BUSY_SECONDS},
            )
            event.listen(engine, "connect", _prepare)
            event.listen(engine, "begin", _begin)
            _create_tables(engine, self._path)
            self._engine = engine
        return self._engine


def _prepare(connection: Any, _: object) -> None:
    # SQLAlchemy's own BEGIN replaces the driver's, which would open transactions too late.
    connection.isolation_level = None
    for pragma in (f"busy_timeout={_BUSY_SECONDS * 1000}", "foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode=WAL")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _create_tables(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if found > _LAYOUT:
        raise CatalogError(
            f"the catalogue '{path}' was made by a later version of twinset",
            got=f"layout {found}",
            allowed=f"layout {_LAYOUT}",
            todo="install the newer twinset",
        )
    if found == _LAYOUT:
        return
    with engine.execution_options(begin="BEGIN IMMEDIATE").begin() as connection:
        _metadata.create_all(connection)
        for table in _IMMUTABLE:
            connection.exec_driver_sql(
                f"CREATE TRIGGER IF NOT EXISTS {table.name}_is_immutable BEFORE UPDATE ON "
                f"{table.name} BEGIN SELECT RAISE(ABORT, 'registered versions are immutable'); END"
            )
        connection.exec_driver_sql(f"PRAGMA user_version={_LAYOUT}")


def _insert_new(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert a row unless one with its key exists."""
    connection.execute(insert(table).values(**values).on_conflict_do_nothing())


def insert_or_update(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert a row, or update the one with its key."""
    keys = [column.name for column in table.primary_key]
    changed = {name: value for name, value in values.items() if name not in keys}
    statement = insert(table).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed))


def insert_blob(connection: Connection, digest: str, suffix: str, size: int) -> None:
    """Insert a stored file."""
    _insert_new(connection, blob, {"digest": digest, "suffix": suffix, "size": size})


def insert_version(
    connection: Connection, name: str, digest: str, manifest: Manifest, address: str
) -> Version:
    """Insert a version, or find the equal one; `address` is the step that produced it."""
    _insert_new(connection, dataset, {"name": name})
    dataset_id = connection.execute(select(dataset.c.id).where(dataset.c.name == name)).scalar_one()
    same = (version.c.dataset_id == dataset_id) & (version.c.digest == digest)
    version_id = connection.execute(select(version.c.id).where(same)).scalar_one_or_none()
    if version_id is None:
        version_id = _insert_version_rows(connection, dataset_id, digest, manifest)
    if address:
        insert_or_update(connection, step, {"address": address, "version_id": version_id})
    return _versions(connection, _query().where(version.c.id == version_id))[0]


def _insert_version_rows(
    connection: Connection, dataset_id: int, digest: str, manifest: Manifest
) -> int:
    card = manifest.card
    latest = select(func.max(version.c.number)).where(version.c.dataset_id == dataset_id)
    row = {
        "dataset_id": dataset_id,
        "number": (connection.execute(latest).scalar_one() or 0) + 1,
        "digest": digest,
        "n_rows": manifest.n_rows,
        "origin": card.origin,
        "licence": card.licence,
        "schema": canonical_json(manifest.schema.to_json()),
        "card": canonical_json(card.to_json()),
        "software": f"twinset {__version__}",
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    inserted = connection.execute(version.insert().values(**row)).inserted_primary_key
    assert inserted is not None
    version_id = int(inserted[0])
    for path, file_digest in manifest.files.items():
        file = {"version_id": version_id, "path": path, "digest": file_digest}
        connection.execute(version_file.insert().values(**file))
    for position, parent_digest in enumerate(card.parents):
        edge = {"version_id": version_id, "position": position, "digest": parent_digest}
        connection.execute(parent.insert().values(**edge))
    return version_id


def all_versions(connection: Connection) -> list[Version]:
    """Return every version, by name and number."""
    return _versions(connection, _query())


def versions_named(connection: Connection, name: str) -> list[Version]:
    """Return the versions of one set, by number."""
    return _versions(connection, _query().where(dataset.c.name == name))


def versions_by_digest(connection: Connection, prefix: str) -> list[Version]:
    """Return the versions whose digest begins with `prefix`, the earliest first."""
    match = version.c.digest.startswith(prefix, autoescape=True)
    return _versions(connection, _query().where(match).order_by(None).order_by(version.c.id))


def component_of(connection: Connection, digest: str) -> str:
    """Return the generator or augmenter of the version with this digest."""
    card = connection.execute(select(version.c.card).where(version.c.digest == digest)).scalar()
    return str(json.loads(card)["component"]) if card else ""


def step_row(connection: Connection, address: str) -> StoredVersion | None:
    """Return the version of the step with this address, and its files."""
    found_id = select(step.c.version_id).where(step.c.address == address)
    version_id = connection.execute(found_id).scalar_one_or_none()
    if version_id is None:
        return None
    found = _versions(connection, _query().where(version.c.id == version_id))[0]
    files = select(version_file.c.digest).where(version_file.c.version_id == version_id)
    columns = select(blob.c.digest, blob.c.suffix, blob.c.size)
    needed = columns.where(blob.c.digest.in_(files) | (blob.c.digest == found.digest))
    return StoredVersion(found, tuple(_blob(row) for row in connection.execute(needed)))


def note_row(connection: Connection, address: str) -> Blob | None:
    """Return the file of the note of a step."""
    joined = select(blob.c.digest, blob.c.suffix, blob.c.size).join_from(note, blob)
    row = connection.execute(joined.where(note.c.step == address)).one_or_none()
    return None if row is None else _blob(row)


def _query() -> Select[Any]:
    joined = select(version, dataset.c.name).join_from(version, dataset)
    return joined.order_by(dataset.c.name, version.c.number)


def _versions(connection: Connection, query: Select[Any]) -> list[Version]:
    return [_version(row) for row in connection.execute(query)]


def _version(row: Any) -> Version:
    return Version(
        name=row.name,
        number=row.number,
        digest=row.digest,
        n_rows=row.n_rows,
        origin=row.origin,
        licence=row.licence,
        parents=tuple(json.loads(row.card)["parents"]),
    )


def _blob(row: Any) -> Blob:
    return row.digest, row.suffix, row.size
