"""The one table of file formats: their names, and where the code that reads and writes them lies.

To add a format, add an entry to `_TABLE`. Recipes, deliveries, the command line and reading follow from it.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from twinset.core.errors import UnknownNameError

FOLDER = "/"
"""Stands for folders among the endings of `Format.sniffs`."""


@dataclass(frozen=True)
class Format:
    """One format of files or folders.

    Its code lies in a module below `twinset.io`, is imported when it is used, and is named by the format:
    `sniff_<name>` (path -> the file or folder to read, None where the format is another), `read_<name>`
    and `<Name>Writer`, a subclass of `twinset.io.writer.Writer`. A reader of tables takes a path and the
    columns to read as text; one of samples (`twinset.io.vision.samples`) or of texts
    (`twinset.io.text.rows`) takes a path and `Faults`.
    """

    name: str  # in recipes and on the command line
    module: str
    read_endings: tuple[str, ...] = ()  # of files that are read without a look at the content
    sniffs: tuple[str, ...] = ()  # endings of files whose content is checked; `FOLDER` for folders
    reads: Literal["table", "samples", "texts"] = "table"
    ending: str = ""  # of what is written, without a point; `name` when empty
    is_written: bool = True
    for_tiles: bool = False  # a format that training frameworks read images in
    omits_missing: bool = False  # whether a column without any value is absent from a file
    streams: bool = False  # whether there is `stream_<name>`: path, name of the set -> chunks

    @property
    def holds(self) -> str:
        """What a set must have: any columns ("table"), a column of images, a column of texts."""
        return {"table": "table", "samples": "image", "texts": "text"}[self.reads]

    def code(self, role: Literal["sniff", "read", "stream", "Writer"]) -> Any:
        """Return a function of the format, or the class of its writer."""
        name = f"{self.name.title()}Writer" if role == "Writer" else f"{role}_{self.name}"
        return pkgutil.resolve_name(f"{__package__}.{self.module}:{name}")

    def sniff(self, path: Path) -> Path | None:
        """Return the file or folder to read if the content is of this format, else None."""
        endings = (FOLDER,) if path.is_dir() else tuple(e for e in self.sniffs if e != FOLDER)
        if not (FOLDER in self.sniffs if path.is_dir() else path.name.lower().endswith(endings)):
            return None
        found: Path | None = self.code("sniff")(path)
        return found


def _of_images(name: str, module: str, *sniffs: str) -> Format:
    return Format(name, f"vision.{module}", (), (FOLDER, *sniffs), "samples", for_tiles=True)


# Content is checked in this order: a COCO file may lie beside YOLO's data.yaml or beside masks, and a
# folder of loose files is recognised only where no other format fits.
_TABLE = (
    Format("csv", "text_tables", (".csv", ".csv.gz", ".tsv", ".tsv.gz")),
    Format("jsonl", "text_tables", (".jsonl", ".jsonl.gz", ".ndjson")),
    Format("parquet", "parquet", (".parquet", ".pq"), for_tiles=True),
    Format("feather", "parquet", (".feather", ".arrow"), is_written=False),
    Format("tfrecord", "tfrecord", (".tfrecord", ".tfrecords"), for_tiles=True, omits_missing=True),
    _of_images("webdataset", "shards"),
    _of_images("voc", "voc"),
    _of_images("yolo", "yolo"),
    _of_images("coco", "coco", ".json"),
    _of_images("masks", "masks"),
    Format(
        "conll", "text.conll", (".conll", ".bio", ".iob", ".iob2", ".bioes"), (".txt",), "texts"
    ),
    Format("bilou", "text.conll", (".bilou",), (), "texts"),
    Format("conllu", "text.conll", (".conllu",), (), "texts"),
    Format("tokens", "text.hf_tokens", (), (FOLDER, ".jsonl", ".ndjson"), "texts"),
    Format("spacy", "text.docbin", (".spacy",), (), "texts"),
    Format("rasa", "text.rasa", (".yml", ".yaml"), (), "texts", "rasa.yml"),
    Format("labelstudio", "text.label_studio", (), (FOLDER, ".json"), "texts"),
    Format(
        "meshes", "meshes", (".glb", ".obj", ".off", ".ply", ".stl"), (FOLDER,), is_written=False
    ),
    Format("images", "images", (), (FOLDER,), is_written=False, streams=True),
)


@cache
def all_formats() -> dict[str, Format]:
    """Return name -> format."""
    return {entry.name: entry for entry in _TABLE}


def writable_formats(holds: str = "") -> dict[str, Format]:
    """Return name -> format of those that can be delivered, all or those of one kind of set.

    Examples
    --------
    >>> list(writable_formats("image"))
    ['webdataset', 'voc', 'yolo', 'coco', 'masks']
    """
    return {f.name: f for f in _TABLE if f.is_written and holds in ("", f.holds)}


def writable_format(name: str, place: str = "") -> Format:
    """Return the format of that name."""
    known = writable_formats()
    if name not in known:
        raise UnknownNameError.for_name("format", name, tuple(known), place)
    return known[name]


def file_name(stem: str, format: str) -> str:  # noqa: A002
    """Return the name of a file (or folder) in a format, with the ending that its tools expect.

    Examples
    --------
    >>> file_name("train", "csv"), file_name("train", "rasa")
    ('train.csv', 'train.rasa.yml')
    """
    return f"{stem}.{all_formats()[format].ending or format}"


def find_format(path: Path) -> tuple[Format, Path] | None:
    """Return the format of a file or folder and the path to read; None where no format fits.

    The content decides first (a `.jsonl` file with tokens and tags is a text set), then the ending.
    """
    for entry in _TABLE:
        found = entry.sniff(path)
        if found is not None:
            return entry, found
    if path.is_dir():
        return None
    name = path.name.lower()
    matches = (entry for entry in _TABLE if name.endswith(entry.read_endings))
    return next(((entry, path) for entry in matches), None)
