"""Adversarial random forests (arfpy, by the method's authors) with its defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import _job
import pandas as pd


def prepare(job: dict[str, Any]) -> None:
    from arfpy import arf  # noqa: F401


def fit(train: pd.DataFrame, job: dict[str, Any]) -> Callable[[int], pd.DataFrame]:
    import numpy as np
    from arfpy import arf

    np.random.seed(job["seed"])
    frame = train.copy()
    for name in job["categories"]:
        frame[name] = frame[name].astype(str).astype("category")
    model = arf.arf(x=frame, verbose=False)
    model.forde()
    whole = [c for c in train.columns if pd.api.types.is_integer_dtype(train[c])]

    def sample(rows: int) -> pd.DataFrame:
        # The library draws real numbers everywhere; whole columns are rounded in its favour.
        made = model.forge(n=rows)
        return made.assign(**{c: made[c].round() for c in whole if c not in job["categories"]})

    return sample


if __name__ == "__main__":
    _job.run(fit, ("arfpy", "scikit-learn", "numpy", "pandas"), prepare)
