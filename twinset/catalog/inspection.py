"""Check a catalogue: database, journal, stored files, drafts, permissions; each fault has a remedy."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from twinset.catalog.database import BUSY_SECONDS, LAYOUT, Database
from twinset.catalog.journal import Registration
from twinset.catalog.objects import Objects, cannot_write_catalogue
from twinset.catalog.restore import (
    DATA,
    MANIFEST,
    NOTE,
    count_versions,
    covers_database,
    foreign_version,
    restore,
    unlisted,
    whole_files,
)
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
    is_draft,
    private_folder,
    sole_draft,
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


@contextmanager
def sole_repair(root: Path) -> Iterator[None]:
    """Let one process at a time repair a catalogue; another waits, with a warning."""
    _database_of(root)
    try:
        with sole_draft(root / "doctor", f"the catalogue '{root}'"):
            yield
    except OSError as error:
        raise cannot_write_catalogue(root, error) from error


def inspect_catalogue(root: Path, folders: Sequence[Path] = ()) -> Iterator[Finding]:
    """Yield the faults of a catalogue, and dead drafts beside it and in `folders`.

    Each fault may be repaired before the next one is asked for: what follows is checked as it is then.
    A database that is not repaired hides the faults of sets.

    Examples
    --------
    >>> import tempfile
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> people = Dataset.from_arrow(pa.table({"age": [31, 47]}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     version = Catalog(Path(folder)).register("people", [people], people.card)
    ...     list(inspect_catalogue(Path(folder)))
    []

    Raises
    ------
    CatalogError
        There is no catalogue, or its database may not be opened.
    """
    database = _database_of(root)
    catalog, objects = Catalog(root), Objects(root / "objects")
    fault = _database_fault(catalog, database)
    if fault is not None:
        yield fault
    if fault is None or _database_fault(catalog, database) is None:
        yield from _file_faults(catalog, database)
    for folder in dict.fromkeys(
        (objects.incoming, root, root / "locks", root.absolute().parent, *folders)
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
    exposed = [path for path in _own_paths(root) if _is_exposed(path)]
    if exposed:
        noun = "file or folder" if len(exposed) == 1 else "files and folders"
        yield Finding(
            f"{len(exposed):,} {noun} may be read by other users",
            str(exposed[0]),
            "repair lets only their owner read them",
            partial(_close, exposed),
        )


def _database_of(root: Path) -> Database:
    database = Database(root)
    if not database.exists:
        raise CatalogError(f"there is no catalogue in '{root}'", todo="name its folder with --root")
    return database


def _database_fault(catalog: Catalog, database: Database) -> Finding | None:
    """Return the first fault of the database and its journal."""
    path, journal = database.path, database.journal
    objects = Objects(catalog.root / "objects")
    records, is_whole = journal.read()
    remedy = "repair lists every set again from journal and manifests"
    rebuild = partial(_rebuild, catalog, database, not is_whole)
    if not path.is_file() or not path.stat().st_size:
        stored = any(file.suffix == MANIFEST for file in objects.stored())
        fault = "the database is missing or empty"
        return Finding(fault, str(path), remedy, rebuild) if records or stored else None
    try:
        address = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # nobody is between its record and its end
            is_earlier = database.layout(connection) < LAYOUT
            sound = connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            sound = sound and connection.execute("PRAGMA foreign_key_check").fetchone() is None
            records, is_whole = journal.read()
            sound = sound and not (is_whole and foreign_version(connection, records, objects))
            n_versions = count_versions(connection)
            is_whole = is_whole and covers_database(connection, records)
            marked = None if is_earlier else connection.execute("SELECT * FROM journal").fetchone()
            mark = journal.mark()
    except sqlite3.DatabaseError as error:
        if not database.is_damage(error):
            raise database.unusable(error) from error
        sound = False
    if not sound:
        remedy += ", and keeps the damaged file beside it"
        return Finding("the database is damaged", str(path), remedy, rebuild)
    if is_earlier or (is_whole and marked is not None and marked[1:] == (mark, n_versions)):
        return None
    lost = marked is None or marked[2] > n_versions
    agree = partial(_restore, database, from_manifests=lost and not is_whole)
    if is_whole:
        return Finding("the database lacks registered sets", str(path), remedy, agree)
    remedy = "repair writes it again from the database" + (" and the manifests" if lost else "")
    return Finding("the journal is missing or damaged", str(journal.path), remedy, agree)


def _rebuild(catalog: Catalog, database: Database, from_manifests: bool) -> None:
    """Put a damaged database and its log aside and list every set in a new one."""
    _refuse_in_use(catalog)
    aside = _free(database.path.with_suffix(".sqlite.damaged"))
    for ending in ("", "-wal", "-shm"):
        path = database.path.with_name(database.path.name + ending)
        if path.is_file() and path.stat().st_size and ending != "-shm":
            os.replace(path, aside.with_name(aside.name + ending))
        path.unlink(missing_ok=True)
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
    with database.transaction() as connection:
        versions, notes = _listed(connection)
    damaged = {path.name: path for path in objects.stored() if _is_damaged(path)}
    refs = {(version.ref, version.digest) for version in versions}
    lost = dict.fromkeys(
        f"{record.name}@{record.number}"
        for record in database.journal.read()[0]
        if isinstance(record, Registration)
        and (f"{record.name}@{record.number}", record.digest) not in refs
    )
    for ref in lost:
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
                partial(_drop_note, database, step, digest, objects.path(digest, NOTE)),
            )
    if not catalog.is_in_use:  # a run lists its files at the end
        yield from _unlisted_faults(catalog, database, has_lost=bool(lost))


def _unlisted_faults(catalog: Catalog, database: Database, has_lost: bool) -> Iterator[Finding]:
    """Yield the stored files that no version needs: of a killed run, or of a list that was lost."""
    objects = Objects(database.root / "objects")
    with database.transaction() as connection:
        found = [r for r in unlisted(connection, objects) if whole_files(r, objects)]
    for record in found:
        yield Finding(
            "a stored set is not listed",
            f"{record.name} in '{objects.path(record.digest, MANIFEST)}'",
            "repair lists it under the next number of its name",
            partial(_restore, database, from_manifests=True),
        )
    with database.transaction() as connection:
        needed = _needed(connection)
    for record in found:  # not repaired
        needed |= {f"{blob.digest}{blob.suffix}" for blob in whole_files(record, objects)}
    for path in objects.stored():
        if not _STORED.fullmatch(path.name) or path.name in needed:
            continue
        fault = "no registered set needs this file"
        if has_lost and path.suffix == DATA:
            yield Finding(fault, str(path), "it stays, as it may hold the rows of a lost set")
            continue
        remove = partial(_remove_unneeded, catalog, database, path)
        yield Finding(fault, str(path), "repair removes it", remove)


def _needed(connection: sqlite3.Connection) -> set[str]:
    """Return the names of the files that versions and notes need."""
    versions, notes = _listed(connection)
    needed = {f"{digest}{NOTE}" for _, digest in notes}
    for version in versions:
        needed |= {f"{version.digest}{MANIFEST}", *(f"{d}{DATA}" for d in version.files.values())}
    return needed


def _listed(connection: sqlite3.Connection) -> tuple[list[_Listed], list[tuple[str, str]]]:
    """Return the versions of the database, and the step and digest of each note."""
    query = (
        "SELECT version.id, name, number, digest, n_rows, schema, card "
        "FROM version JOIN dataset ON dataset.id = dataset_id ORDER BY name, number"
    )
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
    fault, content = "the manifest of a set is missing or damaged", version.manifest()
    if hashlib.sha256(content).hexdigest() != version.digest:
        return Finding(fault, version.ref, _AGAIN)  # another version of twinset wrote other keys
    remedy = "repair writes it again from the database"
    return Finding(fault, version.ref, remedy, partial(objects.put, content, MANIFEST))


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
    try:
        return _STORED.fullmatch(path.name) is not None and sha256_of(path) != path.stem
    except FileNotFoundError:
        return False  # another process has just removed it


def _put_aside(folder: Path, path: Path) -> None:
    """Move a damaged file out of the way of a whole one; it may be somebody's only copy."""
    if _is_damaged(path):  # still: a run may have stored it again
        private_folder(folder)
        os.replace(path, _free(folder / path.name))


def _free(path: Path) -> Path:
    """Return a path like this one that does not exist."""
    number, free = 1, path
    while free.exists():
        number, free = number + 1, path.with_name(f"{path.name}-{number + 1}")
    return free


def _drop_note(database: Database, step: str, digest: str, path: Path) -> None:
    with database.transaction("IMMEDIATE") as connection:
        if _is_damaged(path) or not path.exists():  # still: a run may have stored it again
            connection.execute("DELETE FROM note WHERE step = ? AND digest = ?", [step, digest])
            path.unlink(missing_ok=True)


def _remove_unneeded(catalog: Catalog, database: Database, path: Path) -> None:
    """Remove a file while no process registers a set; one that begins now sees that it is gone."""
    with database.transaction("IMMEDIATE") as connection:
        _refuse_in_use(catalog)
        if path.name not in _needed(connection):  # still: a run may have listed it meanwhile
            path.unlink(missing_ok=True)


def _refuse_in_use(catalog: Catalog) -> None:
    if catalog.is_in_use:
        raise CatalogError(
            f"another process uses the catalogue '{catalog.root}'",
            todo="wait until it has ended, and run doctor again",
        )


def _own_paths(root: Path) -> Iterator[Path]:
    """Yield what a catalogue wrote, without drafts, which come and go; other files are the user's."""
    yield root
    yield from root.glob("catalog.sqlite*")
    yield from root.glob("journal.jsonl")
    for name in ("objects", "locks", "damaged"):
        for folder, _, files in os.walk(root / name):
            if not is_draft(Path(folder)):
                yield from (Path(folder), *(Path(folder) / file for file in files))


def _is_exposed(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False  # it has ended its use meanwhile
    return os.name != "nt" and not stat.S_ISLNK(mode) and bool(mode & _OPEN_TO_OTHERS)


def _close(paths: Sequence[Path]) -> None:
    for path in paths:
        with suppress(FileNotFoundError):
            path.chmod(PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE)
