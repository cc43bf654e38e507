"""Make SDMetrics' two reports of two tables, and say what they cost.

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
    start = time.process_time()
    quality, diagnostic = QualityReport(), DiagnosticReport()
    quality.generate(real, synthetic, metadata, verbose=False)
    diagnostic.generate(real, synthetic, metadata, verbose=False)
    seconds = time.process_time() - start
    shapes = quality.get_details("Column Shapes")
    found = {
        "version": sdmetrics.__version__,
        "cpu": seconds,
        "shape": {row["Column"]: 1 - row["Score"] for _, row in shapes.iterrows()},
    }
    Path(job["out"]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
