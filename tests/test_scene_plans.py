from pathlib import Path

import pyarrow as pa
import pytest

from twinset.core.dataset import Dataset
from twinset.core.errors import ParameterError, SchemaError, UnknownNameError
from twinset.pipeline import run
from twinset.recipe import load_recipe
from twinset.scene_plans import error_weights, plan_scenes

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
    assert (plan.n_met, plan.n_wanted) == (6, 6)
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


def test_wrong_plans_are_told():
    with pytest.raises(ParameterError, match="a forbidden combination is empty"):
        plan_scenes(FACTORS, forbidden=[{}])
    with pytest.raises(ParameterError, match="leave no scene"):
        plan_scenes(FACTORS, forbidden=[{"light": "day"}, {"light": "night"}])
    for most in (-3, 0):
        with pytest.raises(ParameterError, match="'most' is out of its range"):
            plan_scenes(FACTORS, most=most)
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
