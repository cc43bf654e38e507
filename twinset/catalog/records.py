"""Rows of the catalogue's tables to versions, and back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from twinset.catalog.database import insert_new, insert_or_update
from twinset.catalog.manifest import Manifest, canonical_json
from twinset.catalog.tables import blob, dataset, note, parent, step, version, version_file
from twinset.catalog.version import Version
from twinset.core.version import __version__

Blob = tuple[str, str, int]
"""Digest, suffix and size of a stored file."""


@dataclass(frozen=True)
class StoredVersion:
    """A version with the files it needs."""

    version: Version
    blobs: tuple[Blob, ...]


def remember_blob(connection: Connection, digest: str, suffix: str, size: int) -> None:
    """Make a stored file known."""
    insert_new(connection, blob, {"digest": digest, "suffix": suffix, "size": size})


def remember_version(
    connection: Connection, name: str, digest: str, manifest: Manifest, address: str
) -> Version:
    """Make a version visible, or find the one that is there; `address` is the step that made it."""
    insert_new(connection, dataset, {"name": name})
    dataset_id = connection.execute(select(dataset.c.id).where(dataset.c.name == name)).scalar_one()
    same = (version.c.dataset_id == dataset_id) & (version.c.digest == digest)
    version_id = connection.execute(select(version.c.id).where(same)).scalar_one_or_none()
    if version_id is None:
        version_id = _insert_version(connection, dataset_id, digest, manifest)
    if address:
        insert_or_update(connection, step, {"address": address, "version_id": version_id})
    return _versions(connection, _query().where(version.c.id == version_id))[0]


def _insert_version(
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
    for position, made_from in enumerate(card.parents):
        edge = {"version_id": version_id, "position": position, "digest": made_from}
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
    """Return the generator or augmenter that made the version with this digest."""
    card = connection.execute(select(version.c.card).where(version.c.digest == digest)).scalar()
    return str(json.loads(card)["component"]) if card else ""


def step_row(connection: Connection, address: str) -> StoredVersion | None:
    """Return the version that the step with this address made, and its files."""
    made = select(step.c.version_id).where(step.c.address == address)
    version_id = connection.execute(made).scalar_one_or_none()
    if version_id is None:
        return None
    found = _versions(connection, _query().where(version.c.id == version_id))[0]
    files = select(version_file.c.digest).where(version_file.c.version_id == version_id)
    columns = select(blob.c.digest, blob.c.suffix, blob.c.size)
    needed = columns.where(blob.c.digest.in_(files) | (blob.c.digest == found.digest))
    return StoredVersion(found, tuple(_blob(row) for row in connection.execute(needed)))


def note_row(connection: Connection, address: str) -> Blob | None:
    """Return the file that holds the note of a step."""
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
