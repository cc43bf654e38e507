"""Speed of noise on texts, whether spans hold in 100,000 rows of many scripts, and what rates mean.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.text.noise

Sentences of a dozen frames take values in eight scripts, with emoji of several parts and combining
marks; three spans a row. Seconds are those of one processor, draw, apply and parents included, medians
of seven passes. Writes the first half of NOISE.md; `benchmarks.text.augmenters` writes the second.
"""

from __future__ import annotations

import hashlib
import importlib
import platform
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from twinset.core.contracts import Augmenter
from twinset.core.data.dataset import Dataset
from twinset.core.data.hashing import scramble
from twinset.core.data.schema import SPAN, Field, Schema
from twinset.core.seeding import rng_for

NOISE: Any = importlib.import_module("twinset.augment.text.noise")
INSIDE: Any = importlib.import_module("twinset.augment.text._ground")
READING: Any = importlib.import_module("twinset.augment.text._rows")
NOISES: tuple[str, ...] = NOISE.NOISES

PAGE = Path(__file__).with_name("NOISE.md")
REPEATS, ROWS, CHUNK = 7, 16_384, 4_096
HARD_ROWS = 100_000

FRAMES = (
    "Please send {thing} to {name} in {city} as soon as possible, thank you.",
    "I do not know where {name} put {thing}; is it in {city}?",
    "{name} is waiting for {thing}, which should have been in {city} before tomorrow!",
    "It is too late: {thing} went to {city}, and {name} will not be there for a week.",
    "Your order of {thing} for {name} ({city}) has been received.",
    "Can you let me know whether {name} from {city} has paid for {thing}?",
)
VALUES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "plain": {
        "name": ("Anna Miller", "Zoë Müller", "J. O'Brien", "Renée Dupont"),
        "city": ("New York", "Köln", "São Paulo", "Bath"),
        "thing": ("2 kettles", "the desk lamp", "order AB-1234", "a tent for two"),
    },
    "hard": {
        "name": ("שָׁרָה כֹּהֵן", "محمد علي", "Zoe\u0308 Mu\u0308ller", "김철수", "प्रिया क्षेत्री",
                 "Ελένη", "👩‍🚀 Ada"),
        "city": ("תֵּל אָבִיב", "القاهرة", "São Paulo", "東京", "मुंबई", "Łódź", "🇩🇪 Köln"),
        "thing": ("👨‍👩‍👧‍👦 tickets", "1️⃣ kettle 👍🏽", "cafe\u0301 cre\u0300me", "🏳️‍🌈", "é", "2 ｶﾞｽ", "x"),
    },
}  # fmt: skip
SCHEMA = Schema((Field(name="text", kind="text"), Field(name="spans", kind="spans")))


def texts(kind: str, n: int) -> Dataset:
    """Return labelled texts with ids."""
    rng, words = rng_for(0, "noise", kind), VALUES[kind]
    strings, marks = [], []
    for _ in range(n):
        text, own = "", list[dict[str, object]]()
        for literal, slot in _pieces(FRAMES[rng.integers(len(FRAMES))]):
            text += literal
            if slot:
                value = words[slot][int(rng.integers(len(words[slot])))]
                own.append(
                    {
                        "start": len(text),
                        "end": len(text) + len(value),
                        "label": slot,
                        "value": value,
                    }
                )
                text += value
        strings.append(text)
        marks.append(own)
    table = pa.table({"text": strings, "spans": pa.array(marks, pa.list_(SPAN))})
    return Dataset.from_arrow(table, SCHEMA).with_reserved(ids=[f"row-{k}" for k in range(n)])


def _pieces(frame: str) -> list[tuple[str, str]]:
    parts = frame.replace("}", "{").split("{")
    return list(zip(parts[::2], [*parts[1::2], ""]))


def vary(noise: Augmenter, data: Dataset, seed: int = 0, chunk: int = CHUNK) -> list[Dataset]:
    """Return the noisy chunks."""
    made = []
    for first in range(0, len(data), chunk):
        part = data.slice(first, chunk)
        made.append(noise.apply(part, noise.draw(part, rng_for(seed, "noise", first))))
    return made


def rows_per_second(noise: Augmenter, data: Dataset) -> float:
    """Return the rows that one processor second makes, median of seven passes."""
    seconds = []
    for repeat in range(REPEATS + 1):
        start = time.process_time()
        vary(noise, data, repeat)
        seconds.append(time.process_time() - start)
    return len(data) / statistics.median(seconds[1:])


