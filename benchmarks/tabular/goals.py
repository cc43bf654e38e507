"""What `tabular.trees` had to reach, measure by measure, beside what it reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

from .sets import SETS
from .tables import Row, cost, score

FLAGSHIP = "tabular.trees"
ALL = tuple(SETS)


class Goal(NamedTuple):
    """A measure with its bound: `most` for at most, `least` for at least; over sets by `over`."""

    name: str
    of: Callable[[Row], float | None]
    must: float
    aim: float
    over: str = "each"
    sets: tuple[str, ...] = ALL
    at_least: bool = False
    factor: float = 1.0
    decimals: int = 3


GOALS = (
    Goal("Shape excess, mean of 5, points", score("shape_excess"), 0.20, 0.10, "mean", factor=100),
    Goal("Shape as published, mean of 5, %", score("shape"), 0.75, 0.70, "mean", factor=100),
    Goal("Trend excess, mean of 5, points", score("trend_excess"), 0.30, 0.15, "mean", factor=100),
    Goal("Trend as published, mean of 5, %", score("trend"), 1.50, 1.23, "mean", factor=100),
    Goal("logistic C2ST, every set", score("c2st"), 0.985, 0.995, at_least=True),
    Goal(
        "detector AUC",
        score("detector"),
        0.55,
        0.52,
        sets=("adult", "default", "shoppers", "beijing"),
    ),
    Goal("detector AUC, MAGIC", score("detector"), 0.56, 0.53, sets=("magic",)),
    Goal("MLE Adult", score("mle"), 0.918, 0.924, sets=("adult",), at_least=True),
    Goal("MLE Default", score("mle"), 0.760, 0.767, sets=("default",), at_least=True),
    Goal("MLE Shoppers", score("mle"), 0.915, 0.923, sets=("shoppers",), at_least=True),
    Goal("MLE MAGIC", score("mle"), 0.932, 0.943, sets=("magic",), at_least=True),
    Goal("RMSE Beijing", score("mle"), 0.55, 0.50, sets=("beijing",)),
    Goal("alpha-precision %", score("alpha"), 98, 98.8, at_least=True, factor=100, decimals=1),
    Goal("beta-recall %, at least", score("beta"), 46, 48, at_least=True, factor=100, decimals=1),
    Goal("beta-recall %, at most", score("beta"), 52, 51, factor=100, decimals=1),
    Goal("membership, upper bound", score("membership_upper"), 0.53, 0.515),
    Goal("membership of the isolated, upper bound", score("isolated_upper"), 0.60, 0.55),
    Goal("DCR share", score("dcr"), 0.53, 0.515),
    Goal("exact copies beyond, points", score("copies_beyond"), 0.1, 0.0, factor=100),
    Goal("fit + sample Adult, s", cost("fit_wall", "sample_wall"), 3, 1, sets=("adult",)),
    Goal("peak memory Adult, MB", cost("peak_mb"), 1024, 1024, sets=("adult",), decimals=0),
    Goal("fit + sample, all five sets, s", cost("fit_wall", "sample_wall"), 30, 10, "sum"),
)


def goals(rows: Sequence[Row]) -> str:
    """Return a Markdown table; medians over fit seeds, of the set farthest from the bound."""
    own = [row for row in rows if row["method"] == FLAGSHIP]
    if not own:
        return ""
    lines = ["| measure | measured | on | must | aim | reached |", "|---" * 6 + "|"]
    for goal in GOALS:
        found = _medians(own, goal)
        if not found:
            continue
        sign = "≥" if goal.at_least else "≤"
        value, on = _overall(found, goal)
        shown = f"{value:.{goal.decimals}f}"
        reached = _verdict(value, goal) if len(found) == len(goal.sets) else "sets missing"
        bounds = f"{sign} {goal.must:g} | {sign} {goal.aim:g}"
        lines.append(f"| {goal.name} | {shown} | {on} | {bounds} | {reached} |")
    ratios = _cost_ratios(rows)
    return "\n".join(lines) + (f"\n\n{ratios}" if ratios else "")


def _medians(rows: Sequence[Row], goal: Goal) -> dict[str, float]:
    found = {}
    for name in goal.sets:
        known = [goal.of(row) for row in rows if row["set"] == name]
        values = [value for value in known if value is not None]
        if values:
            found[name] = goal.factor * median(values)
    return found


def _overall(found: dict[str, float], goal: Goal) -> tuple[float, str]:
    if goal.over == "each":
        worst = (min if goal.at_least else max)(found, key=found.__getitem__)
        return found[worst], worst
    total = sum(found.values())
    missing = "" if len(found) == len(goal.sets) else f" ({len(found)} of {len(goal.sets)})"
    return (total / len(found) if goal.over == "mean" else total), f"{goal.over}{missing}"


def _verdict(value: float, goal: Goal) -> str:
    def within(bound: float) -> bool:
        return value >= bound - 1e-9 if goal.at_least else value <= bound + 1e-9

    return "aim" if within(goal.aim) else "yes" if within(goal.must) else "**no**"


def _cost_ratios(rows: Sequence[Row]) -> str:
    """Return how many times more CPU a peer's fit took on Adult."""
    fit = cost("fit_cpu")
    own = [fit(r) for r in rows if r["method"] == FLAGSHIP and r["set"] == "adult"]
    spent = [value for value in own if value]
    if not spent:
        return ""
    lines = []
    for row in rows:
        theirs = fit(row) if row["set"] == "adult" and row["method"] != FLAGSHIP else None
        if theirs and theirs > 0.5 and not row["method"].startswith(("tabular.", "real.")):
            lines.append(f"{row['method']} {theirs:.1f} s ({theirs / median(spent):.0f} times)")
    return (
        f"CPU seconds of the fit on Adult: `{FLAGSHIP}` {median(spent):.2f} s; {'; '.join(lines)}."
        if lines
        else ""
    )
