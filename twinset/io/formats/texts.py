"""Labelled texts: CoNLL, CoNLL-U, tokens with tags, DocBin, Rasa and Label Studio."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from twinset.core.errors import FormatLossWarning
from twinset.io.formats._format import Format

if TYPE_CHECKING:
    from twinset.core.data.dataset import Dataset
    from twinset.io.text.writer import TextWriter
    from twinset.io.vision.faults import OnFault


def _sniff_conll(path: Path) -> Path | None:
    from twinset.io.text.sniffing import has_tags

    is_text = path.is_file() and path.name.lower().endswith(".txt")
    return path if is_text and has_tags(path) else None


def _sniff_tokens(path: Path) -> Path | None:
    from twinset.io.text.hf_tokens import ROWS
    from twinset.io.text.sniffing import has_tokens

    if path.is_dir():
        return path / ROWS if (path / ROWS).is_file() else None
    is_lines = path.is_file() and path.name.lower().endswith((".jsonl", ".ndjson"))
    return path if is_lines and has_tokens(path) else None


def _sniff_label_studio(path: Path) -> Path | None:
    from twinset.io.text.label_studio import TASKS, is_label_studio

    file = path / TASKS if path.is_dir() else path
    is_one = file.is_file() and file.name.lower().endswith(".json") and is_label_studio(file)
    return file if is_one else None


def _read(format: str, path: Path, name: str, on_fault: OnFault) -> Dataset:  # noqa: A002
    from twinset.io.text.reading import read_text_set

    return read_text_set(format, path, name, on_fault)


@contextmanager
def _open(
    format: str,  # noqa: A002
    path: Path,
    escape_formulas: bool,
) -> Iterator[TextWriter]:
    from twinset.io.files import replacing, replacing_folder
    from twinset.io.text.conll_writing import ConllWriter
    from twinset.io.text.docbin import DocBinWriter
    from twinset.io.text.hf_tokens import TokensWriter
    from twinset.io.text.label_studio import LabelStudioWriter
    from twinset.io.text.rasa_writing import RasaWriter

    writers: dict[str, tuple[type[TextWriter], bool]] = {
        "conll": (ConllWriter, False),
        "bilou": (ConllWriter, False),
        "conllu": (ConllWriter, False),
        "tokens": (TokensWriter, True),
        "spacy": (DocBinWriter, False),
        "rasa": (RasaWriter, False),
        "labelstudio": (LabelStudioWriter, True),
    }
    writer_class, is_folder = writers[format]
    with replacing_folder(path) if is_folder else replacing(path) as draft:
        writer = writer_class(draft, format)
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()
    if lost := writer.losses.told():
        warnings.warn(f"{path.name}: {lost}", FormatLossWarning, stacklevel=3)


def _text(
    name: str,
    *read_endings: str,
    ending: str = "",
    sniff: Callable[[Path], Path | None] | None = None,
    read_as: str = "",
) -> Format:
    return Format(
        name=name,
        ending=ending,
        read_endings=read_endings,
        holds="text",
        rank=6,  # after the folders of images
        sniff=sniff,
        read_set=partial(_read, read_as or name),
        open=partial(_open, name),
    )


FORMATS = (
    _text("conll", ".conll", ".bio", ".iob", ".iob2", ".bioes", sniff=_sniff_conll),
    _text("bilou", ".bilou", read_as="conll"),
    _text("conllu", ".conllu"),
    _text("tokens", sniff=_sniff_tokens),
    _text("spacy", ".spacy"),
    _text("rasa", ".yml", ".yaml", ending="rasa.yml"),
    _text("labelstudio", sniff=_sniff_label_studio),
)