def speed_table() -> list[str]:
    """Return how fast texts get noise."""
    off = dict.fromkeys(NOISES, 0.0)
    known = {"synonyms": {"tomorrow": ["the next day"], "week": ["fortnight"]}}
    every = dict.fromkeys(NOISES, 0.05) | known | {"protect": "none"}
    cases: list[tuple[str, dict[str, Any]]] = [
        ("no noise: read and written back", off),
        ("as it comes", {}),
        ("every kind at .05, nothing protected", every),
        ("every kind at .3, nothing protected", every | dict.fromkeys(NOISES, 0.3)),
    ]
    lines = ["| noise | texts | rows per CPU-second |", "|---|---|---|"]
    for title, settings in cases:
        for kind in VALUES:
            found = rows_per_second(NOISE.Noise(**settings), texts(kind, ROWS))
            lines.append(f"| {title} | {kind} | {found:,.0f} |")
    return lines


def span_table() -> list[str]:
    """Return how many of 100,000 hard rows keep their spans."""
    data = texts("hard", HARD_ROWS)
    lines = [
        "| protect | rows | spans | text[start:end] == value | empty | values changed | rows changed |",
        "|---|---|---|---|---|---|---|",
    ]
    before = data.records.to_pylist()
    for protect in ("entities", "values", "none"):
        noise = NOISE.Noise(**dict.fromkeys(NOISES, 0.1) | {"protect": protect})
        after = [row for part in vary(noise, data) for row in part.records.to_pylist()]
        count: Counter[str] = Counter()
        for old, new in zip(before, after):
            count["rows"] += old["text"] != new["text"]
            for one, other in zip(old["spans"], new["spans"], strict=True):
                count["spans"] += 1
                count["right"] += new["text"][other["start"] : other["end"]] == other["value"]
                count["empty"] += other["end"] <= other["start"]
                count["changed"] += one["value"] != other["value"]
        share = count["right"] / count["spans"]
        lines.append(
            f"| {protect} | {len(after):,} | {count['spans']:,} | {share:.4%} | {count['empty']} | "
            f"{count['changed'] / count['spans']:.1%} | {count['rows'] / len(after):.1%} |"
        )
    return lines


def rate_table(rate: float = 0.1) -> list[str]:
    """Return the share of touched units of each kind by itself, in 32,768 plain and hard rows."""
    known = {"synonyms": {"tomorrow": ["the next day"], "week": ["fortnight"]}}
    noise = NOISE.Noise(protect="none", **known)
    lines = ["| kind | units | touched |", "|---|---|---|"]
    parts = [READING.TextRows.from_dataset(texts(kind, ROWS)).marked for kind in VALUES]
    for salt, (name, plan) in enumerate(noise.plans()):
        units = touched = 0
        for k, part in enumerate(parts):
            keys = np.arange(len(part), dtype=np.uint64) + np.uint64(k * ROWS)
            ground = INSIDE.Ground(part, scramble(keys), "none")
            units += len(plan(ground, 1.0, 2 * salt))
            touched += len(plan(ground, rate, 2 * salt))
        lines.append(f"| {name} | {units:,} | {touched / units:.4f} |")
    return lines


def digest(chunk: int) -> str:
    """Return what 8,192 hard rows hash to when they are made in chunks of this size, of equal seeds."""
    data = texts("hard", 8_192)
    noise = NOISE.Noise(**dict.fromkeys(NOISES, 0.1) | {"protect": "none"})
    seeds = noise.draw(data, rng_for(1, "noise"))["seed"]
    sink = hashlib.sha256()
    for first in range(0, len(data), chunk):
        made = noise.apply(data.slice(first, chunk), {"seed": seeds[first : first + chunk]})
        for row in made.records.to_pylist():
            sink.update(repr(row).encode())
    return sink.hexdigest()


def main() -> None:
    """Measure and write the page."""
    same = len({digest(chunk) for chunk in (8_192, 1_000, 77)}) == 1
    made = [f"Python {platform.python_version()}"]
    made += [f"{name} {version(name)}" for name in ("numpy", "pyarrow")]
    page = [
        "# Noise on labelled texts",
        "",
        f"{', '.join(made)}; one thread, processor seconds. Made by `python -m benchmarks.text.noise`.",
        "",
        f'## Speed\n\nTexts of 70 to 90 characters with three spans, chunks of {CHUNK:,}; "hard" ones hold '
        "Hebrew, Arabic, Devanagari, Hangul and emoji. Goal: 10,000.",
        "",
        *speed_table(),
        "",
        "## Spans\n\nEvery kind of noise at .1.",
        "",
        *span_table(),
        "",
        "## What a rate means\n\nShare of its units that each kind touches at a rate of .1.",
        "",
        *rate_table(),
        "",
        "## Same bytes\n\n8,192 rows made at once, by 1,000 and by 77 "
        + ("are the same, byte for byte." if same else "are NOT the same."),
        "",
    ]
    rest = PAGE.read_text(encoding="utf-8").partition("\n# Do they")[2] if PAGE.exists() else ""
    PAGE.write_text("\n".join(page) + (f"\n# Do they{rest}" if rest else ""), encoding="utf-8")


if __name__ == "__main__":
    main()
