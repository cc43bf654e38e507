"""Small tables and recipes that the end-to-end tests run."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from twinset.core.seeding import rng_for


def fraud_like(rows: int, frauds: int) -> pa.Table:
    """A table in the columns of the card-fraud set: time, components, amount, a rare class."""
    rng = rng_for(5, "fraud-like")
    label = np.zeros(rows, dtype=int)
    label[rng.permutation(rows)[:frauds]] = 1
    table = {"Time": np.arange(rows, dtype=float) // 2}  # several transactions in a second
    for i in range(1, 5):
        table[f"V{i}"] = rng.normal(size=rows) + 2.0 * label * (i < 3)
    table["Amount"] = np.round(rng.lognormal(3, 1, rows), 2)
    table["Class"] = label
    return pa.table(table)


@pytest.fixture
def fraud_csv(tmp_path: Path) -> Path:
    """600 rows, 60 of them frauds, as a CSV file."""
    path = tmp_path / "transactions.csv"
    pyarrow.csv.write_csv(fraud_like(600, 60), path)
    return path


@pytest.fixture
def cells(fraud_csv: Path) -> Path:
    """A folder of 40 drawn smears with id maps, two rare kinds of cells among the common one."""
    from twinset.generators.image.scenes import Scenes
    from twinset.io import write_dataset

    look = {
        "RBC": {"shape": "dimpled", "colours": ["#c66666", "#e09999"], "weight": 8},
        "WBC": {"shape": "nucleated", "colours": ["#ccaadd", "#663399"]},
        "Platelets": {"shape": "blob", "colours": ["#9977bb"]},
    }
    scenes = Scenes(size=64, classes=look, factors={"ground": ["smear"]}, ground_colour="#e8dcd8")
    drawn = scenes.fit(None, rng_for(0, "fit")).sample(40, rng_for(0, "draw"))
    folder = fraud_csv.parent / "cells"
    write_dataset([drawn], folder, "masks")
    return folder


RECIPE = """
name: small
seed: 11
brief: {task: classification, target: Class, positive: 1}
source: {name: bank, path: transactions.csv, licence: CC0-1.0}
split: {by: stratified, holdout_fraction: 0.3}
generate:
  - {use: tabular.copula, rows: 40000}
evaluate:
  metrics: [gap.marginals, privacy.exact_copies]
  gates: {privacy.exact_copies: {max: 0}}
deliver: {to: out, formats: [parquet, csv, jsonl]}
"""


def write_recipe(folder: Path) -> Path:
    """Write a recipe that makes 40,000 rows, which is more than one chunk, and its file."""
    pyarrow.csv.write_csv(fraud_like(1_200, 90), folder / "transactions.csv")
    path = folder / "small.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recipe of `write_recipe`, in the working folder."""
    monkeypatch.chdir(tmp_path)
    return write_recipe(tmp_path)
