"""What forests of real rows forecast of each column from all others, and how many values stray from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

from ._labels import Labels, labeller

Floats = npt.NDArray[np.float64]
Coder = Callable[[Dataset], Floats]

_TREES, _MIN_LEAF, _OF_COLUMNS = 24, 5, 0.8
_SHARPENED_ON = 4_000
_POWERS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 9.0)
_LEAST_STRAY = 0.05
"""Forests are less sure than they may be. They are sharpened until so many real values stray: none
strays less than never, and where real ones never do, those that stray a little cannot be told."""
_OF_SHARES = 0.02
"""How much of every forecast is the column's own shares: no value is ever impossible."""
_HALVINGS = 30


@dataclass(frozen=True)
class Forest:
    """A forest that forecasts the labels of one column.

    Parameters
    ----------
    model : object
        The fitted classifier.
    shares : numpy.ndarray, shape (k,)
        Share of each label among the real rows.
    power : float
        To which power its forecasts are taken.
    """

    model: Any
    shares: Floats
    power: float

    @classmethod
    def grow(cls, features: Floats, labels: Labels, n_labels: int, seed: int) -> Forest:
        """Return a forest of the rows, sharpened by what each tree says of rows it has not seen."""
        from sklearn.ensemble import RandomForestClassifier

        model = RandomForestClassifier(
            n_estimators=_TREES,
            min_samples_leaf=_MIN_LEAF,
            max_features=_OF_COLUMNS,
            random_state=seed,
        ).fit(features, labels)
        counts = np.bincount(labels, minlength=n_labels) + 0.5
        grown = cls(model, counts / counts.sum(), 1.0)
        rows, unseen = _out_of_bag(model, features)
        for power in _POWERS:
            grown = replace(grown, power=power)
            told, by_chance = grown._told(unseen, labels[rows])
            if stray_fractions(told[:, None], by_chance[:, None])[0] >= _LEAST_STRAY:
                break
        return grown

    def told(self, features: Floats, labels: Labels) -> tuple[Floats, Floats]:
        """Return the forecast of each row's label, and the share of that label, shapes (n,)."""
        return self._told(self.model.predict_proba(features), labels)

    def _told(self, seen: Floats, labels: Labels) -> tuple[Floats, Floats]:
        forecast = np.zeros((len(labels), len(self.shares)))
        forecast[:, self.model.classes_] = seen**self.power
        own = forecast[np.arange(len(labels)), labels] / np.maximum(forecast.sum(axis=1), 1e-300)
        by_chance = self.shares[labels]
        return (1 - _OF_SHARES) * own + _OF_SHARES * by_chance, by_chance


@dataclass(frozen=True)
class Forecasts:
    """Forests that forecast every column from all others, grown from one set of real rows."""

    names: tuple[str, ...]
    coders: dict[str, Coder]
    labellers: dict[str, Callable[[Dataset], tuple[Labels, int]]]
    forests: dict[str, Forest]

    @classmethod
    def of(cls, real: Dataset, names: Sequence[str], seed: int) -> Forecasts:
        """Return the forests of `names`, two columns or more."""
        coders = {name: coder(real, name) for name in names}
        labellers = {name: labeller(real, name) for name in names}
        coded = np.column_stack([coders[name](real) for name in names])
        forests = {
            name: Forest.grow(np.delete(coded, i, axis=1), *labellers[name](real), seed)
            for i, name in enumerate(names)
        }
        return cls(tuple(names), coders, labellers, forests)

    def told(self, rows: Dataset) -> tuple[Floats, Floats]:
        """Return the forecast of what each row has, and the real share of that, shapes (n, columns)."""
        coded = np.column_stack([self.coders[name](rows) for name in self.names])
        found = [
            self.forests[name].told(np.delete(coded, i, axis=1), self.labellers[name](rows)[0])
            for i, name in enumerate(self.names)
        ]
        return np.column_stack([told for told, _ in found]), np.column_stack([p for _, p in found])


def _out_of_bag(model: Any, features: Floats) -> tuple[Labels, Floats]:
    """Return rows that some trees have not seen, and what these say of them, shapes (r,), (r, k)."""
    # Evenly spaced, so that the rows of a sorted table are looked at from all its parts.
    looked_at = np.linspace(0, len(features) - 1, min(len(features), _SHARPENED_ON)).astype(int)
    total, times = np.zeros((len(looked_at), len(model.classes_))), np.zeros((len(looked_at), 1))
    for tree, seen in zip(model.estimators_, model.estimators_samples_):
        unseen = np.flatnonzero(~np.isin(looked_at, seen))
        total[unseen] += tree.predict_proba(features[looked_at[unseen]].astype(np.float32))
        times[unseen] += 1
    told = np.flatnonzero(times)
    return looked_at[told], total[told] / times[told]


def coder(real: Dataset, name: str) -> Coder:
    """Return what turns a column of any set into numbers for a tree, as the real rows order it.

    A number becomes its place among the distinct real ones, half a step where it lies between two.
    Of a category the levels are numbered by falling frequency; those that real rows lack come last.
    Missing is -1.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"x": [2.5, 4.5, 2.5]}))
    >>> made = Dataset.from_arrow(pa.table({"x": [4.5, 3.5, None]}))
    >>> coder(real, "x")(made).tolist()
    [1.5, 1.0, -1.0]
    """
    if real.schema[name].has_levels:
        codes, levels = real.codes(name)
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        order = np.argsort(-counts, kind="stable")
        place = {levels[i]: float(rank) for rank, i in enumerate(order)}

        def of_levels(rows: Dataset) -> Floats:
            codes, levels = rows.codes(name)
            return np.array([*[place.get(v, float(len(place))) for v in levels], -1.0])[codes]

        return of_levels
    values = real.values(name)
    known = np.unique(values[~np.isnan(values)])

    def of_numbers(rows: Dataset) -> Floats:
        values = rows.values(name)
        sides = (np.searchsorted(known, values, side=side) for side in ("left", "right"))
        return np.where(np.isnan(values), -1.0, sum(sides) / 2)

    return of_numbers


def stray_fractions(told: Floats, by_chance: Floats) -> Floats:
    """Return for each column the share of its values that look drawn at random, shape (d,), in [0, 1].

    A value is taken to come from the forecast or, with the probability sought, from the column's own
    shares, whatever the rest of the row says. The most likely such probability is returned.

    Parameters
    ----------
    told, by_chance : numpy.ndarray, shape (n, d)
        Probability of each value by the forecast and by the shares of its column, above 0.

    Examples
    --------
    >>> told = np.array([[0.9], [0.9], [0.9], [0.1]])
    >>> stray_fractions(told, np.full((4, 1), 0.5)).round(3).tolist()
    [0.375]
    """
    apart = by_chance - told
    low, high = np.zeros(told.shape[1]), np.ones(told.shape[1])
    # The likelihood is concave: its slope falls, and is 0 where it is largest.
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        rises = (apart / (told + middle * apart)).sum(axis=0) > 0
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    return np.asarray((low + high) / 2)


def stray_slopes(told: Floats, by_chance: Floats, fractions: Floats) -> Floats:
    """Return the slope of each value's log likelihood at the fractions, shape (n, d).

    The second derivative is minus its square: one Newton step leads to the fraction of a resample.
    """
    apart = by_chance - told
    return np.asarray(apart / (told + fractions * apart))
