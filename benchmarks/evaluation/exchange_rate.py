"""Is the exchange rate right? Fresh real rows must be worth 1,000, copies and noise nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pandas as pd

from benchmarks.markdown import table
from benchmarks.runner import Row, Settings, cpu_seconds
from benchmarks.tabular.sets import load
from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.measurement.comparison import shuffle_columns
from twinset.registry import build

TRUTH = 1000.0  # the metric reports the worth of 1,000 candidate rows
METRIC = "utility.exchange_rate"
FRESH = "fresh real rows"
# set, rows of train and of the candidate, rows of the holdout
SPLITS = (("adult", 4_000, 12_000), ("adult", 8_000, 16_000), ("magic", 3_000, 8_000),
          ("shoppers", 3_000, 6_000))  # fmt: skip


def _twin(train: Dataset, repeat: int, name: str) -> Dataset:
    fitted = build("generator", name, {}).fit(train, rng_for(repeat, "fit", name))
    return fitted.sample(len(train), rng_for(repeat, "sample", name))


OTHERS: dict[str, Callable[[Dataset, int], Dataset]] = {
    "independent columns": lambda train, k: shuffle_columns(train, rng_for(k, "floor")),
    "the train rows again": lambda train, k: train,
    "tabular.trees": lambda train, k: _twin(train, k, "tabular.trees"),
    "tabular.copula": lambda train, k: _twin(train, k, "tabular.copula"),
}


def jobs(options: Settings) -> list[Row]:
    """Return random cuts of each table: fresh rows in every repeat, the others in the first ones."""
    return [
        {"set": name, "train": train, "holdout": holdout, "repeat": repeat, "candidate": candidate}
        for name, train, holdout in SPLITS
        for repeat in range(options.repeats)
        for candidate in (FRESH, *(OTHERS if repeat < options.others else ()))
    ]


@cache
def _whole(name: str) -> tuple[Dataset, str]:
    found = load(name)
    frame = pd.concat([found.train, found.holdout], ignore_index=True)
    texts = dict.fromkeys(found.roles.categories, str)
    return Dataset.from_arrow(frame.astype(texts)), found.roles.target


def measure(job: Row) -> Row:
    """Return the rate of one candidate, the reach of its 95 % interval, and CPU seconds."""
    whole, target = _whole(job["set"])
    repeat, n, name = job["repeat"], job["train"], job["candidate"]
    order = rng_for(repeat, "exchange", job["set"]).permutation(len(whole))
    ends = [n, 2 * n, 2 * n + job["holdout"]]
    train, fresh, holdout = (whole.take(rows) for rows in np.split(order, ends)[:3])
    candidate = fresh if name == FRESH else OTHERS[name](train, repeat)
    found: list[Measurement] = []

    def compute() -> None:
        comparison = Comparison(train, candidate, holdout, target=target, cache={})
        try:
            metric = build("metric", METRIC, {})
            found.append(metric.compute(comparison, rng_for(repeat, "measure", METRIC)))
        except NotMeasurable:
            pass

    row = {**job, "rate": None, "reach": None, "seconds": cpu_seconds(compute)}
    for one in found:
        row |= {"rate": one.value, "reach": 1.96 * float(np.std(one.replicates, ddof=1))}
    return row


def blocks(rows: Sequence[Row]) -> dict[str, str]:
    """Return how often the truth is covered for real rows, and the worth of the others."""
    frame, lines = pd.DataFrame(rows), []
    for (name, train, candidate), own in frame.groupby(["set", "train", "candidate"], sort=False):
        known = own.dropna(subset=["rate"]).astype({"rate": float, "reach": float})
        if len(known):
            covered = (abs(known.rate - TRUTH) <= known.reach).mean()
            above = (known.rate - known.reach > 0).mean()
            lines.append([
                name, f"{train:,}", f"{own.holdout.iloc[0]:,}", candidate, len(own), len(known),
                f"{known.rate.median():,.0f}", f"{known.rate.std():,.0f}",
                f"{known.reach.median():,.0f}", f"{covered:.2f}", f"{above:.2f}",
                f"{own.seconds.median():.1f}",
            ])  # fmt: skip
    head = ["set", "train", "holdout", "candidate", "repeats", "measured", "median", "sd",
            "median reach (±)", "covered", "above 0", "CPU s"]  # fmt: skip
    return {"rates": table(head, lines)}
