"""Pascal VOC: one XML file of boxes for each image, and id maps in SegmentationObject."""

from __future__ import annotations

from os.path import isfile
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat
from xml.sax.saxutils import escape

import numpy as np

from twinset.core.data.schema import Label
from twinset.core.errors import DataError
from twinset.core.image.codec import encode_lossless
from twinset.core.untrusted import MAX_DEPTH
from twinset.io.faults import Faults
from twinset.io.files import read_whole
from twinset.io.vision.samples import (
    IMAGE_ENDINGS,
    Ids,
    ImageRow,
    LayoutWriter,
    Sample,
    Samples,
    read_image,
    short_number,
)
from twinset.io.writer import Target

_VOID = 255  # VOC's border between objects, which belongs to none of them
_MAX_OBJECTS = _VOID - 1  # of one image: their numbers fit 8 bits beside 0 and the border
_ROOT = "annotation"
_SHOWN = 40  # characters of a name in an error
_FLAGS = ("difficult", "occluded")
_YES_NO = {"": False, "0": False, "no": False, "false": False, "1": True, "yes": True, "true": True}


def _text(node: Element, name: str, default: str | None = None) -> str:
    """Return the text of a child."""
    found = node.findtext(name, default)
    if found is None:
        raise DataError(f"<{node.tag}> lacks <{name}>")
    return found.strip()


def sniff_voc(path: Path) -> Path | None:
    """Return a folder with XML files in `Annotations`."""
    return path if any((path / "Annotations").glob("*.xml")) else None


def read_voc(folder: Path, faults: Faults) -> Samples:
    """Yield the samples of a VOC folder in the order of its XML files' names; return its classes, sorted.

    VOC counts pixels from 1 and its boxes include both ends; here they become half-open from 0. A box
    of a single pixel is taken for an accident and reported as a fault.
    """
    names: set[str] = set()
    for file in sorted((folder / "Annotations").glob("*.xml")):
        place = f"Annotations/{file.name}"
        try:
            root = _parse(file.read_bytes())
        except (DataError, expat.ExpatError) as error:
            faults.add(place, f"it cannot be read as XML: {error}")
            continue
        sample = _image_of(folder, root, file, faults)
        if sample is None or not _size_agrees(root, sample, faults, place):
            continue
        kept = [_add(sample, node, faults, place) for node in root.findall("object")]
        names |= {item["category"] for item in sample.objects}
        file = folder / "SegmentationObject" / f"{file.stem}.png"
        if file.is_file():
            with faults.caught(f"SegmentationObject/{file.name}"):
                sample.keep_map(_ids(sample, kept, read_whole(file)))
        yield sample
    return [Label(name) for name in sorted(names)]


def _parse(data: bytes) -> Element:
    """Return the root; every element has its first line as an attribute, which ElementTree drops."""
    parser, tree = expat.ParserCreate(), TreeBuilder()
    opened: list[str] = []

    def entity(*_: object) -> None:
        raise DataError("it declares entities", todo="write it without a DOCTYPE")

    def start(name: str, _: dict[str, str]) -> None:
        line = parser.CurrentLineNumber
        if not opened and name != _ROOT:
            raise DataError(f"its root element is <{name[:_SHOWN]}>", allowed=f"<{_ROOT}>")
        if len(opened) == MAX_DEPTH:
            raise DataError(
                f"line {line}: elements are nested too deep", allowed=f"{MAX_DEPTH} levels"
            )
        opened.append(name)
        tree.start(name, {"line": str(line)})

    def end(name: str) -> None:
        opened.pop()
        tree.end(name)

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.EntityDeclHandler = tree.data, entity
    try:
        parser.Parse(data, True)
    except (LookupError, ValueError):  # Python has no such encoding, or one of several bytes a sign
        raise DataError("its declared encoding cannot be read", allowed="UTF-8") from None
    return tree.close()


def _image_of(folder: Path, root: Element, file: Path, faults: Faults) -> Sample | None:
    """Return the image of an XML file: the one it names, or the one of its own name."""
    named = _text(root, "filename", "")
    choices = [named, *(stem + ending for stem in (file.stem, named) for ending in IMAGE_ENDINGS)]
    base = "JPEGImages" if (folder / "JPEGImages").is_dir() else "images"
    relative = next((f"{base}/{c}" for c in choices if c and isfile(folder / base / c)), None)
    if relative is None:
        faults.add(f"Annotations/{file.name}", f"there is no image '{named}' in {base}")
        return None
    return read_image(folder, relative, faults)


def _size_agrees(root: Element, sample: Sample, faults: Faults, place: str) -> bool:
    sizes = root.findall("size")
    if not sizes:
        return True
    try:
        stated = int(_text(sizes[0], "height")), int(_text(sizes[0], "width"))
    except (DataError, ValueError):
        stated = (0, 0)
    # Some tools write 0 x 0 where they do not know it.
    if stated in ((0, 0), sample.shape):
        return True
    text = f"it says {stated[1]} x {stated[0]}, the image is {sample.shape[1]} x {sample.shape[0]}"
    faults.add(f"{place}, line {sizes[0].get('line')}", text)
    return False


