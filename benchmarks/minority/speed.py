"""Speed and memory of our samplers beside imbalanced-learn's: whole frames in and out, in one run.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.minority.speed

Two overlapping crowds that six hidden numbers make, 30 columns, 0.5 % rare, brought to 1:1. Each call
of `fit_resample` has a process of its own; a small call goes before it, so that imports do not count.
4 GB of memory are touched and given back before, too: on a virtual machine the first touch costs more
than SMOTE does. CPU seconds of the process; peak of its memory above what it held with the data
loaded. Medians of up to three runs, ours and theirs in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
REPEATS = 3
LEVELS = (2, 3, 5, 8, 12, 30, 100, 200)
COLUMNS = 30
_TOUCHED_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Case:
    """One call that both sides answer.

    Parameters
    ----------
    title : str
        What it is, for the table.
    rows : int
        Rows that go in.
    is_mixed : bool
        Whether 8 of the 30 columns are categories (a pandas frame), or all are floats (an array).
    ours, theirs : str
        Samplers, a key of `SAMPLERS`; no theirs where imbalanced-learn would not fit the machine.
    cpu_goal, memory_goal : float or None
        Largest ratio of ours to theirs that the project wants.
    """

    title: str
    rows: int
    is_mixed: bool
    ours: str
    theirs: str
    cpu_goal: float | None
    memory_goal: float | None = None


CASES = {
    "smotenc-100k": Case("SMOTENC 100k", 100_000, True, "smote", "SMOTENC", 1 / 100, 1 / 10),
    "smote-100k": Case("SMOTE 100k", 100_000, False, "smote", "SMOTE", None),
    "smote-1m": Case("SMOTE 1M", 1_000_000, False, "smote", "SMOTE", 1 / 5),
    "border-1m": Case("Borderline 1M, exact", 1_000_000, False, "exact", "BorderlineSMOTE", 1 / 2),
    "sampled-1m": Case(
        "Borderline 1M, sampled", 1_000_000, False, "sampled", "BorderlineSMOTE", 1 / 10
    ),
    "smotenc-1m": Case("SMOTENC 1M", 1_000_000, True, "smote", "", None),
}


def table(rows: int, is_mixed: bool) -> tuple[Any, np.ndarray]:
    """Return rows and labels; 0.5 % of the labels are 1."""
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
        from twinset.sklearn import SMOTE

        return SMOTE(random_state=0)
    if name in ("exact", "sampled"):
        from twinset.sklearn import BorderlineSMOTE

        return BorderlineSMOTE(random_state=0, danger=name)
    import imblearn.over_sampling

    more = {"categorical_features": list(range(COLUMNS - len(LEVELS), COLUMNS))} if is_mixed else {}
    return getattr(imblearn.over_sampling, name)(random_state=0, **more)


def measure(rows: int, is_mixed: bool, name: str) -> dict[str, Any]:
    """Return CPU seconds and peak memory of one call, in this process."""
    x, y = table(rows, is_mixed)
    small = np.concatenate([np.flatnonzero(y == 1)[:40], np.flatnonzero(y == 0)[:400]])
    sampler(name, is_mixed).fit_resample(x.iloc[small] if is_mixed else x[small], y[small])
    chosen = sampler(name, is_mixed)
    _touch_memory()
    before, rewind = _memory("VmRSS"), Path("/proc/self/clear_refs")
    rewind.write_text("5")
    start = _cpu()
    x_new, y_new = chosen.fit_resample(x, y)
    seconds = _cpu() - start
    found: dict[str, Any] = {
        "cpu": seconds,
        "megabytes": (_memory("VmHWM") - before) / 1024,
        "held": _memory("VmHWM") / 1024,
        "rows": len(y_new),
    }
    assert len(x_new) == len(y_new) == 2 * int((y == 0).sum())
    parents = getattr(chosen, "parents_", None)
    if parents is not None and name in ("exact", "sampled"):
        found["seeds"] = np.unique(parents[:, 0]).tolist()
    return found


def run(cases: dict[str, Case], repeats: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return the figures of all cases: lists, one entry a repeat."""
    found: dict[str, Any] = {}
    for key, case in cases.items():
        sides: dict[str, list[dict[str, Any]]] = {"ours": [], "theirs": []}
        for _ in range(repeats):
            for side in ("ours", "theirs"):
                name = getattr(case, side)
                if name:
                    sides[side].append(_in_a_process(case, name))
                    tell(f"{key} {side}: {sides[side][-1]['cpu']:.3f} s")
        found[key] = sides
    return found


