"""Check a catalogue: database, journal, stored files, drafts, permissions; each fault has a remedy."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from twinset.catalog.database import Database
from twinset.catalog.journal import Registration
from twinset.catalog.objects import Objects
from twinset.catalog.restore import DATA, MANIFEST, NOTE, count_versions, restore
from twinset.catalog.store import Catalog
from twinset.catalog.version import Manifest
from twinset.core.data.dataset import Card
from twinset.core.data.schema import Schema
from twinset.core.errors import CatalogError
from twinset.core.untrusted import parse_json
from twinset.io.drafts import (
    PRIVATE_FILE,
    PRIVATE_FOLDER,
    dead_drafts,
    private_folder,
    sweep_drafts,
)
from twinset.io.files import sha256_of

_STORED = re.compile(r"[0-9a-f]{64}\.(parquet|json|note)")
_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_AGAIN = "run its recipe again, or register its file again"


@dataclass(frozen=True)
class Finding:
    """A fault of a catalogue.

    Parameters
    ----------
    fault : str
        What is wrong.
    place : str
        The set, file or folder.
    remedy : str
        What `repair` does; where there is none, what the user can do.
    repair : callable, optional
        Repairs the fault. It removes nothing that a listed version needs.
    """

    fault: str
    place: str
    remedy: str
    repair: Callable[[], object] | None = None


class _Listed(NamedTuple):
    """A row of the database with what its files must be."""

    ref: str
    digest: str
    files: dict[str, str]
    n_rows: int
    schema: str
    card: str

    def manifest(self) -> bytes:
        """Return the manifest as the database tells it."""
        schema, card = (
            Schema.from_json(parse_json(self.schema)),
            Card.from_json(parse_json(self.card)),
        )
        return Manifest(self.files, self.n_rows, schema, card).to_bytes()


def inspect_catalogue(root: Path, folders: Sequence[Path] = ()) -> Iterator[Finding]:
    """Yield the faults of a catalogue, and dead drafts beside it and in `folders`.

    Each fault may be repaired before the next one is asked for: what follows is checked as it is then.
    A database that is not repaired hides the faults of sets.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     list(inspect_catalogue(Path(folder) / "none"))
    []
    """
    catalog = Catalog(root)
    database = Database(root)
    fault = _database_fault(catalog, database)
    if fault is not None:
        yield fault
    if fault is None or _database_fault(catalog, database) is None:
        yield from _file_faults(catalog, database)
    objects = Objects(root / "objects")
    for folder in dict.fromkeys(
        (objects.incoming, root / "locks", root.absolute().parent, *folders)
    ):
        for draft in dead_drafts(folder):
            yield Finding(
                "a killed process left a draft",
                str(draft),
                "repair removes it",
                partial(sweep_drafts, folder),
            )
    for file in (path for path in objects.incoming.glob("*") if path.is_file()):
        # Earlier versions wrote their drafts without a folder.
        remove = partial(file.unlink, missing_ok=True)
        yield Finding("a killed process left a draft", str(file), "repair removes it", remove)
    paths = (root, *root.rglob("*")) if root.exists() else ()
    exposed = [path for path in paths if _is_exposed(path)]
    if exposed:
        noun = "file or folder" if len(exposed) == 1 else "files and folders"
        yield Finding(
            f"{len(exposed):,} {noun} may be read by other users",
            str(exposed[0]),
            "repair lets only their owner read them",
            partial(_close, exposed),
        )


def _database_fault(catalog: Catalog, database: Database) -> Finding | None:
    """Return the first fault of the database and its journal."""
    path, journal = database.path, database.journal
    records, is_whole = journal.read()
    remedy = "repair lists every set again from journal and manifests"
    rebuild = partial(_rebuild, catalog, database, not is_whole)
    if not path.is_file() or not path.stat().st_size:
        stored = any(file.suffix == MANIFEST for file in Objects(catalog.root / "objects").stored())
        fault = "the database is missing or empty"
        return Finding(fault, str(path), remedy, rebuild) if records or stored else None
    try:
        address = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            sound = connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            sound = sound and connection.execute("PRAGMA foreign_key_check").fetchone() is None
            n_versions = count_versions(connection)
            is_earlier = connection.execute("PRAGMA user_version").fetchone()[0] < 2
            marked = None if is_earlier else connection.execute("SELECT * FROM journal").fetchone()
    except sqlite3.DatabaseError:
        sound = False
    if not sound:
        remedy += ", and keeps the damaged file beside it"
        return Finding("the database is damaged", str(path), remedy, rebuild)
    if is_earlier or (is_whole and marked and marked[1:] == (journal.size(), n_versions)):
        return None
    lost = marked is None or marked[2] > n_versions
    agree = partial(_restore, database, from_manifests=lost and not is_whole)
    if is_whole:
        return Finding("the database lacks registered sets", str(path), remedy, agree)
    remedy = "repair writes it again from the database" + (" and the manifests" if lost else "")
    return Finding("the journal is missing or damaged", str(journal.path), remedy, agree)


def _rebuild(catalog: Catalog, database: Database, from_manifests: bool) -> None:
    """Put a damaged database aside and list every set in a new one."""
    _refuse_in_use(catalog)
    if database.path.is_file() and database.path.stat().st_size:
        os.replace(database.path, _free(database.path.with_suffix(".sqlite.damaged")))
    for ending in ("", "-wal", "-shm"):
        database.path.with_name(database.path.name + ending).unlink(missing_ok=True)
    _restore(database, from_manifests=from_manifests)


def _restore(database: Database, *, from_manifests: bool) -> None:
    with database.connection() as connection:
        connection.execute("BEGIN IMMEDIATE")
        objects = Objects(database.root / "objects")
        restore(connection, database.journal, objects, from_manifests=from_manifests)
        connection.execute("COMMIT")


def _file_faults(catalog: Catalog, database: Database) -> Iterator[Finding]:
    """Yield the faults of stored files; each is read once."""
    if not database.path.is_file():
        return
    objects = Objects(database.root / "objects")
    versions, notes = _listed(database)
    damaged = {path.name: path for path in objects.stored() if _is_damaged(path)}
    refs = {(version.ref, version.digest) for version in versions}
    for record in database.journal.read()[0]:
        if isinstance(record, Registration):
            ref = f"{record.name}@{record.number}"
            if (ref, record.digest) not in refs:
                yield Finding("a registered set is lost", ref, _AGAIN)
    for version in versions:
        name = f"{version.digest}{MANIFEST}"
        if name in damaged or objects.blob(version.digest, MANIFEST) is None:
            yield _manifest_fault(version, objects)
        for digest in version.files.values():
            yield from _data_faults(version.ref, objects, damaged.get(f"{digest}{DATA}"), digest)
    for step, digest in notes:
        if f"{digest}{NOTE}" in damaged or objects.blob(digest, NOTE) is None:
            yield Finding(
                "a result of a step is missing or damaged",
                str(objects.path(digest, NOTE)),
                "repair removes it, and the next run makes it again",
                partial(_drop_note, database, step, objects.path(digest, NOTE)),
            )
    needed = {f"{digest}{NOTE}" for _, digest in notes}
    for version in versions:
        needed |= {f"{version.digest}{MANIFEST}", *(f"{d}{DATA}" for d in version.files.values())}
    for path in () if catalog.is_in_use else objects.stored():  # a run lists its files at the end
        if _STORED.fullmatch(path.name) and path.name not in needed:
            yield Finding(
                "no registered set needs this file",
                str(path),
                "repair removes it",
                partial(_remove_unneeded, catalog, database, path),
            )


def _listed(database: Database) -> tuple[list[_Listed], list[tuple[str, str]]]:
    """Return the versions of the database, and the step and digest of each note."""
    query = (
        "SELECT version.id, name, number, digest, n_rows, schema, card "
        "FROM version JOIN dataset ON dataset.id = dataset_id ORDER BY name, number"
    )
    with database.transaction() as connection:
        files: dict[int, dict[str, str]] = {}
        for number, path, digest in connection.execute("SELECT * FROM version_file").fetchall():
            files.setdefault(number, {})[path] = digest
        versions = [
            _Listed(f"{name}@{number}", digest, files.get(at, {}), *facts)
            for at, name, number, digest, *facts in connection.execute(query).fetchall()
        ]
        notes = connection.execute("SELECT step, digest FROM note ORDER BY step").fetchall()
    return versions, [(step, digest) for step, digest in notes]


def _manifest_fault(version: _Listed, objects: Objects) -> Finding:
    content = version.manifest()
    return Finding(
        "the manifest of a set is missing or damaged",
        version.ref,
        "repair writes it again from the database",
        partial(objects.put, content, MANIFEST),
    )


def _data_faults(
    ref: str, objects: Objects, damaged: Path | None, digest: str
) -> Iterator[Finding]:
    if damaged is not None:
        yield Finding(
            "the rows of a set are damaged",
            f"{ref} in '{damaged}'",
            f"repair moves the file to the folder 'damaged'; then {_AGAIN}",
            partial(_put_aside, objects.root.parent / "damaged", damaged),
        )
    elif objects.blob(digest, DATA) is None:
        yield Finding("the rows of a set are missing", ref, _AGAIN)


def _is_damaged(path: Path) -> bool:
    return _STORED.fullmatch(path.name) is not None and sha256_of(path) != path.stem


def _put_aside(folder: Path, path: Path) -> None:
    """Move a damaged file out of the way of a whole one; it may be somebody's only copy."""
    if path.exists():
        private_folder(folder)
        os.replace(path, _free(folder / path.name))


def _free(path: Path) -> Path:
    """Return a path like this one that does not exist."""
    number, free = 1, path
    while free.exists():
        number, free = number + 1, path.with_name(f"{path.name}-{number + 1}")
    return free


def _drop_note(database: Database, step: str, path: Path) -> None:
    with database.transaction("IMMEDIATE") as connection:
        connection.execute("DELETE FROM note WHERE step = ?", [step])
        path.unlink(missing_ok=True)


def _remove_unneeded(catalog: Catalog, database: Database, path: Path) -> None:
    """Remove a file while no process registers a set; one that begins now sees that it is gone."""
    with database.transaction("IMMEDIATE"):
        _refuse_in_use(catalog)
        path.unlink(missing_ok=True)


def _refuse_in_use(catalog: Catalog) -> None:
    if catalog.is_in_use:
        raise CatalogError(
            f"another process uses the catalogue '{catalog.root}'",
            todo="wait until it has ended, and run doctor again",
        )


def _is_exposed(path: Path) -> bool:
    return os.name != "nt" and not path.is_symlink() and bool(path.stat().st_mode & _OPEN_TO_OTHERS)


def _close(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.exists():
            path.chmod(PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE)
