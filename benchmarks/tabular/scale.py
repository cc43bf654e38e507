"""Fit and sample `tabular.trees` on long tables: seconds, rows a second, peak memory.

    python -m benchmarks.tabular.scale                 # 100 k and 1 M rows x 15
    python -m benchmarks.tabular.scale --rows 10000000 --columns 20

Rows are drawn from a mixture, half of the columns categories (up to 50 levels), half numbers that
depend on them and on one another. Each size runs in a fresh process; the table is made before the
clocks start, and `base` is what stood then.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from importlib import import_module

import numpy as np
import pyarrow as pa

from .adapters._job import peak_mb

SIZES = ((100_000, 15), (1_000_000, 15))


def table(rows: int, columns: int, seed: int = 0) -> pa.Table:
    """Return a made-up table whose columns depend on one another."""
    rng = np.random.default_rng(seed)
    hidden = rng.integers(0, 6, rows).astype(np.int32)
    made: dict[str, pa.Array] = {}
    last = np.zeros(rows, dtype=np.float32)
    for j in range(columns):
        if j % 2 == 0:
            n_levels = (2, 5, 12, 50)[j // 2 % 4]
            codes = (hidden * (j + 3) + rng.poisson(1.5, rows)) % n_levels
            levels = pa.array([f"level {k}" for k in range(n_levels)])
            made[f"c{j}"] = pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), levels)
        else:
            last = 0.6 * last + hidden * ((j % 3) - 1) + rng.normal(size=rows).astype(np.float32)
            made[f"c{j}"] = pa.array(np.round(last, 3).astype(np.float64))
    return pa.table(made)


def measure(rows: int, columns: int) -> dict[str, float]:
    """Return the costs of one fit and of as many rows sampled in chunks, at most a million."""
    from twinset.core.data.dataset import Dataset
    from twinset.core.seeding import rng_for
    from twinset.registry import build

    import_module("sklearn.tree")  # imported by the first fit otherwise
    real, trees = Dataset.from_arrow(table(rows, columns)), build("generator", "tabular.trees", {})
    base, started = peak_mb(), time.perf_counter()
    fitted = trees.fit(real, rng_for(0, "fit"))
    done = time.perf_counter()
    wanted, chunk = min(rows, 1_000_000), trees.chunk_rows
    for k in range(0, wanted, chunk):
        fitted.sample(min(chunk, wanted - k), rng_for(0, "draw", k))
    ended = time.perf_counter()
    return {
        "rows": rows,
        "columns": columns,
        "fit_s": round(done - started, 2),
        "rows_per_s": round(wanted / (ended - done)),
        "base_mb": round(base),
        "peak_mb": round(peak_mb()),
    }


def main() -> int:
    """Run the sizes asked for, each in a process of its own; return the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.tabular.scale", description=__doc__)
    parser.add_argument("--rows", type=int, help="rows; without it 100,000 and 1,000,000")
    parser.add_argument("--columns", type=int, default=15)
    parser.add_argument("--here", action="store_true", help="run in this process")
    options = parser.parse_args()
    if options.here and not options.rows:
        parser.error("--here needs --rows")
    if options.here:
        print(json.dumps(measure(options.rows, options.columns)))
        return 0
    sizes = ((options.rows, options.columns),) if options.rows else SIZES
    for rows, columns in sizes:
        command = [sys.executable, "-m", "benchmarks.tabular.scale", "--here"]
        command += ["--rows", str(rows), "--columns", str(columns)]
        subprocess.run(command, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