def facts() -> dict[str, str]:
    """Return what the figures were made with."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
    names = ("numpy", "pandas", "pyarrow", "scikit-learn", "imbalanced-learn")
    said = {"processor": f"{model}, {os.cpu_count()} cores seen, one thread used"}
    said |= {"Python": platform.python_version()} | {name: version(name) for name in names}
    return said


def markdown(found: dict[str, Any], said: dict[str, str]) -> str:
    """Return the page of the figures."""
    lines = ["# Samplers: speed and memory beside imbalanced-learn", ""]
    lines += [__doc__.split("\n\n")[2].replace("\n", " "), ""]
    lines += [", ".join(f"{name} {what}" for name, what in said.items()) + ".", ""]
    lines.append(
        "| case | ours CPU s | theirs | ours : theirs | goal | ours MB | theirs | ratio | goal |"
    )
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for key, sides in found.items():
        lines.append(_row(CASES[key], sides))
    lines += ["", *_remarks(found)]
    return "\n".join(lines) + "\n"


def _row(case: Case, sides: dict[str, list[dict[str, Any]]]) -> str:
    cpu, theirs_cpu = (_median(sides[side], "cpu") for side in ("ours", "theirs"))
    size, theirs_size = (_median(sides[side], "megabytes") for side in ("ours", "theirs"))
    cells = [
        case.title,
        f"{cpu:.3f}",
        _shown(theirs_cpu, ".2f"),
        _ratio(cpu, theirs_cpu),
        _goal(case.cpu_goal),
        f"{size:,.0f}",
        _shown(theirs_size, ",.0f"),
        _ratio(size, theirs_size),
        _goal(case.memory_goal),
    ]
    return "| " + " | ".join(cells) + " |"


def _remarks(found: dict[str, Any]) -> list[str]:
    said = []
    if "smotenc-1m" in found:
        held = _median(found["smotenc-1m"]["ours"], "held")
        line = f"SMOTENC at 1M rows x 30 mixed columns holds at most {held:,.0f} MB, data included"
        theirs = _median(found.get("smotenc-100k", {}).get("theirs", []), "megabytes")
        if theirs is not None:
            line += (
                f"; theirs was not run: ten times its 100k figure is {10 * theirs / 1000:,.0f} GB"
            )
        said += [line + ".", ""]
    if "smote-1m" in found:
        said += [_ON_WRITING, ""]
    seeds = [found[key]["ours"] for key in ("border-1m", "sampled-1m") if key in found]
    if len(seeds) == 2:
        exact, sampled = (set(runs[0]["seeds"]) for runs in seeds)
        both = len(exact & sampled)
        said.append(
            f"Rows in danger: {len(exact):,} by the exact test; the sampled one finds "
            f"{both / len(exact):.1%} of them, and {both / len(sampled):.1%} of those it names are."
        )
    return said


_ON_WRITING = (
    "SMOTE of plain numbers gains nothing: at 1M rows both sides mostly write 478 MB of output, and at "
    "100k ours is slower, because it looks for rules (about 0.03 s). A fifth of theirs is out of reach "
    "with whole arrays in and out. The machine was shared: single runs differ by a fifth."
)


def _median(runs: list[dict[str, Any]], name: str) -> float | None:
    return statistics.median(run[name] for run in runs) if runs else None


def _shown(value: float | None, form: str) -> str:
    return "not run" if value is None else format(value, form)


def _ratio(ours: float | None, theirs: float | None) -> str:
    return "" if not ours or not theirs else f"1 / {theirs / ours:,.1f}"


def _goal(goal: float | None) -> str:
    return "" if goal is None else f"1 / {1 / goal:.0f}"


def _in_a_process(case: Case, name: str) -> dict[str, Any]:
    job = json.dumps([case.rows, case.is_mixed, name])
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.minority.speed", "--one", job]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | threads
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _touch_memory() -> None:
    """Have a virtual machine get its memory from its host before the clock runs, not meanwhile."""
    room = np.empty(_TOUCHED_BYTES, dtype=np.uint8)
    room[::4096] = 1


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory(name: str) -> int:
    """Return a line of /proc/self/status, in kB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise SystemExit(f"this system does not tell {name}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.minority.speed", description=__doc__)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*json.loads(options.one))))
        return
    store = options.out / "speed.json"
    known = json.loads(store.read_text())["runs"] if store.exists() else {}
    for key in options.cases:
        case = {key: CASES[key]}
        known |= run(case, options.repeats, lambda said: print(said, file=sys.stderr, flush=True))
        ordered = {key: known[key] for key in CASES if key in known}
        cases = {key: asdict(CASES[key]) for key in ordered}
        page = {"facts": facts(), "cases": cases, "runs": ordered}
        store.write_text(json.dumps(page, indent=None) + "\n")
        (options.out / "SPEED.md").write_text(markdown(ordered, facts()))


if __name__ == "__main__":
    main()
