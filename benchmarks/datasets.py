"""Real data of the benchmarks: the folder where it lies, and texts and images read from it.

Nothing of it is distributed with the repository; ``shared/data/SOURCES.md`` says where it comes from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.image.codec import encode_png
from twinset.io import read_dataset

DATA = Path(os.environ.get("TWINSET_SHARED") or Path(__file__).parents[2] / "shared") / "data"
BANKING_DOMAINS = ("banking", "credit_cards")

# A text with its fields said, about (the label) and marks (spans, empty where a set has none).
TextRow = dict[str, Any]


class DataAbsentError(FileNotFoundError):
    """A data folder is absent; the message says where it belongs."""


def data_folder(*parts: str, root: Path = DATA) -> Path:
    folder = root.joinpath(*parts)
    if not folder.exists():
        raise DataAbsentError(
            f"The data is absent: expected {folder}. Put the folder 'data' into shared/ beside the "
            "repository, or name its parent by TWINSET_SHARED."
        )
    return folder


@cache
def snips(part: str) -> list[TextRow]:
    """Return the commands of SNIPS with intents and slots: "train" (13,784) or "validation" (700)."""
    pattern = {"train": "train_*_full.json", "validation": "validate_*.json"}[part]
    rows = []
    for path in sorted(data_folder("text", "snips2017").glob(pattern)):
        content = path.read_bytes()
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:  # one of the files is Latin-1
            text = content.decode("latin-1")
        for intent, entries in json.loads(text).items():
            rows += [_joined(intent, entry["data"]) for entry in entries]
    return rows


def _joined(intent: str, pieces: Sequence[Mapping[str, str]]) -> TextRow:
    said, marks = "", []
    for piece in pieces:
        start, said = len(said), said + piece["text"]
        if "entity" in piece:
            mark = {"start": start, "end": len(said), "label": piece["entity"]}
            marks.append({**mark, "value": piece["text"]})
    return {"said": said, "about": intent, "marks": marks}


@cache
def banking(part: str) -> list[TextRow]:
    """Return the 30 banking intents of CLINC150: "train" (3,000) or "validation" (600)."""
    folder = data_folder("text", "clinc150")
    domains = json.loads((folder / "domains.json").read_text("utf-8"))
    intents = {intent for domain in BANKING_DOMAINS for intent in domains[domain]}
    every = json.loads((folder / "data_full_without_test.json").read_text("utf-8"))
    pairs = every["train" if part == "train" else "val"]
    return [{"said": t, "about": i, "marks": []} for t, i in pairs if i in intents]


@cache
def sms() -> list[TextRow]:
    """Return the short messages with the labels ham and spam; they have no spans."""
    lines = (data_folder("text", "sms-spam") / "sms.tsv").read_text("utf-8").splitlines()
    pairs = [line.split("\t", 1) for line in lines[1:] if "\t" in line]  # the first is a header
    return [{"said": text, "about": label} for label, text in pairs]


def blood_cells() -> Dataset:
    """Return the blood smears, 640 by 480 pixels, with boxes of RBC, WBC and Platelets."""
    rows = read_dataset(data_folder("vision", "bccd", "BCCD"), on_fault="skip")
    names = [rows.schema.of_kind(kind)[0].name for kind in ("image", "boxes")]
    return rows.select(names).without_reserved()


def text_dataset(rows: Sequence[TextRow], *, target: bool = True) -> Dataset:
    """Return rows as a dataset of texts with their label and, where they have them, spans."""
    label = Field(name="about", kind="category", role="target" if target else "feature")
    fields = [Field(name="said", kind="text"), label]
    if "marks" in rows[0]:
        fields.insert(1 if target else 2, Field(name="marks", kind="spans"))
    types = {f.name: pa.string() if f.name == "about" else f.arrow_type for f in fields}
    columns = {name: pa.array([row[name] for row in rows], t) for name, t in types.items()}
    return Dataset.from_arrow(pa.table(columns), Schema(tuple(fields)))


def text_rows(data: Dataset) -> list[TextRow]:
    """Return a dataset as rows with the fields of this module, whatever its columns are called."""
    names = [data.schema.of_kind(kind)[0].name for kind in ("text", "spans", "category")]
    keys = ("said", "marks", "about")
    return [{key: row[name] for key, name in zip(keys, names)} for row in data.records.to_pylist()]


def png_cell(pixels: npt.NDArray[Any]) -> dict[str, Any]:
    return {"bytes": encode_png(np.ascontiguousarray(pixels)), "path": None}


def with_column(rows: Dataset, name: str, column: pa.Array) -> Dataset:
    """Return a dataset with the cells of one column replaced."""
    place = rows.records.schema.get_field_index(name)
    records = rows.records.set_column(place, name, pa.chunked_array([column]))
    return Dataset(records, rows.schema, rows.card)