def _add(sample: Sample, node: Element, faults: Faults, place: str) -> int:
    """Add an object; return its id, or 0 if it cannot be used."""
    bounds = node.findall("bndbox")
    with faults.caught(f"{place}, line {(bounds or [node])[0].get('line')}"):
        name = _text(node, "name")
        if not bounds:
            raise DataError("<object> lacks <bndbox>")
        x0, y0, x1, y1 = (float(_text(bounds[0], key)) for key in ("xmin", "ymin", "xmax", "ymax"))
        if x0 == x1 and y0 == y1:
            raise DataError(f"the box of a {name} is one point, ({x0:g}, {y0:g})")
        item = sample.new_object(len(sample.objects) + 1, name, (x0 - 1, y0 - 1, x1, y1))
        item["truncated"] = _is_set(node, "truncated")
        item["flags"] = [flag for flag in _FLAGS if _is_set(node, flag)] or None
        sample.objects.append(item)
        return item["id"]
    return 0


def _is_set(node: Element, flag: str) -> bool:
    text = _text(node, flag, "0").strip().lower()
    if text not in _YES_NO:
        raise DataError(f"<{flag}> is neither yes nor no", allowed=", ".join(filter(None, _YES_NO)))
    return _YES_NO[text]


def _ids(sample: Sample, kept: list[int], data: bytes) -> Ids:
    """Return the id map, and set the areas of the objects: number k in the file is the k-th object."""
    given = sample.read_map(data)
    largest = int(given[given != _VOID].max(initial=0)) if len(kept) < _VOID else int(given.max())
    if largest > len(kept):
        raise DataError(f"it holds the number {largest}, but its image has {len(kept)} objects")
    table = np.zeros(max(int(given.max(initial=0)), _VOID, len(kept)) + 1, np.uint16)
    table[1 : len(kept) + 1] = kept
    if len(kept) < _VOID:
        table[_VOID] = 0
    ids = np.asarray(table[given])
    areas = np.bincount(ids.ravel(), minlength=len(sample.objects) + 1)
    for item in sample.objects:
        item["area"] = float(areas[item["id"]])
    return ids


class VocWriter(LayoutWriter):
    """Writes `Annotations/`, `JPEGImages/`, `SegmentationObject/` and `ImageSets/Main/all.txt`.

    VOC counts pixels from 1 and includes both ends; fractions of pixels are written as decimals. It
    cannot hold keypoints, polygons or class numbers.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._stems: list[str] = []

    def put(self, image: ImageRow) -> None:
        """Write one image."""
        self.save(f"JPEGImages/{image.name}", image.data)
        ids = image.ids()
        self.save(f"Annotations/{image.stem}.xml", _to_xml(image, ids is not None).encode())
        if ids is not None:
            numbers = {item["id"]: k for k, item in enumerate(image.objects, start=1)}
            if len(numbers) > _MAX_OBJECTS:
                raise DataError(
                    f"VOC cannot number {len(numbers)} objects of one image",
                    allowed=str(_MAX_OBJECTS),
                )
            seen, where = np.unique(ids, return_inverse=True)
            table = np.array([numbers.get(int(i), 0) for i in seen], np.uint8)
            data = encode_lossless(table[where].reshape(ids.shape))
            self.save(f"SegmentationObject/{image.stem}.png", data)
        self._stems.append(image.stem)

    def finish(self) -> None:
        """Write the list of all images."""
        self.save("ImageSets/Main/all.txt", "".join(f"{s}\n" for s in self._stems).encode())


def _to_xml(image: ImageRow, has_map: bool) -> str:
    header = image.header
    lines = [
        "<annotation>",
        f"  <filename>{image.name}</filename>",
        f"  <size><width>{header.width}</width><height>{header.height}</height></size>",
        f"  <segmented>{int(has_map)}</segmented>",
    ]
    for item in image.objects:
        flags = item.get("flags") or ()
        x0, y0, x1, y1 = item["box"]
        lines += [
            "  <object>",
            f"    <name>{escape(item['category'])}</name>",
            f"    <truncated>{int(bool(item['truncated']))}</truncated>",
            *(f"    <{f}>{int(f in flags)}</{f}>" for f in _FLAGS),
            f"    <bndbox><xmin>{short_number(x0 + 1)}</xmin><ymin>{short_number(y0 + 1)}</ymin>"
            f"<xmax>{short_number(x1)}</xmax><ymax>{short_number(y1)}</ymax></bndbox>",
            "  </object>",
        ]
    return "\n".join([*lines, "</annotation>", ""])
