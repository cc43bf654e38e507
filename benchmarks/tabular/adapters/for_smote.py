"""imbalanced-learn's SMOTE(NC) as a generator: every class is doubled, only the new rows are kept.

With categories it is SMOTENC, which gives a new row the most frequent level among the neighbours, so
rare levels fade; TabDDPM's authors use an implementation of their own, so its figures differ. For a
numeric target the classes are the halves below and above its median, and the target is interpolated
with the other numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import _job
import numpy as np
import pandas as pd


def prepare(job: dict[str, Any]) -> None:
    import imblearn.over_sampling  # noqa: F401


def fit(train: pd.DataFrame, job: dict[str, Any]) -> Callable[[int], pd.DataFrame]:
    from imblearn.over_sampling import SMOTE, SMOTENC

    target = job["target"]
    is_label = target in job["categories"]
    labels = train[target].astype(str) if is_label else train[target] > train[target].median()
    features = train.drop(columns=target) if is_label else train
    categories = [c for c in job["categories"] if c != target]
    kinds = {c: train[c].dtype for c in train.columns}
    features = features.astype(dict.fromkeys(categories, str))
    numbers = [c for c in features.columns if c not in categories]
    features = features.astype(dict.fromkeys(numbers, float))

    def sample(rows: int) -> pd.DataFrame:
        counts = labels.value_counts()
        wanted = {label: int(n + np.ceil(n * rows / len(train))) for label, n in counts.items()}
        settings = {"sampling_strategy": wanted, "random_state": job["seed"]}
        smote = SMOTENC(categories, **settings) if categories else SMOTE(**settings)
        x, y = smote.fit_resample(features, labels)
        made = x.iloc[len(train) :].copy()
        if is_label:
            made[target] = y.iloc[len(train) :]
        rng = np.random.default_rng(job["seed"])
        made = made.iloc[rng.permutation(len(made))[:rows]][list(train.columns)]
        for name in numbers:
            if np.issubdtype(kinds[name], np.integer):
                made[name] = np.rint(made[name])
        return made.reset_index(drop=True)

    return sample


if __name__ == "__main__":
    _job.run(fit, ("imbalanced-learn", "scikit-learn", "numpy", "pandas"), prepare)
