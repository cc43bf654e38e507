"""Which rules, types and promises samplers break: ours and imbalanced-learn's in one run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import imblearn.over_sampling as theirs
import numpy as np
import pandas as pd

import twinset.sklearn as ours
from benchmarks.markdown import NOTHING, table
from benchmarks.minority.dtype_cases import cases, labels, same_rows, type_of
from benchmarks.runner import Row

Make = Callable[..., Any]
N, RARE = 4_000, 200
ONE_HOT = tuple(f"is_{i}" for i in range(4))
NUMBERS = ["net", "tax", "total", "start", "end", "items", "age", "share"]
SEEDS = range(5)
DATES = "date has a time of day"
REFUSALS = (TypeError, ValueError, RuntimeError, AttributeError, LookupError)
Table = tuple[list[str], list[list[str]]]  # heading and rows
OURS: dict[str, Make] = {
    "SMOTE": ours.SMOTE,
    "Borderline": ours.BorderlineSMOTE,
    "ROSE": ours.ROSE,
    "copula": ours.CopulaSampler,
    "SMOTE, filtered": ours.FilteredSampler,
    "trees": ours.TreesSampler,
    "ADASYN through us": partial(ours.ImblearnSampler, "ADASYN"),
}
THEIRS: dict[str, Make] = {
    "SMOTE": theirs.SMOTE,
    "SMOTENC": partial(theirs.SMOTENC, [3, 4, 5, 6]),
    "Borderline": theirs.BorderlineSMOTE,
    "ADASYN": theirs.ADASYN,
    "smoothed ROS": partial(theirs.RandomOverSampler, shrinkage=1.0),
}
BOTH = {f"ours: {n}": m for n, m in OURS.items()} | {f"theirs: {n}": m for n, m in THEIRS.items()}


def ruled(*, with_dates: bool = True, seed: int = 3) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a frame whose rows obey the rules of `violations`, and its labels, 200 of them rare."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1], [N - RARE, RARE])
    net = np.round(rng.gamma(2, 30 + 40 * y), 2)
    tax = np.round(net * rng.choice([0.07, 0.19], N), 2)
    kind = rng.integers(0, 4, N)
    start = rng.integers(0, 300, N)
    columns: dict[str, Any] = {"net": net, "tax": tax, "total": np.round(net + tax, 2)}
    columns |= {name: (kind == i).astype(np.uint8) for i, name in enumerate(ONE_HOT)}
    columns |= {"start": start, "end": start + rng.integers(0, 90, N)}
    columns |= {"items": rng.poisson(2.75, N), "age": rng.integers(18, 90, N).astype(float)}
    columns |= {"share": np.clip(rng.beta(0.5, 0.5, N), 0, 1)}
    if with_dates:
        days = pd.to_timedelta(rng.integers(0, 600, N), unit="D")
        columns["day"] = pd.Timestamp("2023-01-01") + days
    return pd.DataFrame(columns), y


def violations(new: pd.DataFrame, real: pd.DataFrame) -> dict[str, float]:
    """Return the share of new rows that break each rule; `real` are real rows of the class."""
    cents = new[["net", "tax", "total"]].to_numpy() * 100
    parts = new["net"].round(2) + new["tax"].round(2) - new["total"].round(2)
    low, high = real[NUMBERS].min(), real[NUMBERS].max()
    found = {
        "one-hot group does not add up to 1": new[list(ONE_HOT)].sum(axis=1) != 1,
        "integer in a float column is not whole": new["age"] % 1 != 0,
        "money has more than 2 decimals": np.abs(cents - np.round(cents)).max(axis=1) > 1e-4,
        "total is not the sum of its rounded parts": parts.abs() > 1e-6,
        "end before start": new["end"] < new["start"],
        "number outside the real range of the class": (
            (new[NUMBERS] < low - 1e-9) | (new[NUMBERS] > high + 1e-9)
        ).any(axis=1),
    }
    if "day" in new:
        found[DATES] = new["day"] != new["day"].dt.normalize()
    return {name: float(np.mean(mask)) for name, mask in found.items()}


def broken(make: Make, *, with_dates: bool = True) -> dict[str, Any]:
    """Return the share of new rows that break each rule; the error's name where a table is refused."""
    x, y = ruled(with_dates=with_dates)
    found = []
    for seed in SEEDS:
        try:
            new, _ = make(random_state=seed, sampling_strategy=0.8).fit_resample(x, y)
        except REFUSALS as error:
            name = type(error).__name__
            if not with_dates:
                return dict.fromkeys([*violations(x, x), DATES], name)
            rest = broken(make, with_dates=False)
            return {**rest, DATES: rest.get(DATES, name)}
        found.append(violations(new.iloc[len(x) :], x[y == 1]))
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}


