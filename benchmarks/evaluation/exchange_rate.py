"""Is the exchange rate right? Fresh real rows must be worth 1,000, copies and noise nothing.

    python -m benchmarks.evaluation.exchange_rate --to benchmarks/evaluation

writes `exchange_rate.json` and `exchange_rate.md`: on each table, repeated random cuts into train,
candidate and holdout rows; the candidate is fresh real rows in every repeat, and in the first ones
also independent columns, the train rows again, and twins.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.tabular import sets
from twinset.core.contracts import Comparison, Metric, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.measurement.comparison import independent_columns
from twinset.registry import build

TRUTH = 1000.0
METRIC = "utility.exchange_rate"
LIBRARIES = ("twinset", "numpy", "scipy", "scikit-learn", "pyarrow", "pandas")


@dataclass(frozen=True)
class Cut:
    """How many rows of a table take which part.

    Parameters
    ----------
    name : str
        Name of the table.
    train, holdout : int
        Rows of the train part, of the candidate too, and of the holdout.
    """

    name: str
    train: int
    holdout: int


CUTS = (
    Cut("adult", 4_000, 12_000),
    Cut("adult", 8_000, 16_000),
    Cut("magic", 3_000, 8_000),
    Cut("shoppers", 3_000, 6_000),
)


def main() -> None:
    """Run all repeats and write the two files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=Path(__file__).parent)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--twins", type=int, default=5, help="repeats with other candidates")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for cut in CUTS:
        rows += measured(cut, repeats=given.repeats, twins=given.twins)
        found = {"machine": machine(), "cuts": [vars(cut) for cut in CUTS], "rows": rows}
        (given.to / "exchange_rate.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        (given.to / "exchange_rate.md").write_text(table(found), "utf-8")


def measured(cut: Cut, *, repeats: int, twins: int) -> Iterator[dict[str, Any]]:
    """Yield one result for each repeat and candidate."""
    whole, target = _whole(cut.name)
    for repeat in range(repeats):
        order = rng_for(repeat, "exchange", cut.name).permutation(len(whole))
        ends = np.cumsum([cut.train, cut.train, cut.holdout])
        train, fresh, holdout = (
            whole.take(rows) for rows in np.split(order[: min(ends[-1], len(order))], ends[:2])
        )
        cache: dict[str, Any] = {}
        for name in ("fresh real rows", *(OTHERS if repeat < twins else ())):
            candidate = fresh if name == "fresh real rows" else OTHERS[name](train, repeat)
            told = Comparison(train, candidate, holdout, target=target, cache=cache)
            yield {
                "set": cut.name,
                "train": cut.train,
                "repeat": repeat,
                "candidate": name,
                **_rate(told, repeat),
            }


def _rate(told: Comparison, repeat: int) -> dict[str, Any]:
    metric = build("metric", METRIC, {})
    assert isinstance(metric, Metric)
    start = time.process_time()
    try:
        found = metric.compute(told, rng_for(repeat, "measure", METRIC))
    except NotMeasurable:
        return {
            "rate": None,
            "reach": None,
            "seconds": time.process_time() - start,
        }
    return {
        "rate": found.value,
        "reach": 1.96 * float(np.std(found.replicates, ddof=1)),
        "seconds": time.process_time() - start,
    }


def _twin(name: str, train: Dataset, repeat: int) -> Dataset:
    generator = build("generator", name, {})
    fitted = generator.fit(train, rng_for(repeat, "fit", name))
    made: Dataset = fitted.sample(len(train), rng_for(repeat, "sample", name))
    return made


OTHERS: dict[str, Callable[[Dataset, int], Dataset]] = {
    "independent columns": lambda train, repeat: independent_columns(
        train, rng_for(repeat, "floor")
    ),
    "the train rows again": lambda train, repeat: train,
    "tabular.trees": lambda train, repeat: _twin("tabular.trees", train, repeat),
    "tabular.copula": lambda train, repeat: _twin("tabular.copula", train, repeat),
}


def _whole(name: str) -> tuple[Dataset, str]:
    found = sets.load(name)
    frame = pd.concat([found.train, found.holdout], ignore_index=True)
    for column in found.roles.categories:
        frame[column] = frame[column].astype(str)
    return Dataset.from_arrow(frame), found.roles.target


def table(found: Mapping[str, Any]) -> str:
    """Return the results as Markdown: coverage of the truth for real rows, worth of the others."""
    frame = pd.DataFrame(found["rows"])
    lines = [
        "# Exchange rate",
        "",
        "Worth of 1,000 candidate rows in real rows. Fresh real rows are worth 1,000 by definition.",
        "`covered`: share of repeats whose 95 % interval holds 1,000. `above 0`: share whose whole",
        "interval lies above 0.",
        "",
        "| set | train | holdout | candidate | repeats | told | median | sd | median reach (±) | covered "
        "| above 0 | CPU s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cut in found["cuts"]:
        for name in ("fresh real rows", *OTHERS):
            own = (frame["set"] == cut["name"]) & (frame.train == cut["train"])
            part = frame[own & (frame.candidate == name)]
            told = part.dropna(subset=["rate"])
            if not len(told):
                continue
            covered = (abs(told.rate - TRUTH) <= told.reach).mean()
            above = (told.rate - told.reach > 0).mean()
            lines.append(
                f"| {cut['name']} | {cut['train']:,} | {cut['holdout']:,} | {name} | {len(part)} | "
                f"{len(told)} | {told.rate.median():,.0f} | {told.rate.std():,.0f} | "
                f"{told.reach.median():,.0f} | {covered:.2f} | {above:.2f} | {part.seconds.median():.1f} |"
            )
    told_by = ", ".join(f"{k} {v}" for k, v in found["machine"].items())
    return "\n".join([*lines, "", f"Measured with {told_by}.", ""])


def machine() -> dict[str, str]:
    """Return what the figures were measured with."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        **{name: version(name) for name in LIBRARIES},
    }


if __name__ == "__main__":
    main()
