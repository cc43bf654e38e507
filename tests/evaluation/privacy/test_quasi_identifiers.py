from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema
from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for
from twinset.evaluation.privacy.quasi_identifiers import QuasiIdentifiers, count_rows_sharing


def towns(**counts: int) -> Dataset:
    """Return rows of towns, all of the same sex."""
    names = [name for name, count in counts.items() for _ in range(count)]
    return Dataset.from_arrow(pa.table({"town": names, "sex": ["f"] * len(names)}))


def k_map(synthetic: Dataset, train: Dataset, **settings):
    sets = Comparison(train, synthetic, train)
    return QuasiIdentifiers(columns=("town", "sex"), **settings).compute(sets, rng_for(1, "k"))


def test_hand_counted_cells() -> None:
    """Of ten synthetic rows three point at a cell of 10, four at one of 11, three at nobody."""
    found = k_map(towns(a=3, b=4, z=3), towns(a=10, b=11))
    assert found.value == pytest.approx(0.3)
    assert found.facts["share_in_no_training_row"] == pytest.approx(0.3)
    assert found.facts["mean_risk_of_a_match"] == pytest.approx((3 / 10 + 4 / 11) / 10)
    assert k_map(towns(a=3, b=4, z=3), towns(a=10, b=11), k=12).value == pytest.approx(0.7)


@given(st.lists(st.integers(0, 6), min_size=1), st.lists(st.integers(0, 6)))
def test_rows_are_counted_as_one_by_one(synthetic: list[int], train: list[int]) -> None:
    found = count_rows_sharing(
        np.array(train, dtype=np.uint64), np.array(synthetic, dtype=np.uint64)
    )
    assert found.tolist() == [train.count(key) for key in synthetic]


def test_large_cells_and_combinations_of_nobody_are_no_risk() -> None:
    assert k_map(towns(a=30), towns(a=30)).value == 0
    assert k_map(towns(z=30), towns(a=3)).value == 0


def test_secrets_are_not_taken_for_what_others_know() -> None:
    rows = towns(a=5, b=50)
    fields = tuple(
        replace(field, role="sensitive") if field.name == "town" else field
        for field in rows.schema.fields
    )
    rows = replace(rows, schema=Schema(fields))
    with pytest.raises(NotMeasurable, match="name them in 'columns'"):
        QuasiIdentifiers().compute(Comparison(rows, rows, rows), rng_for(1, "k"))


def test_without_a_declaration_it_says_what_to_do() -> None:
    rows = towns(a=5)
    with pytest.raises(NotMeasurable, match="columns"):
        QuasiIdentifiers().compute(Comparison(rows, rows, rows), rng_for(1, "k"))
    with pytest.raises(NotMeasurable, match="'age' is not among"):
        QuasiIdentifiers(columns=("age",)).compute(Comparison(rows, rows, rows), rng_for(1, "k"))


def test_thresholds_say_who_says_so() -> None:
    told = k_map(towns(a=30), towns(a=30)).facts["thresholds"]
    assert "no number" in told["HHS, 45 CFR 164.514(b)(1)"]
    assert "0.09" in told["EMA Policy 0070 and Health Canada"]
    assert "set by twinset" in told["twinset"]


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ParameterError):
        QuasiIdentifiers(k=1)
