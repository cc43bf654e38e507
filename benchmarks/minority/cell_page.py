"""The page of the cells: CELLS.md and cells.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.minority.cell_figures import LEARNERS, CellResult, figures, is_beyond, read
from benchmarks.minority.noise import told

NOISE = Path(__file__).parent / "noise.jsonl"


def tell(results: Sequence[Path]) -> None:
    """Write cells.json and CELLS.md beside this file."""
    cells = read(results)
    found = figures(cells)
    others = {
        "balancing alone": figures(read(results, LEARNERS)),
        "later splits": figures(read(results, first_split=1)),
        "boosted": figures([one for one in cells if one.judge == "boosted"]),
        "linear": figures([one for one in cells if one.judge == "linear"]),
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
        "errors of the rule were picked; other rules were then looked at on further splits (10 to 12) and "
        "held against these: none was better here, see docs/decisions/0015. About twenty ways are tried in "
        "each cell, so some help beyond a 95 % interval by chance alone: the rows of 3 standard errors "
        "leave these out. What advise takes is told from the trials by the rule of today. With so few "
        "cells the intervals are wide, and that is a finding too.",
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
    by_lot = told(NOISE)
    return "\n".join([*lines, *(["", by_lot] if by_lot else [])]) + "\n"


def _cell(entry: dict[str, Any]) -> str:
    low, high = entry["interval"]
    return f"{entry['value']:.3g} ({low:.3g} to {high:.3g})"


def _told(mean: float, error: float) -> str:
    star = "\\*" if is_beyond(mean, error) else ""
    return f"{mean:+.3f}{star}"
