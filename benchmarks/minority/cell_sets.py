"""Real tables with a rare class for the proof of `advise`, thinned so that a cell is cheap."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from twinset.workflows.advise.labelled_table import Case, Columns, open_case

ABSENT = (
    "The data are absent: put the folder 'data' with fraud and tabular sets into shared/ beside the "
    "repository, or name it by --data or TWINSET_SHARED."
)
MOST_TRAIN, MOST_TEST = 8_000, 30_000


@dataclass(frozen=True)
class CellSet:
    """One table and how many of its rare rows are learnt from and tested on.

    Parameters
    ----------
    name : str
        Name in the results.
    load : callable
        Folder of the data -> frame.
    target, positive : str
        Column and rare label.
    n_train, n_test : int
        Rare rows in the train and the test part; as many as `n_train` more are held aside, so that
        one sees what real rows would bring.
    time : str, optional
        Column to cut by: the latest rows are tested on.
    """

    name: str
    load: Callable[[Path], pd.DataFrame]
    target: str
    positive: str
    n_train: int
    n_test: int
    time: str | None = None

    def open(self, folder: Path) -> Case:
        """Return the whole table."""
        columns = Columns(target=self.target, positive=self.positive, time=self.time)
        return open_case(self.load(folder), columns)


@dataclass(frozen=True)
class CellParts:
    """Positions of the rows that are learnt from, tested on, and held aside (rare ones only)."""

    train: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]
    aside: npt.NDArray[np.int64]


def parts_of(one: CellSet, case: Case, rng: np.random.Generator) -> CellParts:
    """Return the parts of one split; both have the same share of rare rows.

    With a time the first 60 % of the rare rows are learnt from, and the common rows go with the times.
    """
    if case.time is None:
        early_rare = late_rare = rng.permutation(np.flatnonzero(case.truth))
        early = late = rng.permutation(np.flatnonzero(~case.truth))
    else:
        cut = np.quantile(case.time[case.truth], 0.6)
        pools = [
            rng.permutation(np.flatnonzero((case.truth == rare) & ((case.time <= cut) == before)))
            for rare in (True, False)
            for before in (True, False)
        ]
        early_rare, late_rare, early, late = pools
    test_rare = late_rare[: one.n_test]
    left = np.setdiff1d(early_rare, test_rare, assume_unique=True)
    left = rng.permutation(left)
    train_rare, aside = left[: one.n_train], left[one.n_train : 2 * one.n_train]
    room = len(early) / (len(train_rare) + len(test_rare) * (case.time is None))
    each = min(MOST_TRAIN / len(train_rare), MOST_TEST / len(test_rare), room)
    if case.time is not None:
        each = min(each, len(late) / len(test_rare))
    n_train, n_test = int(each * len(train_rare)), int(each * len(test_rare))
    train = early[:n_train]
    test = (late[n_train:] if case.time is None else late)[:n_test]
    return CellParts(
        np.sort(np.concatenate([train_rare, train])),
        np.sort(np.concatenate([test_rare, test])),
        np.sort(aside),
    )


def data_folder(named: Path | None) -> Path:
    """Return the folder of the data: the one named, that of TWINSET_SHARED, or shared/ beside here."""
    shared = os.environ.get("TWINSET_SHARED")
    beside = Path(__file__).parents[3] / "shared"
    folder = named or (Path(shared) if shared else beside) / "data"
    if not (folder / "fraud").is_dir():
        raise FileNotFoundError(ABSENT)
    return folder


def _classic(file: str) -> Callable[[Path], pd.DataFrame]:
    return lambda folder: pd.read_csv(folder / "fraud" / "imbalanced_classics" / file)


def _tabular(file: str, **settings: object) -> Callable[[Path], pd.DataFrame]:
    return lambda folder: pd.read_csv(folder / "tabular" / file, **settings)


def _ulb(folder: Path) -> pd.DataFrame:
    from twinset.io.fetch import fetch

    return pd.read_csv(fetch("ulb-creditcard"))


def _ulb_without_time(folder: Path) -> pd.DataFrame:
    return _ulb(folder).drop(columns="Time")


def _handbook(folder: Path) -> pd.DataFrame:
    """Return the simulated payments with what the past of card and terminal tells, labels apart."""
    frame = pd.read_parquet(folder / "fraud" / "handbook_sim" / "transactions_3weeks.parquet")
    frame["TX_DATETIME"] = pd.to_datetime(frame["TX_DATETIME"])
    frame = frame.sort_values("TX_DATETIME", kind="stable")
    card, terminal = frame.groupby("CUSTOMER_ID"), frame.groupby("TERMINAL_ID")
    before = card["TX_AMOUNT"].cumsum() - frame["TX_AMOUNT"]
    n_before = card.cumcount()
    return pd.DataFrame(
        {
            "when": frame["TX_DATETIME"],
            "amount": frame["TX_AMOUNT"],
            "hour": frame["TX_DATETIME"].dt.hour,
            "weekday": frame["TX_DATETIME"].dt.weekday,
            "card_payments": n_before,
            "card_mean": before / n_before.where(n_before > 0),
            "amount_over_mean": frame["TX_AMOUNT"] / (before / n_before.where(n_before > 0)),
            "since_card": card["TX_DATETIME"].diff().dt.total_seconds(),
            "since_terminal": terminal["TX_DATETIME"].diff().dt.total_seconds(),
            "terminal_payments": terminal.cumcount(),
            "fraud": frame["TX_FRAUD"].astype(int),
        }
    ).replace([np.inf, -np.inf], np.nan)


def _polish(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "fraud" / "polish_bankruptcy" / "5year.parquet")


def _mammography(folder: Path) -> pd.DataFrame:
    frame = pd.read_csv(folder / "fraud" / "mammography" / "mammography.csv.gz")
    frame["Class"] = (frame["Class"].str.strip("'") == "1").astype(int)
    return frame


def _adult(folder: Path) -> pd.DataFrame:
    frame = pd.read_csv(folder / "tabular/adult/adult.data.gz", header=None, skipinitialspace=True)
    frame.columns = [f"c{i}" for i in range(14)] + ["income"]
    return frame


SETS = (
    CellSet("ulb", _ulb_without_time, "Class", "1", 150, 190),
    CellSet("ulb, 40 frauds", _ulb_without_time, "Class", "1", 40, 300),
    CellSet("ulb, by time", _ulb, "Class", "1", 140, 190, time="Time"),
    CellSet("handbook, by time", _handbook, "fraud", "1", 100, 500, time="when"),
    CellSet("mammography", _mammography, "Class", "1", 75, 105),
    CellSet("polish", _polish, "class", "1", 120, 170),
    CellSet("wilt", _classic("wilt.csv.gz"), "Class", "2", 75, 110),
    CellSet("us_crime", _classic("us_crime.csv.gz"), "Class", "1", 45, 60),
    CellSet("ozone", _classic("ozone_level_8hr.csv.gz"), "Class", "2", 48, 64),
    CellSet("wine", _classic("wine_quality.csv.gz"), "Class", "1", 55, 73),
    CellSet("pc1", _classic("pc1.csv.gz"), "Class", "true", 25, 30),
    CellSet("churn", _classic("churn.csv.gz"), "Class", "1", 60, 400),
    CellSet("jm1", _classic("jm1.csv.gz"), "Class", "true", 60, 500),
    CellSet("adult", _adult, "income", ">50K", 100, 500),
    CellSet("adult, 30 rare", _adult, "income", ">50K", 30, 500),
    CellSet(
        "default", _tabular("default/default.csv.gz"), "default payment next month", "1", 100, 500
    ),
    CellSet(
        "shoppers",
        _tabular("shoppers/online_shoppers_intention.csv.gz"),
        "Revenue",
        "true",
        100,
        400,
    ),
    CellSet("magic", _tabular("magic/magic04.data.gz", header=None), "10", "h", 100, 500),
)
