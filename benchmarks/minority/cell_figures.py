"""What the cells say in sum: regret, harm, hits, the oracle's gain, calibration, with intervals."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.advising.choice import Difference, choose
from twinset.advising.strategies import Strategy
from twinset.core.seeding import rng_for

Floats = npt.NDArray[np.float64]
Figure = Callable[[Sequence["CellResult"]], float]

LEARNERS = ("finer model", "smoother model")
NOT_CANDIDATES = ("none", "oracle", "smote 1")
N_DRAWS = 4_000
_OVERLAP = 0.4
"""Share of the rare rows that the test parts of two splits of one cell have in common, about."""


@dataclass(frozen=True)
class CellResult:
    """One cell, its splits put together.

    Parameters
    ----------
    set, judge : str
        The cell.
    splits : list of dict
        Lines of the results.
    """

    set: str
    judge: str
    splits: list[dict[str, Any]]

    def precision(self, name: str) -> float:
        """Return the mean average precision of a strategy over the splits."""
        return float(np.mean([s["test_figures"][name][0] for s in self.splits]))

    @cached_property
    def names(self) -> list[str]:
        """Candidates that every split tried, "none" among them."""
        shared = set.intersection(*(set(s["test_figures"]) for s in self.splits))
        return sorted(shared - set(NOT_CANDIDATES)) + ["none"]

    @property
    def chosen(self) -> list[str]:
        """What advise took, split by split."""
        return [s["chosen"] for s in self.splits]

    @cached_property
    def differences(self) -> dict[str, tuple[float, float]]:
        """Return every strategy's mean difference to none and its standard error."""
        return {n: self.difference(n) for n in [*self.names, "smote 1", "oracle"]}

    def difference(self, name: str) -> tuple[float, float]:
        """Return a strategy's mean difference to none and its standard error.

        Splits share rows: the error is that of a mean of values that correlate by their overlap. Where
        splits differ by more than redrawn test rows explain, that spread is taken.
        """
        return self._mean([s["test_figures"][name] for s in self.splits])

    @cached_property
    def advised(self) -> tuple[float, float]:
        """Return the mean difference to none of what advise took, and its standard error."""
        return self._mean([s["test_figures"][s["chosen"]] for s in self.splits])

    def _mean(self, figures: list[list[float]]) -> tuple[float, float]:
        changes = np.array([figure[1] for figure in figures])
        within = float(np.mean([figure[2] ** 2 for figure in figures]))
        n = len(changes)
        between = float(changes.var(ddof=1)) if n > 1 else 0.0
        variance = max(within, between) * (1 + (n - 1) * _OVERLAP) / n
        return float(changes.mean()), float(np.sqrt(variance))

    @cached_property
    def differs(self) -> list[str]:
        """Return the candidates whose difference to none lies beyond its interval."""
        return [n for n in self.names if n != "none" and _beyond(*self.differences[n])]

    @cached_property
    def helping(self) -> list[str]:
        """Return the candidates that help beyond their interval."""
        return [name for name in self.differs if self.differences[name][0] > 0]

    def regret(self, name: str | None = None) -> float:
        """Return what the best candidate of the cell is ahead of a strategy (None: of advise)."""
        best = max(self.differences[candidate][0] for candidate in self.names)
        return best - (self.advised if name is None else self.differences[name])[0]


def read(
    results: Sequence[Path], left_out: Sequence[str] = (), first_split: int = 0
) -> list[CellResult]:
    """Return the cells of files of results, without some candidates or without the first splits."""
    lines = [json.loads(line) for file in results for line in file.read_text().splitlines()]
    lines = [line for line in lines if line["split"] >= first_split]
    cells: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in lines:
        for name in left_out:
            line["inner"].pop(name, None)
            line["test_figures"].pop(name, None)
        line["chosen"], line["challenger"] = _choice(line["inner"])
        cells.setdefault((line["set"], line["judge"]), []).append(line)
    return [CellResult(name, judge, found) for (name, judge), found in cells.items()]


