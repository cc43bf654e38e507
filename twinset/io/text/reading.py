"""Read a file of labelled texts into a table: text, spans and other columns."""

from __future__ import annotations

from pathlib import Path

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError
from twinset.io.text.rows import LABEL, Row, to_dataset
from twinset.io.vision.faults import Faults, OnFault


def read_text_set(format: str, path: Path, name: str, on_fault: OnFault = "stop") -> Dataset:  # noqa: A002
    """Return labelled texts as a table: text, spans, and what else the format tells.

    Parameters
    ----------
    format : {"conll", "conllu", "tokens", "spacy", "rasa", "labelstudio"}
        Its name.
    path : Path
        The file to read.
    name : str
        Name of the set.
    on_fault : {"stop", "skip"}
        Whether faults end the reading, or rows with faults are left out and noted on the card.

    Raises
    ------
    DataError
        Something cannot be used; the error lists all faults with file and line.
    """
    from twinset.io.text.conll import read_conll
    from twinset.io.text.docbin import read_docbin
    from twinset.io.text.hf_tokens import read_tokens
    from twinset.io.text.label_studio import read_label_studio
    from twinset.io.text.rasa import read_rasa

    if path.stat().st_size == 0:
        raise DataError(f"the file '{path}' is empty", todo="give a file with at least one text")
    faults = Faults(on_fault)
    rows: list[Row]
    notes, label, has_spans = tuple[str, ...](), "", True
    if format in ("conll", "conllu"):
        rows = read_conll(_text(path), path.name, faults, is_conllu=format == "conllu")
    elif format == "tokens":
        rows = read_tokens(path, faults)
    elif format == "spacy":
        rows, label = read_docbin(path)
    elif format == "rasa":
        rows, notes = read_rasa(_text(path), path.name, faults)
        label, has_spans = LABEL, any(row.spans for row in rows)
    else:
        rows, notes, label = read_label_studio(path, faults)
    notes += faults.settle(f"the {format} set '{name}'")
    return to_dataset(rows, name, notes, has_spans=has_spans, label=label)


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"the file '{path}', line {line} is not encoded in UTF-8",
            todo=f"convert it, e.g.: iconv -f WINDOWS-1252 -t UTF-8 '{path.name}' > "
            f"'utf8-{path.name}'",
        ) from None
