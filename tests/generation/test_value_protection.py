"""Generators of the registry learn nothing that one person alone has, unless protection is off."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pytest

from twinset import run
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.seeding import rng_for
from twinset.evaluation.privacy.one_person_values import count_one_person_values
from twinset.generation.sampling import RowSource, fit_source
from twinset.registry import build
from twinset.workflows.twin import twin

EXTREME, BIRTH = 98765432.17, np.datetime64("1907-03-11")
LEARNERS = {
    "tabular.bootstrap": {},
    "tabular.marginals": {},
    "tabular.copula": {},
    "tabular.trees": {},
    "minority.smote": {},
    "minority.copula": {},
}


def people(n: int, seed: int) -> pa.Table:
    rng = rng_for(seed, "people")
    salary = np.round(np.exp(rng.normal(10, 0.6, n)), 2)
    born = np.datetime64("1950-01-01") + rng.integers(0, 18_000, n)
    town = rng.choice(["Oslo", "Bergen", "Molde"], n, p=[0.6, 0.38, 0.02])
    age = rng.normal(45, 12, n).round().astype(int)
    return pa.table({"salary": salary, "born": born, "town": town, "age": age})


@pytest.fixture(scope="module")
def train() -> Dataset:
    table = people(300, 0)
    salary, born = (table.column(name).to_numpy().copy() for name in ("salary", "born"))
    town = np.array(table.column("town").to_pylist())
    salary[4], born[5], town[6] = EXTREME, BIRTH, "Utsira"
    columns = {"salary": salary, "born": born, "town": town, "age": table.column("age")}
    return Dataset.from_arrow(pa.table(columns))


def source(train: Dataset, use: str, **settings: object) -> RowSource:
    generator = build("generator", use, LEARNERS[use])
    return fit_source(generator, train, seed=3, path=("values",), **settings)


@pytest.mark.parametrize("use", LEARNERS)
def test_no_generator_repeats_what_one_person_has(train: Dataset, use: str) -> None:
    rows = Dataset.concat(list(source(train, use).draw(300)))
    unseen = Dataset.from_arrow(people(300, 1))
    for name, found in count_one_person_values(train, rows, unseen).items():
        assert found.kept <= found.unseen_kept + 3 * np.sqrt(found.unseen_kept + 1), name
    assert rows.values("salary").max() < EXTREME
    assert "Utsira" not in rows.codes("town")[1]
    assert rows.values("born").min() > BIRTH.astype("M8[us]").astype(float)


def test_without_protection_they_do(train: Dataset) -> None:
    rows = Dataset.concat(
        list(source(train, "tabular.bootstrap", value_protection=False).draw(900))
    )
    assert rows.values("salary").max() == EXTREME
    assert "Utsira" in rows.codes("town")[1]


def test_the_schema_of_drawn_rows_lists_no_rare_level(train: Dataset) -> None:
    drawn = source(train, "tabular.bootstrap")
    assert "Utsira" in str(train.schema.to_json())
    assert "Utsira" not in str(drawn.schema.to_json())


def test_a_rare_label_that_is_requested_is_drawn(train: Dataset) -> None:
    asked = Where({"town": "Molde"})
    drawn = source(train, "tabular.bootstrap", named=[asked])
    rows = Dataset.concat(list(drawn.draw(40, where=asked)))
    assert rows.codes("town")[1] == ("Molde",)


def test_what_private_trees_store_holds_no_such_value(train: Dataset) -> None:
    fitted = build("generator", "tabular.trees", {"private": True}).fit(train, rng_for(0, "fit"))
    arrays, meta = fitted.to_arrays()
    for array in arrays.values():
        assert EXTREME not in np.ravel(array)
    assert "Utsira" not in str(meta) + str([a for a in arrays.values() if a.dtype.kind in "US"])


def test_twin_says_that_protection_is_off(tmp_path: Path, train: Dataset) -> None:
    for on in (True, False):
        place = tmp_path / f"{on}.csv"
        result = twin(train.slice(0, 60), place, use="tabular.bootstrap", value_protection=on)
        note = json.loads((tmp_path / f"{on}.csv.twin.json").read_text())
        assert note["value_protection"] is on
        said = " ".join(result.synthetic.card.notes)
        assert ("value protection is off" in said) is not on
        assert ("value protection is off" in result.report.to_html()) is not on
        assert result.report.to_html().count("one training person alone has") > 0


@pytest.mark.parametrize("use", ["tabular.marginals", "tabular.trees"])
def test_a_column_that_numbers_rows_stays_unique(use: str) -> None:
    """Nobody declares it: no value repeats in 300 rows, where chance would repeat many."""
    table = people(300, 0).append_column("number", pa.array(rng_for(0, "n").permutation(400)[:300]))
    rows = Dataset.concat(list(source(Dataset.from_arrow(table), use).draw(300)))
    assert len(np.unique(rows.values("number"))) == 300


def test_varied_rows_hold_no_label_that_one_person_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    town = ["Oslo"] * 60 + ["Bergen"] * 59 + ["Utsira"]
    table = pa.table({"town": town, "ok": [i % 2 == 0 for i in range(120)]})
    csv.write_csv(table, "real.csv")
    recipe = """
name: varied
brief: {task: other}
source: {path: real.csv}
split: {holdout_fraction: 0.1}
augment: [{use: tabular.jitter, copies: 3, value_protection: PROTECTED, with: {swap_fraction: 0.5}}]
evaluate: {metrics: []}
deliver: {to: out, formats: [csv]}
"""
    for protected in (True, False):
        Path("r.yaml").write_text(recipe.replace("PROTECTED", str(protected).lower()))
        text = (run("r.yaml").delivered / "synthetic.csv").read_text()
        assert ("Utsira" in text) is not protected
