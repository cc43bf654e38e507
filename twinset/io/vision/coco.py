"""COCO: one JSON file of images, annotations and categories beside a folder of images."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from twinset.core.data.schema import Label
from twinset.core.errors import DataError, TwinsetError
from twinset.core.image.instance_maps import ObjectLabel
from twinset.core.image.keypoints import Keypoint
from twinset.io.image_header import ImageHeader
from twinset.io.vision.faults import Faults
from twinset.io.vision.numbers import MOST_IDS
from twinset.io.vision.rle import decompress, mask_of_runs
from twinset.io.vision.samples import (
    Ids,
    Sample,
    Samples,
    box_fault,
    checked_object,
    encoded,
    new_object,
    paint_outlines,
    read_image,
)

_IMAGE_KEYS = {"id", "file_name", "width", "height"}
_CATEGORY = {"id", "name"}


def read_coco(file: Path, faults: Faults) -> Samples:
    """Yield the samples of a COCO file, by the order of its images, and its categories.

    Category ids are kept as the numbers of the labels, 0 too. Outlines stay outlines; a picture all of
    whose objects have outlines or run lengths gets an id map, in which a later object lies over an
    earlier one.

    Raises
    ------
    DataError
        The file is no COCO file.
    """
    content = _load(file)
    labels = _labels(content["categories"], file.name, faults)
    folder = _image_folder(file, content["images"])
    images = _of_one_id(content["images"], f"{file.name}, images", faults)
    owned = _owned(content["annotations"], images, f"{file.name}, annotations", faults)
    for image in images.values():
        found = read_image(folder, image["file_name"], faults)
        if found is None:
            continue
        data, facts = found
        told = (image.get("height", facts.height), image.get("width", facts.width))
        if told != (facts.height, facts.width):
            faults.add(
                f"{file.name}, image {image['id']}",
                f"it says {told[1]} x {told[0]}, but '{image['file_name']}' is {facts.width} x "
                f"{facts.height}",
            )
            continue
        attributes = image.get("attributes") or {}
        if not isinstance(attributes, Mapping):
            faults.add(f"{file.name}, image {image['id']}", "its attributes are no object")
            attributes = {}
        sample = Sample(image["file_name"], data, extras=_extras(attributes))
        masks: dict[int, Ids] = {}
        for place, annotation in owned.get(image["id"], ()):
            where = f"{file.name}, annotations[{place}] (id {annotation.get('id')})"
            _add(sample, masks, annotation, labels, facts, faults, where)
        sample.map_data = encoded(_map(sample, masks, (facts.height, facts.width)))
        yield sample
    return list(labels.values())


def is_coco(file: Path) -> bool:
    """Return whether a JSON file says that it is COCO's."""
    with file.open("rb") as stream:
        head = stream.read(1 << 16)
    if b'"images"' not in head and b'"annotations"' not in head and b'"categories"' not in head:
        return False
    try:
        return {"images", "annotations"} <= set(json.loads(file.read_bytes()))
    except (ValueError, TypeError):
        return False


