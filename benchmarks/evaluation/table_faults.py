"""Real tables, cut into disjoint parts, and faults to plant into rows that were never used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
    about : tuple of str
        Attributes of `Places` with the columns that a good report names first; empty where whole rows
        are at fault.
    leak : bool
        Whether the privacy family has to find it.
    """

    name: str
    plant: Plant
    about: tuple[str, ...] = ()
    leak: bool = False

    def columns(self, places: Places) -> tuple[str, ...]:
        """Return the columns that a good report names first."""
        if self.about == ("about",):
            return places.about
        return tuple(getattr(places, name) for name in self.about)


def table_faults() -> dict[str, TableFault]:
    """Return all kinds at all strengths by name."""
    return {fault.name: fault for fault in FAULTS}


def _part(n: int, share: float, rng: Rng) -> Mask:
    return np.asarray(rng.random(n) < share)


def _changed(change: Callable[[pd.Series, Rng], object], share: float = 1.0) -> Plant:
    """Return a fault of the main number: a change of the values in a share of the rows."""

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


def _independent(share: float) -> Plant:
    def plant(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
        found = rows.copy()
        hit = np.flatnonzero(_part(len(rows), share, rng))
        for column in rows.columns:
            found.loc[hit, column] = rng.permutation(rows[column].to_numpy())[: len(hit)]
        return found.astype(rows.dtypes)

    return plant


def _keep(which: Callable[[Frame, Places], Mask], share: float = 0.0) -> Plant:
    """Return a fault that leaves out the other rows, but for a share, and fills up with copies."""

    def plant(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
        keep = which(rows, places)
        left = rows[keep | _part(len(rows), share, rng) if share else keep]
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


def _common(rows: Frame, places: Places) -> Mask:
    return np.asarray(rows[places.target].astype(str) != places.rare)


def _flip(rows: Frame, places: Places, hit: Mask) -> Frame:
    found = rows.copy()
    one, two = rows[places.target].unique()[:2]
    found.loc[hit, places.target] = rows.loc[hit, places.target].map({one: two, two: one})
    return found


def _flipped(share: float) -> Plant:
    return lambda f, t, p, r: _flip(f, p, _part(len(f), share, r))


def _misspelt(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
    found = rows.copy()
    hit = _part(len(rows), 0.02, rng)
    found.loc[hit, places.category] = found.loc[hit, places.category].astype(str) + "_"
    return found


def _level(rows: Frame, places: Places, rank: int) -> Mask:
    """Return which rows have the level of a rank, 0 being the commonest."""
    counts = rows[places.category].value_counts()
    return np.asarray(rows[places.category] == counts.index[rank])


def _merged(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
    found = rows.copy()
    common = rows[places.category].value_counts().index
    found.loc[_level(rows, places, 2), places.category] = common[1]
    return found


def _copied(share: float) -> Plant:
    def plant(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
        n = round(share * len(rows))
        some = train.iloc[rng.permutation(len(train))[:n]]
        return pd.concat([rows.iloc[n:], some], ignore_index=True)

    return plant


def _jittered(rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
    found = train.iloc[rng.permutation(len(train))[: len(rows)]].reset_index(drop=True).copy()
    for column in (places.number, places.other):
        values = found[column].astype(float)
        found[column] = values + rng.choice([-1, 1], len(found)) * 0.02 * values.std()
    return found


_N, _PAIR, _T, _C, _S = ("number",), ("number", "other"), ("target",), ("category",), ("about",)
FAULTS: tuple[TableFault, ...] = (
    *(
        TableFault(f"{s:.0%} of a number shuffled", _changed(lambda v, r: r.permutation(v), s), _N)
        for s in (0.1, 0.3, 1.0)
    ),
    TableFault("noise of 0.25 spreads on a number",
               _changed(lambda v, r: v + 0.25 * v.std() * r.normal(size=len(v))), _N),
    TableFault("noise of 0.5 spreads on a number",
               _changed(lambda v, r: v + 0.5 * v.std() * r.normal(size=len(v))), _N),
    TableFault("a number 10 % too large", _changed(lambda v, r: 1.1 * v), _N),
    TableFault("a number moved by 0.2 spreads", _changed(lambda v, r: v + 0.2 * v.std()), _N),
    TableFault("a number rounded to 10 values", _changed(lambda v, r: _rounded(v, 10)), _N),
    TableFault("tails beyond 5 % cut off",
               _changed(lambda v, r: v.clip(*v.quantile([0.05, 0.95]))), _N),
    TableFault("spread shrunk by 20 %",
               _changed(lambda v, r: v.mean() + 0.8 * (v - v.mean())), _N),
    TableFault("5 % of a number ten times as large", _changed(lambda v, r: 10 * v, 0.05), _N),
    TableFault("10 % of a number at its median", _changed(lambda v, r: v.median(), 0.1), _N),
    TableFault("5 % of a number missing", _changed(lambda v, r: np.nan, 0.05), _N),
    TableFault("sign turned in 10 %", _changed(lambda v, r: 2 * v.mean() - v, 0.1), _N),
    TableFault("a pair decorrelated", _decorrelated, _PAIR),
    TableFault("10% of the rows with independent columns", _independent(0.1)),
    TableFault("30% of the rows with independent columns", _independent(0.3)),
    TableFault("a slice removed", _keep(lambda f, p: ~p.slice(f)), _S),
    TableFault("a slice thinned to a third", _keep(lambda f, p: ~p.slice(f), 1 / 3), _S),
    TableFault("a slice twice as frequent", _keep(lambda f, p: p.slice(f), 0.5), _S),
    TableFault("a mode dropped: the top fifth of a number",
               _keep(lambda f, p: np.asarray(f[p.number] <= f[p.number].quantile(0.8))), _N),
    TableFault("a third of the rows three times each", _repeated),
    TableFault("two numbers exchanged in 10 %", _exchanged, _PAIR),
    *(TableFault(f"{s:.0%} of the labels flipped", _flipped(s), _T) for s in (0.02, 0.05, 0.1)),
    TableFault("labels flipped in a slice", lambda f, t, p, r: _flip(f, p, p.slice(f)), _T),
    TableFault("the rare class dropped", _keep(_common), _T),
    TableFault("the rare class halved", _keep(_common, 0.5), _T),
    TableFault("a category shuffled",
               lambda f, t, p, r: f.assign(**{p.category: r.permutation(f[p.category].to_numpy())}),
               _C),
    TableFault("2 % of a category misspelt", _misspelt, _C),
    TableFault("two levels merged", _merged, _C),
    TableFault("a level dropped", _keep(lambda f, p: ~_level(f, p, 3)), _C),
    TableFault("a level at half its share", _keep(lambda f, p: ~_level(f, p, 1), 0.5), _C),
    TableFault("2 % of the rows copied from train", _copied(0.02), leak=True),
    TableFault("5 % of the rows copied from train", _copied(0.05), leak=True),
    TableFault("train with two numbers jittered", _jittered, leak=True),
)  # fmt: skip
