from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.data.where import Where
from twinset.core.findings import ReferenceRows, Verdict
from twinset.core.seeding import rng_for
from twinset.evaluation.gap.classifier import Classifier
from twinset.evaluation.gap.marginals import Marginals
from twinset.evaluation.privacy.exact_copies import ExactCopies
from twinset.evaluation.utility.train_synthetic_test_real import TrainSyntheticTestReal
from twinset.measurement.comparison import (
    ComparisonSets,
    MetricColumns,
    compare_halves,
    match_sizes,
    shuffle_columns,
)
from twinset.measurement.harness import measure


def table(n: int, **columns: object) -> Dataset:
    return Dataset.from_arrow(pa.table({"row": np.arange(n) + 0.5, **columns}))


def rows(data: Dataset) -> set[float]:
    return set(data.values("row").tolist())


def test_the_holdout_is_cut_into_two_halves_at_random() -> None:
    holdout = table(40, label=["yes"] * 6 + ["no"] * 34)
    counts = set()
    for seed in range(8):
        sides = compare_halves(table(9), table(5), holdout, seed=seed)
        assert sides is not None
        assert rows(sides.baseline) | rows(sides.reference) == rows(holdout)
        assert len(sides.baseline) == len(sides.reference) == 20
        assert sides.reference_rows == ReferenceRows.HALF_OF_HOLDOUT
        counts.add(sides.baseline.records.column("label").to_pylist().count("yes"))
    assert len(counts) > 1  # as in fresh samples, the share of a class is not exact


@pytest.mark.parametrize("kind", ["equal counts", "fresh sample"])
def test_shares_of_many_classes_raise_no_alarm(kind: str) -> None:
    def labelled(seed: int) -> Dataset:
        rng = np.random.default_rng(seed)
        label = np.arange(600) % 30 if kind == "equal counts" else rng.integers(0, 30, 600)
        values = {"x": rng.normal(size=600), "label": [f"intent {i}" for i in label]}
        return Dataset.from_arrow(pa.table(values))

    for seed in range(8):
        train, synthetic, holdout = (labelled(3 * seed + i) for i in range(3))
        (score,) = measure(
            train=train, synthetic=synthetic, holdout=holdout, target="label", seed=seed,
            metrics=[("gap.marginals", Marginals(replicates=50))],
        )  # fmt: skip
        assert score.verdict != Verdict.DIFFERENT, seed


def test_a_group_lies_in_one_half_only() -> None:
    holdout = table(60, card=[f"c{i % 20}" for i in range(60)])
    fields = [holdout.schema["row"], replace(holdout.schema["card"], role="group")]
    holdout = replace(holdout, schema=Schema(tuple(fields)))
    sides = compare_halves(holdout, holdout, holdout, seed=1)
    assert sides is not None
    cards = [
        set(part.records.column("card").to_pylist()) for part in (sides.baseline, sides.reference)
    ]
    assert cards[0].isdisjoint(cards[1])
    assert len(cards[0]) + len(cards[1]) == 20


def test_one_big_group_is_cut_by_rows() -> None:
    holdout = table(30, card=["big"] * 29 + ["small"])
    fields = [holdout.schema["row"], replace(holdout.schema["card"], role="group")]
    holdout = replace(holdout, schema=Schema(tuple(fields)))
    for seed in range(6):
        sides = compare_halves(holdout, holdout, holdout, seed=seed)
        assert sides is not None
        assert min(len(sides.baseline), len(sides.reference)) >= 1


def test_without_a_holdout_train_is_cut_and_that_is_said() -> None:
    sides = compare_halves(table(10), table(5), None, seed=1)
    assert sides is not None
    assert sides.reference_rows == ReferenceRows.HALF_OF_TRAIN
    assert len(sides.baseline) == len(sides.reference) == 5


def test_one_row_cannot_be_cut() -> None:
    assert compare_halves(table(9), table(9), table(1), seed=1) is None


