"""Answer with SDMetrics' scores of two tables, pair after pair, from one process: importing it costs most.

Run by an environment that has SDMetrics as ``python sdmetrics_scores.py``. Every line of the standard
input is a job, JSON with real, synthetic (parquet) and categories; every line of the output its scores.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import pandas as pd
import sdmetrics
from sdmetrics.reports.single_table import DiagnosticReport, QualityReport


def main() -> None:
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        print(json.dumps(_scores(json.loads(line))), flush=True)


def _scores(job: dict) -> dict:
    real, synthetic = (pd.read_parquet(job[side]) for side in ("real", "synthetic"))
    kinds = {c: "categorical" if c in job["categories"] else "numerical" for c in real.columns}
    metadata = {"columns": {c: {"sdtype": kind} for c, kind in kinds.items()}}
    start = time.process_time()
    found = {}
    for name, report in (("quality", QualityReport()), ("diagnostic", DiagnosticReport())):
        report.generate(real, synthetic, metadata, verbose=False)
        found[name] = report.get_score()
        properties = report.get_properties()
        found |= {f"{name}: {row['Property']}": row["Score"] for _, row in properties.iterrows()}
    return {"version": sdmetrics.__version__, "cpu": time.process_time() - start, "scores": found}


if __name__ == "__main__":
    main()
