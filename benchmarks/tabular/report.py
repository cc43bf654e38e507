"""Write RESULTS.md and results.json from the cached rows, and restore rows from results.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.markdown import bullets, listed, table, write_page
from benchmarks.results import Row, environment, versions, write_json
from benchmarks.tabular import tables
from benchmarks.tabular.jobs import HERE, PEERS, Method
from benchmarks.tabular.score import VERSION
from benchmarks.tabular.sets import SETS

RELEASED = ("released:adult", "released:shoppers")


def write(cache: Path, out: Path) -> None:
    """Write both files into `out` from the rows of `cache`."""
    rows = collect(cache)
    about = {"machine": environment(), "versions": _versions(rows), "scorer": VERSION}
    content = about | {"rows": rows, "quoted": tables.QUOTED}
    write_json(out / "results.json", content)
    write_page(out / "RESULTS.md", blocks(rows, about), HERE / "RESULTS.md")


def restore(results: Path, cache: Path) -> int:
    """Write the rows of `results` that `cache` lacks into the cache; return their number.

    Rows of another scorer version stay out. The synthetic tables themselves are not committed: a
    peer's restored row is final, a row of ours is measured again once its source has changed.
    """
    if not results.exists():
        return 0
    written = 0
    for row in json.loads(results.read_text(encoding="utf-8"))["rows"]:
        folder = cache / row["set"] / Method(row["method"]).folder / str(row["seed"])
        if row["version"] != VERSION or any(folder.glob("*.json")):
            continue
        folder.mkdir(parents=True, exist_ok=True)
        for part, costs in (row.get("costs") or {}).items():
            (folder / f"{part}.json").write_text(json.dumps(costs, indent=1))
        (folder / "row.json").write_text(json.dumps(row, indent=1))
        written += 1
    return written


def collect(cache: Path) -> list[Row]:
    """Return the cached rows of this scorer version, in the order of sets, then methods, then seeds.

    Of one of our generators the rows of the newest source are taken.
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
            order.get(r["set"], 99), r["set"], _rank(r["method"]), r["method"], r["seed"],
        ),
    )  # fmt: skip


def blocks(rows: Sequence[Row], about: dict[str, Any]) -> dict[str, str]:
    """Return the blocks of RESULTS.md."""
    found = {
        "environment": _about(about),
        "goals": tables.goals(rows),
        "means": tables.over_sets(rows),
        "quoted": tables.quoted(),
        "unfinished": _unfinished(rows),
    }
    for name in (*SETS, *RELEASED):
        own = [row for row in rows if row["set"] == name]
        parts = {
            "As published:": tables.method_table(own, tables.PUBLISHED),
            "Stricter:": tables.method_table(own, tables.STRICTER),
        }
        if name in SETS:
            parts["Worst column and pair:"] = tables.worst_table(own)
            parts["Cost:"] = tables.method_table(own, tables.COSTS)
        found[name] = "\n\n".join(f"{title}\n\n{text}" for title, text in parts.items())
    return found


def _versions(rows: Sequence[Row]) -> dict[str, dict[str, str]]:
    """Return the versions of the scorer's libraries and of each method's."""
    found = {"scorer": versions("numpy", "pandas", "scipy", "scikit-learn", "xgboost")}
    for row in rows:
        for costs in (row.get("costs") or {}).values():
            if "versions" in costs:
                found[row["method"]] = costs["versions"]
    return found


def _about(about: dict[str, Any]) -> str:
    lines = []
    for name, packages in about["versions"].items():
        lines.append([name, ", ".join(f"{p} {v}" for p, v in packages.items() if v != "absent")])
    return f"{listed(about['machine'])}\n\n{table(['', 'versions'], lines)}"


def _unfinished(rows: Sequence[Row]) -> str:
    lines = [
        f"{row['method']} on {row['set']}, fit to {'all' if part == 'full' else 'half'} of train: "
        f"{costs['unfinished']}"
        for row in rows
        for part, costs in (row.get("costs") or {}).items()
        if "unfinished" in costs
    ]
    for name in SETS:
        ran = {row["method"] for row in rows if row["set"] == name}
        missing = [peer for peer in PEERS if peer not in ran]
        if missing:
            lines.append(f"Not run on {name}: {', '.join(missing)}.")
    return bullets(lines) or "Everything finished."


def _rank(method: str) -> int:
    beginnings = ("real.", "tabular.trees", "tabular.", "minority.")
    return next((i for i, text in enumerate(beginnings) if method.startswith(text)), 9)


def _source(row: Row) -> str:
    return str(((row.get("costs") or {}).get("full") or {}).get("source", ""))
