"""WebDataset: tar files whose members with one stem are one sample, with its labels as JSON."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Label, Schema
from twinset.core.errors import DataError
from twinset.core.image.instance_maps import ObjectLabel
from twinset.core.limits import MAX_FILES_IN_A_SAMPLE, check_file_size
from twinset.core.parameters import Ge, check_parameters
from twinset.core.untrusted import parse_json
from twinset.io.drafts import sweep_drafts
from twinset.io.faults import Faults
from twinset.io.files import replacing, sha256_of, write_text
from twinset.io.image_header import check_image
from twinset.io.vision.samples import (
    IMAGE_ENDINGS,
    Ids,
    ImageRow,
    LayoutWriter,
    Sample,
    Samples,
    check_object,
)
from twinset.io.writer import StreamedSchema, Target

ROWS_A_SHARD = 1_000  # of 100 KB each a shard has 100 MB; the delivered bytes depend on it
DESCRIPTION = "dataset.json"
JOURNAL = ".journal"
"""Folder beside the shards of a `ShardFolder`; it lists the finished ones."""

_IDS = "ids"
_SHOWN_NAME = 100  # characters of a name in an error: a tar file may hold names of megabytes
_HEAD = "set.json"


def sniff_webdataset(path: Path) -> Path | None:
    """Return a folder with tar files."""
    return path if any(path.glob("*.tar")) else None


def read_webdataset(folder: Path, faults: Faults) -> Samples:
    """Yield the samples of all shards of a folder, in order; return the classes of `dataset.json`.

    A sample's JSON file may hold `objects` (as in the column of that name); its other plain values
    become columns.
    """
    if (folder / JOURNAL).is_dir() and not (folder / DESCRIPTION).is_file():
        raise DataError(
            f"the shards in '{folder}' are not complete: an earlier run was interrupted",
            todo="write the rest with: twinset shards, which continues where it stopped",
        )
    labels = _labels(folder, faults)
    names: set[str] = set()
    for shard in sorted(folder.glob("*.tar")):
        for key, members in _groups(shard, faults):
            sample = _sample(key, members, faults, shard.name)
            if sample is not None:
                names |= {item["category"] for item in sample.objects}
                yield sample
    unknown = sorted(names - {label.name for label in labels})
    return [*labels, *(Label(name) for name in unknown)]


def _labels(folder: Path, faults: Faults) -> list[Label]:
    file = folder / DESCRIPTION
    if file.is_file():
        with faults.caught(DESCRIPTION, "it does not state the classes"):
            return [Label.from_json(entry) for entry in parse_json(file.read_bytes())["labels"]]
    return []


def _groups(shard: Path, faults: Faults) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield the members of each sample: ending -> bytes. Members of a sample are adjacent."""
    try:
        with tarfile.open(shard, "r:") as tar:
            key, members = "", dict[str, bytes]()
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # it keeps all of them else
                if member.isdir():
                    continue
                data = None
                with faults.caught(f"{shard.name}, {member.name[:_SHOWN_NAME]!r}"):
                    data = _content(tar, member)
                if data is None:
                    continue
                place, slash, base = member.name.removeprefix("./").rpartition("/")
                stem, _, ending = base.partition(".")
                stem = place + slash + stem
                if stem != key and members:
                    yield key, members
                    members = {}
                key = stem
                if ending.lower() in members or len(members) == MAX_FILES_IN_A_SAMPLE:
                    raise tarfile.ReadError("one sample has two files of one name, or too many")
                members[ending.lower()] = data
            if members:
                yield key, members
            tar.fileobj.seek(tar.offset)
            if tar.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
                raise tarfile.ReadError("it breaks off, or holds what is no member")
    except (tarfile.TarError, ValueError, OverflowError, OSError) as error:
        raise DataError(
            f"the shard '{shard.name}' is damaged",
            got=str(error),
            allowed=f"a whole tar file, of each sample up to {MAX_FILES_IN_A_SAMPLE} files",
            todo="write or fetch it again",
        ) from error


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Return the content of a member that is a plain file inside the archive."""
    parts = member.name.split("/")
    if ".." in parts or not parts[0]:
        raise DataError("its name leads out of the archive", allowed="names below the archive")
    stream = tar.extractfile(member) if member.isfile() and not member.issparse() else None
    if stream is None:
        raise DataError(
            "it is no plain file",
            got="a link" if member.issym() or member.islnk() else "a device or a file with holes",
            allowed="files and folders",
            todo="pack the files themselves",
        )
    if member.size < 0:
        raise tarfile.ReadError("a member of negative size")
    check_file_size(member.size, "it")
    return stream.read()


def _sample(key: str, members: dict[str, bytes], faults: Faults, shard: str) -> Sample | None:
    place = f"{shard}, {key}"
    ending = next((e[1:] for e in IMAGE_ENDINGS if e[1:] in members), None)
    if ending is None:
        faults.add(place, "it holds no image")
        return None
    with faults.caught(place):
        data = members[ending]
        sample = Sample(f"{key}.{ending}", data, check_image(data))
        values = _values(members.get("json", b"{}"))
        given = next((members[e] for e in (f"{_IDS}.png", f"{_IDS}.tif") if e in members), None)
        ids = None if given is None else sample.read_map(given)
        sample.extras = {
            k: v for k, v in values.items() if k != "objects" and not isinstance(v, dict | list)
        }
        if "cls" in members:
            sample.extras["label"] = members["cls"].decode().strip()
        sample.keep_map(_add_objects(sample, values["objects"], ids, faults, place))
        return sample
    return None


def _add_objects(
    sample: Sample, entries: list[Any], ids: Ids | None, faults: Faults, place: str
) -> Ids | None:
    """Add the objects that can be used; return the id map without the others."""
    numbers, excluded = set[int](), set[int]()
    for k, entry in enumerate(entries):
        if isinstance(entry, dict) and isinstance(entry.get("id"), int):
            excluded.add(entry["id"])
        with faults.caught(f"{place}, objects[{k}]"):
            item = _object(sample, entry, k + 1)
            if item["id"] in numbers:
                raise DataError(f"its id {item['id']} is that of an earlier object")
            numbers.add(item["id"])
            sample.objects.append(item)
    if ids is not None:
        unknown = sorted({int(i) for i in np.unique(ids)} - {0} - numbers)
        nameless = [i for i in unknown if i not in excluded]
        if nameless:
            shown = ", ".join(map(str, nameless[:10]))
            more = " and more" if len(nameless) > 10 else ""
            faults.add(place, f"its id map holds {shown}{more}, which is no object of its JSON")
        if unknown:  # an excluded object has no pixels
            ids = np.where(np.isin(ids, unknown), 0, ids).astype(ids.dtype)
    return ids


def _values(data: bytes) -> dict[str, Any]:
    """Return the values of a sample's JSON file, with a list of objects in any case."""
    try:
        values = parse_json(data)
    except ValueError as error:
        raise DataError("its JSON cannot be read", got=str(error)) from None
    if not isinstance(values, dict):
        raise DataError(
            "its JSON is no object", got=type(values).__name__, allowed='{"objects": []}'
        )
    objects = values.get("objects")
    if objects is not None and not isinstance(objects, list):
        raise DataError("its 'objects' are no list", got=type(objects).__name__)
    return {**values, "objects": objects or []}


