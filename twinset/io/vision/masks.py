"""Masks: a folder of images beside a folder of id maps with the same names."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from twinset.core.data.schema import Label
from twinset.core.errors import DataError
from twinset.core.image.instance_maps import objects_from_ids
from twinset.io.faults import Faults
from twinset.io.files import read_whole
from twinset.io.vision.samples import IMAGE_ENDINGS, ImageRow, LayoutWriter, Samples, read_image
from twinset.io.writer import Target

_FOLDERS = ("masks", "labels", "instances")
_ONLY_CLASS = "object"  # category of all objects without an `objects.csv`

_MAPS = (".png", ".tif", ".tiff")


def read_masks(folder: Path, faults: Faults) -> Samples:
    """Yield the samples of a folder of masks in the order of its images' names; return its classes.

    `objects.csv` (columns image, id, category) states the classes; without it all objects are of the class
    "object". With it, an image without a map that it does not name has no objects.
    """
    maps = next(folder / name for name in _FOLDERS if _has_maps(folder / name))
    categories = _categories(folder)
    names: set[str] = set()
    stems = {p.stem for p in (folder / "images").iterdir() if p.suffix.lower() in IMAGE_ENDINGS}
    for own in sorted(p for p in maps.iterdir() if p.suffix.lower() in _MAPS):
        if own.stem not in stems:
            faults.add(f"{maps.name}/{own.name}", "there is no image of its name in images/")
    for image in sorted((folder / "images").iterdir(), key=lambda p: p.name):
        if image.suffix.lower() not in IMAGE_ENDINGS:
            continue
        sample = read_image(folder, f"images/{image.name}", faults)
        if sample is None:
            continue
        file = next((f for e in _MAPS if (f := maps / f"{image.stem}{e}").is_file()), None)
        if file is not None:
            with faults.caught(f"{maps.name}/{file.name}"):
                ids = sample.read_map(read_whole(file))
                if categories is None:
                    known = dict.fromkeys(set(ids.ravel().tolist()) - {0}, _ONLY_CLASS)
                else:
                    known = dict(categories.get(image.name, {}))
                sample.objects = objects_from_ids(ids, known)
                sample.keep_map(ids)
                names |= {item["category"] for item in sample.objects}
                yield sample
        elif categories is not None and image.name not in categories:
            sample.keep_map(np.zeros(sample.shape, np.uint16))
            yield sample
        else:
            faults.add(f"images/{image.name}", f"there is no map of its name in {maps.name}/")
    return [Label(name) for name in sorted(names)]


def sniff_masks(path: Path) -> Path | None:
    """Return a folder of images with a folder of id maps."""
    has_masks = (path / "images").is_dir() and any(_has_maps(path / name) for name in _FOLDERS)
    return path if has_masks else None


def _has_maps(folder: Path) -> bool:
    """Return whether a folder has files that may be id maps, or belongs to an `objects.csv`."""
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


class MasksWriter(LayoutWriter):
    """Writes `images/`, `masks/` with the id maps as they are, and `objects.csv` with their classes."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._rows: list[tuple[str, int, str]] = []

    def put(self, image: ImageRow) -> None:
        """Write one image."""
        if image.map_data is None:
            raise DataError(
                f"row {image.number} has no id map, so there is no mask to write",
                todo="write coco, yolo or voc instead",
            )
        self.save(f"images/{image.name}", image.data)
        self.save(f"masks/{image.stem}{image.map_ending}", image.map_data)
        self._rows += [(image.name, item["id"], item["category"]) for item in image.objects]

    def finish(self) -> None:
        """Write the classes of all objects."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerows([("image", "id", "category"), *self._rows])
        self.save("objects.csv", text.getvalue().encode())
