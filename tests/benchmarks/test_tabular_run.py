"""The benchmark's jobs and tables, on rows made up here."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.datasets import DataAbsentError
from benchmarks.runner import Benchmark, Row, read_rows
from benchmarks.tabular import jobs, run, tables
from benchmarks.tabular.score import Scorer
from benchmarks.tabular.sets import Roles, TableSet, load

BENCHMARK = Benchmark.named("tabular.run")


def small_set(n: int = 60) -> TableSet:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=2 * n).round(3),
            "whole": rng.integers(0, 9, 2 * n).astype(float),
            "code": rng.integers(1, 4, 2 * n),
            "label": np.where(rng.random(2 * n) < 0.4, "yes", "no"),
        }
    )
    roles = Roles(tuple(frame.columns), ("code", "label"), "label", "yes")
    return TableSet("small", frame.iloc[:n], frame.iloc[n:].reset_index(drop=True), roles, "given")


def row(method: str, seed: int = 0, of: str = "adult", **scores: object) -> Row:
    costs = {"full": {"fit_wall": 1.0, "sample_wall": 0.5, "fit_cpu": 2.0, "sample_cpu": 0.25}}
    found = {"set": of, "method": method, "seed": seed, "scores": scores}
    return found | {"costs": costs}


def test_a_generator_runs_in_its_own_process() -> None:
    table, method = small_set(), jobs.Method("tabular.bootstrap")
    rows, costs = jobs.fit(method, table, 0, "full", cap_minutes=5)
    assert rows is not None
    frame = table.conform(rows)
    assert len(frame) == 60
    known = {tuple(r) for r in table.train.itertuples(index=False)}
    assert {tuple(r) for r in frame.itertuples(index=False)} <= known
    assert costs["fit_cpu"] >= 0
    assert costs["peak_mb"] > 10


def test_the_half_fit_has_the_members(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def keep(command: list[str], *limits: object) -> str:
        job = json.loads(Path(command[-1]).read_text())
        found.append((job["rows"], len(pd.read_parquet(job["train"]))))
        (Path(job["costs"]).parent / "log").touch()
        return "stopped"

    monkeypatch.setattr(jobs, "spawn", keep)
    assert jobs.fit(jobs.Method("tabular.bootstrap"), small_set(), 0, "half", cap_minutes=5) == (
        None,
        {"unfinished": "stopped"},
    )
    assert found == [(30, 30)]


def test_a_failing_generator_is_marked_with_its_last_line() -> None:
    rows, costs = jobs.fit(jobs.Method("tabular.nowhere"), small_set(), 0, "full", cap_minutes=5)
    assert rows is None
    assert "tabular.nowhere" in costs["unfinished"]


def test_a_job_over_its_cap_is_stopped(tmp_path: Path) -> None:
    endless = [sys.executable, "-c", "while True: pass"]
    assert "CPU minutes" in jobs.spawn(endless, tmp_path / "log", 1 / 60, 1)


def test_settings_ride_on_the_name() -> None:
    name, settings = jobs.Method("tabular.trees?min_leaf=80&smooth=false").parsed()
    assert (name, settings) == ("tabular.trees", {"min_leaf": 80, "smooth": False})
    assert jobs.Method("sdv.ctgan").python.endswith("sdv/bin/python")


def test_whole_numbers_are_handed_out_as_integers() -> None:
    table = small_set()
    kinds = jobs.as_written(table.train, table).dtypes
    assert kinds["whole"] == "int64"
    assert kinds["x"] == "float64"


@pytest.mark.slow
def test_the_scorer_gives_every_score_and_train_has_no_excess() -> None:
    pytest.importorskip("xgboost", reason="xgboost is not installed")
    table = small_set(200)
    scorer = Scorer(table)
    scores = scorer.fidelity(table.train) | scorer.leakage(table.train.head(100))
    assert (scores["shape"], scores["shape_excess"], scores["trend_excess"]) == (0, 0, 0)
    assert (scores["alpha"], scores["beta"]) == pytest.approx((1, 1), abs=0.05)
    assert scores["copies_beyond"] > 0.9
    taken = {
        c.heading
        for c in (*tables.PUBLISHED, *tables.STRICTER)
        if c.figure(row("m", **scores)) is None
    }
    assert taken == set()
    shorter = scorer.fidelity(table.train.head(50))
    assert "alpha" not in shorter
    assert shorter["rows"] == 50
    assert scorer.floor()["shape"] > 0


def test_figures_are_medians_with_ranges() -> None:
    column = tables.PUBLISHED[0]
    rows = [
        row("tabular.trees", seed, shape=value) for seed, value in enumerate((0.01, 0.03, 0.02))
    ]
    assert tables.figure(rows, column) == "2.00 (1.00 to 3.00)"
    assert tables.figure(rows[:1], column) == "1.00"
    assert tables.figure([row("m")], column) == "–"
    assert tables.figure([row("m", shape=-0.000001)], column) == "0.00"
    assert tables.figure([row("m", shape=float("nan"))], column) == "–"


def test_wall_seconds_of_a_busy_machine_are_left_out() -> None:
    calm, busy = row("m"), row("m")
    busy["costs"]["full"]["fit_wall"] = 40.0
    assert tables.cost("fit_wall", "sample_wall")(calm) == 1.5
    assert tables.cost("fit_wall", "sample_wall")(busy) is None
    assert tables.cost("fit_cpu", "sample_cpu")(busy) == 2.25


def test_means_over_sets_leave_out_methods_that_lack_one() -> None:
    full = [row("tabular.trees", of=name, shape=0.01) for name in ("adult", "magic")]
    text = tables.over_sets([*full, row("sdv.ctgan", shape=0.2)], ("adult", "magic"))
    assert "`tabular.trees` | 1.00" in text
    assert "4.5" in text.splitlines()[-1]
    assert "ctgan" not in text


def test_quoted_rows_are_marked_and_have_the_printed_means() -> None:
    text = tables.quoted(("adult", "default", "shoppers", "magic", "beijing"))
    assert "| TabDiff (quoted) | 0.63 | 1.24 | 1.28 | 0.78 | 1.03 | 0.99 |" in text
    assert "| TabDiff (quoted) | 1.49 | 2.55 | 1.74 | 0.76 | 2.59 | 1.83 |" in text
    assert "arXiv 2602.22586" in text


def test_goals_take_the_worst_set() -> None:
    rows = [
        row("tabular.trees", of="adult", c2st=0.999),
        row("tabular.trees", of="magic", c2st=0.98),
    ]
    lines = {line.split(" | ")[0]: line for line in tables.goals(rows).splitlines()}
    assert "0.980 | magic | ≥ 0.985 | ≥ 0.995 | sets missing" in lines["| logistic C2ST, every set"]
    low = [row("tabular.trees", of=name, c2st=0.98) for name in tables.ALL]
    assert "≥ 0.985 | ≥ 0.995 | **no**" in tables.goals(low)
    assert "1.500 | adult | ≤ 3 | ≤ 1 | yes" in lines["| fit + sample Adult, s"]
    assert tables.goals([row("tabular.copula", c2st=1.0)]) == ""


def test_goals_tell_the_cost_of_peers() -> None:
    text = tables.goals(
        [row("tabular.trees"), row("sdv.ctgan") | {"costs": {"full": {"fit_cpu": 900.0}}}]
    )
    assert "sdv.ctgan 900.0 s (450 times)" in text


def test_the_report_says_what_did_not_finish() -> None:
    costs = {"full": {"unfinished": "stopped after 30 CPU minutes"}}
    slow = row("forestdiffusion") | {"costs": costs}
    found = run.blocks([row("tabular.trees", shape=0.003, detector=0.51), slow])
    text = "- forestdiffusion on adult, fit to all of train: stopped after 30 CPU minutes"
    assert text in found["unfinished"]
    assert "| `tabular.trees` | 0.30 |" in found["adult"]


def test_rows_of_the_results_stay_beside_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = read_rows(BENCHMARK.results)
    monkeypatch.setattr(run, "_scorer", lambda name: Scorer(small_set()))
    monkeypatch.setattr(run, "REAL", {"real.train": lambda scorer: {"shape": 0.5}})
    words = ["--methods", "none", "--sets", "magic", "--real", "--keep", "--out", str(tmp_path)]
    BENCHMARK.run(words)
    rows = read_rows(tmp_path / "results.json")
    assert len(rows) == len(recorded)
    assert [r for r in rows if r["scores"] == {"shape": 0.5}] == [
        {"set": "magic", "method": "real.train", "seed": 0, "scores": {"shape": 0.5}}
    ]


def test_absent_data_are_reported_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataAbsentError, match="beside the repository"):
        load("adult", tmp_path)
    monkeypatch.setattr(run, "load", lambda name: load(name, tmp_path))
    run._scorer.cache_clear()
    with pytest.raises(SystemExit, match="data is absent"):
        BENCHMARK.run(["--methods", "none", "--sets", "adult", "--real"])


def test_a_mark_for_rare_levels_is_a_level_of_its_own() -> None:
    frame = pd.DataFrame({"code": [1, 2, 3], "label": ["a", "b", "a"]})
    table = TableSet("t", frame, frame, Roles(("code", "label"), ("code", "label"), "label"), "")
    made = table.conform(pd.DataFrame({"code": ["2", "_RARE_"], "label": ["a", "b"]}))
    assert made["code"].tolist() == [2, 0]
