"""The catalogue's SQLite database: opened with care, read and written in transactions.

PostgreSQL will come in here: `_prepare` (pragmas, triggers) and `insert_new` are all that is
SQLite's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from twinset.catalog.tables import IMMUTABLE, LAYOUT, metadata
from twinset.core.errors import CatalogError

_BUSY_SECONDS = 30


class Database:
    """The database file of one catalogue; it is made when something is first written.

    Parameters
    ----------
    path : Path
        The SQLite file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine: Engine | None = None

    @property
    def exists(self) -> bool:
        """Whether anything was ever written."""
        return self._path.is_file()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the catalogue.

        Raises
        ------
        CatalogError
            The file is no catalogue, or cannot be read.
        """
        with self._guarded(), self._open().connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection that alone may write; all it did appears at once, or nothing.

        Raises
        ------
        CatalogError
            The file is no catalogue, or cannot be written.
        """
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
            # No pool: a connection is cheap beside a data set, and none outlives a fork.
            engine = create_engine(
                URL.create("sqlite", database=str(self._path)),
                poolclass=NullPool,
                connect_args={"timeout": _BUSY_SECONDS},
            )
            event.listen(engine, "connect", _prepare)
            event.listen(engine, "begin", _begin)
            _lay_out(engine, self._path)
            self._engine = engine
        return self._engine


def insert_new(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert a row unless one with its key is there already."""
    connection.execute(insert(table).values(**values).on_conflict_do_nothing())


def insert_or_update(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert a row, or give the one with its key these values."""
    keys = [column.name for column in table.primary_key]
    changed = {name: value for name, value in values.items() if name not in keys}
    statement = insert(table).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed))


def _prepare(connection: Any, _: object) -> None:
    # SQLAlchemy's own BEGIN replaces the driver's, which would open transactions too late.
    connection.isolation_level = None
    for pragma in (f"busy_timeout={_BUSY_SECONDS * 1000}", "foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode=WAL")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _lay_out(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if found > LAYOUT:
        raise CatalogError(
            f"the catalogue '{path}' was made by a later version of twinset",
            got=f"layout {found}",
            allowed=f"layout {LAYOUT}",
            todo="install the newer twinset",
        )
    if found == LAYOUT:
        return
    with engine.execution_options(begin="BEGIN IMMEDIATE").begin() as connection:
        metadata.create_all(connection)
        for table in IMMUTABLE:
            connection.exec_driver_sql(
                f"CREATE TRIGGER IF NOT EXISTS {table.name}_is_immutable BEFORE UPDATE ON "
                f"{table.name} BEGIN SELECT RAISE(ABORT, 'registered versions are immutable'); END"
            )
        connection.exec_driver_sql(f"PRAGMA user_version={LAYOUT}")
