"""What the command line and long tables cost."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import sklearn.tree  # noqa: F401  imported by the first fit otherwise

from benchmarks.runner import Row, memory_mb
from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.registry import build

MAX_SAMPLED = 1_000_000  # the rate does not change beyond


def measure_startup(job: Row) -> Row:
    """Return how long a command takes to answer; its first run is not counted."""
    seconds = []
    for _ in range(job["runs"] + 1):
        start = time.perf_counter()
        words = [sys.executable, "-m", "twinset", *job["command"].split()]
        subprocess.run(words, capture_output=True, check=False)
        seconds.append(time.perf_counter() - start)
    found = {f.__name__: f(seconds[1:]) for f in (statistics.median, min, max)}
    return {"command": job["command"], **found}


def mixture(rows: int, columns: int, seed: int = 0) -> pa.Table:
    """Return rows of six groups: categories of up to 50 levels, and numbers that depend on them."""
    rng = np.random.default_rng(seed)
    hidden = rng.integers(0, 6, rows).astype(np.int32)
    found: dict[str, pa.Array] = {}
    last = np.zeros(rows, dtype=np.float32)
    for j in range(columns):
        if j % 2 == 0:
            n_levels = (2, 5, 12, 50)[j // 2 % 4]
            codes = (hidden * (j + 3) + rng.poisson(1.5, rows)) % n_levels
            levels = pa.array([f"level {k}" for k in range(n_levels)])
            found[f"c{j}"] = pa.DictionaryArray.from_arrays(
                pa.array(codes.astype(np.int32)), levels
            )
        else:
            last = 0.6 * last + hidden * ((j % 3) - 1) + rng.normal(size=rows).astype(np.float32)
            found[f"c{j}"] = pa.array(np.round(last, 3).astype(np.float64))
    return pa.table(found)


def measure_long_tables(job: Row) -> Row:
    """Return the costs of one fit of `tabular.trees` and of at most a million rows, in chunks."""
    real = Dataset.from_arrow(mixture(job["rows"], job["columns"]))
    trees = build("generator", "tabular.trees", {})
    base, started = memory_mb("VmHWM"), time.perf_counter()
    fitted = trees.fit(real, rng_for(0, "fit"))
    done = time.perf_counter()
    total, chunk = min(job["rows"], MAX_SAMPLED), trees.chunk_rows
    for k in range(0, total, chunk):
        fitted.sample(min(chunk, total - k), rng_for(0, "draw", k))
    seconds, peak = time.perf_counter() - done, memory_mb("VmHWM")
    costs = {"fit_s": done - started, "rows_per_s": total / seconds}
    return {**job, **costs, "base_mb": base, "peak_mb": peak}
