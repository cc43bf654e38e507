"""WebDataset: tar files whose members with one stem are one sample, with its labels as JSON."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from twinset.core.data.schema import Label
from twinset.core.errors import DataError, TwinsetError
from twinset.core.image.codec import decode_ids
from twinset.core.image.instance_maps import ObjectLabel
from twinset.io.faults import Faults
from twinset.io.image_header import ImageHeader
from twinset.io.vision.samples import (
    IMAGE_ENDINGS,
    Ids,
    Sample,
    Samples,
    box_fault,
    checked_header,
    checked_object,
    encoded,
    new_object,
)
from twinset.io.vision.writer import ImageRow, LayoutWriter
from twinset.io.writer import Target

ROWS_A_SHARD = 1_000  # of 100 KB each a shard has 100 MB; the delivered bytes depend on it
DESCRIPTION = "dataset.json"
JOURNAL = ".journal"
"""Folder beside the shards of a `ShardFolder`; it lists the finished ones."""

_IDS = "ids"


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
        for key, members in _groups(shard):
            sample = _sample(key, members, faults, shard.name)
            if sample is not None:
                names |= {item["category"] for item in sample.objects}
                yield sample
    unknown = sorted(names - {label.name for label in labels})
    return [*labels, *(Label(name) for name in unknown)]


def _labels(folder: Path, faults: Faults) -> list[Label]:
    file = folder / DESCRIPTION
    if not file.is_file():
        return []
    try:
        return [Label.from_json(entry) for entry in json.loads(file.read_bytes())["labels"]]
    except (TwinsetError, ValueError, TypeError, KeyError, AttributeError) as error:
        faults.add(DESCRIPTION, f"it does not state the classes ({type(error).__name__}: {error})")
        return []


def _groups(shard: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield the members of each sample: ending -> bytes. Members of a sample are adjacent."""
    try:
        with tarfile.open(shard, "r:") as tar:
            key, members = "", dict[str, bytes]()
            for member in tar:
                place, slash, base = member.name.removeprefix("./").rpartition("/")
                stem, _, ending = base.partition(".")
                stem = place + slash + stem
                stream = tar.extractfile(member) if member.isfile() else None
                if stream is None:
                    continue
                if stem != key and members:
                    yield key, members
                    members = {}
                key = stem
                members[ending.lower()] = stream.read()
            if members:
                yield key, members
    except tarfile.TarError as error:
        raise DataError(f"the shard '{shard.name}' is damaged", got=str(error)) from error


def _sample(key: str, members: dict[str, bytes], faults: Faults, shard: str) -> Sample | None:
    place = f"{shard}, {key}"
    ending = next((e[1:] for e in IMAGE_ENDINGS if e[1:] in members), None)
    if ending is None:
        faults.add(place, "it holds no image")
        return None
    try:
        header = checked_header(members[ending])
        values = _values(members.get("json", b"{}"))
        ids = _ids(members, header)
        extras = {
            k: v for k, v in values.items() if k != "objects" and not isinstance(v, dict | list)
        }
        if "cls" in members:
            extras["label"] = members["cls"].decode().strip()
    except UnicodeDecodeError as error:
        faults.add(place, f"its text is not UTF-8 ({error})")
        return None
    except (TwinsetError, ValueError) as error:
        faults.add(place, str(error))
        return None
    objects, ids = _objects(values["objects"], ids, header, faults, place)
    return Sample(f"{key}.{ending}", members[ending], objects, encoded(ids), extras)


def _objects(
    entries: list[Any], ids: Ids | None, header: ImageHeader, faults: Faults, place: str
) -> tuple[list[ObjectLabel], Ids | None]:
    """Return the objects that can be used, and the id map without the others."""
    objects: dict[int, ObjectLabel] = {}
    excluded = set()
    for k, entry in enumerate(entries):
        try:
            item = _object(entry, k + 1, header)
            if item["id"] in objects:
                raise DataError(f"its id {item['id']} is that of an earlier object")
            objects[item["id"]] = item
        except (DataError, ValueError, TypeError, OverflowError) as error:
            faults.add(f"{place}, objects[{k}]", str(error))
            if isinstance(entry, dict) and isinstance(entry.get("id"), int):
                excluded.add(entry["id"])
    if ids is not None:
        unknown = sorted({int(i) for i in np.unique(ids)} - {0} - objects.keys())
        nameless = [i for i in unknown if i not in excluded]
        if nameless:
            shown = ", ".join(map(str, nameless[:10]))
            more = " and more" if len(nameless) > 10 else ""
            faults.add(place, f"its id map holds {shown}{more}, which is no object of its JSON")
        if unknown:  # an excluded object has no pixels
            ids = np.where(np.isin(ids, unknown), 0, ids).astype(ids.dtype)
    return list(objects.values()), ids


