"""Count values of single persons in synthetic rows, beside as many unseen real rows.

    python -m benchmarks.robustness.values --workers 2

Results: VALUES.md and values.json.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.datasets import data_folder
from benchmarks.markdown import table
from benchmarks.runner import Benchmark, Row, crossed, grouped
from benchmarks.tabular.protocol import shape
from benchmarks.tabular.sets import SETS, Roles, code, load
from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.evaluation.privacy.one_person_values import (  # type: ignore[import-not-found, unused-ignore]
    beyond_chance,
    count_one_person_values,
)
from twinset.generation.sampling import fit_source
from twinset.registry import build

HERE = Path(__file__).parent
ROWS = 5_000  # of train and of unseen rows: half of a smaller table each
TABLES = ("heart_uci", "adult", "default", "shoppers", "magic", "beijing")
PROTECTION = {True: "on", False: "off"}
SIGNIFICANCE = 0.01  # of a table's columns together, and of their sum


@cache
def every_row(name: str) -> Dataset:
    """Return all real rows of a table."""
    if name in SETS:
        return Dataset.from_arrow(load(name).train)
    path = data_folder("health", name, "heart.csv")
    with path.open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    numbers = np.array(rows[1:], dtype=float).T
    columns = {n: v if np.any(v % 1) else v.astype(np.int64) for n, v in zip(rows[0], numbers)}
    return Dataset.from_arrow(pa.table(columns))


def measure(job: Row) -> Row:
    """Return counts of values of single persons, and the Shape error against the train rows."""
    real = every_row(job["table"])
    rng = rng_for(job["seed"], "values", job["table"])
    order, n = rng.permutation(len(real)), min(ROWS, len(real) // 2)
    train, unseen = real.take(order[:n]), real.take(order[n : 2 * n])
    source = fit_source(
        build("generator", job["use"], {}),
        train,
        seed=job["seed"],
        path=("values",),
        value_protection=job["protection"],
    )
    synthetic = Dataset.concat(list(source.draw(n)))
    counted = count_one_person_values(train, synthetic, unseen)
    found = {name: one for name, one in counted.items() if one.n_values}
    beyond = beyond_chance(found, SIGNIFICANCE)
    frames = [part.to_pandas() for part in (train, synthetic, unseen)]
    nominal = tuple(f.name for f in real.schema.fields if f.has_levels)
    names = tuple(real.schema.names)
    coded = code(Roles(names, nominal, names[-1]), *frames)
    return {
        **job,
        "rows": n,
        "values": sum(one.n_values for one in found.values()),
        "synthetic": sum(one.kept for one in found.values()),
        "unseen": sum(one.unseen_kept for one in found.values()),
        "beyond": {k: found[k].kept - found[k].unseen_kept for k in beyond},
        "columns": {k: [v.n_values, v.kept, v.unseen_kept] for k, v in found.items()},
        "shape": shape(coded[0], coded[1]).mean,
        "shape_unseen": shape(coded[0], coded[2]).mean,
    }


def blocks(rows: Sequence[Row]) -> dict[str, str]:
    head = ["table", "seed", "values of one person"]
    head += ["in synthetic rows", "in unseen real rows", "columns beyond chance", "Shape error %"]
    found = {}
    for protection, part in grouped(rows, "protection").items():
        lines = [
            [
                row["table"],
                row["seed"],
                f"{row['values']:,}",
                f"{row['synthetic']:,}",
                f"{row['unseen']:,}",
                ", ".join(f"{k} (+{v:,})" for k, v in row["beyond"].items()) or "none",
                f"{100 * row['shape']:.2f}",
            ]
            for row in part
        ]
        found[PROTECTION[protection]] = table(head, lines)
    return found


BENCHMARK = Benchmark(
    results=HERE / "values.json",
    page=HERE / "VALUES.md",
    key=("table", "use", "protection", "seed"),
    jobs=lambda options: crossed(
        table=options.tables,
        use=[options.use],
        protection=[False, True],
        seed=range(options.seeds),
    ),
    measure=measure,
    blocks=blocks,
    settings={"tables": list(TABLES), "use": "tabular.trees", "seeds": 3},
    workers=2,
)

if __name__ == "__main__":
    BENCHMARK.run()
