"""A generator of ours by its registry name, with its defaults: ``tabular.trees``, ``minority.smote``.

Reading the frame into a set is part of the fit, as it is for the peers.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import _job
import numpy as np
import pandas as pd

from twinset.core.data.arrow_tables import infer_schema, to_table
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.seeding import rng_for
from twinset.registry import build

_OF_EXTRA = {"torch": ("torch",), "sdv": ("sdv.single_table",), "imbalanced": ("imblearn",)}


def prepare(job: dict[str, Any]) -> None:
    generator = build("generator", job["method"], job["settings"])
    # Ours import heavy libraries when they first need them; peers do so with their own import.
    for library in ("scipy.stats", "sklearn.tree", *_OF_EXTRA.get(generator.extra or "", ())):
        import_module(library)
    if generator.extra in ("torch", "sdv"):
        import_module("torch").set_num_threads(job["threads"])


def fit(train: pd.DataFrame, job: dict[str, Any]) -> Callable[[int], pd.DataFrame]:
    generator = build("generator", job["method"], job["settings"])
    real = Dataset.from_arrow(train, _schema(train, job))
    fitted = generator.fit(real, rng_for(job["seed"], "fit"))

    def sample(rows: int) -> pd.DataFrame:
        return fitted.sample(rows, rng_for(job["seed"], "sample")).to_arrow().to_pandas()

    return sample


def _schema(train: pd.DataFrame, job: dict[str, Any]) -> Schema:
    """Return the inferred schema with the set's roles: which columns are categories, the target."""
    table = to_table(train)
    fields = []
    for field in infer_schema(table).fields:
        if field.name in job["categories"] and field.kind not in ("category", "boolean"):
            levels = tuple(sorted({str(v) for v in np.unique(train[field.name])}))
            field = Field(name=field.name, kind="category", stored=field.stored, levels=levels)
        elif field.name not in job["categories"] and field.kind not in ("number", "integer"):
            field = Field(name=field.name, kind="number", stored=str(table.column(field.name).type))
        fields.append(field)
    return Schema(tuple(fields)).with_target(job["target"])


if __name__ == "__main__":
    _job.run(fit, ("twinset", "numpy", "scipy", "scikit-learn", "pyarrow", "torch"), prepare)
