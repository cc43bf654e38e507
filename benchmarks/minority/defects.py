"""Which rules, types and promises samplers break: ours and imbalanced-learn's in one run.

    python -m benchmarks.minority.defects

writes DEFECTS.md beside this file.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import imblearn.over_sampling as theirs
import numpy as np

import twinset.sklearn as ours
from benchmarks.evaluation.versions import versions
from benchmarks.minority.defect_data import RARE, ruled, violations
from benchmarks.minority.dtype_cases import cases, labels, same_rows, type_of

Make = Callable[..., Any]
OUT = Path(__file__).with_name("DEFECTS.md")
SEEDS = range(5)
_REFUSALS = (TypeError, ValueError, RuntimeError, AttributeError, LookupError)
OURS: dict[str, Make] = {
    "SMOTE": ours.SMOTE,
    "Borderline": ours.BorderlineSMOTE,
    "ROSE": ours.ROSE,
    "copula": ours.CopulaSampler,
    "SMOTE, filtered": ours.FilteredSampler,
    "trees": ours.TreesSampler,
    "ADASYN through us": lambda **more: ours.ImblearnSampler("ADASYN", **more),
}
THEIRS: dict[str, Make] = {
    "SMOTE": theirs.SMOTE,
    "SMOTENC": lambda **more: theirs.SMOTENC([3, 4, 5, 6], **more),
    "Borderline": theirs.BorderlineSMOTE,
    "ADASYN": theirs.ADASYN,
    "smoothed ROS": lambda **more: theirs.RandomOverSampler(shrinkage=1.0, **more),
}


def broken(make: Make, *, with_dates: bool) -> dict[str, float] | str:
    """Return the share of new rows that break each rule, over all seeds, or the name of an error."""
    X, y = ruled(with_dates=with_dates)
    found = []
    for seed in SEEDS:
        try:
            made, _ = make(random_state=seed, sampling_strategy=0.8).fit_resample(X, y)
        except _REFUSALS as error:
            return type(error).__name__
        found.append(violations(made.iloc[len(X) :], X[y == 1]))
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}


def integer_bias(make: Make) -> tuple[float, float]:
    """Return by how much rounding moves the mean of an integer column, and its standard error.

    Against the same sampler with the same seed on the same column as free numbers.
    """
    rng = np.random.default_rng(0)
    n = rng.poisson(2.75, 4_000)
    X = np.column_stack([n, rng.normal(size=4_000), rng.normal(size=4_000)])
    y = np.repeat([0, 1], [3_600, 400])
    import pandas as pd

    whole = pd.DataFrame(X, columns=list("nab")).astype({"n": int})
    free = whole.assign(n=n + 1e-7 * rng.random(4_000))
    moved = []
    for seed in range(20):
        means = []
        for frame in (whole, free):
            sampler = make(random_state=seed, sampling_strategy={1: 100_400})
            made, _ = sampler.fit_resample(frame, y)
            means.append(made["n"].iloc[4_000:].mean())
        moved.append(means[0] / means[1] - 1)
    return float(np.mean(moved)), float(np.std(moved, ddof=1) / np.sqrt(len(moved)))


def takes(make: Make, table: Any) -> str:
    """Return "yes", or in a word why a table does not come back as it went in."""
    try:
        made, _ = make(random_state=0).fit_resample(table, labels())
    except _REFUSALS as error:
        return type(error).__name__
    if type_of(made) != type_of(table):
        return "other types"
    return "yes" if same_rows(made[: len(table)], table) else "real rows changed"


def promises(make: Make, **threads: Any) -> dict[str, str]:
    """Return which of order, prefix and thread invariance hold bit for bit."""
    X, y = ruled(with_dates=False)
    # Small unsigned integers alone make some of theirs fail.
    X = X[["net", "tax", "total", "age", "share"]]
    n = len(X)

    def new(frame: Any, target: Any, rows: int = 2_000, **more: Any) -> Any:
        sampler = make(random_state=1, sampling_strategy={1: RARE + rows}, **more)
        return sampler.fit_resample(frame, target)[0].iloc[n:].reset_index(drop=True)

    order = np.random.default_rng(5).permutation(n)
    first = new(X, y)
    told = {
        "order": first.equals(new(X.iloc[order].reset_index(drop=True), y[order])),
        "first n of 2 n": first.equals(new(X, y, 4_000).iloc[:2_000]),
    }
    said = {name: "yes" if holds else "no" for name, holds in told.items()}
    said["threads"] = ("yes" if first.equals(new(X, y, **threads)) else "no") if threads else "–"
    return said


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def rules_table() -> str:
    columns: dict[str, dict[str, float | str] | str] = {}
    for name, make in OURS.items():
        columns[f"ours: {name}"] = shares(make, broken(make, with_dates=True))
    for name, make in THEIRS.items():
        columns[f"theirs: {name}"] = shares(make, broken(make, with_dates=True))
    some = next(one for one in columns.values() if isinstance(one, dict))
    rows = []
    for rule in some:
        cells = [one if isinstance(one, str) else one.get(rule, "–") for one in columns.values()]
        rows.append([rule, *(c if isinstance(c, str) else f"{100 * c:.2f} %" for c in cells)])
    return table(["share of new rows in which", *columns], rows)


def shares(make: Make, found: dict[str, float] | str) -> dict[str, float | str] | str:
    """Return the shares; where a date column is refused, those without it and the error's name."""
    if not isinstance(found, str):
        return dict(found)
    undated = broken(make, with_dates=False)
    return undated if isinstance(undated, str) else {**undated, "date has a time of day": found}


