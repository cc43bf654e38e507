"""What a recipe's report and cards tell of embedders and of plans, run from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from twinset.core.seeding import rng_for
from twinset.io import open_writer
from twinset.registry import build
from twinset.workflows.run import plan, run

pytest.importorskip("cv2")

RECIPE = """\
name: drawn
seed: 3
brief: {target: main_shape}
source: {path: real.parquet}
split: {by: stratified, holdout_fraction: 0.5}
generate:
  - use: image.shapes
    with: {size: 32, n_objects_range: [1, 6]}
    cover:
      factors: {main_shape: [ring, star], light: [day, night]}
      at_least: 5
      beyond_real: true
evaluate:
  metrics: [gap.mean_embedding]
  embedder: classical
"""


TWIN = """\
name: twin
seed: 3
brief: {}
source: {path: towns.csv}
split: {by: stratified, holdout_fraction: 0.3}
generate:
  - {use: tabular.marginals, rows: 60}
evaluate: {metrics: [gap.marginals]}
"""
KEPT = "Real values are kept as they are in 'town'"


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shapes = build("generator", "image.shapes", {"size": 32, "n_objects_range": (1, 6)})
    real = shapes.fit(None, rng_for(1, "fit")).sample(80, rng_for(1, "draw"))
    with open_writer(tmp_path / "real.parquet", "parquet") as writer:
        writer.write(real.without_reserved())
    (tmp_path / "drawn.yaml").write_text(RECIPE)
    return tmp_path / "drawn.yaml"


def test_a_run_tells_its_embedders_and_what_became_of_its_plan(recipe: Path) -> None:
    result = run(recipe)
    facts = result.report["facts"]
    assert list(facts["embedders"]["image"]) == ["classical"]
    cards = json.loads((result.delivered / "cards.json").read_text())
    assert "images of 'image' measured by: classical" in cards["synthetic"]["notes"]
    assert any("compared by: classical" in note for note in result.report["notes"])

    (told,) = facts["plans"]
    assert (told["wanted"], told["counts_real"]) == (4, True)
    assert told["met"]["union"] == 4 > told["met"]["real"]
    held = {tuple(row["levels"].values()): row for row in told["table"]}
    assert all(row["union"] == row["real"] + row["synthetic"] for row in held.values())
    assert "Yes: all 4 pairs of levels of main_shape and light come 5 times" in result.summary

    # Another embedder is another measurement; nothing is made again for it.
    states = {step.name: step.state for step in plan(recipe, overrides=["evaluate.embedder=net"])}
    assert (states["shapes"], states["measure"]) == ("kept", "to make")


def test_values_are_reported_to_be_kept_only_where_a_step_saw_real_rows(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (recipe.parent / "twin.yaml").write_text(TWIN)
    towns = [town for town in ("Oslo", "Bergen", "Molde") for _ in range(40)] + ["Vik"] * 9
    rows = "\n".join(f"{i % 7}.5,{town}" for i, town in enumerate(towns))
    (recipe.parent / "towns.csv").write_text(f"x,town\n{rows}\n")
    twin = run(recipe.parent / "twin.yaml").report["notes"]
    assert not any(note.startswith(KEPT) for note in twin)  # value protection drew them again
    unprotected = TWIN.replace("rows: 60", "rows: 60, value_protection: false")
    (recipe.parent / "twin.yaml").write_text(unprotected)
    twin = run(recipe.parent / "twin.yaml").report["notes"]
    assert any(note.startswith(KEPT) for note in twin)
    # A drawn set may share values with the real one, but did not keep them.
    monkeypatch.setattr("twinset.workflows.run.note_kept_values", lambda train, synthetic: [KEPT])
    assert KEPT not in run(recipe).report["notes"]
