"""Real tables with a rare class: how each is read, and its target, rare label and roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from benchmarks.datasets import data_folder
from benchmarks.runner import load_yaml
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema
from twinset.ingest.input_table import name_target
from twinset.io.fetch import fetch


@dataclass(frozen=True)
class Source:
    """File of a table below shared/data, CSV or parquet, and its columns."""

    file: str
    target: str  # column to predict
    rare: str  # text of its rare label
    columns: Sequence[str] = ()  # names of the columns of a file without a header
    roles: Mapping[str, str] = field(default_factory=dict)  # column -> role, for the leakage guard

    def read(self) -> pd.DataFrame:
        path = data_folder(self.file)
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        names = {"header": None, "names": self.columns, "skipinitialspace": True}
        return pd.read_csv(path, **(names if self.columns else {}))


SOURCES = {name: Source(**how) for name, how in load_yaml(__file__, "real_sets.yaml").items()}


def ulb(*, with_time: bool = True) -> pd.DataFrame:
    frame = pd.read_csv(fetch("ulb-creditcard"))
    return frame if with_time else frame.drop(columns="Time")


def handbook_with_history() -> pd.DataFrame:
    """Return the simulated payments with features of the past of card and terminal."""
    frame = SOURCES["handbook"].read()
    frame["TX_DATETIME"] = pd.to_datetime(frame["TX_DATETIME"])
    frame = frame.sort_values("TX_DATETIME", kind="stable")
    when, amount = frame["TX_DATETIME"], frame["TX_AMOUNT"]
    card, terminal = frame.groupby("CUSTOMER_ID"), frame.groupby("TERMINAL_ID")
    n_before = card.cumcount()
    mean = (card["TX_AMOUNT"].cumsum() - amount) / n_before.where(n_before > 0)
    columns = {
        "when": when,
        "amount": amount,
        "hour": when.dt.hour,
        "weekday": when.dt.weekday,
        "card_payments": n_before,
        "card_mean": mean,
        "amount_over_mean": amount / mean,
        "since_card": card["TX_DATETIME"].diff().dt.total_seconds(),
        "since_terminal": terminal["TX_DATETIME"].diff().dt.total_seconds(),
        "terminal_payments": terminal.cumcount(),
        "fraud": frame["TX_FRAUD"].astype(int),
    }
    return pd.DataFrame(columns).replace([np.inf, -np.inf], np.nan)


@dataclass(frozen=True)
class RealSet:
    """A real table with its rare class."""

    name: str  # in the results
    data: Dataset  # all rows, with target and roles
    target: str  # column to predict
    rare: str  # its rare label


def real_set(name: str) -> RealSet:
    source, frame = SOURCES[name], SOURCES[name].read()
    if name == "handbook":
        frame = frame[["TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD"]]
        frame = frame.astype({"CUSTOMER_ID": str, "TERMINAL_ID": str})
    data = as_dataset(frame, source.target, source.roles)
    rare = str(frame[source.target].value_counts().index[-1])
    levels = data.codes(source.target)[1]
    label = next(level for level in levels if level.lower() == rare.lower())
    return RealSet(name, data, source.target, label)


def as_dataset(frame: pd.DataFrame, target: str, roles: Mapping[str, str]) -> Dataset:
    found = Dataset.from_arrow(frame.reset_index(drop=True))
    fields = tuple(
        replace(field, role=roles.get(field.name, field.role))  # type: ignore[arg-type]
        for field in found.schema.fields
    )
    return name_target(found.with_schema(Schema(fields)), target)
