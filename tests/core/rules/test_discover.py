"""Which rules a table suggests: those put into it, none that chance makes, in bounded time."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from tests.core.rules.rule_sets import random_table
from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule
from twinset.core.rules.discover import ProposedRule, discover_rules
from twinset.core.rules.violations import violations
from twinset.core.seeding import rng_for

SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "tabular"


def found(dataset: Dataset, *, ranges: bool = False) -> dict[str, ProposedRule]:
    proposed = discover_rules(dataset)
    return {one.text: one for one in proposed if ranges or one.rule.kind != "range"}


def table(**columns: object) -> Dataset:
    return Dataset.from_arrow(pa.table(columns))


def test_the_rules_that_were_put_in_are_found_and_no_others() -> None:
    proposed = found(random_table(rng_for(1, "discovery"), 4_000))
    assert list(proposed) == [
        "gross = net + tax",
        "paid = gross + tip",
        "cm = 2.54 * inch",
        "due = end + 14 days",
        "start <= end <= due",
        "low <= mid <= high",
        "exactly one of is_a, is_b, is_c is 1",
        "city decides land",
        "land decides rate, and the other way round",
        "rate decides zone",
    ]
    assert all(one.holds for one in proposed.values())
    missing = random_table(rng_for(1, "discovery"), 4_000).is_null("tip").sum()
    assert proposed["paid = gross + tip"].support_rows == 4_000 - missing


@pytest.mark.parametrize("seed", range(5))
def test_independent_columns_suggest_nothing(seed: int) -> None:
    rng = rng_for(seed, "noise")
    n = 800
    noise = table(
        small=rng.uniform(0, 1, n), large=rng.uniform(1_000, 2_000, n), spread=rng.normal(size=n),
        rare=np.where(rng.random(n) < 0.004, "yes", "no"), label=rng.choice(list("abcde"), n),
        other=rng.choice(list("xyz"), n), flag=rng.integers(0, 2, n), flag2=rng.integers(0, 2, n),
        zeros=np.where(rng.random(n) < 0.97, 0.0, rng.gamma(2, 9, n)), k=rng.integers(0, 400, n),
        when=np.datetime64("2024-01-01", "us") + rng.integers(0, 10**13, n).astype("m8[us]"),
    )  # fmt: skip
    texts = [text for text in found(noise) if text != "when is a key"]
    assert texts == []


def test_a_rule_with_exceptions_is_reported_with_their_number() -> None:
    rng = rng_for(0, "nearly")
    start = rng.integers(0, 1_000, 2_000)
    end = start + rng.integers(0, 300, 2_000)
    end[:7] = start[:7] - 5
    (one,) = found(table(start=start, end=end)).values()
    assert (one.rule, one.support_rows, one.broken_rows) == (
        Rule("order", ("start", "end")),
        2_000,
        7,
    )
    assert not one.holds
    end[:11] = start[:11] - 5  # more than 0.5 %
    assert found(table(start=start, end=end)) == {}


def test_numbers_that_reach_down_to_zero_are_never_negative() -> None:
    rng = rng_for(0, "amounts")
    amounts = found(table(a=rng.gamma(1, 50, 500), b=rng.normal(size=500), age=rng.uniform(20, 90, 500)),
                    ranges=True)  # fmt: skip
    assert list(amounts) == ["a is never negative"]


def test_a_sum_of_four_parts_is_found_beside_other_amounts() -> None:
    rng = rng_for(0, "parts")
    parts = {f"p{i}": np.round(rng.gamma(2, 10, 600), 2) for i in range(9)}
    total = np.round(parts["p1"] + parts["p3"] + parts["p4"] + parts["p8"], 2)
    assert list(found(table(**parts, total=total))) == ["total = p1 + p3 + p4 + p8"]


def test_a_rounded_unit_conversion_gets_a_tolerance_that_holds() -> None:
    celsius = np.round(rng_for(0, "units").uniform(-20, 40, 900), 1)
    real = table(celsius=celsius, fahrenheit=np.round(celsius * 1.8 + 32, 1))
    (one,) = found(real).values()
    assert one.text == "fahrenheit = 1.8 * celsius + 32"
    assert one.rule.settings["tolerance"] <= 0.1
    assert not violations(one.rule, real).any()


def test_keys_of_two_columns_are_found() -> None:
    order = np.repeat(np.arange(150), 4)
    line = np.tile(np.arange(4), 150)
    real = table(order=order, line=line, x=rng_for(0, "x").normal(size=600))
    assert list(found(real)) == ["order and line together are a key"]


def test_few_rows_prove_nothing() -> None:
    assert discover_rules(random_table(rng_for(1, "few"), 29)) == []


def test_many_columns_and_many_rows_are_looked_through_quickly() -> None:
    rng = rng_for(0, "wide")
    wide = table(**{f"c{i}": rng.normal(size=1_000) for i in range(300)})
    begin = time.process_time()
    assert found(wide) == {}
    long = random_table(rng, 100_000)
    assert "gross = net + tax" in found(long)
    assert time.process_time() - begin < 10


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared real tables are not here")
def test_real_tables_suggest_what_is_known_of_them() -> None:
    names = [
        "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation",
        "relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week",
        "native-country", "income",
    ]  # fmt: skip
    adult = pyarrow.csv.read_csv(
        SHARED / "adult" / "adult.data.gz",
        read_options=pyarrow.csv.ReadOptions(column_names=names),
    )
    assert list(found(Dataset.from_arrow(adult))) == [
        "education decides education-num, and the other way round"
    ]
    for name in ("default/default.csv.gz", "shoppers/online_shoppers_intention.csv.gz"):
        assert found(Dataset.from_arrow(pyarrow.csv.read_csv(SHARED / name))) == {}
    beijing = Dataset.from_arrow(
        pyarrow.csv.read_csv(
            SHARED / "beijing" / "PRSA_data_2010.1.1-2014.12.31.csv.gz",
            convert_options=pyarrow.csv.ConvertOptions(null_values=["NA"]),
        )
    )
    # Air is never colder than its dew point; one of 43,824 hours says otherwise.
    one = found(beijing)["DEWP <= TEMP"]
    assert (one.support_rows, one.broken_rows) == (43_824, 1)


def test_a_tie_and_values_that_occur_once_decide_nothing() -> None:
    rng = np.random.default_rng(0)
    value = np.where(np.arange(2000) < 300, rng.uniform(1, 90, 2000).round(3), 0.0)
    label = np.where((np.arange(2000) < 300) & (rng.random(2000) < 0.6), "yes", "no")
    found = discover_rules(Dataset.from_arrow(pa.table({"value": value, "label": label})))
    assert not [one for one in found if one.rule.kind == "dependency"]
