"""Real tables, cut into disjoint parts, and faults to plant into rows that were never used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas import DataFrame as Frame

from benchmarks.runner import Row, load_yaml
from benchmarks.tabular.sets import load
from twinset.core.data.arrow_tables import infer_schema, to_table
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema

Rng = np.random.Generator
Mask = npt.NDArray[np.bool_]
# (fresh rows, train, places, rng, parameter) -> faulty rows
Plant = Callable[[Frame, Frame, "Places", Rng, float], Frame]


@dataclass(frozen=True)
class Places:
    """Columns of a table that faults go into, and one slice."""

    number: str
    other: str
    category: str
    target: str
    rare: str
    slice: str
    about: list[str]

    def in_slice(self, rows: Frame) -> Mask:
        return np.asarray(rows.eval(self.slice), dtype=bool)


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


def _part(n: int, share: float, rng: Rng) -> Mask:
    return np.asarray(rng.random(n) < share)


def _rounded(values: pd.Series, n: float) -> pd.Series:
    step = (values.quantile(0.99) - values.quantile(0.01)) / n
    return (values / step).round() * step


NUMBERS: dict[str, Callable[[pd.Series, Rng, float], object]] = {
    "shuffled": lambda v, r, by: r.permutation(v),
    "noisy": lambda v, r, by: v + by * v.std() * r.normal(size=len(v)),
    "scaled": lambda v, r, by: by * v,
    "moved": lambda v, r, by: v + by * v.std(),
    "rounded": lambda v, r, by: _rounded(v, by),
    "clipped": lambda v, r, by: v.clip(*v.quantile([by, 1 - by])),
    "shrunk": lambda v, r, by: v.mean() + by * (v - v.mean()),
    "median": lambda v, r, by: v.median(),
    "missing": lambda v, r, by: np.nan,
    "turned": lambda v, r, by: 2 * v.mean() - v,
}
KEPT: dict[str, Callable[[Frame, Places, float], object]] = {
    "outside_slice": lambda f, p, by: ~p.in_slice(f),
    "inside_slice": lambda f, p, by: p.in_slice(f),
    "up_to_quantile": lambda f, p, by: f[p.number] <= f[p.number].quantile(by),
    "common_class": lambda f, p, by: f[p.target].astype(str) != p.rare,
    # levels of another rank, 0 being the most frequent
    "other_levels": lambda f, p, by: f[p.category] != f[p.category].value_counts().index[int(by)],
}


def decorrelated(rows: Frame, train: Frame, places: Places, rng: Rng, by: float) -> Frame:
    """Shuffle a number within each class: what links it with the class stays."""
    found = rows.copy()
    for _, at in rows.groupby(places.target).groups.items():
        found.loc[at, places.number] = rng.permutation(rows.loc[at, places.number].to_numpy())
    return found


def independent(rows: Frame, train: Frame, places: Places, rng: Rng, by: float) -> Frame:
    found = rows.copy()
    hit = np.flatnonzero(_part(len(rows), by, rng))
    for column in rows.columns:
        found.loc[hit, column] = rng.permutation(rows[column].to_numpy())[: len(hit)]
    return found.astype(rows.dtypes)


def repeated(rows: Frame, train: Frame, places: Places, rng: Rng, by: float) -> Frame:
    some = rows.iloc[rng.permutation(len(rows))[: len(rows) // 3]]
    return pd.concat([some] * 4, ignore_index=True).iloc[: len(rows)]


def exchanged(rows: Frame, train: Frame, places: Places, rng: Rng, by: float) -> Frame:
    hit = _part(len(rows), by, rng)
    first, second = rows[places.number].astype(float), rows[places.other].astype(float)
    columns = {places.number: first.where(~hit, second), places.other: second.where(~hit, first)}
    return rows.assign(**columns)


def _flip(rows: Frame, places: Places, hit: Mask) -> Frame:
    one, two = rows[places.target].unique()[:2]
    other = rows[places.target].map({one: two, two: one})
    return rows.assign(**{places.target: rows[places.target].where(~hit, other)})


def misspelt(rows: Frame, train: Frame, places: Places, rng: Rng, by: float) -> Frame:
    hit = _part(len(rows), by, rng)
    wrong = rows[places.category].astype(str) + "_"
    return rows.assign(**{places.category: rows[places.category].where(~hit, wrong)})


def merged(rows: Frame, train: Frame, places: Places, rng: Rng, by: float) -> Frame:
    common = rows[places.category].value_counts().index
    return rows.assign(**{places.category: rows[places.category].replace(common[2], common[1])})


def copied(rows: Frame, train: Frame, places: Places, rng: Rng, by: float) -> Frame:
    n = round(by * len(rows))
    some = train.iloc[rng.permutation(len(train))[:n]]
    return pd.concat([rows.iloc[n:], some], ignore_index=True)


def jittered(rows: Frame, train: Frame, places: Places, rng: Rng, by: float) -> Frame:
    found = train.iloc[rng.permutation(len(train))[: len(rows)]].reset_index(drop=True).copy()
    for column in (places.number, places.other):
        values = found[column].astype(float)
        found[column] = values + rng.choice([-1, 1], len(found)) * by * values.std()
    return found


PLANTS: dict[str, Plant] = {
    "flipped": lambda f, t, p, r, by: _flip(f, p, _part(len(f), by, r)),
    "flipped_in_slice": lambda f, t, p, r, by: _flip(f, p, p.in_slice(f)),
    "category_shuffled": lambda f, t, p, r, by: f.assign(
        **{p.category: r.permutation(f[p.category].to_numpy())}
    ),
    **{f.__name__: f for f in (decorrelated, independent, repeated, exchanged, misspelt, merged)},
    **{f.__name__: f for f in (copied, jittered)},
}


def named_columns(fault: str, places: Places) -> list[str]:
    """Return the columns that a good report of a fault names first."""
    how = TABLE_FAULTS[fault]
    about = how.get("about", ["number"] if "number" in how else [])
    return list(places.about) if about == ["about"] else [getattr(places, name) for name in about]


def plant_table_fault(fault: str, rows: Frame, train: Frame, places: Places, rng: Rng) -> Frame:
    """Return fresh rows with a fault of table_faults.yaml, or as they are without a name."""
    how = TABLE_FAULTS.get(fault, {})
    by, share = how.get("by", 0.0), how.get("share")
    if "number" in how:
        hit = _part(len(rows), 1.0 if share is None else share, rng)
        values = rows[places.number].astype(float)
        values[hit] = NUMBERS[how["number"]](values[hit], rng, by)
        return rows.assign(**{places.number: values})
    if "keep" in how:
        keep = np.asarray(KEPT[how["keep"]](rows, places, by))
        left = rows[keep | _part(len(rows), share, rng) if share else keep]
        # Copies fill up what is left out.
        seed, n = int(rng.integers(2**31)), len(rows) - len(left)
        return pd.concat([left, left.sample(n, replace=True, random_state=seed)], ignore_index=True)
    return PLANTS[how["plant"]](rows, train, places, rng, by) if how else rows


def planted_cut(job: Row) -> tuple[TableCut, Frame, Places]:
    """Return the cut of a job's table, its fresh rows with the job's fault, and its places."""
    places, seed = PLACES[job["set"]], job["seed"]
    cut = TableCut.draw(every_row(job["set"]), places.target, seed)
    rng = np.random.default_rng(seed)
    return cut, plant_table_fault(job["fault"], cut.fresh, cut.train, places, rng), places


_YAML = load_yaml(__file__, "table_faults.yaml")
PLACES = {name: Places(**how) for name, how in _YAML["places"].items()}
TABLE_FAULTS: dict[str, dict[str, Any]] = _YAML["faults"]
