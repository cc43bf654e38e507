"""Rules from the recipe to the delivered rows: held, counted on the card, notes on the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

import twinset
from twinset.catalog import Catalog
from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule, rules_from_json
from twinset.core.errors import TwinsetError
from twinset.core.rules.violations import violations
from twinset.core.seeding import rng_for

RULES = [
    {"kind": "sum", "columns": ["total", "net", "tax"]},
    {"kind": "range", "columns": ["net"], "low": 1},
    {"kind": "dependency", "columns": ["city", "land"]},
    {"kind": "unique", "columns": ["number"]},
    {"kind": "predicate", "expression": "total > 20 or land = 'l0'"},
]
RECIPE = """
name: shop
seed: 3
brief: {task: other}
source: {name: orders, path: orders.csv, rules: RULES}
generate: GENERATE
augment: AUGMENT
evaluate: {metrics: [gap.marginals]}
deliver: {to: out, formats: [csv]}
"""


@pytest.fixture
def orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pa.Table:
    """400 orders, the net amount of three of them below 1."""
    monkeypatch.chdir(tmp_path)
    rng = rng_for(1, "orders")
    net, tax = np.round(rng.gamma(2, 20, 400) + 1, 2), np.round(rng.gamma(2, 3, 400), 2)
    net[:3] = 0.5
    city = rng.integers(0, 9, 400)
    columns = {
        "number": rng.permutation(2_000)[:400], "net": net, "tax": tax,
        "total": np.round(net + tax, 2), "city": [f"c{i}" for i in city],
        "land": [f"l{i // 3}" for i in city],
    }  # fmt: skip
    table = pa.table(columns)
    keep = (columns["total"] > 20) | (city < 3)
    keep[:3] = True
    table = table.filter(pa.array(keep))
    pyarrow.csv.write_csv(table, "orders.csv")
    return table


def run(generate: str, augment: str = "[]", rules: object = RULES) -> twinset.RunResult:
    text = RECIPE.replace("RULES", json.dumps(rules))
    text = text.replace("GENERATE", generate).replace("AUGMENT", augment)
    Path("shop.yaml").write_text(text)
    return twinset.run("shop.yaml", root="catalogue")


def delivered(result: twinset.RunResult) -> Dataset:
    table = pyarrow.csv.read_csv(result.delivered / "synthetic.csv")
    return Dataset.from_arrow(table.drop_columns(["_id", "_origin", "_parents"]))


@pytest.mark.usefixtures("orders")
def test_rules_hold_in_what_is_delivered_and_the_work_is_reported() -> None:
    steps = "[{use: tabular.marginals, rows: 250}, {use: tabular.copula, rows: 250}]"
    result = run(steps)
    made = delivered(result)
    assert len(made) == 500
    # The key also holds over both steps.
    for rule in rules_from_json(RULES):
        assert not violations(rule, made).any(), rule
    notes = result.report["notes"]
    assert "All 5 rules hold in all 500 synthetic rows." in notes
    assert any(
        note.startswith("Rule range(net): 3 of") and "real rows break it" in note for note in notes
    )
    catalog = Catalog(Path("catalogue"))
    card = catalog.card(catalog.find("shop.marginals"))
    assert any(
        note.startswith("Rule sum(total, net, tax) was repaired; of 250 rows")
        for note in card.notes
    )
    assert "was repaired" in result.report_path.read_text()


@pytest.mark.usefixtures("orders")
def test_varied_rows_keep_the_rules_too() -> None:
    augment = "[{use: tabular.jitter, copies: 2}]"
    without_key = [rule for rule in RULES if rule["kind"] != "unique"]
    result = run("[]", augment, without_key)
    made = delivered(result)
    assert len(made) > 400
    for rule in rules_from_json(without_key):
        assert not violations(rule, made).any(), rule
    catalog = Catalog(Path("catalogue"))
    (version,) = (v for v in catalog.sets() if v.name == "shop.jitter")
    assert any("sum(total, net, tax) was repaired" in note for note in catalog.card(version).notes)


@pytest.mark.usefixtures("orders")
def test_a_condition_and_rules_that_exclude_each_other_end_in_one_sentence() -> None:
    steps = "[{use: tabular.copula, rows: 20, where: {city: c1, land: l2}}]"
    with pytest.raises(TwinsetError, match="no row"):
        run(steps)


def test_a_twin_of_a_set_with_rules_keeps_them(orders: pa.Table, tmp_path: Path) -> None:
    real = Dataset.from_arrow(orders)
    real = replace(real, schema=replace(real.schema, rules=rules_from_json(RULES)))
    result = twinset.twin(real, tmp_path / "t.csv", use="tabular.marginals", rows=120, seed=2)
    assert not any(violations(rule, result.synthetic).any() for rule in real.schema.rules)
    assert any("was repaired" in note for note in result.synthetic.card.notes)
    assert "All 5 rules hold in all 120 synthetic rows." in result.report.notes
    assert any("was repaired" in n for n in json.loads(result.paths["note"].read_text())["notes"])


def test_the_report_counts_rules_that_are_broken_by_other_means(orders: pa.Table) -> None:
    from twinset.measurement.notes import note_rules

    real = Dataset.from_arrow(orders)
    rules = (Rule("combination", ("city", "land")), Rule("dependency", ("city", "land")))
    real = replace(real, schema=replace(real.schema, rules=rules))
    wrong = replace(real, records=real.records.set_column(
        real.records.column_names.index("land"), "land",
        real.records.column("land").take(pa.array(np.roll(np.arange(len(real)), 1))),
    ))  # fmt: skip
    notes = note_rules(real, wrong, ())
    assert len(notes) == 2
    assert all("synthetic rows" in note and "broken in" in note for note in notes)
    assert note_rules(real, real, ()) == [f"All 2 rules hold in all {len(real)} synthetic rows."]
