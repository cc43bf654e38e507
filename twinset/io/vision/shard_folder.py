"""A folder of shards that is made bit by bit: what is finished stays, however the process ends."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Label, Schema
from twinset.core.errors import DataError, ParameterError
from twinset.io.files import cannot_write, replacing, sha256_of, write_text
from twinset.io.vision.shard_writing import ROWS_A_SHARD, OneShard, description, shard_name
from twinset.io.vision.shards import DESCRIPTION, JOURNAL

_HEAD = "set.json"


@dataclass(frozen=True)
class Entry:
    """What the journal says of a finished shard.

    Parameters
    ----------
    digest : str
        SHA-256 of its file.
    size : int
        Bytes of its file.
    schema : mapping
        Columns of its rows; of categories, the levels that came.
    categories : tuple of str
        Classes of its objects, in order of appearance; those of the taxonomy first.
    """

    digest: str
    size: int
    schema: dict[str, Any]
    categories: tuple[str, ...]


@dataclass(frozen=True)
class ShardFolder:
    """The shards of one set in a folder, and a journal beside them of those that are finished.

    A shard is written under another name, flushed to the disk and renamed; then it enters the journal.
    So a process that is killed leaves whole shards, and a later one makes those that are missing.

    Parameters
    ----------
    path : Path
        The folder.
    key : str
        Content address of the set: shards of another one are refused.
    n_rows : int
        Rows of the set, 1 or more.
    rows_a_shard : int
        Samples in each shard but the last, 1 or more.
    """

    path: Path
    key: str
    n_rows: int
    rows_a_shard: int = ROWS_A_SHARD

    def __post_init__(self) -> None:
        if self.rows_a_shard < 1:
            raise ParameterError(
                "'rows_a_shard' is out of its range",
                got=str(self.rows_a_shard),
                allowed="1 or more",
            )

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return -(-self.n_rows // self.rows_a_shard)

    def rows_of(self, number: int) -> tuple[int, int]:
        """Return the position of a shard's first row, and how many rows it holds."""
        first = number * self.rows_a_shard
        return first, min(self.rows_a_shard, self.n_rows - first)

    def open(self) -> None:
        """Begin the folder, or go on with it.

        Raises
        ------
        DataError
            It holds something else, shards of another set, or cannot be written to.
        """
        head = self.path / JOURNAL / _HEAD
        said = {"key": self.key, "n_rows": self.n_rows, "rows_a_shard": self.rows_a_shard}
        try:
            begun = json.loads(head.read_bytes()) if head.is_file() else None
            foreign = begun is None and self.path.exists() and any(self.path.iterdir())
        except (OSError, ValueError) as error:
            raise DataError(
                f"the journal of '{self.path}' cannot be read",
                got=type(error).__name__,
                todo="choose another folder, or remove this one",
            ) from error
        if foreign:
            raise DataError(
                f"the folder '{self.path}' holds something, and no shards that were begun",
                todo="choose another folder, or empty this one",
            )
        if begun is not None and begun != said and self.n_entries():
            raise DataError(
                f"the folder '{self.path}' holds shards of another set",
                got="another recipe, seed, shard size or version of twinset",
                todo="choose another folder, or remove this one",
            )
        try:
            head.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        if begun != said:
            write_text(head, json.dumps(said) + "\n")

    def missing(self) -> list[int]:
        """Return the shards that are still to be made; those that are there are checked, byte by byte."""
        return [k for k in range(self.n_shards) if not self._is_whole(k)]

    def n_entries(self) -> int:
        """Return how many shards the journal holds, unchecked."""
        return sum(1 for _ in (self.path / JOURNAL).glob("shard-*.json"))

    def make(self, number: int, rows: Iterable[Dataset]) -> None:
        """Write a shard of exactly the rows that are its own, in chunks.

        Raises
        ------
        SchemaError
            The rows are no annotated images.
        DataError
            They are too few or too many, or the file cannot be written.
        """
        first, n = self.rows_of(number)
        place = self.path / shard_name(number)
        for stale in self.path.glob(f".{place.name}.*.tmp"):
            stale.unlink(missing_ok=True)  # of a process that was killed
        columns = _Columns()
        with replacing(place) as draft:
            writer = OneShard(draft, first)
            try:
                for chunk in rows:
                    columns.add(chunk)
                    writer.write(chunk)
            finally:
                writer.close()
            if writer.n_written != first + n or columns.schema is None:
                raise DataError(
                    f"the shard '{place.name}' did not get its rows",
                    got=f"{writer.n_written - first:,}",
                    allowed=f"{n:,}",
                )
            entry = Entry(
                sha256_of(draft),
                draft.stat().st_size,
                columns.as_seen().to_json(),
                tuple(label.name for label in writer.classes.labels),
            )
        write_text(self._entry_file(number), json.dumps(asdict(entry), ensure_ascii=False) + "\n")

    def finish(self) -> tuple[Schema, dict[str, str]]:
        """Say what the classes are; return the schema, and the SHA-256 of every file so far.

        Raises
        ------
        DataError
            A shard is missing, or the shards differ in their columns.
        """
        entries = [self._entry(k) for k in range(self.n_shards)]
        absent = [shard_name(k) for k, entry in enumerate(entries) if entry is None]
        if absent:
            raise DataError(
                f"shards are missing in '{self.path}'", got=", ".join(absent[:5]), todo="make them"
            )
        found = [entry for entry in entries if entry is not None]
        columns = _Columns()
        for entry in found:
            columns.join(Schema.from_json(entry.schema))
        assert columns.schema is not None
        labels = {label.name: label for label in _labels(columns.schema)}
        for entry in found:
            for name in entry.categories:
                labels.setdefault(name, Label(name))
        with replacing(self.path / DESCRIPTION) as draft:
            draft.write_bytes(description(labels.values()))
        digests = {shard_name(k): entry.digest for k, entry in enumerate(found)}
        digests[DESCRIPTION] = sha256_of(self.path / DESCRIPTION)
        return columns.as_seen(), digests

    def _entry_file(self, number: int) -> Path:
        return self.path / JOURNAL / shard_name(number).replace(".tar", ".json")

    def _entry(self, number: int) -> Entry | None:
        file = self._entry_file(number)
        try:
            return Entry(**json.loads(file.read_bytes())) if file.is_file() else None
        except (ValueError, TypeError):
            return None  # a torn entry is none: its shard is made again

    def _is_whole(self, number: int) -> bool:
        entry, file = self._entry(number), self.path / shard_name(number)
        if entry is None or not file.is_file() or file.stat().st_size != entry.size:
            return False
        return sha256_of(file) == entry.digest


