"""Real texts to plant faults into: SNIPS with intents and slots, SMS with ham and spam."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.tabular.sets import DATA, DataAbsentError
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema

Row = dict[str, Any]
"""said, about, and where the set has spans: marks."""

_SIZES = {"snips": (4_000, 2_000, 4_000), "sms": (2_200, 1_100, 2_200)}


@dataclass(frozen=True)
class TextCut:
    """Three disjoint random parts of a set: train, fresh rows, and a holdout."""

    train: list[Row]
    fresh: list[Row]
    holdout: list[Row]

    @classmethod
    def of(cls, name: str, seed: int) -> TextCut:
        """Return the parts of a set for one seed."""
        rows = every_text(name)
        order = np.random.default_rng(seed).permutation(len(rows))
        ends = np.cumsum(_SIZES[name])
        parts = [[rows[i] for i in part] for part in np.split(order, ends)[:3]]
        return cls(*parts)


def dataset(rows: Sequence[Row]) -> Dataset:
    """Return rows as a set of texts with their label and, where they have them, spans."""
    fields = [Field(name="said", kind="text"), Field(name="about", kind="category")]
    if "marks" in rows[0]:
        fields.append(Field(name="marks", kind="spans"))
    schema = Schema(tuple(fields))
    names = list(schema.names)
    table = pa.Table.from_pylist([{name: row[name] for name in names} for row in rows])
    return Dataset.from_arrow(table, schema)


@cache
def every_text(name: str) -> list[Row]:
    """Return all rows of a set, which nobody may change: they are read once.

    Raises
    ------
    DataAbsentError
        The files are not there.
    """
    folder = DATA.parent / "text" / {"snips": "snips2017", "sms": "sms-spam"}[name]
    if not folder.exists():
        raise DataAbsentError(f"{name} is not there; it is looked for in {folder}")
    if name == "sms":
        lines = (folder / "sms.tsv").read_text("utf-8").splitlines()[1:]  # the first is a header
        pairs = [line.split("\t", 1) for line in lines if "\t" in line]
        return [{"said": text, "about": label} for label, text in pairs]
    rows = []
    for path in sorted(folder.glob("train_*_full.json")):
        content = path.read_bytes()
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:  # one of the seven files is Latin-1
            text = content.decode("latin-1")
        for intent, entries in json.loads(text).items():
            rows += [_marked(intent, entry["data"]) for entry in entries]
    return rows


def _marked(intent: str, pieces: Sequence[dict[str, str]]) -> Row:
    said, marks = "", []
    for piece in pieces:
        start = len(said)
        said += piece["text"]
        if "entity" in piece:
            mark = {"start": start, "end": len(said), "label": piece["entity"]}
            marks.append({**mark, "value": piece["text"]})
    return {"said": said, "about": intent, "marks": marks}
