"""A run adds to the committed results instead of forgetting them."""

import json
from pathlib import Path

import pandas as pd

from benchmarks.tabular import report
from benchmarks.tabular.restore import restore
from benchmarks.tabular.score import VERSION
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