def _object(sample: Sample, entry: Any, number: int) -> ObjectLabel:
    """Return the label of an entry, with the defaults of `new_object` for absent values."""
    if not isinstance(entry, dict):
        raise DataError("it is no object", got=type(entry).__name__)
    category, box = entry.get("category"), entry.get("box")
    if not isinstance(category, str):
        raise DataError("it has no 'category' that is a text", got=repr(category))
    if not isinstance(box, list) or len(box) != 4:
        raise DataError("it has no 'box' of four numbers", got=repr(box))
    item = sample.new_object(number, category, box)
    item.update({k: v for k, v in entry.items() if v is not None and k != "box"})  # type: ignore[typeddict-item]
    check_object(item)
    return item


class _ShardWriter(LayoutWriter):
    """Writes samples to the open shard."""

    _tar: tarfile.TarFile | None = None

    def open(self, file: Path) -> None:
        """Begin a shard."""
        self.close()
        self._tar = tarfile.TarFile(file, "w", format=tarfile.USTAR_FORMAT)

    def put(self, image: ImageRow) -> None:
        """Append an image, its id map if there is one, and its JSON."""
        self._add(image.name, image.data)
        if image.map_data is not None:
            self._add(f"{image.stem}.{_IDS}{image.map_ending}", image.map_data)
        values = {**image.extras, "objects": image.objects}
        text = json.dumps(values, ensure_ascii=False, default=str)
        self._add(f"{image.stem}.json", text.encode())
        for item in image.objects:
            self.classes.label(item["category"])

    def _add(self, name: str, data: bytes) -> None:
        assert self._tar is not None
        member = tarfile.TarInfo(name)  # time, owner and group stay 0: equal rows, equal bytes
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))

    def close(self) -> None:
        """Close the open shard."""
        if self._tar is not None:
            self._tar.close()
            self._tar = None


