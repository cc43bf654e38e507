"""The metric coverage.slices: hand answers, a planted region, and silence on real rows."""

import json
from dataclasses import asdict
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.core.contracts import NotMeasurable, Score
from twinset.core.data.dataset import Dataset
from twinset.core.findings import ColumnLimit, DecidingRows, DetectableRegion, RegionShares
from twinset.core.seeding import rng_for
from twinset.evaluation.coverage._underrepresented import (
    compute_critical_z,
    compute_min_share,
    compute_rows_needed,
    find_underrepresented_rows,
    is_underrepresented,
)
from twinset.evaluation.coverage.slices import Slices, covered_fraction
from twinset.measurement.verdict import Reference, compute_verdict
from twinset.report.answers.sentences import region_sentence

PAIRS = [(0,), (1,), (0, 1)]


def town(n: int, seed: int) -> pa.Table:
    """Draw six linked columns with missing values and a rare level."""
    rng = rng_for(seed, "town")
    night = rng.random(n) < 0.3
    age = rng.integers(18, 90, n)
    sky = np.where(night, "dark", rng.choice(["sun", "cloud", "hail"], n, p=[0.6, 0.395, 0.005]))
    return pa.table(
        {
            "night": night,
            "occluded": rng.random(n) < 0.3 + 0.05 * night,
            "age": age,
            "income": pa.array(rng.lognormal(10, 0.4, n) + 100 * age, mask=rng.random(n) < 0.05),
            "sky": sky,
            "day": np.datetime64("2024-01-01") + rng.integers(0, 500, n),
        }
    )


def without(table: pa.Table, share: float, seed: int = 0) -> pa.Table:
    """Take away all but `share` of the rows that are night and occluded."""
    hit = table["night"].to_numpy() & table["occluded"].to_numpy()
    return table.filter(pa.array(~hit | (rng_for(seed, "keep").random(len(hit)) < share)))


def test_rows_in_an_underrepresented_combination_are_lost_and_the_others_covered(rng) -> None:
    # Cells (0,0) 400, (0,1) 300, (1,0) 200, (1,1) 100 rows; the set lost nearly all of (1,1).
    real = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [400, 300, 200, 100], axis=0)
    made = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [430, 340, 228, 2], axis=0)
    real, made = real.astype(np.int32), made.astype(np.int32)
    value, drawn = covered_fraction(real, made, [2, 2], PAIRS, 200, rng)
    assert value == pytest.approx(0.9)
    assert abs(drawn.mean() - 0.9) < 0.01
    assert covered_fraction(real, made, [2, 2], PAIRS[:2], 200, rng)[0] == 1


def test_half_of_the_share_is_enough_and_less_must_be_beyond_chance() -> None:
    real = np.array([0.1, 0.1, 0.1, 0.002])
    made = np.array([0.05, 0.0499, 0.2, 0.0009])
    assert is_underrepresented(real, made, 10_000, 10_000, 4.0).tolist() == [
        False,
        True,
        False,
        False,
    ]


def test_few_single_levels_are_compared_with_a_lower_bar_than_many_triples() -> None:
    """Of 20 factors of 4 levels one level is thinned, by as much as 80 tests show and 30,000 do not."""
    rng = rng_for(3, "bars")
    real = rng.integers(0, 4, (3_000, 20), dtype=np.int32)
    made = rng.integers(0, 4, (3_000, 20), dtype=np.int32)
    rare, thin = np.arange(3_000) < 72, np.arange(3_000) < 26
    real[:, 0], made[:, 0] = np.where(rare, 0, 1), np.where(thin, 0, 1)
    singles = [(i,) for i in range(20)]
    triples = [t for t in combinations(range(20), 3) if 0 not in t]
    assert (
        find_underrepresented_rows(real, made, [4] * 20, [*singles, *triples], 20) == rare
    ).all()
    pooled = (rare.mean() + thin.mean()) / 2
    z = (rare.mean() - thin.mean()) / np.sqrt(pooled * (1 - pooled) * 2 / 3_000)
    assert compute_critical_z(4 * 80) < z < compute_critical_z(4 * 64 * len(triples))


