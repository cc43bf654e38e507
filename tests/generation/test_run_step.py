"""Several steps in one recipe: what the sets, their cards and their names say."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

import twinset
from twinset.core.data.dataset import Card
from twinset.core.errors import DataError, SchemaError, TwinsetError
from twinset.core.seeding import rng_for
from twinset.generation.step import joint_card, shared_where
from twinset.workflows.run import RunResult

RECIPE = """
name: NAME
seed: 3
brief: BRIEF
source: {name: people, path: people.csv}
generate: GENERATE
augment: AUGMENT
evaluate: {metrics: [METRIC]}
deliver: {to: out/NAME, formats: [csv], include: INCLUDE}
"""


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 rows with ids, a category with levels that one row holds, and a target."""
    monkeypatch.chdir(tmp_path)
    rng = rng_for(1, "people")
    table = {
        "customer": [f"C-{i:05d}" for i in range(200)],
        "x": rng.normal(size=200),
        "city": [f"alone-{i}" if i < 8 else ("Rome", "Oslo")[i % 2] for i in range(200)],
        "sex": np.where(rng.random(200) < 0.7, "f", "m"),
        "kind": rng.choice(["a", "b", "c"], 200, p=[0.8, 0.15, 0.05]),
    }
    pyarrow.csv.write_csv(pa.table(table), "people.csv")


def run(name: str = "first", **parts: str) -> RunResult:
    settings = {
        "brief": "{task: classification, target: kind}",
        "generate": "[{use: tabular.marginals, rows: 60}]",
        "augment": "[]",
        "metric": "gap.marginals",
        "include": "synthetic",
    }
    text = RECIPE.replace("NAME", name)
    for key, value in {**settings, **parts}.items():
        text = text.replace(key.upper(), value)
    Path(f"{name}.yaml").write_text(text)
    return twinset.run(f"{name}.yaml", root="catalogue")


@pytest.mark.usefixtures("people")
def test_a_recipe_of_another_name_makes_sets_of_its_own() -> None:
    run("first")
    result = run("second")
    assert result.versions["second"] == "second@1"
    states = {step.name: step.state for step in result.steps}
    assert (states["source"], states["marginals"]) == ("kept", "made")
    made = pyarrow.csv.read_csv(result.delivered / "synthetic.csv")
    assert all(one.startswith("second.") for one in made["_id"].to_pylist())


@pytest.mark.usefixtures("people")
def test_two_steps_make_different_identifiers() -> None:
    steps = "[{use: tabular.marginals, rows: 60}, {use: tabular.bootstrap, rows: 60}]"
    result = run(generate=steps)
    ids = pyarrow.csv.read_csv(result.delivered / "synthetic.csv")["customer"].to_pylist()
    assert len(set(ids)) == 120
    assert not set(ids) & {f"C-{i:05d}" for i in range(200)}


@pytest.mark.usefixtures("people")
def test_the_card_of_a_mixed_set_claims_no_single_maker() -> None:
    result = run(augment="[{use: tabular.jitter}]", include="training_set")
    cards = json.loads((result.delivered / "cards.json").read_text())
    assert (cards["synthetic"]["component"], cards["synthetic"]["origin"]) == ("", "augmented")
    assert "treat as the source data" in cards["synthetic"]["notes"][0]
    assert cards["training_set"]["origin"] == "real"
    assert "holds real records" in cards["training_set"]["notes"][0]


@pytest.mark.usefixtures("people")
def test_a_delivered_schema_lists_only_levels_of_delivered_rows() -> None:
    result = run(generate="[{use: tabular.marginals, rows: 10, where: {city: Rome}}]")
    (schema,) = json.loads((result.delivered / "schema.json").read_text()).values()
    levels = {field["name"]: field.get("levels") for field in schema["fields"]}
    assert levels["city"] == ["Rome"]
    assert "alone-" not in (result.delivered / "report.json").read_text()


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("use", ["borderline", "trees", "imblearn"])
def test_a_generator_that_looks_at_others_sees_them_beside_the_rows_it_is_asked_for(
    use: str,
) -> None:
    """`where` of a step and of its counts mean the same rows; the latter never hid the others."""
    made = []
    for name, asked in (
        ("alone", "where: {kind: b}, rows: 30"),
        ("counted", "counts: [{where: {kind: b}, rows: 30}]"),
    ):
        step = f"{{use: minority.{use}, name: step, {asked}}}"
        delivered = run(name, generate=f"[{step}]").delivered
        rows = pyarrow.csv.read_csv(delivered / "synthetic.csv").select(
            ["x", "city", "sex", "kind"]
        )
        assert set(rows["kind"].to_pylist()) == {"b"}
        made.append(rows)
    assert made[0].equals(made[1])


