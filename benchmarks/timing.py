"""Cost of code: CPU seconds, memory, and functions run in a process of their own."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def cpu_seconds(job: Callable[[], Any]) -> float:
    """Return the CPU seconds of one call."""
    start = time.process_time()
    job()
    return time.process_time() - start


def calls_per_second(
    jobs: Mapping[str, Callable[[int], Any]], seconds: float, rounds: int
) -> dict[str, float]:
    """Return calls a CPU second of each job: the median over rounds, each of which runs every job."""
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for k in range(rounds):
        for name, job in jobs.items():
            n, start = 0, time.process_time()
            while time.process_time() - start < seconds / rounds:
                job(1000 * k + n)
                n += 1
            found[name].append(n / (time.process_time() - start))
    return {name: statistics.median(values) for name, values in found.items()}


def in_own_process(module: str, *words: object) -> Any:
    """Return the JSON that ``python -m module words`` prints last, run on one thread."""
    command = [sys.executable, "-W", "ignore", "-m", module, *map(str, words)]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | threads
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def peak_mb() -> float:
    """Return the largest memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory_mb(name: str) -> float:
    """Return a line of ``/proc/self/status`` in MB: VmRSS is held now, VmHWM the peak (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"This system does not report {name}.")


def touch_memory(n_bytes: int) -> None:
    """Make a virtual machine fetch memory from its host before the clock runs, not meanwhile."""
    room = np.empty(n_bytes, dtype=np.uint8)
    room[::4096] = 1  # one byte a page
