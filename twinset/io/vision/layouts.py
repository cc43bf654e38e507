"""Which format a folder of annotated images is in, and its one way into a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Label
from twinset.core.errors import DataError
from twinset.io.vision.coco import is_coco, read_coco
from twinset.io.vision.faults import Faults, OnFault
from twinset.io.vision.masks import MASK_FOLDERS, has_maps, read_masks
from twinset.io.vision.samples import Sample, Samples, settle_extras, to_dataset, whole_row
from twinset.io.vision.shards import read_shards
from twinset.io.vision.voc import read_voc
from twinset.io.vision.yolo import read_yolo

_READERS: dict[str, Callable[[Path, Faults], Samples]] = {
    "coco": read_coco,
    "yolo": read_yolo,
    "voc": read_voc,
    "masks": read_masks,
    "webdataset": read_shards,
}


def find_layout(path: Path) -> tuple[str, Path] | None:
    """Return the format of a folder (or COCO file) and where to read it; None when it is no such one.

    Raises
    ------
    DataError
        The folder holds several COCO files, and nobody said which.
    """
    if path.is_file():
        return ("coco", path) if path.suffix.lower() == ".json" and is_coco(path) else None
    if not path.is_dir():
        return None
    if any(path.glob("*.tar")):
        return "webdataset", path
    annotations = path / "Annotations"
    if annotations.is_dir() and any(annotations.glob("*.xml")):
        return "voc", path
    if (path / "data.yaml").is_file() and (path / "images").is_dir():
        return "yolo", path
    found = [
        f
        for place in (path, path / "annotations")
        for f in sorted(place.glob("*.json"))
        if is_coco(f)
    ]
    if len(found) > 1:
        raise DataError(
            f"the folder '{path}' holds several COCO files",
            got=", ".join(f.relative_to(path).as_posix() for f in found[:6]),
            todo="give the path of one of them",
        )
    if found:
        return "coco", found[0]
    if (path / "images").is_dir() and any(has_maps(path / name) for name in MASK_FOLDERS):
        return "masks", path
    if (path / "images").is_dir() and _has_lines(path / "labels"):
        return "yolo", path
    return None


def read_layout(layout: str, path: Path, name: str, on_fault: OnFault = "stop") -> Dataset:
    """Return an annotated set as a table: image, instances, objects and what else the format tells.

    Parameters
    ----------
    layout : {"coco", "yolo", "voc", "masks", "webdataset"}
        The format, as `find_layout` returns it.
    path : Path
        Where to read it, from the same place.
    name : str
        Name of the set.
    on_fault : {"stop", "skip"}
        Whether faults end the reading, or what they concern is left out and noted on the card.

    Raises
    ------
    DataError
        Something cannot be used; all faults are told with file and line.
    """
    faults = Faults(on_fault)
    samples: list[Sample] = []
    labels = _each(_READERS[layout](path, faults), samples.append)
    settle_extras(samples, faults)
    notes = faults.settle(f"the {layout} set '{name}'")
    return to_dataset(samples, labels, name, notes)


def stream_layout(
    layout: str, path: Path, name: str, on_fault: OnFault = "stop"
) -> Iterator[Dataset]:
    """Yield the rows of `read_layout` one at a time: memory holds all labels, and one picture.

    Every file is read twice, first to find all faults and what the columns are.

    Parameters
    ----------
    layout, path, name, on_fault
        As in `read_layout`.

    Raises
    ------
    DataError
        Something cannot be used; all faults are told with file and line, before the first row.
    """
    faults = Faults(on_fault)
    outlines: list[Sample] = []
    labels = _each(
        _READERS[layout](path, faults),
        lambda s: outlines.append(replace(s, data=b"", map_data=s.map_data and b"")),
    )
    settle_extras(outlines, faults)
    notes = faults.settle(f"the {layout} set '{name}'")
    if any(outline.map_data is not None for outline in outlines):
        for outline in outlines:
            outline.map_data = b""
    whole = to_dataset(outlines, labels, name, notes)
    again = _READERS[layout](path, Faults("skip"))
    for sample, outline in zip(again, outlines):
        row = whole_row(replace(sample, extras=outline.extras), whole.schema)
        yield Dataset.from_arrow(row, whole.schema, whole.card)


def _each(samples: Samples, take: Callable[[Sample], None]) -> list[Label]:
    """Hand over every sample; return the labels that come in the end."""
    while True:
        try:
            sample = next(samples)
        except StopIteration as end:
            return list(end.value)
        take(sample)


def _has_lines(folder: Path) -> bool:
    return folder.is_dir() and any(folder.rglob("*.txt"))