def _load(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        raise DataError(f"'{file.name}' is no JSON", got=str(error)) from error
    lists = {key: content.get(key) if isinstance(content, dict) else None for key in _SECTIONS}
    for key, needed in _SECTIONS.items():
        entries = lists[key]
        if not isinstance(entries, list):
            raise DataError(f"'{file.name}' is no COCO file", got=f"no list '{key}'")
        for place, entry in enumerate(entries if needed else ()):
            where = f"'{file.name}', {key}[{place}]"
            if not isinstance(entry, dict):
                raise DataError(f"{where} is no object", got=repr(entry)[:40])
            lacking = needed - set(entry)
            if lacking:
                raise DataError(f"{where} lacks '{min(lacking)}'")
            if not isinstance(entry["id"], int | str):
                raise DataError(
                    f"{where} has no id", got=repr(entry["id"])[:40], allowed="a number"
                )
            if not isinstance(entry.get("file_name", ""), str):
                raise DataError(f"{where} has a file_name that is no text")
    return dict(content)


_SECTIONS: Mapping[str, set[str]] = {
    "images": {"id", "file_name"},
    "annotations": set(),
    "categories": _CATEGORY,
}


def _image_folder(file: Path, images: Sequence[Mapping[str, Any]]) -> Path:
    """Return the folder that the file names are relative to: beside the file, or one of the usual ones."""
    first = images[0]["file_name"] if images else ""
    stem = file.stem.rpartition("_")[2]
    places = [
        file.parent,
        file.parent / "images",
        file.parent.parent,
        file.parent.parent / "images",
    ]
    places += [file.parent.parent / stem, file.parent.parent / "images" / stem]
    return next((place for place in places if (place / first).is_file()), file.parent)


def _of_one_id(
    entries: Sequence[dict[str, Any]], where: str, faults: Faults
) -> dict[Any, dict[str, Any]]:
    """Return id -> entry; where several have one id, nobody knows which is meant, and none is kept."""
    counts = Counter(entry["id"] for entry in entries)
    for number in (n for n, count in counts.items() if count > 1):
        faults.add(where, f"{counts[number]} of them have the id {number}, and all are left out")
    return {entry["id"]: entry for entry in entries if counts[entry["id"]] == 1}


def _labels(categories: Sequence[dict[str, Any]], name: str, faults: Faults) -> dict[Any, Label]:
    labels = {}
    for number, category in _of_one_id(categories, f"{name}, categories", faults).items():
        try:
            labels[number] = _label(category)
        except (TwinsetError, ValueError, TypeError) as error:
            faults.add(f"{name}, category {number}", f"it cannot be read ({error})")
    return labels


def _owned(
    annotations: Sequence[Any], images: Mapping[Any, Any], where: str, faults: Faults
) -> dict[Any, list[tuple[int, Any]]]:
    """Return image id -> its annotations, each with its place in the file."""
    owned: dict[Any, list[tuple[int, Any]]] = {}
    for place, annotation in enumerate(annotations):
        if not isinstance(annotation, dict):
            faults.add(f"{where}[{place}]", "it is no object")
            continue
        number = annotation.get("image_id")
        if not isinstance(number, int | str) or number not in images:
            faults.add(f"{where}[{place}]", "its image_id is that of no image")
            continue
        owned.setdefault(number, []).append((place, annotation))
    return owned


def _label(category: Mapping[str, Any]) -> Label:
    # COCO counts the ends of a skeleton's lines from 1.
    pairs = tuple((int(a) - 1, int(b) - 1) for a, b in category.get("skeleton") or ())
    return Label(
        str(category["name"]),
        number=int(category["id"]),
        keypoints=tuple(category.get("keypoints") or ()),
        skeleton=pairs,
    )


def _extras(given: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in given.items() if not isinstance(value, dict | list)}


def _add(
    sample: Sample,
    masks: dict[int, Ids],
    annotation: Mapping[str, Any],
    labels: Mapping[Any, Label],
    facts: ImageHeader,
    faults: Faults,
    where: str,
) -> None:
    category = annotation.get("category_id")
    label = labels.get(category) if isinstance(category, int | str) else None
    if label is None:
        faults.add(where, f"its category_id {category} is that of no category")
        return
    shape = (facts.height, facts.width)
    try:
        number = _instance(annotation.get("attributes"), {item["id"] for item in sample.objects})
        polygons, mask = _segmentation(annotation.get("segmentation"), shape)
        x, y, w, h = (float(v) for v in annotation["bbox"])
        made = new_object(number, label.name, (x, y, x + w, y + h), annotation.get("area"))
        made["keypoints"] = _keypoints(annotation.get("keypoints"), label)
        made["polygons"] = polygons
        _add_attributes(made, annotation.get("attributes") or {})
        checked_object(made)
    except (DataError, ValueError, TypeError, KeyError, OverflowError) as error:
        faults.add(where, f"it cannot be read ({type(error).__name__}: {error})")
        return
    wrong = box_fault(made["box"], facts)
    if wrong:
        faults.add(where, wrong)
        return
    if annotation.get("iscrowd"):
        made["flags"] = ["crowd"]
    if mask is not None:
        masks[number] = mask
    sample.objects.append(made)


def _instance(attributes: Any, taken: Collection[int]) -> int:
    """Return the number of an object in its image: the one that it says to have, else the next."""
    said = attributes.get("instance_id") if isinstance(attributes, Mapping) else None
    if said is None:
        return next(number for number in itertools.count(len(taken) + 1) if number not in taken)
    if type(said) is not int or not 1 <= said <= MOST_IDS or said in taken:
        raise DataError(
            "its instance_id cannot be used",
            got=f"{said!r:.20}",
            allowed=f"1 to {MOST_IDS:,}, each once an image",
        )
    return said


def _add_attributes(made: ObjectLabel, given: Any) -> None:
    if not isinstance(given, Mapping):
        raise DataError("its attributes are no object")
    made["truncated"] = bool(given.get("truncated", False))
    made["visible_fraction"] = given.get("visible_fraction")
    made["amodal_box"] = given.get("amodal_box")


def _segmentation(
    given: Any, shape: tuple[int, int]
) -> tuple[list[list[float]] | None, Ids | None]:
    """Return the outlines, or the mask, of an annotation; neither when it has none."""
    if not given:
        return None, None
    if isinstance(given, Mapping):
        counts = given["counts"]
        if tuple(given["size"]) != shape:
            raise DataError("its run lengths are of another size than the image")
        runs = decompress(counts) if isinstance(counts, str) else counts
        if max(runs, default=0) > shape[0] * shape[1]:  # its sum might wrap round to the right one
            raise DataError("a run length is larger than the image", got=str(max(runs)))
        return None, mask_of_runs(runs, shape)
    rings = [[float(v) for v in ring] for ring in given]
    if any(len(ring) < 6 or len(ring) % 2 for ring in rings):
        raise DataError("an outline needs three corners or more, each of x and y")
    if not all(np.isfinite(ring).all() for ring in rings):
        raise DataError("a corner of its outline is no number")
    return rings, None


def _keypoints(given: Any, label: Label) -> list[Keypoint]:
    if not given:
        return []
    if len(given) != 3 * len(label.keypoints):
        raise DataError(f"it has {len(given) / 3:g} keypoints, its category {len(label.keypoints)}")
    if not np.isfinite(np.array(given, float)).all():
        raise DataError("a keypoint is no number")
    return [
        Keypoint(
            name=name, x=float(given[3 * k]), y=float(given[3 * k + 1]), v=int(given[3 * k + 2])
        )
        for k, name in enumerate(label.keypoints)
    ]


def _map(sample: Sample, masks: Mapping[int, Ids], shape: tuple[int, int]) -> Ids | None:
    if not masks:
        return paint_outlines(sample.objects, shape)
    if not all(item["id"] in masks or item.get("polygons") for item in sample.objects):
        return None
    ids = np.zeros(shape, np.uint16)
    for item in sample.objects:
        outline = paint_outlines([item], shape)
        own = masks.get(item["id"])
        ids[own if own is not None else outline != 0] = item["id"]
    return ids
