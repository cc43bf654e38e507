"""The scan of slices names planted differences by slice and column, and nothing where there is none."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison
from twinset.core.data.dataset import Dataset
from twinset.core.differences import (
    DetectableDifferences,
    DifferenceKind,
    SliceDifference,
    SliceDifferences,
)
from twinset.core.seeding import rng_for
from twinset.evaluation.gap._scan_tests import _count_tests
from twinset.evaluation.gap.slice_scan import SliceScan
from twinset.measurement.harness import measure

Fault = Callable[[pd.DataFrame, np.random.Generator], None]


def draw_patients(n: int, seed: int) -> pd.DataFrame:
    """Return rows with linked numbers, two columns of levels, missing cells and a target."""
    rng = rng_for(seed, "patients")
    age = rng.normal(50, 12, n).round()
    height = rng.normal(170, 9, n).round(1)
    weight = (0.8 * (height - 100) + 0.2 * age + rng.normal(0, 8, n)).round(1)
    cholesterol = rng.choice(["normal", "raised", "high"], n, p=[0.7, 0.2, 0.1])
    risk = (age - 50) / 12 + (weight - 65) / 12 + (cholesterol == "high")
    ill = np.where(rng.random(n) < 1 / (1 + np.exp(-risk)), "ill", "well")
    sugar = np.where(rng.random(n) < 0.1, np.nan, (5 + 0.02 * age + rng.normal(0, 1, n)).round(2))
    return pd.DataFrame(
        {
            "age": age, "height": height, "weight": weight, "sugar": sugar,
            "cholesterol": cholesterol, "ward": rng.choice(list("abcd"), n), "ill": ill,
        }
    )  # fmt: skip


def to_dataset(frame: pd.DataFrame) -> Dataset:
    return Dataset.from_arrow(pa.Table.from_pandas(frame, preserve_index=False))


def scan(
    fault: Fault | None = None, seed: int = 1, n: int = 2_000, **settings: Any
) -> list[SliceDifference]:
    train, holdout, synthetic = (draw_patients(n, 10 * seed + k) for k in range(3))
    if fault is not None:
        fault(synthetic, rng_for(seed, "fault"))
    sets = Comparison(*map(to_dataset, (train, synthetic, holdout)), target="ill")
    found = SliceScan(**settings).compute(sets, rng_for(seed, "scan")).finding(SliceDifferences)
    assert found is not None
    return list(found.differences)


def shift_weight(rows: pd.DataFrame, rng: np.random.Generator) -> None:
    rows.loc[rows.cholesterol == "high", "weight"] *= 1.12


def older_if_ill(rows: pd.DataFrame, rng: np.random.Generator) -> None:
    rows.loc[rows.ill == "ill", "age"] += 4


def clip_tails(rows: pd.DataFrame, rng: np.random.Generator) -> None:
    rows["height"] = rows.height.clip(*rows.height.quantile([0.015, 0.985]).round(1))


def round_some(rows: pd.DataFrame, rng: np.random.Generator) -> None:
    some = rng.random(len(rows)) < 0.15
    rows.loc[some, "age"] = (rows.age[some] / 5).round() * 5


def swap_codes(rows: pd.DataFrame, rng: np.random.Generator) -> None:
    swapped = rows.cholesterol.map({"normal": "raised", "raised": "normal", "high": "high"})
    rows["cholesterol"] = rows.cholesterol.where(rng.random(len(rows)) >= 0.15, swapped)


def lose_cells(rows: pd.DataFrame, rng: np.random.Generator) -> None:
    rows.loc[(rows.ward == "b") & (rng.random(len(rows)) < 0.2), "sugar"] = np.nan


def unlink_weight(rows: pd.DataFrame, rng: np.random.Generator) -> None:
    some = np.flatnonzero(rows.ward == "c")
    rows.loc[some, "weight"] = rows.weight.to_numpy()[rng.permutation(some)]


FAULTS: dict[str, tuple[Fault, str, str, set[DifferenceKind]]] = {
    "mean in a level": (
        shift_weight, "weight", "cholesterol = high", {DifferenceKind.LOCATION},
    ),
    "mean in a class": (
        older_if_ill, "age", "ill = ill", {DifferenceKind.LOCATION},
    ),
    "tails": (clip_tails, "height", "", {DifferenceKind.TAIL}),
    "rounding": (round_some, "age", "", {DifferenceKind.ROUNDNESS}),
    "codes": (swap_codes, "cholesterol", "", {DifferenceKind.SHARE}),
    "missing cells": (
        lose_cells, "sugar", "ward = b", {DifferenceKind.MISSING},
    ),
    "dependence": (
        unlink_weight, "weight", "ward = c", {DifferenceKind.NOISE, DifferenceKind.DEPENDENCE},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_difference_is_named_first(name: str) -> None:
    fault, column, where, kinds = FAULTS[name]
    first = scan(fault)[0]
    assert column in first.columns
    assert first.slice == where
    assert first.kind in kinds


def test_size_of_a_shift_lies_in_its_interval_and_is_in_units_of_the_column() -> None:
    first = scan(shift_weight)[0]
    assert first.synthetic is not None
    assert first.real is not None
    assert first.synthetic / first.real == pytest.approx(1.12, abs=0.03)
    assert first.interval[0] < first.effect < first.interval[1]
    assert first.interval[0] > 0


def test_rows_between_two_real_rows_are_found_by_their_nearest_rows() -> None:
    def interpolate(rows: pd.DataFrame, rng: np.random.Generator) -> None:
        train = draw_patients(2_000, 10)
        some = np.flatnonzero(rng.random(len(rows)) < 0.12)
        parents = rng.integers(0, len(train), len(some))
        for name in ("age", "height", "weight"):
            step = rng.integers(-2, 3, len(some)) / (1 if name == "age" else 10)
            rows.loc[some, name] = train[name].to_numpy()[parents] + step
        for name in ("sugar", "cholesterol", "ward", "ill"):
            rows.loc[some, name] = train[name].to_numpy()[parents]

    assert DifferenceKind.DENSITY in {one.kind for one in scan(interpolate)}


def test_fresh_real_rows_differ_in_nothing() -> None:
    assert not any(scan(seed=seed, n=600, shuffles=10) for seed in range(3, 9))


def test_number_of_tests_is_that_of_independent_ones() -> None:
    largest = np.abs(rng_for(1, "z").normal(size=(400, 500))).max(axis=1)
    assert _count_tests(largest) / 1.3 == pytest.approx(500, rel=0.15)


def test_scan_needs_no_holdout_and_reports_what_it_could_have_found() -> None:
    train, synthetic = (to_dataset(draw_patients(900, seed)) for seed in (1, 2))
    (score,) = measure(
        train=train,
        synthetic=synthetic,
        holdout=None,
        metrics=[("gap.slice_scan", SliceScan(shuffles=5))],
    )
    assert score.verdict.value == "as good as real"
    least = score.finding(DetectableDifferences)
    assert least is not None
    assert (least.n_synthetic, least.n_real) == (900, 900)
    assert 0.1 < least.all_rows < least.fifth < least.twentieth
    assert least.twentieth == pytest.approx(2 * least.fifth)


def test_all_rows_of_both_sets_are_compared() -> None:
    train, holdout, synthetic = (to_dataset(draw_patients(n, n)) for n in (500, 400, 700))
    (score,) = measure(
        train=train, synthetic=synthetic, holdout=holdout,
        metrics=[("gap.slice_scan", SliceScan(shuffles=5))],
    )  # fmt: skip
    least = score.finding(DetectableDifferences)
    assert least is not None
    assert (least.n_synthetic, least.n_real) == (700, 900)