def test_what_is_underrepresented_does_not_vary_by_the_draw(rng) -> None:
    """A region whose loss is just beyond the bar varies as its real share does, and no more."""
    real = np.repeat([[0], [1]], [1_900, 100], axis=0).astype(np.int32)
    made = np.repeat([[0], [1]], [1_952, 48], axis=0).astype(np.int32)
    value, drawn = covered_fraction(real, made, [2], [(0,)], 500, rng)
    assert value == 0.95
    assert drawn.std() == pytest.approx(np.sqrt(0.05 * 0.95 / 2_000), rel=0.3)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 10_000))
def test_the_value_is_a_share_and_a_set_covers_itself(n: int, m: int, seed: int) -> None:
    rng = rng_for(seed, "codes")
    real, made = (rng.integers(0, 4, (size, 2), dtype=np.int32) for size in (n, m))
    value, drawn = covered_fraction(real, made, [3, 3], PAIRS, 20, rng)
    assert 0 <= value <= 1
    assert drawn.shape == (20,)
    assert ((drawn >= 0) & (drawn <= 1)).all()
    assert covered_fraction(real, real, [3, 3], PAIRS, 2, rng)[0] == 1


def test_a_planted_region_is_named_first_and_alone(rng, compare) -> None:
    real, made = town(6_000, 1), without(town(6_000, 2), 0.05)
    found = Slices(margin=0.04).compute(
        compare(Dataset.from_arrow(made), Dataset.from_arrow(real)), rng
    )
    told = [one.condition for one in found.finding(RegionShares).underrepresented]
    assert told == ["night and occluded"]
    assert found.finding(RegionShares).overrepresented == ()
    hit = (real["night"].to_numpy() & real["occluded"].to_numpy()).mean()
    assert found.value == pytest.approx(1 - hit, abs=0.01)
    assert not found.finding(RegionShares).found_nothing
    assert 0.001 < found.replicates.std() < 0.01
    ways = found.facts["t_way"]
    assert ways["1"]["coverage"] == 1
    # The pair itself, and occluded with the dark sky that every night has.
    assert ways["2"]["covered"] == ways["2"]["combinations"] - 2
    assert ways["3"]["coverage"] < ways["3"]["train"]


def test_an_invented_region_is_named_as_too_much(rng, compare) -> None:
    real, made = without(town(4_000, 1), 0.02), town(4_000, 2)
    found = Slices(margin=0.04).compute(
        compare(Dataset.from_arrow(made), Dataset.from_arrow(real)), rng
    )
    assert [one.condition for one in found.finding(RegionShares).overrepresented] == [
        "night and occluded"
    ]
    hit = (made["night"].to_numpy() & made["occluded"].to_numpy()).mean()
    # The region itself, and what it makes half as frequent again.
    assert hit - 0.01 < found.facts["overrepresented_fraction"] < 3 * hit
    assert found.value == 1 - found.facts["overrepresented_fraction"]
    assert found.facts["underrepresented_fraction"] == 0


def test_real_rows_name_nothing_and_lose_nothing(compare) -> None:
    named, values, spreads = 0, [], []
    for seed in range(8):
        both = Dataset.from_arrow(town(2_000, 100 + seed))
        halves = compare(both.slice(0, 1_000), both.slice(1_000, 1_000), both)
        found = Slices(margin=0.2, replicates=50).compute(halves, rng_for(seed, "null"))
        named += not found.finding(RegionShares).found_nothing
        values.append(found.value)
        spreads.append(found.replicates.std())
    assert named <= 1
    # Chance calls any of the thousands of combinations in at most one of twenty comparisons.
    assert sum(value < 1 for value in values) <= 1
    assert np.mean(spreads) < 0.01


def test_counts_of_1_to_10_are_reported_nowhere(rng, compare) -> None:
    real, made = town(4_000, 1), without(town(4_000, 2), 0.02)
    found = Slices(margin=0.04).compute(
        compare(Dataset.from_arrow(made), Dataset.from_arrow(real)), rng
    )
    (one,) = found.finding(RegionShares).underrepresented
    # A standardised difference and one share would give the other count.
    assert set(asdict(one)) == {"condition", "real", "synthetic", "n_real", "n_synthetic"}
    assert one.synthetic is None
    assert f"fewer than 11 of {one.n_synthetic:,} synthetic rows compared" in region_sentence(one)
    json.dumps(found.facts, allow_nan=False)


