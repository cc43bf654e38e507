"""Write RESULTS.md, results.json and the time-to-quality plot from the cached rows."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from . import tables
from .goals import goals
from .jobs import PEERS
from .plot import Point, time_to_quality
from .quoted import QUOTED, SOURCE
from .score import VERSION
from .sets import SETS
from .tables import Row

_READING = """\
How to read this. *Shape*, *Trend*, *C2ST*, *alpha-precision*, *beta-recall*, *MLE* and *DCR* are the
protocol of the published papers (`sets.py`, `protocol.py`, `detect.py`, `density.py`, `mle.py`,
`privacy.py` say exactly what); except MLE and DCR they compare with *train*, so that copying train is
rewarded there: *real.train* is a copy of train, *real.halves* what a fresh real sample of that size
would score. *Excess* is the error against the holdout less the error of train against the holdout: 0
is real, and copying gains nothing. The detector is gradient boosting, holdout rows against synthetic
rows, 0.5 = cannot tell. Membership is the upper 95 % bound of the stronger of two attacks on a
generator fitted to half of train. MLE is an AUC, for Beijing an RMSE (lower is better). `tabular.*`
are ours with their defaults: median over fit seeds, range in brackets; all others are one fit.
CPU seconds are those of the process and its children, fit and sample, libraries already imported;
they are what to compare. Wall seconds are a dash where the machine was busy with other work."""


def write(cache: Path, out: Path) -> None:
    """Write the three files into `out` from what `cache` holds."""
    rows = collect(cache)
    agreement = cache / "reference.json"
    found = json.loads(agreement.read_text()) if agreement.exists() else []
    about = {"machine": machine(), "versions": versions(rows), "scorer": VERSION}
    quoted = {"source": SOURCE, "rows": [row._asdict() for row in QUOTED]}
    content = about | {"rows": rows, "agreement": found, "quoted": quoted}
    (out / "results.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (out / "RESULTS.md").write_text(markdown(rows, found, about), encoding="utf-8")
    (out / "time_to_quality.svg").write_text(time_to_quality(_points(rows)), encoding="utf-8")


def collect(cache: Path) -> list[Row]:
    """Return the cached rows of this scorer version, in the order of sets, then methods, then seeds.

    Of one of our generators the rows made by the same source as the newest one are kept.
    """
    paths = sorted(cache.glob("*/*/*/row.json"), key=lambda path: path.stat().st_mtime)
    known = [json.loads(path.read_text()) for path in paths]
    rows = [row for row in known if row["version"] == VERSION]
    newest = {(row["set"], row["method"]): _source(row) for row in rows}
    rows = [row for row in rows if _source(row) == newest[row["set"], row["method"]]]
    order = {name: i for i, name in enumerate(SETS)}
    return sorted(
        rows,
        key=lambda r: (
            order.get(r["set"], 99),
            r["set"],
            _rank(r["method"]),
            r["method"],
            r["seed"],
        ),
    )


def markdown(
    rows: Sequence[Row], agreement: Sequence[dict[str, Any]], about: dict[str, Any]
) -> str:
    """Return the report as Markdown."""
    sets = [name for name in SETS if any(row["set"] == name for row in rows)]
    parts = ["# Tabular generators on the standard sets", _READING, _about(about)]
    reached = goals(rows)
    if reached:
        parts += ["## What `tabular.trees` had to reach", reached]
    parts += ["## Mean of the five sets", tables.over_sets(rows, tuple(SETS))]
    parts += ["![Detector AUC against CPU seconds](time_to_quality.svg)"]
    for name in sets:
        groups = tables.grouped([row for row in rows if row["set"] == name])
        parts += [
            f"## {name.capitalize()}",
            "As published:",
            tables.table(groups, tables.PUBLISHED),
        ]
        parts += ["Stricter:", tables.table(groups, tables.STRICTER)]
        parts += ["Worst column and pair:", tables.worst(groups)]
        parts += ["Cost:", tables.table(groups, tables.COSTS)]
    released = dict.fromkeys(row["set"] for row in rows if row["set"].startswith("released:"))
    if released:
        parts += ["## Tables that competitors released", _RELEASED]
    for name in released:
        groups = tables.grouped([row for row in rows if row["set"] == name])
        title = name.removeprefix("released:").capitalize()
        parts += [f"### {title}", tables.table(groups, tables.PUBLISHED)]
        parts += [tables.table(groups, tables.STRICTER)]
    parts += ["## Published figures, quoted, not run here", tables.quoted(tuple(SETS))]
    parts += ["## Agreement with SDMetrics 0.11.1", _agreement(agreement)]
    parts += ["## Not finished, not run", _unfinished(rows)]
    return "\n\n".join(parts) + "\n"


_RELEASED = (
    "Made by the products themselves and released with mostly-ai/paper-fidelity-accuracy "
    "(BSD-3-Clause) from one half of the real rows; the other half is the holdout. The files of 2023 "
    "were cut to the size of train. Product defaults of their time; MOSTLY AI of 2024 protects rare "
    "values, which costs Shape. One table each. DCR and membership take train as members and the "
    "holdout as control. The chain of `tabular.trees` is a relative of sequential CART (synthpop, "
    "Nowok, Raab and Dibben, J. Statist. Software 74, 2016), which found this road first."
)


def machine() -> dict[str, Any]:
    """Return what the machine is."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": names[0].partition(":")[2].strip() if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory, 1),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def versions(rows: Sequence[Row]) -> dict[str, dict[str, str]]:
    """Return the versions of the scorer's libraries and of each method's."""
    scorer = ("numpy", "pandas", "scipy", "scikit-learn", "xgboost")
    found = {"scorer": {name: _version(name) for name in scorer}}
    for row in rows:
        for costs in (row.get("costs") or {}).values():
            if "versions" in costs:
                found[row["method"]] = costs["versions"]
    return found