def _choice(inner: dict[str, list[Any]]) -> tuple[str, str]:
    """Return what the rule of today takes of what the races of then saw."""
    finalists = [Strategy(name, "none") for name, found in inner.items() if found[3]]
    seen = {
        name: Difference(mean, error, shrunk, 0.0)
        for name, (mean, error, shrunk, _) in inner.items()
    }
    return choose(finalists, seen)


def figures(cells: Sequence[CellResult]) -> dict[str, dict[str, Any]]:
    """Return every figure with its 95 % interval by redrawing cells, and its goal."""
    table: dict[str, tuple[Figure, str]] = {
        "regret, advise": (lambda c: _mean([x.regret() for x in c]), ""),
        "regret, none": (lambda c: _mean([x.regret("none") for x in c]), ""),
        "regret, SMOTE 1:1": (lambda c: _mean([x.regret("smote 1") for x in c]), ""),
        "regret to that of none, all cells": (lambda c: _ratio(c, c, "none"), ""),
        "regret to that of none, where a candidate differs": (
            lambda c: _ratio(c, [x for x in c if x.differs], "none"),
            "<= 0.6",
        ),
        "regret to that of none, where a candidate helps": (
            lambda c: _ratio(c, [x for x in c if x.helping], "none"),
            "",
        ),
        "regret to that of SMOTE 1:1": (lambda c: _ratio(c, c, "smote 1"), "<= 0.25"),
        "mean difference to none": (lambda c: _mean([x.advised[0] for x in c]), ""),
        "mean difference to none, SMOTE 1:1": (
            lambda c: _mean([x.differences["smote 1"][0] for x in c]),
            "",
        ),
        "cells with a significant loss": (
            lambda c: float(sum(_beyond(*x.advised) and x.advised[0] < 0 for x in c)),
            "<= 1",
        ),
        "cells with a significant loss, SMOTE 1:1": (
            lambda c: float(sum(_loses(x, "smote 1") for x in c)),
            "",
        ),
        "cells with a significant gain": (
            lambda c: float(sum(_beyond(*x.advised) and x.advised[0] > 0 for x in c)),
            "",
        ),
        "worst relative difference": (
            lambda c: min(x.advised[0] / x.precision("none") for x in c),
            ">= -0.03",
        ),
        "cells where a candidate helps": (lambda c: float(sum(bool(x.helping) for x in c)), ""),
        "splits where a helping candidate is taken": (_hits, ">= 0.7"),
        "splits where anything but none is taken, in cells that any helps": (_moves, ""),
        "share of the oracle's gain": (_recovered, ""),
        "log-loss after restoring, to none": (_restored, "<= 1.03"),
    }
    out = {}
    for name, (figure, goal) in table.items():
        rng = rng_for(1, "cells", name)
        draws = []
        for _ in range(N_DRAWS // 4):
            rows = rng.integers(0, len(cells), len(cells))
            draws.append(figure([cells[i] for i in rows]))
        low, high = np.nanquantile(draws, [0.025, 0.975])
        out[name] = {"value": figure(cells), "interval": [float(low), float(high)], "goal": goal}
    return out


def _beyond(mean: float, error: float) -> bool:
    return abs(mean) > 1.96 * error


def _loses(one: CellResult, name: str) -> bool:
    return _beyond(*one.differences[name]) and one.differences[name][0] < 0


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _ratio(every: Sequence[CellResult], cells: Sequence[CellResult], name: str) -> float:
    theirs = _mean([one.regret(name) for one in cells])
    return _mean([one.regret() for one in cells]) / theirs if theirs else float("nan")


def _hits(cells: Sequence[CellResult]) -> float:
    hits = [taken in one.helping for one in cells if one.helping for taken in one.chosen]
    return _mean([float(hit) for hit in hits])


def _moves(cells: Sequence[CellResult]) -> float:
    return _mean([float(t != "none") for one in cells if one.helping for t in one.chosen])


def _recovered(cells: Sequence[CellResult]) -> float:
    gains = [one.differences["oracle"][0] for one in cells]
    total = sum(gain for gain in gains if gain > 0)
    mine = sum(one.advised[0] for one, gain in zip(cells, gains) if gain > 0)
    return mine / total if total else float("nan")


def _restored(cells: Sequence[CellResult]) -> float:
    return _mean([s["log_loss_ratio"][s["challenger"]] for one in cells for s in one.splits])


def tell(results: Sequence[Path]) -> None:
    """Write cells.json and CELLS.md beside this file."""
    cells = read(results)
    found = figures(cells)
    others = {
        "balancing alone": figures(read(results, LEARNERS)),
        "later splits": figures(read(results, first_split=1)),
    }
    folder = Path(__file__).parent
    content = {
        "figures": found,
        "other_figures": others,
        "cells": [
            {
                "set": one.set,
                "judge": one.judge,
                "splits": len(one.splits),
                "train_positives": one.splits[0]["train"][1],
                "test_positives": one.splits[0]["test"][1],
                "base_rate": one.splits[0]["train"][1] / one.splits[0]["train"][0],
                "none": one.precision("none"),
                "advise": one.advised,
                "chosen": one.chosen,
                "differences": one.differences,
                "helping": one.helping,
            }
            for one in cells
        ],
    }
    (folder / "cells.json").write_text(json.dumps(content, indent=1) + "\n")
    (folder / "CELLS.md").write_text(_page(cells, {"all": found, **others}))


def _page(cells: Sequence[CellResult], found: dict[str, dict[str, dict[str, Any]]]) -> str:
    counts = sorted({len(one.splits) for one in cells})
    n_splits = " or ".join(map(str, counts))
    rare = sum(20 <= one.splits[0]["train"][1] <= 200 for one in cells)
    lines = [
        "# Does `twinset advise` choose well?",
        "",
        f"{len(cells)} cells (set x judge) of {n_splits} splits each, {rare} of them with 20 to 200 rare "
        "training rows; written by `python -m benchmarks.minority.cells tell`. Average precision on test "
        "rows; differences are to doing nothing. `*`: the 95 % interval lies clear of 0. The oracle is a "
        "model with as many real rare rows again. Sets are thinned: rates and values are not those of "
        "the full sets. In brackets: "
        "95 % interval over cells. *Balancing alone*: as if other settings of the model had not been "
        "tried. *Later splits*: without the first split of each cell, on which, mostly, the 1.2 standard "
        "errors of the rule were picked. With so few cells the intervals are wide, and that is a finding "
        "too.",
        "",
        f"| figure | {' | '.join(found)} | goal |",
        f"|---|{'---|' * len(found)}---|",
    ]
    for name, entry in found["all"].items():
        every = " | ".join(_cell(figures[name]) for figures in found.values())
        lines.append(f"| {name} | {every} | {entry['goal']} |")
    lines += [
        "",
        "| set | judge | rare rows: train, test | none | advise | took | best | SMOTE 1:1 | oracle |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in cells:
        gains = {name: one.differences[name][0] for name in one.names if name != "none"}
        best = max(gains, key=gains.__getitem__)
        lines.append(
            f"| {one.set} | {one.judge} | {one.splits[0]['train'][1]}, {one.splits[0]['test'][1]} "
            f"| {one.precision('none'):.3f} | {_told(*one.advised)} | {', '.join(one.chosen)} "
            f"| {_told(*one.differences[best])} {best} | {_told(*one.difference('smote 1'))} "
            f"| {_told(*one.difference('oracle'))} |"
        )
    return "\n".join(lines) + "\n"


def _cell(entry: dict[str, Any]) -> str:
    low, high = entry["interval"]
    return f"{entry['value']:.3g} ({low:.3g} to {high:.3g})"


def _told(mean: float, error: float) -> str:
    star = "\\*" if _beyond(mean, error) else ""
    return f"{mean:+.3f}{star}"
