"""`twinset gaps` on small files: what it prints, the recipe it writes, and what running that changes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest

from twinset.core.seeding import rng_for
from twinset.recipe import load_recipe

from .conftest import Twinset, people

NORTH_OLD = "region = north and age >= 60"


def rows(n: int = 3_000) -> pa.Table:
    return people(n).drop_columns(["remark"])


def hit(table: pa.Table) -> np.ndarray:
    north = pc.equal(table["region"], "north").to_numpy(zero_copy_only=False)
    return north & (table["age"].to_numpy() >= 60)


@pytest.fixture
def lacking(folder: Path) -> Path:
    """Add real.csv, and synthetic.csv that lost nearly all rows with region north and age 60 on."""
    real = rows()
    pyarrow.csv.write_csv(real, folder / "real.csv")
    keep = ~hit(real) | (rng_for(2, "keep").random(len(real)) < 0.05)
    pyarrow.csv.write_csv(real.filter(pa.array(keep)), folder / "synthetic.csv")
    return folder


def test_the_slice_is_named_and_the_recipe_closes_the_gap(lacking: Path, twinset: Twinset) -> None:
    outcome = twinset("gaps", "real.csv", "synthetic.csv", "--out", "gaps.yaml")
    assert outcome.code == 0
    assert outcome.err == ""
    named = outcome.out.splitlines()[2]
    assert "region = north" in named
    assert "age" in named
    assert "Next: twinset run gaps.yaml" in outcome.out
    recipe = load_recipe(lacking / "gaps.yaml")
    (step,) = recipe.generate
    assert step.use == "tabular.trees"
    assert step.counts[0].where["region"] == "north"
    assert twinset("run", "gaps.yaml", "--set", "source.rules=[]").code == 0
    made = pyarrow.csv.read_csv(lacking / "out/real-gaps/synthetic.csv")
    assert len(made) == sum(count.rows for count in step.counts)
    real, before = (pyarrow.csv.read_csv(lacking / n) for n in ("real.csv", "synthetic.csv"))
    after = pa.concat_tables([before, made.select(before.column_names)])
    wanted, had, has = (hit(part).mean() for part in (real, before, after))
    assert abs(has - wanted) < 0.2 * abs(had - wanted)
    pyarrow.csv.write_csv(after, lacking / "after.csv")
    assert "No slice" in twinset("gaps", "real.csv", "after.csv", "--out", "again.yaml").out
    assert not (lacking / "again.yaml").exists(), "there is nothing to make"


def test_a_declared_share_is_reached_and_real_shares_of_it_are_left_alone(
    lacking: Path, twinset: Twinset
) -> None:
    want = ["--want", f"{NORTH_OLD}: 0.3", "--population", "label={yes: 0.6, no: 0.4}"]
    found = json.loads(twinset("gaps", "real.csv", "synthetic.csv", *want, "--json").out)
    first = found["missing"][0]
    assert first["sentence"].startswith(NORTH_OLD)
    assert first["declared"] is True
    assert first["where"] == {"region": "north", "age": {"ge": 60}}
    assert first["expected"] == pytest.approx(0.3, abs=0.02)
    labels = [gap for gap in found["missing"] if "label" in gap["where"]]
    assert [gap["where"]["label"] for gap in labels] == ["yes"]
    assert labels[0]["expected"] == pytest.approx(0.6, abs=0.02)
    assert found["rows"] == sum(gap["rows"] for gap in found["missing"])


def test_what_no_real_row_trains_is_not_asked_for(lacking: Path, twinset: Twinset) -> None:
    want = ["--want", "region = south and age >= 95: 0.05"]
    found = json.loads(twinset("gaps", "real.csv", "real.csv", *want, "--json").out)
    assert found["missing"][0]["rows"] == 0
    assert found["missing"][0]["obstacle"] == "no real rows to learn from"
    assert found["recipe"] == ""


def test_equal_tables_lack_nothing(folder: Path, twinset: Twinset) -> None:
    outcome = twinset("gaps", "people.csv", "people.csv", "--out", "gaps.yaml")
    assert outcome.code == 0
    assert outcome.out.startswith("No slice of up to three conditions")
    assert not (folder / "gaps.yaml").exists()


def test_rows_that_a_twin_held_out_stay_held_out(folder: Path, twinset: Twinset) -> None:
    real = rows(400)
    pyarrow.csv.write_csv(real, folder / "real.csv")
    made = ["twin", "real.csv", "twin.csv", "--use", "tabular.marginals", "--seed", "5"]
    assert twinset(*made, "--holdout-fraction", "0.3", "--target", "label").code == 0
    want = ["--want", "region = north and age >= 80: 0.2", "--out", "gaps.yaml"]
    assert twinset("gaps", "real.csv", "twin.csv", *want).code == 0
    recipe = load_recipe(folder / "gaps.yaml")
    assert (recipe.seed, recipe.split.holdout_fraction) == (5, 0.3)
    assert recipe.brief.target == "label"
    from twinset.catalog import Catalog
    from twinset.ingest.input_table import name_target, open_table, split_holdout
    from twinset.workflows.run import run

    overrides = ["evaluate.metrics=[gap.marginals]"]
    done = run(folder / "gaps.yaml", root=folder / ".twinset", overrides=overrides)
    (train,) = [ref for name, ref in done.versions.items() if name.endswith(".train")]
    catalog = Catalog(folder / ".twinset")
    seen = catalog.load(catalog.find(train))
    parts = split_holdout(name_target(open_table(folder / "real.csv"), "label"), 0.3, 5)
    assert seen.codes("customer")[1] == parts.train.codes("customer")[1]
