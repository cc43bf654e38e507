import json
from pathlib import Path

import pyarrow as pa
import pytest

from twinset.cli import main
from twinset.core.data.dataset import Dataset
from twinset.core.errors import (
    DataError,
    ParameterError,
    RecipeError,
    SchemaError,
    UnknownNameError,
)
from twinset.generation.coverage_plan import error_weights, plan_scenes
from twinset.io import read_dataset
from twinset.recipe import load_recipe, parse_recipe
from twinset.workflows.run import plans, run

FACTORS = {"light": ["day", "night"], "weather": ["clear", "fog", "rain"]}


def real() -> Dataset:
    table = {
        "light": ["day"] * 8 + ["night", "dusk"],
        "weather": ["clear", "fog"] * 4 + ["rain", "fog"],
    }
    return Dataset.from_arrow(pa.table(table))


def test_the_plan_makes_what_the_real_set_lacks():
    plan = plan_scenes(FACTORS, real=real(), at_least=2)
    # Day with clear and fog came four times each; night with rain once; dusk is no level of the plan.
    assert plan.n_met_before == 2
    assert (plan.n_met, plan.n_planned) == (6, 6)
    made = sorted((row["light"], row["weather"]) for row in plan.rows)
    assert made == [("day", "rain")] * 2 + [("night", "clear")] * 2 + [("night", "fog")] * 2 + [
        ("night", "rain")
    ]
    union = {tuple(row["levels"].values()): (row["real"], row["planned"]) for row in plan.table}
    assert union["day", "clear"] == (4, 0)
    assert union["night", "rain"] == (1, 1)
    assert sorted(n for _, n in plan.counts()) == [1, 2, 2, 2]


def test_where_the_model_errs_comes_first():
    rows = (
        [("day", "clear", True)] * 40
        + [("night", "fog", False)] * 10
        + [("night", "rain", True)] * 10
    )
    light, weather, right = zip(*rows)
    predictions = Dataset.from_arrow(
        pa.table({"light": light, "weather": weather, "correct": right})
    )
    by_light, by_weather = error_weights(predictions, FACTORS)
    # 10 of 20 wrong at night, drawn towards 10 of 60 by ten rows.
    assert by_light[1] == pytest.approx((10 + 10 / 6) / 30)
    assert by_weather.argmax() == 1
    plan = plan_scenes(FACTORS, predictions=predictions)
    assert plan.rows[0] == {"light": "night", "weather": "fog"}


def test_numbers_count_as_right_and_wrong_too():
    table = pa.table({"light": ["day", "night"] * 20, "weather": ["fog"] * 40, "hit": [1, 0] * 20})
    day, night = error_weights(Dataset.from_arrow(table), FACTORS, "hit")[0]
    assert night > 3 * day


@pytest.mark.parametrize("right", [[True, False, None] * 10, [1.0, 0.0, None] * 10])
def test_rows_not_known_to_be_right_or_wrong_are_left_out(right):
    table = pa.table({"light": ["day", "day", "night"] * 10, "weather": ["fog"] * 30, "ok": right})
    known = table.filter(pa.array(value is not None for value in right))
    for found, expected in zip(
        error_weights(Dataset.from_arrow(table), FACTORS, "ok"),
        error_weights(Dataset.from_arrow(known), FACTORS, "ok"),
    ):
        assert found.tolist() == expected.tolist()


def test_wrong_plans_are_reported():
    with pytest.raises(ParameterError, match="a forbidden combination is empty"):
        plan_scenes(FACTORS, forbidden=[{}])
    with pytest.raises(ParameterError, match="leave no scene"):
        plan_scenes(FACTORS, forbidden=[{"light": "day"}, {"light": "night"}])
    for most in (-3, 0):
        with pytest.raises(ParameterError, match="'max_scenes' is out of its range"):
            plan_scenes(FACTORS, max_scenes=most)
    with pytest.raises(UnknownNameError, match="did you mean 'weather'"):
        plan_scenes(FACTORS, forbidden=[{"wether": "fog"}])
    with pytest.raises(UnknownNameError, match="hail"):
        plan_scenes(FACTORS, forbidden=[{"weather": "hail"}])
    with pytest.raises(ParameterError, match="has no level"):
        plan_scenes({"light": []})
    with pytest.raises(SchemaError, match="no column 'weather'"):
        plan_scenes(FACTORS, real=Dataset.from_arrow(pa.table({"light": ["day"]})))


RECIPE = """
name: plan
seed: 3
brief: {task: detection, modality: image}
generate:
  - use: image.scenes
    cover:
      factors: {light: [day, night], weather: [clear, fog, rain]}
      forbidden: [{light: night, weather: rain}]
      at_least: 2
    with:
      size: 32
      n_objects_range: [1, 1]
      factors: {light: [day, night], weather: [clear, fog, rain], occlusion: [none]}
evaluate: {metrics: []}
"""