@pytest.mark.parametrize(("made", "expected"), [(4, 4), (100, 15)])
def test_candidate_and_baseline_get_the_same_number_of_rows(made: int, expected: int) -> None:
    sides = compare_halves(table(9), table(made), table(30), seed=1)
    assert sides is not None
    cut = match_sizes(sides, 1)
    assert len(cut.synthetic) == len(cut.baseline) == expected
    assert len(cut.reference) == 15


def chosen(
    metric: object, sides: ComparisonSets, target: str | None = None, where: Where | None = None
):
    return MetricColumns.from_sets(metric, sides, target, where)  # type: ignore[arg-type]


def sides_of(*sets: Dataset, later: bool = False) -> ComparisonSets:
    train, synthetic, reference = sets
    return ComparisonSets(train, synthetic, reference, reference, "half", later)


def test_ids_texts_in_tables_and_odd_columns_are_left_out() -> None:
    fields = (
        Field(name="x", kind="number"), Field(name="n", kind="integer"), Field(name="c", kind="category"),
        Field(name="key", kind="id"), Field(name="number", kind="integer", role="identifier"),
        Field(name="note", kind="text"), Field(name="gone", kind="number"),
        Field(name="level", kind="number"),
    )  # fmt: skip
    values = {
        "x": [1.5],
        "n": [2],
        "c": ["a"],
        "key": ["k"],
        "number": [1],
        "note": ["t"],
        "gone": [2.5],
        "level": [3.5],
    }
    real = Dataset.from_arrow(pa.table(values), Schema(fields))
    made = real.select([n for n in real.schema.names if n != "gone"])
    made = made.with_schema(
        made.schema.with_field(Field(name="n", kind="number"))
        .with_field(replace(made.schema["c"], kind="id"))
        .with_field(replace(made.schema["level"], kind="category"))
    )
    found = chosen(Classifier(), sides_of(real, made, real))
    assert found.names == ("x", "n")  # numbers and integers can be compared
    assert found.excluded == {
        "c": "it is category in one set and id in another",
        "note": "texts in tables are placeholders",
        "gone": "not all sets have it",
        "level": "it is number in one set and category in another",
    }


def test_a_text_is_looked_at_where_it_is_what_the_set_is_about() -> None:
    fields = (Field(name="text", kind="text"), Field(name="label", kind="category"))
    data = Dataset.from_arrow(pa.table({"text": ["a b"], "label": ["x"]}), Schema(fields))
    assert chosen(Classifier(), sides_of(data, data, data), target="label").names == (
        "text",
        "label",
    )
    assert chosen(Marginals(), sides_of(data, data, data), target="label").names == ("label",)


def test_pinned_columns_are_left_out_but_not_for_models() -> None:
    data = table(4, label=["yes"] * 4)
    where = Where({"label": "yes", "row": {"ge": 0}})
    assert chosen(Marginals(), sides_of(data, data, data), where=where).names == ("row",)
    utility = TrainSyntheticTestReal()
    assert chosen(utility, sides_of(data, data, data), where=where).names == ("row", "label")


def test_a_time_is_left_out_where_the_holdout_is_later() -> None:
    def timed(start: int) -> Dataset:
        data = table(4, t=np.arange(4.0) + start + 0.5)
        return replace(data, schema=data.schema.with_field(replace(data.schema["t"], role="time")))

    for start, names in ((4, ("row",)), (2, ("row", "t"))):
        sides = compare_halves(timed(0), timed(0), timed(start), seed=1)
        assert sides is not None
        assert sides.later == (start == 4)
        assert chosen(Marginals(), sides).names == names
        assert chosen(ExactCopies(), sides).names == ("row", "t")


def test_independent_columns_keep_each_column_and_break_the_links() -> None:
    data = table(200, twice=(np.arange(200) + 0.5) * 2)
    loose = shuffle_columns(data, rng_for(1, "floor"))
    for name in ("row", "twice"):
        assert sorted(loose.values(name)) == sorted(data.values(name))
    assert (loose.values("twice") != 2 * loose.values("row")).mean() > 0.9