class _Columns:
    """The columns of a stream, which must not change, and the levels that came."""

    def __init__(self) -> None:
        self.schema: Schema | None = None
        self._levels: dict[str, set[str]] = {}

    def add(self, chunk: Dataset) -> None:
        self._check(chunk.schema)
        for field in chunk.schema.fields:
            if field.levels is not None:
                self._levels.setdefault(field.name, set()).update(chunk.codes(field.name)[1])

    def join(self, schema: Schema) -> None:
        self._check(schema)
        for field in schema.fields:
            if field.levels is not None:
                self._levels.setdefault(field.name, set()).update(field.levels)

    def _check(self, schema: Schema) -> None:
        self.schema = self.schema or schema
        if schema.names != self.schema.names:
            raise DataError(
                "the rows of the set do not have the same columns",
                got=", ".join(schema.names[:30]),
                allowed=", ".join(self.schema.names[:30]),
                todo="make each step's rows a set of its own",
            )

    def as_seen(self) -> Schema:
        """Return the schema with only the levels that came: others may be somebody's."""
        assert self.schema is not None
        fields = tuple(
            replace(f, levels=tuple(sorted(self._levels[f.name]))) if f.name in self._levels else f
            for f in self.schema.fields
        )
        return replace(self.schema, fields=fields)


def _labels(schema: Schema) -> tuple[Label, ...]:
    boxes = next(iter(schema.of_kind("boxes")), None)
    return boxes.taxonomy.labels if boxes is not None and boxes.taxonomy is not None else ()
