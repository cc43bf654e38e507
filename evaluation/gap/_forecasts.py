"""Forecasts of labels by models of real rows, and the share of values that stray from them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twinset.core.data.dataset import Dataset
from twinset.core.stats.bootstrap import Groups

from .._bootstrap_metric import Floats, Ints
from .._samples import levels_by_frequency, place_levels
from ._columns import CellCoder, fit_cells

MISSING, UNKNOWN = -1, -2
"""Labels of a row without a value, and of a row with a level that the model was not fitted on."""

_N_TREES = 24  # more trees hardly change the fractions, and time grows with them
_MIN_LEAF = 5  # rows: smaller leaves make forecasts of 0 and 1 that unseen rows contradict
_FEATURE_SHARE = 0.8  # of the columns at each split: trees must differ, and must see what decides
_SHARPENED_ROWS = 4_000  # rows that choose the power: enough for a share of 5 %
_FOREST_POWERS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 9.0)  # from as fitted to nearly certain
# Share of real values that must stray once forecasts are sharpened. With none straying, a synthetic
# set in which few values stray would look like a real one.
_MIN_FOREST_STRAY = 0.05
_CHANCE_WEIGHT = 0.02  # of the column's own shares in every forecast: no value is impossible
_HALVINGS = 30  # of the interval [0, 1]: a fraction is exact to 1e-9
_MIN_CURVATURE = 1e-12  # below it neither the forecast nor chance says anything about the column
# Fractions of replicates may fall below 0 by this much: where the fraction of all rows is 0, their
# spread shows how sure that is.
_MIN_DRAWN = -0.05


@dataclass(frozen=True)
class Forecaster:
    """A classifier of one column whose probabilities are sharpened, p_k^a / sum_j p_j^a.

    Models are less sure than they could be; a is the smallest at which enough unseen values stray.
    """

    model: Any  # its classes are positions in `shares`
    shares: Floats  # (k,): share of each label among the real rows
    power: float = 1.0

    @classmethod
    def sharpen(
        cls,
        model: Any,
        shares: Floats,
        probabilities: Floats,
        labels: Ints,
        powers: Sequence[float],
        min_stray: float,
    ) -> Forecaster:
        """Return the forecaster with the first power at which `min_stray` of unseen labels stray."""
        for power in powers:
            found = cls(model, shares, power)
            forecast, chance = found.forecast(probabilities, labels)
            if stray_fractions(forecast[:, None], chance[:, None])[0] >= min_stray:
                break
        return found

    def forecast(self, probabilities: Floats, labels: Ints) -> tuple[Floats, Floats]:
        """Return forecast and real share of each row's label, (n,); a missing one decides nothing."""
        powered = np.zeros((len(labels), len(self.shares)))
        powered[:, self.model.classes_] = probabilities**self.power
        place = np.maximum(labels, 0)
        own = powered[np.arange(len(labels)), place] / np.maximum(powered.sum(axis=1), 1e-300)
        chance = np.where(labels == UNKNOWN, self.shares.min(), self.shares[place])
        own, chance = (
            np.where(labels == MISSING, 1.0, part)
            for part in (np.where(labels == UNKNOWN, 0.0, own), chance)
        )
        return (1 - _CHANCE_WEIGHT) * own + _CHANCE_WEIGHT * chance, chance


