"""The contract checks pass an honest component and catch each broken promise."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import (
    Augmenter,
    FittedGenerator,
    Generator,
    Measurement,
    Metric,
    NotMeasurable,
    silent,
)
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import KINDS, TABULAR_KINDS
from twinset.core.errors import FitError, ParameterError
from twinset.testing import (
    check_augmenter,
    check_generator,
    check_metric,
    example_comparison,
    example_dataset,
)
from twinset.testing._generators import input_unmutated, written_as_the_contract_asks
from twinset.testing._shared import check_valid


class Rows(FittedGenerator):
    """Draws real rows with replacement; what it was told to do wrong, it does wrong."""

    def __init__(self, real: Dataset, fault: str) -> None:
        self.real, self.fault, self.schema, self.asked = real, fault, real.schema, 0

    def sample(self, n: int, rng: Any, where: Any = None) -> Dataset:
        self.asked += 1
        if self.fault == "own rng":
            rng = np.random.default_rng()
        if self.fault == "memory":
            rng.integers(self.asked)
        if self.fault == "global state":
            random.random()
        if self.fault == "numpy state":
            np.random.rand()
        if self.fault == "rows lost":
            n = max(n - 1, 0)
        rows = self.real if self.fault == "where ignored" else self.real.where(where)
        if not len(rows):
            raise ParameterError("no row meets the condition")
        made = rows.take(rng.integers(0, len(rows), n)).without_reserved()
        return self._spoilt(made)

    def _spoilt(self, made: Dataset) -> Dataset:
        records = made.records
        if self.fault == "nulls lost":
            place = records.schema.get_field_index("amount")
            filled = pa.array(np.nan_to_num(made.values("amount")))
            return replace(made, records=records.set_column(place, "amount", filled))
        if self.fault == "nulls made":
            place = records.schema.get_field_index("visits")
            return replace(made, records=records.set_column(place, "visits", _gone(records, place)))
        if self.fault == "new label":
            place = records.schema.get_field_index("label")
            labels = pa.array(["maybe"] * len(made), pa.string()).dictionary_encode()
            return replace(made, records=records.set_column(place, "label", labels))
        if self.fault == "column lost":
            return made.select([name for name in made.schema.names if name != "amount"])
        if self.fault == "extra column":
            return replace(made, records=records.append_column("note", pa.nulls(len(made))))
        if self.fault == "wrong type":
            place = records.schema.get_field_index("visits")
            small = records.column("visits").cast(pa.int32())
            return replace(made, records=records.set_column(place, "visits", small))
        return made


def _gone(records: pa.Table, place: int) -> pa.Array:
    return pa.nulls(records.num_rows, records.schema.field(place).type)


@dataclass(frozen=True, kw_only=True)
class Honest(Generator):
    """Draw real rows with replacement."""

    kinds = TABULAR_KINDS
    fault: str = ""

    def fit(self, real: Dataset | None, rng: Any, progress: Any = silent) -> FittedGenerator:
        assert real is not None
        if not len(real) and self.fault != "no rows":
            raise FitError("there is nothing to learn from")
        if self.fault != "takes anything" and not real.schema.kinds <= self.kinds:
            raise FitError("a column is of another kind")
        if self.fault == "crash on one row" and len(real) == 1:
            raise ZeroDivisionError
        if self.fault == "crash on missing" and real.is_null("amount").all():
            raise ValueError("all missing")
        if self.fault == "input changed":
            _write(real.records.column("balance").chunk(0).buffers()[1].address)
        return Rows(real, self.fault)


def _write(address: int) -> None:
    """Change one byte of an Arrow buffer in place, as careless native code would."""
    import ctypes

    byte = ctypes.c_uint8.from_address(address)
    byte.value = (byte.value + 1) % 256


def test_an_honest_generator_passes() -> None:
    check_generator(Honest)
    # It fits no rows at all and then refuses to draw: that is a refusal too.
    check_generator(Honest(fault="no rows"))
    check_generator(Honest(), example_dataset(TABULAR_KINDS, rows=30, seed=4, missing=False))


def test_a_broken_promise_of_a_generator_is_caught() -> None:
    for fault, sentence in [
        ("own rng", "gave other bytes"),
        ("memory", "asked twice"),
        ("global state", "random state of python"),
        ("numpy state", "random state of numpy"),
        ("rows lost", "asked for"),
        ("where ignored", "do not meet the condition"),
        ("nulls lost", "never became so"),
        ("nulls made", "became so"),
        ("new label", "labels of 'label'"),
        ("column lost", "another schema"),
        ("extra column", "outside the schema"),
        ("wrong type", "its schema says"),
        ("takes anything", "was not refused"),
    ]:
        with pytest.raises(AssertionError, match=sentence):
            check_generator(Honest(fault=fault))


def test_a_changed_input_is_caught() -> None:
    with pytest.raises(AssertionError, match="the real set was changed"):
        input_unmutated(Honest(fault="input changed"), example_dataset(TABULAR_KINDS))


def test_a_crash_on_hard_data_is_no_refusal() -> None:
    for fault, kind in [("crash on one row", ZeroDivisionError), ("crash on missing", ValueError)]:
        with pytest.raises(kind):
            check_generator(Honest(fault=fault))


def test_a_class_that_is_not_written_as_asked_is_caught() -> None:
    for change, sentence in [
        (lambda: dataclass(kw_only=True, unsafe_hash=True)(type("A", (), {})), "frozen dataclass"),
        (lambda: _variant(kinds=frozenset({"nonsense"})), "unknown kinds"),
        (lambda: _variant(kinds=frozenset()), "'kinds' is empty"),
        (lambda: _variant(chunk_rows=0), "'chunk_rows'"),
        (lambda: _variant(note=None), "'note' is of a wrong type"),
        (lambda: _variant(__doc__="no full stop"), "short sentence"),
    ]:
        with pytest.raises(AssertionError, match=sentence):
            written_as_the_contract_asks(change()(), None)


def _variant(**facts: Any) -> type:
    body = {"__doc__": "Draw rows.", **facts}
    return dataclass(frozen=True, kw_only=True)(type("Variant", (Honest,), body))


@dataclass(frozen=True, kw_only=True)
class Shift(Augmenter):
    """Add noise to the balance."""

    kinds = frozenset(TABULAR_KINDS)
    fault: str = ""

    def draw(self, dataset: Dataset, rng: Any) -> dict[str, Any]:
        if self.fault == "one parameter":
            return {"shift": rng.normal(size=1)}
        if self.fault == "nothing varies":
            return {"shift": np.zeros(len(dataset))}
        if self.fault == "own rng":
            rng = np.random.default_rng()
        if self.fault == "global state":
            random.random()
        return {"shift": rng.normal(size=len(dataset))}

    def apply(self, dataset: Dataset, params: Any) -> Dataset:
        shift = params["shift"]
        if self.fault == "one parameter":
            shift = np.repeat(shift, len(dataset))
        if self.fault == "parameters changed":
            shift += 1
        records = dataset.records
        if self.fault == "input changed":
            _write(records.column("balance").chunk(0).buffers()[1].address)
        if self.fault == "crash on no rows" and not len(dataset):
            raise ZeroDivisionError
        if self.fault == "new label":
            place = records.schema.get_field_index("label")
            labels = pa.array(["maybe"] * len(dataset), pa.string()).dictionary_encode()
            records = records.set_column(place, "label", labels)
        place = records.schema.get_field_index("balance")
        values = pa.array(dataset.values("balance") + shift)
        records = records.set_column(place, "balance", values)
        if self.fault == "nulls moved":
            place = records.schema.get_field_index("amount")
            records = records.set_column(place, "amount", pa.array(np.zeros(len(dataset))))
        parents = [[i] for i in records.column("_id").to_pylist()]
        if self.fault == "wrong parents":
            parents.reverse()
        if self.fault != "no parents":
            records = records.append_column("_parents", pa.array(parents, pa.list_(pa.string())))
        made = replace(dataset, records=records)
        return made.slice(0, len(made) - 1) if self.fault == "rows lost" and len(made) else made


def test_an_honest_augmenter_passes() -> None:
    check_augmenter(Shift)


def test_a_broken_promise_of_an_augmenter_is_caught() -> None:
    for fault, sentence in [
        ("one parameter", "entries for"),
        ("global state", "random state of python"),
        ("input changed", "the given rows were changed"),
        ("new label", "labels of 'label'"),
        ("nothing varies", "two streams gave the same rows"),
        ("own rng", "other parameters"),
        ("parameters changed", "other bytes|changed the parameters"),
        ("nulls moved", "missing in other rows"),
        ("no parents", "do not say what they were made from"),
        ("wrong parents", "wrong parents"),
        ("rows lost", "asked for"),
    ]:
        with pytest.raises(AssertionError, match=sentence):
            check_augmenter(Shift(fault=fault))
    with pytest.raises(ZeroDivisionError):
        check_augmenter(Shift(fault="crash on no rows"))


@dataclass(frozen=True, kw_only=True)
class Means(Metric):
    """Compare the mean balance."""

    family = "gap"
    higher_is_better = False
    bounds = (0.0, 1.0)
    kinds = frozenset({"number"})
    margin: float = 0.1
    fault: str = ""

    def compute(self, comparison: Any, rng: Any) -> Measurement:
        synthetic, reference = comparison.synthetic, comparison.reference
        if not len(synthetic) or not len(reference):
            if self.fault == "crash":
                raise ZeroDivisionError
            raise NotMeasurable("" if self.fault == "no reason" else "there are no rows")
        if self.fault == "own rng":
            rng = np.random.default_rng()
        if self.fault == "global state":
            random.random()
        if self.fault == "input changed":
            _write(synthetic.records.column("balance").chunk(0).buffers()[1].address)
        if self.fault == f"crash on missing {self._is_empty(comparison)}":
            raise ZeroDivisionError
        usual = comparison.cache.setdefault("mean", float(reference.values("balance").mean()))
        gap = abs(synthetic.values("balance").mean() - usual) / 1000
        value = float(min(gap, 1.0)) + (2 if self.fault == "out of bounds" else 0)
        if self.fault == "candidate kept":
            value = comparison.cache.setdefault("value", value)
        value += 0.01 * len(comparison.cache)
        if self.fault == "cache":
            comparison.cache["again"] = 1
        size = int(len(synthetic) * (synthetic.card.origin == "real") + 3)
        shape = size if self.fault == "ragged replicates" else 5
        facts = {"rows": synthetic if self.fault == "facts" else len(synthetic)}
        return Measurement(min(value, 1.0) if value < 2 else value, rng.random(shape), facts=facts)

    @staticmethod
    def _is_empty(comparison: Any) -> str:
        """Return the set whose amounts are all missing."""
        for name in ("train", "synthetic"):
            if getattr(comparison, name).is_null("amount").all():
                return name
        return "none"


def test_an_honest_metric_passes() -> None:
    check_metric(Means)
    check_metric(Means(), example_comparison({"number"}, rows=20))


def test_a_broken_promise_of_a_metric_is_caught() -> None:
    for fault, kind, sentence in [
        ("own rng", AssertionError, "other numbers"),
        ("global state", AssertionError, "random state of python"),
        ("input changed", AssertionError, "a compared set was changed"),
        ("cache", AssertionError, "filled cache"),
        ("candidate kept", AssertionError, "another candidate left in the cache"),
        ("out of bounds", AssertionError, "out of bounds"),
        ("ragged replicates", AssertionError, "cannot be paired"),
        ("no reason", AssertionError, "must say why"),
        ("facts", TypeError, "JSON"),
        ("crash", ZeroDivisionError, None),
        ("crash on missing train", ZeroDivisionError, None),
        ("crash on missing synthetic", ZeroDivisionError, None),
    ]:
        with pytest.raises(kind, match=sentence):
            check_metric(Means(fault=fault))


def test_example_sets_are_valid_for_every_kind() -> None:
    for kind in KINDS:
        for rows in (0, 1, 30):
            made = example_dataset({kind}, rows=rows)
            check_valid(made, rows)
            assert kind in made.schema.kinds
        assert example_dataset({kind}).digest == example_dataset({kind}).digest


def test_example_images_maps_and_boxes_speak_of_the_same_squares() -> None:
    from twinset.core.image.codec import decode_pixels

    made = example_dataset({"image", "mask", "boxes"}, rows=8)
    for row in made.records.to_pylist():
        ids = decode_pixels(row["instances"]["bytes"])
        ys, xs = np.nonzero(ids == 1)
        (square,) = row["objects"]
        assert square["box"] == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        assert square["area"] == len(ys)
        photo = decode_pixels(row["photo"]["bytes"])
        assert photo[ys, xs, 0].mean() > 2 * photo[ids == 0][:, 0].mean()


def test_example_spans_mark_the_number() -> None:
    for row in example_dataset({"text", "spans"}, rows=8).records.to_pylist():
        (mark,) = row["marks"]
        assert row["message"][mark["start"] : mark["end"]].isdecimal()
