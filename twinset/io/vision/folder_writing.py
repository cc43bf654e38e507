"""Write YOLO, Pascal VOC and folders of masks: one small file for each image."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import yaml

from twinset.core.data.schema import Label
from twinset.core.errors import DataError
from twinset.core.image.codec import encode_lossless
from twinset.core.image.instance_maps import ObjectLabel
from twinset.core.image.polygons import Ring, fill, fill_parts, trace_polygons
from twinset.io.vision.numbers import share, short
from twinset.io.vision.samples import Ids
from twinset.io.vision.writer import ImageRow, LayoutWriter

_MOST_VOC = 254  # 255 is VOC's border that belongs to nobody


class YoloWriter(LayoutWriter):
    """`images/`, `labels/` and `data.yaml`: poses where classes have keypoints, else outlines, else boxes.

    An object of several parts, or with holes, is one line that runs to the next part and back along the
    same way, which encloses nothing. Parts that overlap are first united, along the edges of pixels: YOLO's
    readers would cut out what two of them share. Class numbers are kept where they count from 0, else
    counted anew: YOLO knows no others. Poses have one list of keypoints: a class without any gets them
    unlabelled.
    """

    def put(self, picture: ImageRow) -> None:
        """Write one picture."""
        self.save(f"images/{picture.stem}{picture.ending}", picture.data)
        facts = picture.facts
        size = np.array([facts.width, facts.height], float)
        ids = picture.ids() if picture.objects and not self._pose.keypoints else None
        lines = [self._line(item, ids, size) for item in picture.objects]
        self.save(f"labels/{picture.stem}.txt", "".join(f"{line}\n" for line in lines).encode())

    def close(self) -> None:
        """Write `data.yaml`."""
        labels = self.classes.labels
        names = {self._number(label.name): label.name for label in labels}
        content: dict[str, object] = {"path": ".", "train": "images", "val": "images"}
        content["names"] = dict(sorted(names.items()))
        pose = self._pose
        if pose.keypoints:
            content["kpt_shape"] = [len(pose.keypoints), 3]
            content["kpt_names"] = list(pose.keypoints)
            content["skeleton"] = [list(pair) for pair in pose.skeleton]
        self.save("data.yaml", yaml.safe_dump(content, sort_keys=False).encode())

    @property
    def _pose(self) -> Label:
        """The first class with keypoints; one without any where no class has some."""
        posed = [label for label in self.classes.labels if label.keypoints]
        for other in posed[1:]:
            if other.keypoints != posed[0].keypoints:
                raise DataError(
                    "YOLO holds one list of keypoints for all classes",
                    got=f"{len(posed[0].keypoints)} of '{posed[0].name}', others of '{other.name}' "
                    f"({len(other.keypoints)})",
                    todo="write coco, or each of these classes as a set of its own",
                )
        return posed[0] if posed else Label("none")

    def _number(self, name: str) -> int:
        labels = self.classes.labels
        if self.classes.are_numbered and {x.number for x in labels} == set(range(len(labels))):
            return int(self.classes.label(name).number or 0)
        return self.classes.position(name)

    def _line(self, item: ObjectLabel, ids: Ids | None, size: Ids) -> str:
        number = str(self._number(item["category"]))
        pose = self._pose.keypoints
        if not pose:
            rings = _rings(item, ids, (int(size[1]), int(size[0])))
            if rings:
                ring = joined(rings) / size
                return " ".join([number, *(share(v) for v in ring.ravel())])
        corners = np.reshape(item["box"], (2, 2)) / size
        values = [*corners.mean(axis=0), *(corners[1] - corners[0])]
        words = [number, *(share(v) for v in values)]
        at = {point["name"]: point for point in item["keypoints"] or ()}
        for name in pose:
            point = at.get(name)
            x, y, v = (point["x"], point["y"], point["v"]) if point else (0.0, 0.0, 0)
            words += [share(x / size[0]), share(y / size[1]), str(v)]
        return " ".join(words)


class VocWriter(LayoutWriter):
    """`Annotations/`, `JPEGImages/`, `SegmentationObject/` and `ImageSets/Main/all.txt`.

    VOC counts pixels from 1 and includes both ends; fractions of pixels are written as decimals. It
    cannot hold keypoints, outlines or class numbers.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._stems: list[str] = []

    def put(self, picture: ImageRow) -> None:
        """Write one picture."""
        name = f"{picture.stem}{picture.ending}"
        self.save(f"JPEGImages/{name}", picture.data)
        ids = picture.ids()
        self.save(
            f"Annotations/{picture.stem}.xml", self._xml(picture, name, ids is not None).encode()
        )
        if ids is not None:
            numbers = {item["id"]: k for k, item in enumerate(picture.objects, start=1)}
            if len(numbers) > _MOST_VOC:
                raise DataError(
                    f"VOC cannot number {len(numbers)} objects of one image", allowed=str(_MOST_VOC)
                )
            seen, where = np.unique(ids, return_inverse=True)
            table = np.array([numbers.get(int(i), 0) for i in seen], np.uint8)
            encoded = encode_lossless(table[where].reshape(ids.shape))
            self.save(f"SegmentationObject/{picture.stem}.png", encoded)
        self._stems.append(picture.stem)

    def close(self) -> None:
        """Write the list of all images."""
        self.save("ImageSets/Main/all.txt", "".join(f"{s}\n" for s in self._stems).encode())

    def _xml(self, picture: ImageRow, name: str, has_map: bool) -> str:
        facts = picture.facts
        lines = [
            "<annotation>",
            f"  <filename>{name}</filename>",
            f"  <size><width>{facts.width}</width><height>{facts.height}</height></size>",
            f"  <segmented>{int(has_map)}</segmented>",
        ]
        for item in picture.objects:
            flags = item.get("flags") or ()
            x0, y0, x1, y1 = item["box"]
            lines += [
                "  <object>",
                f"    <name>{escape(item['category'])}</name>",
                f"    <truncated>{int(bool(item['truncated']))}</truncated>",
                *(f"    <{f}>{int(f in flags)}</{f}>" for f in ("difficult", "occluded")),
                f"    <bndbox><xmin>{short(x0 + 1)}</xmin><ymin>{short(y0 + 1)}</ymin>"
                f"<xmax>{short(x1)}</xmax><ymax>{short(y1)}</ymax></bndbox>",
                "  </object>",
            ]
        return "\n".join([*lines, "</annotation>", ""])