def types_table() -> str:
    rows, good = [], [0, 0]
    for name, build in cases().items():
        mine = takes(ours.SMOTE, build())
        other = takes(theirs.SMOTE, build())
        if other != "yes":
            nominal = takes(lambda **more: theirs.SMOTENC("auto", **more), build())
            other = "yes (SMOTENC)" if nominal == "yes" else other
        good[0] += mine == "yes"
        good[1] += other.startswith("yes")
        rows.append([name, mine, other])
    rows.append(["**taken**", f"**{good[0]} of {len(rows)}**", f"**{good[1]} of {len(rows)}**"])
    return table(["case", "ours: SMOTE", "theirs: SMOTE, else SMOTENC('auto')"], rows)


def promises_table() -> str:
    rows = [[f"ours: {n}", *promises(m, n_jobs=4).values()] for n, m in list(OURS.items())[:6]]
    rows += [[f"theirs: {n}", *promises(m).values()] for n, m in THEIRS.items() if n != "SMOTENC"]
    return table(
        ["sampler", "row order changes nothing", "2 n begin with n", "4 threads as 1"], rows
    )


def bias_table() -> str:
    rows = []
    for side, makes in (("ours", OURS), ("theirs", THEIRS)):
        for name in ("SMOTE", "Borderline"):
            mean, error = integer_bias(makes[name])
            rows.append([f"{side}: {name}", f"{100 * mean:+.2f} %", f"{100 * error:.2f} %"])
    return table(["sampler", "mean moved by rounding", "standard error"], rows)


def main() -> None:
    warnings.simplefilter("ignore")
    known = versions() | {"imbalanced-learn": version("imbalanced-learn")}
    text = f"""# What samplers break

A made-up table of 4,000 rows, 200 of them rare, with the rules of everyday tables; {len(SEEDS)} seeds,
about 2,840 new rows each. Nothing is declared: ours finds the rules. SMOTENC is told which columns
are the one-hot group. An error's name stands where a table with a date column is refused.

Machine: 2 shared x86-64 cores. {", ".join(f"{name} {v}" for name, v in known.items())}.
Made by `python -m benchmarks.minority.defects`.

## Rules
{rules_table()}

## Mean of an integer column
Poisson numbers with mean 2.75; against the same seed on the same column as free numbers, 20 seeds of
100,000 new rows.

{bias_table()}

## Types
240 rows each. "yes": the same container, column types and index type come out, and the real rows
are in it as they were.

{types_table()}

## Promises
2,000 new rows, bit for bit.

{promises_table()}
"""
    OUT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
