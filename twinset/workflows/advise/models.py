"""The models that are asked: boosted trees and a linear model, one thread a fit."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.errors import MissingExtraError, ParameterError, UnknownNameError
from twinset.core.features.models import build_linear_model, fit_boosted_trees

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]

_MAX_BINS = 255
_MAX_LEVELS = 20


@dataclass(frozen=True)
class RawRows:
    """Rows as they are: numbers with NaN where missing, and codes of labels, -1 where missing.

    Parameters
    ----------
    numbers : numpy.ndarray, shape (n, p)
        Numbers and datetimes.
    codes : numpy.ndarray of int, shape (n, q)
        Categories and booleans.
    """

    numbers: Matrix
    codes: Codes

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: npt.NDArray[np.int64]) -> RawRows:
        """Return the rows at these positions."""
        return RawRows(self.numbers[rows], self.codes[rows])


@dataclass(frozen=True)
class Reader:
    """Reads tables into raw rows, by the columns and levels of one real table."""

    numbers: tuple[str, ...]
    labels: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, real: Dataset, features: tuple[str, ...]) -> Reader:
        """Return the reader of a table's features."""
        kinds = {name: real.schema[name].kind for name in features}
        labels = tuple(name for name in features if kinds[name] in ("category", "boolean"))
        numbers = tuple(name for name in features if name not in labels)
        return cls(numbers, labels, tuple(real.codes(name)[1] for name in labels))

    def read(self, dataset: Dataset) -> RawRows:
        """Return the rows of a table; labels that the real one lacks count as missing."""
        numbers = np.full((len(dataset), len(self.numbers)), np.nan)
        for i, name in enumerate(self.numbers):
            numbers[:, i] = dataset.values(name)
        codes = np.full((len(dataset), len(self.labels)), -1, dtype=np.int32)
        for i, (name, levels) in enumerate(zip(self.labels, self.levels)):
            own, named = dataset.codes(name)
            place = {level: k for k, level in enumerate(levels)}
            codes[:, i] = np.array([*[place.get(level, -1) for level in named], -1])[own]
        return RawRows(numbers, codes)


class BinnedView:
    """Every number replaced by its bin, at most 255, with edges at quantiles of the real train rows.

    Bins are set once a fold: models of all strategies then differ by their rows alone, and weights
    cost nothing (scikit-learn takes three to seven times as long to find bins of weighted rows).
    Labels are ranked by their frequency, without a look at the target.
    """

    def __init__(self, train: RawRows) -> None:
        self.edges = [_edges(column) for column in train.numbers.T]
        self.ranks = []
        for column in train.codes.T:
            top = int(column.max(initial=-1))
            counts = np.bincount(column[column >= 0], minlength=top + 1)
            rank = np.empty(top + 1)
            rank[np.argsort(-counts, kind="stable")] = np.arange(top + 1)
            self.ranks.append(np.minimum(rank, _MAX_BINS - 2))

    def transform(self, rows: RawRows) -> Matrix:
        """Return the matrix, shape (n, p + q); missing is NaN."""
        out = np.full((len(rows), len(self.edges) + len(self.ranks)), np.nan)
        for i, edges in enumerate(self.edges):
            known = np.isfinite(rows.numbers[:, i])
            out[known, i] = np.searchsorted(edges, rows.numbers[known, i])
        for i, rank in enumerate(self.ranks):
            # A level that the train rows lack is as rare as a level can be.
            known = rows.codes[:, i] >= 0
            padded = np.append(rank, float(min(len(rank), _MAX_BINS - 2)))
            place = np.minimum(rows.codes[known, i], len(rank))
            out[known, len(self.edges) + i] = padded[place]
        return out


class ScaledView:
    """Numbers centred and scaled, with a column that says where one is missing; labels one-hot.

    The 20 most frequent levels of a label have a column each, all others share one.
    """

    def __init__(self, train: RawRows) -> None:
        numbers = np.where(np.isfinite(train.numbers), train.numbers, np.nan)
        self.missing = np.isnan(numbers).any(axis=0) if len(train) else np.zeros(0, dtype=bool)
        empty = np.isnan(numbers).all(axis=0)
        numbers[:, empty] = 0.0
        self.centre = np.nanmean(numbers, axis=0)
        spread = np.nanstd(numbers, axis=0)
        self.scale = np.where(spread > 0, spread, 1.0)
        self.common = []
        for column in train.codes.T:
            counts = np.bincount(column[column >= 0]) if (column >= 0).any() else np.zeros(1)
            self.common.append(np.argsort(-counts, kind="stable")[:_MAX_LEVELS])

    def transform(self, rows: RawRows) -> Matrix:
        """Return the matrix, shape (n, d), free of NaN."""
        scaled = (rows.numbers - self.centre) / self.scale
        lacking = ~np.isfinite(scaled)
        parts = [
            np.where(lacking, 0.0, scaled).clip(-20, 20),
            lacking[:, self.missing].astype(float),
        ]
        for column, common in zip(rows.codes.T, self.common):
            hit = column[:, None] == common[None, :]
            parts += [hit.astype(float), ((column >= 0) & ~hit.any(axis=1)).astype(float)[:, None]]
        return np.hstack(parts)