@dataclass(frozen=True)
class ColumnForecasts:
    """Random forests that forecast each column from all others, fitted on one set of real rows."""

    features: dict[str, Callable[[Dataset], Floats]]
    cells: dict[str, CellCoder]
    forests: dict[str, Forecaster]

    @classmethod
    def fit(cls, real: Dataset, names: Sequence[str], seed: int) -> ColumnForecasts:
        """Return the forests of two columns or more."""
        features = {name: fit_tree_feature(real, name) for name in names}
        cells = {name: fit_cells(real, name) for name in names}
        x = np.column_stack([features[name](real) for name in names])
        forests = {
            name: _fit_forest(np.delete(x, i, axis=1), *cells[name](real), seed)
            for i, name in enumerate(names)
        }
        return cls(features, cells, forests)

    def forecast(self, rows: Dataset) -> tuple[Floats, Floats]:
        """Return the forecast of each value and its real share, shapes (n, columns)."""
        x = np.column_stack([feature(rows) for feature in self.features.values()])
        found = []
        for i, (name, forest) in enumerate(self.forests.items()):
            probabilities = forest.model.predict_proba(np.delete(x, i, axis=1))
            found.append(forest.forecast(probabilities, self.cells[name](rows)[0]))
        forecasts, chances = (np.column_stack(part) for part in zip(*found))
        return forecasts, chances


def _fit_forest(x: Floats, labels: Ints, n_labels: int, seed: int) -> Forecaster:
    """Return a forest, sharpened by its out-of-bag predictions."""
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(
        n_estimators=_N_TREES,
        min_samples_leaf=_MIN_LEAF,
        max_features=_FEATURE_SHARE,
        oob_score=True,
        random_state=seed,
    )
    with warnings.catch_warnings():  # that rows are in the samples of all trees: they are left out
        warnings.simplefilter("ignore", UserWarning)
        model.fit(x, labels)
    counts = np.bincount(labels, minlength=n_labels) + 0.5
    # Evenly spaced, so that all parts of a sorted table are used.
    rows = np.linspace(0, len(x) - 1, min(len(x), _SHARPENED_ROWS)).astype(int)
    probabilities = model.oob_decision_function_[rows]
    known = probabilities.sum(axis=1) > 0
    return Forecaster.sharpen(
        model,
        counts / counts.sum(),
        probabilities[known],
        labels[rows[known]],
        _FOREST_POWERS,
        _MIN_FOREST_STRAY,
    )


def fit_tree_feature(real: Dataset, name: str) -> Callable[[Dataset], Floats]:
    """Return a function that turns a column of any set into numbers for a tree.

    A number: its position among distinct real ones, half a step between two. A level: its rank by real
    frequency, unknown ones last. Missing: -1.
    """
    if real.schema[name].has_levels:
        levels = levels_by_frequency(real, name)
        return lambda rows: place_levels(rows, name, levels, len(levels), -1.0)
    values = real.values(name)
    known = np.unique(values[~np.isnan(values)])

    def code_numbers(rows: Dataset) -> Floats:
        values = rows.values(name)
        low, high = (np.searchsorted(known, values, side=side) for side in ("left", "right"))
        return np.where(np.isnan(values), -1.0, (low + high) / 2)

    return code_numbers


def stray_fractions(forecast: Floats, chance: Floats) -> Floats:
    """Return the share of values of each column that look drawn at random, shape (d,), in [0, 1].

    It is the w that maximises sum_i log((1 - w) f_i + w c_i), for forecasts f and real shares c.
    """
    gap = chance - forecast
    low, high = np.zeros(forecast.shape[1]), np.ones(forecast.shape[1])
    # The likelihood is concave: its slope falls, and is 0 where it is largest.
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        rises = (gap / (forecast + middle * gap)).sum(axis=0) > 0
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    return np.asarray((low + high) / 2)


def resample_fractions(
    forecast: Floats, chance: Floats, fractions: Floats, groups: Groups
) -> Floats:
    """Return bootstrap replicates of the fractions, shape (b, d): one Newton step from all rows."""
    gap = chance - forecast
    slopes = gap / (forecast + fractions * gap)
    # The second derivative of a row's log likelihood is minus the square of its slope.
    first, second = groups.means(slopes)[1], groups.means(slopes**2)[1]
    step = np.divide(first, second, out=np.zeros_like(first), where=second > _MIN_CURVATURE)
    return np.asarray(np.maximum(fractions + step, _MIN_DRAWN))
