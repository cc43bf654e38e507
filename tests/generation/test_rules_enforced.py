"""Rules hold in every row of every generator: random rule sets on random and on real tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from tests.core.rules.rule_sets import random_rules, random_table, with_rules
from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule
from twinset.core.data.schema import Field, Schema
from twinset.core.data.value_protection import OTHER
from twinset.core.data.where import Where
from twinset.core.errors import RecipeError
from twinset.core.rules.enforce import RuleEnforcer
from twinset.core.rules.violations import violations
from twinset.core.seeding import rng_for
from twinset.generation.sampling import RowSource, fit_source
from twinset.registry import build

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "tabular"
CONDITIONS = (
    {"kind": "x"}, {"net": {"ge": 50}}, {"land": "l1"}, {"mid": {"ge": 20}, "kind": ["x", "y"]},
    {"gross": {"lt": 100}}, {"start": {"ge": "2023-05-01"}}, {"rate": 15.0}, {"is_b": 1},
)  # fmt: skip


def source(real: Dataset, use: str = "tabular.marginals", where: Where | None = None) -> RowSource:
    """Return a fitted source whose chunks are small, so that a set takes several."""
    fitted = fit_source(build("generator", use, {}, ""), real, seed=5, path=("rules",), where=where)
    return replace(fitted, chunk_rows=300)


def drawn(of: RowSource, n: int, where: Where | None = None, workers: int = 1) -> Dataset:
    return Dataset.concat(list(of.draw(n, where=where, workers=workers)))


def assert_held(real: Dataset, made: Dataset, n: int, where: Where | None = None) -> None:
    assert len(made) == n
    assert not {str(r): int(b) for r in real.schema.rules if (b := violations(r, made).sum())}
    # Where protection leaves no level of a column, real rows say nothing of what goes with the new one.
    new = {f.name for f in made.schema.fields if f.has_levels and OTHER in made.codes(f.name)[1]}
    rules = [rule for rule in real.schema.rules if not new & set(rule.columns)]
    keeper = RuleEnforcer.learn(real, rules)
    assert keeper is None or keeper.none_broken(made, where).all()


@pytest.mark.slow
@pytest.mark.parametrize("use", ["tabular.marginals", "tabular.copula"])
def test_random_rule_sets_hold_on_random_tables(use: str) -> None:
    # Independent columns break nearly every rule.
    for seed in range(20):
        rng = rng_for(seed, "rule sets", use)
        data = random_table(rng, int(rng.integers(60, 800)))
        real = with_rules(data, random_rules(data, rng, int(rng.integers(2, 11))))
        where = (
            Where(CONDITIONS[int(rng.integers(0, len(CONDITIONS)))]) if rng.random() < 0.4 else None
        )
        if where is not None and not real.mask(where).any():
            where = None
        assert_held(real, drawn(source(real, use, where), 700, where), 700, where)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared real tables are not here")
@pytest.mark.parametrize(
    "file",
    ["default/default.csv.gz", "shoppers/online_shoppers_intention.csv.gz",
     "beijing/PRSA_data_2010.1.1-2014.12.31.csv.gz"],
)  # fmt: skip
def test_random_rule_sets_hold_on_real_tables(file: str) -> None:
    options = pyarrow.csv.ConvertOptions(null_values=["NA"])
    table = pyarrow.csv.read_csv(SHARED / file, convert_options=options)
    rng = rng_for(0, "real", file)
    rows = np.sort(rng.choice(len(table), 3_000, replace=False))
    data = Dataset.from_arrow(table.take(pa.array(rows)))
    for use in ("tabular.marginals", "tabular.copula"):
        for _ in range(4):
            real = with_rules(data, random_rules(data, rng, int(rng.integers(2, 11))))
            assert_held(real, drawn(source(real, use), 600), 600)


REAL = random_table(rng_for(3, "real"), 500)
RULED = with_rules(
    REAL,
    (
        Rule("sum", ("gross", "net", "tax")),
        Rule("order", ("start", "end", "due")),
        Rule("dependency", ("city", "land")),
        Rule("predicate", (), {"expression": "gross > 30 or kind = 'x'"}),
        Rule("unique", ("low", "start")),
    ),
)


def test_the_first_rows_are_the_same_however_many_follow_and_whoever_draws_them() -> None:
    of = source(RULED)
    whole = drawn(of, 1_400)
    assert drawn(of, 700).digest == whole.slice(0, 700).digest
    assert drawn(of, 1_400, workers=4).digest == whole.digest
    assert drawn(source(RULED), 1_400).digest == whole.digest
    assert not any(violations(rule, whole).any() for rule in RULED.schema.rules[-1:])
    # The keeper has work to do here, or nothing would be shown.
    plain = drawn(source(REAL), 700)
    assert all(violations(rule, plain).any() for rule in RULED.schema.rules)


def test_what_was_repaired_is_counted_in_the_rows_that_are_delivered() -> None:
    of = source(RULED)
    into = of.open_set()
    made = Dataset.concat(list(of.draw(350, into=into)))
    assert into.tally.n_rows == len(made) == 350
    counts = dict(zip(map(str, into.tally.rules), into.tally.counts.tolist(), strict=True))
    moved, redrawn, borrowed = counts["sum(gross, net, tax)"]
    assert 300 < moved <= 350
    assert (redrawn, borrowed) == (0, 0)
    assert 5 < counts["predicate(gross > 30 or kind = 'x')"][1] < 200
    assert "Rule sum(gross, net, tax) was repaired; of 350 rows" in into.tally.notes()[0]


def test_keys_are_unique_over_all_parts_of_a_set() -> None:
    real = with_rules(REAL, (Rule("unique", ("low",)),))
    of = source(real)
    into = of.open_set()
    parts = [
        Dataset.concat(list(of.draw(400, part=part, into=into, where=Where({"kind": kind}))))
        for part, kind in (("a", "x"), ("b", "y"))
    ]
    whole = Dataset.concat(parts)
    assert not violations(real.schema.rules[0], whole).any()
    assert set(whole.records.column("kind").to_pylist()) == {"x", "y"}
    # 800 keys do not fit into the 50 real values; they go on above, and never below zero.
    values = whole.values("low")
    assert values.min() >= 0
    assert len(np.unique(values)) == 800
    assert np.quantile(values, 0.9) < 20_000


def test_keys_fill_the_room_that_other_rules_leave() -> None:
    rules = (Rule("unique", ("low", "kind")), Rule("range", ("low",), {"low": 0, "high": 49}))
    real = with_rules(REAL, rules)
    made = drawn(source(real), 140)  # of 3 x 50
    assert_held(real, made, 140)
    with pytest.raises(RecipeError, match=r"not enough different values for unique\(low, kind\)"):
        drawn(source(real), 151)


def test_missing_keys_may_repeat() -> None:
    real = with_rules(REAL, (Rule("unique", ("mid",)),))
    made = drawn(source(real), 900)
    assert not violations(real.schema.rules[0], made).any()
    assert made.is_null("mid").sum() > 5


def with_identifier(rules: tuple[Rule, ...]) -> Dataset:
    fields = (
        Field(name="card", kind="id", role="identifier"),
        Field(name="x", kind="number", decimals=2),
    )
    table = pa.table({"card": [f"C-{i:04d}" for i in range(100)], "x": np.arange(100) / 4})
    return Dataset.from_arrow(table, Schema(fields, rules))


def test_rules_on_fresh_identifiers_hold_by_construction_or_are_refused() -> None:
    rules = (Rule("unique", ("card",)), Rule("dependency", ("card", "x")))
    made = drawn(source(with_identifier(rules)), 500)
    assert not any(violations(rule, made).any() for rule in rules)
    refused = with_identifier((Rule("predicate", (), {"expression": "card != 'C-0001'"}),))
    with pytest.raises(RecipeError, match="'card', which is generated apart"):
        source(refused)


def test_rules_that_real_rows_break_hold_in_synthetic_rows() -> None:
    rule = Rule("order", ("tip", "net"))
    assert violations(rule, REAL).any()
    real = with_rules(REAL, (rule,))
    assert_held(real, drawn(source(real, "tabular.bootstrap"), 600), 600)
