"""Fit and sample `tabular.trees` on long tables: seconds, rows a second, peak memory.

    python -m benchmarks.tabular.scale                 # 100 k and 1 M rows x 15
    python -m benchmarks.tabular.scale --rows 10000000 --columns 20

Rows are drawn from a mixture, half of the columns categories (up to 50 levels), half numbers that
depend on them and on one another. Each size runs in a process of its own; the table is drawn before the
clocks start, and `base_mb` is the memory at that time. Results: printed; benchmarks/RESULTS.md shows them.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pyarrow as pa
import sklearn.tree  # noqa: F401  imported by the first fit otherwise

from benchmarks.runner import Row, crossed, measured, memory_mb
from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.registry import build

MAX_SAMPLED = 1_000_000  # the rate does not change beyond


def mixture(rows: int, columns: int, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    hidden = rng.integers(0, 6, rows).astype(np.int32)
    found: dict[str, pa.Array] = {}
    last = np.zeros(rows, dtype=np.float32)
    for j in range(columns):
        if j % 2 == 0:
            n_levels = (2, 5, 12, 50)[j // 2 % 4]
            codes = (hidden * (j + 3) + rng.poisson(1.5, rows)) % n_levels
            levels = pa.array([f"level {k}" for k in range(n_levels)])
            column = pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), levels)
        else:
            last = 0.6 * last + hidden * ((j % 3) - 1) + rng.normal(size=rows).astype(np.float32)
            column = pa.array(np.round(last, 3).astype(np.float64))
        found[f"c{j}"] = column
    return pa.table(found)


def measure(job: Row) -> Row:
    """Return the costs of one fit and of as many rows sampled in chunks, at most a million."""
    real = Dataset.from_arrow(mixture(job["rows"], job["columns"]))
    trees = build("generator", "tabular.trees", {})
    base, started = memory_mb("VmHWM"), time.perf_counter()
    fitted = trees.fit(real, rng_for(0, "fit"))
    done = time.perf_counter()
    total, chunk = min(job["rows"], MAX_SAMPLED), trees.chunk_rows
    for k in range(0, total, chunk):
        fitted.sample(min(chunk, total - k), rng_for(0, "draw", k))
    seconds, peak = time.perf_counter() - done, memory_mb("VmHWM")
    costs = {"fit_s": round(done - started, 2), "rows_per_s": round(total / seconds)}
    return {**job, **costs, "base_mb": round(base), "peak_mb": round(peak)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--columns", type=int, default=15)
    options = parser.parse_args()
    jobs = crossed(rows=options.rows, columns=[options.columns])
    for row in measured(measure, jobs, fresh=True):
        print(row, flush=True)


if __name__ == "__main__":
    main()
