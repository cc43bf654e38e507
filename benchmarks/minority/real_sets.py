"""The real sets with a rare class that the leakage guard is tried on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema
from twinset.ingest.input_table import name_target

DATA = Path(__file__).parents[3] / "shared" / "data"
ABSENT = "The data sets are absent: put the folders fraud and tabular into shared/data."
_CLASSICS = ("wilt", "us_crime", "yeast_me2", "jm1", "wine_quality", "ozone_level_8hr", "churn")


@dataclass(frozen=True)
class RealSet:
    """A real table, its rare class, and how it is cut.

    Parameters
    ----------
    name : str
        What it is called here.
    data : Dataset
        All rows, the target named, roles given.
    target, rare : str
        The column to predict and its rare label.
    """

    name: str
    data: Dataset
    target: str
    rare: str


def real_sets(*names: str) -> list[RealSet]:
    """Return the named sets, or all."""
    return [_MAKERS[name](name) for name in (names or _MAKERS)]


def as_dataset(frame: pd.DataFrame, target: str, roles: dict[str, str] | None = None) -> Dataset:
    """Return a frame as a set with its target and its roles."""
    found = Dataset.from_arrow(frame.reset_index(drop=True))
    fields = tuple(
        replace(field, role=(roles or {}).get(field.name, field.role))  # type: ignore[arg-type]
        for field in found.schema.fields
    )
    return name_target(found.with_schema(Schema(fields)), target)


def _set(name: str, frame: pd.DataFrame, target: str, roles: dict[str, str]) -> RealSet:
    rare = frame[target].value_counts().index[-1]
    data = as_dataset(frame, target, roles)
    levels = data.codes(target)[1]
    named = next(level for level in levels if level.lower() == str(rare).lower())
    return RealSet(name, data, target, named)


def _classic(name: str) -> RealSet:
    path = DATA / "fraud" / "imbalanced_classics" / f"{name}.csv.gz"
    return _set(name, pd.read_csv(path), "Class", {})


def _mammography(name: str) -> RealSet:
    return _set(name, pd.read_csv(DATA / "fraud/mammography/mammography.csv.gz"), "Class", {})


def _polish(name: str) -> RealSet:
    return _set(name, pd.read_parquet(DATA / "fraud/polish_bankruptcy/5year.parquet"), "class", {})


def _adult(name: str) -> RealSet:
    frame = pd.read_csv(DATA / "tabular/adult/adult.data.gz", header=None, skipinitialspace=True)
    frame.columns = [f"c{i}" for i in range(14)] + ["income"]
    return _set(name, frame, "income", {})


def _default(name: str) -> RealSet:
    frame = pd.read_csv(DATA / "tabular/default/default.csv.gz")
    return _set(name, frame, str(frame.columns[-1]), {})


def _shoppers(name: str) -> RealSet:
    path = DATA / "tabular/shoppers/online_shoppers_intention.csv.gz"
    return _set(name, pd.read_csv(path), "Revenue", {})


def _magic(name: str) -> RealSet:
    frame = pd.read_csv(DATA / "tabular/magic/magic04.data.gz", header=None)
    frame.columns = [f"c{i}" for i in range(10)] + ["class"]
    return _set(name, frame, "class", {})


def _handbook(name: str) -> RealSet:
    path = DATA / "fraud" / "handbook_sim" / "transactions_3weeks.parquet"
    columns = ["TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD"]
    frame = pd.read_parquet(path)[columns]
    frame["CUSTOMER_ID"] = frame["CUSTOMER_ID"].astype(str)
    frame["TERMINAL_ID"] = frame["TERMINAL_ID"].astype(str)
    return _set(name, frame, "TX_FRAUD", {"TX_DATETIME": "time", "CUSTOMER_ID": "group"})


_MAKERS: dict[str, Callable[[str], RealSet]] = {
    "mammography": _mammography,
    "adult": _adult,
    "default": _default,
    "polish": _polish,
    "shoppers": _shoppers,
    "magic": _magic,
    **dict.fromkeys(_CLASSICS, _classic),
    "handbook": _handbook,
}
