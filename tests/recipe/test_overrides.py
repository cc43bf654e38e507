"""`--set a.b=value` changes a recipe; its faults name the change."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinset.core.errors import RecipeError
from twinset.recipe import Recipe, parse_recipe

TEXT = """\
name: fraud
brief: {task: classification, target: Class, positive: 1}
source:
  name: ulb
  fetch: ulb-creditcard
  licence: DbCL-1.0
  provenance: {citation: someone}
  schema: {Time: {role: time}}
split: {by: time, on: Time}
generate: [{use: tabular.copula, rows: 10}]
evaluate: {gates: {privacy.exact_copies: {max: 0}}}
"""


def parsed(*overrides: str) -> Recipe:
    return parse_recipe(TEXT, base=Path("/base"), home=Path("/home/me"), overrides=overrides)


def fault(*overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        parsed(*overrides)
    return str(caught.value)


def test_values_are_yaml() -> None:
    recipe = parsed("seed=5", "deliver.formats=[csv, jsonl]", "brief.want={1: 20}", "report={}")
    assert (recipe.seed, recipe.deliver.formats) == (5, ["csv", "jsonl"])
    assert recipe.brief.want == {"1": 20}


def test_items_of_lists_have_numbers() -> None:
    for spelled in ["generate.0.rows=7", "generate[0].rows=7"]:
        assert parsed(spelled).generate[0].rows == 7


def test_sections_that_are_not_there_are_made() -> None:
    assert parsed("report.show_real_rows=true").report.show_real_rows is True


KEYS_WITH_DOTS_ARE_FOUND_CASES = [
    "evaluate.gates.privacy.exact_copies.max=3",
    'evaluate.gates."privacy.exact_copies".max=3',
]


def test_keys_with_dots_are_found() -> None:
    for override in KEYS_WITH_DOTS_ARE_FOUND_CASES:
        assert parsed(override).evaluate.gates["privacy.exact_copies"].max == 3


def test_a_new_gate_needs_no_quotes() -> None:
    gates = parsed("evaluate.gates.gap.marginals.max=0.1").evaluate.gates
    assert gates["gap.marginals"].max == 0.1


def test_another_source_replaces_the_first_and_what_was_said_of_it() -> None:
    source = parsed("source.path=my.csv").source
    assert (source.fetch, source.path) == (None, "/home/me/my.csv")
    assert (source.name, source.licence, source.provenance) == (None, "NOASSERTION", {})
    assert source.schema_["Time"].role == "time"
    both = parsed("source.licence=MIT", "source.set=bank@2").source
    assert (both.set_, both.fetch, both.licence) == ("bank@2", None, "MIT")
    assert parsed("source.path=my.csv", "source.name=mine").source.name == "mine"
    assert parsed("source.path=a.csv", "source.set=b").source.path is None


def test_another_split_drops_the_column_of_the_first() -> None:
    assert parsed("split.by=stratified").split.on is None
    assert parsed("split.on=Hour", "split.by=group").split.on == "Hour"
    assert parsed("split.by=group", "split.on=Hour").split.on == "Hour"


def test_the_users_own_file_as_the_readme_says() -> None:
    recipe = parsed("source.path=my.csv", "brief.target=is_fraud", "split.by=stratified")
    assert recipe.brief.target == "is_fraud"
    assert recipe.source_name == "fraud.real"


def test_faults_name_the_change() -> None:
    assert fault("seed=x").startswith("--set seed=x: seed: must be a whole number; got 'x'")
    told = fault("split.holdout_fraction=2", "split.bye=time").splitlines()
    assert told[1].startswith("--set split.holdout_fraction=2: split.holdout_fraction: must be")
    assert told[2].startswith("--set split.bye=time: split.bye: unknown key")
    assert "did you mean 'by'?" in told[2]


A_CHANGE_THAT_LEADS_NOWHERE_IS_A_FAULT_CASES = [
    ("seed", "allowed: KEY.KEY=VALUE"),
    ("=5", "allowed: KEY.KEY=VALUE"),
    ("seed=[1", "allowed: KEY.KEY=VALUE"),
    ("generate.3.rows=1", "generate holds no '3'"),
    ("generate.x.rows=1", "generate holds no 'x'"),
    ("name.first=1", "name holds no 'first'"),
    ("deliver.to=../up", "not below the working folder"),
]


def test_a_change_that_leads_nowhere_is_a_fault() -> None:
    for override, words in A_CHANGE_THAT_LEADS_NOWHERE_IS_A_FAULT_CASES:
        assert words in fault(override)


def test_an_absolute_folder_may_be_anywhere(tmp_path: Path) -> None:
    assert parsed(f"deliver.to={tmp_path}").delivery_folder() == tmp_path


def test_weights_of_an_embedder_start_from_the_working_folder() -> None:
    recipe = parsed("evaluate.embedder=[classical, onnx:eye.onnx]")
    assert recipe.embedders() == ("classical", "onnx:/home/me/eye.onnx")
    assert parsed("evaluate.embedder=net").embedders() == ("net",)
    assert "evaluate.embedder: '--' names no embedder" in fault("evaluate.embedder=--")
