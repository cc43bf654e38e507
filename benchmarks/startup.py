"""Time how long the command line takes to answer: median of ten runs of each command.

.venv/bin/python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = (
    ["--help"],
    ["--version"],
    ["run", "--help"],
    ["list"],
    ["show", "tabular.copula"],
    ["sets"],
)


def seconds(command: list[str], runs: int = 10) -> list[float]:
    """Return the wall seconds of `runs` runs, after one that is not counted."""
    taken = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "twinset", *command], capture_output=True, check=False
        )
        taken.append(time.perf_counter() - start)
    return taken[1:]


if __name__ == "__main__":
    print("| command | median s | min | max |\n|---|---|---|---|")
    for command in COMMANDS:
        taken = seconds(command)
        row = f"{statistics.median(taken):.3f} | {min(taken):.3f} | {max(taken):.3f}"
        print(f"| `twinset {' '.join(command)}` | {row} |")
