"""What became of a plan: a sentence, a table of the conditions, and a picture of all pairs of levels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from markupsafe import Markup

from twinset.measurement.plan_coverage import PlanCoverage
from twinset.report.answers.phrases import joined
from twinset.report.answers.verdict import VerdictLine

QUESTION = "Does every planned combination come?"
N_LACKING = 12
_SIDE, _GAP, _LETTER = 17.0, 6.0, 6.0
_LONGEST = 24

Cell = tuple[tuple[str, str], tuple[str, str]]
"""Two levels, each with its condition."""


@dataclass(frozen=True)
class PlanGroup:
    """The combinations of some conditions: how many there are, and come often enough on each side."""

    conditions: tuple[str, ...]
    wanted: int
    real: int
    synthetic: int
    union: int


def plan_sentence(plan: PlanCoverage) -> VerdictLine:
    """Return the answer to whether all that was planned came."""
    met, wanted, times = plan.n_met(plan.decides), len(plan.rows), _times(plan.at_least)
    nouns = f"{plan.noun}{'' if wanted == 1 else 's'} of levels" if plan.strength > 1 else "levels"
    of = f"of {joined(list(plan.factors))}"
    where = "the real and the made rows together" if plan.decides == "union" else "the made rows"
    alone = ""
    if plan.has_real:
        alone = f" Real rows alone hold {plan.n_met('real'):,} of them so often."
    if met == wanted:
        text = f"Yes: all {wanted:,} {nouns} {of} come {times} or more in {where}.{alone}"
        return VerdictLine("plan", QUESTION, text, "good")
    first = plan.uncovered[0]
    text = (
        f"No: {met:,} of {wanted:,} {nouns} {of} come {times} or more in {where}. Rarest: "
        f"{combination_words(first['levels'])} ({_count(first[plan.decides])}).{alone}"
    )
    return VerdictLine("plan", QUESTION, text, "bad")


def plan_rule(plan: PlanCoverage) -> str:
    """Return the stop rule of a plan as a sentence."""
    counted = "real rows count" if plan.decides == "union" else "real rows do not count"
    aside = f"; {counted}" if plan.has_real else "; no real row tells these conditions"
    return f"The stop rule: every {plan.noun} of levels {_times(plan.at_least)} or more{aside}."


def plan_groups(plan: PlanCoverage) -> list[PlanGroup]:
    """Return one line for each set of conditions, those that lack most first."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in plan.rows:
        groups.setdefault(tuple(row["levels"]), []).append(row)
    found = [
        PlanGroup(
            names,
            len(rows),
            *(
                sum(row[side] >= plan.at_least for row in rows)
                for side in ("real", "synthetic", "union")
            ),
        )
        for names, rows in groups.items()
    ]
    decides = plan.decides
    return sorted(found, key=lambda group: getattr(group, decides) - group.wanted)


def combination_words(levels: Mapping[str, str]) -> str:
    """Return a combination in words.

    Examples
    --------
    >>> combination_words({"light": "night", "weather": "fog"})
    'light = night and weather = fog'
    """
    return " and ".join(f"{name} = {level}" for name, level in levels.items())


def plan_figure(plan: PlanCoverage) -> Markup:
    """Return a map of all pairs of levels as an SVG element; nothing where a plan is of single levels.

    The lower right of a square is the made rows, the upper left the real ones; the stronger the colour, the
    more rows. Of a plan of triples a square stands for the rarest triple that holds its two levels. Squares
    that miss the stop rule are framed.
    """
    if plan.strength < 2:
        return Markup("")
    cells = _cells(plan)
    most = max(max(row["real"], row["synthetic"]) for row in cells.values())
    places, end = _places(plan.factors)
    # The first condition has columns only, so that rows begin with the second.
    top = _SIDE * len(next(iter(plan.factors.values()))) + _GAP
    left = 10 + _LETTER * max(len(_label(level)) for level in places)
    parts = [_labels(list(places.items()), left, end)]
    for (one, other), row in cells.items():
        x, y = left + places[one], places[other]
        misses = row[plan.decides] < plan.at_least
        parts.append(_square(x, y, row, most, plan.has_real, misses))
    height = end + 8 + _LETTER * max(len(_label(level)) for level in places)
    label = f"Map of {len(cells)} pairs of levels, {'with' if plan.uncovered else 'without'} gaps"
    return Markup(
        '<svg class="planned" viewBox="0 {4:.0f} {0:.0f} {1:.0f}" width="{0:.0f}" height="{1:.0f}" '
        'role="img" aria-label="{2}">{3}</svg>'
    ).format(left + end, height - top, label, Markup("").join(parts), top)


