"""WebDataset: tar files whose members of one stem are one sample, with their labels as JSON."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from twinset.core.data.schema import Label
from twinset.core.errors import DataError, TwinsetError
from twinset.core.image.codec import decode_ids
from twinset.core.image.instance_maps import ObjectLabel
from twinset.io.image_header import ImageHeader
from twinset.io.vision.faults import Faults
from twinset.io.vision.samples import (
    Ids,
    Sample,
    Samples,
    box_fault,
    checked_facts,
    checked_object,
    encoded,
    new_object,
)

_PICTURES = ("png", "jpg", "jpeg", "tif", "tiff", "bmp", "webp")
IDS = "ids"
DESCRIPTION = "dataset.json"
JOURNAL = ".journal"
"""Folder beside shards that are made bit by bit; it says which of them are finished."""


def read_shards(folder: Path, faults: Faults) -> Samples:
    """Yield the samples of all shards of a folder, in order, and the classes of `dataset.json`.

    A sample's JSON file may hold `objects` (as in the column of that name); its other plain values
    become columns.

    Raises
    ------
    DataError
        A shard is damaged, or the making of the set was interrupted.
    """
    if (folder / JOURNAL).is_dir() and not (folder / DESCRIPTION).is_file():
        raise DataError(
            f"the shards in '{folder}' are not all made: an earlier run was interrupted",
            todo="make the rest with: twinset shards, which goes on where it stopped",
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
        faults.add(DESCRIPTION, f"it does not say the classes ({type(error).__name__}: {error})")
        return []


def _groups(shard: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield the members of each sample: ending -> bytes. Members of a sample stand side by side."""
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
    ending = next((e for e in _PICTURES if e in members), None)
    if ending is None:
        faults.add(place, "it holds no image")
        return None
    try:
        facts = checked_facts(members[ending])
        told = _told(members.get("json", b"{}"))
        ids = _ids(members, facts)
        extras = {
            k: v for k, v in told.items() if k != "objects" and not isinstance(v, dict | list)
        }
        if "cls" in members:
            extras["label"] = members["cls"].decode().strip()
    except UnicodeDecodeError as error:
        faults.add(place, f"its text is not UTF-8 ({error})")
        return None
    except (TwinsetError, ValueError) as error:
        faults.add(place, str(error))
        return None
    objects, ids = _objects(told["objects"], ids, facts, faults, place)
    return Sample(f"{key}.{ending}", members[ending], objects, encoded(ids), extras)


def _objects(
    told: list[Any], ids: Ids | None, facts: ImageHeader, faults: Faults, place: str
) -> tuple[list[ObjectLabel], Ids | None]:
    """Return the objects that can be used, and the id map without any others."""
    objects: dict[int, ObjectLabel] = {}
    left_out = set()
    for k, given in enumerate(told):
        try:
            made = _object(given, k + 1, facts)
            if made["id"] in objects:
                raise DataError(f"its id {made['id']} is that of an earlier object")
            objects[made["id"]] = made
        except (DataError, ValueError, TypeError, OverflowError) as error:
            faults.add(f"{place}, objects[{k}]", str(error))
            if isinstance(given, dict) and isinstance(given.get("id"), int):
                left_out.add(given["id"])
    if ids is not None:
        unknown = sorted({int(i) for i in np.unique(ids)} - {0} - objects.keys())
        nameless = [i for i in unknown if i not in left_out]
        if nameless:
            shown = ", ".join(map(str, nameless[:10]))
            more = " and more" if len(nameless) > 10 else ""
            faults.add(place, f"its id map holds {shown}{more}, which is no object of its JSON")
        if unknown:  # an object left out owns no pixels
            ids = np.where(np.isin(ids, unknown), 0, ids).astype(ids.dtype)
    return list(objects.values()), ids


def _told(data: bytes) -> dict[str, Any]:
    """Return what a sample's JSON file says, with a list of objects in any case."""
    try:
        told = json.loads(data)
    except RecursionError:
        raise DataError("its JSON is nested too deep") from None
    if not isinstance(told, dict):
        raise DataError("its JSON is no object", got=type(told).__name__, allowed='{"objects": []}')
    objects = told.get("objects")
    if objects is not None and not isinstance(objects, list):
        raise DataError("its 'objects' are no list", got=type(objects).__name__)
    return {**told, "objects": objects or []}


def _ids(members: dict[str, bytes], facts: ImageHeader) -> Ids | None:
    data = next((members[e] for e in (f"{IDS}.png", f"{IDS}.tif") if e in members), None)
    if data is None:
        return None
    ids = decode_ids(data)
    if ids.shape != (facts.height, facts.width):
        raise DataError(
            f"its id map is {ids.shape[1]} x {ids.shape[0]}, its image {facts.width} x {facts.height}"
        )
    return ids


def _object(given: Any, number: int, facts: ImageHeader) -> ObjectLabel:
    """Return a label as it is told, with what it does not tell as of a source that knows no more."""
    if not isinstance(given, dict):
        raise DataError("it is no object", got=type(given).__name__)
    category, box = given.get("category"), given.get("box")
    if not isinstance(category, str):
        raise DataError("it has no 'category' that is a text", got=repr(category))
    if not isinstance(box, list) or len(box) != 4:
        raise DataError("it has no 'box' of four numbers", got=repr(box))
    made = new_object(number, category, box)
    wrong = box_fault(made["box"], facts)
    if wrong:
        raise DataError(wrong)
    made.update({k: v for k, v in given.items() if v is not None and k != "box"})  # type: ignore[typeddict-item]
    return checked_object(made)
