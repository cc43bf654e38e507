"""CPU seconds and memory of the integrity of a million rows; run it with ``python -m``."""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
import pyarrow as pa

from twinset.core.contracts import Comparison
from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.registry import build

N_REAL = 50_000  # rows of train, and of the holdout


def draw(n: int, seed: int) -> Dataset:
    """Draw 20 columns: a key, a time, 12 numbers, 6 labels."""
    rng = rng_for(seed, "speed")
    base = rng.normal(size=n)
    columns: dict[str, object] = {
        "key": pa.array(np.char.add(f"K{seed}-", np.char.zfill(np.arange(n).astype(str), 7))),
        "at": pa.array((1.7e15 + rng.integers(0, 10**13, n)).astype("datetime64[us]")),
    }
    for i in range(6):
        columns[f"amount_{i}"] = np.exp(base * i / 6 + rng.normal(size=n)).round(2)
        columns[f"count_{i}"] = rng.poisson(np.exp(0.3 * base + i / 2))
        levels = np.array([f"level {j}" for j in range(4 + 8 * i)])
        columns[f"label_{i}"] = pa.DictionaryArray.from_arrays(
            rng.integers(0, len(levels), n), levels
        )
    return Dataset.from_arrow(pa.table(columns))


def main(n: int) -> None:
    """Print the CPU seconds and the memory that the metric adds."""
    train, holdout, synthetic = draw(N_REAL, 1), draw(N_REAL, 2), draw(n, 3)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    metric = build("metric", "integrity.table_rows", {})
    found = metric.compute(Comparison(train, synthetic, holdout), rng_for(0, "speed"))
    spent = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{n:,} x 20: {spent:.1f} CPU s, peak {peak / 2**20:.2f} GiB ({before / 2**20:.2f} before)"
    )
    print(f"share of faulty rows: {found.value}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