def _cells(plan: PlanCoverage) -> dict[Cell, Mapping[str, Any]]:
    """Return for each pair of levels the combination with it that comes most rarely."""
    found: dict[Cell, Mapping[str, Any]] = {}
    for row in plan.rows:
        for pair in combinations(row["levels"].items(), 2):
            held = found.get(pair)
            if held is None or row[plan.decides] < held[plan.decides]:
                found[pair] = row
    return found


def _places(factors: Mapping[str, Sequence[str]]) -> tuple[dict[tuple[str, str], float], float]:
    """Return where each level stands along both sides, and how long a side is."""
    places, at = {}, 0.0
    for name, levels in factors.items():
        for level in levels:
            places[name, level] = at
            at += _SIDE
        at += _GAP
    return places, at - _GAP


def _labels(places: Sequence[tuple[tuple[str, str], float]], left: float, end: float) -> Markup:
    first, last = places[0][0][0], places[-1][0][0]
    parts = []
    for level, at in places:
        middle = at + _SIDE / 2
        if level[0] != first:
            parts.append(
                Markup(
                    '<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>'
                ).format(left - 6, middle + 4, _label(level))
            )
        if level[0] != last:
            parts.append(
                Markup(
                    '<text class="tick" text-anchor="end" transform="translate({:.1f} {:.1f}) '
                    'rotate(-90)">{}</text>'
                ).format(left + middle + 4, end + 6, _label(level))
            )
    return Markup("").join(parts)


def _square(
    x: float, y: float, row: Mapping[str, Any], most: int, has_real: bool, misses: bool
) -> Markup:
    right, low = x + _SIDE - 1, y + _SIDE - 1
    made = f"M{x:.1f} {y:.1f}H{right:.1f}V{low:.1f}H{x:.1f}Z"
    parts = []
    told = f"{combination_words(row['levels'])}: {row['synthetic']:,} made"
    if has_real:
        made = f"M{right:.1f} {y:.1f}V{low:.1f}H{x:.1f}Z"
        there = f"M{x:.1f} {y:.1f}H{right:.1f}L{x:.1f} {low:.1f}Z"
        parts.append(_shape("there", there, _strength(row["real"], most)))
        told += f", {row['real']:,} real"
    parts.append(_shape("made", made, _strength(row["synthetic"], most)))
    frame = "lacks" if misses else "frame"
    parts.append(
        Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
            frame, x, y, _SIDE - 1, _SIDE - 1
        )
    )
    return Markup("<g><title>{}</title>{}</g>").format(told, Markup("").join(parts))


def _shape(kind: str, path: str, strength: float) -> Markup:
    return Markup('<path class="{}" d="{}" fill-opacity="{:.2f}"/>').format(kind, path, strength)


def _strength(count: int, most: int) -> float:
    """Return how strong a colour is: nothing for no row, then by the logarithm of the count."""
    return 0.25 + 0.75 * math.log1p(count) / math.log1p(most) if count else 0.0


def _label(level: tuple[str, str]) -> str:
    text = f"{level[0]}: {level[1]}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n:,} times")


def _count(n: int) -> str:
    return "never" if n == 0 else _times(n)
