"""SDMetrics' two reports of the rows with a fault: which scores leave the range of real rows?

A score moves when it lies below those of fresh real rows in all of 20 cuts, which happens by chance once
in 21 times. The reports do not look for leaks.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.evaluation.table_faults import TABLE_FAULTS, planted_cut
from benchmarks.markdown import NOTHING, percent
from benchmarks.runner import Row
from benchmarks.tabular.jobs import VENVS

ROWS = 12_000  # a side; the reports of more rows take minutes each
NULL_CUTS = 20  # a score below all of them is significant at 5 %
FIRST_NULL_SEED = 10_000  # far from the seeds of faults
_ADAPTER = Path(__file__).parent / "adapters" / "for_sdmetrics.py"


def moved_scores(job: Row) -> list[str] | None:
    """Return the scores below all that real rows get; None for leaks or without SDMetrics."""
    if TABLE_FAULTS.get(job["fault"], {}).get("leak") or not python().exists():
        return None
    return moved(scores_of(*_frames(job))["scores"], real_scores(job["set"]))


def moved(scores: dict[str, float], nulls: Sequence[dict[str, float]]) -> list[str]:
    """Return the names of the scores that lie below all those of real rows."""
    return [name for name, score in scores.items() if score < min(null[name] for null in nulls)]


def share_moved(rows: Sequence[Row]) -> str:
    """Return how often an overall score of SDMetrics moves, in brackets any property too."""
    known = [row["sdmetrics"] for row in rows if row["sdmetrics"] is not None]
    if not known:
        return NOTHING
    overall = percent([bool({"quality", "diagnostic"} & set(names)) for names in known])
    return f"{overall} ({percent([bool(names) for names in known])})"


def python() -> Path:
    """Return the interpreter of the peer's environment; it need not exist."""
    return VENVS / "sdv" / "bin" / "python"


@cache
def real_scores(name: str) -> list[dict[str, float]]:
    nulls = [{"set": name, "fault": "", "seed": FIRST_NULL_SEED + k} for k in range(NULL_CUTS)]
    return [scores_of(*_frames(job))["scores"] for job in nulls]


def scores_of(real: pd.DataFrame, synthetic: pd.DataFrame, labels: Sequence[str]) -> dict[str, Any]:
    """Return version, CPU seconds, scores and single columns that SDMetrics reports of two tables."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {side: str(Path(folder) / side) for side in ("real", "synthetic", "out", "job")}
        real.to_parquet(paths["real"])
        synthetic.to_parquet(paths["synthetic"])
        Path(paths["job"]).write_text(json.dumps({**paths, "categories": list(labels)}))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        subprocess.run([python(), _ADAPTER, paths["job"]], check=True, env=environment)
        return dict(json.loads(Path(paths["out"]).read_text()))


def _frames(job: Row) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Return train rows, rows with the fault, and the columns of labels."""
    (cut, rows, _), rng = planted_cut(job), np.random.default_rng(job["seed"])
    n = min(ROWS, len(rows))
    real, synthetic = (part.iloc[rng.permutation(len(part))[:n]] for part in (cut.train, rows))
    labels = [field.name for field in cut.schema.of_kind("category", "boolean")]
    return real.reset_index(drop=True), synthetic.reset_index(drop=True), labels