class MasksWriter(LayoutWriter):
    """`images/`, `masks/` with the id maps as they are, and `objects.csv` with their classes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._rows: list[tuple[str, int, str]] = []

    def put(self, picture: ImageRow) -> None:
        """Write one picture."""
        if picture.map_data is None:
            raise DataError(
                f"row {picture.number} has no id map, so there is no mask to write",
                todo="write coco, yolo or voc instead",
            )
        name = f"{picture.stem}{picture.ending}"
        self.save(f"images/{name}", picture.data)
        self.save(f"masks/{picture.stem}{_ending(picture.map_data)}", picture.map_data)
        self._rows += [(name, item["id"], item["category"]) for item in picture.objects]

    def close(self) -> None:
        """Write the classes of all objects."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerows([("image", "id", "category"), *self._rows])
        self.save("objects.csv", text.getvalue().encode())


def joined(rings: list[Ring]) -> Ring:
    """Return several closed lines as one: to each next one and back along the same way.

    Examples
    --------
    >>> a, b = np.array([[0, 0], [1, 0], [1, 1.0]]), np.array([[5, 5], [6, 5], [6, 6.0]])
    >>> joined([a, b]).tolist()[2:5]
    [[1.0, 1.0], [0.0, 0.0], [5.0, 5.0]]
    """
    if len(rings) == 1:
        return rings[0]
    home = rings[0][0]
    line = [*rings[0], home]
    for ring in rings[1:]:
        line += [*ring, ring[0], home]
    return np.array(line)


def _rings(item: ObjectLabel, ids: Ids | None, shape: tuple[int, int]) -> list[Ring]:
    polygons = item.get("polygons")
    if polygons:
        rings = [np.reshape(ring, (-1, 2)) for ring in polygons]
        united = fill_parts(rings, shape) if len(rings) > 1 else None
        overlap = united is not None and bool((united != fill(rings, shape)).any())
        return trace_polygons(united) if united is not None and overlap else rings
    if ids is None:
        return []
    x0, y0, x1, y1 = (round(edge) for edge in item["box"])
    return trace_polygons(ids[y0:y1, x0:x1] == item["id"], (x0, y0))


def _ending(data: bytes) -> str:
    return ".png" if data.startswith(b"\x89PNG") else ".tif"
