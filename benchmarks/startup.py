"""Time how long the command line takes to answer: median of ten runs of each command.

python -m benchmarks.startup
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from benchmarks.markdown import table

COMMANDS = ("--help", "--version", "run --help", "list", "show tabular.copula", "sets")


def seconds(command: str, runs: int) -> list[float]:
    """Return the wall seconds of `runs` runs, after one that is not counted."""
    found = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        words = [sys.executable, "-m", "twinset", *command.split()]
        subprocess.run(words, capture_output=True, check=False)
        found.append(time.perf_counter() - start)
    return found[1:]


def main() -> None:
    """Print the table that RESULTS.md shows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    rows = []
    for command in COMMANDS:
        found = seconds(command, parser.parse_args().runs)
        figures = (statistics.median(found), min(found), max(found))
        rows.append([f"`twinset {command}`", *(f"{value:.3f}" for value in figures)])
    print(table(["command", "median s", "min", "max"], rows))


if __name__ == "__main__":
    main()
