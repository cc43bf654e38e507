"""Texts learned from rows that tell facts of their spans: an entry for each new span, nothing invented."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from twinset import run

RECIPE = """\
name: trips
brief: {task: intent, target: label, modality: text}
source: {path: trips.jsonl, schema: {text: {kind: text}, label: {kind: category}}}
split: {by: stratified, holdout_fraction: 0.3}
generate: [{use: text.learned, rows: 30}]
evaluate: {metrics: []}
deliver: {to: out, formats: [jsonl]}
"""


def test_every_new_span_has_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cities = ("Rome", "Oslo", "Bern", "Lima", "Ulm", "Bonn")
    found = []
    for k in range(48):
        start, goal = cities[k % 6], cities[(k * 5 + 1) % 6]
        text = (
            f"fly from {start} to {goal}",
            f"a bus from {start} please",
            f"stop near {goal} for {k} days",
        )[k % 3]
        marks = [
            {
                "start": (at := text.index(city)),
                "end": at + len(city),
                "label": "city",
                "value": city,
            }
            for city in dict.fromkeys((start, goal))
            if city in text
        ]
        facts = json.dumps([{"role": "from"}, {"role": "to"}][: len(marks)])
        found.append({"text": text, "spans": marks, "label": str(k % 3), "span_facts": facts})
    Path("trips.jsonl").write_text("\n".join(map(json.dumps, found)))
    Path("trips.yaml").write_text(RECIPE)
    made = (run("trips.yaml").delivered / "synthetic.jsonl").read_text().splitlines()
    assert len(made) == 30
    for row in map(json.loads, made):
        assert json.loads(row["span_facts"]) == [{}] * len(row["spans"])
