"""Figures over all cells: regret, harm, hits, the gain of the oracle, calibration, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.runner import Row, load_yaml
from twinset.core.seeding import rng_for
from twinset.workflows.advise.select_strategy import Difference, choose
from twinset.workflows.advise.strategies import NONE, Strategy

LEARNERS = ("finer model", "smoother model")
NOT_CANDIDATES = ("none", "oracle", "smote 1")
N_DRAWS = 1_000  # the 95 % interval over cells
SURE = 3.0  # standard errors: chance seldom brings one of twenty candidates that far
OVERLAP = 0.4  # about the share of rare rows that the test parts of two splits of a cell share
FIGURES: dict[str, dict[str, str]] = load_yaml(__file__, "cell_figures.yaml")


@dataclass(frozen=True)
class CellResult:
    """One cell, its splits put together."""

    set: str  # the table
    model: str  # the model of the row
    splits: list[dict[str, Any]]  # measured rows

    def precision(self, name: str) -> float:
        return float(np.mean([s["test_figures"][name][0] for s in self.splits]))

    @cached_property
    def names(self) -> list[str]:
        """Candidates that every split tried, "none" among them."""
        shared = set.intersection(*(set(s["test_figures"]) for s in self.splits))
        return sorted(shared - set(NOT_CANDIDATES)) + ["none"]

    @property
    def chosen(self) -> list[str]:
        return [s["chosen"] for s in self.splits]

    @cached_property
    def differences(self) -> dict[str, tuple[float, float]]:
        """Mean difference to none and its standard error, of every strategy and of `advise`."""
        names = [*self.names, "smote 1", "oracle"]
        found = {n: self._mean([s["test_figures"][n] for s in self.splits]) for n in names}
        advised = self._mean([s["test_figures"][s["chosen"]] for s in self.splits])
        return found | {"advise": advised}

    def _mean(self, figures: list[list[float]]) -> tuple[float, float]:
        """Return mean and standard error of differences over splits, which share rows."""
        # The error is that of a mean of values that correlate by their overlap. Where splits differ
        # by more than redrawn test rows explain, that spread is taken.
        changes = np.array([figure[1] for figure in figures])
        within = float(np.mean([figure[2] ** 2 for figure in figures]))
        n = len(changes)
        between = float(changes.var(ddof=1)) if n > 1 else 0.0
        variance = max(within, between) * (1 + (n - 1) * OVERLAP) / n
        return float(changes.mean()), float(np.sqrt(variance))

    @cached_property
    def differs(self) -> list[str]:
        """Candidates whose difference to none lies beyond its interval."""
        return [n for n in self.names if n != "none" and is_beyond(*self.differences[n])]

    @cached_property
    def helping(self) -> list[str]:
        return [name for name in self.differs if self.differences[name][0] > 0]

    @property
    def helps_surely(self) -> bool:
        """Whether a candidate helps by 3 standard errors."""
        found = [self.differences[name] for name in self.helping]
        return any(mean > SURE * error for mean, error in found)

    def is_as_good(self, taken: str) -> bool:
        """Return whether a choice helps, or is as far ahead as the least candidate that helps."""
        least = min(self.differences[name][0] for name in self.helping)
        return taken in self.helping or self.differences[taken][0] >= least

    def regret(self, name: str) -> float:
        """Return how far the best candidate of the cell is ahead of a strategy."""
        best = max(self.differences[candidate][0] for candidate in self.names)
        return best - self.differences[name][0]


def cells_of(
    rows: Sequence[Row], excluded: Sequence[str] = (), first_split: int = 0
) -> list[CellResult]:
    """Return the cells of measured rows, without some candidates or without the first splits."""
    cells: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["split"] >= first_split:
            inner, tests = (
                {name: value for name, value in row[key].items() if name not in excluded}
                for key in ("inner", "test_figures")
            )
            chosen, tested = _choice(inner, row["is_chance"])
            changed = {"inner": inner, "test_figures": tests, "chosen": chosen, "tested": tested}
            cells.setdefault((row["set"], row["model"]), []).append(row | changed)
    return [CellResult(name, model, found) for (name, model), found in cells.items()]


def _choice(inner: dict[str, list[Any]], is_chance: bool) -> tuple[str, str]:
    """Return the choice of the present rule among the differences measured inside the train set."""
    shortlist = [Strategy(name, "none") for name, found in inner.items() if found[3]]
    seen = {n: Difference(found[0], found[1], found[2], 0.0) for n, found in inner.items()}
    chosen, tested = choose(shortlist, seen)
    return NONE.name if is_chance else chosen, tested


def figures(cells: Sequence[CellResult]) -> dict[str, dict[str, Any]]:
    """Return every figure with its 95 % interval by redrawing cells, and its goal."""
    out = {}
    for name, how in FIGURES.items():
        rng, n = rng_for(1, "cells", name), len(cells)
        draws = [_figure([cells[i] for i in rng.integers(0, n, n)], how) for _ in range(N_DRAWS)]
        low, high = np.nanquantile(draws, [0.025, 0.975])
        interval, goal = [float(low), float(high)], how.get("goal", "")
        out[name] = {"value": _figure(cells, how), "interval": interval, "goal": goal}
    return out


def is_beyond(mean: float, error: float) -> bool:
    return abs(mean) > 1.96 * error


# (cell, strategy, "advise" being its choice) -> a figure of the cell
SINGLE: dict[str, Callable[[CellResult, str], float]] = {
    "regret": lambda one, of: one.regret(of),
    "gain": lambda one, of: one.differences[of][0],
    "relative": lambda one, of: one.differences[of][0] / one.precision("none"),
    "gains": lambda one, of: is_beyond(*one.differences[of]) and one.differences[of][0] > 0,
    "loses": lambda one, of: is_beyond(*one.differences[of]) and one.differences[of][0] < 0,
    "helps": lambda one, of: bool(one.helping),
    "helps_surely": lambda one, of: one.helps_surely,
}
# (cell, choice of a split) -> whether it is a hit
HITS: dict[str, Callable[[CellResult, str], bool]] = {
    "helping": lambda one, taken: taken in one.helping,
    "as_good": lambda one, taken: one.is_as_good(taken),
    "any": lambda one, taken: taken != "none",
}


def _figure(cells: Sequence[CellResult], figure: dict[str, str]) -> float:
    of, where = figure.get("of", "advise"), figure.get("where", "")
    cells = [one for one in cells if not where or getattr(one, where)]
    if "count" in figure:
        return float(sum(SINGLE[figure["count"]](one, of) for one in cells))
    if "least" in figure:
        return min(SINGLE[figure["least"]](one, of) for one in cells)
    if "mean" in figure:
        return _mean([SINGLE[figure["mean"]](one, of) for one in cells])
    if "ratio" in figure:  # regret of advise over that of a strategy
        theirs = _mean([one.regret(figure["ratio"]) for one in cells])
        return _mean([one.regret("advise") for one in cells]) / theirs if theirs else float("nan")
    if "taken" in figure:
        return _mean([HITS[figure["taken"]](one, t) for one in cells for t in one.chosen])
    return SPECIAL[figure["special"]](cells)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _recovered(cells: Sequence[CellResult]) -> float:
    """Return the share of the oracle's gain that the choices bring, where it gains."""
    gains = [(one.differences["oracle"][0], one.differences["advise"][0]) for one in cells]
    total = sum(gain for gain, _ in gains if gain > 0)
    return sum(mine for gain, mine in gains if gain > 0) / total if total else float("nan")


SPECIAL: dict[str, Callable[[Sequence[CellResult]], float]] = {
    "recovered": _recovered,
    "restored": lambda cells: _mean(
        [s["log_loss_ratio"][s["tested"]] for one in cells for s in one.splits]
    ),
}
