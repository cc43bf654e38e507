"""Speed and memory of our samplers beside imbalanced-learn's: whole frames in and out, in one run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import imblearn.over_sampling
import numpy as np
import pandas as pd

from benchmarks.markdown import table
from benchmarks.runner import Row, Settings, cpu_seconds, crossed, load_yaml, memory_mb
from twinset.sklearn import SMOTE, BorderlineSMOTE

LEVELS = (2, 3, 5, 8, 12, 30, 100, 200)  # of the 8 categories of a mixed frame
COLUMNS = 30
TOUCHED_BYTES = 4 * 2**30  # more than any call needs; a first touch costs more than SMOTE does


class SpeedCase(NamedTuple):
    """One call of both libraries."""

    title: str
    rows: int  # rows that go in
    is_mixed: bool  # 8 of the 30 columns are categories (a pandas frame), or all floats (an array)
    ours: str  # "smote", or a setting of danger of Borderline
    theirs: str = ""  # class of imbalanced-learn; "" where its memory would not fit the machine
    cpu_goal: int = 0  # how many times less ours should take; 0 without a goal
    memory_goal: int = 0


CASES = {name: SpeedCase(**how) for name, how in load_yaml(__file__, "speed.yaml").items()}


def jobs(options: Settings) -> list[Row]:
    """Return the calls; every one has a process of its own."""
    cases = CASES if options.cases == ["all"] else options.cases
    found = crossed(case=cases, repeat=range(options.repeats), library=("ours", "theirs"))
    return [job for job in found if getattr(CASES[job["case"]], job["library"])]


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
    for key, one in CASES.items():
        if any(row["case"] == key for row in found):
            cells = [one.title]
            for name, forms, goal in (("cpu", (".3f", ".2f"), one.cpu_goal),
                                      ("megabytes", (",.0f", ",.0f"), one.memory_goal)):  # fmt: skip
                ours, theirs = (_median(found, key, of, name) for of in ("ours", "theirs"))
                pair = zip((ours, theirs), forms)
                cells += [
                    "not run" if value is None else format(value, form) for value, form in pair
                ]
                cells.append(f"1 / {theirs / ours:,.1f}" if ours and theirs else "")
                cells.append(f"1 / {goal}" if goal else "")
            rows.append(cells)
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
