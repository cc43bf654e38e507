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


def main() -> None:
    """Print the table that RESULTS.md shows; the first run of a command is not counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    runs, rows = parser.parse_args().runs, []
    for command in COMMANDS:
        found = []
        for _ in range(runs + 1):
            start = time.perf_counter()
            words = [sys.executable, "-m", "twinset", *command.split()]
            subprocess.run(words, capture_output=True, check=False)
            found.append(time.perf_counter() - start)
        figures = [f"{f(found[1:]):.3f}" for f in (statistics.median, min, max)]
        rows.append([f"`twinset {command}`", *figures])
    print(table(["command", "median s", "min", "max"], rows))


if __name__ == "__main__":
    main()
