"""Classes that are discrete, or measured finer, by nature: clean cuts pass, planted rows do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.measurement.leakage import Findings, find_leakage
from twinset.measurement.leakage.duplicates import has_few_rows, simulate_copy_share

ROWS = 4_000
PRICES = np.array([9.99, 49.5, 120.0, 250.25, 999.0])
Columns = dict[str, Any]


def round_amounts(rng: np.random.Generator, fraud: np.ndarray) -> Columns:
    """Frauds of round amounts at any hour, in one sort of shop."""
    return {
        "amount": np.where(fraud, rng.choice([100.0, 200.0, 500.0], ROWS), amounts(rng)),
        "hour": rng.integers(0, 24, ROWS),
        "type": np.where(fraud, "web", rng.choice(list("abcdef"), ROWS)),
    }


def amounts_of_zero(rng: np.random.Generator, fraud: np.ndarray) -> Columns:
    """Half of the frauds only try whether the card works."""
    return {
        "amount": np.where(fraud & (rng.random(ROWS) < 0.5), 0.0, amounts(rng)),
        "type": np.where(fraud, "web", rng.choice(list("abcdef"), ROWS)),
        "day": rng.integers(0, 7, ROWS),
    }


def two_discrete_columns(rng: np.random.Generator, fraud: np.ndarray) -> Columns:
    """Few amounts at few hours."""
    return {
        "amount": np.where(fraud, rng.integers(1, 4, ROWS) * 10.0, amounts(rng)),
        "hour": np.where(fraud, rng.integers(0, 3, ROWS), rng.integers(0, 24, ROWS)),
    }


def goods_with_prices(rng: np.random.Generator, fraud: np.ndarray) -> Columns:
    """Five goods: their price and fee depend on one another, the hour does not."""
    good = rng.integers(0, 5, ROWS)
    return {
        "amount": np.where(fraud, PRICES[good], amounts(rng)),
        "fee": np.where(fraud, np.round(PRICES[good] / 30, 2), amounts(rng)),
        "good": np.where(fraud, good, rng.integers(0, 9, ROWS)),
        "hour": rng.integers(0, 24, ROWS),
    }


def amounts(rng: np.random.Generator) -> np.ndarray:
    return np.asarray(np.round(rng.lognormal(3, 1, ROWS), 2))


def dataset(columns: Columns, fraud: np.ndarray) -> Dataset:
    found = Dataset.from_arrow(pa.table({**columns, "fraud": np.where(fraud, "yes", "no")}))
    return found.with_schema(found.schema.with_target("fraud"))


def after_a_cut(data: Dataset, rng: np.random.Generator) -> Findings:
    order = rng.permutation(len(data))
    held = int(0.3 * len(data))
    return find_leakage(data.take(np.sort(order[held:])), data.take(np.sort(order[:held])))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "make", [round_amounts, amounts_of_zero, two_discrete_columns, goods_with_prices]
)
def test_a_class_that_is_discrete_by_nature_passes(
    make: Callable[[np.random.Generator, np.ndarray], Columns], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    fraud = rng.random(ROWS) < 0.06
    found = after_a_cut(dataset(make(rng, fraud), fraud), rng)
    # The sort of shop is the class under another name, and nothing else is found.
    columns = {name for leak in found.leaks for name in leak.columns}
    assert [leak.kind for leak in found.leaks] == (["label"] if "type" in columns else [])
    assert ("type" in columns) == (make in (round_amounts, amounts_of_zero))
    assert found.remarks == ()


def test_repeats_of_few_rows_whose_columns_depend_are_a_remark() -> None:
    rng = np.random.default_rng(0)
    fraud = rng.random(ROWS) < 0.06
    columns = goods_with_prices(rng, fraud)
    columns["hour"] = np.where(fraud, columns["good"], columns["hour"])
    found = after_a_cut(dataset(columns, fraud), rng)
    assert found.is_clean
    assert "repeats of few rows, which may be natural" in found.remarks[0]


@pytest.mark.parametrize("originals", [20, 200])
def test_rows_multiplied_before_the_cut_are_refused_beside_discrete_columns(originals: int) -> None:
    rng = np.random.default_rng(0)
    fraud = np.arange(ROWS) < originals
    columns = {
        **round_amounts(rng, np.zeros(ROWS, dtype=bool)),
        "score": rng.normal(size=ROWS),
        "age": np.round(rng.normal(40, 10, ROWS), 1),
    }
    data = dataset(columns, fraud)
    grown = Dataset.concat([data, data.take(rng.integers(0, originals, ROWS // 2))])
    assert [leak.kind for leak in after_a_cut(grown, rng).leaks] == ["oversampled"]


def measured(rng: np.random.Generator, fraud: np.ndarray, decimals: int | None) -> Dataset:
    """Return whole numbers, those of the rare class finer."""
    columns = {}
    for name in ("a", "b"):
        plain, fine = np.round(rng.normal(0, 50, ROWS)), rng.normal(0, 50, ROWS)
        fine = fine if decimals is None else np.round(fine, decimals)
        columns[name] = np.where(fraud, fine, plain)
    return dataset(columns, fraud)


@pytest.mark.parametrize("decimals", [2, None])
def test_a_class_that_is_measured_finer_is_a_remark(decimals: int | None) -> None:
    rng = np.random.default_rng(0)
    found = after_a_cut(measured(rng, rng.random(ROWS) < 0.1, decimals), rng)
    assert found.is_clean
    assert "may be measured finer" in found.remarks[0]


def test_rows_interpolated_between_coarse_ones_are_refused() -> None:
    rng = np.random.default_rng(0)
    fraud = np.arange(ROWS) < 100
    data = measured(rng, fraud, 0)
    one, other = (np.column_stack([data.values(n)[:100] for n in "ab"]) for _ in range(2))
    pick, partner, part = rng.integers(0, 100, 800), rng.integers(0, 100, 800), rng.random((800, 1))
    points = one[pick] + part * (other[partner] - one[pick])
    made = dataset({"a": points[:, 0], "b": points[:, 1]}, np.ones(800, dtype=bool))
    found = after_a_cut(Dataset.concat([data, made]), rng)
    assert "interpolated" in {leak.kind for leak in found.leaks}


def test_shuffles_break_the_repeats_of_multiplied_rows_and_keep_natural_ones() -> None:
    rng = np.random.default_rng(0)
    nothing = np.zeros(0, dtype=np.uint64)
    held = rng.random(1_000) < 0.3
    free = {
        "x": rng.integers(0, 5, 1_000).astype(np.uint64) << np.uint64(8),
        "y": rng.integers(0, 9, 1_000).astype(np.uint64),
    }
    assert simulate_copy_share(free, held, nothing, rng) == 1.0
    pick = rng.integers(0, 100, 1_000)
    copied = {
        "x": rng.integers(0, 1 << 20, 100).astype(np.uint64)[pick] << np.uint64(8),
        "y": rng.integers(0, 24, 100).astype(np.uint64)[pick],
    }
    assert simulate_copy_share(copied, held, nothing, rng) < 0.15


def test_few_rows_by_hand() -> None:
    thrice = np.tile(np.arange(12, dtype=np.uint64), 3)
    assert has_few_rows({"a": thrice, "b": thrice * np.uint64(10)})
    three = {"a": thrice, "b": thrice * np.uint64(10), "c": thrice * np.uint64(100)}
    assert not has_few_rows(three)
    assert has_few_rows({name: cell[thrice < 11] for name, cell in three.items()})
    assert has_few_rows({**three, "c": thrice // np.uint64(2)})
    many = np.tile(np.arange(51, dtype=np.uint64), 2)
    assert not has_few_rows({"a": many})


def coded_people(seed: int, n: int) -> dict[str, np.ndarray]:
    """Return columns that depend on each other: many frequent rows, each of them natural, and rare ones."""
    rng = np.random.default_rng(seed)
    kind = np.minimum(rng.pareto(1.0, n), 3_000).astype(int)
    return {name: (kind * factor) % 3_001 for name, factor in zip("abcd", (1, 7, 11, 13))} | {
        "e": rng.integers(0, 2, n)
    }


@pytest.mark.parametrize("method", ["drawn with replacement", "added once more", "natural"])
def test_multiplied_rows_are_refused_and_frequent_rows_pass(method: str) -> None:
    columns = coded_people(0, 1_000)
    rng = np.random.default_rng(1)
    rows = {
        "drawn with replacement": rng.integers(0, 1_000, 1_000),
        "added once more": rng.permutation(np.append(np.arange(1_000), np.arange(250))),
        "natural": rng.permutation(1_000),
    }[method]
    if method != "natural":
        columns |= {name: rng.integers(10_000, 10**7, 1_000) for name in ("weight", "fee")}
    data = Dataset.from_arrow(pa.table({name: values[rows] for name, values in columns.items()}))
    half = len(rows) // 2
    found = find_leakage(data.slice(0, half), data.slice(half, half))
    assert [leak.kind for leak in found.leaks] == ["oversampled"] * (method != "natural")


def test_prices_that_sell_often_are_no_multiplied_rows() -> None:
    """Each price has its count: the rows repeat as often as prices do, rare prices as often as others."""
    price = np.random.default_rng(8).integers(0, 600, 2_000)
    data = Dataset.from_arrow(pa.table({"count": price % 9, "price": price * 10}))
    assert find_leakage(data.slice(0, 1_000), data.slice(1_000, 1_000)).is_clean
