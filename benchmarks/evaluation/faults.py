"""Faults to plant into real rows that were never used: what each does, how strong, and where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Rng = np.random.Generator
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Places:
    """Where faults of a table go: columns by what they are good for, and one slice in two conditions.

    Parameters
    ----------
    number, other : str
        Two numbers that others depend on.
    category : str
        A category with several levels, one of them rare; "" where the table has none.
    target : str
        Column of two classes.
    rare : str
        Its rarer class.
    slice : callable
        Which rows are in the slice, shape (n,).
    about : tuple of str
        Columns that the slice is made of.
    """

    number: str
    other: str
    category: str
    target: str
    rare: str
    slice: Callable[[pd.DataFrame], Mask]
    about: tuple[str, ...]


@dataclass(frozen=True)
class Fault:
    """One kind of fault at one strength.

    Parameters
    ----------
    name : str
        What was done, with its strength.
    plant : callable
        ``(rows, train, places, rng)`` -> faulty rows.
    columns : callable
        Which columns a good report names first; empty where the fault is about whole rows.
    leak : bool
        Whether it is the privacy family that has to find it.
    """

    name: str
    plant: Callable[[pd.DataFrame, pd.DataFrame, Places, Rng], pd.DataFrame]
    columns: Callable[[Places], tuple[str, ...]]
    leak: bool = False


def faults() -> list[Fault]:
    """Return all kinds at all strengths, those in most need of a category last."""
    return [*_of_numbers(), *_of_rows(), *_of_labels(), *_of_categories(), *_leaks()]


def _number(places: Places) -> tuple[str, ...]:
    return (places.number,)


def _category(places: Places) -> tuple[str, ...]:
    return (places.category,)


def _target(places: Places) -> tuple[str, ...]:
    return (places.target,)


def _nowhere(places: Places) -> tuple[str, ...]:
    return ()


def _part(n: int, share: float, rng: Rng) -> Mask:
    return np.asarray(rng.random(n) < share)


def _on(name: str, change: Callable[[pd.Series, Mask, Rng], object], share: float = 1.0) -> Fault:
    """Return a fault of the main number: `change` gets its values in the rows that are hit."""

    def plant(rows: pd.DataFrame, train: pd.DataFrame, places: Places, rng: Rng) -> pd.DataFrame:
        hit = _part(len(rows), share, rng)
        made = rows.copy()
        values = made[places.number].astype(float)
        values[hit] = change(values[hit], hit, rng)
        made[places.number] = values
        return made

    return Fault(name, plant, _number)


def _of_numbers() -> list[Fault]:
    found = []
    for share in (0.1, 0.3, 1.0):
        found.append(
            _on(f"{share:.0%} of a number shuffled", lambda v, _, r: r.permutation(v), share)
        )
    for size in (0.25, 0.5):
        found.append(_on(f"noise of {size} spreads on a number", _noisy(size)))
    found += [
        _on("a number 10 % too large", lambda v, _, r: 1.1 * v),
        _on("a number moved by 0.2 spreads", lambda v, _, r: v + 0.2 * v.std()),
        _on("a number rounded to 10 values", lambda v, _, r: _rounded(v, 10)),
        _on("tails beyond 5 % cut off", lambda v, _, r: v.clip(*v.quantile([0.05, 0.95]))),
        _on("spread shrunk by 20 %", lambda v, _, r: v.mean() + 0.8 * (v - v.mean())),
        _on("5 % of a number ten times as large", lambda v, _, r: 10 * v, 0.05),
        _on("10 % of a number at its median", lambda v, _, r: v.median(), 0.1),
        _on("5 % of a number missing", lambda v, _, r: np.nan, 0.05),
        _on("sign turned in 10 %", lambda v, _, r: 2 * v.mean() - v, 0.1),
    ]
    return [*found, Fault("a pair decorrelated", _decorrelated, lambda p: (p.number, p.other))]


def _noisy(size: float) -> Callable[[pd.Series, Mask, Rng], object]:
    return lambda v, _, r: v + size * v.std() * r.normal(size=len(v))


def _rounded(values: pd.Series, n: int) -> pd.Series:
    step = (values.quantile(0.99) - values.quantile(0.01)) / n
    return (values / step).round() * step


def _decorrelated(
    rows: pd.DataFrame, train: pd.DataFrame, places: Places, rng: Rng
) -> pd.DataFrame:
    """Shuffle a number among rows of one class: all that links it with the class stays."""
    made = rows.copy()
    for _, at in rows.groupby(places.target).groups.items():
        made.loc[at, places.number] = rng.permutation(rows.loc[at, places.number].to_numpy())
    return made


def _of_rows() -> list[Fault]:
    found = []
    for share in (0.1, 0.3):

        def independent(
            rows: pd.DataFrame, train: pd.DataFrame, places: Places, rng: Rng, share: float = share
        ) -> pd.DataFrame:
            made = rows.copy()
            hit = np.flatnonzero(_part(len(rows), share, rng))
            for column in rows.columns:
                made.loc[hit, column] = rng.permutation(rows[column].to_numpy())[: len(hit)]
            return made.astype(rows.dtypes)

        found.append(
            Fault(f"{share:.0%} of the rows with independent columns", independent, _nowhere)
        )
    return [
        *found,
        Fault("a slice removed", _keep(lambda f, p, r: ~p.slice(f)), lambda p: p.about),
        Fault(
            "a slice thinned to a third",
            _keep(lambda f, p, r: ~p.slice(f) | _part(len(f), 1 / 3, r)),
            lambda p: p.about,
        ),
        Fault(
            "a slice twice as frequent",
            _keep(lambda f, p, r: p.slice(f) | _part(len(f), 0.5, r)),
            lambda p: p.about,
        ),
        Fault("a mode dropped: the top fifth of a number", _keep(_below_top), _number),
        Fault("a third of the rows three times each", _repeated, _nowhere),
        Fault("two numbers exchanged in 10 %", _exchanged, lambda p: (p.number, p.other)),
    ]


def _keep(which: Callable[[pd.DataFrame, Places, Rng], Mask]) -> Callable[..., pd.DataFrame]:
    """Return a fault that leaves some rows out and fills up with others that are kept."""

    def plant(rows: pd.DataFrame, train: pd.DataFrame, places: Places, rng: Rng) -> pd.DataFrame:
        kept = rows[which(rows, places, rng)]
        more = kept.sample(
            len(rows) - len(kept), replace=True, random_state=int(rng.integers(2**31))
        )
        return pd.concat([kept, more], ignore_index=True)

    return plant


def _below_top(rows: pd.DataFrame, places: Places, rng: Rng) -> Mask:
    values = rows[places.number]
    return np.asarray(values <= values.quantile(0.8))


def _repeated(rows: pd.DataFrame, train: pd.DataFrame, places: Places, rng: Rng) -> pd.DataFrame:
    some = rows.iloc[rng.permutation(len(rows))[: len(rows) // 3]]
    return pd.concat([some] * 4, ignore_index=True).iloc[: len(rows)]


def _exchanged(rows: pd.DataFrame, train: pd.DataFrame, places: Places, rng: Rng) -> pd.DataFrame:
    made = rows.copy()
    hit = _part(len(rows), 0.1, rng)
    first, second = rows[places.number].astype(float), rows[places.other].astype(float)
    made[places.number] = first.where(~hit, second)
    made[places.other] = second.where(~hit, first)
    return made


def _of_labels() -> list[Fault]:
    found = []
    for share in (0.02, 0.05, 0.1):

        def flipped(
            rows: pd.DataFrame, train: pd.DataFrame, places: Places, rng: Rng, share: float = share
        ) -> pd.DataFrame:
            return _flip(rows, places, _part(len(rows), share, rng))

        found.append(Fault(f"{share:.0%} of the labels flipped", flipped, _target))
    return [
        *found,
        Fault("labels flipped in a slice", lambda f, t, p, r: _flip(f, p, p.slice(f)), _target),
        Fault("the rare class dropped", _keep(lambda f, p, r: _common(f, p)), _target),
        Fault(
            "the rare class halved",
            _keep(lambda f, p, r: _common(f, p) | _part(len(f), 0.5, r)),
            _target,
        ),
    ]


def _common(rows: pd.DataFrame, places: Places) -> Mask:
    return np.asarray(rows[places.target].astype(str) != places.rare)


def _flip(rows: pd.DataFrame, places: Places, hit: Mask) -> pd.DataFrame:
    made = rows.copy()
    one, two = rows[places.target].unique()[:2]
    made.loc[hit, places.target] = rows.loc[hit, places.target].map({one: two, two: one})
    return made


def _of_categories() -> list[Fault]:
    def shuffled(rows: pd.DataFrame, train: pd.DataFrame, places: Places, rng: Rng) -> pd.DataFrame:
        return rows.assign(**{places.category: rng.permutation(rows[places.category].to_numpy())})

    def renamed(rows: pd.DataFrame, train: pd.DataFrame, places: Places, rng: Rng) -> pd.DataFrame:
        made = rows.copy()
        hit = _part(len(rows), 0.02, rng)
        made.loc[hit, places.category] = made.loc[hit, places.category].astype(str) + "_"
        return made

    def level(rows: pd.DataFrame, places: Places, rank: int) -> Mask:
        counts = rows[places.category].value_counts()
        return np.asarray(rows[places.category] == counts.index[rank])

    def merged(rows: pd.DataFrame, train: pd.DataFrame, places: Places, rng: Rng) -> pd.DataFrame:
        made = rows.copy()
        common = rows[places.category].value_counts().index
        made.loc[level(rows, places, 2), places.category] = common[1]
        return made

    return [
        Fault("a category shuffled", shuffled, _category),
        Fault("2 % of a category misspelt", renamed, _category),
        Fault("two levels merged", merged, _category),
        Fault("a level dropped", _keep(lambda f, p, r: ~level(f, p, 3)), _category),
        Fault(
            "a level at half its share",
            _keep(lambda f, p, r: ~level(f, p, 1) | _part(len(f), 0.5, r)),
            _category,
        ),
    ]


def _leaks() -> list[Fault]:
    def copied(share: float) -> Callable[..., pd.DataFrame]:
        def plant(
            rows: pd.DataFrame, train: pd.DataFrame, places: Places, rng: Rng
        ) -> pd.DataFrame:
            n = round(share * len(rows))
            some = train.iloc[rng.permutation(len(train))[:n]]
            return pd.concat([rows.iloc[n:], some], ignore_index=True)

        return plant

    def jittered(rows: pd.DataFrame, train: pd.DataFrame, places: Places, rng: Rng) -> pd.DataFrame:
        made = train.iloc[rng.permutation(len(train))[: len(rows)]].reset_index(drop=True).copy()
        for column in (places.number, places.other):
            values = made[column].astype(float)
            made[column] = values + rng.choice([-1, 1], len(made)) * 0.02 * values.std()
        return made

    return [
        Fault("2 % of the rows copied from train", copied(0.02), _nowhere, leak=True),
        Fault("5 % of the rows copied from train", copied(0.05), _nowhere, leak=True),
        Fault("train with two numbers jittered", jittered, _nowhere, leak=True),
    ]
