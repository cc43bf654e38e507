"""Requests by file, by recipe or by guess, and the recipe that comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

import twinset as tw
from twinset.core.errors import RecipeError, SchemaError
from twinset.core.seeding import rng_for
from twinset.recipe import load_recipe
from twinset.workflows.advise.labelled_table import (
    read_labelled_table,
    read_request,
    recipe_of,
    split_test_set,
)
from twinset.workflows.advise.strategies import GENERATORS, NONE, Strategy
from twinset.workflows.options import AdviseOptions

RECIPE = """\
name: cards
seed: 9
brief: {task: classification, target: fraud, positive: "yes"}
source: {name: payments, path: payments.csv, licence: CC0-1.0}
split: {by: time, on: day, holdout_fraction: 0.4}
generate: [{use: tabular.copula, rows: 10}]
"""


@pytest.fixture
def folder(tmp_path: Path, table: pa.Table) -> Path:
    """payments.csv and a recipe for it."""
    pyarrow.csv.write_csv(table, tmp_path / "payments.csv")
    (tmp_path / "cards.yaml").write_text(RECIPE)
    return tmp_path


def test_a_recipe_gives_table_target_split_and_seed(folder: Path) -> None:
    found = read_request(folder / "cards.yaml", AdviseOptions())
    assert (found.options.target, found.options.positive) == ("fraud", "yes")
    assert (found.options.time, found.test_fraction, found.seed) == ("day", 0.4, 9)
    assert len(found.table) == 3_000
    assert read_request(folder / "cards.yaml", AdviseOptions(test_fraction=0.2, seed=3)).seed == 3


def test_a_target_is_guessed_by_its_name_and_the_guess_is_noted(folder: Path) -> None:
    found = read_request(folder / "payments.csv", AdviseOptions())
    assert found.options.target == "fraud"
    assert "'fraud' is taken as the target" in found.notes[0]


def test_a_table_without_labels_needs_a_target() -> None:
    with pytest.raises(RecipeError, match="no column looks like the one to predict"):
        read_request(pa.table({"x": np.arange(50) / 7}), AdviseOptions())


def test_the_recipe_makes_as_many_rows_as_were_chosen(folder: Path) -> None:
    request = read_request(folder / "payments.csv", AdviseOptions(target="fraud"))
    labelled = read_labelled_table(request.table, request.options)
    split = split_test_set(labelled, 0.3, None, rng_for(1, "cut"))
    # 105 of 2,100 train rows are rare: a tenth of the 1,995 others is 200, less those there are.
    copula = Strategy("copula 0.1", "rows", ratio=0.1, component="tabular.copula")
    place = folder / "balanced.yaml"
    place.write_text(recipe_of(labelled, split, copula, request))
    recipe = load_recipe(place)
    (step,) = recipe.generate
    assert (step.use, step.rows, step.where) == ("tabular.copula", 95, {"fraud": "yes"})
    assert recipe.split.holdout_fraction == 0.3
    assert recipe_of(labelled, split, NONE, request) == ""
    assert recipe_of(labelled, split, Strategy("thin", "thin"), request) == ""


@pytest.mark.slow
@pytest.mark.parametrize("component", [name for _, names in GENERATORS for name in names[:1]])
def test_the_recipe_runs(folder: Path, monkeypatch: pytest.MonkeyPatch, component: str) -> None:
    monkeypatch.chdir(folder)
    request = read_request("payments.csv", AdviseOptions(target="fraud"))
    labelled = read_labelled_table(request.table, request.options)
    split = split_test_set(labelled, 0.3, None, rng_for(1, "cut"))
    chosen = Strategy("made 0.1", "rows", ratio=0.1, component=component)
    (folder / "balanced.yaml").write_text(recipe_of(labelled, split, chosen, request))
    tw.run(folder / "balanced.yaml", overrides=["evaluate.metrics=[privacy.exact_copies]"])
    made = next(folder.rglob("synthetic.csv"))
    assert pyarrow.csv.read_csv(made)["fraud"].to_pylist() == ["yes"] * 95


def test_rows_of_a_card_may_be_mixed_as_they_were_tried(folder: Path) -> None:
    request = read_request(folder / "payments.csv", AdviseOptions(target="fraud", group="card"))
    labelled = read_labelled_table(request.table, request.options)
    split = split_test_set(labelled, 0.3, None, rng_for(1, "cut"))
    chosen = Strategy("smote 0.1", "rows", ratio=0.1, component="minority.smote")
    (folder / "balanced.yaml").write_text(recipe_of(labelled, split, chosen, request))
    (step,) = load_recipe(folder / "balanced.yaml").generate
    assert step.with_ == {"across_entities": True}


def test_numbers_and_dates_of_a_country_are_reported_with_what_to_do(table: pa.Table) -> None:
    n = len(table)
    table = table.append_column("betrag", pa.array([f"{i},50" for i in range(n)]))
    table = table.append_column("datum", pa.array([f"{1 + i % 28}.12.2024" for i in range(n)]))
    with pytest.raises(SchemaError, match=r"its texts are dates.*2024-12-31"):
        read_labelled_table(table, AdviseOptions(target="fraud", time="datum"))
    with pytest.raises(SchemaError, match=r"its texts are numbers.*1234\.5"):
        read_labelled_table(table, AdviseOptions(target="fraud", amount="betrag"))
    notes = read_request(table, AdviseOptions(target="fraud", group="card")).notes
    assert [note.split(":")[0] for note in notes] == ["'betrag'", "'datum'"]


def test_what_looks_like_a_time_or_a_card_is_noted_unless_it_was_named(table: pa.Table) -> None:
    n = len(table)
    table = table.append_column("time", pa.array(np.arange(n)))
    hints = read_request(table, AdviseOptions(target="fraud")).notes
    assert "with --time time the latest are tested on" in hints[0]
    assert "with --group card no such group" in hints[1]
    assert read_request(table, AdviseOptions(target="fraud", time="time", group="card")).notes == ()
