"""List registered sets in a catalogue's database: new ones, and again those that it has lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from twinset.catalog.journal import Journal, Record, Registration, StepNote
from twinset.catalog.objects import Blob, Objects
from twinset.catalog.version import Manifest, canonical_json
from twinset.core.errors import CatalogError
from twinset.core.version import __version__

DATA, MANIFEST, NOTE = ".parquet", ".json", ".note"  # endings of stored files


@dataclass(frozen=True)
class RestoreSummary:
    """What `restore` did."""

    n_listed: int = 0  # versions that are listed again
    n_lost: int = 0  # versions of the journal whose manifest is missing or damaged
    is_journal_new: bool = False  # it was missing or damaged, and is written again

    @property
    def sentence(self) -> str:
        """All of it as one sentence; empty if nothing was wrong."""
        parts = []
        if self.n_listed:
            noun = "set" if self.n_listed == 1 else "sets"
            parts.append(
                f"its database lacked {self.n_listed:,} registered {noun}, now listed again from "
                "journal and manifests"
            )
        if self.is_journal_new:
            parts.append("its journal was damaged and is written again from the database")
        if self.n_lost:
            parts.append(f"{self.n_lost:,} could not be listed, see: twinset doctor")
        return "; ".join(parts)


def restore(
    connection: sqlite3.Connection,
    journal: Journal,
    objects: Objects,
    *,
    from_manifests: bool = False,
) -> RestoreSummary:
    """Make database and journal agree, inside a transaction that may write.

    `from_manifests`: list also what only manifests tell of, in the order of their files' times, under
    the names on their cards.

    Raises
    ------
    CatalogError
        Neither database nor journal lists all that manifests tell of.
    """
    before = connection.execute("SELECT n_versions FROM journal").fetchone()
    records, is_whole = journal.read()
    n_before = count_versions(connection)
    # A catalogue of an earlier layout, or a new one, has no journal yet.
    is_first = journal.size() < 0 and before is None
    n_lost = _replay(connection, records, objects)
    if from_manifests:
        _replay(connection, unlisted(connection, objects), objects)
    elif not is_whole and not (is_first and n_before):
        has_all = before is not None and before[0] <= n_before
        if not has_all and unlisted(connection, objects):
            root = objects.root.parent
            raise CatalogError(
                f"the catalogue '{root}' has lost registered sets from database and journal",
                todo=f"restore them from their manifests: twinset doctor --repair --root {root}",
            )
    n_listed = count_versions(connection) - n_before
    if is_whole and not from_manifests:
        journal.trim()
        size = journal.size()
    else:
        size = journal.write(_records(connection))
    mark_journal(connection, size)
    return RestoreSummary(n_listed, n_lost, not is_whole and not is_first)


def unlisted(connection: sqlite3.Connection, objects: Objects) -> list[Registration]:
    """Return a registration for every whole manifest that no version has, numbers following on."""
    listed = {row[0] for row in connection.execute("SELECT digest FROM version")}
    numbers = dict(
        connection.execute(
            "SELECT name, max(number) FROM version JOIN dataset ON dataset.id = dataset_id "
            "GROUP BY name"
        ).fetchall()
    )
    found = []
    for digest in _manifests(objects):
        if digest in listed or (manifest := read_manifest(objects, digest)) is None:
            continue
        card = manifest.card
        numbers[card.name] = numbers.get(card.name, 0) + 1
        when = datetime.now(UTC).isoformat(timespec="seconds")
        facts = (card.name, numbers[card.name], digest, "", f"twinset {__version__}", when)
        found.append(Registration(*facts))
    return found


def read_manifest(objects: Objects, digest: str) -> Manifest | None:
    """Return the manifest of a digest; None if it is missing or damaged."""
    try:
        return Manifest.from_bytes(objects.checked(digest, MANIFEST).read_bytes())
    except (CatalogError, ValueError, KeyError, TypeError):
        return None  # its name is that of a digest, and its content is no manifest


def count_versions(connection: sqlite3.Connection) -> int:
    """Return the number of listed versions."""
    return int(connection.execute("SELECT count(*) FROM version").fetchone()[0])


def mark_journal(connection: sqlite3.Connection, size: int) -> None:
    """Record the journal's size and the number of versions, which the next opening compares."""
    values = (size, count_versions(connection))
    connection.execute("REPLACE INTO journal VALUES (1, ?, ?)", values)


