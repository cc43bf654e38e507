"""Pascal VOC: one XML file of boxes an image, with id maps in SegmentationObject where there are any."""

from __future__ import annotations

from pathlib import Path
from xml.parsers import expat

import numpy as np

from twinset.core.data.schema import Label
from twinset.core.errors import DataError, TwinsetError
from twinset.core.image.codec import decode_ids
from twinset.io.image_header import ImageHeader
from twinset.io.vision.faults import Faults
from twinset.io.vision.samples import (
    Ids,
    Sample,
    Samples,
    box_fault,
    encoded,
    new_object,
    read_image,
)
from twinset.io.vision.yolo import PICTURES

_VOID = 255  # VOC's border between objects: nobody's pixels
_FLAGS = ("difficult", "occluded")


class _Node:
    """An XML element with the line it begins in."""

    def __init__(self, name: str, line: int) -> None:
        self.name, self.line = name, line
        self.text = ""
        self.children: list[_Node] = []

    def all(self, name: str) -> list[_Node]:
        return [child for child in self.children if child.name == name]

    def get(self, name: str, default: str | None = None) -> str:
        """Return the text of a child."""
        found = self.all(name)
        if not found and default is None:
            raise DataError(f"<{self.name}> lacks <{name}>")
        return found[0].text.strip() if found else str(default)


def read_voc(folder: Path, faults: Faults) -> Samples:
    """Yield the samples of a VOC folder, by the names of its XML files, and its classes in A-Z order.

    VOC counts pixels from 1 and its boxes include both ends; here they become half-open from 0. A box
    whose ends are one and the same pixel is taken for a slip of the hand and told.
    """
    names: set[str] = set()
    for file in sorted((folder / "Annotations").glob("*.xml")):
        place = f"Annotations/{file.name}"
        try:
            root = _parse(file.read_bytes())
        except (DataError, expat.ExpatError) as error:
            faults.add(place, f"it cannot be read as XML: {error}")
            continue
        found = _picture(folder, root, file, faults)
        if found is None:
            continue
        path, data, facts = found
        sample = Sample(path, data)
        if not _size_agrees(root, facts, faults, place):
            continue
        kept = [_add(sample, node, facts, faults, place) for node in root.all("object")]
        names |= {item["category"] for item in sample.objects}
        sample.map_data = encoded(_ids(folder, file.stem, sample, kept, facts, faults))
        yield sample
    return [Label(name) for name in sorted(names)]


def _parse(data: bytes) -> _Node:
    parser = expat.ParserCreate()
    stack = [_Node("", 0)]

    def start(name: str, _: dict[str, str]) -> None:
        node = _Node(name, parser.CurrentLineNumber)
        stack[-1].children.append(node)
        stack.append(node)

    def end(_: str) -> None:
        stack.pop()

    def text(data: str) -> None:
        stack[-1].text += data

    def entity(*_: object) -> None:
        raise DataError("it declares entities", todo="write it without a DOCTYPE")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.EntityDeclHandler = text, entity
    parser.Parse(data, True)
    return stack[0].children[0]


def _picture(
    folder: Path, root: _Node, file: Path, faults: Faults
) -> tuple[str, bytes, ImageHeader] | None:
    """Return the image of an XML file: the one it names, or the one of its own name."""
    named = root.get("filename", "")
    choices = [named, *(file.stem + ending for ending in PICTURES), *(named + e for e in PICTURES)]
    base = "JPEGImages" if (folder / "JPEGImages").is_dir() else "images"
    relative = next((f"{base}/{c}" for c in choices if c and (folder / base / c).is_file()), None)
    if relative is None:
        faults.add(f"Annotations/{file.name}", f"there is no image '{named}' in {base}")
        return None
    found = read_image(folder, relative, faults)
    return None if found is None else (relative, *found)


def _size_agrees(root: _Node, facts: ImageHeader, faults: Faults, place: str) -> bool:
    sizes = root.all("size")
    if not sizes:
        return True
    try:
        told = int(sizes[0].get("width")), int(sizes[0].get("height"))
    except (DataError, ValueError):
        told = (0, 0)
    # Some tools write 0 x 0 where they do not know it.
    if told not in ((0, 0), (facts.width, facts.height)):
        line = f"{place}, line {sizes[0].line}"
        faults.add(
            line, f"it says {told[0]} x {told[1]}, the image is {facts.width} x {facts.height}"
        )
        return False
    return True


def _add(sample: Sample, node: _Node, facts: ImageHeader, faults: Faults, place: str) -> int:
    """Add an object; return its id, or 0 when it cannot be used."""
    where = f"{place}, line {node.line}"
    try:
        name = node.get("name")
        bounds = node.all("bndbox")
        if not bounds:
            raise DataError("<object> lacks <bndbox>")
        where = f"{place}, line {bounds[0].line}"
        x0, y0, x1, y1 = (float(bounds[0].get(key)) for key in ("xmin", "ymin", "xmax", "ymax"))
    except (DataError, ValueError) as error:
        faults.add(where, f"it cannot be read: {error}")
        return 0
    if x0 == x1 and y0 == y1:
        faults.add(where, f"the box of a {name} is one point, ({x0:g}, {y0:g})")
        return 0
    box = (x0 - 1, y0 - 1, x1, y1)
    wrong = box_fault(box, facts)
    if wrong:
        faults.add(where, wrong)
        return 0
    made = new_object(len(sample.objects) + 1, name, box)
    made["truncated"] = node.get("truncated", "0") not in ("0", "")
    made["flags"] = [flag for flag in _FLAGS if node.get(flag, "0") not in ("0", "")] or None
    sample.objects.append(made)
    return made["id"]


def _ids(
    folder: Path, stem: str, sample: Sample, kept: list[int], facts: ImageHeader, faults: Faults
) -> Ids | None:
    """Return the id map, and count the areas from it: number k in the file is the k-th object."""
    file = folder / "SegmentationObject" / f"{stem}.png"
    if not file.is_file():
        return None
    place = f"SegmentationObject/{stem}.png"
    try:
        given = decode_ids(file.read_bytes())
    except TwinsetError as error:
        faults.add(place, str(error))
        return None
    if given.shape != (facts.height, facts.width):
        faults.add(place, "it is of another size than its image")
        return None
    most = int(given[given != _VOID].max(initial=0)) if len(kept) < _VOID else int(given.max())
    if most > len(kept):
        faults.add(place, f"it holds the number {most}, but its image has {len(kept)} objects")
        return None
    table = np.zeros(max(int(given.max(initial=0)), _VOID, len(kept)) + 1, np.uint16)
    table[1 : len(kept) + 1] = kept
    if len(kept) < _VOID:
        table[_VOID] = 0
    ids = np.asarray(table[given])
    areas = np.bincount(ids.ravel(), minlength=len(sample.objects) + 1)
    for item in sample.objects:
        item["area"] = float(areas[item["id"]])
    return ids