class WebdatasetWriter(_ShardWriter):
    """Writes `shard-000000.tar`, ... of 1,000 samples each, and `dataset.json` with the classes.

    A sample is an image, its id map as `KEY.ids.png`, and `KEY.json` with its objects and plain columns.
    """

    def put(self, image: ImageRow) -> None:
        """Write one sample; every thousandth begins a new shard."""
        shard, place = divmod(image.number, ROWS_A_SHARD)
        if place == 0:
            self.open(self.draft / shard_name(shard))
        super().put(image)

    def finish(self) -> None:
        """Close the last shard and write the classes."""
        self.close()
        self.save(DESCRIPTION, _description(self.classes.labels))


def shard_name(number: int) -> str:
    """Return the name of a shard's file.

    Examples
    --------
    >>> shard_name(3)
    'shard-000003.tar'
    """
    return f"shard-{number:06d}.tar"


def _description(labels: Iterable[Label]) -> bytes:
    """Return the content of `dataset.json`, which states the classes."""
    content = {"labels": [label.to_json() for label in labels]}
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


class _Entry(NamedTuple):
    """Entry of a finished shard in the journal."""

    digest: str
    size: int
    schema: dict[str, Any]  # of categories, the levels that occurred
    categories: tuple[str, ...]  # those of the taxonomy first, then by appearance


@dataclass(frozen=True)
class ShardFolder:
    """The shards of one set in a folder, with a journal of the finished ones.

    A shard is written under another name, flushed to the disk and renamed; then it enters the journal.
    So a process that is killed leaves whole shards, and a later one writes the missing ones.
    """

    path: Path
    key: str  # content address of the set: shards of another one are refused
    n_rows: int  # of the set, 1 or more
    rows_a_shard: Annotated[int, Ge(1)] = ROWS_A_SHARD  # samples in each shard but the last

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

    @property
    def _stated(self) -> dict[str, Any]:
        """What the head of the journal says of the set."""
        return {"key": self.key, "n_rows": self.n_rows, "rows_a_shard": self.rows_a_shard}

    def open(self) -> None:
        """Check that the folder is new, empty or one of an earlier run; the first shard begins it."""
        head = self.path / JOURNAL / _HEAD
        for folder in (self.path, head.parent):
            sweep_drafts(folder)
        try:
            begun = parse_json(head.read_bytes()) if head.is_file() else None
            names = {p.name for p in self.path.iterdir()} if self.path.exists() else set()
            foreign = begun is None and names - {JOURNAL}
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
        if begun is not None and begun != self._stated and self.n_entries():
            raise DataError(
                f"the folder '{self.path}' holds shards of another set",
                got="another recipe, seed, shard size or version of twinset",
                todo="choose another folder, or remove this one",
            )

    def _begin(self) -> None:
        """Write the head of the journal, before the first shard that is whole."""
        head, text = self.path / JOURNAL / _HEAD, json.dumps(self._stated) + "\n"
        if not head.is_file() or head.read_text() != text:
            write_text(head, text)

    def missing(self) -> list[int]:
        """Return the numbers of the missing shards; existing ones are checked byte by byte."""
        return [k for k in range(self.n_shards) if not self._is_whole(k)]

    def n_entries(self) -> int:
        """Return the number of shards in the journal, unchecked."""
        return sum(1 for _ in (self.path / JOURNAL).glob("shard-*.json"))

    def write_shard(self, number: int, rows: Iterable[Dataset]) -> None:
        """Write one shard from chunks of exactly its rows."""
        first, n = self.rows_of(number)
        place = self.path / shard_name(number)
        columns = StreamedSchema()
        with replacing(place) as draft:
            writer = _ShardWriter(Target(draft, place, "webdataset"))
            writer.n_written = first
            writer.open(draft)
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
            entry = _Entry(
                sha256_of(draft),
                draft.stat().st_size,
                columns.schema().to_json(),
                tuple(label.name for label in writer.classes.labels),
            )
            self._begin()
        write_text(self._entry_file(number), json.dumps(entry._asdict(), ensure_ascii=False) + "\n")

    def finish(self) -> tuple[Schema, dict[str, str]]:
        """Write the classes; return the schema, and the SHA-256 of every file."""
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
            draft.write_bytes(_description(labels.values()))
        digests = {shard_name(k): entry.digest for k, entry in enumerate(found)}
        digests[DESCRIPTION] = sha256_of(self.path / DESCRIPTION)
        return schema, digests

    def _entry_file(self, number: int) -> Path:
        return self.path / JOURNAL / shard_name(number).replace(".tar", ".json")

    def _entry(self, number: int) -> _Entry | None:
        file = self._entry_file(number)
        try:
            return _Entry(**parse_json(file.read_bytes())) if file.is_file() else None
        except (ValueError, TypeError):
            return None  # an incomplete entry is none: its shard is written again

    def _is_whole(self, number: int) -> bool:
        entry, file = self._entry(number), self.path / shard_name(number)
        if entry is None or not file.is_file() or file.stat().st_size != entry.size:
            return False
        return sha256_of(file) == entry.digest
