"""t-way tuples, factors and the slice search on tables small enough to count by hand."""

import numpy as np
import pyarrow as pa
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.data.where import Where
from twinset.core.features.discretize import bin_edges, infer_factors
from twinset.core.features.slice_search import _n_triples, search_slices
from twinset.core.seeding import rng_for
from twinset.core.stats.hypothesis_tests import discoveries, two_sample
from twinset.evaluation.coverage._underrepresented import (
    cells_of,
    count_covered_combinations,
    factor_tuples,
)


def test_two_way_coverage_by_hand() -> None:
    real = np.array([[0, 0], [0, 0], [0, 1], [0, 1], [1, 1], [1, 1], [1, 0]], dtype=np.int32)
    made = np.array([[0, 0], [0, 0], [0, 0], [1, 1], [1, 0], [1, 0], [1, 0]], dtype=np.int32)
    # Held by two real rows or more: (0,0), (0,1), (1,1). Made has none of (0,1), half of (1,1).
    assert count_covered_combinations(real, made, [2, 2], [(0, 1)], min_rows=2) == (2, 3)
    # With one real row (1,0) counts too.
    assert count_covered_combinations(real, made, [2, 2], [(0, 1)], min_rows=1) == (3, 4)
    assert count_covered_combinations(real, made, [2, 2], [(0,), (1,)], min_rows=2) == (3, 4)
    assert count_covered_combinations(real, made, [2, 2], [(0, 1)], min_rows=2, at_least=0.6) == (
        1,
        3,
    )


def test_rows_with_any_other_value_are_in_no_combination() -> None:
    codes = np.array([[0, 2], [1, 1]], dtype=np.int32)
    assert cells_of(codes, [2, 2], (0, 1)).tolist() == [4, 3]
    assert count_covered_combinations(codes, codes, [2, 2], [(0, 1)], min_rows=1) == (1, 1)


def test_tuples_are_all_or_as_many_as_asked() -> None:
    assert len(factor_tuples(6, 3, 100, rng_for(0, "t"))) == 20
    some = factor_tuples(30, 3, 50, rng_for(0, "t"))
    assert len(set(some)) == 50
    assert all(a < b < c for a, b, c in some)


def test_benjamini_hochberg_by_hand_and_as_in_scipy() -> None:
    p = np.array([0.039, 0.001, 0.008, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216])
    # Steps of 0.005: 0.001 <= 0.005 and 0.008 <= 0.010 pass, 0.039 > 0.015 and all after it do not.
    assert np.flatnonzero(discoveries(p, 0.05)).tolist() == [1, 2]
    for seed in range(20):
        drawn = rng_for(seed, "p").random(50) ** 3
        adjusted = scipy.stats.false_discovery_control(drawn) <= 0.05
        assert discoveries(drawn, 0.05).tolist() == adjusted.tolist()
    # Tests that were pruned away count as carried out.
    assert discoveries(np.array([0.001]), 0.05, 49).tolist() == [True]
    assert discoveries(np.array([0.001]), 0.05, 51).tolist() == [False]


def test_the_two_tests_are_those_of_the_field() -> None:
    z, p = two_sample(np.array([3.0, 400.0]), 1_000, np.array([15.0, 300.0]), 1_500)
    assert p[0] == pytest.approx(min(1, 2 * scipy.stats.binom.cdf(3, 18, 0.4)))
    pooled = 700 / 2_500
    by_hand = (0.4 - 0.2) / np.sqrt(pooled * (1 - pooled) * (1 / 1_000 + 1 / 1_500))
    assert z[1] == pytest.approx(by_hand)
    assert p[1] == pytest.approx(2 * scipy.stats.norm.sf(by_hand))


def test_triples_of_literals_are_counted() -> None:
    assert _n_triples(np.array([0, 0, 1, 1, 1, 2])) == 6
    assert _n_triples(np.array([0, 0, 1])) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=300))
def test_edges_ascend_and_leave_no_bin_empty(values: list[int]) -> None:
    numbers = np.array(values, dtype=float)
    edges = bin_edges(numbers)
    assert edges == sorted(set(edges))
    counts = np.bincount(np.searchsorted(edges, numbers, side="right"), minlength=len(edges) + 1)
    assert (counts > 0).all()


def table_of_every_kind() -> Dataset:
    rng = rng_for(3, "kinds")
    n = 2_000
    rare = [f"r{i}" for i in range(8)]
    kind = rng.choice(["a", "b", *rare], n, p=[0.6, 0.384, *[0.002] * 8])
    table = pa.table(
        {
            "kind": pa.array(kind, mask=rng.random(n) < 0.1),
            "ok": rng.random(n) < 0.5,
            "hours": rng.choice([20, 35, 40, 40, 40, 48, 60], n),
            "gain": np.where(rng.random(n) < 0.9, 0.0, rng.lognormal(8, 1, n)),
            "size": pa.array(rng.normal(size=n), mask=rng.random(n) < 0.2),
            "when": pa.array(np.datetime64("2024-01-01") + rng.integers(0, 400, n)),
            "at": pa.array(
                [1_700_000_000 + int(i) for i in rng.integers(0, 90_000, n)],
                pa.timestamp("s", tz="UTC"),
            ),
        }
    )
    return Dataset.from_arrow(table)


