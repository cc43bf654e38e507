"""Bursts: whole short histories of a card, in its own measure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from twinset.catalog import Catalog
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema
from twinset.core.data.where import Where
from twinset.core.data.window_features import recomputed
from twinset.core.errors import FitError, ParameterError
from twinset.core.seeding import rng_for
from twinset.generators.minority._engine.burst_templates import (
    BurstTemplates,
    UsualValues,
    medians,
)
from twinset.generators.minority.bursts import Bursts
from twinset.workflows.run import run

HANDBOOK = Path(__file__).parents[4] / "shared/data/fraud/handbook_sim/transactions_3weeks.parquet"
HOUR = 3_600_000_000
ROLES = {"card": "group", "when": "time", "fraud": "target"}


def payments(seed: int = 0, cards: int = 40) -> Dataset:
    """Return cards that spend about 10 or about 100; frauds come as three rows, fivefold, in 2 hours."""
    rng = np.random.default_rng(seed)
    columns: dict[str, list[object]] = {k: [] for k in ("card", "when", "shop", "amount", "fraud")}

    def add(card: int, hour: float, shop: str, amount: float, fraud: str) -> None:
        row = (f"c{card:02d}", int(hour * HOUR), shop, round(amount, 2), fraud)
        for name, value in zip(columns, row):
            columns[name].append(value)

    for card in range(cards):
        level = 10.0 if card % 2 else 100.0
        for hour in rng.uniform(0, 1_000, 30):
            add(card, hour, f"s{card}-{rng.integers(3)}", level * rng.uniform(0.9, 1.1), "no")
        if card < 20:
            begin = rng.uniform(0, 900)
            for step in range(3):
                shop = "bad" if step == 1 else f"s{card}-0"
                add(card, begin + step, shop, 5 * level * rng.uniform(0.9, 1.1), "yes")
    table = pa.table(columns)
    table = table.set_column(1, "when", table["when"].cast(pa.timestamp("us")))
    data = Dataset.from_arrow(table)
    kinds = {"card": "category", "shop": "category", "fraud": "category"}
    fields = tuple(
        replace(f, kind=kinds.get(f.name, f.kind), role=ROLES.get(f.name, "feature"), levels=None)
        for f in data.schema.fields
    )
    data = data.with_schema(Schema(fields))
    return data.without_reserved().with_reserved(ids=[f"r{i}" for i in range(len(data))])


def draw(n: int, where: Where | None = None, seed: int = 1, **settings: object) -> Dataset:
    generator = Bursts(**settings)
    return generator.fit(payments(), rng_for(0, "fit")).sample(n, rng_for(seed, "draw"), where)


def test_bursts_are_cut_where_a_pause_is_long() -> None:
    cards = np.array([0, 0, 0, 0, 1, -1, -1])
    times = np.array([5.0, 0.0, 6.0, 99.0, 5.0, 1.0, 2.0])
    rare = np.array([True, True, True, True, True, True, True])
    found = BurstTemplates.from_rows(cards, times, rare, 10.0)
    assert found.rows[found.first[2] :].tolist() == [1, 0, 2, 3, 4]
    assert found.lengths.tolist() == [1, 1, 3, 1, 1]
    assert found.cards.tolist() == [-1, -1, 0, 0, 1]
    assert found.gaps.tolist() == [0, 0, 0, 5, 1, 0, 0]


def test_amounts_are_measured_by_the_median_of_the_card() -> None:
    amounts = np.array([10.0, 12.0, 11.0, 100.0, 55.0])
    cards = np.array([0, 0, 0, 1, 0])
    rare = np.array([False, False, False, False, True])
    assert medians(amounts, cards, 2, ~rare).tolist() == [11.0, 100.0]
    data = Dataset.from_arrow(pa.table({"x": amounts}))
    usual = UsualValues.fit(data, "x", cards, 2, rare)
    moved = usual.carry_over(
        np.array([55.0, 11.0]), np.array([0, 0]), np.array([0, 1]), np.zeros(2)
    )
    assert moved.tolist() == [55.0, 100.0]


def test_rows_come_as_bursts_of_three_with_the_real_pattern() -> None:
    made = draw(300)
    card, _ = made.codes("card")
    when = made.values("when") / HOUR
    amount = made.values("amount")
    bursts = [slice(i, i + 3) for i in range(0, 300, 3)]
    assert all(len(set(card[b])) == 1 for b in bursts)
    spans = np.array([when[b][-1] - when[b][0] for b in bursts])
    assert (np.diff(when.reshape(-1, 3), axis=1) > 0).all()
    assert 1.2 < np.median(spans) < 3.0
    # Five times what the card usually spends, whichever card it is.
    names = np.array(made.codes("card")[1])[card]
    level = np.array([10.0 if int(name[1:]) % 2 else 100.0 for name in names])
    assert np.quantile(amount / level, 0.05) > 4.0
    assert np.quantile(amount / level, 0.95) < 6.2
    assert made.codes("fraud")[1] == ("yes",)
    assert len(set(names)) > 20


def test_own_shops_become_the_new_card_s_own_and_strange_ones_stay() -> None:
    made = draw(300)
    shops = made.records["shop"].to_pylist()
    cards = made.records["card"].to_pylist()
    for i in range(0, 300, 3):
        assert shops[i + 1] == "bad"
        assert shops[i].startswith(f"s{int(cards[i][1:])}-")


def test_a_condition_names_the_cards() -> None:
    made = draw(30, Where({"card": ["c31", "c33"]}))
    assert set(made.records["card"].to_pylist()) == {"c31", "c33"}
    large = draw(40, Where({"card": "c30", "amount": {"ge": 500.0}}))
    assert (large.values("amount") >= 500).all()
    with pytest.raises(ParameterError):
        draw(5, Where({"fraud": "no"}))
    with pytest.raises(ParameterError):
        draw(5, Where({"card": "nobody"}))


def test_fresh_cards_have_new_names_and_keep_a_burst_together() -> None:
    made = draw(90, fresh_fraction=1.0)
    cards = made.records["card"].to_pylist()
    assert not set(cards) & set(payments().codes("card")[1])
    assert all(len(set(cards[i : i + 3])) == 1 for i in range(0, 90, 3))
    assert len(set(cards)) == 30


def test_every_row_names_the_real_row_that_it_follows_and_equals_none() -> None:
    made = draw(120)
    real = payments()
    ids = set(real.filter(real.codes("fraud")[0] == 1).records["_id"].to_pylist())
    assert {p for parents in made.records["_parents"].to_pylist() for p in parents} <= ids
    plain = {tuple(row.values()) for row in real.without_reserved().records.to_pylist()}
    assert not plain & {tuple(row.values()) for row in made.without_reserved().records.to_pylist()}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"group": "nothing"}, "no column 'nothing'"),
        ({"time": "shop"}, "cannot read the time"),
        ({"positive": "maybe"}, "no row of 'fraud'"),
        ({"noise": 2.0}, "'noise' is out of its range"),
        ({"gap": "3 weeks"}, "e.g. 7d"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(Exception, match=message):
        draw(3, **settings)


def test_a_table_without_a_card_is_refused() -> None:
    data = payments().select(["when", "amount", "fraud"])
    with pytest.raises(FitError, match="role group"):
        Bursts().fit(data, rng_for(0, "fit"))


@pytest.mark.skipif(not HANDBOOK.exists(), reason="the handbook's transactions are absent")
def test_on_the_handbook_s_frauds_the_pattern_holds() -> None:
    import pandas as pd

    frame = pd.read_parquet(HANDBOOK).query("TX_FRAUD_SCENARIO in (0, 3)").iloc[::1]
    frame = frame[["TX_DATETIME", "CUSTOMER_ID", "TX_AMOUNT", "TX_FRAUD"]].astype(
        {"CUSTOMER_ID": str, "TX_FRAUD": str}
    )
    data = Dataset.from_arrow(frame)
    fields = tuple(
        replace(f, kind="category", levels=None) if f.name in ("CUSTOMER_ID", "TX_FRAUD") else f
        for f in data.schema.fields
    )
    data = data.with_schema(Schema(fields))
    bursts = Bursts(group="CUSTOMER_ID", time="TX_DATETIME", target="TX_FRAUD")
    made = bursts.fit(data, rng_for(0, "fit")).sample(2_000, rng_for(1, "draw")).to_pandas()
    usual = frame[frame.TX_FRAUD == "0"].groupby("CUSTOMER_ID").TX_AMOUNT.median()
    ratios = [
        np.log(part.TX_AMOUNT / part.CUSTOMER_ID.astype(str).map(usual)).quantile([0.25, 0.5, 0.75])
        for part in (frame[frame.TX_FRAUD == "1"], made)
    ]
    assert np.abs(ratios[0] - ratios[1]).max() < 0.15


RECIPE = """
name: cards
seed: 7
brief: {task: classification, target: fraud, positive: "yes"}
source:
  path: real.parquet
  licence: CC0-1.0
  schema:
    card: {kind: category, role: group}
    shop: {kind: category}
    when: {role: time}
    spent_1d: {aggregate: {how: sum, of: amount, over: 1d}}
split: {by: time, on: when, holdout_fraction: 0.3}
generate:
  - use: minority.bursts
    counts: [{where: {fraud: "yes"}, rows: 60}]
evaluate: {metrics: [gap.marginals]}
deliver: {to: out}
"""


def test_a_recipe_makes_bursts_with_their_aggregates_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pa.parquet.write_table(payments().without_reserved().to_arrow(), tmp_path / "real.parquet")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    found = run(tmp_path / "recipe.yaml", root=tmp_path / "root")
    assert any("the split is by time, so they may" in note for note in found.report["notes"])
    catalog = Catalog(tmp_path / "root")
    made = catalog.load(catalog.find("cards.bursts"))
    train = catalog.load(catalog.find("cards.real.train"))
    assert len(made) == 60
    assert recomputed(made, [train]).records.equals(made.records)
    spent, amount = made.values("spent_1d"), made.values("amount")
    assert (spent >= amount - 0.01).all()
    assert (spent > amount + 1).mean() > 0.6
