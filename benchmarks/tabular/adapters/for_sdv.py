"""SDV's four single-table synthesizers with their defaults (CTGAN, TVAE, CopulaGAN: 300 epochs)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import _job
import pandas as pd

NAMES = {
    "gaussian_copula": "GaussianCopulaSynthesizer",
    "ctgan": "CTGANSynthesizer",
    "tvae": "TVAESynthesizer",
    "copulagan": "CopulaGANSynthesizer",
}


def prepare(job: dict[str, Any]) -> None:
    import sdv.single_table  # noqa: F401
    import torch

    torch.set_num_threads(job["threads"])


def fit(train: pd.DataFrame, job: dict[str, Any]) -> Callable[[int], pd.DataFrame]:
    import numpy as np
    import sdv.single_table
    import torch
    from sdv.metadata import Metadata

    # SDV takes no seed for its fit, so the global generators are the only way to fix one.
    np.random.seed(job["seed"])
    torch.manual_seed(job["seed"])
    metadata = Metadata()
    metadata.add_table("table")
    for name in train.columns:
        kind = "categorical" if name in job["categories"] else "numerical"
        metadata.add_column(column_name=name, table_name="table", sdtype=kind)
    synthesizer = getattr(sdv.single_table, NAMES[job["method"]])(metadata)
    synthesizer.fit({"table": train})

    def sample(rows: int) -> pd.DataFrame:
        made = synthesizer.sample(rows)
        return made["table"] if isinstance(made, dict) else made

    return sample


if __name__ == "__main__":
    _job.run(fit, ("sdv", "ctgan", "rdt", "torch", "numpy", "pandas"), prepare)
