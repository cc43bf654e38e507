"""Tables of scored rows: medians over fit seeds with their range, goals, quoted figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import mean, median
from typing import Any, NamedTuple

from benchmarks.markdown import NOTHING, table
from benchmarks.runner import Row, grouped, load_yaml
from benchmarks.tabular.sets import SETS

ALL = tuple(SETS)
FLAGSHIP = "tabular.trees"
GOALS: list[dict[str, Any]] = load_yaml(__file__, "goals.yaml")
COLUMNS: dict[str, list[Any]] = load_yaml(__file__, "columns.yaml")
QUOTED: dict[str, Any] = load_yaml(__file__, "quoted.yaml")
Figure = Callable[[Row], float | None]


class Column(NamedTuple):
    """A column of a table: heading, how a row gives its value, factor and decimals."""

    heading: str
    figure: Figure
    factor: float
    decimals: int


def score(key: str) -> Figure:
    return lambda row: row["scores"].get(key)


def cost(*keys: str) -> Figure:
    """Return the function that adds costs of the fit to all of train."""

    def total(row: Row) -> float | None:
        full = (row.get("costs") or {}).get("full", {})
        wall, cpu = (
            full.get(f"fit_{of}", 0) + full.get(f"sample_{of}", 0) for of in ("wall", "cpu")
        )
        if any(key.endswith("_wall") for key in keys) and wall > 1.3 * cpu + 0.5:
            return None  # wall seconds of a busy machine are much longer than CPU seconds
        return sum(full[key] for key in keys) if all(key in full for key in keys) else None

    return total


def _columns(name: str) -> tuple[Column, ...]:
    """Return the columns of one table; those of several names are sums of costs."""
    return tuple(
        Column(heading, cost(*of) if isinstance(of, list) else score(of), factor, decimals)
        for heading, of, factor, decimals in COLUMNS[name]
    )


PUBLISHED, STRICTER, COSTS = map(_columns, ("published", "stricter", "costs"))


def figure(rows: Sequence[Row], column: Column) -> str:
    """Return the median and, where seeds differ, the range; a dash where there is nothing."""
    values = [v for row in rows if (v := column.figure(row)) is not None and not math.isnan(v)]
    if not values:
        return NOTHING
    shown = [f"{column.factor * f(values):.{column.decimals}f}" for f in (median, min, max)]
    shown = [text.removeprefix("-") if float(text) == 0 else text for text in shown]
    return shown[0] if shown[1] == shown[2] else f"{shown[0]} ({shown[1]} to {shown[2]})"


def middle(rows: Sequence[Row], figure: Figure) -> float | None:
    """Return the median over the rows that have a figure, unscaled; None where none has."""
    known = [value for row in rows if (value := figure(row)) is not None]
    return median(known) if known else None


def label(method: str, n_seeds: int = 1) -> str:
    """Return the method's name, with the number of fit seeds where there are several."""
    shown = f"`{method}`" if method.startswith(("tabular.", "minority.")) else method
    return f"{shown}, {n_seeds} seeds" if n_seeds > 1 else shown


