"""SDMetrics' two reports beside every planted fault: does a score leave what real rows get?

`QualityReport` and `DiagnosticReport` compare the rows that hold the fault, up to 12,000, with as many
train rows. The same is done with fresh real rows, for 20 cuts of each table. A score moves when it lies
below all 20 of those: by chance that happens once in 21 times. The reports do not look for leaks.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.evaluation.faults import faults
from benchmarks.evaluation.log import Log
from benchmarks.evaluation.tables import PLACES, Cut, every_row
from benchmarks.tabular.jobs import VENVS

ROWS = 12_000
NULL_CUTS = 20
OVERALL = frozenset({"quality", "diagnostic"})
"""The score of each of the two reports as a whole."""
_FIRST_NULL_SEED = 10_000
_ADAPTER = Path(__file__).parent / "adapters" / "sdmetrics_scores.py"

Job = tuple[str, str, int]
"""A table, the name of a fault (empty: nothing planted) and the seed of the cut."""


def look_beside(jobs: Sequence[Job], log: Log) -> None:
    """Add to the log what SDMetrics says of each job, and of the real rows of each table.

    What the log holds already is not done again. Without the environment nothing is.
    """
    tables = dict.fromkeys(table for table, _, _ in jobs)
    nulls = [null for table in tables for null in _null_jobs(table)]
    leaks = {fault.name for fault in faults() if fault.leak}
    wanted = [*nulls, *(job for job in jobs if job[1] not in leaks)]
    left = [job for job in wanted if job not in log.rows]
    python = VENVS / "sdv" / "bin" / "python"
    if not left or not python.exists():
        return
    with _asking(python) as ask:
        for job in left:
            found = ask(*_sides(job))
            log.add(job, found)
            print(f"SDMetrics, {job}: {found['scores']['quality']:.4f}", flush=True)


def moved(job: Job, log: Log) -> list[str] | None:
    """Return the scores that leave what real rows get, or None where that is not known."""
    nulls = [log.rows[null]["scores"] for null in _null_jobs(job[0]) if null in log.rows]
    if job not in log.rows or len(nulls) < NULL_CUTS:
        return None
    own: Mapping[str, float] = log.rows[job]["scores"]
    return [name for name, score in own.items() if score < min(null[name] for null in nulls)]


def _null_jobs(table: str) -> list[Job]:
    """Return the cuts of a table that hold no fault."""
    return [(table, "", _FIRST_NULL_SEED + k) for k in range(NULL_CUTS)]


def _sides(job: Job) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Return train rows, rows with the fault, and the columns of labels."""
    table, name, seed = job
    places = PLACES[table]
    cut = Cut.of(every_row(table), places.target, seed)
    rows = cut.fresh
    fault = next((f for f in faults() if f.name == name), None)
    if fault is not None:
        rows = fault.plant(rows, cut.train, places, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    n = min(ROWS, len(rows))
    real, made = (part.iloc[rng.permutation(len(part))[:n]] for part in (cut.train, rows))
    labels = [held.name for held in cut.schema.of_kind("category", "boolean")]
    return real.reset_index(drop=True), made.reset_index(drop=True), labels


@contextmanager
def _asking(python: Path) -> Iterator[Any]:
    """Start SDMetrics once and give what asks it about a pair of tables."""
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [str(python), str(_ADAPTER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
        ) as process,
    ):
        asked, told = process.stdin, process.stdout
        assert asked is not None
        assert told is not None
        paths = {side: str(Path(folder) / side) for side in ("real", "synthetic")}

        def ask(real: pd.DataFrame, made: pd.DataFrame, labels: list[str]) -> dict[str, Any]:
            real.to_parquet(paths["real"])
            made.to_parquet(paths["synthetic"])
            asked.write(json.dumps({**paths, "categories": labels}) + "\n")
            asked.flush()
            answer = told.readline()
            if not answer:
                raise RuntimeError("SDMetrics ended; its own message stands above")
            return dict(json.loads(answer))

        try:
            yield ask
        finally:
            asked.close()