def _edges(column: Matrix) -> Matrix:
    present = np.unique(column[np.isfinite(column)])
    if len(present) <= _MAX_BINS:
        return np.asarray((present[1:] + present[:-1]) / 2)
    known = column[np.isfinite(column)]
    return np.unique(np.quantile(known, np.linspace(0, 1, _MAX_BINS + 1)[1:-1]))


Floats = npt.NDArray[np.float64]
Predict = Callable[[Matrix], Floats]
Setting = Literal["plain", "finer", "smoother"]

MODEL_TITLES = {
    "boosted": "boosted trees (scikit-learn)",
    "linear": "logistic regression",
    "lightgbm": "boosted trees (LightGBM)",
    "xgboost": "boosted trees (XGBoost)",
}
"""Name of a model -> the same in plain words."""

DEFAULT_MODELS = ("boosted", "linear")
TREES = 100


def check_models(names: tuple[str, ...]) -> None:
    """Raise when there is no model, or one is not known or its library is not installed.

    Raises
    ------
    ParameterError
        No model is named.
    UnknownNameError
        No model has this name.
    MissingExtraError
        Its library is not there.
    """
    if not names:
        raise ParameterError(
            "no model is named",
            got="none",
            allowed=", ".join(MODEL_TITLES),
            todo="name one or more, or leave models out",
        )
    for name in names:
        if name not in MODEL_TITLES:
            raise UnknownNameError.of("model", name, MODEL_TITLES)
        if name in ("lightgbm", "xgboost") and importlib.util.find_spec(name) is None:
            raise MissingExtraError(
                f"the model '{name}' needs the library '{name}', which is not installed",
                todo=f"install it with: pip install {name}",
            )


def view_of(model_name: str, train: RawRows) -> BinnedView | ScaledView:
    """Return what turns rows into the matrix that a model reads; it is learnt from real train rows."""
    return ScaledView(train) if model_name == "linear" else BinnedView(train)


def fit(
    model_name: str,
    x: Matrix,
    truth: npt.NDArray[np.bool_],
    weight: Floats | None,
    seed: int,
    setting: Setting = "plain",
    trees: int = TREES,
) -> Predict:
    """Return the model's way to predict: matrix -> probability of the rare class, shape (n,).

    Parameters
    ----------
    model_name : str
        One of `MODEL_TITLES`.
    x : numpy.ndarray, shape (n, d)
        Rows in the model's view.
    truth : numpy.ndarray of bool, shape (n,)
        Their class.
    weight : numpy.ndarray, shape (n,), optional
        How much each row counts.
    seed : int
        Seed of the model.
    setting : {"plain", "finer", "smoother"}
        How closely the model follows the rows; see `format_setting`.
    trees : int
        Trees of a boosted model; with fewer of them each counts for more.
    """
    if model_name == "boosted":
        model = fit_boosted_trees(
            x,
            truth,
            weight,
            task="classification",
            seed=seed,
            learning_rate=_RATE / trees,
            max_iter=trees,
            max_leaf_nodes=15,
            min_samples_leaf=_LEAF[setting],
            l2_regularization=_PENALTY[setting],
        )
    else:
        model = _MODELS[model_name](setting, seed, trees)
        model.fit(x, truth, sample_weight=weight)

    def predict(rows: Matrix) -> Floats:
        found: Floats = np.asarray(model.predict_proba(rows)[:, 1], dtype=np.float64)
        return found

    return predict


def format_setting(model_name: str, setting: Setting) -> str:
    """Return a setting in plain words.

    Examples
    --------
    >>> format_setting("boosted", "finer"), format_setting("linear", "smoother")
    ('leaves of 5 rows or more instead of 20', 'C = 0.03 instead of 0.3')
    """
    if model_name == "linear":
        return f"C = {_C[setting]:g} instead of {_C['plain']:g}"
    return f"leaves of {_LEAF[setting]} rows or more instead of {_LEAF['plain']}"


_RATE = 8.0
"""Learning rate times trees."""
_LEAF: Mapping[Setting, int] = {"plain": 20, "finer": 5, "smoother": 60}
_PENALTY: Mapping[Setting, float] = {"plain": 5.0, "finer": 5.0, "smoother": 20.0}
_C: Mapping[Setting, float] = {"plain": 0.3, "finer": 3.0, "smoother": 0.03}


def _linear(setting: Setting, seed: int, trees: int) -> Any:
    return build_linear_model("classification", C=_C[setting], max_iter=500, tol=1e-3)


def _lightgbm(setting: Setting, seed: int, trees: int) -> Any:
    lightgbm: Any = importlib.import_module("lightgbm")
    return lightgbm.LGBMClassifier(
        n_estimators=trees,
        learning_rate=_RATE / trees,
        num_leaves=15,
        min_child_samples=_LEAF[setting],
        reg_lambda=_PENALTY[setting],
        n_jobs=1,
        random_state=seed,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )


def _xgboost(setting: Setting, seed: int, trees: int) -> Any:
    xgboost: Any = importlib.import_module("xgboost")
    return xgboost.XGBClassifier(
        n_estimators=trees,
        learning_rate=_RATE / trees,
        max_leaves=15,
        grow_policy="lossguide",
        tree_method="hist",
        # Its leaves are counted in second derivatives, which are small where the class is rare.
        min_child_weight=_LEAF[setting] / 20,
        reg_lambda=_PENALTY[setting],
        n_jobs=1,
        random_state=seed,
    )


_MODELS: Mapping[str, Callable[[Setting, int, int], Any]] = {
    "linear": _linear,
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
}