@pytest.mark.usefixtures("people")
def test_a_label_that_needs_no_rows_does_not_widen_the_comparison() -> None:
    brief = "{task: classification, target: kind, want: {b: 60, a: 10}}"
    result = run(brief=brief, generate="[{use: tabular.marginals}]")
    assert result.report["facts"]["where"] == "kind = b"


@pytest.mark.usefixtures("people")
def test_declared_shares_are_on_the_page() -> None:
    brief = "{task: classification, target: kind, population: {sex: {f: 0.5, m: 0.5}}}"
    result = run(brief=brief, metric="coverage.population")
    assert '<section id="population">' in result.report_path.read_text()


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("brief", "error", "told"),
    [
        ("{target: kind, positive: z}", DataError, "positive label 'z'"),
        ("{target: kind, population: {sexx: {f: 1.0}}}", SchemaError, "did you mean 'sex'"),
        ("{target: x, want: {1: 5}}", SchemaError, "brief.want speaks of labels"),
    ],
)
def test_a_brief_that_does_not_fit_the_data_is_refused(
    brief: str, error: type[TwinsetError], told: str
) -> None:
    with pytest.raises(error, match=told) as caught:
        run(brief=brief, generate="[{use: tabular.marginals}]")
    assert len(str(caught.value)) < 400
    assert not Path("out").exists()


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    "generate", ["{use: tabular.marginals, rows: 20}", "{use: tabular.marginals}"]
)
@pytest.mark.parametrize(
    ("target", "named", "label"),
    [("kind", "want: {z: 5}", "z"), ("city", "want: {alone-9: 5}", "alone-9"),
     ("city", "positive: alone-9", "alone-9"), ("city", "want: {Rome: 50, rome: 9}", "rome")],
)  # fmt: skip
def test_labels_that_the_target_lacks_are_refused_without_a_label_of_few_rows(
    target: str, named: str, label: str, generate: str
) -> None:
    with pytest.raises(DataError, match=f"label '{label}'") as caught:
        run(brief=f"{{target: {target}, {named}}}", generate=f"[{generate}]")
    shown = caught.value.allowed.partition(", and ")[0]
    assert shown == {"kind": "a, b", "city": "Oslo, Rome"}[target]
    assert not Path("out").exists()


@pytest.mark.usefixtures("people")
def test_a_training_set_of_two_kinds_of_rows_is_refused() -> None:
    shapes = "[{use: text.templates, rows: 5}]"
    with pytest.raises(DataError, match="do not have the same columns"):
        run(generate=shapes, include="training_set")
    assert not Path("out/first").exists()


def test_cards_share_what_is_true_of_all() -> None:
    one = Card(name="a", origin="synthetic", component="x", where={"k": 1}, notes=("n",))
    other = Card(name="b", origin="synthetic", component="x", where={"k": 2}, notes=("n", "m"))
    joint = joint_card([one, other])
    assert (joint.component, joint.where, joint.notes) == ("x", None, ("n", "m"))
    assert shared_where([one, other]) is None
    assert str(shared_where([one, one])) == "k = 1"


@pytest.mark.usefixtures("people")
def test_what_else_the_catalogue_holds_changes_no_delivered_file() -> None:
    first = run()
    alone = {path.name: path.read_bytes() for path in first.delivered.iterdir()}
    twinset.run("first.yaml", root="another", overrides=["seed=4"])
    again = twinset.run("first.yaml", root="another")
    assert again.versions["first"] == "first@2"
    assert {path.name: path.read_bytes() for path in again.delivered.iterdir()} == alone
