"""A recipe is parsed strictly, and all its faults are told at once, each with line and path."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.core.errors import RecipeError
from twinset.recipe import Recipe, load_recipe, parse_recipe

SMALL = """\
name: card-fraud
seed: 7
brief: {task: classification, target: Class, positive: 1, want: {1: 5000}}
source:
  name: ulb
  path: cards.csv
  licence: DbCL-1.0
  schema: {Time: {role: time}}
split: {by: time, on: Time, holdout_fraction: 0.3}
generate:
  - use: minority.smote
    where: {Class: 1}
    rows: 2000
    with: {k_neighbors: 5}
evaluate:
  metrics: default
  gates: {privacy.exact_copies: {max: 0}}
deliver: {to: out/, formats: [parquet, csv]}
"""


def faults(text: str, **more: object) -> list[str]:
    """Return the faults of a recipe, one a line."""
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, name="fraud.yaml", **more)
    lines = str(caught.value).splitlines()
    return lines[1:] if len(lines) > 1 else lines


def changed(old: str, new: str) -> str:
    assert SMALL.count(old) == 1, old
    return SMALL.replace(old, new)


def test_a_whole_recipe_is_read() -> None:
    recipe = parse_recipe(SMALL, base=Path("/data"))
    assert (recipe.name, recipe.seed, recipe.brief.target) == ("card-fraud", 7, "Class")
    assert recipe.brief.positive == "1"
    assert recipe.brief.want == {"1": 5000}
    assert recipe.source.schema_["Time"].role == "time"
    assert recipe.source_name == "ulb"
    assert recipe.split.on == "Time"
    step = recipe.generate[0]
    assert (step.use, step.where, step.rows) == ("minority.smote", {"Class": 1}, 2000)
    assert step.settings == {"k_neighbors": 5}
    assert not step.follows_brief
    assert recipe.evaluate.gates_json() == {"privacy.exact_copies": {"max": 0.0, "of": "value"}}
    assert recipe.deliver.formats == ["parquet", "csv"]
    assert recipe.source_path() == Path("/data/cards.csv")
    assert recipe.delivery_folder() == Path("/data/out")
    assert recipe.report.show_real_rows is False


def test_all_faults_are_reported_at_once_in_the_order_of_the_file() -> None:
    text = changed("task: classification", "task: clasification")
    text = text.replace("use: minority.smote", "use: minority.smoot")
    text = text.replace("holdout_fraction: 0.3", "holdout_fraction: 1.5")
    text = text.replace("formats: [parquet, csv]", "formts: [parquet]")
    text = text.replace("rows: 2000", "rows: many")
    found = faults(text)
    assert found[0].startswith("fraud.yaml:3: brief.task: got 'clasification'; allowed:")
    assert "did you mean 'classification'?" in found[0]
    assert found[1].startswith("fraud.yaml:9: split.holdout_fraction: must be less than 1")
    assert found[2].startswith("fraud.yaml:11: generate[0].use: unknown generator 'minority.smoot'")
    assert "did you mean 'minority.smote'?" in found[2]
    assert found[3] == "fraud.yaml:13: generate[0].rows: must be a whole number; got 'many'"
    assert found[4].startswith("fraud.yaml:18: deliver.formts: unknown key; allowed: to, formats")
    assert "did you mean 'formats'?" in found[4]
    assert len(found) == 5


A_FAULT_IS_TOLD_WITH_LINE_PATH_AND_HINT_CASES = [
    # keys and types
    (changed("seed: 7", "sed: 7"), "2: sed", "did you mean 'seed'?"),
    (changed("{role: time}", "{rol: time}"), "8: source.schema.Time.rol", "'role'?"),
    (changed("    rows: 2000", "    row: 2000"), "13: generate[0].row", "did you mean 'rows'"),
    (changed("{max: 0}", "{maxi: 0}"), "17: evaluate.gates.privacy.exact_copies.maxi", "max"),
    (changed("name: card-fraud\n", ""), "1: name", "missing"),
    (changed("name: card-fraud", "name: ../etc"), "1: name", "letters"),
    (changed("name: card-fraud", "name: 5"), "1: name", "must be text; got 5"),
    (changed("seed: 7", "seed: '7'"), "2: seed", "must be a whole number; got '7'"),
    (changed("seed: 7", "seed: true"), "2: seed", "must be a whole number; got true"),
    (changed("seed: 7", "seed: -1"), "2: seed", "greater than or equal to 0"),
    (changed("seed: 7", "seed: 7\nname: again"), "3: name", "stands here twice"),
    (changed("seed: 7", "seed: 7\naugment:"), "3: augment", "must be a list; got nothing"),
    (changed("{by: time, on: Time", "{by: tim, on: Time"), "9: split.by", "'time'?"),
    (changed("{role: time}", "{role: clock}"), "8: source.schema.Time.role", "clock"),
    (changed("{1: 5000}", "{1: 0}"), "3: brief.want.1", "greater than or equal to 1"),
    (changed("rows: 2000", "rows: 0"), "13: generate[0].rows", "greater than or equal to 1"),
    (changed("rows: 2000", "rows: 2.5"), "13: generate[0].rows", "whole number; got 2.5"),
    (changed("[parquet, csv]", "[parquet, xlsx]"), "18: deliver.formats[1]", "xlsx"),
    (changed("[parquet, csv]", "[csv, csv]"), "18: deliver", "twice"),
    (changed("[parquet, csv]", "[]"), "18: deliver.formats", "at least 1"),
    # meaning of sections
    (changed("target: Class, ", ""), "3: brief", "no target is named"),
    (changed("path: cards.csv", "path: a.csv\n  set: a@1"), "4: source", "path and set"),
    (changed("  path: cards.csv\n", ""), "4: source", "none of them"),
    (changed("DbCL-1.0", "'open data!'"), "7: source.licence", "no SPDX licence"),
    (changed("{Class: 1}", "{Class: {more: 1}}"), "12: generate[0].where", "not understood"),
    (changed("rows: 2000", "rows: 9\n    counts: [{where: {A: 1}, rows: 1}]"), "11: ", "both"),
    (changed("{max: 0}", "{of: value}"), "17: evaluate.gates.privacy.exact_copies", "needs"),
    (changed("{max: 0}", "{max: 0, min: 1}"), "17: evaluate.gates.", "no number passes"),
    (changed("{by: time, on: Time,", "{by: given,"), "9: split", "role 'split'"),
    (changed("to: out/", "to: ../out"), "18: deliver.to", "not below the working folder"),
    (changed("to: out/", "to: out/../../up"), "18: deliver.to", "not below"),
    (changed("to: out/", "to: ''"), "18: deliver.to", "it is empty"),
    # components
    (changed("k_neighbors: 5", "k_neighbours: 5"), "14: generate[0].with.k_n", "k_neighbors'?"),
    (changed("k_neighbors: 5", "k_neighbors: '5'"), "14: generate[0].with.k_n", "got '5'"),
    (changed("k_neighbors: 5", "k_neighbors: 0"), "14: generate[0].with", "k_neighbors"),
    (changed("{privacy.exact_copies:", "{privacy.copies:"), "17: evaluate.gates.", "unknown"),
    (changed("default", "[gap.marginal]"), "16: evaluate.metrics[0]", "'gap.marginals'?"),
    (changed("default", "[gap.pairs]"), "17: evaluate.gates.", "not among evaluate.metrics"),
    (changed("default", "{a: b}"), "16: evaluate.metrics", "must be a list; got a mapping"),
    (changed("default", "[gap.pairs, {use: gap.pairs}]"), "16: evaluate.metrics[1]", "twice"),
    (changed("path: cards.csv", "fetch: ulb-creditcrd"), "6: source.fetch", "creditcard'?"),
]


def test_a_fault_is_reported_with_line_path_and_hint() -> None:
    for text, place, words in A_FAULT_IS_TOLD_WITH_LINE_PATH_AND_HINT_CASES:
        found = faults(text)
        mine = [line for line in found if line.startswith(f"fraud.yaml:{place}")]
        assert mine, found
        assert any(words in line for line in mine), found


WHAT_IS_NO_RECIPE_IS_REFUSED_IN_ONE_CLEAR_SENTENCE_CASES = [
    ("", "the recipe is empty"),
    ("# nothing\n", "the recipe is empty"),
    ("- a\n- b\n", "no mapping of keys"),
    ("just text", "no mapping of keys"),
    ("a: [1, 2", "fraud.yaml:1: this is not YAML"),
    ("a: 1\n\tb: 2", "fraud.yaml:2: this is not YAML"),
    ("a: 1\n---\nb: 2", "this is not YAML"),
    ("a: \x07", "this is not YAML"),
    ("name: !!python/object/apply:os.system ['ls']", "is not allowed"),
    ("name: !!set {a}", "is not allowed"),
    ("? [a, b]\n: c", "a key must be plain text"),
    ("a: " + "[" * 40 + "]" * 40, "nested too deep"),
    ("a: " + "[" * 100_000, "nested too deep"),
    ("a: &a 1\nb: [" + "*a, " * 30 + "]", "too many aliases"),
    ("a: &a [*a]", "an alias stands inside the value"),
    ("a: &a [" + "1," * 20_000 + "]\nb: [*a, *a, *a]", "expand to too many values"),
    ("a: &a [*a, *a, *a, *a]", "an alias stands inside the value"),
    ("a" * 1_100_000, "too large"),
    ("a: " + "9" * 5000, "the number is too large"),
]


def test_what_is_no_recipe_is_refused_in_one_clear_sentence() -> None:
    for text, words in WHAT_IS_NO_RECIPE_IS_REFUSED_IN_ONE_CLEAR_SENTENCE_CASES:
        assert any(words in line for line in faults(text))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80) | st.binary(max_size=80).map(lambda b: b.decode("latin-1")))
def test_any_text_is_a_recipe_or_a_recipe_error(text: str) -> None:
    with pytest.raises(RecipeError):
        parse_recipe(text)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
_sections = ["brief", "source", "split", "assets", "generate", "augment", "evaluate", "deliver"]


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(_sections), _values, min_size=1))
def test_wrong_shapes_are_faults_and_never_crashes(data: dict[str, object]) -> None:
    import json

    with pytest.raises(RecipeError):
        parse_recipe(json.dumps({"name": "x", **data}))


def test_yaml_booleans_and_dates_are_those_of_json() -> None:
    text = changed("{Class: 1}", "{Class: no, day: {ge: 2024-01-01}}")
    text = text.replace("{1: 5000}", "{yes: 5000}")
    recipe = parse_recipe(text)
    assert recipe.generate[0].where == {"Class": "no", "day": {"ge": "2024-01-01"}}
    assert recipe.brief.want == {"yes": 5000}


def test_a_condition_may_be_written_as_on_the_command_line() -> None:
    recipe = parse_recipe(changed("where: {Class: 1}", "where: Class = 1 and Amount >= 100"))
    assert recipe.generate[0].where == {"Class": 1, "Amount": {"ge": 100}}


def test_spdx_expressions_are_licences() -> None:
    for licence in ["MIT", "(MIT OR Apache-2.0) AND BSD-3-Clause", "LicenseRef-x"]:
        assert parse_recipe(changed("DbCL-1.0", licence)).source.licence == licence


def test_population_shares_must_sum_to_one() -> None:
    good = changed("want: {1: 5000}", "population: {sex: {F: 0.505, M: 0.49}}")
    assert parse_recipe(good).brief.population == {"sex": {"F": 0.505, "M": 0.49}}
    found = faults(good.replace("0.49", "0.4"))
    assert found == ["fraud.yaml:3: brief: the shares of population.sex sum to 0.905; allowed: 1"]


def test_without_a_source_steps_must_need_none_and_say_how_many() -> None:
    head = "name: a\nbrief: {task: detection}\ngenerate:\n"
    assert parse_recipe(head + "  - {use: image.shapes, rows: 3}\n").source is None
    assert "must say rows" in faults(head + "  - {use: image.shapes}\n")[0]
    found = faults(head + "  - {use: tabular.copula, rows: 3}\naugment: [{use: tabular.jitter}]\n")
    assert found[0].startswith("fraud.yaml:4: generate[0].use: 'tabular.copula' learns from real")
    assert found[1].startswith("fraud.yaml:5: augment[0]: this varies real rows")


def test_a_recipe_that_makes_nothing_is_refused() -> None:
    found = faults("name: a\nbrief: {}\nsource: {path: a.csv}\n")
    assert found == ["fraud.yaml:1: generate: the recipe makes nothing; add a step"]


def test_steps_get_names_that_are_unique() -> None:
    recipe = parse_recipe(
        "name: a\nbrief: {}\nsource: {path: a.csv}\ngenerate:\n"
        "  - {use: tabular.copula, rows: 1}\n  - {use: tabular.copula, rows: 1, name: copula-2}\n"
        "  - {use: tabular.copula, rows: 1}\naugment: [{use: tabular.jitter}]\n"
    )
    assert [name for name, _ in recipe.named_steps()] == [
        "copula",
        "copula-2",
        "copula-3",
        "jitter",
    ]


def test_two_steps_of_one_name_are_refused() -> None:
    for taken in ["twin", "measure"]:
        text = (
            "name: a\nbrief: {}\nsource: {path: a.csv}\ngenerate:\n"
            "  - {use: tabular.copula, rows: 1, name: twin}\n"
            f"augment: [{{use: tabular.jitter, name: {taken}}}]"
        )
        assert faults(text)[0].startswith("fraud.yaml:6: augment[0].name: the step name")


def test_only_one_step_may_follow_the_brief() -> None:
    text = changed("    where: {Class: 1}\n    rows: 2000\n", "")
    assert parse_recipe(text).generate[0].follows_brief
    found = faults(text.replace("evaluate:", "  - use: tabular.copula\nevaluate:"))
    assert "brief.want" in found[0]


def test_labels_and_declared_columns_become_fields() -> None:
    import pyarrow as pa

    from twinset.core.data.arrow_tables import infer_schema
    from twinset.core.errors import SchemaError

    text = changed(
        "schema: {Time: {role: time}}",
        "schema: {Time: {role: time}, Amount: {decimals: 2, nullable: false}}\n"
        "  labels: {Class: {0: {definition: genuine}, 1: {definition: fraud, parent: 0}}}",
    )
    source = parse_recipe(text).source
    table = pa.table({"Time": [0.5, 1.5], "Amount": [1.25, 3.5], "Class": [7, 9], "x": [1.5, 2.5]})
    found = {field.name: field for field in source.fields(infer_schema(table))}
    assert list(found) == ["Time", "Amount", "Class"]
    assert found["Time"].role == "time"
    assert (found["Amount"].decimals, found["Amount"].nullable) == (2, False)
    assert found["Class"].taxonomy.ancestors("1") == ("0",)
    assert found["Class"].kind == "category"
    with pytest.raises(SchemaError, match="Amount"):
        source.fields(infer_schema(table.select(["Time", "Class"])))
    wrong = faults(text.replace("parent: 0", "parent: 9"))
    assert "labels.Class: the label '1' has an unknown parent" in wrong[0]


def test_the_digest_is_that_of_the_content() -> None:
    first = parse_recipe(SMALL).digest
    assert parse_recipe("# a remark\n" + SMALL, base=Path("/x")).digest == first
    assert parse_recipe(changed("to: out/", "to: elsewhere")).digest == first
    assert parse_recipe(changed("seed: 7", "seed: 8")).digest != first
    assert parse_recipe(changed("k_neighbors: 5", "k_neighbors: 6")).digest != first


def test_a_recipe_is_frozen() -> None:
    recipe = parse_recipe(SMALL)
    with pytest.raises(ValueError, match="frozen"):
        recipe.seed = 8


def test_files_are_read_relative_to_the_recipe(tmp_path, monkeypatch) -> None:
    (tmp_path / "recipes").mkdir()
    path = tmp_path / "recipes" / "fraud.yaml"
    path.write_text("\ufeff" + SMALL, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe(path)
    assert isinstance(recipe, Recipe)
    assert recipe.source_path() == tmp_path / "recipes" / "cards.csv"
    assert recipe.delivery_folder() == tmp_path / "out"
    mine = load_recipe(path, ["source.path=mine.csv"])
    assert mine.source_path() == tmp_path / "mine.csv"


def test_an_unreadable_file_is_one_sentence(tmp_path) -> None:
    with pytest.raises(RecipeError, match="no recipe file"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(RecipeError, match="is a folder"):
        load_recipe(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(RecipeError, match="not UTF-8"):
        load_recipe(tmp_path / "latin.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(RecipeError, match="too large"):
        load_recipe(tmp_path / "large.yaml")


def test_the_chosen_metrics_are_built_with_their_settings() -> None:
    text = changed("default", "[privacy.exact_copies, {use: gap.marginals, with: {margin: 0.07}}]")
    evaluate = parse_recipe(text).evaluate
    built = dict(evaluate.built_metrics(frozenset({"number"})))
    assert list(built) == ["privacy.exact_copies", "gap.marginals"]
    assert built["gap.marginals"].margin == 0.07
    assert evaluate.metrics_json()[1] == {"use": "gap.marginals", "with": {"margin": 0.07}}


def test_default_metrics_are_those_that_can_look_at_the_columns() -> None:
    evaluate = parse_recipe(SMALL).evaluate
    names = [name for name, _ in evaluate.built_metrics(frozenset({"spans"}))]
    assert "gap.classifier" in names
    assert "gap.marginals" not in names
    assert {entry["use"] for entry in evaluate.metrics_json()} >= {"gap.marginals", "gap.pairs"}


def test_a_shipped_recipe_is_found_by_its_bare_name(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_recipe("quickstart").name == "quickstart"
    with pytest.raises(RecipeError, match=r"shipped recipes cells_rare, .*fraud, .*quickstart"):
        load_recipe("quickstrat")