def test_a_recipe_covers_its_conditions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cv2")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.yaml").write_text(RECIPE)
    result = run(load_recipe(tmp_path / "plan.yaml"), root=tmp_path / "root")
    from twinset.catalog import Catalog

    catalog = Catalog(tmp_path / "root")
    made = catalog.load(catalog.find("plan"))
    pairs = list(zip(made.records["light"].to_pylist(), made.records["weather"].to_pylist()))
    assert len(pairs) == 10
    assert {pairs.count(pair) for pair in pairs} == {2}
    assert ("night", "rain") not in pairs
    assert made.card.notes[0].startswith(
        "10 scenes bring 5 of 5 pairs of light, weather to 2 times"
    )
    assert result.delivered.is_dir()


PLANNED = """
name: planned
brief: {task: detection}
generate:
  - use: image.scenes
    with:
      {size: 32, n_objects_range: [1, 2], factors: {light: [day, night], weather: [clear, fog, rain]}}
    cover:
      factors: {light: [day, night], weather: [clear, fog, rain]}
      predictions: told.csv
      correct: hit
      most: 2
evaluate: {metrics: []}
deliver: {formats: [parquet]}
"""
TOLD = "light,weather,hit\n" + "day,clear,1\n" * 40 + "night,fog,0\n" * 10 + "night,rain,1\n" * 10


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "told.csv").write_text(TOLD)
    (tmp_path / "planned.yaml").write_text(PLANNED)
    return tmp_path / "planned.yaml"


def test_a_recipe_begins_where_the_model_errs(recipe: Path) -> None:
    pytest.importorskip("cv2")
    ran = run(recipe)
    made = read_dataset(ran.delivered / "synthetic.parquet").records
    assert (made["light"][0].as_py(), made["weather"][0].as_py()) == ("night", "fog")
    # The content of the file decides, not its name.
    (recipe.parent / "again.csv").write_text(TOLD)
    same = run(recipe, overrides=["generate.0.cover.predictions=again.csv"])
    assert {step.state for step in same.steps} == {"kept"}
    (recipe.parent / "told.csv").write_text(TOLD.replace("clear,1", "clear,0"))
    assert plans(recipe)["scenes"].rows[0] != plans(recipe, predictions=Path("again.csv"))
    assert {step.state for step in run(recipe).steps if step.name == "scenes"} == {"made"}


def test_scenes_beyond_the_plan_come_where_the_model_errs(recipe: Path) -> None:
    changes = ["generate.0.cover.most=null", "generate.0.cover.least=1000"]
    (plan,) = plans(recipe, overrides=changes).values()
    assert (len(plan.rows), plan.n_met, plan.n_planned) == (1000, 6, 6)
    foggy = sum(row["weather"] == "fog" for row in plan.rows)
    by_weather = error_weights(read_dataset(Path("told.csv")), FACTORS, "hit")[1]
    assert foggy / 1000 == pytest.approx(by_weather[1] / by_weather.sum(), abs=0.04)
    assert plan.rows == plans(recipe, overrides=changes)["scenes"].rows


def test_scenes_beyond_the_plan_are_even_without_predictions_and_never_forbidden() -> None:
    ban = {"light": "night", "weather": "rain"}
    plan = plan_scenes(FACTORS, min_scenes=600, forbidden=[ban])
    assert len(plan.rows) == 600
    assert not any(row["light"] == "night" and row["weather"] == "rain" for row in plan.rows)
    clear = sum(row["weather"] == "clear" for row in plan.rows)
    assert clear / 600 == pytest.approx(2 / 5, abs=0.05)  # two of the five that may come
    lacking = [row["levels"] for row in plan.table if not row["wanted"]]
    assert lacking == [ban]


def test_predictions_that_cannot_be_used_are_reported(recipe: Path) -> None:
    with pytest.raises(DataError, match=r"no file '.*gone\.csv'"):
        plans(recipe, overrides=["generate.0.cover.predictions=gone.csv"])
    with pytest.raises(SchemaError, match="right"):
        plans(recipe, overrides=["generate.0.cover.correct=right"])
    with pytest.raises(RecipeError, match=r"cover\.least is more than cover\.most"):
        plans(recipe, overrides=["generate.0.cover.least=3"])
    with pytest.raises(RecipeError, match="no step of the recipe 'planned' has a plan"):
        plans(recipe, overrides=["generate.0.cover=null", "generate.0.rows=3"])


def test_the_command_tells_the_plan(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (recipe.parent / "other.csv").write_text("light,weather,hit\n" + "day,rain,0\n" * 30)
    words = ["plan", str(recipe), "--predictions", "other.csv", "--csv", "scenes.csv"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "scenes: 2 scenes bring 2 of 6 pairs" in told
    assert "Still too rare, 4 of them:" in told
    lines = Path("scenes.csv").read_text().splitlines()
    assert lines[:2] == ["step,light,weather", "scenes,day,rain"]
    assert main(["plan", str(recipe), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["scenes"]
    assert found["scenes"][0] == {"light": "night", "weather": "fog"}
    assert (found["met"], found["wanted"]) == (2, 6)


def test_a_plan_goes_beyond_the_real_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("real.csv").write_text("light,weather\n" + "day,clear\n" * 20)
    recipe = parse_recipe("""
        {name: p, brief: {task: other}, source: {path: real.csv},
         generate: [{use: image.scenes, cover: {beyond_real: true,
           factors: {light: [day, night], weather: [clear, fog]}}}]}""")
    (plan,) = plans(recipe).values()
    assert (plan.n_met_before, len(plan.rows)) == (1, 3)
