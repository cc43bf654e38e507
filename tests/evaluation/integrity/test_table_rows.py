"""Faults of a kind are found in every row and named; fresh real rows have none."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, ComparisonContext
from twinset.core.data.dataset import Dataset
from twinset.core.integrity import FaultKind, IntegrityFault, IntegrityFaults
from twinset.core.seeding import rng_for
from twinset.evaluation.integrity._checks import find_faults
from twinset.evaluation.integrity._columns import read_columns
from twinset.evaluation.integrity._combinations import combination_checks, order_checks
from twinset.evaluation.integrity.table_rows import TableRows
from twinset.measurement.harness import measure

N = 1500
Columns = dict[str, np.ndarray]
DAY = 86_400


def visits(seed: int, n: int = N) -> Columns:
    """Draw visits with a key, a code, times, an order, a sentinel and a total."""
    rng = rng_for(seed, "visits")
    low = rng.normal(80, 10, n).round()
    net, tax = rng.integers(100, 9000, n), rng.integers(1, 900, n)
    contacts = rng.poisson(1.0, n)
    seconds = 1_700_000_000 + rng.integers(0, 300 * DAY, n)
    return {
        "key": np.array([f"P-{seed:03d}{i:05d}" for i in range(n)]),
        "town": rng.choice(["Köln", "Bonn", "Trier"], n, p=[0.5, 0.3, 0.2]),
        "code": np.array([f"{a}{b:02d}.{c}" for a, b, c in zip(
            rng.choice(list("ABCDEF"), n), rng.integers(0, 90, n), rng.integers(0, 9, n))]),
        "age": np.clip(rng.normal(50, 15, n).round(), 18, None),
        "dbp": low,
        "sbp": low + 1 + rng.gamma(4, 10, n).round(),
        "price": np.exp(rng.normal(4, 1, n)).round(2),
        "net": net, "tax": tax, "total": net + tax,
        "contacts": contacts,
        "days": np.where(contacts == 0, -1, rng.integers(1, 400, n)),
        "at": (seconds * 1_000_000).astype("datetime64[us]"),
    }  # fmt: skip


def as_dataset(columns: Columns) -> Dataset:
    return Dataset.from_arrow(pa.table(columns))


@cache
def real() -> tuple[Dataset, Dataset]:
    return as_dataset(visits(1)), as_dataset(visits(2))


def faults_of(columns: Columns, places: np.ndarray | None = None) -> IntegrityFaults:
    train, holdout = real()
    synthetic = as_dataset(columns).with_schema(train.schema)
    context = ComparisonContext(places=places)
    comparison = Comparison(train, synthetic, holdout, context=context)
    found = TableRows().compute(comparison, rng_for(0, "test"))
    faults = found.finding(IntegrityFaults)
    assert faults is not None
    assert found.value == faults.n_faulty / faults.n_synthetic
    return faults


def changed(name: str, change: Callable[[np.ndarray], object], share: float) -> Columns:
    """Return fresh rows with some cells of a column changed."""
    columns = visits(3)
    hit = rng_for(7, name).random(N) < share
    values = columns[name].astype("<U40") if columns[name].dtype.kind == "U" else columns[name]
    new = np.asarray(change(values[hit]))
    columns[name] = values.astype(np.result_type(values, new))
    columns[name][hit] = new
    return columns


def minutes(times: np.ndarray) -> np.ndarray:
    return times.astype("datetime64[m]").astype("datetime64[us]")


def midnight(times: np.ndarray) -> np.ndarray:
    return times.astype("datetime64[D]").astype("datetime64[us]")


SPELT = {FaultKind.SPELLING, FaultKind.LEVEL, FaultKind.FORMAT}
JOINT = {FaultKind.RULE, FaultKind.REPEATED_VALUE, FaultKind.COMBINATION}
PLANTED = {
    "impossible ages": ("age", lambda v: 0 * v, 0.01, {FaultKind.RANGE}),
    "beyond": ("age", lambda v: v + 120, 0.005, {FaultKind.RANGE}),
    "negative": ("price", lambda v: -v, 0.01, {FaultKind.RANGE}),
    "another case": ("town", np.char.upper, 0.01, SPELT),
    "blanks": ("town", lambda v: np.char.add(v, " "), 0.01, SPELT),
    "accents": ("town", lambda v: np.char.replace(v, "ö", "o"), 0.04, SPELT),
    "unknown": ("town", lambda v: np.full(len(v), "Mainz"), 0.01, {FaultKind.LEVEL}),
    "form": ("code", lambda v: np.char.replace(v, ".", ""), 0.01, {FaultKind.FORMAT}),
    "cents": ("price", lambda v: v + 0.005, 0.02, {FaultKind.PRECISION}),
    "whole": ("price", np.round, 0.05, {FaultKind.ROUNDING}),
    "multiples of five": ("age", lambda v: 5 * np.round(v / 5), 0.3, {FaultKind.ROUNDING}),
    "one value": ("price", lambda v: np.full(len(v), 49.99), 0.02, {FaultKind.REPEATED_VALUE}),
    "times fifty": ("net", lambda v: v * 50, 0.005, {FaultKind.RANGE}),
    "midnight": ("at", midnight, 0.03, {FaultKind.ROUNDING}),
    "full minutes": ("at", minutes, 0.2, {FaultKind.ROUNDING}),
    "order": ("sbp", lambda v: 0 * v + 62, 0.02, JOINT),
    "sum": ("total", lambda v: v + 10, 0.01, {FaultKind.RULE}),
    "sentinel": ("days", lambda v: 0 * v - 1, 0.03, {FaultKind.COMBINATION}),
    "keys": ("key", lambda v: np.full(len(v), "P-00300001"), 0.004, {FaultKind.REPEATED_KEY}),
}  # fmt: skip
"""Fault -> its column, the change of a share of rows, and the kinds that name it."""


@pytest.mark.parametrize("name", PLANTED)
def test_a_fault_is_found_and_its_column_named_first(name: str) -> None:
    column, change, share, kinds = PLANTED[name]
    found = faults_of(changed(column, change, share))
    assert found.faults, name
    first = found.faults[0]
    assert column in first.columns
    assert first.kind in kinds
    assert first.n_real in (0, None) or FaultKind.ROUNDING in kinds


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_fresh_real_rows_have_no_fault(seed: int) -> None:
    found = faults_of(visits(seed))
    assert found.faults == ()
    assert found.n_checks > 50


def test_repeated_and_nearly_repeated_rows_are_counted() -> None:
    columns = visits(3)
    columns["key"] = visits(4)["key"]
    twice = {name: np.concatenate([values[:-60], values[:60]]) for name, values in columns.items()}
    twice["key"] = columns["key"]
    (fault,) = faults_of(twice).faults
    assert (fault.kind, fault.n_synthetic) == (FaultKind.REPEATED_ROW, 60)
    assert fault.rows == (1441, 1442, 1443, 1444, 1445)
    twice["price"] = np.concatenate([columns["price"][:-60], columns["price"][:60] + 1])
    (fault,) = faults_of(twice).faults
    assert (fault.kind, fault.columns) == (FaultKind.NEAR_REPEATED_ROW, ("price",))
    once = {
        name: np.where(np.arange(N) < 20, values[0], values) for name, values in columns.items()
    }
    once["key"] = columns["key"]
    assert faults_of(once).faults[0].kind == FaultKind.REPEATED_ROW


def test_missing_cells_of_a_column_that_never_lacks_any() -> None:
    columns = visits(3)
    columns["age"][:15] = np.nan
    (fault,) = faults_of(columns).faults
    assert (fault.kind, fault.columns, fault.rows[0]) == (FaultKind.MISSING, ("age",), 1)


def test_rows_are_numbered_in_the_set_that_was_given() -> None:
    columns = changed("age", lambda v: v + 120, 0.01)
    places = np.arange(N) * 2
    plain, placed = faults_of(columns).faults[0], faults_of(columns, places).faults[0]
    assert placed.rows == tuple(2 * (row - 1) + 1 for row in plain.rows)


def test_drift_between_train_and_holdout_is_no_fault() -> None:
    """What the candidate shares with train is not its fault, though the holdout lacks it."""
    early = visits(1) | {
        "town": np.where(rng_for(1, "t").random(N) < 0.03, "Mainz", visits(1)["town"])
    }
    like = visits(3) | {
        "town": np.where(rng_for(2, "t").random(N) < 0.03, "Mainz", visits(3)["town"])
    }
    train = as_dataset(early)
    comparison = Comparison(train, as_dataset(like), as_dataset(visits(2)))
    assert TableRows().compute(comparison, rng_for(0, "test")).value == 0.0


def test_every_synthetic_row_is_checked_and_the_whole_holdout() -> None:
    train, holdout = real()
    columns = {name: np.concatenate([visits(3)[name], visits(4)[name]]) for name in visits(3)}
    columns["age"][-6:] = 150
    made = as_dataset(columns).with_schema(train.schema)
    (score,) = measure(
        train=train,
        synthetic=made,
        holdout=holdout,
        metrics=[("integrity.table_rows", TableRows())],
    )
    faults = score.finding(IntegrityFaults)
    assert faults is not None
    assert (faults.n_synthetic, faults.n_real) == (2 * N, N)
    assert faults.faults[0].rows == tuple(range(2 * N - 5, 2 * N))
    assert score.verdict == "different"
    assert isinstance(faults.faults[0], IntegrityFault)


def test_without_a_holdout_a_half_of_train_takes_its_place() -> None:
    train, _ = real()
    made = as_dataset(changed("age", lambda v: v + 120, 0.01)).with_schema(train.schema)
    (score,) = measure(
        train=train, synthetic=made, holdout=None, metrics=[("integrity.table_rows", TableRows())]
    )
    faults = score.finding(IntegrityFaults)
    assert faults is not None
    assert faults.faults[0].columns == ("age",)
    assert faults.n_real == N // 2


def test_a_wide_table_is_checked_in_bounded_pairs() -> None:
    n, n_columns = 400, 300
    rng = np.random.default_rng(3)
    values = rng.integers(0, 4, (3 * n, n_columns)).astype(float)
    values[:, 7] = np.where(values[:, 2] == 1, 0.0, values[:, 7])  # never 1 and above 0 together
    values[:, 9] += values[:, 8]  # never below its left column
    values[2 * n : 2 * n + 40, [2, 7]] = 1.0, 3.0
    values[2 * n + 50 : 2 * n + 80, 9] = values[2 * n + 50 : 2 * n + 80, 8] - 1
    sets = [
        Dataset.from_arrow(pa.table({f"c{j}": part[:, j] for j in range(n_columns)}))
        for part in np.split(values, 3)
    ]
    columns = read_columns(Comparison(reference=sets[1], synthetic=sets[2], train=sets[0]))
    checks = [*combination_checks(columns), *order_checks(columns)]
    # Without a bound on the conditions it is 90,000 pairs; each column keeps its most frequent values.
    assert len(checks) < 4_000
    hit = {check.columns for check, _ in find_faults(checks, n)}
    assert {("c2", "c7"), ("c8", "c9")} <= hit
