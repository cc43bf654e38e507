"""Score two tables with SDMetrics 0.11.1 itself: Shape, Trend and logistic detection.

Run by the environment "sdmetrics" as ``python check_sdmetrics.py job.json``; the job holds real,
synthetic (parquet), categories, out.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import pandas as pd
from sdmetrics.reports.single_table import QualityReport
from sdmetrics.single_table import LogisticDetection


def main() -> None:
    warnings.simplefilter("ignore")
    job = json.loads(Path(sys.argv[1]).read_text())
    real, synthetic = (pd.read_parquet(job[side]) for side in ("real", "synthetic"))
    kinds = {c: "categorical" if c in job["categories"] else "numerical" for c in real.columns}
    metadata = {"columns": {c: {"sdtype": kind} for c, kind in kinds.items()}}
    report = QualityReport()
    report.generate(real, synthetic, metadata, verbose=False)
    shapes = report.get_details("Column Shapes")
    pairs = report.get_details("Column Pair Trends")
    found = {
        "shape": {row["Column"]: 1 - row["Score"] for _, row in shapes.iterrows()},
        "trend": {
            f"{row['Column 1']} ~ {row['Column 2']}": 1 - row["Score"]
            for _, row in pairs.iterrows()
        },
        "c2st": [LogisticDetection.compute(real, synthetic, metadata) for _ in range(3)],
    }
    Path(job["out"]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
