"""Attacks that make the generator again: from a note, from a recipe, and refused without either."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

import twinset
from twinset.core.contracts import Score
from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError, RecipeError
from twinset.core.findings import CanaryCounts
from twinset.core.seeding import rng_for
from twinset.measurement.canaries import measure_canaries
from twinset.measurement.harness import measure
from twinset.recipe import parse_recipe
from twinset.registry import attack_metrics, default_metrics
from twinset.report import Report
from twinset.workflows.evaluate import evaluate
from twinset.workflows.twin import twin

SHADOW = "privacy.shadow_models"
RECIPE = """
name: people
seed: 3
brief: {task: classification, target: label}
source: {name: real-people, path: people.csv}
split: {by: stratified, holdout_fraction: 0.5}
generate: [{use: USE, rows: 150, where: {label: "yes"}}, {use: USE, rows: 150}]
evaluate: {metrics: [gap.marginals], attacks: [shadow]}
deliver: {to: out, formats: [csv]}
"""


def people(rows: int, seed: int) -> pa.Table:
    rng = rng_for(seed, "people")
    age, income = rng.integers(18, 90, rows), np.round(rng.lognormal(10, 0.4, rows), 2)
    label = np.where(age + rng.normal(0, 8, rows) > 55, "yes", "no")
    names = [f"C-{100_000 + 37 * i}" for i in range(rows)]
    return pa.table({"customer": names, "age": age, "income": income, "label": label})


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("twinset.workflows.evaluate.default_metrics", lambda kinds, **_: [])
    pyarrow.csv.write_csv(people(400, 1), "people.csv")
    return tmp_path / "people.csv"


def of_attack(report: Report) -> list[Score]:
    return [score for score in report.scores if score.metric == SHADOW]


def test_a_twin_is_made_again_as_its_note_says(real: Path, tmp_path: Path) -> None:
    made = tmp_path / "twin.csv"
    settings = {"use": "tabular.bootstrap", "target": "label", "where": "label = yes"}
    twin(real, made, holdout_fraction=0.4, value_protection=False, **settings)
    (score,) = of_attack(evaluate(real, made, attacks=["shadow"]))
    assert (score.metric, score.verdict) == (SHADOW, "different")
    # Whole rows come back, identifiers apart, but not all of them: they are drawn with replacement.
    assert score.facts["auc"] > 0.75
    canaries = score.finding(CanaryCounts)
    assert canaries.n_recovered > 0.3 * canaries.n
    assert canaries.n_control_recovered == 0
    protected = tmp_path / "protected.csv"
    twin(real, protected, holdout_fraction=0.4, **settings)
    (score,) = of_attack(evaluate(real, protected, attacks=["shadow"]))
    assert (
        score.finding(CanaryCounts).n_recovered == 0
    )  # though whole rows come back, values do not


def test_without_a_note_the_attack_is_refused(real: Path, tmp_path: Path) -> None:
    made = tmp_path / "twin.csv"
    twin(real, made, use="tabular.bootstrap")
    shutil.copy(made, tmp_path / "alone.csv")
    for source, more in ((tmp_path / "alone.csv", {}), (made, {"holdout": people(100, 2)})):
        with pytest.raises(ParameterError, match="makes the generator of the set again"):
            evaluate(real, source, attacks=["shadow"], **more)
    with pytest.raises(ParameterError, match="allowed: shadow"):
        evaluate(real, made, attacks=["magic"])


def test_a_recipe_asks_for_it(real: Path) -> None:
    recipe = real.parent / "recipe.yaml"
    recipe.write_text(RECIPE.replace("USE", "tabular.bootstrap"))
    scores = twinset.run(recipe).report["scores"]
    assert [score["metric"] for score in scores] == ["gap.marginals", SHADOW]
    assert scores[1]["verdict"] == "different"
    recipe.write_text(RECIPE.replace("USE", "tabular.marginals"))
    scores = twinset.run(recipe).report["scores"]
    assert scores[1]["facts"]["auc"] < 0.62
    with pytest.raises(RecipeError, match="attacks"):
        parse_recipe(RECIPE.replace("shadow", "magic"))


def test_it_runs_only_where_it_is_asked_for() -> None:
    assert SHADOW not in [name for name, _ in default_metrics({"number"})]
    asked = parse_recipe(
        RECIPE.replace("[gap.marginals]", "default").replace("USE", "tabular.trees")
    )
    built = [name for name, _ in asked.evaluate.built_metrics(frozenset({"number"}))]
    assert built.count(SHADOW) == 1
    assert len(built) > 5
    never = asked.evaluate.model_copy(update={"attacks": []})
    assert never.metrics_json() != asked.evaluate.metrics_json()


def test_without_a_generator_the_image_says_so() -> None:
    train, holdout, made = (Dataset.from_arrow(people(60, seed)) for seed in (1, 2, 3))
    (score,) = measure(
        train=train, synthetic=made, holdout=holdout, metrics=attack_metrics(["shadow"])
    )
    assert score.verdict == "not measurable"
    assert "cannot be fitted again" in score.reason


def test_a_table_without_room_for_canaries_says_so() -> None:
    train = Dataset.from_arrow(pa.table({"x": [1, 2] * 20}))
    found = measure_canaries(train, lambda real, most, rng: real, rng_for(1))
    assert found.reason.startswith("the table has no room")
