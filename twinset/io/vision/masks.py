"""A folder of images beside a folder of id maps of the same names."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from twinset.core.data.schema import Label
from twinset.core.errors import DataError, TwinsetError
from twinset.core.image.codec import decode_ids
from twinset.core.image.instance_maps import objects_from_ids
from twinset.io.vision.faults import Faults
from twinset.io.vision.samples import Sample, Samples, encoded, read_image
from twinset.io.vision.yolo import PICTURES

MASK_FOLDERS = ("masks", "labels", "instances")
ONLY_CLASS = "object"
"""Category of all objects where `objects.csv` does not say it."""

_MAPS = (".png", ".tif", ".tiff")


def read_masks(folder: Path, faults: Faults) -> Samples:
    """Yield the samples of a folder of masks, by the names of its images, and its classes.

    `objects.csv` (columns image, id, category) says what the objects are; without it all of them are of
    the class "object". With it, a picture that it does not name and that has no map holds nothing.

    Raises
    ------
    DataError
        `objects.csv` lacks a column.
    """
    maps = next(folder / name for name in MASK_FOLDERS if has_maps(folder / name))
    categories = _categories(folder)
    names: set[str] = set()
    for picture in sorted((folder / "images").iterdir(), key=lambda p: p.name):
        if picture.suffix.lower() not in PICTURES:
            continue
        found = read_image(folder, f"images/{picture.name}", faults)
        if found is None:
            continue
        data, facts = found
        file = next((f for e in _MAPS if (f := maps / f"{picture.stem}{e}").is_file()), None)
        if file is None and categories is not None and picture.name not in categories:
            empty = np.zeros((facts.height, facts.width), np.uint16)
            yield Sample(f"images/{picture.name}", data, [], encoded(empty))
            continue
        if file is None:
            faults.add(f"images/{picture.name}", f"there is no map of its name in {maps.name}/")
            continue
        place = f"{maps.name}/{file.name}"
        try:
            ids = decode_ids(file.read_bytes())
            if ids.shape != (facts.height, facts.width):
                said = f"it is {ids.shape[1]} x {ids.shape[0]}, its image {facts.width} x {facts.height}"
                raise DataError(said)
            if categories is None:
                known = dict.fromkeys(set(ids.ravel().tolist()) - {0}, ONLY_CLASS)
            else:
                known = dict(categories.get(picture.name, {}))
            objects = objects_from_ids(ids, known)
        except TwinsetError as error:
            faults.add(place, str(error))
            continue
        names |= {item["category"] for item in objects}
        yield Sample(f"images/{picture.name}", data, objects, encoded(ids))
    return [Label(name) for name in sorted(names)]


def has_maps(folder: Path) -> bool:
    """Return whether a folder holds files that may be id maps, or is said to by `objects.csv`."""
    if folder.is_dir() and (folder.parent / "objects.csv").is_file():
        return True
    return folder.is_dir() and any(p.suffix.lower() in _MAPS for p in folder.iterdir())


def _categories(folder: Path) -> dict[str, Mapping[int, str]] | None:
    file = folder / "objects.csv"
    if not file.is_file():
        return None
    found: dict[str, dict[int, str]] = {}
    try:
        text = file.read_text(encoding="utf-8-sig")
        for row in csv.DictReader(io.StringIO(text, newline="")):
            name, category = row["image"], row["category"]
            if name is None or category is None:
                raise ValueError("a line is shorter than the first")
            found.setdefault(name, {})[int(row["id"])] = category
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file.name} is not UTF-8", got=str(error), todo="save it again as UTF-8"
        ) from error
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise DataError(
            f"{file.name} cannot be read",
            got=str(error),
            allowed="the columns image, id (a whole number) and category",
        ) from error
    return dict(found)
