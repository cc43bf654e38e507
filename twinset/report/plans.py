"""What became of a plan: a sentence, a table of the conditions, and a map of all pairs of levels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

from markupsafe import Markup

from twinset.measurement.plan_coverage import PlanCoverage
from twinset.report.answers.phrases import Mark, joined, plural
from twinset.report.answers.verdict import VerdictLine
from twinset.report.figures.columns import clip, element, svg, tick, upright_tick

QUESTION = "Does every planned combination come?"
_SETS = ("real", "synthetic")
N_ROWS = 12  # rows of a plan's tables; all combinations stand in the JSON
# CSS pixels: a square with its gap, the gap between conditions, and a letter of a label of 11 px.
_SIDE, _GAP, _LETTER = 17.0, 6.0, 6.0
_MAX_LABEL = 24  # letters of a level beside the map


def plan_sentence(plan: PlanCoverage) -> VerdictLine:
    """Return the answer to whether all that was planned came."""
    met, planned, times = plan.n_met(plan.decides), len(plan.rows), _times(plan.at_least)
    nouns = f"{plural(plan.noun, planned)} of levels" if plan.strength > 1 else "levels"
    of = f"of {joined(list(plan.factors))}"
    rows = (
        "the real and synthetic rows together" if plan.decides == "union" else "the synthetic rows"
    )
    alone = ""
    if plan.has_real:
        alone = f" Real rows alone hold {plan.n_met('real'):,} of them so often."
    if met == planned:
        text = f"Yes: all {planned:,} {nouns} {of} come {times} or more in {rows}.{alone}"
        return VerdictLine("plan", QUESTION, text, Mark.GOOD)
    first = plan.uncovered[0]
    text = (
        f"No: {met:,} of {planned:,} {nouns} {of} come {times} or more in {rows}. Rarest: "
        f"{format_levels(first['levels'])} ({_times(first[plan.decides])}).{alone}"
    )
    return VerdictLine("plan", QUESTION, text, Mark.BAD)


def plan_rule(plan: PlanCoverage) -> str:
    """Return the stop rule of a plan as a sentence."""
    counted = "real rows count" if plan.decides == "union" else "real rows do not count"
    aside = f"; {counted}" if plan.has_real else "; no real row has these conditions"
    return f"The stop rule: every {plan.noun} of levels {_times(plan.at_least)} or more{aside}."


def plan_groups(plan: PlanCoverage) -> list[dict[str, Any]]:
    """Return one line for each set of conditions, those with most combinations missing first."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in plan.rows:
        groups.setdefault(tuple(row["levels"]), []).append(row)
    found = [
        {"conditions": names, "planned": len(rows)}
        | {key: sum(row[key] >= plan.at_least for row in rows) for key in (*_SETS, "union")}
        for names, rows in groups.items()
    ]
    return sorted(found, key=lambda group: group[plan.decides] - group["planned"])


def format_levels(levels: Mapping[str, str]) -> str:
    """Return a combination in words.

    >>> format_levels({"light": "night", "weather": "fog"})
    'light = night and weather = fog'
    """
    return " and ".join(f"{name} = {level}" for name, level in levels.items())


def plan_figure(plan: PlanCoverage) -> Markup:
    """Return a map of all pairs of levels as an SVG element; nothing where a plan is of single levels.

    The lower right of a square is the synthetic rows, the upper left the real ones; the stronger the
    colour, the more rows. Of a plan of triples a square stands for the rarest triple that holds its two
    levels. Squares that miss the stop rule are framed.
    """
    if plan.strength < 2:
        return Markup("")
    rarest: dict[Any, Mapping[str, Any]] = {}
    for row in plan.rows:
        for pair in combinations(row["levels"].items(), 2):
            if pair not in rarest or row[plan.decides] < rarest[pair][plan.decides]:
                rarest[pair] = row
    max_count = max(max(row["real"], row["synthetic"]) for row in rarest.values())
    places: dict[tuple[str, str], float] = {}
    at = 0.0
    for name, levels in plan.factors.items():
        places |= {(name, level): at + _SIDE * k for k, level in enumerate(levels)}
        at += _SIDE * len(levels) + _GAP
    end = at - _GAP
    labels = {level: clip(f"{level[0]}: {level[1]}", _MAX_LABEL) for level in places}
    label_width = _LETTER * max(map(len, labels.values()))
    first, *_, last = plan.factors
    # The first condition has columns only, so that rows begin with the second.
    top, left = _SIDE * len(plan.factors[first]) + _GAP, 10 + label_width
    parts = []
    for level, place in places.items():
        middle = place + _SIDE / 2 + 4
        if level[0] != first:
            parts.append(tick(left - 6, middle, labels[level], "end"))
        if level[0] != last:
            parts.append(upright_tick(left + middle, end + 6, labels[level]))
    for (one, other), row in rarest.items():
        parts.append(_square(left + places[one], places[other], row, max_count, plan))
    label = f"Map of {len(rarest)} pairs of levels, {'with' if plan.uncovered else 'without'} gaps"
    height = end + 8 + label_width - top
    return svg(left + end, height, label, parts, "planned", top=top, fixed=True)


def _square(
    x: float, y: float, row: Mapping[str, Any], max_count: int, plan: PlanCoverage
) -> Markup:
    right, low = x + _SIDE - 1, y + _SIDE - 1
    shape = f"M{x:.1f} {y:.1f}H{right:.1f}V{low:.1f}H{x:.1f}Z"
    title = f"{format_levels(row['levels'])}: {row['synthetic']:,} synthetic"
    parts = []
    if plan.has_real:
        shape = f"M{right:.1f} {y:.1f}V{low:.1f}H{x:.1f}Z"
        triangle = f"M{x:.1f} {y:.1f}H{right:.1f}L{x:.1f} {low:.1f}Z"
        opacity = _opacity(row["real"], max_count)
        parts.append(element("path", class_="planned-real", d=triangle, fill_opacity=opacity))
        title += f", {row['real']:,} real"
    opacity = _opacity(row["synthetic"], max_count)
    parts.append(element("path", class_="planned-synthetic", d=shape, fill_opacity=opacity))
    frame = "rare" if row[plan.decides] < plan.at_least else "frame"
    side = _SIDE - 1
    parts.append(element("rect", class_=frame, x=x, y=y, width=side, height=side))
    return element("g", element("title", title), *parts)


def _opacity(count: int, max_count: int) -> str:
    """Return the opacity of a colour: nothing for no row, then by the logarithm of the count."""
    strength = 0.25 + 0.75 * math.log1p(count) / math.log1p(max_count) if count else 0.0
    return f"{strength:.2f}"


def _times(n: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(n, f"{n:,} times")
