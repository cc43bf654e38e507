"""ForestDiffusion (flow matching with XGBoost) with its defaults; it asks for hours on such tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import _job
import numpy as np
import pandas as pd


def prepare(job: dict[str, Any]) -> None:
    from ForestDiffusion import ForestDiffusionModel  # noqa: F401


def fit(train: pd.DataFrame, job: dict[str, Any]) -> Callable[[int], pd.DataFrame]:
    from ForestDiffusion import ForestDiffusionModel

    coded, levels = train.copy(), {}
    for name in job["categories"]:
        levels[name], coded[name] = np.unique(train[name].astype(str), return_inverse=True)
    whole = [c for c in train.columns if c not in levels and (train[c] % 1 == 0).all()]
    position = {name: i for i, name in enumerate(train.columns)}
    model = ForestDiffusionModel(
        coded.to_numpy(dtype=float),
        cat_indexes=[position[c] for c in job["categories"] if len(levels[c]) > 2],
        bin_indexes=[position[c] for c in job["categories"] if len(levels[c]) == 2],
        int_indexes=[position[c] for c in whole],
        diffusion_type="flow",
        n_jobs=job["threads"],
        seed=job["seed"],
    )

    def sample(rows: int) -> pd.DataFrame:
        made = pd.DataFrame(model.generate(batch_size=rows), columns=train.columns)
        for name, texts in levels.items():
            made[name] = texts[np.rint(made[name].to_numpy(dtype=float)).astype(int)]
        return made

    return sample


if __name__ == "__main__":
    _job.run(fit, ("ForestDiffusion", "xgboost", "numpy", "pandas"), prepare)
