"""The guard on small sets: what it refuses, what it lets pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema
from twinset.core.errors import LeakError, ParameterError
from twinset.measurement.comparison import split_rows
from twinset.measurement.leakage import find_leakage

ROWS = 1_200


def real_set(seed: int = 0, rows: int = ROWS, roles: dict[str, str] | None = None) -> Dataset:
    """Return numbers, whole numbers and labels, with a rare class and some natural repeats."""
    rng = np.random.default_rng(seed)
    fraud = rng.random(rows) < 0.1
    table = {
        "card": [f"c{i}" for i in rng.integers(0, rows // 8, rows)],
        "when": np.sort(rng.integers(0, 10**6, rows)).astype(float),
        "amount": np.round(np.exp(rng.normal(3, 1, rows)), 2),
        "score": rng.normal(size=rows) + fraud,
        "share": rng.random(rows),
        "visits": rng.poisson(3, rows),
        "fraud": np.where(fraud, "yes", "no"),
    }
    repeats = rng.integers(0, rows, rows // 20)
    found = Dataset.from_arrow(pa.table(table))
    found = Dataset.concat([found, found.take(repeats)])
    return with_roles(found.with_schema(found.schema.with_target("fraud")), roles or {})


def with_roles(data: Dataset, roles: dict[str, str]) -> Dataset:
    """Return the set with the roles named."""
    fields = [replace(f, role=roles.get(f.name, f.role)) for f in data.schema.fields]  # type: ignore[arg-type]
    return data.with_schema(Schema(tuple(fields)))


def cut(data: Dataset, by: str = "stratified", seed: int = 0) -> tuple[Dataset, Dataset]:
    """Return train and holdout."""
    train, holdout = split_rows(
        data,
        by=by,  # type: ignore[arg-type]
        on=None,
        holdout_fraction=0.3,
        rng=np.random.default_rng(seed),
    )
    return data.take(train), data.take(holdout)


def kinds_of(train: Dataset, holdout: Dataset, synthetic: Dataset | None = None) -> set[str]:
    return {leak.kind for leak in find_leakage(train, holdout, synthetic).leaks}


@pytest.mark.parametrize("seed", range(6))
def test_a_clean_cut_with_natural_repeats_passes(seed: int) -> None:
    assert find_leakage(*cut(real_set(seed), seed=seed)).is_clean


def test_copies_of_holdout_rows_in_train_are_refused() -> None:
    train, holdout = cut(real_set())
    joined = Dataset.concat([train, holdout.slice(0, 60)])
    assert kinds_of(joined, holdout) == {"copies"}
    shuffled = joined.select(list(joined.schema.names)[::-1])
    assert kinds_of(shuffled, holdout) == {"copies"}


def test_copies_of_a_few_rare_rows_are_seen_in_their_class() -> None:
    train, holdout = cut(real_set(rows=20_000))
    codes, levels = holdout.codes("fraud")
    rare = np.flatnonzero(codes == levels.index("yes"))[:60]
    assert "copies" in kinds_of(Dataset.concat([train, holdout.take(rare)]), holdout)


def changed(part: Dataset, column: str, values: pa.Array) -> Dataset:
    at = part.records.column_names.index(column)
    return replace(part, records=part.records.set_column(at, column, values))


def other_label(part: Dataset) -> Dataset:
    flipped = ["no" if x == "yes" else "yes" for x in part.records["fraud"].to_pylist()]
    return changed(part, "fraud", pa.array(flipped).dictionary_encode())


def other_time(part: Dataset) -> Dataset:
    return changed(part, "when", pa.array(np.arange(len(part)) + 0.5))


def blurred(part: Dataset) -> Dataset:
    rng = np.random.default_rng(1)
    for name in ("amount", "score", "share", "when"):
        values = part.values(name)
        noise = rng.normal(size=len(part)) * 0.002 * values.std()
        part = changed(part, name, pa.array(values + noise))
    return part


@pytest.mark.parametrize(
    ("change", "kind"),
    [(other_label, "changed_copies"), (other_time, "changed_copies"), (blurred, "near_copies")],
)
def test_copies_with_something_changed_are_refused(
    change: Callable[[Dataset], Dataset], kind: str
) -> None:
    train, holdout = cut(real_set())
    moved = change(holdout.slice(0, 60))
    moved = replace(moved, records=moved.records.cast(train.records.schema))
    assert kind in kinds_of(Dataset.concat([train, moved]), holdout)


def rare_rows(data: Dataset) -> Dataset:
    codes, levels = data.codes("fraud")
    return data.filter(codes == levels.index("yes"))


def between(data: Dataset, n: int, seed: int = 0) -> Dataset:
    """Return rows on lines between rare rows and their neighbours in the numbers."""
    rng = np.random.default_rng(seed)
    rare = rare_rows(data)
    names = [f.name for f in rare.schema.fields if f.kind == "number"]
    points = np.column_stack([rare.values(name) for name in names])
    one = rng.integers(0, len(points), n)
    other = (one + rng.integers(1, 6, n)) % len(points)
    made = points[one] + rng.random(n)[:, None] * (points[other] - points[one])
    rows = rare.take(one)
    for column, name in zip(made.T, names):
        rows = changed(rows, name, pa.array(column))
    return rows


def test_rows_multiplied_before_the_cut_are_refused() -> None:
    data = real_set()
    rare = rare_rows(data)
    grown = Dataset.concat([data, *[rare] * 6])
    assert "oversampled" in kinds_of(*cut(grown))


def test_rows_interpolated_before_the_cut_are_refused() -> None:
    data = real_set()
    assert "interpolated" in kinds_of(*cut(Dataset.concat([data, between(data, 900)])))


def test_growing_after_the_cut_passes() -> None:
    train, holdout = cut(real_set())
    assert find_leakage(Dataset.concat([train, *[rare_rows(train)] * 6]), holdout).is_clean
    assert find_leakage(Dataset.concat([train, between(train, 600)]), holdout).is_clean
    made = between(train, 600).with_card(origin="synthetic")
    assert find_leakage(train, holdout, made).is_clean


def test_synthetic_rows_that_were_drawn_from_the_holdout_are_refused() -> None:
    data = real_set()
    train, holdout = cut(data)
    assert "interpolated" in kinds_of(train, holdout, between(data, 900))
    assert "copies" in kinds_of(train, holdout, holdout.slice(0, 200))
    assert find_leakage(train, holdout, train).is_clean


def test_rows_that_lineage_calls_made_are_refused() -> None:
    train, holdout = cut(real_set())
    flagged = holdout.with_card(origin="augmented").with_reserved(
        ids=[str(i) for i in range(len(holdout))]
    )
    assert kinds_of(train, flagged.with_card(origin="real")) == {"synthetic_rows"}
    assert kinds_of(train, holdout.with_card(origin="synthetic")) == {"synthetic_rows"}


def test_parents_in_the_holdout_are_refused() -> None:
    data = real_set()
    data = data.with_reserved(ids=[f"r{i}" for i in range(len(data))])
    train, holdout = cut(data)
    parent = holdout.records["_id"][0].as_py()
    mine = train.records["_id"][0].as_py()
    made = between(train, 3).with_card(origin="synthetic")
    assert kinds_of(train, holdout, made.with_reserved(ids=["a", "b", "c"])) == set()
    child = made.with_reserved(ids=["a", "b", "c"], parents=[[], [mine], [mine, parent]])
    assert kinds_of(train, holdout, child) == {"parents"}


def test_one_shared_id_does_not_hide_the_parents() -> None:
    data = real_set()
    data = data.with_reserved(ids=[f"r{i}" for i in range(len(data))])
    train, holdout = cut(data)
    ids = train.records["_id"].to_pylist()
    twice = train.with_reserved(ids=[holdout.records["_id"][0].as_py(), *ids[1:]])
    parent = holdout.records["_id"][1].as_py()
    made = between(train, 2).with_card(origin="synthetic")
    child = made.with_reserved(ids=["a", "b"], parents=[[], [parent]])
    found = find_leakage(twice, holdout, child)
    assert [leak.kind for leak in found.leaks] == ["parents"]
    assert "also stands in the train set" in found.remarks[0]
    numbered = [
        part.with_reserved(ids=[str(i) for i in range(len(part))]) for part in (train, holdout)
    ]
    child = made.with_reserved(ids=["a", "b"], parents=[[], ["1"]])
    for pair in (numbered, numbered[::-1]):
        found = find_leakage(*pair, child)
        assert found.is_clean
        assert "parents were not searched" in found.remarks[0]


def test_a_column_of_the_time_that_is_not_there_is_refused() -> None:
    train, holdout = cut(real_set(roles={"when": "time"}))
    with pytest.raises(ParameterError, match=r"not in the train set.*did you mean 'when'"):
        find_leakage(train, holdout, split_by="time", split_on="whem")
    fewer = holdout.select([name for name in holdout.schema.names if name != "when"])
    with pytest.raises(ParameterError, match="the column of the time is not in the holdout"):
        find_leakage(train, fewer, split_by="time")


def test_groups_in_both_sets_are_refused_unless_the_cut_is_by_time() -> None:
    data = real_set(roles={"card": "group", "when": "time"})
    assert "group" in kinds_of(*cut(data))
    assert find_leakage(*cut(data, "group"), split_by="group").is_clean
    by_time = find_leakage(*cut(data, "time"), split_by="time")
    assert by_time.is_clean
    assert "groups of the column 'card'" in by_time.remarks[0]


def test_a_cut_by_time_that_is_none_is_refused() -> None:
    train, holdout = cut(real_set(roles={"when": "time"}))
    assert find_leakage(train, holdout).is_clean
    assert [leak.kind for leak in find_leakage(train, holdout, split_by="time").leaks] == ["time"]


def test_the_guard_raises_one_sentence_without_values() -> None:
    train, holdout = cut(real_set(roles={"card": "group"}))
    with pytest.raises(LeakError, match="is not independent") as raised:
        find_leakage(train, holdout).require_clean()
    assert raised.value.kind == "group"
    assert not any(card in str(raised.value) for card in holdout.records["card"].to_pylist())


def test_the_guard_tells_where_the_rows_are() -> None:
    rng = np.random.default_rng(0)
    real = Dataset.from_arrow(pa.table({name: rng.normal(size=400) for name in "abc"}))
    train, holdout = real.slice(0, 300), real.slice(300, 100)
    copied = Dataset.concat([train, holdout.slice(40, 30)])
    (leak,) = find_leakage(copied, holdout).leaks
    assert (leak.kind, leak.rows, leak.at[:5]) == ("copies", 30, (40, 41, 42, 43, 44))
    with pytest.raises(LeakError, match=r"counted from row 0: 40, 41, 42, 43, 44, \.\.\.\)"):
        find_leakage(copied, holdout).require_clean()
    changed_rows = changed(holdout.slice(40, 30), "a", pa.array(rng.normal(size=30)))
    (leak,) = find_leakage(Dataset.concat([train, changed_rows]), holdout).leaks
    assert (leak.kind, leak.at[:5]) == ("changed_copies", (40, 41, 42, 43, 44))
    named = [
        part.with_reserved(ids=[f"{name}{i}" for i in range(len(part))])
        for name, part in (("t", train), ("h", holdout))
    ]
    made = train.slice(0, 2).with_card(origin="synthetic")
    child = made.with_reserved(ids=["x", "y"], parents=[["h9"], ["h7", "t1"]])
    assert find_leakage(*named, child).leaks[0].at == (7, 9)


def test_an_allowed_leak_is_reported_and_does_not_count() -> None:
    train, holdout = cut(real_set(roles={"card": "group"}))
    found = find_leakage(train, holdout, allow=["group"]).require_clean()
    assert found.is_clean
    assert found.notes[0].startswith("Allowed leak 'group':")
    with pytest.raises(ParameterError, match="did you mean 'group'"):
        find_leakage(train, holdout, allow=["groups"])
