"""Real tables for the proofs, cut into train, fresh rows and holdout that nobody has seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.evaluation.faults import Places
from benchmarks.tabular.sets import load
from twinset.core.data.arrow_input import to_table
from twinset.core.data.dataset import Dataset
from twinset.core.data.inference import infer_schema
from twinset.core.data.schema import Schema

PLACES = {
    "adult": Places(
        number="age",
        other="hours-per-week",
        category="occupation",
        target="income",
        rare=">50K",
        slice=lambda f: np.asarray((f["sex"] == "Female") & (f["age"] >= 50)),
        about=("sex", "age"),
    ),
    "shoppers": Places(
        number="ProductRelated",
        other="ExitRates",
        category="Month",
        target="Revenue",
        rare="True",
        slice=lambda f: np.asarray(
            (f["VisitorType"] == "New_Visitor") & (f["Weekend"].astype(str) == "True")
        ),
        about=("VisitorType", "Weekend"),
    ),
    "magic": Places(
        number="fLength",
        other="fAlpha",
        category="",
        target="class",
        rare="h",
        slice=lambda f: np.asarray((f["fAlpha"] > 60) & (f["fSize"] > 2.9)),
        about=("fAlpha", "fSize"),
    ),
}


@dataclass(frozen=True)
class Cut:
    """Three disjoint random parts of a real table: half, a quarter, a quarter, or `n` in all."""

    train: pd.DataFrame
    fresh: pd.DataFrame
    holdout: pd.DataFrame
    schema: Schema

    @classmethod
    def of(cls, every: pd.DataFrame, target: str, seed: int, n: int | None = None) -> Cut:
        """Return the parts; the schema is that of all rows."""
        order = np.random.default_rng(seed).permutation(len(every))[:n]
        ends = [len(order) // 2, 3 * len(order) // 4]
        parts = [every.iloc[rows].reset_index(drop=True) for rows in np.split(order, ends)]
        train, fresh, holdout = parts
        return cls(train, fresh, holdout, infer_schema(to_table(every)).with_target(target))

    def dataset(self, frame: pd.DataFrame) -> Dataset:
        """Return rows as a set in the schema of the table, as far as their values allow."""
        table = to_table(frame)
        found = infer_schema(table)
        fields = [
            held if found[held.name].kind == held.kind else found[held.name]
            for held in self.schema.fields
        ]
        return Dataset.from_arrow(table, Schema(tuple(fields)).with_target(self.target))

    @property
    def target(self) -> str:
        """The column to predict."""
        return next(f.name for f in self.schema.fields if f.role == "target")


def every_row(name: str) -> pd.DataFrame:
    """Return all rows of one of the standard sets; what stands for missing there is missing here."""
    table = load(name)
    both = pd.concat([table.train, table.holdout], ignore_index=True)
    for column in both.columns:
        if both[column].dtype.kind not in "ifb":
            text = both[column].astype(str).str.strip()
            both[column] = text.where(text != "?", None)
    return both
