"""The tables of the catalogue's database, and the small steps in which they are read and written."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

LAYOUT = 1
"""Number of the table layout; a catalogue of a later layout is refused."""

metadata = MetaData()

dataset = Table(
    "dataset",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
)

blob = Table(
    "blob",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("suffix", String(16), nullable=False),
    Column("size", Integer, nullable=False),
)

# `digest` is that of the manifest, which names the data files, the schema and the card.
version = Table(
    "version",
    metadata,
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
    metadata,
    Column("version_id", ForeignKey("version.id"), primary_key=True),
    Column("path", String(255), primary_key=True),
    Column("digest", ForeignKey("blob.digest"), nullable=False),
)

# A parent is told by digest: it may live in another catalogue.
parent = Table(
    "parent",
    metadata,
    Column("version_id", ForeignKey("version.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("digest", String(64), nullable=False),
)

step = Table(
    "step",
    metadata,
    Column("address", String(255), primary_key=True),
    Column("version_id", ForeignKey("version.id"), nullable=False),
)

note = Table(
    "note",
    metadata,
    Column("step", String(255), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("digest", ForeignKey("blob.digest"), nullable=False),
)

# What was registered stays as it was, also for those who come by SQL.
IMMUTABLE = (version, version_file, parent, blob)