def lots(n: int, seed: int, rare: float = 0.03) -> Dataset:
    """Draw four columns without links, one of them with a rare level."""
    rng = rng_for(seed, "lots")
    columns = {f"c{i}": rng.integers(0, 4, n).astype(str) for i in range(3)}
    columns["kind"] = np.where(rng.random(n) < rare, "rare", "common")
    return Dataset.from_arrow(pa.table(columns))


def verdict_of(n: int, seed: int, rare: float, compare) -> Score:
    """Judge `n` rows with that share of the rare level, of which real rows have 3 %."""
    reference = lots(n, 3 * seed)
    measured, baseline = (
        Slices().compute(compare(made, reference), rng_for(seed, "s"))
        for made in (lots(n, 3 * seed + 1, rare), lots(n, 3 * seed + 2))
    )
    return compute_verdict(
        "slices", Slices(), measured, Reference(baseline, None, DecidingRows(n, "rows"))
    )


def test_few_rows_cannot_pass(compare) -> None:
    # A level of 3 % thinned to 40 %: too little for 1,800 rows to see.
    for seed in range(5):
        score = verdict_of(1_800, seed, 0.012, compare)
        assert score.verdict != "as good as real"
        assert score.finding(DetectableRegion).n_rows_needed == 7_500


def test_enough_rows_pass(compare) -> None:
    score = verdict_of(7_800, 1, 0.03, compare)
    assert score.verdict == "as good as real"
    assert score.finding(DetectableRegion) is None


def test_as_many_rows_as_it_asks_for_show_what_was_thinned(compare) -> None:
    found = [
        Slices(replicates=20).compute(
            compare(lots(7_500, 2 * seed, 0.012), lots(7_500, 2 * seed + 1)), rng_for(seed, "s")
        )
        for seed in range(8)
    ]
    assert sum(one.value < 0.98 for one in found) >= 7


def test_the_least_share_is_found_four_times_in_five() -> None:
    n, bar, rng = 5_000, compute_critical_z(500), rng_for(1, "power")
    share = compute_min_share(n, n, bar)
    real, made = rng.binomial(n, share, 4_000) / n, rng.binomial(n, share / 2, 4_000) / n
    pooled = (real + made) / 2
    beyond = real - made > bar * np.sqrt(pooled * (1 - pooled) * 2 / n)
    assert beyond.mean() == pytest.approx(0.8, abs=0.03)
    rows = compute_rows_needed(share, 500)
    assert rows == pytest.approx(n, rel=0.05)


def test_a_margin_of_nothing_has_no_number_of_rows(compare, rng) -> None:
    found = Slices(margin=0.0).compute(compare(lots(900, 1), lots(900, 2)), rng)
    assert found.finding(DetectableRegion).n_rows_needed is None


def test_columns_left_out_are_reported(compare, rng) -> None:
    wide = pa.table({f"c{i}": ["a", "b"] * 2_000 for i in range(42)})
    wide = Dataset.from_arrow(wide)
    found = Slices(margin=0.2, replicates=2).compute(compare(wide, wide), rng)
    assert found.finding(ColumnLimit) == ColumnLimit(40, 42)
    few = wide.select([f"c{i}" for i in range(3)])
    found = Slices(margin=0.2, replicates=2).compute(compare(few, few), rng)
    assert found.finding(ColumnLimit) is None


def test_what_cannot_be_cut_is_said(rng, compare) -> None:
    flat = Dataset.from_arrow(pa.table({"x": [1.5] * 50}))
    with pytest.raises(NotMeasurable, match="cut into levels"):
        Slices().compute(compare(flat, flat), rng)
    with pytest.raises(NotMeasurable, match="no rows"):
        Slices().compute(compare(flat.slice(0, 0), flat), rng)
