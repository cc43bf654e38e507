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


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format of files or folders.

    Code is named as "module:object" below `twinset.io` and imported when it is used.

    Parameters
    ----------
    name : str
        Its name in recipes and on the command line.
    ending : str
        Ending of what is written, without a point; `name` when empty.
    read_endings : tuple of str
        Endings that are read without a look at the content.
    holds : {"table", "image", "text"}
        What a set must have: any columns, a column of images, a column of texts.
    for_tiles : bool
        Whether `twinset tiles` writes it: a format that training frameworks read images in.
    omits_missing : bool
        Whether a column without any value is absent from a file.
    sniffs : tuple of str
        Endings of files whose content is checked by `sniffer`; `FOLDER` for folders.
    sniffer : str
        Function: path -> the file or folder to read, None where the format is another.
    table_reader : str
        Function: path, columns to read as text -> table without a schema.
    sample_reader : str
        Function: path, `Faults` -> generator of the annotated images (`twinset.io.vision.samples`).
    text_reader : str
        Function: path, `Faults` -> labelled texts (`twinset.io.text.rows`).
    chunk_reader : str
        Function: path, name -> chunks of a set, for formats with a `table_reader` that can be streamed.
    writer : str
        Subclass of `twinset.io.writer.Writer`.
    """

    name: str
    ending: str = ""
    read_endings: tuple[str, ...] = ()
    holds: Literal["table", "image", "text"] = "table"
    for_tiles: bool = False
    omits_missing: bool = False
    sniffs: tuple[str, ...] = ()
    sniffer: str = ""
    table_reader: str = ""
    sample_reader: str = ""
    text_reader: str = ""
    chunk_reader: str = ""
    writer: str = ""

    def sniff(self, path: Path) -> Path | None:
        """Return the file or folder to read if the content is of this format, else None."""
        endings = (FOLDER,) if path.is_dir() else tuple(e for e in self.sniffs if e != FOLDER)
        if not (FOLDER in self.sniffs if path.is_dir() else path.name.lower().endswith(endings)):
            return None
        found: Path | None = load(self.sniffer)(path)
        return found


def load(reference: str) -> Any:
    """Return the object that a reference of a `Format` names."""
    return pkgutil.resolve_name(f"{__package__}.{reference}")


def _image_format(name: str, home: str, sniffs: tuple[str, ...] = (FOLDER,)) -> Format:
    return Format(
        name=name,
        holds="image",
        for_tiles=True,
        sniffs=sniffs,
        sniffer=f"vision.{home}:sniff_{name}",
        sample_reader=f"vision.{home}:read_{name}",
        writer=f"vision.{home}:{name.title()}Writer",
    )


# Content is checked in this order: a COCO file may lie beside YOLO's data.yaml or beside masks, and a
# folder of loose files is recognised only where no other format fits.
_TABLE = (
    Format(
        name="csv",
        read_endings=(".csv", ".csv.gz", ".tsv", ".tsv.gz"),
        table_reader="text_tables:read_csv",
        writer="text_tables:CsvWriter",
    ),
    Format(
        name="jsonl",
        read_endings=(".jsonl", ".jsonl.gz", ".ndjson"),
        table_reader="text_tables:read_jsonl",
        writer="text_tables:JsonlWriter",
    ),
    Format(
        name="parquet",
        read_endings=(".parquet", ".pq"),
        for_tiles=True,
        table_reader="parquet:read_parquet",
        writer="parquet:ParquetSetWriter",
    ),
    Format(
        name="feather", read_endings=(".feather", ".arrow"), table_reader="parquet:read_feather"
    ),
    Format(
        name="tfrecord",
        read_endings=(".tfrecord", ".tfrecords"),
        for_tiles=True,
        omits_missing=True,
        table_reader="tfrecord:read_tfrecord",
        writer="tfrecord:TFRecordWriter",
    ),
    _image_format("webdataset", "shards"),
    _image_format("voc", "voc"),
    _image_format("yolo", "yolo"),
    _image_format("coco", "coco", (FOLDER, ".json")),
    _image_format("masks", "masks"),
    Format(
        name="conll",
        read_endings=(".conll", ".bio", ".iob", ".iob2", ".bioes"),
        holds="text",
        sniffs=(".txt",),
        sniffer="text.conll:sniff_conll",
        text_reader="text.conll:read_conll",
        writer="text.conll:ConllWriter",
    ),
    Format(
        name="bilou",
        read_endings=(".bilou",),
        holds="text",
        text_reader="text.conll:read_conll",
        writer="text.conll:ConllWriter",
    ),
    Format(
        name="conllu",
        read_endings=(".conllu",),
        holds="text",
        text_reader="text.conll:read_conllu",
        writer="text.conll:ConllWriter",
    ),
    Format(
        name="tokens",
        holds="text",
        sniffs=(FOLDER, ".jsonl", ".ndjson"),
        sniffer="text.hf_tokens:sniff_tokens",
        text_reader="text.hf_tokens:read_tokens",
        writer="text.hf_tokens:TokensWriter",
    ),
    Format(
        name="spacy",
        read_endings=(".spacy",),
        holds="text",
        text_reader="text.docbin:read_docbin",
        writer="text.docbin:DocBinWriter",
    ),
    Format(
        name="rasa",
        ending="rasa.yml",
        read_endings=(".yml", ".yaml"),
        holds="text",
        text_reader="text.rasa:read_rasa",
        writer="text.rasa:RasaWriter",
    ),
    Format(
        name="labelstudio",
        holds="text",
        sniffs=(FOLDER, ".json"),
        sniffer="text.label_studio:sniff_label_studio",
        text_reader="text.label_studio:read_label_studio",
        writer="text.label_studio:LabelStudioWriter",
    ),
    Format(
        name="meshes",
        read_endings=(".glb", ".obj", ".off", ".ply", ".stl"),
        sniffs=(FOLDER,),
        sniffer="meshes:sniff_meshes",
        table_reader="meshes:read_meshes",
    ),
    Format(
        name="images",
        holds="image",
        sniffs=(FOLDER,),
        sniffer="images:sniff_images",
        table_reader="images:read_image_folder",
        chunk_reader="images:stream_image_set",
    ),
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
    return {f.name: f for f in _TABLE if f.writer and holds in ("", f.holds)}


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
