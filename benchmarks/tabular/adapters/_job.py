"""What every adapter shares: read the job, time fit and sample, write rows and costs.

An adapter is run as ``python <adapter>.py job.json`` by the interpreter of the peer it adapts, so
this file needs pandas and pyarrow and nothing of the repository. A job holds

    train   path of a parquet file          categories  names of the categorical columns
    out     path of the rows to write       target      name of the target
    costs   path of the costs to write      rows, seed  how many rows, from which seed
    method  the name after the adapter's    threads     most threads to use

Times are wall seconds and CPU seconds of this process and its ended children; importing the
library and reading the file are not counted. The peak of memory is the process's own high-water
mark; `base_mb` is what stood before the fit.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

Fit = Callable[[pd.DataFrame, dict[str, Any]], Callable[[int], pd.DataFrame]]


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and its ended children."""
    own, children = (
        resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def peak_mb() -> float:
    """Return the most memory this process or an ended child of it held, in MB (Linux)."""
    # The kernel's own figure for a process (ru_maxrss) also holds what its parent had when it was
    # forked; VmHWM begins with the program.
    status = Path("/proc/self/status").read_text()
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def run(fit: Fit, packages: tuple[str, ...], prepare: Callable[[dict[str, Any]], None]) -> None:
    """Run the job named on the command line.

    Parameters
    ----------
    fit : callable
        Takes the train frame and the job, returns a function from a number of rows to a frame.
    packages : tuple of str
        Distributions whose versions are recorded.
    prepare : callable
        Imports what the fit needs, before the clocks start.
    """
    job = json.loads(Path(sys.argv[1]).read_text())
    train = pd.read_parquet(job["train"])
    prepare(job)
    base = peak_mb()
    started = (time.perf_counter(), cpu_seconds())
    sample = fit(train, job)
    fitted = (time.perf_counter(), cpu_seconds())
    rows = sample(job["rows"])
    done = (time.perf_counter(), cpu_seconds())
    rows.to_parquet(job["out"], index=False)
    costs = {
        "fit_wall": fitted[0] - started[0],
        "fit_cpu": fitted[1] - started[1],
        "sample_wall": done[0] - fitted[0],
        "sample_cpu": done[1] - fitted[1],
        "peak_mb": peak_mb(),
        "base_mb": base,
        "threads": int(os.environ.get("OMP_NUM_THREADS", "0")),
        "versions": {name: _version(name) for name in packages},
    }
    Path(job["costs"]).write_text(json.dumps(costs))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
