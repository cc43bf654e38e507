"""Figures over all cells: regret, harm, hits, the gain of the oracle, calibration, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.runner import Row
from twinset.core.seeding import rng_for
from twinset.workflows.advise.select_strategy import Difference, choose
from twinset.workflows.advise.strategies import NONE, Strategy

Floats = npt.NDArray[np.float64]
Figure = Callable[[Sequence["CellResult"]], float]

LEARNERS = ("finer model", "smoother model")
NOT_CANDIDATES = ("none", "oracle", "smote 1")
N_DRAWS = 1_000  # the 95 % interval over cells
SURE = 3.0  # standard errors: chance seldom brings one of twenty candidates that far
OVERLAP = 0.4  # about the share of rare rows that the test parts of two splits of a cell share


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
        """Return every strategy's mean difference to none and its standard error."""
        names = [*self.names, "smote 1", "oracle"]
        return {n: self._mean([s["test_figures"][n] for s in self.splits]) for n in names}

    @cached_property
    def advised(self) -> tuple[float, float]:
        """Return the mean difference to none of the choice of `advise`, and its standard error."""
        return self._mean([s["test_figures"][s["chosen"]] for s in self.splits])

    def _mean(self, figures: list[list[float]]) -> tuple[float, float]:
        """Return mean and standard error of differences over splits, which share rows.

        The error is that of a mean of values that correlate by their overlap. Where splits differ by
        more than redrawn test rows explain, that spread is taken.
        """
        changes = np.array([figure[1] for figure in figures])
        within = float(np.mean([figure[2] ** 2 for figure in figures]))
        n = len(changes)
        between = float(changes.var(ddof=1)) if n > 1 else 0.0
        variance = max(within, between) * (1 + (n - 1) * OVERLAP) / n
        return float(changes.mean()), float(np.sqrt(variance))

    @cached_property
    def differs(self) -> list[str]:
        """Return the candidates whose difference to none lies beyond its interval."""
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

    def regret(self, name: str | None = None) -> float:
        """Return how far the best candidate of the cell is ahead of a strategy (None: of advise)."""
        best = max(self.differences[candidate][0] for candidate in self.names)
        return best - (self.advised if name is None else self.differences[name])[0]


def cells_of(
    rows: Sequence[Row], excluded: Sequence[str] = (), first_split: int = 0
) -> list[CellResult]:
    """Return the cells of measured rows, without some candidates or without the first splits."""
    cells: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["split"] < first_split:
            continue
        inner, test_figures = (
            {name: value for name, value in row[key].items() if name not in excluded}
            for key in ("inner", "test_figures")
        )
        chosen, tested = _choice(inner, row["is_chance"])
        changed = {"inner": inner, "test_figures": test_figures, "chosen": chosen, "tested": tested}
        cells.setdefault((row["set"], row["model"]), []).append(row | changed)
    return [CellResult(name, model, found) for (name, model), found in cells.items()]


def _choice(inner: dict[str, list[Any]], is_chance: bool) -> tuple[str, str]:
    """Return the choice of the present rule among the differences measured inside the train set."""
    shortlist = [Strategy(name, "none") for name, found in inner.items() if found[3]]
    seen = {
        name: Difference(mean, error, shrunk, 0.0)
        for name, (mean, error, shrunk, _) in inner.items()
    }
    chosen, tested = choose(shortlist, seen)
    return NONE.name if is_chance else chosen, tested


def figures(cells: Sequence[CellResult]) -> dict[str, dict[str, Any]]:
    """Return every figure with its 95 % interval by redrawing cells, and its goal."""
    out = {}
    for name, (figure, goal) in FIGURES.items():
        rng, n = rng_for(1, "cells", name), len(cells)
        draws = [figure([cells[i] for i in rng.integers(0, n, n)]) for _ in range(N_DRAWS)]
        low, high = np.nanquantile(draws, [0.025, 0.975])
        out[name] = {"value": figure(cells), "interval": [float(low), float(high)], "goal": goal}
    return out


