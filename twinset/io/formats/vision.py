"""Folders of annotated images: COCO, YOLO, Pascal VOC, masks and WebDataset shards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinset.core.errors import DataError
from twinset.io.formats._format import Format

if TYPE_CHECKING:
    from twinset.core.data.dataset import Dataset
    from twinset.io.vision.faults import OnFault
    from twinset.io.vision.writer import LayoutWriter


def _sniff_webdataset(path: Path) -> Path | None:
    return path if path.is_dir() and any(path.glob("*.tar")) else None


def _sniff_voc(path: Path) -> Path | None:
    annotations = path / "Annotations"
    return path if annotations.is_dir() and any(annotations.glob("*.xml")) else None


def _sniff_yolo(path: Path) -> Path | None:
    if not (path / "images").is_dir():
        return None
    if (path / "data.yaml").is_file():
        return path
    labels = path / "labels"
    has_lines = labels.is_dir() and any(labels.rglob("*.txt"))
    others = (_sniff_coco(path), _sniff_masks(path)) if has_lines else ()
    return path if has_lines and others == (None, None) else None


def _sniff_coco(path: Path) -> Path | None:
    from twinset.io.vision.coco import is_coco

    if path.is_file():
        return path if path.suffix.lower() == ".json" and is_coco(path) else None
    places = (path, path / "annotations")
    found = [f for place in places for f in sorted(place.glob("*.json")) if is_coco(f)]
    if len(found) > 1:
        raise DataError(
            f"the folder '{path}' holds several COCO files",
            got=", ".join(f.relative_to(path).as_posix() for f in found[:6]),
            todo="give the path of one of them",
        )
    return found[0] if found else None


def _sniff_masks(path: Path) -> Path | None:
    from twinset.io.vision.masks import MASK_FOLDERS, has_maps

    is_one = (path / "images").is_dir() and any(has_maps(path / name) for name in MASK_FOLDERS)
    return path if is_one else None


def _read(layout: str, path: Path, name: str, on_fault: OnFault) -> Dataset:
    from twinset.io.vision.layouts import read_layout

    return read_layout(_samples(layout), layout, path, name, on_fault)


def _stream(layout: str, path: Path, name: str, on_fault: OnFault) -> Iterator[Dataset]:
    from twinset.io.vision.layouts import stream_layout

    return stream_layout(_samples(layout), layout, path, name, on_fault)


def _samples(layout: str) -> Any:
    """Return the function that yields the samples of a layout."""
    from twinset.io.vision.coco import read_coco
    from twinset.io.vision.masks import read_masks
    from twinset.io.vision.shards import read_shards
    from twinset.io.vision.voc import read_voc
    from twinset.io.vision.yolo import read_yolo

    return {
        "coco": read_coco,
        "yolo": read_yolo,
        "voc": read_voc,
        "masks": read_masks,
        "webdataset": read_shards,
    }[layout]


@contextmanager
def _open(layout: str, path: Path, escape_formulas: bool) -> Iterator[LayoutWriter]:
    from twinset.io.files import replacing_folder
    from twinset.io.vision.coco_writing import CocoWriter
    from twinset.io.vision.folder_writing import MasksWriter, VocWriter, YoloWriter
    from twinset.io.vision.shard_writing import ShardWriter

    writers: dict[str, type[LayoutWriter]] = {
        "coco": CocoWriter,
        "yolo": YoloWriter,
        "voc": VocWriter,
        "masks": MasksWriter,
        "webdataset": ShardWriter,
    }
    with replacing_folder(path) as draft:
        writer = writers[layout](draft)
        yield writer
        writer.close()


def _layout(name: str, rank: int, sniff: Any) -> Format:
    return Format(
        name=name,
        holds="image",
        for_tiles=True,
        rank=rank,
        sniff=sniff,
        read_set=partial(_read, name),
        stream_set=partial(_stream, name),
        open=partial(_open, name),
    )


# The rank orders the tests: a COCO file may lie beside YOLO's data.yaml or beside masks.
FORMATS = (
    _layout("coco", 4, _sniff_coco),
    _layout("yolo", 3, _sniff_yolo),
    _layout("voc", 2, _sniff_voc),
    _layout("masks", 5, _sniff_masks),
    _layout("webdataset", 1, _sniff_webdataset),
)
