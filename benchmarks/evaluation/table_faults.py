"""Real tables, cut into disjoint parts, and faults to plant into rows that were never used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas import DataFrame as Frame

from benchmarks.tabular.sets import load
from twinset.core.data.arrow_tables import infer_schema, to_table
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema

Rng = np.random.Generator
Mask = npt.NDArray[np.bool_]
Plant = Callable[[Frame, Frame, "Places", Rng], Frame]
"""(fresh rows, train, places, rng) -> faulty rows."""


@dataclass(frozen=True)
class Places:
    """Columns of a table that faults go into, and one slice given by two conditions."""

    number: str  # a number that other columns depend on
    other: str  # another one
    category: str  # with several levels, one of them rare; "" where the table has none
    target: str  # two classes
    rare: str  # the rarer class
    slice: Callable[[Frame], Mask]  # which rows are in the slice, shape (n,)
    about: tuple[str, ...]  # columns that define the slice


PLACES = {
    "adult": Places(
        "age", "hours-per-week", "occupation", "income", ">50K",
        lambda f: np.asarray((f["sex"] == "Female") & (f["age"] >= 50)), ("sex", "age"),
    ),
    "shoppers": Places(
        "ProductRelated", "ExitRates", "Month", "Revenue", "True",
        lambda f: np.asarray(
            (f["VisitorType"] == "New_Visitor") & (f["Weekend"].astype(str) == "True")
        ),
        ("VisitorType", "Weekend"),
    ),
    "magic": Places(
        "fLength", "fAlpha", "", "class", "h",
        lambda f: np.asarray((f["fAlpha"] > 60) & (f["fSize"] > 2.9)), ("fAlpha", "fSize"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class TableCut:
    """Three disjoint random parts of a real table: half, a quarter, a quarter, or `n` rows in all."""

    train: Frame
    fresh: Frame
    holdout: Frame
    schema: Schema

    @classmethod
    def draw(cls, every: Frame, target: str, seed: int, n: int | None = None) -> TableCut:
        order = np.random.default_rng(seed).permutation(len(every))[:n]
        ends = [len(order) // 2, 3 * len(order) // 4]
        train, fresh, holdout = (
            every.iloc[rows].reset_index(drop=True) for rows in np.split(order, ends)
        )
        return cls(train, fresh, holdout, infer_schema(to_table(every)).with_target(target))

    def dataset(self, frame: Frame) -> Dataset:
        """Return rows as a dataset in the schema of the table, as far as their values allow."""
        table = to_table(frame)
        found = infer_schema(table)
        fields = [f if found[f.name].kind == f.kind else found[f.name] for f in self.schema.fields]
        target = next(f.name for f in self.schema.fields if f.role == "target")
        return Dataset.from_arrow(table, Schema(tuple(fields)).with_target(target))


def every_row(name: str) -> Frame:
    """Return all rows of a standard set; "?", its mark for missing values, becomes missing."""
    table = load(name)
    both = pd.concat([table.train, table.holdout], ignore_index=True)
    for column in both.columns:
        if both[column].dtype.kind not in "ifb":
            text = both[column].astype(str).str.strip()
            both[column] = text.where(text != "?", None)
    return both


@dataclass(frozen=True)
class TableFault:
    """One kind of fault at one strength."""

    plant: Plant
    # Attributes of `Places` with the columns that a good report names first; empty where whole rows
    # are at fault.
    about: tuple[str, ...] = ()
    leak: bool = False  # whether the privacy family has to find it

    def columns(self, places: Places) -> tuple[str, ...]:
        """Return the columns that a good report names first."""
        if self.about == ("about",):
            return places.about
        return tuple(getattr(places, name) for name in self.about)


def _part(n: int, share: float, rng: Rng) -> Mask:
    return np.asarray(rng.random(n) < share)


def _number(change: Callable[[pd.Series, Rng], object], share: float = 1.0) -> TableFault:
    """Return a fault of the main number: a change of the values in a share of the rows."""

    def plant(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
        hit = _part(len(rows), share, rng)
        values = rows[places.number].astype(float)
        values[hit] = change(values[hit], rng)
        return rows.assign(**{places.number: values})

    return TableFault(plant, ("number",))


def _rounded(values: pd.Series, n: int) -> pd.Series:
    step = (values.quantile(0.99) - values.quantile(0.01)) / n
    return (values / step).round() * step


def _decorrelated(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
    """Shuffle a number within each class: what links it with the class stays."""
    found = rows.copy()
    for _, at in rows.groupby(places.target).groups.items():
        found.loc[at, places.number] = rng.permutation(rows.loc[at, places.number].to_numpy())
    return found


def _independent(rows: Frame, share: float, rng: Rng) -> Frame:
    found = rows.copy()
    hit = np.flatnonzero(_part(len(rows), share, rng))
    for column in rows.columns:
        found.loc[hit, column] = rng.permutation(rows[column].to_numpy())[: len(hit)]
    return found.astype(rows.dtypes)


def _keep(which: Callable[[Frame, Places], object], about: str, share: float = 0.0) -> TableFault:
    """Return a fault that leaves out the other rows, but for a share, and fills up with copies."""

    def plant(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
        keep = np.asarray(which(rows, places))
        left = rows[keep | _part(len(rows), share, rng) if share else keep]
        seed = int(rng.integers(2**31))
        more = left.sample(len(rows) - len(left), replace=True, random_state=seed)
        return pd.concat([left, more], ignore_index=True)

    return TableFault(plant, (about,))


def _repeated(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
    some = rows.iloc[rng.permutation(len(rows))[: len(rows) // 3]]
    return pd.concat([some] * 4, ignore_index=True).iloc[: len(rows)]


def _exchanged(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
    hit = _part(len(rows), 0.1, rng)
    first, second = rows[places.number].astype(float), rows[places.other].astype(float)
    columns = {places.number: first.where(~hit, second), places.other: second.where(~hit, first)}
    return rows.assign(**columns)


def _common(rows: Frame, places: Places) -> object:
    return rows[places.target].astype(str) != places.rare


def _flip(rows: Frame, places: Places, hit: Mask) -> Frame:
    one, two = rows[places.target].unique()[:2]
    other = rows[places.target].map({one: two, two: one})
    return rows.assign(**{places.target: rows[places.target].where(~hit, other)})


def _flipped(rows: Frame, train: Frame, places: Places, rng: Rng, share: float) -> Frame:
    return _flip(rows, places, _part(len(rows), share, rng))


def _misspelt(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
    hit = _part(len(rows), 0.02, rng)
    wrong = rows[places.category].astype(str) + "_"
    return rows.assign(**{places.category: rows[places.category].where(~hit, wrong)})


def _without_level(rank: int, share: float = 0.0) -> TableFault:
    """Return a fault that thins the level of a rank, 0 being the most frequent."""
    return _keep(
        lambda f, p: f[p.category] != f[p.category].value_counts().index[rank], "category", share
    )


def _merged(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
    common = rows[places.category].value_counts().index
    return rows.assign(**{places.category: rows[places.category].replace(common[2], common[1])})


def _copied(rows: Frame, train: Frame, share: float, rng: Rng) -> Frame:
    n = round(share * len(rows))
    some = train.iloc[rng.permutation(len(train))[:n]]
    return pd.concat([rows.iloc[n:], some], ignore_index=True)


def _jittered(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
    found = train.iloc[rng.permutation(len(train))[: len(rows)]].reset_index(drop=True).copy()
    for column in (places.number, places.other):
        values = found[column].astype(float)
        found[column] = values + rng.choice([-1, 1], len(found)) * 0.02 * values.std()
    return found


TABLE_FAULTS: dict[str, TableFault] = {
    **{f"{s:.0%} of a number shuffled": _number(lambda v, r: r.permutation(v), s)
       for s in (0.1, 0.3, 1.0)},
    "noise of 0.25 spreads on a number":
        _number(lambda v, r: v + 0.25 * v.std() * r.normal(size=len(v))),
    "noise of 0.5 spreads on a number":
        _number(lambda v, r: v + 0.5 * v.std() * r.normal(size=len(v))),
    "a number 10 % too large": _number(lambda v, r: 1.1 * v),
    "a number moved by 0.2 spreads": _number(lambda v, r: v + 0.2 * v.std()),
    "a number rounded to 10 values": _number(lambda v, r: _rounded(v, 10)),
    "tails beyond 5 % cut off": _number(lambda v, r: v.clip(*v.quantile([0.05, 0.95]))),
    "spread shrunk by 20 %": _number(lambda v, r: v.mean() + 0.8 * (v - v.mean())),
    "5 % of a number ten times as large": _number(lambda v, r: 10 * v, 0.05),
    "10 % of a number at its median": _number(lambda v, r: v.median(), 0.1),
    "5 % of a number missing": _number(lambda v, r: np.nan, 0.05),
    "sign turned in 10 %": _number(lambda v, r: 2 * v.mean() - v, 0.1),
    "a pair decorrelated": TableFault(_decorrelated, ("number", "other")),
    "10% of the rows with independent columns":
        TableFault(lambda f, t, p, r: _independent(f, 0.1, r)),
    "30% of the rows with independent columns":
        TableFault(lambda f, t, p, r: _independent(f, 0.3, r)),
    "a slice removed": _keep(lambda f, p: ~p.slice(f), "about"),
    "a slice thinned to a third": _keep(lambda f, p: ~p.slice(f), "about", 1 / 3),
    "a slice twice as frequent": _keep(lambda f, p: p.slice(f), "about", 0.5),
    "a mode dropped: the top fifth of a number":
        _keep(lambda f, p: f[p.number] <= f[p.number].quantile(0.8), "number"),
    "a third of the rows three times each": TableFault(_repeated),
    "two numbers exchanged in 10 %": TableFault(_exchanged, ("number", "other")),
    **{f"{s:.0%} of the labels flipped": TableFault(partial(_flipped, share=s), ("target",))
       for s in (0.02, 0.05, 0.1)},
    "labels flipped in a slice": TableFault(lambda f, t, p, r: _flip(f, p, p.slice(f)), ("target",)),
    "the rare class dropped": _keep(_common, "target"),
    "the rare class halved": _keep(_common, "target", 0.5),
    "a category shuffled": TableFault(
        lambda f, t, p, r: f.assign(**{p.category: r.permutation(f[p.category].to_numpy())}),
        ("category",)),
    "2 % of a category misspelt": TableFault(_misspelt, ("category",)),
    "two levels merged": TableFault(_merged, ("category",)),
    "a level dropped": _without_level(3),
    "a level at half its share": _without_level(1, 0.5),
    "2 % of the rows copied from train":
        TableFault(lambda f, t, p, r: _copied(f, t, 0.02, r), leak=True),
    "5 % of the rows copied from train":
        TableFault(lambda f, t, p, r: _copied(f, t, 0.05, r), leak=True),
    "train with two numbers jittered": TableFault(_jittered, leak=True),
}  # fmt: skip
