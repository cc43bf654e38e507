"""Does `advise` take a way to balance on tables whose columns tell nothing of the label?

    python -m benchmarks.minority.noise --judge linear --tables 60 --results benchmarks/minority/noise.jsonl

One line a table is added to the file; `python -m benchmarks.minority.cells tell` counts them in CELLS.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from twinset.core.seeding import rng_for
from twinset.registry import component_names
from twinset.workflows.advise.cross_validation import Bench
from twinset.workflows.advise.folds import outer_cut
from twinset.workflows.advise.labelled_table import Columns, open_case
from twinset.workflows.advise.select_strategy import race
from twinset.workflows.advise.strategies import candidates

SHAPES = ((1_500, 0.06), (3_000, 0.03), (6_000, 0.02), (2_500, 0.1))
"""Rows and share of rare ones, in turn."""


def noise(number: int) -> pa.Table:
    """Return a table of three normal and three lognormal columns and a category, and a label by lot."""
    rng = rng_for(number, "noise")
    n, share = SHAPES[number % len(SHAPES)]
    normal = {f"x{i}": rng.normal(size=n) for i in range(3)}
    skewed = {f"y{i}": rng.lognormal(size=n) for i in range(3)}
    kind = rng.choice(list("abcdef"), n)
    return pa.table(
        {**normal, **skewed, "kind": kind, "fraud": (rng.random(n) < share).astype(int)}
    )


def taken(number: int, judge: str) -> dict[str, Any]:
    """Return what is taken on one table."""
    case = open_case(noise(number), Columns(target="fraud", positive="1"))
    cut = outer_cut(case, 0.3, None, rng_for(number, "advise", "split"))
    share = float(case.truth[cut.train].mean())
    tried = candidates(component_names("generator"), None, share)
    found = race(Bench(case, number), cut.train, tried, judge)
    return {
        "table": number,
        "judge": judge,
        "train": [len(cut.train), int(case.truth[cut.train].sum())],
        "chosen": found.chosen,
        "is_chance": found.is_chance,
    }


def told(results: Path) -> str:
    """Return what a file of results says, in one sentence; empty where there is none."""
    if not results.exists():
        return ""
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    parts = []
    for judge in sorted({line["judge"] for line in lines}):
        mine = [line for line in lines if line["judge"] == judge]
        moved = sum(line["chosen"] != "none" for line in mine)
        parts.append(f"{judge}: {moved} of {len(mine)}")
    rare = [line["train"][1] for line in lines]
    return (
        f"Tables of noise, {min(rare)} to {max(rare)} rare training rows, on which anything but none is "
        f"taken (`python -m benchmarks.minority.noise`): {'; '.join(parts)}."
    )


def main() -> None:
    """Read the arguments and run the tables that the file does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judge", default="linear")
    parser.add_argument("--tables", type=int, default=60)
    parser.add_argument("--results", type=Path, required=True)
    given = parser.parse_args()
    done = set()
    if given.results.exists():
        lines = [json.loads(line) for line in given.results.read_text().splitlines()]
        done = {(line["table"], line["judge"]) for line in lines}
    for number in range(given.tables):
        if (number, given.judge) not in done:
            line = taken(number, given.judge)
            with given.results.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(given.judge, number, line["chosen"], flush=True)


if __name__ == "__main__":
    main()