def rules_table() -> Table:
    columns, rows = {name: broken(make) for name, make in BOTH.items()}, []
    for rule in next(iter(columns.values())):
        cells = [one[rule] for one in columns.values()]
        rows.append([rule, *(c if isinstance(c, str) else f"{100 * c:.2f} %" for c in cells)])
    return ["share of new rows in which", *columns], rows


def integer_bias(make: Make) -> tuple[float, float]:
    """Return by how much rounding moves the mean of an integer column, and its standard error."""
    rng = np.random.default_rng(0)
    n = rng.poisson(2.75, 4_000)
    x = np.column_stack([n, rng.normal(size=4_000), rng.normal(size=4_000)])
    y = np.repeat([0, 1], [3_600, 400])
    whole = pd.DataFrame(x, columns=list("nab")).astype({"n": int})
    free = whole.assign(n=n + 1e-7 * rng.random(4_000))
    moved = []
    for seed in range(20):
        sampler = make(random_state=seed, sampling_strategy={1: 100_400})
        means = [sampler.fit_resample(f, y)[0]["n"].iloc[4_000:].mean() for f in (whole, free)]
        moved.append(means[0] / means[1] - 1)
    return float(np.mean(moved)), float(np.std(moved, ddof=1) / np.sqrt(len(moved)))


def bias_table() -> Table:
    rows = []
    for name in ("ours: SMOTE", "ours: Borderline", "theirs: SMOTE", "theirs: Borderline"):
        mean, error = integer_bias(BOTH[name])
        rows.append([name, f"{100 * mean:+.2f} %", f"{100 * error:.2f} %"])
    return ["sampler", "mean moved by rounding", "standard error"], rows


def accepts(make: Make, data: Any) -> str:
    """Return "yes", or in a word why a table does not come back as it went in."""
    try:
        found, _ = make(random_state=0).fit_resample(data, labels())
    except REFUSALS as error:
        return type(error).__name__
    if type_of(found) != type_of(data):
        return "other types"
    return "yes" if same_rows(found[: len(data)], data) else "real rows changed"


def types_table() -> Table:
    rows = []
    for name, build in cases().items():
        mine, other = accepts(ours.SMOTE, build()), accepts(theirs.SMOTE, build())
        if other != "yes" and accepts(partial(theirs.SMOTENC, "auto"), build()) == "yes":
            other = "yes (SMOTENC)"
        rows.append([name, mine, other])
    good = [sum(row[i].startswith("yes") for row in rows) for i in (1, 2)]
    rows.append(["**taken**", *(f"**{n} of {len(rows)}**" for n in good)])
    return ["case", "ours: SMOTE", "theirs: SMOTE, else SMOTENC('auto')"], rows


def promises(make: Make, threads: int | None) -> list[str]:
    """Return which of order, prefix and thread invariance hold bit for bit."""
    x, y = ruled(with_dates=False)
    # Small unsigned integers alone make some of theirs fail.
    x = x[["net", "tax", "total", "age", "share"]]

    def new(frame: Any, target: np.ndarray, rows: int = 2_000, **more: Any) -> pd.DataFrame:
        sampler = make(random_state=1, sampling_strategy={1: RARE + rows}, **more)
        found = sampler.fit_resample(frame, target)[0]
        return pd.DataFrame(found).iloc[len(x) :].reset_index(drop=True)

    order = np.random.default_rng(5).permutation(len(x))
    first = new(x, y)
    others = [new(x.iloc[order].reset_index(drop=True), y[order]), new(x, y, 4_000).iloc[:2_000]]
    others += [new(x, y, n_jobs=threads)] if threads else []
    kept = ["yes" if first.equals(other) else "no" for other in others]
    return kept if threads else [*kept, NOTHING]


def promises_table() -> Table:
    rows = [[f"ours: {n}", *promises(m, 4)] for n, m in list(OURS.items())[:6]]
    rows += [[f"theirs: {n}", *promises(m, None)] for n, m in THEIRS.items() if n != "SMOTENC"]
    return ["sampler", "row order changes nothing", "2 n begin with n", "4 threads as 1"], rows


TABLES = {"rules": rules_table, "bias": bias_table, "types": types_table,
          "promises": promises_table}  # fmt: skip


def measure(job: Row) -> Row:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head, rows = TABLES[job["table"]]()
    return {**job, "head": head, "rows": rows}


def blocks(rows: Sequence[Row]) -> dict[str, str]:
    return {row["table"]: table(row["head"], row["rows"]) for row in rows}
