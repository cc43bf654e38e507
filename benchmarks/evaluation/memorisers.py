"""Put generators that memorise through the privacy metrics, and honest ones.

    python -m benchmarks.evaluation.memorisers                   # 20 seeds, a few minutes
    python -m benchmarks.evaluation.memorisers --seeds 3 --out /tmp

Each seed draws 5,000 train, 5,000 holdout and 5,000 fresh rows of Adult. Whatever is fitted sees
train alone. The frame halves the holdout, so that 2,500 control rows take part. Writes MEMORISERS.md
and memorisers.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.tabular.sets import DataAbsentError, Roles, load
from twinset.core.contracts import Generator, Score
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.seeding import rng_for
from twinset.core.stats.neighbors import nearest
from twinset.measurement.harness import measure
from twinset.registry import build

N_ROWS = 5_000
N_OUTLIERS = 50
METRICS = (
    "privacy.membership",
    "privacy.outliers",
    "privacy.exact_copies",
    "privacy.nearest_record",
)
Memoriser = Callable[["Draw"], Dataset]

_READING = """\
Each seed draws 5,000 train, 5,000 holdout and 5,000 fresh rows of Adult; the frame keeps half of the
holdout for the baseline and 2,500 rows as control. *Flagged* is the share of seeds in which the
verdict is "different", *passed* those in which it is "as good as real"; the rest is "cannot tell".
*Value* is the mean over seeds, its least and greatest in brackets; *interval* is the mean half-width of
the 95 % interval of value less baseline. *Family* is the share of seeds in which any of the metrics
flagged. Memorisers must be flagged in 19 of 20 seeds, the last two rows in at most 1 of 20."""


class Draw:
    """The rows of one seed.

    Parameters
    ----------
    frame : pandas.DataFrame
        All real rows.
    schema : Schema
        What their columns are.
    roles : Roles
        Which columns are numbers and which categories.
    seed : int
        Seed of the draw.
    """

    def __init__(self, frame: pd.DataFrame, schema: Schema, roles: Roles, seed: int) -> None:
        order = rng_for(seed, "memorisers", "rows").permutation(len(frame))
        parts = [frame.iloc[order[i * N_ROWS : (i + 1) * N_ROWS]] for i in range(3)]
        self.schema, self.roles, self.seed = schema, roles, seed
        self.frame = parts[0].reset_index(drop=True)
        self.train, self.holdout, self.fresh = (self.read(part) for part in parts)

    def read(self, frame: pd.DataFrame) -> Dataset:
        """Return rows as a set in the schema of all real rows."""
        return Dataset.from_arrow(frame.reset_index(drop=True), self.schema)

    def rng(self, name: str) -> np.random.Generator:
        """Return a stream of this seed."""
        return rng_for(self.seed, "memorisers", name)


def copied(draw: Draw) -> Dataset:
    """Return train itself."""
    return draw.train


def jittered(draw: Draw) -> Dataset:
    """Return train with -1, 0 or 1 added to every number."""
    frame, rng = draw.frame.copy(), draw.rng("jitter")
    for name in draw.roles.numbers:
        frame[name] += rng.integers(-1, 2, len(frame))
    return draw.read(frame)


def interpolated(draw: Draw) -> Dataset:
    """Return rows on the way from a train row to one of its 5 nearest, as SMOTE-NC makes them.

    Numbers lie between both, rounded; a category is the commonest of the neighbours.
    """
    rng, n = draw.rng("interpolate"), len(draw.frame)
    features = FeatureEncoder.fit(draw.train).transform(draw.train)
    neighbours = nearest(features, features, 6)[1][:, 1:]
    partner = neighbours[np.arange(n), rng.integers(0, 5, n)]
    way = rng.random(n)
    frame = draw.frame.copy()
    for name in draw.roles.numbers:
        values = draw.frame[name].to_numpy(dtype=float)
        frame[name] = np.rint(values + way * (values[partner] - values))
    for name in draw.roles.categories:
        codes, levels = pd.factorize(draw.frame[name])
        counts = np.zeros((n, len(levels)))
        for column in neighbours.T:
            counts[np.arange(n), codes[column]] += 1
        frame[name] = np.asarray(levels)[counts.argmax(axis=1)]
    return draw.read(frame)


def honest(draw: Draw) -> Dataset:
    """Return a twin by `tabular.copula`, which learns one-column laws and correlations."""
    generator = build("generator", "tabular.copula", {})
    assert isinstance(generator, Generator)
    fitted = generator.fit(draw.train, draw.rng("fit"))
    return replace(fitted.sample(N_ROWS, draw.rng("sample")), schema=draw.schema)


def with_outliers(draw: Draw) -> Dataset:
    """Return the same twin with 1 % of its rows replaced by the most isolated train rows, verbatim."""
    return _planted(draw, _most_alone(draw)[:N_OUTLIERS])


def with_some_outliers(draw: Draw) -> Dataset:
    """Return the same with 50 of the 250 most isolated train rows."""
    rows = _most_alone(draw)[: 5 * N_OUTLIERS]
    return _planted(draw, draw.rng("some").choice(rows, N_OUTLIERS, replace=False))


def fresh(draw: Draw) -> Dataset:
    """Return real rows that are in neither part."""
    return draw.fresh


CANDIDATES: Mapping[str, Memoriser] = {
    "copy of train": copied,
    "copy, every number ±1": jittered,
    "interpolation (SMOTE-NC, k = 5)": interpolated,
    "copula twin, 1 % most isolated rows verbatim": with_outliers,
    "copula twin, 1 % verbatim out of the 5 % most isolated": with_some_outliers,
    "copula twin": honest,
    "fresh real rows": fresh,
}


def scores(draw: Draw, candidate: Dataset, metrics: Sequence[str] = METRICS) -> dict[str, Score]:
    """Return the scores of one candidate by metric."""
    built: list[Any] = [(name, build("metric", name, {})) for name in metrics]
    found = measure(
        train=draw.train,
        synthetic=candidate,
        holdout=draw.holdout,
        metrics=built,
        seed=draw.seed,
    )
    return {score.metric: score for score in found}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the markdown table of flat results, one row a candidate and metric."""
    lines = [
        "| candidate | metric | value | interval | flagged | passed | family |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["candidate"] for row in rows):
        own = [row for row in rows if row["candidate"] == name]
        caught = {row["seed"] for row in own if row["verdict"] == "different"}
        n_seeds = len({row["seed"] for row in own})
        for metric in dict.fromkeys(row["metric"] for row in own):
            found = [row for row in own if row["metric"] == metric]
            values = np.array([row["value"] for row in found])
            half = np.mean([(row["interval"][1] - row["interval"][0]) / 2 for row in found])
            flagged, passed = (
                sum(row["verdict"] == verdict for row in found)
                for verdict in ("different", "as good as real")
            )
            lines.append(
                f"| {name} | {metric} | {values.mean():.3f} ({values.min():.3f}-{values.max():.3f}) "
                f"| ±{half:.3f} | {flagged}/{n_seeds} | {passed}/{n_seeds} "
                f"| {len(caught)}/{n_seeds} |"
            )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args(arguments)
    try:
        adult = load("adult")
    except DataAbsentError as absent:
        print(absent, file=sys.stderr)
        return 2
    frame = pd.concat([adult.train, adult.holdout], ignore_index=True)
    schema = Dataset.from_arrow(frame).schema
    rows: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        draw = Draw(frame, schema, adult.roles, seed)
        for name, make in CANDIDATES.items():
            found = scores(draw, make(draw))
            rows += [_row(seed, name, score) for score in found.values()]
        print(f"seed {seed} done", flush=True)
    _write(options.out, rows)
    return 0


def _most_alone(draw: Draw) -> npt.NDArray[np.int64]:
    features = FeatureEncoder.fit(draw.train).transform(draw.train)
    return np.asarray(np.argsort(-nearest(features, features, 2)[0][:, 1], kind="stable"))


def _planted(draw: Draw, rows: npt.NDArray[np.int64]) -> Dataset:
    plain, made = draw.train.take(rows).to_arrow(), honest(draw).slice(0, N_ROWS - len(rows))
    return Dataset.concat([made.without_reserved(), Dataset.from_arrow(plain, draw.schema)])


def _row(seed: int, name: str, score: Score) -> dict[str, Any]:
    kept = ("auc", "true_alarms_at_1_percent_false", "ranking_auc", "more_come_back_than_chance")
    return {
        "candidate": name,
        "seed": seed,
        "metric": score.metric,
        "value": score.value,
        "baseline": score.baseline,
        "interval": score.interval,
        "verdict": score.verdict,
        **{key: score.details[key] for key in kept if key in score.details},
    }


def _write(out: Path, rows: list[dict[str, Any]]) -> None:
    libraries = ("numpy", "scipy", "pandas", "pyarrow", "twinset")
    versions = {name: version(name) for name in libraries}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    about = {"machine": machine, "versions": versions}
    listed = ", ".join(f"{name} {number}" for name, number in versions.items())
    text = f"# Memorisers\n\n{_READING}\n\n{table(rows)}\n\n{machine}; {listed}.\n"
    (out / "MEMORISERS.md").write_text(text, encoding="utf-8")
    (out / "memorisers.json").write_text(
        json.dumps(about | {"rows": rows}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    sys.exit(main())
