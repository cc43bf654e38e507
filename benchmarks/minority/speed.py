"""Speed and memory of our samplers beside imbalanced-learn's: whole frames in and out, in one run.

    python -m benchmarks.minority.speed
    python -m benchmarks.minority.speed --cases smote-100k --repeats 1 --keep

Each call of `fit_resample` has a process of its own. Results: SPEED.md and speed.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import imblearn.over_sampling
import numpy as np
import pandas as pd

from benchmarks.markdown import table
from benchmarks.runner import Benchmark, Row, cpu_seconds, crossed, memory_mb
from twinset.sklearn import SMOTE, BorderlineSMOTE

HERE = Path(__file__).parent
LEVELS = (2, 3, 5, 8, 12, 30, 100, 200)  # of the 8 categories of a mixed frame
COLUMNS = 30
TOUCHED_BYTES = 4 * 2**30  # more than any call needs; a first touch costs more than SMOTE does
LIBRARIES = ("ours", "theirs")
FIGURES = ("cpu", "megabytes")


class SpeedCase(NamedTuple):
    """One call of both libraries."""

    title: str
    rows: int  # rows that go in
    is_mixed: bool  # 8 of the 30 columns are categories (a pandas frame), or all floats (an array)
    ours: str  # "smote", or a setting of danger of Borderline
    theirs: str  # class of imbalanced-learn; "" where its memory would not fit the machine
    cpu_goal: float | None  # largest wanted ratio of ours to theirs
    memory_goal: float | None = None


M = 1_000_000
CASES = {
    "smotenc-100k": SpeedCase("SMOTENC 100k", 100_000, True, "smote", "SMOTENC", 1 / 100, 1 / 10),
    "smote-100k": SpeedCase("SMOTE 100k", 100_000, False, "smote", "SMOTE", None),
    "smote-1m": SpeedCase("SMOTE 1M", M, False, "smote", "SMOTE", 1 / 5),
    "border-1m": SpeedCase("Borderline 1M, exact", M, False, "exact", "BorderlineSMOTE", 1 / 2),
    "sampled-1m": SpeedCase("Borderline 1M, sampled", M, False, "sampled", "BorderlineSMOTE", 1 / 10),
    "smotenc-1m": SpeedCase("SMOTENC 1M", M, True, "smote", "", None),
}  # fmt: skip


def overlapping_classes(rows: int, is_mixed: bool) -> tuple[Any, np.ndarray]:
    """Return rows that six hidden numbers make, and their labels, of which 0.5 % are 1."""
    rng = np.random.default_rng(0)
    n_rare = rows // 200
    mix = rng.normal(size=(6, COLUMNS))
    hidden = rng.normal(size=(rows, 6))
    hidden[:n_rare] = 0.6 * hidden[:n_rare] + 3 * np.eye(6)[0]
    x = hidden @ mix
    x += 0.5 * rng.normal(size=x.shape)
    order = rng.permutation(rows)
    x, y = x[order], (order < n_rare).astype(np.int64)
    if not is_mixed:
        return x, y
    n_numbers = COLUMNS - len(LEVELS)
    frame = pd.DataFrame(x[:, :n_numbers], columns=[f"x{i}" for i in range(n_numbers)])
    for i, levels in enumerate(LEVELS):
        codes = rng.integers(0, levels, rows)
        frame[f"c{i}"] = pd.Categorical.from_codes(codes, [f"v{j}" for j in range(levels)])
    return frame, y


def sampler(name: str, is_mixed: bool) -> Any:
    """Return a sampler of ours ("smote", "exact", "sampled") or of imbalanced-learn, by its class."""
    if name == "smote":
        return SMOTE(random_state=0)
    if name in ("exact", "sampled"):
        return BorderlineSMOTE(random_state=0, danger=name)
    more = {"categorical_features": list(range(COLUMNS - len(LEVELS), COLUMNS))} if is_mixed else {}
    return getattr(imblearn.over_sampling, name)(random_state=0, **more)


def resampled(rows: int, is_mixed: bool, name: str) -> dict[str, Any]:
    """Return CPU seconds and peak memory of one call, in this process."""
    x, y = overlapping_classes(rows, is_mixed)
    # A small call comes first, so that imports do not count.
    small = np.concatenate([np.flatnonzero(y == 1)[:40], np.flatnonzero(y == 0)[:400]])
    sampler(name, is_mixed).fit_resample(x.iloc[small] if is_mixed else x[small], y[small])
    chosen, made = sampler(name, is_mixed), []
    # A virtual machine fetches memory from its host before the clock runs, not meanwhile.
    np.empty(TOUCHED_BYTES, dtype=np.uint8)[::4096] = 1  # one byte a page
    before = memory_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # starts the peak again
    seconds = cpu_seconds(lambda: made.extend(chosen.fit_resample(x, y)))
    peak = memory_mb("VmHWM")
    assert len(made[0]) == len(made[1]) == 2 * int((y == 0).sum())
    found = {"cpu": seconds, "megabytes": peak - before, "held": peak, "rows": len(made[1])}
    if name in ("exact", "sampled"):
        return {**found, "seeds": np.unique(chosen.parents_[:, 0]).tolist()}
    return found


def measure(job: Row) -> Row:
    one = CASES[job["case"]]
    return {**job, **resampled(one.rows, one.is_mixed, getattr(one, job["library"]))}


def blocks(found: Sequence[Row]) -> dict[str, str]:
    rows = []
    for key in [key for key in CASES if any(row["case"] == key for row in found)]:
        one = CASES[key]
        cpu, size = ([_median(found, key, of, name) for of in LIBRARIES] for name in FIGURES)
        rows.append([
            one.title, _shown(cpu[0], ".3f"), _shown(cpu[1], ".2f"), _ratio(cpu),
            _goal(one.cpu_goal), *(_shown(value, ",.0f") for value in size), _ratio(size),
            _goal(one.memory_goal),
        ])  # fmt: skip
    head = ["case", "ours CPU s", "theirs", "ours : theirs", "goal", "ours MB", "theirs", "ratio",
            "goal"]  # fmt: skip
    return {"cases": table(head, rows), "remarks": "\n\n".join(_remarks(found))}


def _remarks(found: Sequence[Row]) -> list[str]:
    remarks = []
    if most := _median(found, "smotenc-1m", "ours", "held"):
        line = f"SMOTENC at 1M rows x 30 mixed columns holds at most {most:,.0f} MB, data included"
        if theirs := _median(found, "smotenc-100k", "theirs", "megabytes"):
            line += f"; theirs was not run: ten times its 100k figure is {theirs / 100:,.0f} GB"
        remarks.append(f"{line}.")
    seeds = {row["case"]: set(row["seeds"]) for row in reversed(found) if "seeds" in row}
    if {"border-1m", "sampled-1m"} <= set(seeds):
        exact, sampled = seeds["border-1m"], seeds["sampled-1m"]
        both = len(exact & sampled)
        remarks.append(
            f"Rows in danger: {len(exact):,} by the exact test; the sampled one finds "
            f"{both / len(exact):.1%} of them, and {both / len(sampled):.1%} of those it names are."
        )
    return remarks


def _median(found: Sequence[Row], key: str, library: str, name: str) -> float | None:
    own = [row[name] for row in found if (row["case"], row["library"]) == (key, library)]
    return median(own) if own else None


def _shown(value: float | None, form: str) -> str:
    return "not run" if value is None else format(value, form)


def _ratio(pair: Sequence[float | None]) -> str:
    ours, theirs = pair
    return "" if not ours or not theirs else f"1 / {theirs / ours:,.1f}"


def _goal(goal: float | None) -> str:
    return "" if goal is None else f"1 / {1 / goal:.0f}"


BENCHMARK = Benchmark(
    results=HERE / "speed.json",
    page=HERE / "SPEED.md",
    key=("case", "repeat", "library"),
    jobs=lambda options: [
        job
        for job in crossed(case=options.cases, repeat=range(options.repeats), library=LIBRARIES)
        if getattr(CASES[job["case"]], job["library"])
    ],
    measure=measure,
    blocks=blocks,
    settings={"cases": list(CASES), "repeats": 3},
    libraries=("imbalanced-learn",),
    fresh=True,
)

if __name__ == "__main__":
    BENCHMARK.run()
