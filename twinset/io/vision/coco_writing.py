"""Write COCO: `annotations.json` beside `images/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from twinset.core.image.instance_maps import ObjectLabel
from twinset.core.image.polygons import signed_area, trace_polygons
from twinset.io.vision.numbers import MOST_IDS, short
from twinset.io.vision.rle import compress, run_lengths
from twinset.io.vision.samples import Ids
from twinset.io.vision.writer import ImageRow, LayoutWriter

_LISTS = ("images", "annotations")


class CocoWriter(LayoutWriter):
    """Images and annotations go to files of lines as they come and are joined at the end.

    A mask without holes is written as its outline along the edges of pixels, one with holes as run
    lengths. Category ids are the numbers of the classes where all have one, else they count from 1.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._n_annotations = 0

    def put(self, picture: ImageRow) -> None:
        """Write one picture."""
        name = f"{picture.stem}{picture.ending}"
        self.save(f"images/{name}", picture.data)
        facts = picture.facts
        image: dict[str, Any] = {
            "id": picture.number + 1,
            "file_name": f"images/{name}",
            "width": facts.width,
            "height": facts.height,
        }
        extras = {
            k: v for k, v in picture.extras.items() if isinstance(v, str | int | float | bool)
        }
        if extras:
            image["attributes"] = extras
        self._line("images", image)
        ids = picture.ids() if picture.objects else None
        numbers = [item["id"] for item in picture.objects]
        # Read in order, objects are numbered from 1: other numbers are told, as of parts on several tiles.
        is_told = numbers != list(range(1, len(numbers) + 1)) and len(set(numbers)) == len(numbers)
        for item in picture.objects:
            self._n_annotations += 1
            made = self._annotation(item, ids, picture.number + 1)
            if is_told and 1 <= item["id"] <= MOST_IDS:
                made.setdefault("attributes", {})["instance_id"] = item["id"]
            self._line("annotations", made)

    def close(self) -> None:
        """Join the lists into one file."""
        with (self.folder / "annotations.json").open("w", encoding="utf-8") as out:
            out.write("{")
            for key in _LISTS:
                out.write(f'"{key}": [')
                part = self.folder / f".{key}"
                part.touch()
                with part.open(encoding="utf-8") as lines:
                    for k, line in enumerate(lines):
                        out.write(("," if k else "") + "\n" + line.rstrip("\n"))
                out.write("],\n")
                part.unlink()
            out.write('"categories": ' + json.dumps(self._categories(), ensure_ascii=False) + "}\n")

    def _line(self, key: str, entry: dict[str, Any]) -> None:
        with (self.folder / f".{key}").open("a", encoding="utf-8") as part:
            part.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def _number(self, name: str) -> int:
        label = self.classes.label(name)
        if label.number is not None and self.classes.are_numbered:
            return label.number
        return self.classes.position(name) + 1

    def _categories(self) -> list[dict[str, Any]]:
        made = []
        for label in self.classes.labels:
            entry: dict[str, Any] = {"id": self._number(label.name), "name": label.name}
            if label.keypoints:
                entry["keypoints"] = list(label.keypoints)
                entry["skeleton"] = [[a + 1, b + 1] for a, b in label.skeleton]
            made.append(entry)
        return made

    def _annotation(self, item: ObjectLabel, ids: Ids | None, image: int) -> dict[str, Any]:
        x0, y0, x1, y1 = item["box"]
        flags = item.get("flags") or ()
        made: dict[str, Any] = {
            "id": self._n_annotations,
            "image_id": image,
            "category_id": self._number(item["category"]),
            "bbox": [short(x0), short(y0), short(x1 - x0), short(y1 - y0)],
            "area": short(item["area"] or 0.0),
            "iscrowd": int("crowd" in flags),
        }
        segmentation = _segmentation(item, ids)
        if segmentation is not None:
            made["segmentation"] = segmentation
        label = self.classes.label(item["category"])
        if label.keypoints:
            at = {point["name"]: point for point in item["keypoints"] or ()}
            known = [at.get(name, {"x": 0.0, "y": 0.0, "v": 0}) for name in label.keypoints]
            made["keypoints"] = [v for p in known for v in (short(p["x"]), short(p["y"]), p["v"])]
            made["num_keypoints"] = sum(p["v"] > 0 for p in known)
        attributes: dict[str, Any] = {}
        if item["truncated"]:
            attributes["truncated"] = True
        if item["visible_fraction"] is not None:
            attributes["visible_fraction"] = round(item["visible_fraction"], 6)
        if item.get("amodal_box"):
            attributes["amodal_box"] = [short(v) for v in item["amodal_box"] or ()]
        if attributes:
            made["attributes"] = attributes
        return made


def _segmentation(item: ObjectLabel, ids: Ids | None) -> Any:
    polygons = item.get("polygons")
    if polygons:
        return [[short(v) for v in ring] for ring in polygons]
    if ids is None:
        return None
    mask = ids == item["id"]
    if not mask.any():
        return None
    rings = trace_polygons(_cut(mask, item), _corner(mask, item))
    if "crowd" not in (item.get("flags") or ()) and all(signed_area(ring) > 0 for ring in rings):
        return [[int(v) for v in ring.ravel()] for ring in rings]
    return {"size": list(mask.shape), "counts": compress(run_lengths(mask))}


def _corner(mask: Ids, item: ObjectLabel) -> tuple[int, int]:
    x0, y0 = item["box"][:2]
    return max(int(np.floor(x0)), 0), max(int(np.floor(y0)), 0)


def _cut(mask: Ids, item: ObjectLabel) -> Ids:
    """Return the mask within the object's box: outlines of a small array are quick."""
    x, y = _corner(mask, item)
    x1, y1 = (int(np.ceil(edge)) for edge in item["box"][2:])
    part = mask[y:y1, x:x1]
    return part if part.sum() == mask.sum() else np.pad(mask[y:, x:], 0)
