"""No value of a single person is left, and what many share, rounding and relations stay."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.core.data.persons import person_codes
from twinset.core.data.rule import Rule
from twinset.core.data.tails import draw_tail, fit_pareto
from twinset.core.data.value_protection import OTHER, named_values, protect_values
from twinset.core.data.where import Where
from twinset.core.rules.protected_rows import protect_rows
from twinset.core.rules.violations import violations
from twinset.core.seeding import rng_for


def protect(columns: dict, named=None, *, role: tuple[str, str] | None = None) -> Dataset:
    real = Dataset.from_arrow(pa.table(columns))
    if role is not None:
        field = replace(real.schema[role[0]], role=role[1])
        real = replace(real, schema=real.schema.with_field(field))
    return protect_values(real, rng_for(3, "protect"), named).dataset


def days(offsets: np.ndarray) -> pa.Array:
    return pa.array(np.datetime64("2020-01-06") + offsets)


def single(values: np.ndarray) -> set:
    found, counts = np.unique(values, return_counts=True)
    return set(found[counts == 1])


def test_unique_extremes_are_replaced_and_a_heavy_tail_stays_heavy() -> None:
    salary = np.round(np.exp(rng_for(0, "salary").normal(10, 0.5, 500)), 2)
    salary[7] = 98765432.17
    new = protect({"salary": salary}).values("salary")
    assert not single(salary) & set(new)
    assert new.max() < salary.max()
    assert new.max() > 1.5 * np.sort(salary)[-11]
    assert new.min() > salary.min()
    assert np.all(np.round(new, 2) == new)
    # The rank of a row stays near: whoever had the most has much.
    assert np.argsort(new)[-10:].tolist() == np.argsort(salary)[-10:].tolist()


def test_shared_values_stay_exact() -> None:
    amounts = np.where(
        np.arange(600) % 3 == 0, 5000.0, rng_for(1, "x").normal(5000, 900, 600).round(1)
    )
    amounts[1::6] = 0.0
    new = protect({"x": amounts}).values("x")
    for value in (0.0, 5000.0):
        assert np.array_equal(new == value, amounts == value)


@pytest.mark.parametrize("step", [0.25, 5.0, 7.0])
def test_steps_are_kept(step: float) -> None:
    values = step * rng_for(2, "steps").integers(0, 4000, 300) + 2 * step
    new = protect({"x": values}).values("x")
    assert np.all(np.abs(new / step - np.rint(new / step)) < 1e-9)
    assert len(single(values) & set(new)) < 40  # 22 are expected by chance


def test_frequent_last_digits_and_weekdays_are_kept() -> None:
    rng = rng_for(3, "prices")
    price = np.floor(rng.gamma(2, 400, 400)) + np.where(rng.random(400) < 0.8, 0.99, 0.5)
    visit = 7 * rng.integers(0, 400, 400) + rng.integers(0, 5, 400)
    made = protect({"price": price, "visit": days(visit)})
    assert np.all(np.isin(np.round(made.values("price") % 1, 2), [0.99, 0.5]))
    assert np.all((made.values("visit") / 86_400e6 + 3) % 7 < 5)  # Monday to Friday


def test_dates_of_a_row_that_lie_close_move_together() -> None:
    rng = rng_for(4, "stays")
    admitted, stay = rng.integers(0, 2000, 300), rng.integers(0, 9, 300)
    made = protect({"admitted": days(admitted), "discharged": days(admitted + stay)})
    gap = (made.values("discharged") - made.values("admitted")) / 86_400e6
    assert np.mean(gap == stay) > 0.97
    assert (
        np.mean(made.values("admitted") == np.array(days(admitted)).astype("M8[us]").astype(float))
        < 0.2
    )


def test_equal_numbers_of_a_row_move_together() -> None:
    rng = rng_for(5, "bills")
    bill = rng.gamma(2, 5000, 500).round()
    paid = np.where(rng.random(500) < 0.3, bill, rng.gamma(2, 500, 500).round())
    made = protect({"bill": bill, "paid": paid})
    equal = bill == paid
    assert np.mean(made.values("bill")[equal] == made.values("paid")[equal]) > 0.9


@pytest.mark.parametrize("decimals", [None, 0, 2])
def test_one_person_values_are_hit_no_more_often_than_by_unseen_rows(decimals: int | None) -> None:
    hits = fresh_hits = 0
    for seed in range(8):
        train, fresh = (rng_for(seed, name).normal(50, 60, 300) for name in ("train", "fresh"))
        if decimals is not None:
            train, fresh = train.round(decimals), fresh.round(decimals)
        hits += len(single(train) & set(protect({"x": train}).values("x")))
        fresh_hits += len(single(train) & set(fresh))
    assert hits <= fresh_hits + 3 * np.sqrt(fresh_hits)


def test_a_coarse_number_can_still_be_hit() -> None:
    """On whole years a value near that of one person is possible, its own among them."""
    found = set()
    for seed in range(20):
        age = np.concatenate([np.repeat(np.arange(30, 60), 12), [62, 64]])
        real = Dataset.from_arrow(pa.table({"age": age}))
        found |= set(protect_values(real, rng_for(seed, "age")).dataset.values("age"))
    assert 64 not in found
    assert {60, 61, 62} <= found


def test_levels_of_few_persons_are_drawn_again() -> None:
    towns = ["Oslo"] * 300 + ["Bergen"] * 80 + ["Tromso"] * 10 + ["Molde"]
    made = protect({"town": towns, "ok": [True] * 385 + [False] * 6})
    assert made.codes("town")[1] == ("Bergen", "Oslo")
    assert made.schema["town"].levels in (None, ("Bergen", "Oslo"))
    assert "Molde" not in str(made.records.column("town").combine_chunks())
    assert made.codes("ok")[1] == ("true",)


def test_a_level_that_a_condition_names_stays() -> None:
    rows = {"town": ["Oslo"] * 300 + ["Molde"] * 3}
    named = named_values([Where({"town": "Molde"}), None])
    assert protect(rows, named).codes("town")[1] == ("Molde", "Oslo")


def test_where_no_level_is_shared_all_become_one() -> None:
    names = [f"name {i}" for i in range(40)] * 2
    assert protect({"name": names}).codes("name")[1] == (OTHER,)
    coded = Dataset.from_arrow(pa.table({"code": np.arange(80) % 40}))
    coded = coded.with_schema(coded.schema.with_target("code", kind="category"))
    protect_values(coded, rng_for(0, "p")).dataset.to_arrow()  # still whole numbers


def test_rare_missing_and_rare_present_values_are_alike_afterwards() -> None:
    x = np.arange(400.0) % 20
    mostly = pa.array([None if i < 4 else float(v) for i, v in enumerate(x)])
    rarely = pa.array([float(v) if i < 4 else None for i, v in enumerate(x)])
    often = pa.array([None if i < 90 else float(v) for i, v in enumerate(x)])
    made = protect({"mostly": mostly, "rarely": rarely, "often": often})
    assert [int(made.is_null(name).sum()) for name in made.schema.names] == [0, 400, 90]


def test_persons_are_counted_where_a_role_names_them() -> None:
    who = np.repeat([f"p{i:03}" for i in range(60)], 15)
    birth, town = np.repeat(np.arange(60) * 137 + 5, 15), np.repeat(["a"] * 50 + ["b"] * 10, 15)
    columns = {"who": who, "birth": days(birth), "town": town}
    rows = protect(columns)
    assert np.array_equal(
        rows.values("birth"), Dataset.from_arrow(pa.table(columns)).values("birth")
    )
    persons = protect(columns, role=("who", "group"))
    assert len(set(person_codes(persons))) == 60
    assert persons.codes("town")[1] == ("a",)
    made = persons.values("birth").reshape(60, 15)
    assert np.all(made == made[:, :1])  # one date for all rows of a person
    assert not single(birth * 86_400e6) & set(made[:, 0])


def test_intervals_between_the_times_of_a_person_stay() -> None:
    rng = rng_for(9, "visits")
    gaps = rng.integers(30, 900, (60, 15)).cumsum(axis=1)
    seconds = (rng.integers(0, 10**8, (60, 1)) + gaps).ravel()
    times = pa.array(np.datetime64("2020-01-01T00:00:00", "us") + 1_000_000 * seconds)
    made = protect({"who": np.repeat(np.arange(60), 15), "t": times}, role=("who", "group"))
    new = made.values("t").reshape(60, 15) / 1e6
    assert np.mean(np.diff(new) == np.diff(gaps)) > 0.9
    assert not set(made.values("t")) & set(times.cast(pa.int64()).to_pylist())


@pytest.mark.parametrize("kind", ["text", "integer"])
def test_keys_of_persons_are_exchanged(kind: str) -> None:
    keys = rng_for(1, "keys").permutation(9000)[:40] + 1000
    who = np.repeat(keys, 12) if kind == "integer" else np.repeat([f"C-{k}" for k in keys], 12)
    made = protect({"who": who, "x": np.arange(480.0) % 7}, role=("who", "group"))
    real = Dataset.from_arrow(pa.table({"who": who}))
    assert not set(made.codes("who")[1]) & set(real.codes("who")[1])
    assert np.array_equal(person_codes(made), np.repeat(person_codes(made)[::12], 12))
    assert len(made.codes("who")[1]) == 40
    assert made.to_arrow().schema.field("who").type == real.to_arrow().schema.field("who").type


def test_protected_rows_stay_as_they_are() -> None:
    once = protect({"x": rng_for(6, "x").normal(size=100)})
    assert protect_values(once, rng_for(9, "again")).dataset is once


def test_relations_that_all_real_rows_satisfy_are_repaired() -> None:
    rng = rng_for(7, "sums")
    a, b = rng.gamma(2, 100, 300).round(2), rng.gamma(2, 30, 300).round(2)
    zips = rng.integers(0, 12, 300)
    table = pa.table({"a": a, "b": b, "total": (a + b).round(2), "f": 1.8 * a + 32,
                      "zip": [f"z{z}" for z in zips], "town": [f"t{z // 3}" for z in zips]})  # fmt: skip
    made = protect_rows(Dataset.from_arrow(table), rng_for(7, "protect"))
    x, y, total, f = (made.values(name) for name in ("a", "b", "total", "f"))
    assert np.allclose(x + y, total, atol=0.006)
    assert np.allclose(1.8 * x + 32, f, atol=0.006)
    pairs = {*zip(made.codes("zip")[0].tolist(), made.codes("town")[0].tolist())}
    assert len(pairs) == 12


def test_tails_are_fitted_by_their_shape() -> None:
    rng = rng_for(8, "tails")
    heavy, light = np.sort(rng.pareto(1.0, 2000)), np.sort(rng.random(2000))
    assert fit_pareto(heavy)[0] == pytest.approx(1, abs=0.15)
    assert fit_pareto(light)[0] == pytest.approx(-1, abs=0.15)
    assert fit_pareto(np.array([2.0, 4.0])) == (0.0, 3.0)


@given(st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=10, unique=True), st.integers(0, 99))
def test_tails_stay_inside_and_in_order(excess: list[float], seed: int) -> None:
    old = 5.0 + np.sort(excess)
    new = draw_tail(5.0, old, np.ones(len(old), dtype=np.int64), rng_for(seed, "tail"))
    assert np.all(np.isfinite(new))
    assert np.all((new >= 5) & (new <= old[-1]))
    assert np.all(np.diff(new) >= 0)


def test_what_goes_with_what_is_learnt_beside_numbers_that_all_move() -> None:
    """Free numbers change in every row; dependencies of other columns stay as the real rows show them."""
    rng = rng_for(3, "towns")
    town = rng.integers(0, 12, 400)
    columns = {"town": [f"t{i}" for i in town], "rate": town // 3 * 10 + 5.0}
    free = rng.normal(size=400)
    rules = (
        Rule("dependency", ("town", "rate")),
        Rule("predicate", (), {"expression": "town != 't1' or free <= 0"}),
    )
    free = np.where(town == 1, -np.abs(free), free)
    free[:15] = 0.0  # shared, so that a few rows change nowhere
    real = Dataset.from_arrow(pa.table({**columns, "free": free}))
    ruled = replace(real, schema=replace(real.schema, rules=rules))
    rows = protect_rows(ruled, rng_for(0, "protect"))
    assert not np.isin(rows.values("free")[15:], free).any()
    known = {*zip(columns["town"], columns["rate"].tolist(), strict=True)}
    assert {*zip(*(rows.records.column(n).to_pylist() for n in columns), strict=True)} == known
    assert not any(violations(rule, rows).any() for rule in rules)


def test_named_values_stay_where_a_relation_would_change_them() -> None:
    """The towns of one rate are all rare: drawn again, they would take the rate with them."""
    town = np.repeat(np.arange(10), [20, 20, *[4] * 8])
    columns = {"town": [f"t{i}" for i in town], "rate": np.minimum(town, 2) * 10.0}
    real = Dataset.from_arrow(pa.table(columns))
    where = Where({"rate": 20.0})
    assert not protect_rows(real, rng_for(0, "a")).mask(where).any()
    rows = protect_rows(real, rng_for(0, "a"), named_values([where]))
    assert rows.mask(where).tolist() == real.mask(where).tolist()