def test_levels_exclude_each_other_and_mean_what_their_conditions_say() -> None:
    data = table_of_every_kind()
    factors = infer_factors(data)
    assert [f.column for f in factors] == list(data.schema.names)
    for factor in factors:
        codes = factor.codes(data)
        assert codes.max() < factor.size, "every real row has a level"
        for level in (*factor.levels, *factor.spans):
            asked = data.mask(Where({factor.column: level.condition}))
            assert (asked == np.isin(codes, level.codes)).all(), level.words
            assert asked.sum() >= 11
    words = {level.words for f in factors for level in (*f.levels, *f.spans)}
    assert {"ok", "not ok", "kind = a", "kind is missing", "size is missing"} <= words
    assert "kind = one of its 8 rare values" in words
    assert {"hours < 35", "hours 40 to 47", "hours >= 48"} <= words
    assert all(one.endswith(":00Z") for one in words if one.startswith("at "))
    (gain,) = [f for f in factors if f.column == "gain"]
    assert gain.size == 2, "what nine tenths share is a bin, the rest another"


def test_an_unseen_level_has_no_level() -> None:
    (factor,) = infer_factors(Dataset.from_arrow(pa.table({"c": ["a", "b"] * 20})))
    other = Dataset.from_arrow(
        pa.table({"c": ["a", "x", None]}), Schema((Field(name="c", kind="category"),))
    )
    assert factor.codes(other).tolist() == [0, 2, 2]


def drawn(n: int, seed: int, cells: dict[tuple[bool, bool, bool], float] | None = None) -> Dataset:
    """Draw three coins, one that is nearly always true, and a number; `cells`: the share kept."""
    rng = rng_for(seed, "coins")
    coins = rng.random((n, 3)) < (0.5, 0.4, 0.3)
    keep = np.ones(n, dtype=bool)
    for cell, share in (cells or {}).items():
        keep &= ~(coins == cell).all(axis=1) | (rng.random(n) < share)
    columns = dict(zip("abc", coins[keep].T)) | {"d": rng.random(n)[keep] < 0.97}
    return Dataset.from_arrow(pa.table({**columns, "x": rng.normal(size=n)[keep]}))


def test_a_region_is_named_by_as_few_conditions_as_it_needs() -> None:
    real = drawn(8_000, 1)
    factors = infer_factors(real)
    lost = {(True, True, True): 0.1}
    found = search_slices(real, drawn(8_000, 2, lost), factors)
    assert [one.words for one in found] == ["a and b and c"]
    assert found[0].is_missing
    assert found[0].where.conditions == {"a": True, "b": True, "c": True}
    pair = {(True, True, True): 0.1, (True, True, False): 0.1}
    assert search_slices(real, drawn(8_000, 2, pair), factors)[0].words == "a and b"
    one = {(True, b, c): 0.3 for b in (True, False) for c in (True, False)}
    assert search_slices(real, drawn(8_000, 2, one), factors)[0].words == "a"


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_chance_adds_no_condition_and_the_opposite_is_not_named(share: float) -> None:
    pair = {(True, True, True): share, (True, True, False): share}
    one = {(True, b, c): share for b in (True, False) for c in (True, False)}
    for seed in range(12):
        real = drawn(3_000, 2 * seed)
        factors = infer_factors(real)
        for lost, words in ((pair, "a and b"), (one, "a")):
            made = drawn(3_000, 2 * seed + 1, lost)
            assert search_slices(real, made, factors)[0].words == words


def test_a_region_that_is_gone_altogether_is_named() -> None:
    real = drawn(4_000, 1)
    found = search_slices(real, drawn(4_000, 2, {(True, True, True): 0.0}), infer_factors(real))
    assert found[0].words == "a and b and c"
    assert found[0].synthetic_rows == 0


def test_two_regions_are_both_named_and_depth_is_kept() -> None:
    real = drawn(20_000, 1)
    lost = {(True, True, True): 0.1, (False, False, True): 0.5}
    made = drawn(20_000, 2, lost)
    found = search_slices(real, made, infer_factors(real))
    missing = [one.words for one in found if one.is_missing]
    assert missing[:2] == ["not a and not b and c", "a and b and c"] or missing[:2] == [
        "a and b and c",
        "not a and not b and c",
    ]
    assert all(
        len(s.where.conditions) == 1
        for s in search_slices(real, made, infer_factors(real), depth=1)
    )


def test_empty_sets_have_no_slices() -> None:
    real = drawn(200, 1)
    assert search_slices(real, real.slice(0, 0), infer_factors(real)) == []
    assert search_slices(real, real, ()) == []


def test_slices_with_too_many_rows_do_not_displace_those_with_too_few() -> None:
    rng = rng_for(4, "linked")
    a = rng.integers(0, 5, 6_000)
    texts = np.array(list("uvwxy"))
    real = Dataset.from_arrow(pa.table({"a": texts[a], "b": texts[a]}))
    made = Dataset.from_arrow(pa.table({"a": texts[a], "b": texts[rng.permutation(a)]}))
    found = search_slices(real, made, infer_factors(real), limit=2)
    assert sum(one.is_missing for one in found) == 2
    assert sum(not one.is_missing for one in found) == 2