def method_table(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Return a table with one line for each method that has a figure in it."""
    lines = []
    for method, own in grouped(rows, "method").items():
        figures = [figure(own, column) for column in columns]
        if set(figures) != {NOTHING}:
            lines.append([label(method, len(own)), *figures])
    return table(["method", *(column.heading for column in columns)], lines)


def worst_table(rows: Sequence[Row]) -> str:
    lines = []
    for method, own in grouped(rows, "method").items():
        found = own[0]["scores"]
        if "worst_column" in found:
            column, pair = (f"{100 * found[f'worst_{k}_error']:.2f}" for k in ("column", "pair"))
            cells = [found["worst_column"], column, found["worst_pair"], pair]
            lines.append([label(method, len(own)), *cells])
    head = ["method", "worst column", "error %", "worst pair (shared bins)", "error %"]
    return table(head, lines)


def over_sets(rows: Sequence[Row], sets: Sequence[str] = ALL) -> str:
    """Return the means over all sets, of the methods that were scored on every one of them."""
    columns, lines = (*PUBLISHED[:5], *STRICTER[:4]), []
    for method, own in grouped(rows, "method").items():
        groups = [[row for row in own if row["set"] == name] for name in sets]
        if not all(groups):
            continue
        cells = []
        for column in columns:
            medians = [middle(group, column.figure) for group in groups]
            known = [value for value in medians if value is not None]
            whole = f"{column.factor * sum(known) / len(groups):.{column.decimals}f}"
            cells.append(whole if len(known) == len(groups) else NOTHING)
        seconds = [middle(group, COSTS[2].figure) for group in groups]
        cells.append(f"{sum(s for s in seconds if s):.1f}" if all(seconds) else NOTHING)
        lines.append([label(method), *cells])
    return table(["method", *(c.heading for c in columns), "CPU s, all sets"], lines)


def quoted(sets: Sequence[str] = ALL) -> str:
    """Return the published rows, marked as quoted."""
    parts = [f"Source: {QUOTED['source']}."]
    for title, key, digits in (("Shape %", "shape", 2), ("Trend %", "trend", 2), ("MLE", "mle", 3)):
        real, lines = [f"{v:.3f}" for v in QUOTED["real_mle"]], []
        if key == "mle":
            lines.append(["real train (quoted)", *real, ""])
        for method, found in QUOTED["rows"].items():
            average = "" if key == "mle" else f"{mean(found[key]):.2f}"
            cells = [f"{value:.{digits}f}" for value in found[key]]
            lines.append([f"{method} (quoted)", *cells, average])
        parts.append(table([f"{title}, quoted", *sets, "mean"], lines))
    return "\n\n".join(parts)


def goals(rows: Sequence[Row]) -> str:
    """Return the goals of the flagship beside its figures: medians over fit seeds."""
    own = [row for row in rows if row["method"] == FLAGSHIP]
    lines = [line for goal in GOALS if (line := _goal_line(own, goal))]
    if not lines:
        return ""
    found = table(["measure", "measured", "on", "must", "aim", "reached"], lines)
    ratios = _cost_ratios(rows)
    return f"{found}\n\n{ratios}" if ratios else found


def _goal_line(rows: Sequence[Row], goal: dict[str, Any]) -> list[str] | None:
    of = score(goal["of"]) if isinstance(goal["of"], str) else cost(*goal["of"])
    sets, least, over = goal.get("sets", ALL), goal.get("least", False), goal.get("over", "each")
    medians = {name: middle([row for row in rows if row["set"] == name], of) for name in sets}
    factor = goal.get("factor", 1)
    found = {name: factor * value for name, value in medians.items() if value is not None}
    if not found:
        return None
    if over == "each":
        on = (min if least else max)(found, key=found.__getitem__)
        value = found[on]
    else:
        value = sum(found.values()) / (len(found) if over == "mean" else 1)
        on = over if len(found) == len(sets) else f"{over} ({len(found)} of {len(sets)})"
    sign = -1 if least else 1
    met = [sign * value <= sign * goal[bound] + 1e-9 for bound in ("aim", "must")]
    reached = "aim" if met[0] else "yes" if met[1] else "**no**"
    bounds = [f"{'≥' if least else '≤'} {goal[bound]:g}" for bound in ("must", "aim")]
    shown = f"{value:.{goal.get('decimals', 3)}f}"
    return [
        goal["name"],
        shown,
        on,
        *bounds,
        reached if len(found) == len(sets) else "sets missing",
    ]


def _cost_ratios(rows: Sequence[Row]) -> str:
    """Return how many times more CPU a peer's fit took on Adult."""
    fit, adult = cost("fit_cpu"), [row for row in rows if row["set"] == "adult"]
    own = middle([row for row in adult if row["method"] == FLAGSHIP], fit)
    parts = []
    for row in adult if own else ():
        spent = fit(row)
        is_peer = not row["method"].startswith(("tabular.", "real."))
        if own and spent and is_peer and spent > 0.5:  # less is not worth a comparison
            parts.append(f"{row['method']} {spent:.1f} s ({spent / own:.0f} times)")
    if not parts:
        return ""
    return f"CPU seconds of the fit on Adult: `{FLAGSHIP}` {own:.2f} s; {'; '.join(parts)}."
