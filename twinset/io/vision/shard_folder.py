"""A folder of shards that is written in several runs: finished shards stay, however a run ends."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Label, Schema
from twinset.core.errors import DataError
from twinset.core.parameters import Ge, check_parameters
from twinset.io.files import cannot_write, replacing, sha256_of, write_text
from twinset.io.vision.shards import (
    DESCRIPTION,
    JOURNAL,
    ROWS_A_SHARD,
    SingleShardWriter,
    description,
    shard_name,
)
from twinset.io.writer import StreamedSchema

_HEAD = "set.json"


@dataclass(frozen=True)
class Entry:
    """Entry of a finished shard in the journal.

    Parameters
    ----------
    digest : str
        SHA-256 of its file.
    size : int
        Bytes of its file.
    schema : mapping
        Columns of its rows; of categories, the levels that occurred.
    categories : tuple of str
        Classes of its objects, in order of appearance; those of the taxonomy first.
    """

    digest: str
    size: int
    schema: dict[str, Any]
    categories: tuple[str, ...]


@dataclass(frozen=True)
class ShardFolder:
    """The shards of one set in a folder, with a journal of the finished ones.

    A shard is written under another name, flushed to the disk and renamed; then it enters the journal.
    So a process that is killed leaves whole shards, and a later one writes the missing ones.

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
    rows_a_shard: Annotated[int, Ge(1)] = ROWS_A_SHARD

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return -(-self.n_rows // self.rows_a_shard)

    def rows_of(self, number: int) -> tuple[int, int]:
        """Return the position of a shard's first row, and how many rows it holds."""
        first = number * self.rows_a_shard
        return first, min(self.rows_a_shard, self.n_rows - first)

    def open(self) -> None:
        """Create the folder, or continue one of an earlier run.

        Raises
        ------
        DataError
            It holds something else, shards of another set, or cannot be written to.
        """
        head = self.path / JOURNAL / _HEAD
        stated = {"key": self.key, "n_rows": self.n_rows, "rows_a_shard": self.rows_a_shard}
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
        if begun is not None and begun != stated and self.n_entries():
            raise DataError(
                f"the folder '{self.path}' holds shards of another set",
                got="another recipe, seed, shard size or version of twinset",
                todo="choose another folder, or remove this one",
            )
        try:
            head.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        if begun != stated:
            write_text(head, json.dumps(stated) + "\n")

    def missing(self) -> list[int]:
        """Return the numbers of the missing shards; existing ones are checked byte by byte."""
        return [k for k in range(self.n_shards) if not self._is_whole(k)]

    def n_entries(self) -> int:
        """Return the number of shards in the journal, unchecked."""
        return sum(1 for _ in (self.path / JOURNAL).glob("shard-*.json"))

    def write_shard(self, number: int, rows: Iterable[Dataset]) -> None:
        """Write one shard from chunks of exactly its rows.

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
        columns = StreamedSchema()
        with replacing(place) as draft:
            writer = SingleShardWriter(draft, first)
            try:
                for chunk in rows:
                    columns.add(chunk)
                    writer.write(chunk)
            finally:
                writer.close()
            if writer.n_written != first + n or columns.first is None:
                raise DataError(
                    f"the shard '{place.name}' did not get its rows",
                    got=f"{writer.n_written - first:,}",
                    allowed=f"{n:,}",
                )
            entry = Entry(
                sha256_of(draft),
                draft.stat().st_size,
                columns.schema().to_json(),
                tuple(label.name for label in writer.classes.labels),
            )
        write_text(self._entry_file(number), json.dumps(asdict(entry), ensure_ascii=False) + "\n")

    def finish(self) -> tuple[Schema, dict[str, str]]:
        """Write the classes; return the schema, and the SHA-256 of every file.

        Raises
        ------
        DataError
            A shard is missing, or the shards differ in their columns.
        """
        entries = [self._entry(k) for k in range(self.n_shards)]
        absent = [shard_name(k) for k, entry in enumerate(entries) if entry is None]
        if absent:
            raise DataError(
                f"shards are missing in '{self.path}'", got=", ".join(absent[:5]), todo="run again"
            )
        found = [entry for entry in entries if entry is not None]
        columns = StreamedSchema()
        for entry in found:
            columns.add_schema(Schema.from_json(entry.schema))
        schema = columns.schema()
        boxes = next(iter(schema.of_kind("boxes")), None)
        taxonomy = boxes.taxonomy if boxes is not None else None
        labels = {label.name: label for label in (taxonomy.labels if taxonomy else ())}
        for entry in found:
            for name in entry.categories:
                labels.setdefault(name, Label(name))
        with replacing(self.path / DESCRIPTION) as draft:
            draft.write_bytes(description(labels.values()))
        digests = {shard_name(k): entry.digest for k, entry in enumerate(found)}
        digests[DESCRIPTION] = sha256_of(self.path / DESCRIPTION)
        return schema, digests

    def _entry_file(self, number: int) -> Path:
        return self.path / JOURNAL / shard_name(number).replace(".tar", ".json")

    def _entry(self, number: int) -> Entry | None:
        file = self._entry_file(number)
        try:
            return Entry(**json.loads(file.read_bytes())) if file.is_file() else None
        except (ValueError, TypeError):
            return None  # an incomplete entry is none: its shard is written again

    def _is_whole(self, number: int) -> bool:
        entry, file = self._entry(number), self.path / shard_name(number)
        if entry is None or not file.is_file() or file.stat().st_size != entry.size:
            return False
        return sha256_of(file) == entry.digest
