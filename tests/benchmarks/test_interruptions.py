"""A sample of the interrupted and concurrent runs of benchmarks/robustness/RESULTS.md."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the runs are forked")
def test_interrupted_and_concurrent_runs_end_with_the_same_bytes() -> None:
    # A process of its own: this one has threads, and is not to be forked.
    words = [sys.executable, "-m", "benchmarks.robustness.interruptions"]
    done = subprocess.run(
        [*words, "--trials", "3", "--pairs", "2"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("| all | 3 |") == done.stdout.count("| all | 2 |") == 1
