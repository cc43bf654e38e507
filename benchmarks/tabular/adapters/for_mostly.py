"""MOSTLY AI's engine (TabularARGN) with its defaults: 100 epochs at most, early stop, protected values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import _job
import pandas as pd


def prepare(job: dict[str, Any]) -> None:
    import torch
    from mostlyai.engine import TabularARGN  # noqa: F401

    torch.set_num_threads(job["threads"])


def fit(train: pd.DataFrame, job: dict[str, Any]) -> Callable[[int], pd.DataFrame]:
    from mostlyai.engine import TabularARGN

    frame = train.astype(dict.fromkeys(job["categories"], str))
    model = TabularARGN(random_state=job["seed"], device="cpu")
    model.fit(frame)
    return lambda rows: pd.DataFrame(model.sample(n_samples=rows))


if __name__ == "__main__":
    _job.run(fit, ("mostlyai-engine", "torch", "numpy", "pandas"), prepare)
