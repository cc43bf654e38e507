"""YOLO: a text file of lines beside each image, for boxes, outlines or poses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from twinset.core.data.schema import Label
from twinset.core.errors import DataError
from twinset.core.image.instance_maps import ObjectLabel
from twinset.core.image.keypoints import Keypoint
from twinset.core.image.polygons import signed_area
from twinset.io.image_header import ImageHeader
from twinset.io.vision.faults import Faults
from twinset.io.vision.samples import (
    Sample,
    Samples,
    box_fault,
    encoded,
    new_object,
    paint_outlines,
    read_image,
)

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")

_VISIBLE = (0, 1, 2)  # not labelled, hidden, seen


@dataclass(frozen=True)
class _Names:
    labels: tuple[Label, ...]
    n_points: int
    n_values: int  # numbers a keypoint has: x, y and perhaps whether it is seen


def read_yolo(folder: Path, faults: Faults) -> Samples:
    """Yield the samples of a YOLO folder, by the names of its images, and its classes.

    A line of five numbers is a box, a longer one an outline; where `data.yaml` says `kpt_shape`, it is a
    box with its keypoints.

    Raises
    ------
    DataError
        `data.yaml` does not say what the classes are.
    """
    names = _names(folder)
    images = folder / "images"
    pictures = (p for p in images.rglob("*") if p.suffix.lower() in PICTURES and p.is_file())
    for picture in sorted(pictures, key=lambda p: p.as_posix()):
        relative = picture.relative_to(folder)
        found = read_image(folder, relative.as_posix(), faults)
        if found is None:
            continue
        data, facts = found
        sample = Sample(relative.as_posix(), data)
        lines = folder / "labels" / picture.relative_to(images).with_suffix(".txt")
        if lines.is_file():
            place = lines.relative_to(folder).as_posix()
            try:
                text = lines.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                faults.add(place, f"it is not UTF-8 ({error}), and its image is left out")
                continue
            for k, line in enumerate(text.splitlines(), start=1):
                if line.strip():
                    _add(sample, line, names, facts, faults, f"{place}, line {k}")
        sample.map_data = encoded(paint_outlines(sample.objects, (facts.height, facts.width)))
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
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        given = content["names"]
        named = dict(given) if isinstance(given, Mapping) else dict(enumerate(given))
        n_points, n_values = content.get("kpt_shape", (0, 0))
        points = tuple(content.get("kpt_names", [f"point_{k}" for k in range(n_points)]))
        lines = tuple((int(a), int(b)) for a, b in content.get("skeleton", ()))
        labels = tuple(
            Label(str(v), number=int(k), keypoints=points, skeleton=lines) for k, v in named.items()
        )
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            "data.yaml does not say what the classes are",
            allowed="names: {0: cell, 1: nucleus} and, for poses, kpt_shape: [5, 3]",
        ) from error
    if n_points and (len(points) != n_points or n_values not in (2, 3)):
        raise DataError(
            "kpt_shape of data.yaml does not fit",
            got=f"[{n_points}, {n_values}] and {len(points)} names in kpt_names",
            allowed="[number of keypoints, 2 or 3] and a name for each keypoint",
        )
    return _Names(labels, int(n_points), int(n_values))


def _add(
    sample: Sample, line: str, names: _Names, facts: ImageHeader, faults: Faults, where: str
) -> None:
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        faults.add(where, "it holds something else than numbers")
        return
    label = next((x for x in names.labels if x.number == values[0]), None)
    if label is None:
        faults.add(where, f"the class {values[0]:g} has no name in data.yaml")
        return
    rest = np.array(values[1:])
    number = len(sample.objects) + 1
    size = np.array([facts.width, facts.height], float)
    n_more = names.n_points * names.n_values
    if len(rest) == 4 + n_more and (n_more or len(rest) == 4):
        centre, extent = rest[:2] * size, rest[2:4] * size
        made = new_object(number, label.name, [*(centre - extent / 2), *(centre + extent / 2)])
        try:
            made["keypoints"] = _points(rest[4:], names, label, size)
        except DataError as error:
            faults.add(where, str(error))
            return
    elif not n_more and len(rest) >= 6 and len(rest) % 2 == 0:
        made = _outlined(number, label.name, rest.reshape(-1, 2) * size)
    else:
        faults.add(where, f"it holds {len(values)} numbers, which fits no box, outline or pose")
        return
    wrong = box_fault(made["box"], facts)
    if wrong:
        faults.add(where, wrong)
        return
    made["box"] = _within(made["box"], facts)
    sample.objects.append(made)


def _outlined(number: int, name: str, ring: Any) -> ObjectLabel:
    box = [*ring.min(axis=0), *ring.max(axis=0)]
    made = new_object(number, name, box, abs(signed_area(ring)))
    made["polygons"] = [ring.ravel().tolist()]
    return made


def _points(values: Any, names: _Names, label: Label, size: Any) -> list[Keypoint]:
    made = []
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
        made.append(Keypoint(name=name, x=float(x), y=float(y), v=v))
    return made


def _within(box: Sequence[float], facts: ImageHeader) -> list[float]:
    """Take off what the rounding of shares added."""
    limits = (facts.width, facts.height, facts.width, facts.height)
    return [float(min(max(edge, 0.0), most)) for edge, most in zip(box, limits)]
