from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema
from twinset.core.findings import AttackRates
from twinset.evaluation.privacy.attribute_inference import (
    AttributeInference,
    choose_sensitive_columns,
    is_right,
)


def sensitive(dataset: Dataset, *names: str) -> Dataset:
    """Give columns the role sensitive."""
    fields = tuple(
        replace(field, role="sensitive") if field.name in names else field
        for field in dataset.schema.fields
    )
    return replace(dataset, schema=Schema(fields))


def test_a_number_is_right_within_the_tolerance_and_missing_is_right_for_missing() -> None:
    guessed = np.array([1.0, 1.0, np.nan, np.nan, 1.0])
    truth = np.array([1.5, 1.6, np.nan, 1.0, np.nan])
    assert is_right(guessed, truth, 0.5).tolist() == [True, False, True, False, False]


def test_hand_counted_success_on_members_and_control() -> None:
    """Members are told right in all four rows, control rows in two of four."""
    x = [0.0, 10.0, 20.0, 30.0]
    train = Dataset.from_arrow(pa.table({"x": x, "ill": ["no", "yes", "no", "yes"]}))
    control = Dataset.from_arrow(pa.table({"x": x, "ill": ["no", "yes", "yes", "no"]}))
    sets = Comparison(*(sensitive(part, "ill") for part in (train, train, control)))
    found = AttributeInference().compute(sets, np.random.default_rng(1))
    assert found.value == 0.5
    assert found.finding(AttackRates).attribute == "ill"


def test_what_holds_of_people_in_general_is_no_leak(people, compare, rng) -> None:
    """Colour follows x, so anybody's may be inferred."""
    train, control = (sensitive(people(800, seed), "colour") for seed in (1, 2))
    found = AttributeInference().compute(compare(people(800, 3), control, train), rng)
    assert found.facts["right"]["colour"]["control"] > 0.6
    assert abs(found.facts["excess"]) < 0.06


def test_declared_secrets_come_before_any_other(people) -> None:
    rows = people(100, 1)
    assert choose_sensitive_columns(sensitive(rows, "colour"), rows.schema.names, 1) == ["colour"]
    assert choose_sensitive_columns(rows, rows.schema.names, 2) == ["x", "y"]


def test_integers_on_one_side_and_numbers_on_the_other_are_compared(compare, rng) -> None:
    whole, real = ([1, 2, 3, 4] * 10, [1.0, 2.0, 3.5, 4.0] * 10)
    sets = [Dataset.from_arrow(pa.table({"a": v, "b": v})) for v in (whole, real)]
    assert AttributeInference().compute(compare(sets[0], sets[1], sets[0]), rng).value >= 0


def test_one_column_tells_nothing(people, compare, rng) -> None:
    one = people(50, 1).select(["x"])
    with pytest.raises(NotMeasurable):
        AttributeInference().compute(compare(one, one), rng)
