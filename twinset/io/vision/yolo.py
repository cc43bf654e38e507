"""YOLO: a text file of lines beside each image, for boxes, polygons or poses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from twinset.core.data.schema import Label
from twinset.core.errors import DataError
from twinset.core.image.instance_maps import ObjectLabel
from twinset.core.image.keypoints import Keypoint
from twinset.core.image.polygons import Ring, fill, fill_parts, signed_area, trace_polygons
from twinset.core.untrusted import parse_yaml
from twinset.io.faults import Faults
from twinset.io.vision.coco import sniff_coco
from twinset.io.vision.masks import sniff_masks
from twinset.io.vision.samples import (
    IMAGE_ENDINGS,
    Ids,
    ImageRow,
    LayoutWriter,
    Sample,
    Samples,
    paint_polygons,
    read_image,
)

_MAX_POINTS = 10_000  # of one object: models of faces have about 500
_Lines = tuple[tuple[int, int], ...]
_NO_LABELS = ("classes.txt",)  # LabelImg's names of classes, beside the labels
_VISIBLE = (0, 1, 2)  # not labelled, hidden, seen


@dataclass(frozen=True)
class _Names:
    labels: tuple[Label, ...]
    n_points: int
    n_values: int  # numbers of a keypoint: x, y and, of three, whether it is visible


def sniff_yolo(path: Path) -> Path | None:
    """Return a folder of images with `data.yaml`, or with labels and neither COCO nor masks."""
    if not (path / "images").is_dir():
        return None
    if (path / "data.yaml").is_file():
        return path
    labels = path / "labels"
    if not labels.is_dir() or not any(labels.rglob("*.txt")):
        return None
    return path if sniff_coco(path) is None and sniff_masks(path) is None else None


def read_yolo(folder: Path, faults: Faults) -> Samples:
    """Yield the samples of a YOLO folder in the order of its images' names; return its classes.

    A line of five numbers is a box, a longer one a polygon; if `data.yaml` has `kpt_shape`, it
    is a box with its keypoints.
    """
    names = _names(folder)
    images = folder / "images"
    found = (p for p in images.rglob("*") if p.suffix.lower() in IMAGE_ENDINGS and p.is_file())
    files = sorted(found, key=lambda p: p.as_posix())
    stems = {file.relative_to(images).with_suffix("") for file in files}
    for lines in sorted((folder / "labels").rglob("*.txt")):
        if lines.relative_to(folder / "labels").with_suffix("") not in stems:
            place = lines.relative_to(folder).as_posix()
            if lines.name not in _NO_LABELS:
                faults.add(place, "there is no image of its name in images/")
    for file in files:
        sample = read_image(folder, file.relative_to(folder).as_posix(), faults)
        if sample is None:
            continue
        lines = folder / "labels" / file.relative_to(images).with_suffix(".txt")
        if lines.is_file():
            place = lines.relative_to(folder).as_posix()
            try:
                text = lines.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                faults.add(place, f"it is not UTF-8 ({error}), and its image is left out")
                continue
            for k, line in enumerate(text.splitlines(), start=1):
                if line.strip():
                    with faults.caught(f"{place}, line {k}"):
                        sample.objects.append(_object(sample, line, names))
        sample.keep_map(paint_polygons(sample.objects, sample.shape))
        yield sample
    return list(names.labels)


def _names(folder: Path) -> _Names:
    file = folder / "data.yaml"
    if not file.is_file():
        raise DataError(
            f"the YOLO folder '{folder}' has no data.yaml",
            todo="add one that names the classes, e.g. names: {0: cell}",
        )
    try:
        content = parse_yaml(file.read_text(encoding="utf-8"))
    except ValueError as error:
        is_other = isinstance(error, UnicodeDecodeError)
        raise DataError(
            "data.yaml cannot be read", got="another encoding" if is_other else str(error)
        ) from None
    content = content if isinstance(content, dict) else {}
    names = _class_names(content.get("names"))
    stated = content.get("nc", len(names))
    if stated != len(names):
        raise DataError(
            "nc of data.yaml is not the number of its names", got=f"{stated!r:.20} and {len(names)}"
        )
    n_points, n_values, points, lines = _pose_of(content)
    labels = (
        Label(name, number=number, keypoints=points, skeleton=lines)
        for number, name in names.items()
    )
    return _Names(tuple(labels), n_points, n_values)


def _class_names(given: Any) -> dict[int, str]:
    """Return number -> name of the classes; raise DataError for what is no plain name or number."""
    listed = enumerate(given) if isinstance(given, list) else ()
    pairs = list(given.items() if isinstance(given, dict) else listed)
    are_plain = (type(k) is int and k >= 0 and type(name) in (str, int) for k, name in pairs)
    if not pairs or not all(are_plain):
        raise DataError(
            "'names' of data.yaml does not say what the classes are",
            allowed="names: [cell, nucleus] or names: {0: cell, 1: nucleus}; a name like 'no', which "
            "YAML does not take for a text, in quotes",
        )
    return {number: str(name) for number, name in pairs}


def _pose_of(content: Mapping[str, Any]) -> tuple[int, int, tuple[str, ...], _Lines]:
    """Return how many keypoints an object has, how many numbers each, their names and lines."""
    shape, lines = content.get("kpt_shape") or [0, 0], content.get("skeleton") or []
    is_shape = isinstance(shape, list) and len(shape) == 2 and all(type(n) is int for n in shape)
    n_points, n_values = shape if is_shape else (-1, 0)
    names = content.get("kpt_names")
    if names is None:
        names = [f"point_{k}" for k in range(min(n_points, _MAX_POINTS))]
    is_list = isinstance(names, list) and all(type(name) in (str, int) for name in names)
    n_names = len(names) if is_list else -1
    if n_points != n_names or (n_points and n_values not in (2, 3)):
        raise DataError(
            "kpt_shape of data.yaml does not fit",
            got=f"{shape!r:.40} and {max(n_names, 0)} names in kpt_names",
            allowed="[number of keypoints, 2 or 3] and a name for each keypoint",
        )
    for line in lines if isinstance(lines, list) else [None]:
        ends = line if isinstance(line, list) and len(line) == 2 else [None]
        if not all(type(end) is int and 0 <= end < n_points for end in ends):
            raise DataError(
                "skeleton of data.yaml holds something else than pairs of keypoints",
                allowed=f"numbers from 0 to {n_points - 1}",
            )
    return n_points, n_values, tuple(map(str, names)), tuple((a, b) for a, b in lines)


def _object(sample: Sample, line: str, names: _Names) -> ObjectLabel:
    """Return the object of a line."""
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        raise DataError("it holds something else than numbers") from None
    label = next((x for x in names.labels if x.number == values[0]), None)
    if label is None:
        raise DataError(f"the class {values[0]:g} has no name in data.yaml")
    rest, number = np.array(values[1:]), len(sample.objects) + 1
    size = np.array(sample.shape[::-1], float)
    n_more = names.n_points * names.n_values
    if len(rest) == 4 + n_more:
        centre, extent = rest[:2] * size, rest[2:4] * size
        box = [*(centre - extent / 2), *(centre + extent / 2)]
        item = sample.new_object(number, label.name, box)
        item["keypoints"] = _points(rest[4:], names, label, size)
    elif not n_more and len(rest) >= 6 and len(rest) % 2 == 0:
        ring = rest.reshape(-1, 2) * size
        box = [*ring.min(axis=0), *ring.max(axis=0)]
        item = sample.new_object(number, label.name, box, abs(signed_area(ring)))
        item["polygons"] = [ring.ravel().tolist()]
    else:
        raise DataError(f"it holds {len(values)} numbers, which fits no box, polygon or pose")
    # The rounding of fractions may have moved an edge out of the image.
    item["box"] = np.clip(item["box"], 0.0, [*size, *size]).tolist()
    return item


def _points(values: Any, names: _Names, label: Label, size: Any) -> list[Keypoint]:
    points = []
    for k, name in enumerate(label.keypoints if names.n_points else ()):
        own = values[k * names.n_values : (k + 1) * names.n_values]
        x, y = own[:2] * size
        if not np.isfinite(own).all() or (names.n_values > 2 and own[2] not in _VISIBLE):
            raise DataError(
                f"its keypoint '{name}' cannot be read",
                got=" ".join(f"{value:g}" for value in own),
                allowed="numbers, the third of them 0, 1 or 2",
            )
        v = int(own[2]) if names.n_values > 2 else (2 if own.any() else 0)
        points.append(Keypoint(name=name, x=float(x), y=float(y), v=v))
    return points


class YoloWriter(LayoutWriter):
    """Writes `images/`, `labels/`, `data.yaml`: poses if classes have keypoints, else polygons, else boxes.

    An object of several parts, or with holes, is one line that runs to the next part and back the same way,
    which encloses nothing. Parts that overlap are first united, along the edges of pixels: readers of YOLO
    would cut out their intersection. Class numbers are kept if they count from 0, else they are the
    positions of the classes, as YOLO has no others. Poses have one list of keypoints: those of a class
    without any are unlabelled.
    """

    def put(self, image: ImageRow) -> None:
        """Write one image."""
        self.save(f"images/{image.name}", image.data)
        header = image.header
        size = np.array([header.width, header.height], float)
        ids = image.ids() if image.objects and not self._pose.keypoints else None
        lines = [self._line(item, ids, size) for item in image.objects]
        self.save(f"labels/{image.stem}.txt", "".join(f"{line}\n" for line in lines).encode())

    def finish(self) -> None:
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
        """The first class with keypoints; one without any if no class has some."""
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
                ring = _joined(rings) / size
                return " ".join([number, *(_fraction(v) for v in ring.ravel())])
        corners = np.reshape(item["box"], (2, 2)) / size
        values = [*corners.mean(axis=0), *(corners[1] - corners[0])]
        words = [number, *(_fraction(v) for v in values)]
        at = {point["name"]: point for point in item["keypoints"] or ()}
        for name in pose:
            point = at.get(name)
            x, y, v = (point["x"], point["y"], point["v"]) if point else (0.0, 0.0, 0)
            words += [_fraction(x / size[0]), _fraction(y / size[1]), str(v)]
        return " ".join(words)


def _joined(rings: list[Ring]) -> Ring:
    """Return several closed lines as one, which runs to each next one and back the same way.

    Examples
    --------
    >>> a, b = np.array([[0, 0], [1, 0], [1, 1.0]]), np.array([[5, 5], [6, 5], [6, 6.0]])
    >>> _joined([a, b]).tolist()[2:5]
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


def _fraction(value: float) -> str:
    """Return a fraction of an image's side with eight digits: a thousandth of a pixel in 100,000.

    Examples
    --------
    >>> _fraction(0.5), _fraction(1 / 3), _fraction(0)
    ('0.5', '0.33333333', '0')
    """
    return f"{value:.8f}".rstrip("0").rstrip(".") or "0"
