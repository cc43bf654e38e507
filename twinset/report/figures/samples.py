"""Samples for the eye: synthetic texts with their spans marked, and a few rows when asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for

N_TEXTS = 20
N_ROWS = 5
_GOLDEN = (5**0.5 - 1) / 2
_SHOWN = 24
_TEXT_LENGTH = 600
_CELL_LENGTH = 60


@dataclass(frozen=True)
class TextSample:
    """A text cut into (piece, label) pairs; the label is empty outside spans."""

    pieces: tuple[tuple[str, str], ...]
    caption: str = ""


@dataclass(frozen=True)
class RowSample:
    """The first rows of a set as texts."""

    series: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def text_samples(
    synthetic: Dataset, real: Sequence[Dataset], target: str | None, limit: int = N_TEXTS
) -> tuple[TextSample, ...]:
    """Return synthetic texts from all over the set, none of which stands in a real set.

    Spans are in code points, half-open; of two that overlap the earlier one is marked.
    """
    field = next(iter(synthetic.schema.of_kind("text")), None)
    if field is None or not len(synthetic):
        return ()
    texts = synthetic.records.column(field.name)
    known = [d.records.column(field.name) for d in real if field.name in d.schema.names]
    marked = next(iter(synthetic.schema.of_kind("spans")), None)
    spans = synthetic.records.column(marked.name) if marked is not None else None
    found = []
    for row in unseen_rows(texts, known)[:limit]:
        cut = spans[row].as_py() if spans is not None else None
        pieces = mark_spans(texts[row].as_py()[:_TEXT_LENGTH], cut or ())
        found.append(TextSample(pieces, label_of(synthetic, row, target)))
    return tuple(found)


def unseen_rows(values: pa.ChunkedArray, known: Sequence[pa.ChunkedArray]) -> list[int]:
    """Return rows from all over `values` whose value is neither missing nor among the known ones.

    Examples
    --------
    >>> unseen_rows(pa.chunked_array([["a", "b", None]]), [pa.chunked_array([["b"]])])
    [0]
    """
    rows = spread_rows(len(values))
    looked_at = values.take(pa.array(rows, pa.int64())).combine_chunks()
    unfit = np.asarray(pc.is_null(looked_at).to_numpy(zero_copy_only=False))
    for chunk in (chunk for column in known for chunk in column.chunks):
        hits = pc.is_in(looked_at, value_set=chunk)
        unfit |= np.asarray(hits.to_numpy(zero_copy_only=False))
    return [row for row, bad in zip(rows, unfit) if not bad]


def mark_spans(text: str, spans: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Cut `text` at its spans into (piece, label) pairs.

    Examples
    --------
    >>> mark_spans("call Ann now", [{"start": 5, "end": 8, "label": "name"}])
    (('call ', ''), ('Ann', 'name'), (' now', ''))
    """
    pieces, at = [], 0
    for span in sorted(spans, key=lambda s: (s["start"], -s["end"])):
        start, end = span["start"], min(span["end"], len(text))
        if start < at or start >= end:
            continue
        if start > at:
            pieces.append((text[at:start], ""))
        pieces.append((text[start:end], str(span["label"])))
        at = end
    if at < len(text):
        pieces.append((text[at:], ""))
    return tuple(pieces)


def row_samples(sets: Mapping[str, Dataset], limit: int = N_ROWS) -> tuple[RowSample, ...]:
    """Return the first rows of every given set, as texts cut to table cells."""
    return tuple(
        RowSample(
            series=series,
            columns=dataset.schema.names,
            rows=tuple(
                tuple(_cell(record[name]) for name in dataset.schema.names)
                for record in dataset.slice(0, limit).without_reserved().records.to_pylist()
            ),
        )
        for series, dataset in sets.items()
    )


def spread_rows(n: int, most: int = 240) -> list[int]:
    """Return up to `most` row positions spread evenly over `n` rows, and so the first few of them.

    Each is moved a little at random, always the same: even steps fall in with a rhythm of the rows, and
    of labels that take turns they would show one alone.

    Examples
    --------
    >>> sorted(spread_rows(4)), len(spread_rows(9_000))
    ([0, 1, 2, 3], 240)
    """
    rng = rng_for(0, "rows for the eye")
    # Steps of the golden ratio: the first few are spread as all are, but for the random move.
    at = np.arange(2 * most) * _GOLDEN + rng.random(2 * most) / _SHOWN
    spread = (np.modf(at)[0] * n).astype(int).tolist()
    return list(dict.fromkeys([*spread, *range(min(n, most))]))[:most]


def label_of(dataset: Dataset, row: int, target: str | None) -> str:
    """Return the row's label when the target is a category, else an empty text."""
    if target is None or target not in dataset.schema.names:
        return ""
    if not dataset.schema[target].has_levels:
        return ""
    value = dataset.records.column(target)[row].as_py()
    return "" if value is None else str(value)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict) and "bytes" in value:
        return f"{len(value['bytes'] or b''):,} bytes"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _CELL_LENGTH else text[: _CELL_LENGTH - 1] + "…"