def insert_blob(connection: sqlite3.Connection, blob: Blob) -> None:
    """Insert a stored file."""
    connection.execute("INSERT INTO blob VALUES (?, ?, ?) ON CONFLICT DO NOTHING", blob)


def insert_version(
    connection: sqlite3.Connection,
    name: str,
    digest: str,
    manifest: Manifest,
    record: Registration | None = None,
) -> None:
    """Insert a version: the next one of its name, or that of a `record`."""
    card = manifest.card
    connection.execute("INSERT INTO dataset (name) VALUES (?) ON CONFLICT DO NOTHING", [name])
    facts = (
        "SELECT id, (SELECT max(number) FROM version WHERE dataset_id = dataset.id) FROM dataset"
    )
    dataset_id, latest = connection.execute(f"{facts} WHERE name = ?", [name]).fetchone()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    row = {
        "dataset_id": dataset_id,
        "number": record.number if record else (latest or 0) + 1,
        "digest": digest,
        "n_rows": manifest.n_rows,
        "origin": card.origin,
        "licence": card.licence,
        "schema": canonical_json(manifest.schema.to_json()),
        "card": canonical_json(card.to_json()),
        "software": record.software if record else f"twinset {__version__}",
        "created_at": record.created_at if record else now,
    }
    marks = ", ".join(f":{name}" for name in row)
    insert = f"INSERT INTO version ({', '.join(row)}) VALUES ({marks})"  # noqa: S608  (own names)
    number = connection.execute(insert, row).lastrowid
    files = [(number, path, file_digest) for path, file_digest in manifest.files.items()]
    parents = [(number, position, parent) for position, parent in enumerate(card.parents)]
    connection.executemany("INSERT INTO version_file VALUES (?, ?, ?)", files)
    connection.executemany("INSERT INTO parent VALUES (?, ?, ?)", parents)


def _replay(connection: sqlite3.Connection, records: Iterable[Record], objects: Objects) -> int:
    """Insert what the records tell of and the database lacks; return how many versions are lost."""
    query = (
        "SELECT version.id, digest, number FROM version JOIN dataset ON dataset.id = dataset_id "
        "WHERE name = ? AND (digest = ? OR number = ?) ORDER BY digest = ? DESC"
    )
    n_lost = 0
    for record in records:
        if isinstance(record, StepNote):
            if (blob := objects.blob(record.digest, NOTE)) is not None:
                insert_blob(connection, blob)
                connection.execute("REPLACE INTO note VALUES (?, ?, ?)", record)
            continue
        key = (record.name, record.digest, record.number, record.digest)
        found = connection.execute(query, key).fetchone()
        if found is None and not _list_again(connection, record, objects):
            n_lost += 1
            continue
        found = connection.execute(query, key).fetchone()
        if record.step and found["digest"] == record.digest:
            connection.execute("REPLACE INTO step VALUES (?, ?)", [record.step, found["id"]])
    return n_lost


def _list_again(connection: sqlite3.Connection, record: Registration, objects: Objects) -> bool:
    """Insert a recorded version by its manifest; return False if one of its files is not whole."""
    manifest = read_manifest(objects, record.digest)
    if manifest is None:
        return False
    blobs = []
    for digest, suffix in (
        *((d, DATA) for d in manifest.files.values()),
        (record.digest, MANIFEST),
    ):
        try:
            blobs.append(Blob(digest, suffix, objects.checked(digest, suffix).stat().st_size))
        except CatalogError:
            return False
    for blob in blobs:
        insert_blob(connection, blob)
    insert_version(connection, record.name, record.digest, manifest, record)
    return True


def _manifests(objects: Objects) -> list[str]:
    """Return the digests of all stored manifests, the oldest file first."""
    files = [path for path in objects.stored() if path.suffix == MANIFEST]
    files.sort(key=lambda path: (path.stat().st_mtime_ns, path.name))
    return [path.stem for path in files]


def _records(connection: sqlite3.Connection) -> list[Record]:
    """Return the records of everything that the database lists."""
    versions = connection.execute(
        "SELECT name, number, digest, coalesce(address, ''), software, created_at FROM version "
        "JOIN dataset ON dataset.id = dataset_id LEFT JOIN step ON version_id = version.id "
        "ORDER BY version.id, address"
    )
    notes = connection.execute("SELECT step, kind, digest FROM note ORDER BY step")
    return [
        *(Registration(*row) for row in versions.fetchall()),
        *(StepNote(*row) for row in notes.fetchall()),
    ]
