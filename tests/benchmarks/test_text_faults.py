"""Faults of texts plant what they say, and leave the rest alone."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.datasets import TextRow
from benchmarks.evaluation.text_faults import FAULTS, plant_text_fault


def rows(n: int, seed: int) -> list[TextRow]:
    rng = np.random.default_rng(seed)
    words = (
        "Please",
        "play",
        "something",
        "quiet",
        "tonight",
        "at",
        "9",
        "or",
        "11",
        "then",
        "stop!",
    )
    found = []
    for i in range(n):
        about = "abc"[min(i % 4, 2)]
        said = " ".join(words[j] for j in rng.permutation(len(words))[: 4 + i % 5])
        said = f"{said} class{about} last"
        first = said.split(" ")[0]
        last = said.rindex(" ") + 1
        marks = [
            {"start": 0, "end": len(first), "label": "head", "value": first},
            {"start": last, "end": len(said), "label": "tail", "value": said[last:]},
        ]
        found.append({"said": said, "about": about, "marks": marks})
    return found


def test_a_fault_changes_the_rows_it_is_given_and_keeps_spans_within_texts() -> None:
    for name in FAULTS:
        fresh, train = rows(200, 1), rows(200, 2)
        kept = copy.deepcopy((fresh, train))
        made = plant_text_fault(name, fresh, train, np.random.default_rng(0))
        assert (fresh, train) == kept
        assert made != fresh
        assert made == plant_text_fault(name, fresh, train, np.random.default_rng(0))
        for row in made:
            for mark in row["marks"]:
                assert 0 <= mark["start"] < mark["end"] <= len(row["said"])


def _share(name: str, changed: Sequence[str]) -> float:
    fresh = rows(2_000, 1)
    made = plant_text_fault(name, fresh, rows(200, 2), np.random.default_rng(0))
    return float(
        np.mean([any(one[key] != two[key] for key in changed) for one, two in zip(fresh, made)])
    )


def test_strengths_are_what_they_say() -> None:
    assert _share("labels of a tenth of the spans drawn", ["marks"]) == pytest.approx(0.1, abs=0.03)
    assert _share("a twentieth of the spans lost", ["marks"]) == pytest.approx(0.0975, abs=0.02)
    assert _share("a tenth in another language", ["said"]) == pytest.approx(0.1, abs=0.02)
    assert _share("a fifth are repeats but for a word", ["said"]) == 1.0  # rows move up
    assert _share("markup left in a twentieth", ["said"]) == pytest.approx(0.05, abs=0.02)
    assert _share("a wrong span in a fifth", ["marks"]) == pytest.approx(0.2, abs=0.03)
