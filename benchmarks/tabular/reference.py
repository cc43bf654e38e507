"""Compare this benchmark's Shape, Trend and C2ST with SDMetrics 0.11.1 on real tables.

python -m benchmarks.tabular.reference adult,shoppers      (needs: peers install sdmetrics)
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import detect, protocol
from .jobs import CACHE, HERE, VENVS
from .sets import TableSet, code, load


def compare(table: TableSet, synthetic: pd.DataFrame, label: str) -> dict[str, Any]:
    """Return both sides' figures and the largest difference over columns and over pairs."""
    made = table.conform(synthetic)
    theirs = _reference(table, made)
    train, coded = code(table.roles, table.train, made)
    shape, trend = protocol.shape(train, coded), protocol.trend(train, coded)
    order = {frozenset(pair.split(" ~ ")): error for pair, error in theirs["trend"].items()}
    return {
        "set": table.name,
        "synthetic": label,
        "columns": len(shape.of),
        "pairs": len(trend.of),
        "shape": [shape.mean, float(np.mean(list(theirs["shape"].values())))],
        "trend": [trend.mean, float(np.mean(list(theirs["trend"].values())))],
        "worst_column": _gap([theirs["shape"][c] for c in shape.of], shape.values),
        "worst_pair": _gap([order[frozenset(p.split(" ~ "))] for p in trend.of], trend.values),
        "c2st": [detect.logistic_score(table.train, made, seed) for seed in range(3)],
        "c2st_reference": theirs["c2st"],
    }


def _gap(theirs: list[float], ours: np.ndarray) -> float:
    return float(np.nanmax(np.abs(np.array(theirs, dtype=float) - ours)))


def _reference(table: TableSet, made: pd.DataFrame) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table.train.to_parquet(folder / "real.parquet", index=False)
        made.to_parquet(folder / "synthetic.parquet", index=False)
        job = {side: str(folder / f"{side}.parquet") for side in ("real", "synthetic")}
        job |= {"out": str(folder / "out.json")}
        text = json.dumps(job | {"categories": list(table.roles.categories)})
        (folder / "job.json").write_text(text)
        python = VENVS / "sdmetrics" / "bin" / "python"
        script = HERE / "adapters" / "check_sdmetrics.py"
        subprocess.run([str(python), str(script), str(folder / "job.json")], check=True)
        found: dict[str, Any] = json.loads((folder / "out.json").read_text())
    return found


def main() -> None:
    """Compare on each set a bootstrap of train and, where it is cached, SDV's Gaussian copula."""
    found = []
    for name in sys.argv[1].split(","):
        table = load(name)
        bootstrap = table.train.sample(len(table.train), replace=True, random_state=1)
        tables = {"bootstrap of train": bootstrap}
        copula = CACHE / name / "tabular.copula" / "0" / "full.parquet"
        if copula.exists():
            tables["tabular.copula"] = pd.read_parquet(copula)
        for label, frame in tables.items():
            found.append(compare(table, frame, label))
            print(json.dumps(found[-1]), flush=True)
    CACHE.mkdir(exist_ok=True)
    (CACHE / "reference.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
