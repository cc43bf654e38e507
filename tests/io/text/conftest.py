"""Texts that are hard on formats, and what must hold of every one of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import SPAN, Field, Schema
from twinset.core.errors import FormatLossWarning
from twinset.io import open_writer, read_dataset
from twinset.io.formats import file_name, writable_formats
from twinset.io.text.rows import TextWriter
from twinset.io.writer import RoundTripLosses

_WITHOUT_SPACY = pytest.mark.skipif(find_spec("spacy") is None, reason="spaCy is not installed")
FORMATS = [
    pytest.param(word, marks=_WITHOUT_SPACY) if word == "spacy" else word
    for word in writable_formats("text")
]

AWKWARD = (
    ("Please refund 5.20 EUR to Zoe\u0301 Müller.", ("5.20 EUR", "Zoe\u0301 Müller")),
    ("  two  blanks\tand a tab ", ("two  blanks", "tab")),
    ("Ship it to 👩‍👩‍👧 in 🇩🇪 now 👍🏽", ("👩‍👩‍👧", "🇩🇪", "👍🏽")),
    ("שלום דני, עד מחר", ("דני", "מחר")),
    ("مرحبا بك في القاهرة", ("القاهرة",)),
    ("می‌خواهم به تهران", ("تهران",)),
    ("我想去北京明天", ("北京",)),
    ("ไปกรุงเทพ พรุ่งนี้", ("กรุงเทพ",)),
    ("first line\nsecond line\r\nthird\u2028fourth", ("second line",)),
    ('say "no" to {braces} & <b>', ('"no"', "{braces}")),
    ("# id = 7", ("7",)),
    ("-DOCSTART- is no text", ("text",)),
    ("back\\slash and a|bar and \\s", ("a|bar",)),
    ("O B-city I-city", ("B-city",)),
    ("New York City", ("New York",)),
    ("x", ("x",)),
)


def spanned(text: str, value: str, label: str) -> dict[str, Any]:
    start = text.index(value)
    return {"start": start, "end": start + len(value), "label": label, "value": value}


def text_set(rows: Sequence[tuple[str, Sequence[dict[str, Any]], str | None]]) -> Dataset:
    """A set of texts with spans, an intent, a number and a truth value that may be missing."""
    schema = Schema(
        (
            Field(name="text", kind="text", nullable=False),
            Field(name="spans", kind="spans", nullable=False),
            Field(name="label", kind="category", role="target"),
            Field(name="weight", kind="number"),
            Field(name="urgent", kind="boolean"),
        )
    )
    n = len(rows)
    table = {
        "text": pa.array([row[0] for row in rows], pa.string()),
        "spans": pa.array([list(row[1]) for row in rows], pa.list_(SPAN)),
        "label": pa.array([row[2] for row in rows], pa.string()),
        "weight": pa.array([None if i % 5 == 4 else i + 0.5 for i in range(n)], pa.float64()),
        "urgent": pa.array([[True, False, None][i % 3] for i in range(n)], pa.bool_()),
    }
    return Dataset.from_arrow(pa.table(table), schema)


@pytest.fixture
def awkward() -> Dataset:
    labels = ("ask", "no", "two words", 'a "quoted" one: #')
    return text_set(
        [
            (text, [spanned(text, v, f"kind {k}") for k, v in enumerate(values)], labels[i % 4])
            for i, (text, values) in enumerate(AWKWARD)
        ]
    )


def written(
    rows: Dataset, folder: Path, word: str, pieces: int = 1
) -> tuple[Path, RoundTripLosses]:
    """Write a set in some chunks and return where it is and what the writer says is lost."""
    path = folder / file_name("set", word)
    size = -(-len(rows) // pieces) or 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormatLossWarning)
        with open_writer(path, word) as writer:
            for start in range(0, max(len(rows), 1), size):
                writer.write(rows.slice(start, size))
    assert isinstance(writer, TextWriter)
    return path, writer.losses


def content(rows: Dataset) -> list[dict[str, Any]]:
    """Return rows as plain values, spans in the order of their places."""
    told = rows.records.to_pylist()
    for row in told:
        row["spans"] = sorted(
            row.get("spans") or (), key=lambda s: (s["start"], -s["end"], s["label"])
        )
    return told


def read_again(path: Path, rows: Dataset) -> Dataset:
    """Read a file by the schema of what was written to it, as far as it has the columns."""
    found = read_dataset(path)
    kept = [name for name in rows.schema.names if name in found.schema.names]
    return found.select(kept).with_schema(rows.schema.select(kept))
