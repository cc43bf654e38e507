"""Texts with a few words changed are found; templates with other names are not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.measurement.leakage.text_copies import find_text_copies

SCHEMA = Schema((Field(name="note", kind="text"),))
WORDS = np.array([f"word{i}" for i in range(400)])


def notes(seed: int, n: int = 200) -> list[str]:
    rng = np.random.default_rng(seed)
    rare = rng.pareto(1.0, (n, 9)) * 8
    return [" ".join(WORDS[np.minimum(row.astype(int), 399)]) for row in rare]


def templates(seed: int, n: int = 200) -> list[str]:
    """Return texts of ten templates, each with two of many names."""
    rng = np.random.default_rng(seed)
    forms = notes(7, 10)
    return [f"{forms[i % 10]} {a} {b}" for i, (a, b) in enumerate(rng.choice(WORDS, (n, 2)))]


def edit(text: str) -> str:
    """Return a text with a word in place of its third one, and one more."""
    words = text.split()
    return " ".join([*words[:2], "another", *words[3:], "please"]).upper()


def find(train: list[str], test: list[str]) -> list[tuple[int, ...]]:
    sets = [Dataset.from_arrow(pa.table({"note": part}), SCHEMA) for part in (train, test)]
    return [leak.at for leak in find_text_copies(*sets, np.random.default_rng(0))]


def test_edited_copies_are_found_at_their_rows() -> None:
    train = notes(0)
    found = find(train, notes(1)[:150] + [edit(text) for text in train[:50]])
    assert len(found) == 1
    assert len(set(found[0]) & set(range(150, 200))) >= 30
    assert len(set(found[0]) - set(range(150, 200))) <= 5


def test_copies_that_were_edited_before_the_split_are_found() -> None:
    texts = notes(0) + notes(1)
    grown = texts + [edit(text) for text in texts[:200]]
    order = np.random.default_rng(4).permutation(len(grown))
    assert find([grown[i] for i in order[:300]], [grown[i] for i in order[300:]])


def test_texts_that_are_similar_by_nature_pass() -> None:
    assert find(notes(0), notes(1)) == []
    assert find(templates(0), templates(1)) == []
    train = notes(0)
    assert find(train + [edit(text) for text in train], notes(1)) == []
