"""Make SDMetrics' two reports of two tables: scores, single columns and their cost.

Run by an environment that has SDMetrics as ``python for_sdmetrics.py job.json``; the job holds real,
synthetic (parquet), categories, out.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import pandas as pd
import sdmetrics
from sdmetrics.reports.single_table import DiagnosticReport, QualityReport


def main() -> None:
    warnings.simplefilter("ignore")
    job = json.loads(Path(sys.argv[1]).read_text())
    real, synthetic = (pd.read_parquet(job[side]) for side in ("real", "synthetic"))
    kinds = {c: "categorical" if c in job["categories"] else "numerical" for c in real.columns}
    metadata = {"columns": {c: {"sdtype": kind} for c, kind in kinds.items()}}
    reports = {"quality": QualityReport(), "diagnostic": DiagnosticReport()}
    start, scores = time.process_time(), {}
    for report in reports.values():
        report.generate(real, synthetic, metadata, verbose=False)
    seconds = time.process_time() - start
    for name, report in reports.items():
        scores[name] = report.get_score()
        for _, row in report.get_properties().iterrows():
            scores[f"{name}: {row['Property']}"] = row["Score"]
    shapes = reports["quality"].get_details("Column Shapes")
    found = {
        "version": sdmetrics.__version__,
        "cpu": seconds,
        "scores": scores,
        "shape": {row["Column"]: 1 - row["Score"] for _, row in shapes.iterrows()},
    }
    Path(job["out"]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