def _values(data: bytes) -> dict[str, Any]:
    """Return the values of a sample's JSON file, with a list of objects in any case."""
    try:
        values = json.loads(data)
    except RecursionError:
        raise DataError("its JSON is nested too deep") from None
    if not isinstance(values, dict):
        raise DataError(
            "its JSON is no object", got=type(values).__name__, allowed='{"objects": []}'
        )
    objects = values.get("objects")
    if objects is not None and not isinstance(objects, list):
        raise DataError("its 'objects' are no list", got=type(objects).__name__)
    return {**values, "objects": objects or []}


def _ids(members: dict[str, bytes], header: ImageHeader) -> Ids | None:
    data = next((members[e] for e in (f"{_IDS}.png", f"{_IDS}.tif") if e in members), None)
    if data is None:
        return None
    ids = decode_ids(data)
    if ids.shape != (header.height, header.width):
        raise DataError(
            f"its id map is {ids.shape[1]} x {ids.shape[0]}, its image {header.width} x {header.height}"
        )
    return ids


def _object(entry: Any, number: int, header: ImageHeader) -> ObjectLabel:
    """Return the label of an entry, with the defaults of `new_object` for absent values."""
    if not isinstance(entry, dict):
        raise DataError("it is no object", got=type(entry).__name__)
    category, box = entry.get("category"), entry.get("box")
    if not isinstance(category, str):
        raise DataError("it has no 'category' that is a text", got=repr(category))
    if not isinstance(box, list) or len(box) != 4:
        raise DataError("it has no 'box' of four numbers", got=repr(box))
    item = new_object(number, category, box)
    fault = box_fault(item["box"], header)
    if fault:
        raise DataError(fault)
    item.update({k: v for k, v in entry.items() if v is not None and k != "box"})  # type: ignore[typeddict-item]
    return checked_object(item)


class WebdatasetWriter(LayoutWriter):
    """Writes `shard-000000.tar`, ... of 1,000 samples each, and `dataset.json` with the classes.

    A sample is an image, its id map as `KEY.ids.png`, and `KEY.json` with its objects and plain columns.
    """

    _tar: tarfile.TarFile | None = None

    def put(self, image: ImageRow) -> None:
        """Write one sample; every thousandth begins a new shard."""
        shard, place = divmod(image.number, ROWS_A_SHARD)
        if place == 0:
            self.close()
            self._tar = _open_shard(self.draft / shard_name(shard))
        assert self._tar is not None
        _add_sample(self._tar, image)
        for item in image.objects:
            self.classes.label(item["category"])

    def finish(self) -> None:
        """Close the last shard and write the classes."""
        self.close()
        self.save(DESCRIPTION, description(self.classes.labels))

    def close(self) -> None:
        """Close the open shard."""
        if self._tar is not None:
            self._tar.close()
            self._tar = None


class SingleShardWriter(LayoutWriter):
    """Writes one shard of a `ShardFolder`; its first sample has the number `first`."""

    def __init__(self, file: Path, first: int) -> None:
        super().__init__(Target(file, file, "webdataset"))
        self.n_written = first
        self._tar = _open_shard(file)

    def put(self, image: ImageRow) -> None:
        """Write one sample."""
        _add_sample(self._tar, image)
        for item in image.objects:
            self.classes.label(item["category"])

    def close(self) -> None:
        """Close the file."""
        self._tar.close()


def shard_name(number: int) -> str:
    """Return the name of a shard's file.

    Examples
    --------
    >>> shard_name(3)
    'shard-000003.tar'
    """
    return f"shard-{number:06d}.tar"


def _open_shard(file: Path) -> tarfile.TarFile:
    return tarfile.open(file, "w:", format=tarfile.USTAR_FORMAT)


def _add_sample(tar: tarfile.TarFile, image: ImageRow) -> None:
    """Append an image, its id map if there is one, and its JSON."""
    _add(tar, f"{image.stem}{image.ending}", image.data)
    if image.map_data is not None:
        _add(tar, f"{image.stem}.{_IDS}{image.map_ending}", image.map_data)
    values = {**image.extras, "objects": image.objects}
    text = json.dumps(values, ensure_ascii=False, default=str)
    _add(tar, f"{image.stem}.json", text.encode())


def description(labels: Iterable[Label]) -> bytes:
    """Return the content of `dataset.json`, which states the classes."""
    content = {"labels": [label.to_json() for label in labels]}
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # time, owner and group stay 0: equal rows, equal bytes
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
