from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr

from twinset.core.contracts import NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.findings import ColumnLimit, PairDistances
from twinset.core.seeding import rng_for
from twinset.evaluation.gap.marginals import Marginals
from twinset.evaluation.gap.pairs import Pairs, rank_scores


def test_rank_correlations_are_those_of_scipy() -> None:
    x = rng_for(1, "ranks").integers(0, 9, size=(60, 4))
    scores = [rank_scores(np.append(np.bincount(column), 0.0))[column] for column in x.T]
    assert np.inner(scores, scores) / 60 == pytest.approx(spearmanr(x).statistic)


def test_two_numbers_by_hand(compare, rng) -> None:
    up = [1.5, 2.5, 3.5, 4.5]
    made = Dataset.from_arrow(pa.table({"a": up, "b": up}))
    real = Dataset.from_arrow(pa.table({"a": up, "b": up[::-1]}))
    found = Pairs().compute(compare(made, real), rng)
    assert found.finding(PairDistances).distances == (
        ("a", "b", pytest.approx(1.0)),
    )  # |1 - (-1)| / 2
    assert found.value == pytest.approx(1.0)


def test_a_number_beside_a_category_by_hand(compare, rng) -> None:
    made = Dataset.from_arrow(pa.table({"c": ["a", "a", "b", "b"], "x": [1.5, 1.5, 9.5, 9.5]}))
    real = Dataset.from_arrow(pa.table({"c": ["a", "a", "b", "b"], "x": [1.5, 9.5, 1.5, 9.5]}))
    # Real: a quarter in each cell of the 2 x 2 table. Made: half in two cells.
    assert Pairs(n_bins=2).compute(compare(made, real), rng).value == pytest.approx(0.5)


def test_two_categories_with_an_unseen_level_and_a_missing_value_by_hand(compare, rng) -> None:
    made = Dataset.from_arrow(pa.table({"c": ["a", "new"], "d": ["u", None]}))
    real = Dataset.from_arrow(pa.table({"c": ["a", "a"], "d": ["u", "v"]}))
    assert Pairs().compute(compare(made, real), rng).value == pytest.approx(0.5)


def test_unlinked_columns_are_seen_and_real_ones_are_not_blamed(people, compare, rng) -> None:
    real = people(2000, 1)
    columns = real.records
    loose = Dataset.from_arrow(
        pa.table(
            {
                name: columns.column(name).take(pa.array(rng_for(i).permutation(2000)))
                for i, name in enumerate(real.schema.names)
            }
        ),
        real.schema,
    )
    assert Pairs().compute(compare(loose, people(2000, 2)), rng).value > 0.2
    assert Pairs().compute(compare(real, people(2000, 2)), rng).value < 0.05


def test_the_spread_of_the_replicates_is_that_of_fresh_samples(people, compare) -> None:
    fresh = [
        Pairs().compute(compare(people(300, 2 * i), people(300, 2 * i + 1)), rng_for(i)).value
        for i in range(40)
    ]
    found = Pairs().compute(compare(people(300, 100), people(300, 101)), rng_for(1))
    assert found.replicates.std() == pytest.approx(np.std(fresh), rel=0.5)


def test_of_a_wide_table_the_target_and_the_first_columns_are_compared(compare, rng) -> None:
    data = Dataset.from_arrow(pa.table({f"x{i}": [0.5, 1.5, 2.5] for i in range(6)}))
    found = Pairs(max_columns=3).compute(compare(data, data, target="x5"), rng)
    assert {name for pair in found.finding(PairDistances).distances for name in pair[:2]} == {
        "x0",
        "x1",
        "x5",
    }
    assert found.finding(ColumnLimit) == ColumnLimit(3, 6)


def test_constant_and_empty_columns_hang_together_with_nothing(compare, rng) -> None:
    empty = pa.array([None] * 3, pa.float64())
    data = Dataset.from_arrow(pa.table({"k": [2.5] * 3, "e": empty, "x": [0.5, 1.5, 2.5]}))
    found = Pairs().compute(compare(data, data), rng)
    assert found.value == 0
    assert np.isfinite(found.replicates).all()


def test_one_column_is_no_pair(compare, rng) -> None:
    data = Dataset.from_arrow(pa.table({"x": [0.5, 1.5]}))
    with pytest.raises(NotMeasurable, match="two columns"):
        Pairs().compute(compare(data, data), rng)


@pytest.mark.parametrize("metric", [Pairs(), Marginals()])
def test_what_is_kept_of_the_reference_changes_no_number(metric, people, compare) -> None:
    """The frame lets baseline and candidate share what was counted of the reference."""
    reference = people(400, 3)
    sides = [people(400, 1), people(300, 2).slice(0, 200), reference]
    cache: dict[str, object] = {}
    for seed in (5, 5, 6):  # another stream deals other groups
        for side in sides:
            alone = metric.compute(compare(side, reference), rng_for(seed))
            shared = metric.compute(replace(compare(side, reference), cache=cache), rng_for(seed))
            assert shared.value == alone.value
            assert shared.findings == alone.findings
            assert np.array_equal(shared.replicates, alone.replicates)
            assert np.array_equal(shared.components.replicates, alone.components.replicates)
