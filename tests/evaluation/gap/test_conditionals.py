"""Whether each column follows from the others, by the share of values that stray."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.core.stats.bootstrap import Groups
from twinset.evaluation.gap._columns import fit_cells
from twinset.evaluation.gap._forecasts import (
    ColumnForecasts,
    fit_tree_feature,
    resample_fractions,
    stray_fractions,
)
from twinset.evaluation.gap.conditionals import Conditionals
from twinset.measurement.verdict import find_different_components


def staff(n: int, seed: int) -> dict[str, np.ndarray]:
    """Pay follows age and grade, grade follows age; shoe follows nothing."""
    rng = rng_for(seed, "staff")
    age = rng.uniform(20, 60, n)
    grade = np.where(age + 8 * rng.normal(size=n) > 40, "senior", "junior")
    pay = 1000 + 20 * age + 300 * (grade == "senior") + 60 * rng.normal(size=n)
    return {"age": age, "grade": grade, "pay": pay, "shoe": rng.normal(42, 3, n)}


def table(columns: dict[str, np.ndarray]) -> Dataset:
    return Dataset.from_arrow(pa.table(columns))


def measured(synthetic: Dataset, reference: Dataset, rng: np.random.Generator):
    return Conditionals().compute(Comparison(reference, synthetic, reference), rng)


def test_nearly_all_of_a_shuffled_column_strays() -> None:
    quiet = measured(table(staff(2000, 1)), table(staff(2000, 2)), rng_for(0, "m"))
    for name in ("grade", "pay"):
        columns = staff(2000, 1)
        columns[name] = rng_for(0, "shuffle").permutation(columns[name])
        found = measured(table(columns), table(staff(2000, 2)), rng_for(0, "m"))
        stray, usual = (one.facts["stray_fractions"] for one in (found, quiet))
        assert stray[name] > 0.9
        assert abs(stray["shoe"] - usual["shoe"]) < 0.1


def test_a_part_shuffled_strays_by_about_that_part_of_the_others() -> None:
    more, expected, share = [], [], 0.2
    for seed in range(3):
        columns = staff(2000, 10 + seed)
        before = measured(table(columns), table(staff(2000, 2)), rng_for(0, "m"))
        hit = rng_for(seed, "hit").random(2000) < share
        columns["pay"][hit] = rng_for(seed, "shuffle").permutation(columns["pay"][hit])
        after = measured(table(columns), table(staff(2000, 2)), rng_for(0, "m"))
        usual = before.facts["stray_fractions"]["pay"]
        more.append(after.facts["stray_fractions"]["pay"] - usual)
        expected.append(hit.mean() * (1 - usual))
    # Somewhat more than that: forests are rarely as sure of real rows as they might be.
    assert 0.8 < np.mean(more) / np.mean(expected) < 1.5


def test_rows_that_are_too_neat_differ_too() -> None:
    columns = staff(5000, 1)
    columns["pay"] = 1000 + 20 * columns["age"] + 300 * (columns["grade"] == "senior")
    reference = table(staff(5000, 2))
    neat = measured(table(columns), reference, rng_for(0, "m")).components
    real = measured(table(staff(5000, 3)), reference, rng_for(0, "m")).components
    found = find_different_components(Conditionals(), neat, real, 5000)
    assert "pay (too neat)" in found.names
    assert "pay" not in found.names


def test_a_real_sample_has_no_different_column() -> None:
    called = 0
    for seed in range(5):
        reference = table(staff(400, 3 * seed))
        one, other = (
            measured(table(staff(400, 3 * seed + k)), reference, rng_for(0, "m")).components
            for k in (1, 2)
        )
        called += bool(find_different_components(Conditionals(), one, other, 400).names)
    assert called <= 1


def test_shares_are_not_said_to_be_distances() -> None:
    found = measured(table(staff(200, 1)), table(staff(200, 2)), rng_for(0, "m"))
    # Reports read "columns" as distances between 0 and 1.
    assert not found.findings
    assert set(found.facts["stray_fractions"]) == set(staff(1, 1))


def test_flipped_labels_are_seen() -> None:
    columns = staff(4000, 1)
    before = measured(table(columns), table(staff(4000, 2)), rng_for(0, "m"))
    flip = rng_for(0, "flip").random(4000) < 0.1
    other = np.where(columns["grade"] == "senior", "junior", "senior")
    columns["grade"] = np.where(flip, other, columns["grade"])
    after = measured(table(columns), table(staff(4000, 2)), rng_for(0, "m"))
    # A label drawn at random is the other one in half of the cases: a tenth flipped is a fifth drawn.
    one, two = (found.facts["stray_fractions"]["grade"] for found in (before, after))
    assert two - one == pytest.approx(0.2 * (1 - one), abs=0.05)


def test_the_interval_is_as_wide_as_repeats_are() -> None:
    values, claimed = [], []
    given = Comparison(*[table(staff(600, 2))] * 3)
    for seed in range(25):
        one = replace(given, synthetic=table(staff(600, 100 + seed)))
        parts = Conditionals().compute(one, rng_for(0, "m")).components
        at = parts.names.index("pay")
        values.append(parts.values[at])
        claimed.append(parts.replicates[:, at].std())
    assert np.std(values) < 1.6 * np.median(claimed)
    assert np.std(values) > 0.3 * np.median(claimed)


def test_the_share_by_hand() -> None:
    """Values forecast as sure that differ, among n, are the share that strays; one value tells all."""
    told = np.full((10, 1), 1.0 - 1e-9)
    told[:2] = 1e-9
    # Eight of ten are as forecast. A stray is one of two by chance: s / 2 of all differ, so s = 0.4.
    assert stray_fractions(told, np.full((10, 1), 0.5)) == pytest.approx([0.4], abs=1e-6)
    # Forecasts that say no more than the shares leave it at their own: nothing can be told.
    half = np.full((3, 1), 0.5)
    groups = Groups.assign(3, 2, rng_for(0, "half"))
    assert resample_fractions(half, half, np.zeros(1), groups).tolist() == [[0.0]] * 2


def test_a_newton_step_leads_to_the_share_of_a_resample() -> None:
    rng = rng_for(0, "newton")
    told = rng.uniform(0.3, 1.0, (20_000, 1))
    told[rng.random(20_000) < 0.2] = 0.05
    by_chance = np.full_like(told, 0.3)
    groups = Groups.assign(20_000, 20, rng)
    fractions = stray_fractions(told, by_chance)
    near = resample_fractions(told, by_chance, fractions, groups)[:, 0]
    for i, draws in enumerate(groups.draws):
        rows = np.repeat(np.arange(20_000), draws[groups.group].astype(int))
        assert near[i] == pytest.approx(
            stray_fractions(told[rows], by_chance[rows])[0], abs=0.1 * near.std()
        )


def test_forecasts_are_shares_and_a_label_never_seen_is_possible() -> None:
    real = table(staff(300, 1))
    columns = staff(40, 2) | {"grade": np.array(["new", None] * 20, dtype=object)}
    forecasts = ColumnForecasts.fit(real, real.schema.names, 0)
    told, by_chance = forecasts.forecast(Dataset.from_arrow(pa.table(columns), real.schema))
    assert ((told > 0) & (told <= 1)).all()
    assert by_chance[:, list(forecasts.forests).index("grade")].max() < 0.01


def test_trees_see_levels_by_frequency_and_numbers_by_place() -> None:
    real = Dataset.from_arrow(pa.table({"c": ["b", "a", "b", None], "x": [9.5, 1.5, 9.5, 4.5]}))
    made = Dataset.from_arrow(
        pa.table({"c": ["a", "b", "new", None], "x": [0.5, 4.5, 7.5, None]}), real.schema
    )
    assert fit_tree_feature(real, "c")(made).tolist() == [1.0, 0.0, 2.0, -1.0]
    assert fit_tree_feature(real, "x")(made).tolist() == [0.0, 1.5, 2.0, -1.0]


def test_labels_are_cut_by_the_real_rows() -> None:
    real = table({"x": np.arange(16.0), "c": np.array(list("aaaabbbccdefghij"))})
    made = Dataset.from_arrow(
        pa.table({"x": [-5.0, 1.0, 2.0, 99.0, None], "c": ["a", "j", "new", "b", None]})
    )
    assert fit_cells(real, "x")(made)[0].tolist() == [0, 0, 1, 7, 8]
    labels, n_labels = fit_cells(real, "c")(made)
    assert labels.tolist() == [0, 8, 8, 1, 9]
    assert n_labels == 10


def test_forests_are_shared_by_the_computes_of_one_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Comparison(*[table(staff(200, seed)) for seed in (0, 1, 2)])
    first = Conditionals().compute(given, rng_for(0, "m"))
    monkeypatch.setattr("sklearn.ensemble.RandomForestClassifier.fit", None)
    again = Conditionals().compute(replace(given, synthetic=given.train), rng_for(0, "m"))
    assert again.value != first.value


def test_too_little_to_measure() -> None:
    short = {"x": np.arange(20.0), "y": np.arange(20.0)}
    for columns, words in (({"x": np.arange(100.0)}, "needs two"), (short, "at least 40 rows")):
        with pytest.raises(NotMeasurable, match=words):
            measured(table(columns), table(columns), rng_for(0, "m"))
