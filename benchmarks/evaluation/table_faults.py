"""Real tables, cut into disjoint parts, and faults to plant into rows that were never used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas import DataFrame as Frame

from benchmarks.tabular.sets import load
from twinset.core.dataset import Dataset
from twinset.core.inference import infer_schema
from twinset.core.intake import to_table
from twinset.core.schema import Schema

Rng = np.random.Generator
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Places:
    """Columns of a table that faults go into, and one slice given by two conditions.

    Parameters
    ----------
    number, other : str
        Two numbers that other columns depend on.
    category : str
        A category with several levels, one of them rare; "" where the table has none.
    target, rare : str
        Column of two classes, and its rarer class.
    slice : callable
        Frame -> which rows are in the slice, shape (n,).
    about : tuple of str
        Columns that define the slice.
    """

    number: str
    other: str
    category: str
    target: str
    rare: str
    slice: Callable[[Frame], Mask]
    about: tuple[str, ...]


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
        """Return the parts for one seed; the schema is that of all rows."""
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
    """One kind of fault at one strength.

    Parameters
    ----------
    name : str
        Kind and strength.
    plant : callable
        ``(rows, train, places, rng)`` -> faulty rows.
    columns : callable
        Places -> columns that a good report names first; empty where whole rows are at fault.
    leak : bool
        Whether the privacy family has to find it.
    """

    name: str
    plant: Callable[[Frame, Frame, Places, Rng], Frame]
    columns: Callable[[Places], tuple[str, ...]]
    leak: bool = False


def table_faults() -> dict[str, TableFault]:
    """Return all kinds at all strengths by name."""
    every = [*_number_faults(), *_row_faults(), *_label_faults(), *_category_faults(), *_leaks()]
    return {fault.name: fault for fault in every}


def _number(places: Places) -> tuple[str, ...]:
    return (places.number,)


def _pair(places: Places) -> tuple[str, ...]:
    return (places.number, places.other)


def _slice(places: Places) -> tuple[str, ...]:
    return places.about


def _category(places: Places) -> tuple[str, ...]:
    return (places.category,)


def _target(places: Places) -> tuple[str, ...]:
    return (places.target,)


def _nowhere(places: Places) -> tuple[str, ...]:
    return ()


def _part(n: int, share: float, rng: Rng) -> Mask:
    return np.asarray(rng.random(n) < share)


Change = Callable[[pd.Series, Rng], object]
NUMBER_CHANGES: dict[str, tuple[Change, float]] = {
    # name: (change of the values that are hit, share of the rows that are hit)
    "10% of a number shuffled": (lambda v, r: r.permutation(v), 0.1),
    "30% of a number shuffled": (lambda v, r: r.permutation(v), 0.3),
    "100% of a number shuffled": (lambda v, r: r.permutation(v), 1.0),
    "noise of 0.25 spreads on a number": (
        lambda v, r: v + 0.25 * v.std() * r.normal(size=len(v)), 1.0,
    ),
    "noise of 0.5 spreads on a number": (
        lambda v, r: v + 0.5 * v.std() * r.normal(size=len(v)), 1.0,
    ),
    "a number 10 % too large": (lambda v, r: 1.1 * v, 1.0),
    "a number moved by 0.2 spreads": (lambda v, r: v + 0.2 * v.std(), 1.0),
    "a number rounded to 10 values": (lambda v, r: _rounded(v, 10), 1.0),
    "tails beyond 5 % cut off": (lambda v, r: v.clip(*v.quantile([0.05, 0.95])), 1.0),
    "spread shrunk by 20 %": (lambda v, r: v.mean() + 0.8 * (v - v.mean()), 1.0),
    "5 % of a number ten times as large": (lambda v, r: 10 * v, 0.05),
    "10 % of a number at its median": (lambda v, r: v.median(), 0.1),
    "5 % of a number missing": (lambda v, r: np.nan, 0.05),
    "sign turned in 10 %": (lambda v, r: 2 * v.mean() - v, 0.1),
}  # fmt: skip


def _number_faults() -> list[TableFault]:
    found = [
        TableFault(name, _changed(change, share), _number)
        for name, (change, share) in NUMBER_CHANGES.items()
    ]
    return [*found, TableFault("a pair decorrelated", _decorrelated, _pair)]


def _changed(change: Change, share: float) -> Callable[..., Frame]:
    def plant(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
        hit = _part(len(rows), share, rng)
        values = rows[places.number].astype(float)
        values[hit] = change(values[hit], rng)
        return rows.assign(**{places.number: values})

    return plant


def _rounded(values: pd.Series, n: int) -> pd.Series:
    step = (values.quantile(0.99) - values.quantile(0.01)) / n
    return (values / step).round() * step


def _decorrelated(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
    """Shuffle a number within each class: what links it with the class stays."""
    found = rows.copy()
    for _, at in rows.groupby(places.target).groups.items():
        found.loc[at, places.number] = rng.permutation(rows.loc[at, places.number].to_numpy())
    return found


def _row_faults() -> list[TableFault]:
    return [
        TableFault("10% of the rows with independent columns", _independent(0.1), _nowhere),
        TableFault("30% of the rows with independent columns", _independent(0.3), _nowhere),
        TableFault("a slice removed", _keep(lambda f, p, r: ~p.slice(f)), _slice),
        TableFault(
            "a slice thinned to a third",
            _keep(lambda f, p, r: ~p.slice(f) | _part(len(f), 1 / 3, r)),
            _slice,
        ),
        TableFault(
            "a slice twice as frequent",
            _keep(lambda f, p, r: p.slice(f) | _part(len(f), 0.5, r)),
            _slice,
        ),
        TableFault(
            "a mode dropped: the top fifth of a number",
            _keep(lambda f, p, r: np.asarray(f[p.number] <= f[p.number].quantile(0.8))),
            _number,
        ),
        TableFault("a third of the rows three times each", _repeated, _nowhere),
        TableFault("two numbers exchanged in 10 %", _exchanged, _pair),
    ]


def _independent(share: float) -> Callable[..., Frame]:
    def plant(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
        found = rows.copy()
        hit = np.flatnonzero(_part(len(rows), share, rng))
        for column in rows.columns:
            found.loc[hit, column] = rng.permutation(rows[column].to_numpy())[: len(hit)]
        return found.astype(rows.dtypes)

    return plant


def _keep(which: Callable[[Frame, Places, Rng], Mask]) -> Callable[..., Frame]:
    """Return a fault that leaves rows out and fills up with copies of those that are left."""

    def plant(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
        left = rows[which(rows, places, rng)]
        seed = int(rng.integers(2**31))
        more = left.sample(len(rows) - len(left), replace=True, random_state=seed)
        return pd.concat([left, more], ignore_index=True)

    return plant


def _repeated(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
    some = rows.iloc[rng.permutation(len(rows))[: len(rows) // 3]]
    return pd.concat([some] * 4, ignore_index=True).iloc[: len(rows)]


def _exchanged(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
    hit = _part(len(rows), 0.1, rng)
    first, second = rows[places.number].astype(float), rows[places.other].astype(float)
    columns = {places.number: first.where(~hit, second), places.other: second.where(~hit, first)}
    return rows.assign(**columns)


def _label_faults() -> list[TableFault]:
    def flipped(share: float) -> Callable[..., Frame]:
        return lambda f, t, p, r: _flip(f, p, _part(len(f), share, r))

    return [
        TableFault("2% of the labels flipped", flipped(0.02), _target),
        TableFault("5% of the labels flipped", flipped(0.05), _target),
        TableFault("10% of the labels flipped", flipped(0.1), _target),
        TableFault(
            "labels flipped in a slice", lambda f, t, p, r: _flip(f, p, p.slice(f)), _target
        ),
        TableFault("the rare class dropped", _keep(lambda f, p, r: _common(f, p)), _target),
        TableFault(
            "the rare class halved",
            _keep(lambda f, p, r: _common(f, p) | _part(len(f), 0.5, r)),
            _target,
        ),
    ]


def _common(rows: Frame, places: Places) -> Mask:
    return np.asarray(rows[places.target].astype(str) != places.rare)


def _flip(rows: Frame, places: Places, hit: Mask) -> Frame:
    found = rows.copy()
    one, two = rows[places.target].unique()[:2]
    found.loc[hit, places.target] = rows.loc[hit, places.target].map({one: two, two: one})
    return found


def _category_faults() -> list[TableFault]:
    def shuffled(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
        return rows.assign(**{places.category: rng.permutation(rows[places.category].to_numpy())})

    def renamed(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
        found = rows.copy()
        hit = _part(len(rows), 0.02, rng)
        found.loc[hit, places.category] = found.loc[hit, places.category].astype(str) + "_"
        return found

    def level(rows: Frame, places: Places, rank: int) -> Mask:
        counts = rows[places.category].value_counts()
        return np.asarray(rows[places.category] == counts.index[rank])

    def merged(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
        found = rows.copy()
        common = rows[places.category].value_counts().index
        found.loc[level(rows, places, 2), places.category] = common[1]
        return found

    return [
        TableFault("a category shuffled", shuffled, _category),
        TableFault("2 % of a category misspelt", renamed, _category),
        TableFault("two levels merged", merged, _category),
        TableFault("a level dropped", _keep(lambda f, p, r: ~level(f, p, 3)), _category),
        TableFault(
            "a level at half its share",
            _keep(lambda f, p, r: ~level(f, p, 1) | _part(len(f), 0.5, r)),
            _category,
        ),
    ]


def _leaks() -> list[TableFault]:
    def copied(share: float) -> Callable[..., Frame]:
        def plant(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
            n = round(share * len(rows))
            some = train.iloc[rng.permutation(len(train))[:n]]
            return pd.concat([rows.iloc[n:], some], ignore_index=True)

        return plant

    def jittered(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
        found = train.iloc[rng.permutation(len(train))[: len(rows)]].reset_index(drop=True).copy()
        for column in (places.number, places.other):
            values = found[column].astype(float)
            found[column] = values + rng.choice([-1, 1], len(found)) * 0.02 * values.std()
        return found

    return [
        TableFault("2 % of the rows copied from train", copied(0.02), _nowhere, leak=True),
        TableFault("5 % of the rows copied from train", copied(0.05), _nowhere, leak=True),
        TableFault("train with two numbers jittered", jittered, _nowhere, leak=True),
    ]
