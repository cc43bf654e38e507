"""Speed and memory of our samplers beside imbalanced-learn's: whole frames in and out, in one run.

    python -m benchmarks.minority.speed
    python -m benchmarks.minority.speed --cases smote-100k --repeats 1 --out elsewhere

Each call of `fit_resample` has a process of its own. Results: SPEED.md and speed.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import imblearn.over_sampling
import numpy as np
import pandas as pd

from benchmarks.markdown import listed, table, write_page
from benchmarks.results import environment, write_json
from benchmarks.timing import cpu_seconds, in_own_process, memory_mb, touch_memory
from twinset.sklearn import SMOTE, BorderlineSMOTE

HERE = Path(__file__).parent
LEVELS = (2, 3, 5, 8, 12, 30, 100, 200)  # of the 8 categories of a mixed frame
COLUMNS = 30
TOUCHED_BYTES = 4 * 2**30  # more than any call needs; a first touch costs more than SMOTE does
LIBRARIES = ("ours", "theirs")


@dataclass(frozen=True)
class SpeedCase:
    """One call of both libraries.

    Parameters
    ----------
    title : str
        Name in the table.
    rows : int
        Rows that go in.
    is_mixed : bool
        Whether 8 of the 30 columns are categories (a pandas frame), or all are floats (an array).
    ours, theirs : str
        Ours: "smote", or a setting of danger of Borderline; theirs: a class of imbalanced-learn, ""
        where its memory would not fit the machine.
    cpu_goal, memory_goal : float or None
        Largest wanted ratio of ours to theirs.
    """

    title: str
    rows: int
    is_mixed: bool
    ours: str
    theirs: str
    cpu_goal: float | None
    memory_goal: float | None = None


M = 1_000_000
CASES = {
    "smotenc-100k": SpeedCase("SMOTENC 100k", 100_000, True, "smote", "SMOTENC", 1 / 100, 1 / 10),
    "smote-100k": SpeedCase("SMOTE 100k", 100_000, False, "smote", "SMOTE", None),
    "smote-1m": SpeedCase("SMOTE 1M", M, False, "smote", "SMOTE", 1 / 5),
    "border-1m": SpeedCase("Borderline 1M, exact", M, False, "exact", "BorderlineSMOTE", 1 / 2),
    "sampled-1m": SpeedCase(
        "Borderline 1M, sampled", M, False, "sampled", "BorderlineSMOTE", 1 / 10
    ),
    "smotenc-1m": SpeedCase("SMOTENC 1M", M, True, "smote", "", None),
}


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


def measure(rows: int, is_mixed: bool, name: str) -> dict[str, Any]:
    """Return CPU seconds and peak memory of one call, in this process."""
    x, y = overlapping_classes(rows, is_mixed)
    # A small call comes first, so that imports do not count.
    small = np.concatenate([np.flatnonzero(y == 1)[:40], np.flatnonzero(y == 0)[:400]])
    sampler(name, is_mixed).fit_resample(x.iloc[small] if is_mixed else x[small], y[small])
    chosen, made = sampler(name, is_mixed), []
    touch_memory(TOUCHED_BYTES)
    before = memory_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # starts the peak again
    seconds = cpu_seconds(lambda: made.extend(chosen.fit_resample(x, y)))
    peak = memory_mb("VmHWM")
    assert len(made[0]) == len(made[1]) == 2 * int((y == 0).sum())
    found: dict[str, Any] = {"cpu": seconds, "megabytes": peak - before, "held": peak}
    found["rows"] = len(made[1])
    if name in ("exact", "sampled"):
        found["seeds"] = np.unique(chosen.parents_[:, 0]).tolist()
    return found


def run(one: SpeedCase, repeats: int) -> dict[str, list[dict[str, Any]]]:
    """Return the figures of one call, one entry a repeat, ours and theirs in turn."""
    found_by: dict[str, list[dict[str, Any]]] = {library: [] for library in LIBRARIES}
    for _ in range(repeats):
        for library in LIBRARIES:
            if name := getattr(one, library):
                job = json.dumps([one.rows, one.is_mixed, name])
                found_by[library].append(in_own_process("benchmarks.minority.speed", "--one", job))
                print(
                    f"{one.title} {library}: {found_by[library][-1]['cpu']:.3f} s", file=sys.stderr
                )
    return found_by


def blocks(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the blocks of SPEED.md."""
    rows = []
    for key, found_by in found.items():
        one = CASES[key]
        cpu, size = (
            [_median(found_by[library], name) for library in LIBRARIES]
            for name in ("cpu", "megabytes")
        )
        rows.append([
            one.title, _shown(cpu[0], ".3f"), _shown(cpu[1], ".2f"), _ratio(cpu),
            _goal(one.cpu_goal), *(_shown(value, ",.0f") for value in size), _ratio(size),
            _goal(one.memory_goal),
        ])  # fmt: skip
    head = ["case", "ours CPU s", "theirs", "ours : theirs", "goal", "ours MB", "theirs", "ratio",
            "goal"]  # fmt: skip
    return {"cases": table(head, rows), "remarks": "\n\n".join(_remarks(found))}


def _remarks(found: Mapping[str, Any]) -> list[str]:
    remarks = []
    if "smotenc-1m" in found:
        most = _median(found["smotenc-1m"]["ours"], "held")
        line = f"SMOTENC at 1M rows x 30 mixed columns holds at most {most:,.0f} MB, data included"
        theirs = _median(found.get("smotenc-100k", {}).get("theirs", []), "megabytes")
        if theirs is not None:
            line += f"; theirs was not run: ten times its 100k figure is {theirs / 100:,.0f} GB"
        remarks.append(f"{line}.")
    if "border-1m" in found and "sampled-1m" in found:
        exact, sampled = (
            set(found[key]["ours"][0]["seeds"]) for key in ("border-1m", "sampled-1m")
        )
        both = len(exact & sampled)
        remarks.append(
            f"Rows in danger: {len(exact):,} by the exact test; the sampled one finds "
            f"{both / len(exact):.1%} of them, and {both / len(sampled):.1%} of those it names are."
        )
    return remarks


def _median(runs: Sequence[Mapping[str, Any]], name: str) -> float | None:
    return median(run[name] for run in runs) if runs else None


def _shown(value: float | None, form: str) -> str:
    return "not run" if value is None else format(value, form)


def _ratio(pair: Sequence[float | None]) -> str:
    ours, theirs = pair
    return "" if not ours or not theirs else f"1 / {theirs / ours:,.1f}"


def _goal(goal: float | None) -> str:
    return "" if goal is None else f"1 / {1 / goal:.0f}"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--repeats", type=int, default=3, help="the medians are of as many runs")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the results")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page again")
    parser.add_argument("--one", help="[rows, is_mixed, sampler]: one call in this process")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*json.loads(options.one))))
        return
    store = options.out / "speed.json"
    known = json.loads((store if store.exists() else HERE / "speed.json").read_text())["runs"]
    if options.page:
        write_page(options.out / "SPEED.md", blocks(known), HERE / "SPEED.md")
        return
    for key in options.cases:
        known[key] = run(CASES[key], options.repeats)
        ordered = {key: known[key] for key in CASES if key in known}
        facts = environment("imbalanced-learn")
        cases = {key: asdict(CASES[key]) for key in ordered}
        write_json(store, {"facts": facts, "cases": cases, "runs": ordered})
        page = {"environment": listed(facts), **blocks(ordered)}
        write_page(options.out / "SPEED.md", page, HERE / "SPEED.md")


if __name__ == "__main__":
    main()
