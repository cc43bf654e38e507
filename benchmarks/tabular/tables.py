"""Scored rows as Markdown tables: medians over fit seeds, with the range in brackets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

from .quoted import QUOTED, REAL_MLE, SOURCE

Row = dict[str, Any]


class Column(NamedTuple):
    """A column of a table: heading, how to take it from a row, factor and decimals."""

    heading: str
    of: Callable[[Row], float | None]
    factor: float = 1
    decimals: int = 2


def score(key: str) -> Callable[[Row], float | None]:
    """Return what takes a score from a row."""
    return lambda row: row["scores"].get(key)


def cost(*keys: str) -> Callable[[Row], float | None]:
    """Return what takes the sum of costs of the fit to all of train from a row.

    Wall seconds taken on a busy machine say nothing and are left out.
    """

    def taken(row: Row) -> float | None:
        full = (row.get("costs") or {}).get("full", {})
        if any(key.endswith("_wall") for key in keys) and _was_busy(full):
            return None
        return sum(full[key] for key in keys) if all(key in full for key in keys) else None

    return taken


PUBLISHED = (
    Column("Shape %", score("shape"), 100),
    Column("Trend %", score("trend"), 100),
    Column("C2ST", score("c2st"), 1, 3),
    Column("alpha-precision %", score("alpha"), 100, 1),
    Column("beta-recall %", score("beta"), 100, 1),
    Column("MLE", score("mle"), 1, 3),
    Column("MLE corrected", score("mle_corrected"), 1, 3),
    Column("DCR %", score("dcr"), 100, 1),
)
STRICTER = (
    Column("Shape excess", score("shape_excess"), 100),
    Column("Trend shared bins %", score("trend_shared"), 100),
    Column("Trend excess", score("trend_excess"), 100),
    Column("detector AUC", score("detector"), 1, 3),
    Column("95 % up to", score("detector_high"), 1, 3),
    Column("copies beyond, points", score("copies_beyond"), 100, 3),
    Column("half fit: copies beyond", score("member_copies"), 100, 3),
    Column("membership, upper", score("membership_upper"), 1, 3),
    Column("isolated 5 %, upper", score("isolated_upper"), 1, 3),
    Column("rules broken %", score("rules_broken"), 100),
)
COSTS = (
    Column("fit s", cost("fit_wall")),
    Column("sample s", cost("sample_wall")),
    Column("CPU s", cost("fit_cpu", "sample_cpu")),
    Column("peak MB", cost("peak_mb"), 1, 0),
)


def grouped(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each method, in the order of first appearance."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["method"], []).append(row)
    return groups


def figure(rows: Sequence[Row], column: Column) -> str:
    """Return the median and, where seeds differ, the range; a dash where there is nothing."""
    known = [column.of(row) for row in rows]
    values = [column.factor * v for v in known if v is not None and not math.isnan(v)]
    if not values:
        return "–"
    shown = [f"{v:.{column.decimals}f}" for v in (median(values), min(values), max(values))]
    shown = [text.removeprefix("-") if float(text) == 0 else text for text in shown]
    if shown[1] == shown[2]:
        return shown[0]
    return f"{shown[0]} ({shown[1]} to {shown[2]})"


def table(groups: dict[str, list[Row]], columns: Sequence[Column]) -> str:
    """Return a Markdown table with one line for each method that has a figure in it."""
    head = " | ".join(["method", *(column.heading for column in columns)])
    lines = [f"| {head} |", "|---" * (len(columns) + 1) + "|"]
    for method, rows in groups.items():
        figures = [figure(rows, column) for column in columns]
        if set(figures) != {"–"}:
            lines.append(f"| {' | '.join([label(method, rows), *figures])} |")
    return "\n".join(lines)


def worst(groups: dict[str, list[Row]]) -> str:
    """Return a Markdown table of each method's worst column and worst pair."""
    lines = [
        "| method | worst column | error % | worst pair (shared bins) | error % |",
        "|---" * 5 + "|",
    ]
    for method, rows in groups.items():
        found = rows[0]["scores"]
        if "worst_column" in found:
            column, pair = 100 * found["worst_column_error"], 100 * found["worst_pair_error"]
            lines.append(
                f"| {label(method, rows)} | {found['worst_column']} | {column:.2f} "
                f"| {found['worst_pair']} | {pair:.2f} |"
            )
    return "\n".join(lines)


def label(method: str, rows: Sequence[Row]) -> str:
    """Return the method's name, with the number of fit seeds where there are several."""
    shown = f"`{method}`" if method.startswith(("tabular.", "minority.")) else method
    return f"{shown}, {len(rows)} seeds" if len(rows) > 1 else shown


def over_sets(rows: Sequence[Row], sets: Sequence[str]) -> str:
    """Return the means over all sets, of the methods that were scored on every one of them."""
    columns = (*PUBLISHED[:5], *STRICTER[:4])
    head = " | ".join(["method", *(c.heading for c in columns), "CPU s, all sets"])
    lines = [f"| {head} |", "|---" * (len(columns) + 2) + "|"]
    for method, own in grouped(rows).items():
        by_set = {name: [row for row in own if row["set"] == name] for name in sets}
        if not all(by_set.values()):
            continue
        cells = [_mean_of_medians(by_set, column) for column in columns]
        seconds = [middle(group, COSTS[2]) for group in by_set.values()]
        spent = f"{sum(s for s in seconds if s):.1f}" if all(seconds) else "–"
        lines.append(f"| {label(method, ())} | {' | '.join(cells)} | {spent} |")
    return "\n".join(lines)


def quoted(sets: Sequence[str]) -> str:
    """Return the published rows, marked as quoted."""
    names = " | ".join(sets)
    lines = [f"Source: {SOURCE}.", ""]
    for title, key in (("Shape %", "shape"), ("Trend %", "trend"), ("MLE", "mle")):
        lines += [f"| {title}, quoted | {names} | mean |", "|---" * (len(sets) + 2) + "|"]
        if key == "mle":
            real = " | ".join(f"{REAL_MLE[name]:.3f}" for name in sets)
            lines.append(f"| real train (quoted) | {real} | |")
        for row in QUOTED:
            cells = getattr(row, key)
            mean = "" if key == "mle" else f"{sum(cells.values()) / len(cells):.2f}"
            digits = 3 if key == "mle" else 2
            figures = " | ".join(f"{cells[name]:.{digits}f}" for name in sets)
            lines.append(f"| {row.method} (quoted) | {figures} | {mean} |")
        lines.append("")
    return "\n".join(lines)


def middle(rows: Sequence[Row], column: Column) -> float | None:
    """Return the median over the rows that have the figure, unscaled; None where none has."""
    known = [value for row in rows if (value := column.of(row)) is not None]
    return median(known) if known else None


def _was_busy(costs: dict[str, Any]) -> bool:
    """Return whether the process got much less of the machine than it asked for."""
    wall, cpu = (
        sum(costs.get(f"{step}_{kind}", 0) for step in ("fit", "sample"))
        for kind in ("wall", "cpu")
    )
    return bool(wall > 1.3 * cpu + 0.5)


def _mean_of_medians(by_set: dict[str, list[Row]], column: Column) -> str:
    medians = [middle(rows, column) for rows in by_set.values()]
    known = [value for value in medians if value is not None]
    if len(known) < len(medians):
        return "–"
    return f"{column.factor * sum(known) / len(known):.{column.decimals}f}"
