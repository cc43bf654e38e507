"""COCO: one JSON file of images, annotations and categories beside a folder of images."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from os.path import isfile
from pathlib import Path
from typing import Any

import numpy as np

from twinset.core.data.schema import Label
from twinset.core.errors import DataError
from twinset.core.image.instance_maps import MAX_OBJECTS, ObjectLabel
from twinset.core.image.keypoints import Keypoint
from twinset.core.image.polygons import paint_rings, signed_area, trace_polygons
from twinset.core.untrusted import parse_json
from twinset.io.faults import Faults
from twinset.io.files import read_json
from twinset.io.paths import path_fault
from twinset.io.vision.rle import (
    Runs,
    checked_runs,
    compress,
    decompress,
    pixels_of_runs,
    run_lengths,
)
from twinset.io.vision.samples import (
    Ids,
    ImageRow,
    LayoutWriter,
    Sample,
    Samples,
    check_object,
    paint_polygons,
    read_image,
    short_number,
)

_HEAD = 1 << 16  # bytes that must name one of the lists: a file of any other kind is not parsed
_SECTIONS: Mapping[str, set[str]] = {
    "images": {"id", "file_name"},
    "annotations": set(),
    "categories": {"id", "name"},
}


def read_coco(file: Path, faults: Faults) -> Samples:
    """Yield the samples of a COCO file in the order of its images; return its categories.

    Category ids, also 0, are the numbers of the labels. Polygons stay polygons; an image whose objects all
    have polygons or run lengths gets an id map, in which a later object covers an earlier one.
    """
    content = _load(file)
    labels = _labels(content["categories"], file.name, faults)
    folder = _image_folder(file, content["images"])
    images = _of_one_id(content["images"], f"{file.name}, images", faults)
    for name, number in Counter(image["file_name"] for image in images.values()).items():
        if number > 1:
            faults.add(f"{file.name}, images", f"{number} of them have the file_name '{name}'")
    owned = _owned(content["annotations"], images, f"{file.name}, annotations", faults)
    for image in images.values():
        sample = read_image(folder, image["file_name"], faults)
        if sample is None:
            continue
        height, width = sample.shape
        stated = (image.get("height", height), image.get("width", width))
        place = f"{file.name}, image {image['id']}"
        if stated != sample.shape:
            text = f"it says {stated[1]} x {stated[0]}, but '{sample.path}' is {width} x {height}"
            faults.add(place, text)
            continue
        attributes = image.get("attributes") or {}
        if not isinstance(attributes, Mapping):
            faults.add(place, "its attributes are no object")
            attributes = {}
        sample.extras = {str(k): v for k, v in attributes.items() if not isinstance(v, dict | list)}
        masks: dict[int, Runs] = {}
        taken: set[int] = set()
        for k, annotation in owned.get(image["id"], ()):
            with faults.caught(f"{file.name}, annotations[{k}] (id {annotation.get('id')})"):
                _add(sample, masks, annotation, labels, taken)
                taken.add(sample.objects[-1]["id"])
        sample.keep_map(_id_map(sample, masks))
        yield sample
    return list(labels.values())


def sniff_coco(path: Path) -> Path | None:
    """Return a COCO file, or the only one of a folder."""
    if path.is_file():
        return path if _is_coco(path) else None
    places = (path, path / "annotations")
    found = [f for place in places for f in sorted(place.glob("*.json")) if _is_coco(f)]
    if len(found) > 1:
        found = [file for file in found if _has_lists(file)]
    if len(found) > 1:
        raise DataError(
            f"the folder '{path}' holds several COCO files",
            got=", ".join(f.relative_to(path).as_posix() for f in found[:6]),
            todo="give the path of one of them",
        )
    return found[0] if found else None


def _is_coco(file: Path) -> bool:
    with file.open("rb") as stream:
        head = stream.read(_HEAD).lstrip(b"\xef\xbb\xbf \t\r\n")
        if not head.startswith(b"{") or not any(f'"{k}"'.encode() in head for k in _SECTIONS):
            return False
        data = head + stream.read()  # parsed later, as that takes ten times as long
    return b'"images"' in data and b'"annotations"' in data


def _has_lists(file: Path) -> bool:
    try:
        return {"images", "annotations"} <= set(parse_json(file.read_bytes()))
    except (ValueError, TypeError):
        return False


def _load(file: Path) -> dict[str, Any]:
    content = read_json(file)
    lists = {key: content.get(key) if isinstance(content, dict) else None for key in _SECTIONS}
    for key, needed in _SECTIONS.items():
        entries = lists[key]
        if not isinstance(entries, list):
            raise DataError(f"'{file.name}' is no COCO file", got=f"no list '{key}'")
        for place, entry in enumerate(entries if needed else ()):
            where = f"'{file.name}', {key}[{place}]"
            if not isinstance(entry, dict):
                raise DataError(f"{where} is no object", got=repr(entry)[:40])
            missing = needed - set(entry)
            if missing:
                raise DataError(f"{where} lacks '{min(missing)}'")
            if not isinstance(entry["id"], int | str):
                raise DataError(
                    f"{where} has no id", got=repr(entry["id"])[:40], allowed="a number"
                )
            if not isinstance(entry.get("file_name", ""), str):
                raise DataError(f"{where} has a file_name that is no text")
            if fault := path_fault(entry.get("file_name", file)):
                raise DataError(f"{where} has a file_name that cannot be used: {fault}")
    return dict(content)


def _image_folder(file: Path, images: Sequence[Mapping[str, Any]]) -> Path:
    """Return the folder of the file names: that of the file, or one of the usual ones beside it."""
    first = images[0]["file_name"] if images else ""
    beside, above = file.parent, file.parent.parent
    stem = file.stem.rpartition("_")[2]
    places = (beside, beside / "images", above, above / "images", above / stem)
    found = (place for place in (*places, above / "images" / stem) if isfile(place / first))
    return next(found, beside)


def _of_one_id(
    entries: Sequence[dict[str, Any]], where: str, faults: Faults
) -> dict[Any, dict[str, Any]]:
    """Return id -> entry, without entries that share an id: references to it are ambiguous."""
    counts = Counter(entry["id"] for entry in entries)
    for number in (n for n, count in counts.items() if count > 1):
        faults.add(where, f"{counts[number]} of them have the id {number}, and all are left out")
    return {entry["id"]: entry for entry in entries if counts[entry["id"]] == 1}


def _labels(categories: Sequence[dict[str, Any]], name: str, faults: Faults) -> dict[Any, Label]:
    labels = {}
    for text, times in Counter(str(one["name"]) for one in categories).items():
        if times > 1:
            faults.add(f"{name}, categories", f"{times} of them have the name '{text}'")
    for number, category in _of_one_id(categories, f"{name}, categories", faults).items():
        with faults.caught(f"{name}, category {number}"):
            # COCO counts the ends of a skeleton's lines from 1.
            pairs = [(int(a) - 1, int(b) - 1) for a, b in category.get("skeleton") or ()]
            labels[number] = Label(
                str(category["name"]),
                number=int(category["id"]),
                keypoints=tuple(category.get("keypoints") or ()),
                skeleton=tuple(pairs),
            )
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


def _add(
    sample: Sample,
    masks: dict[int, Runs],
    annotation: Mapping[str, Any],
    labels: Mapping[Any, Label],
    taken: Collection[int],
) -> None:
    """Add the object of an annotation, and its mask if that is written as run lengths."""
    category = annotation.get("category_id")
    label = labels.get(category) if isinstance(category, int | str) else None
    if label is None:
        raise DataError(f"its category_id {category} is that of no category")
    attributes = annotation.get("attributes") or {}
    if not isinstance(attributes, Mapping):
        raise DataError("its attributes are no object")
    number = _object_number(attributes, taken)
    polygons, mask = _segmentation(annotation.get("segmentation"), sample.shape)
    x, y, w, h = (float(v) for v in annotation["bbox"])
    item = sample.new_object(number, label.name, (x, y, x + w, y + h), annotation.get("area"))
    item["keypoints"] = _keypoints(annotation.get("keypoints"), label)
    item["polygons"] = polygons
    item["truncated"] = bool(attributes.get("truncated", False))
    item["visible_fraction"] = attributes.get("visible_fraction")
    item["amodal_box"] = attributes.get("amodal_box")
    check_object(item)
    if annotation.get("iscrowd"):
        item["flags"] = ["crowd"]
    if mask is not None:
        masks[number] = mask
    sample.objects.append(item)


def _object_number(attributes: Mapping[str, Any], taken: Collection[int]) -> int:
    """Return the number of an object in its image: its own `instance_id`, else the next free one."""
    number = attributes.get("instance_id")
    if number is None:
        return next(free for free in itertools.count(len(taken) + 1) if free not in taken)
    if type(number) is not int or not 1 <= number <= MAX_OBJECTS or number in taken:
        raise DataError(
            "its instance_id cannot be used",
            got=f"{number!r:.20}",
            allowed=f"1 to {MAX_OBJECTS:,}, each once an image",
        )
    return number


def _segmentation(
    given: Any, shape: tuple[int, int]
) -> tuple[list[list[float]] | None, Runs | None]:
    """Return the polygons, or the runs of the mask, of an annotation; neither if it has none."""
    if not given:
        return None, None
    if isinstance(given, Mapping):
        counts = given["counts"]
        if tuple(given["size"]) != shape:
            raise DataError("its run lengths are of another size than the image")
        runs = decompress(counts) if isinstance(counts, str) else counts
        return None, checked_runs(runs, shape)
    rings = [[float(v) for v in ring] for ring in given]
    if any(len(ring) < 6 or len(ring) % 2 for ring in rings):
        raise DataError("a polygon needs three corners or more, each of x and y")
    if not all(np.isfinite(ring).all() for ring in rings):
        raise DataError("a corner of its polygon is no number")
    for ring in rings:
        x, y = ring[::2], ring[1::2]
        if not (min(x) < shape[1] and min(y) < shape[0] and max(x) > 0 and max(y) > 0):
            raise DataError(
                "a polygon of it lies outside of its image",
                got=f"x from {min(x):g} to {max(x):g}, y from {min(y):g} to {max(y):g}",
                allowed=f"0 to {shape[1]} and 0 to {shape[0]}",
            )
    return rings, None


def _keypoints(given: Any, label: Label) -> list[Keypoint]:
    if not given:
        return []
    if len(given) != 3 * len(label.keypoints):
        raise DataError(f"it has {len(given) / 3:g} keypoints, its category {len(label.keypoints)}")
    if not np.isfinite(np.array(given, float)).all():
        raise DataError("a keypoint is no number")
    points = zip(label.keypoints, given[::3], given[1::3], given[2::3])
    return [Keypoint(name=name, x=float(x), y=float(y), v=int(v)) for name, x, y, v in points]


def _id_map(sample: Sample, masks: Mapping[int, Runs]) -> Ids | None:
    if not masks:
        return paint_polygons(sample.objects, sample.shape)
    if not all(item["id"] in masks or item.get("polygons") for item in sample.objects):
        return None
    ids = np.zeros(sample.shape, np.uint16)
    for item in sample.objects:
        if item["id"] in masks:
            ids[pixels_of_runs(masks[item["id"]], sample.shape)] = item["id"]
            continue
        rings = [np.reshape(np.asarray(r, float), (-1, 2)) for r in item.get("polygons") or ()]
        paint_rings(ids, rings, [item["id"]] * len(rings))
    return ids


class CocoWriter(LayoutWriter):
    """Writes `annotations.json` beside `images/`.

    Images and annotations go to temporary files of lines that are joined at the end.

    A mask without holes is written as a polygon along the edges of pixels, one with holes as run
    lengths. Category ids are the numbers of the classes where all have one, else they count from 1.
    """

    _n_annotations = 0

    def put(self, image: ImageRow) -> None:
        """Write one image."""
        self.save(f"images/{image.name}", image.data)
        header = image.header
        entry: dict[str, Any] = {
            "id": image.number + 1,
            "file_name": f"images/{image.name}",
            "width": header.width,
            "height": header.height,
        }
        extras = {k: v for k, v in image.extras.items() if isinstance(v, str | int | float | bool)}
        if extras:
            entry["attributes"] = extras
        self._add_line("images", entry)
        ids = image.ids() if image.objects else None
        numbers = [item["id"] for item in image.objects]
        # Readers number objects from 1; other numbers, as of parts on several tiles, are written.
        is_own = numbers != list(range(1, len(numbers) + 1)) and len(set(numbers)) == len(numbers)
        for item in image.objects:
            self._n_annotations += 1
            annotation = self._annotation(item, ids, image.number + 1)
            if is_own and 1 <= item["id"] <= MAX_OBJECTS:
                annotation.setdefault("attributes", {})["instance_id"] = item["id"]
            self._add_line("annotations", annotation)

    def finish(self) -> None:
        """Join the lists into one file."""
        with (self.draft / "annotations.json").open("w", encoding="utf-8") as out:
            out.write("{")
            for key in ("images", "annotations"):
                out.write(f'"{key}": [')
                part = self.draft / f".{key}"
                part.touch()
                with part.open(encoding="utf-8") as lines:
                    for k, line in enumerate(lines):
                        out.write(("," if k else "") + "\n" + line.rstrip("\n"))
                out.write("],\n")
                part.unlink()
            out.write('"categories": ' + json.dumps(self._categories(), ensure_ascii=False) + "}\n")

    def _add_line(self, key: str, entry: dict[str, Any]) -> None:
        with (self.draft / f".{key}").open("a", encoding="utf-8") as part:
            part.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def _number(self, name: str) -> int:
        label = self.classes.label(name)
        if label.number is not None and self.classes.are_numbered:
            return label.number
        return self.classes.position(name) + 1

    def _categories(self) -> list[dict[str, Any]]:
        entries = []
        for label in self.classes.labels:
            entry: dict[str, Any] = {"id": self._number(label.name), "name": label.name}
            if label.keypoints:
                entry["keypoints"] = list(label.keypoints)
                entry["skeleton"] = [[a + 1, b + 1] for a, b in label.skeleton]
            entries.append(entry)
        return entries

    def _annotation(self, item: ObjectLabel, ids: Ids | None, image: int) -> dict[str, Any]:
        x0, y0, x1, y1 = item["box"]
        flags = item.get("flags") or ()
        entry: dict[str, Any] = {
            "id": self._n_annotations,
            "image_id": image,
            "category_id": self._number(item["category"]),
            "bbox": [short_number(v) for v in (x0, y0, x1 - x0, y1 - y0)],
            "area": short_number(item["area"] or 0.0),
            "iscrowd": int("crowd" in flags),
        }
        segmentation = _segmentation_of(item, ids)
        if segmentation is not None:
            entry["segmentation"] = segmentation
        label = self.classes.label(item["category"])
        if label.keypoints:
            at = {point["name"]: point for point in item["keypoints"] or ()}
            known = [at.get(name, {"x": 0.0, "y": 0.0, "v": 0}) for name in label.keypoints]
            entry["keypoints"] = [
                v for p in known for v in (short_number(p["x"]), short_number(p["y"]), p["v"])
            ]
            entry["num_keypoints"] = sum(p["v"] > 0 for p in known)
        attributes: dict[str, Any] = {}
        if item["truncated"]:
            attributes["truncated"] = True
        if item["visible_fraction"] is not None:
            attributes["visible_fraction"] = round(item["visible_fraction"], 6)
        if item.get("amodal_box"):
            attributes["amodal_box"] = [short_number(v) for v in item["amodal_box"] or ()]
        if attributes:
            entry["attributes"] = attributes
        return entry


def _segmentation_of(item: ObjectLabel, ids: Ids | None) -> Any:
    polygons = item.get("polygons")
    if polygons:
        return [[short_number(v) for v in ring] for ring in polygons]
    if ids is None:
        return None
    mask = ids == item["id"]
    if not mask.any():
        return None
    # Polygons of the part in the object's box are traced quickly.
    x, y = (max(int(np.floor(edge)), 0) for edge in item["box"][:2])
    x1, y1 = (int(np.ceil(edge)) for edge in item["box"][2:])
    part = mask[y:y1, x:x1]
    rings = trace_polygons(part if part.sum() == mask.sum() else mask[y:, x:], (x, y))
    if "crowd" not in (item.get("flags") or ()) and all(signed_area(ring) > 0 for ring in rings):
        return [[int(v) for v in ring.ravel()] for ring in rings]
    return {"size": list(mask.shape), "counts": compress(run_lengths(mask))}
