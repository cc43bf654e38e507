"""The five standard sets with the published split, quirks included.

Splits: Adult as its authors cut it; the others 90/10 by numpy's legacy generator with seed 1234, which
equals the split files that later papers released. Quirks that published figures contain: MAGIC loses its
first record (read as a header), Adult's texts keep a leading blank (so " ?" is an ordinary level), Beijing
drops rows with a missing value, integer-coded categories stay integers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.datasets import DATA, data_folder
from benchmarks.runner import load_yaml

SPLIT_SEED = 1234  # that of the published split files

SETS: dict[str, dict[str, Any]] = load_yaml(__file__, "sets.yaml")


@dataclass(frozen=True)
class Roles:
    columns: tuple[str, ...]  # all, in the order of the file
    categories: tuple[str, ...]  # with the target of a classification task
    target: str
    positive: str = ""  # label whose probability is scored, as text; empty for regression

    @property
    def task(self) -> Literal["binary", "regression"]:
        return "binary" if self.target in self.categories else "regression"

    @property
    def numbers(self) -> tuple[str, ...]:
        """Numeric columns, with the target of a regression task."""
        return tuple(name for name in self.columns if name not in self.categories)


@dataclass(frozen=True)
class TableSet:
    """A real table with its split into train and holdout."""

    name: str
    train: pd.DataFrame  # numbers are float64; categories are text, bool or int64, as in the file
    holdout: pd.DataFrame
    roles: Roles
    split: str  # first 12 digits of the SHA-256 of the train rows' positions (int64), or "given"

    def conform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a synthetic table with this set's columns and types, wherever it comes from."""
        columns: dict[str, object] = {}
        for name in self.roles.columns:
            column, like = frame[name], self.train[name]
            if name not in self.roles.categories:
                columns[name] = column.astype("float64").to_numpy()
            elif like.dtype == bool:
                texts = column.astype(str).str.strip().str.lower()
                columns[name] = texts.isin(("true", "1", "1.0"))
            elif pd.api.types.is_integer_dtype(like.dtype):
                # A product's mark for rare levels ("_RARE_") is a level of its own: one below all.
                numbers = pd.to_numeric(column, errors="coerce").fillna(like.min() - 1)
                columns[name] = np.rint(numbers.to_numpy()).astype("int64")
            else:
                columns[name] = column.astype(str)
        return pd.DataFrame(columns).reset_index(drop=True)


@dataclass(frozen=True)
class Coded:
    """A table as arrays: numbers as they are, categories as codes shared by all compared tables."""

    numbers: npt.NDArray[np.float64]  # shape (n, d)
    codes: npt.NDArray[np.int32]  # positions in `levels`, (n, k)
    levels: tuple[tuple[str, ...], ...]  # of each category, those of the first table first
    names: tuple[str, ...]  # of the d numbers, then of the k categories

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: npt.NDArray[np.int64] | slice) -> Coded:
        return Coded(self.numbers[rows], self.codes[rows], self.levels, self.names)


def code(roles: Roles, *frames: pd.DataFrame) -> list[Coded]:
    """Return the tables as arrays whose codes mean the same level in each of them."""
    codes = [np.empty((len(frame), len(roles.categories)), dtype=np.int32) for frame in frames]
    levels = []
    for j, name in enumerate(roles.categories):
        texts = [frame[name].astype(str) for frame in frames]
        own = sorted(set(texts[0].unique()))
        unseen = sorted(set().union(*(text.unique() for text in texts[1:])) - set(own))
        index = pd.Index([*own, *unseen])
        for coded, text in zip(codes, texts):
            coded[:, j] = index.get_indexer(text)
        levels.append((*own, *unseen))
    names = (*roles.numbers, *roles.categories)
    return [
        Coded(frame[list(roles.numbers)].to_numpy(dtype=float), coded, tuple(levels), names)
        for frame, coded in zip(frames, codes)
    ]


def split_rows(
    frame: pd.DataFrame, categories: tuple[str, ...], share: float = 0.9
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the train and holdout positions of the published split."""
    # The positions are shuffled in place by the legacy generator; if train lacks a level of a category,
    # the seed is raised by one and the shuffled positions are shuffled again.
    rows, seed, n = np.arange(len(frame)), SPLIT_SEED, int(share * len(frame))
    while True:
        np.random.RandomState(seed).shuffle(rows)
        train = frame.iloc[rows[:n]]
        if all(train[name].nunique() == frame[name].nunique() for name in categories):
            return rows[:n].copy(), rows[n:].copy()
        seed += 1


def load(name: str, data: Path = DATA / "tabular") -> TableSet:
    """Return one of `SETS`."""
    known, folder = SETS[name], data_folder(name, root=data)
    how = {key: known[key] for key in ("header", "names") if key in known}
    frame = pd.read_csv(folder / known["file"], **how)
    if "dropped" in known:
        frame = frame.drop(columns=known["dropped"]).dropna().reset_index(drop=True)
    categories = tuple(frame.columns[i] for i in known["categories"])
    roles = Roles(tuple(frame.columns), categories, known["target"], known["positive"])
    numbers = dict.fromkeys(roles.numbers, "float64")
    if "test" in known:
        test = pd.read_csv(folder / known["test"], skiprows=1, **how)
        test[roles.target] = test[roles.target].str.rstrip(".")
        return TableSet(name, frame.astype(numbers), test.astype(numbers), roles, "given")
    train, holdout = split_rows(frame, tuple(c for c in categories if c != roles.target))
    digest = hashlib.sha256(np.ascontiguousarray(train, dtype="<i8").tobytes()).hexdigest()[:12]
    typed = frame.astype(numbers)
    one, other = (typed.iloc[rows].reset_index(drop=True) for rows in (train, holdout))
    return TableSet(name, one, other, roles, digest)


def halves(n: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return two random halves of `n` rows: the members and the control of the privacy protocol."""
    order = np.random.default_rng(SPLIT_SEED).permutation(n)
    return np.sort(order[: n // 2]), np.sort(order[n // 2 : 2 * (n // 2)])
