"""Real labelled texts: SNIPS with intents and slots, and the banking intents of CLINC150."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.tabular.sets import DATA, DataAbsentError
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema

Row = dict[str, Any]
"""said, about, marks (empty where a set has no spans)."""

FOLDER = DATA.parent / "text"
DOMAINS = ("banking", "credit_cards")


def snips(part: str) -> list[Row]:
    """Return the rows of SNIPS: `part` is "train" (13,784) or "validation" (700)."""
    pattern = {"train": "train_*_full.json", "validation": "validate_*.json"}[part]
    rows = []
    for path in sorted(_folder("snips2017").glob(pattern)):
        content = path.read_bytes()
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:  # one of the files is Latin-1
            text = content.decode("latin-1")
        for intent, entries in json.loads(text).items():
            rows += [_row(intent, entry["data"]) for entry in entries]
    return rows


def banking(part: str) -> list[Row]:
    """Return the 30 banking intents of CLINC150: `part` is "train" (3,000) or "validation" (600)."""
    folder = _folder("clinc150")
    domains = json.loads((folder / "domains.json").read_text("utf-8"))
    intents = {intent for domain in DOMAINS for intent in domains[domain]}
    every = json.loads((folder / "data_full_without_test.json").read_text("utf-8"))
    pairs = every["train" if part == "train" else "val"]
    return [{"said": t, "about": i, "marks": []} for t, i in pairs if i in intents]


def some_of_each(rows: Sequence[Row], k: int, rng: np.random.Generator) -> list[Row]:
    """Return `k` rows of each intent at random, intents in the order of their names."""
    order = rng.permutation(len(rows))
    taken: dict[str, list[Row]] = {intent: [] for intent in sorted({r["about"] for r in rows})}
    for i in order:
        if len(taken[rows[i]["about"]]) < k:
            taken[rows[i]["about"]].append(rows[i])
    return [row for own in taken.values() for row in own]


def dataset(rows: Sequence[Row]) -> Dataset:
    """Return rows as a set of texts with spans and intents."""
    schema = Schema(
        (
            Field(name="said", kind="text"),
            Field(name="marks", kind="spans"),
            Field(name="about", kind="category", role="target"),
        )
    )
    columns = {name: [row[name] for row in rows] for name in schema.names}
    arrays = {n: pa.array(v, schema[n].arrow_type) for n, v in columns.items() if n != "about"}
    arrays["about"] = pa.array(columns["about"], pa.string())
    return Dataset.from_arrow(pa.table(arrays), schema)


def rows_of(made: Dataset) -> list[Row]:
    """Return a set as rows, in the words of this module whatever its columns are called."""
    names = [made.schema.of_kind(kind)[0].name for kind in ("text", "spans", "category")]
    keys = ("said", "marks", "about")
    return [{key: row[name] for key, name in zip(keys, names)} for row in made.records.to_pylist()]


def _row(intent: str, pieces: Sequence[Mapping[str, str]]) -> Row:
    said, marks = "", []
    for piece in pieces:
        start, said = len(said), said + piece["text"]
        if "entity" in piece:
            mark = {"start": start, "end": len(said), "label": piece["entity"]}
            marks.append({**mark, "value": piece["text"]})
    return {"said": said, "about": intent, "marks": marks}


def _folder(name: str) -> Any:
    folder = FOLDER / name
    if not folder.exists():
        raise DataAbsentError(f"{name} is not there; it is looked for in {folder}")
    return folder