def _about(about: dict[str, Any]) -> str:
    m = about["machine"]
    lines = [
        f"Machine: {m['processor']}, {m['cores']} cores, {m['memory_gb']} GB, {m['system']}, "
        f"Python {m['python']}.",
        "",
        "| | versions |",
        "|---|---|",
    ]
    for name, packages in about["versions"].items():
        told = ", ".join(f"{p} {v}" for p, v in packages.items() if v != "absent")
        lines.append(f"| {name} | {told} |")
    return "\n".join(lines)


def _agreement(found: Sequence[dict[str, Any]]) -> str:
    if not found:
        return "Not checked in this run (`python -m benchmarks.tabular.reference adult,shoppers`)."
    lines = [
        "Ours beside the package itself on the same tables; the largest difference is over all "
        "columns and pairs. The folds of C2ST have no seed there: three runs of each.",
        "",
        "| set | synthetic | Shape % | theirs | Trend % | theirs | largest difference "
        "| C2ST | theirs |",
        "|---" * 9 + "|",
    ]
    for row in found:
        figures = [f"{100 * v:.4f}" for key in ("shape", "trend") for v in row[key]]
        gap = max(row["worst_column"], row["worst_pair"])
        folds = [", ".join(f"{v:.3f}" for v in row[key]) for key in ("c2st", "c2st_reference")]
        told = " | ".join([row["set"], row["synthetic"], *figures, f"{gap:.0e}", *folds])
        lines.append(f"| {told} |")
    return "\n".join(lines)


def _unfinished(rows: Sequence[Row]) -> str:
    lines = [
        f"- {row['method']} on {row['set']}, fit to {'all' if part == 'full' else 'half'} of train: "
        f"{costs['unfinished']}"
        for row in rows
        for part, costs in (row.get("costs") or {}).items()
        if "unfinished" in costs
    ]
    for name in SETS:
        ran = {row["method"] for row in rows if row["set"] == name}
        missing = [peer for peer in PEERS if peer not in ran]
        if missing:
            lines.append(f"- Not run on {name}: {', '.join(missing)}.")
    return "\n".join(lines) or "Everything finished."


def _points(rows: Sequence[Row]) -> list[Point]:
    points = []
    for name in SETS:
        own = [row for row in rows if row["set"] == name]
        for method, group in tables.grouped(own).items():
            seconds = tables.middle(group, tables.COSTS[2])
            auc = tables.middle(group, tables.Column("", tables.score("detector")))
            if seconds is not None and auc is not None:
                points.append(Point(name, method, seconds, auc, method.startswith("tabular.")))
    return points


def _rank(method: str) -> int:
    for i, beginning in enumerate(("real.", "tabular.trees", "tabular.", "minority.")):
        if method.startswith(beginning):
            return i
    return 9


def _source(row: Row) -> str:
    return str(((row.get("costs") or {}).get("full") or {}).get("source", ""))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
