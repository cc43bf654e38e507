"""`evaluate` and `compare` on texts with a label and spans: nothing needs to be named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from twinset.core.contracts import Score
from twinset.core.data.dataset import Dataset
from twinset.core.errors import SchemaError
from twinset.core.seeding import rng_for
from twinset.ingest.input_table import open_table
from twinset.measurement.leakage.duplicates import count_copied_rows
from twinset.registry import build
from twinset.workflows.evaluate import evaluate
from twinset.workflows.twin import twin

CITIES = ["Ulm", "New York", "Köln", "Bonn am Rhein", "Rom", "Wien"]
SAID = {
    "travel": ["fly to {} now", "a train to {} please", "take me to {}", "book a seat to {}"],
    "weather": ["does it rain in {}", "how warm is {} today", "the sky over {} please"],
}


def sentences(n: int, seed: int, *, flipped: float = 0.0) -> list[dict[str, Any]]:
    rng, rows = rng_for(seed, "said"), []
    for _ in range(n):
        about = list(SAID)[rng.integers(2)]
        frame, city = SAID[about][rng.integers(len(SAID[about]))], CITIES[rng.integers(6)]
        start = frame.index("{}")
        text = frame.format(city) + f" {rng.integers(100, 999)}"
        if rng.random() < flipped:
            about = next(other for other in SAID if other != about)
        span = {"start": start, "end": start + len(city), "label": "city", "value": city}
        rows.append({"said": text, "about": about, "marks": [span]})
    return rows


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    names = (
        "utility.train_synthetic_test_real",
        "utility.exchange_rate",
        "utility.entity_labelling",
        "privacy.exact_copies",
    )
    chosen = [(name, build("metric", name, {})) for name in names]
    monkeypatch.setattr("twinset.workflows.evaluate.default_metrics", lambda kinds, **_: chosen)
    made = {"real": 200, "holdout": 200, "good": 200}
    paths = {
        name: written(tmp_path / f"{name}.jsonl", sentences(n, i))
        for i, (name, n) in enumerate(made.items())
    }
    paths["flipped"] = written(tmp_path / "flipped.jsonl", sentences(200, 9, flipped=0.5))
    return paths


def scores(sets: dict[str, Path], name: str) -> tuple[dict[str, Score], tuple[str, ...]]:
    report = evaluate(sets["real"], sets[name], holdout=sets["holdout"])
    return {score.metric: score for score in report.scores}, report.notes


def test_label_and_spans_are_measured_without_being_named(sets: dict[str, Path]) -> None:
    good, notes = scores(sets, "good")
    assert "Taken as the target: 'about', the only label beside the texts." in notes
    trained = good["utility.train_synthetic_test_real"]
    assert trained.verdict == "as good as real"
    assert trained.value > 0.95
    assert good["utility.entity_labelling"].value > 0.95
    flipped, _ = scores(sets, "flipped")
    assert flipped["utility.train_synthetic_test_real"].verdict == "different"
    # The spans of the flipped texts are as good as any.
    assert flipped["utility.entity_labelling"].verdict == "as good as real"


def test_two_labels_are_not_guessed_at(sets: dict[str, Path], tmp_path: Path) -> None:
    more = [{**row, "tone": "calm" if i % 3 else "angry"} for i, row in enumerate(sentences(60, 1))]
    both = written(tmp_path / "both.jsonl", more)
    notes = evaluate(both, both).notes
    assert not any(note.startswith("Taken as the target") for note in notes)


def test_copied_texts_are_counted_by_their_text(sets: dict[str, Path]) -> None:
    real, good = (open_table(sets[name]) for name in ("real", "good"))
    assert count_copied_rows(real, good).shared < 20
    found = count_copied_rows(real, real.slice(0, 50))
    assert (found.shared, found.rows) == (50, 50)
    # Beside several columns the texts are made afresh, and not looked at.
    plain = Dataset.from_arrow(real.to_arrow().select(["about"]))
    assert count_copied_rows(plain, plain.slice(0, 5)).shared == 5


def test_texts_with_spans_are_not_twinned_from_one_file(sets: dict[str, Path]) -> None:
    with pytest.raises(SchemaError, match="cannot be twinned from one file"):
        twin(sets["real"])
