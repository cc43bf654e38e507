"""Every shipped recipe runs from end to end, with tiny settings."""

import json
from pathlib import Path

import pyarrow.parquet
import pytest

import twinset
from twinset.io.simulated import simulated_payments
from twinset.recipe import load_recipe
from twinset.workflows.run import RunResult

CONFIGS = Path(__file__).parents[2] / "configs"
OWN_FILE = ["source.path=transactions.csv", "source.licence=CC0-1.0", "brief.want={1: 80}"]
OWN_CELLS = ["source.path=cells", "source.licence=CC0-1.0", "generate.0.rows=8"]
TINY: dict[str, list[str]] = {
    "cells_rare.yaml": [*OWN_CELLS, "generate.0.with.masks_from_boxes=refuse"],
    "nuclei_few_shot.yaml": [*OWN_CELLS, "augment.0.copies=1", "augment.1.copies=1"],
    "defects.yaml": ["generate.0.rows=64", "generate.0.with.size=64", "evaluate.gates={}"],
    "road_edge_cases.yaml": [
        "generate.0.cover.strength=1",
        "generate.0.cover.at_least=1",
        "generate.0.with.size=64",
    ],
    "fraud.yaml": OWN_FILE,
    "replace_records.yaml": OWN_FILE[:2],
    "quickstart.yaml": ["source.path=payments.csv", "generate.0.rows=200"],
    "shapes.yaml": ["generate.0.rows=40"],
    "support_tickets.yaml": ["generate.0.rows=80"],
    "text_packs.yaml": ["generate.0.rows=80"],
}


def test_every_config_is_run_here() -> None:
    assert {path.name for path in CONFIGS.glob("*.yaml")} == set(TINY)


@pytest.mark.slow
@pytest.mark.parametrize("config", TINY)
def test_a_config_runs_to_its_delivery(
    config: str, fraud_csv: Path, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(fraud_csv.parent)
    monkeypatch.setattr("twinset.io.simulated._N_ROWS", 600)
    Path("payments.csv").write_bytes(simulated_payments())
    overrides = [*TINY[config], "deliver.to=delivered"]
    result = twinset.run(CONFIGS / config, root=tmp_path / "catalogue", overrides=overrides)
    assert result.passed, result.summary
    names = {path.name for path in result.delivered.iterdir()}
    assert {"report.html", "report.json", "schema.json", "cards.json", "CHECKSUMS.sha256"} <= names
    formats = load_recipe(CONFIGS / config, overrides).deliver.formats
    assert {f"synthetic.{ending}" for ending in formats} <= names
    report = json.loads((result.delivered / "report.json").read_text())
    assert {score["family"] for score in report["scores"]} == {
        "integrity",
        "gap",
        "coverage",
        "utility",
        "privacy",
    }
    for score in report["scores"]:
        assert score["sentence"], score["metric"]
    if config == "fraud.yaml":
        assert_frauds_are_compared_with_frauds(result)


def assert_frauds_are_compared_with_frauds(result: RunResult) -> None:
    made = pyarrow.parquet.read_table(result.delivered / "synthetic.parquet")
    assert set(made.column("Class").to_pylist()) == {1}
    assert set(made.column("_origin").to_pylist()) == {"synthetic"}
    whole = pyarrow.parquet.read_table(result.delivered / "training_set.parquet")
    assert whole.column("Class").to_pylist().count(1) == 80
    name = "utility.train_synthetic_test_real"
    utility = next(s for s in result.report["scores"] if s["metric"] == name)
    (models,) = [one for one in utility["findings"] if one["type"] == "ModelComparison"]
    assert models["models"][-1]["effect"] in ("helps", "hurts", "no evidence")
