"""WebDataset: tar files whose members of one stem are one sample, with their labels as JSON."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twinset.core.errors import DataError, TwinsetError
from twinset.core.image_facts import whole_image_facts
from twinset.core.pixels import decode_ids
from twinset.core.schema import Label
from twinset.io.vision.faults import Faults
from twinset.io.vision.samples import Sample

_PICTURES = ("png", "jpg", "jpeg", "tif", "tiff", "webp")
IDS = "ids"
DESCRIPTION = "dataset.json"


def read_shards(folder: Path, faults: Faults) -> tuple[list[Sample], list[Label]]:
    """Return the samples of all shards of a folder, in order, and the classes of `dataset.json`.

    A sample's JSON file may hold `objects` (as in the column of that name); its other plain values
    become columns.
    """
    labels = _labels(folder)
    samples = []
    for shard in sorted(folder.glob("*.tar")):
        for key, members in _groups(shard):
            sample = _sample(key, members, faults, shard.name)
            if sample is not None:
                samples.append(sample)
    names = {item["category"] for s in samples for item in s.objects}
    unknown = sorted(names - {label.name for label in labels})
    return samples, [*labels, *(Label(name) for name in unknown)]


def _labels(folder: Path) -> list[Label]:
    file = folder / DESCRIPTION
    if not file.is_file():
        return []
    return [Label.from_json(entry) for entry in json.loads(file.read_bytes())["labels"]]


def _groups(shard: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield the members of each sample: ending -> bytes. Members of a sample stand side by side."""
    try:
        with tarfile.open(shard, "r:") as tar:
            key, members = "", dict[str, bytes]()
            for member in tar:
                stem, _, ending = member.name.partition(".")
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
        whole_image_facts(members[ending])
        told: dict[str, Any] = json.loads(members.get("json", b"{}"))
        ids = next(
            (decode_ids(members[e]) for e in (f"{IDS}.png", f"{IDS}.tif") if e in members), None
        )
    except (TwinsetError, ValueError) as error:
        faults.add(place, str(error))
        return None
    extras = {k: v for k, v in told.items() if k != "objects" and not isinstance(v, dict | list)}
    if "cls" in members:
        extras["label"] = members["cls"].decode().strip()
    return Sample(f"{key}.{ending}", members[ending], told.get("objects", []), ids, extras)
