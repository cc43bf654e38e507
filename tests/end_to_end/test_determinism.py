"""One seed, one result: on a second run, in a second catalogue, on any number of workers."""

import hashlib
from pathlib import Path

import pytest

import twinset


def data_digests(folder: Path) -> dict[str, str]:
    found = {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir() if p.is_file()
    }
    assert {"synthetic.parquet", "synthetic.csv", "synthetic.jsonl", "report.html"} <= found.keys()
    return found


@pytest.mark.slow
def test_one_two_and_four_workers_deliver_the_same_bytes(recipe: Path, tmp_path: Path) -> None:
    seen = []
    for workers in (1, 2, 4):
        result = twinset.run(recipe, root=tmp_path / f"catalogue-{workers}", workers=workers)
        assert {step.state for step in result.steps} == {"made"}
        seen.append(data_digests(result.delivered))
    assert seen[0] == seen[1] == seen[2]


def test_a_second_run_does_nothing_again(recipe: Path, tmp_path: Path) -> None:
    first = twinset.run(
        recipe, root=tmp_path / "c", overrides=["generate=[{use: tabular.marginals}]"]
    )
    before = {p: p.stat().st_mtime_ns for p in first.delivered.rglob("*")}
    again = twinset.run(
        recipe, root=tmp_path / "c", overrides=["generate=[{use: tabular.marginals}]"]
    )
    assert {step.state for step in again.steps} == {"kept"}
    assert {p: p.stat().st_mtime_ns for p in again.delivered.rglob("*")} == before
    assert again.summary == first.summary


def test_another_seed_gives_other_rows(recipe: Path, tmp_path: Path) -> None:
    few = ["generate=[{use: tabular.copula, rows: 50}]"]
    one = data_digests(twinset.run(recipe, root=tmp_path / "c", overrides=few).delivered)
    two = data_digests(
        twinset.run(recipe, root=tmp_path / "c", overrides=[*few, "seed=12"]).delivered
    )
    assert one["synthetic.csv"] != two["synthetic.csv"]


def test_asking_for_more_rows_keeps_the_first_ones(recipe: Path, tmp_path: Path) -> None:
    lines = []
    for rows in (300, 600):
        change = [f"generate=[{{use: tabular.copula, rows: {rows}}}]"]
        result = twinset.run(recipe, root=tmp_path / "c", overrides=change)
        lines.append((result.delivered / "synthetic.csv").read_text().splitlines())
    assert lines[1][:301] == lines[0]


def test_a_changed_gate_measures_nothing_again(recipe: Path, tmp_path: Path) -> None:
    few = ["generate=[{use: tabular.copula, rows: 50}]"]
    twinset.run(recipe, root=tmp_path / "c", overrides=few)
    stricter = [*few, "evaluate.gates={gap.marginals: {max: 0.0}}"]
    result = twinset.run(recipe, root=tmp_path / "c", overrides=stricter)
    states = {step.name: step.state for step in result.steps}
    assert states["measure"] == "kept"
    assert states["report"] == "made"
    assert not result.passed
