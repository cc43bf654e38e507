"""Every column predicted from the others: by hand, against sklearn, and where a relation is lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.findings import ColumnLimit
from twinset.core.seeding import rng_for
from twinset.core.stats.bootstrap import Groups
from twinset.evaluation.utility.every_column import (
    ColumnLosses,
    EveryColumn,
    _outcomes,
    _squared,
    compute_column_losses,
    draw_training,
)
from twinset.measurement.verdict import find_different_components


def shop(n: int, seed: int) -> dict[str, np.ndarray]:
    """Price follows size, kind follows price, and noise follows nothing."""
    rng = rng_for(seed, "shop")
    size = rng.normal(size=n)
    price = np.exp(size + 0.3 * rng.normal(size=n))
    kind = np.where(price > 2, "dear", np.where(price > 0.7, "fair", "cheap"))
    return {"size": size, "price": price, "kind": kind, "noise": rng.normal(size=n)}


def table(columns: dict[str, np.ndarray]) -> Dataset:
    return Dataset.from_arrow(pa.table(columns))


def measured(made: Dataset, seed: int = 0):
    given = Comparison(table(shop(1_500, 1)), made, table(shop(1_500, 2)))
    return EveryColumn().compute(given, rng_for(seed, "m"))


def test_the_share_of_variance_by_hand() -> None:
    # Errors of 0 and 1 where guessing has 1 and 1: half is explained.
    found = ColumnLosses(("x",), np.array([[0.0], [1.0]]), np.array([[1.0], [1.0]]))
    value, drawn = found.explained(Groups.assign(2, 10, rng_for(0)))
    assert value.tolist() == [0.5]
    assert set(drawn.ravel().tolist()) <= {0.0, 0.5, 1.0}


def test_outcomes_are_ranks_and_indicators_as_real_rows_cut_them() -> None:
    real = table({"x": np.array([1.5, 2.5, 2.5, 9.5]), "c": np.array(["a", "a", "b", "b"])})
    made = Dataset.from_arrow(
        pa.table({"x": [0.5, 2.5, None], "c": ["b", "new", None]}), real.schema
    )
    (rank,) = _outcomes(real, [made], "x")
    assert rank[:2, 0].tolist() == [0.0, 0.5]
    assert np.isnan(rank[2, 0])
    (label,) = _outcomes(real, [made], "c")
    assert label.argmax(axis=1).tolist() == [1, 2, 3]
    assert _squared(rank, np.array([0.5])).tolist() == [0.25, 0.0, 0.0]
    # Of two labels that are sure and right nothing is lost, sure and wrong costs 1 + 1.
    assert _squared(np.eye(2), np.array([[1.0, 0.0], [1.0, 0.0]])).tolist() == [0.0, 2.0]


def test_the_share_is_the_r2_of_sklearn() -> None:
    from sklearn.metrics import r2_score

    real, held = table(shop(400, 1)), table(shop(300, 2))
    found = compute_column_losses(real, real, held, real.schema.names, 0)
    at = found.names.index("price")
    (truth,) = _outcomes(real, [held], "price")
    predicted = truth[:, 0] - np.sqrt(found.own[:, at])
    share, _ = found.explained(Groups.assign(300, 5, rng_for(0)))
    assert share[at] == pytest.approx(r2_score(truth[:, 0], predicted))
    assert share[at] > 0.8
    assert abs(share[found.names.index("noise")]) < 0.2


def test_real_rows_are_as_good_and_a_shuffled_column_is_named() -> None:
    real = measured(table(shop(1_500, 1)))
    fresh = measured(table(shop(1_500, 3)))
    lost = shop(1_500, 3)
    lost["kind"] = rng_for(0, "shuffle").permutation(lost["kind"])
    broken = measured(table(lost))
    assert abs(fresh.value - real.value) < 0.03
    assert (
        find_different_components(EveryColumn(), fresh.components, real.components, 1_500).names
        == ()
    )
    assert (
        "kind"
        in find_different_components(EveryColumn(), broken.components, real.components, 1_500).names
    )
    assert next(iter(broken.facts["explained"])) == "kind"
    assert fresh.facts["global_utility"] == pytest.approx(1.0, abs=0.05)
    assert broken.facts["global_utility"] < 0.8


def test_chance_in_training_is_that_of_the_mean_of_the_parts() -> None:
    by_parts = np.array([[0.9, 0.5], [0.7, 0.5], [0.8, 0.5], [0.6, 0.5]])
    drawn = draw_training(by_parts, 20_000, rng_for(0))
    assert drawn.mean(axis=0) == pytest.approx([0, 0], abs=0.003)
    error = by_parts[:, 0].std(ddof=1) / 2
    assert drawn.std(axis=0) == pytest.approx([error, 0], rel=0.03)


def test_real_forests_are_grown_once_for_all_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    train, made, held = (table(shop(200, seed)) for seed in (1, 2, 3))
    given = Comparison(train, train, held)
    base = EveryColumn().compute(given, rng_for(0, "m"))
    told = EveryColumn().compute(replace(given, synthetic=made), rng_for(0, "m"))
    assert {one["real"] for one in told.facts["explained"].values()} == set(
        base.components.values.tolist()
    )
    monkeypatch.setattr("sklearn.ensemble.ExtraTreesRegressor.fit", None)
    again = EveryColumn().compute(given, rng_for(0, "m"))
    assert again.value == base.value


def test_missing_and_constant_columns_do_no_harm() -> None:
    columns = shop(200, 1) | {"flat": np.ones(200), "gone": np.full(200, np.nan)}
    columns["price"][::3] = np.nan
    data = table(columns)
    held = Dataset.from_arrow(data.to_arrow(), data.schema)
    found = EveryColumn().compute(Comparison(data, data, held), rng_for(0, "m"))
    assert set(found.components.names) == {"size", "price", "kind", "noise"}
    assert np.isfinite(found.replicates).all()


def test_of_a_wide_table_the_target_and_the_first_columns_are_predicted() -> None:
    x = rng_for(0, "wide").normal(size=(80, 6))
    data = table({f"c{i}": column for i, column in enumerate(x.T)})
    given = Comparison(data, data, data, "c5")
    found = EveryColumn(max_columns=2).compute(given, rng_for(0, "m"))
    assert set(found.components.names) == {"c0", "c5"}
    assert found.finding(ColumnLimit) == ColumnLimit(2, 6)


def test_too_little_to_measure() -> None:
    one, few = table({"x": np.arange(100.0)}), table(shop(40, 1))
    for data, words in ((one, "needs two"), (few, "at least 60 rows")):
        with pytest.raises(NotMeasurable, match=words):
            EveryColumn().compute(Comparison(data, data, data), rng_for(0, "m"))


@pytest.mark.parametrize("wrong", [{"margin": -1.0}, {"replicates": 1}, {"max_rows": 10}])
def test_settings_out_of_range(wrong: dict) -> None:
    with pytest.raises(ParameterError, match="out of its range"):
        EveryColumn(**wrong)


def test_a_column_that_hardly_varies_in_the_holdout_is_left_out() -> None:
    def rare(seed: int, n_rare: int) -> Dataset:
        columns = shop(1_500, seed)
        return table({**columns, "flag": np.where(np.arange(1_500) < n_rare, "yes", "no")})

    comparison = Comparison(rare(1, 200), rare(3, 1_400), rare(2, 1))
    found = EveryColumn().compute(comparison, rng_for(0, "m"))
    assert found.components is not None
    assert found.components.names == ("size", "price", "kind", "noise")
    assert found.value > -1