def is_beyond(mean: float, error: float) -> bool:
    return abs(mean) > 1.96 * error


def _mean(single: Callable[[CellResult], float]) -> Figure:
    return lambda cells: float(np.mean([single(one) for one in cells])) if cells else float("nan")


def _count(single: Callable[[CellResult], bool]) -> Figure:
    return lambda cells: float(sum(single(one) for one in cells))


def _differs(one: tuple[float, float], sign: int) -> bool:
    return is_beyond(*one) and sign * one[0] > 0


def _ratio(name: str, where: Callable[[CellResult], object] = lambda one: True) -> Figure:
    """Return the regret of advise over that of a strategy, in some of the cells."""

    def ratio(cells: Sequence[CellResult]) -> float:
        own = [one for one in cells if where(one)]
        theirs = _mean(lambda one: one.regret(name))(own)
        return _mean(lambda one: one.regret())(own) / theirs if theirs else float("nan")

    return ratio


def _taken(hit: Callable[[CellResult, str], object], where: str = "helping") -> Figure:
    """Return the share of splits whose choice is a hit, in the cells where any candidate helps."""

    def share(cells: Sequence[CellResult]) -> float:
        hits = [bool(hit(x, t)) for x in cells if getattr(x, where) for t in x.chosen]
        return float(np.mean(hits)) if hits else float("nan")

    return share


def _recovered(cells: Sequence[CellResult]) -> float:
    gains = [one.differences["oracle"][0] for one in cells]
    total = sum(gain for gain in gains if gain > 0)
    mine = sum(one.advised[0] for one, gain in zip(cells, gains) if gain > 0)
    return mine / total if total else float("nan")


def _restored(cells: Sequence[CellResult]) -> float:
    return float(np.mean([s["log_loss_ratio"][s["tested"]] for one in cells for s in one.splits]))


FIGURES: dict[str, tuple[Figure, str]] = {  # name -> figure, goal
    "regret, advise": (_mean(lambda x: x.regret()), ""),
    "regret, none": (_mean(lambda x: x.regret("none")), ""),
    "regret, SMOTE 1:1": (_mean(lambda x: x.regret("smote 1")), ""),
    "regret to that of none, all cells": (_ratio("none"), ""),
    "regret to that of none, where a candidate differs": (
        _ratio("none", lambda x: x.differs), "<= 0.6"),
    "regret to that of none, where a candidate helps": (_ratio("none", lambda x: x.helping), ""),
    "regret to that of SMOTE 1:1": (_ratio("smote 1"), "<= 0.25"),
    "mean difference to none": (_mean(lambda x: x.advised[0]), ""),
    "mean difference to none, SMOTE 1:1": (_mean(lambda x: x.differences["smote 1"][0]), ""),
    "cells with a significant loss": (_count(lambda x: _differs(x.advised, -1)), "<= 1"),
    "cells with a significant loss, SMOTE 1:1": (
        _count(lambda x: _differs(x.differences["smote 1"], -1)), ""),
    "cells with a significant gain": (_count(lambda x: _differs(x.advised, 1)), ""),
    "worst relative difference": (
        lambda c: min(x.advised[0] / x.precision("none") for x in c), ">= -0.03"),
    "cells where a candidate helps": (_count(lambda x: bool(x.helping)), ""),
    "splits where a helping candidate is taken": (_taken(lambda x, t: t in x.helping), ">= 0.7"),
    "splits where such a one, or one as far ahead, is taken": (
        _taken(lambda x, t: x.is_as_good(t)), ""),
    "cells where a candidate helps by 3 standard errors": (_count(lambda x: x.helps_surely), ""),
    "splits where a helping candidate is taken, in those cells": (
        _taken(lambda x, t: t in x.helping, "helps_surely"), ""),
    "splits where anything but none is taken, in cells that any helps": (
        _taken(lambda x, t: t != "none"), ""),
    "share of the oracle's gain": (_recovered, ""),
    "log-loss after restoring, to none": (_restored, "<= 1.03"),
}  # fmt: skip
