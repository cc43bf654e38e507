"""A run adds to the committed results instead of forgetting them."""

import json
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.tabular import jobs, report, run
from benchmarks.tabular.report import restore
from benchmarks.tabular.score import VERSION, Scorer
from benchmarks.tabular.sets import Roles, TableSet


def test_rows_of_the_results_are_restored_once_and_never_over_newer_ones(tmp_path: Path) -> None:
    cache, results = tmp_path / "cache", tmp_path / "results.json"
    peer = {
        "set": "adult", "method": "smote", "seed": 0, "version": VERSION,
        "scores": {"shape": 0.1}, "costs": {"full": {"fit_cpu": 2.0}},
    }  # fmt: skip
    rows = [peer, peer | {"method": "old", "version": VERSION - 1}, peer | {"seed": 1}]
    results.write_text(json.dumps({"rows": rows}))
    newer = cache / "adult" / "smote" / "1" / "row.json"
    newer.parent.mkdir(parents=True)
    newer.write_text(json.dumps(peer | {"seed": 1, "scores": {"shape": 0.5}}))
    assert restore(results, cache) == 1
    assert restore(results, cache) == 0
    found = report.collect(cache)
    assert [(row["seed"], row["scores"]["shape"]) for row in found] == [(0, 0.1), (1, 0.5)]
    assert json.loads((cache / "adult/smote/0/full.json").read_text()) == {"fit_cpu": 2.0}
    assert restore(tmp_path / "absent.json", cache) == 0


def test_a_mark_for_rare_levels_is_a_level_of_its_own() -> None:
    frame = pd.DataFrame({"code": [1, 2, 3], "label": ["a", "b", "a"]})
    table = TableSet("t", frame, frame, Roles(("code", "label"), ("code", "label"), "label"), "")
    made = table.conform(pd.DataFrame({"code": ["2", "_RARE_"], "label": ["a", "b"]}))
    assert made["code"].tolist() == [2, 0]


def test_a_restored_row_keeps_its_scores_when_a_part_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its synthetic table is gone, so there is nothing to score again."""
    monkeypatch.setattr(jobs, "CACHE", tmp_path / "cache")
    frame = pd.DataFrame({"code": [1, 2, 3], "label": ["a", "b", "a"]})
    table = TableSet("t", frame, frame, Roles(("code", "label"), ("label",), "label"), "")
    costs = {"full": {"fit_cpu": 2.0}, "half": {"fit_cpu": 1.0}}
    row = {"set": "t", "method": "smote", "seed": 0, "version": VERSION}
    row |= {"scores": {"shape": 0.1}, "costs": costs}
    results = tmp_path / "results.json"
    results.write_text(json.dumps({"rows": [row]}))
    restore(results, jobs.CACHE)
    made = {"full": jobs.Outcome(None, costs["full"])}
    assert list(run._scored(Scorer(table), jobs.Method("smote"), 0, made)) == [row]
    assert report.collect(jobs.CACHE) == [row]
