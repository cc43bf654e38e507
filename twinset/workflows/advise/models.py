"""The models that are asked: boosted trees and a linear model, one thread a fit."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from twinset.core.errors import MissingExtraError, ParameterError, UnknownNameError
from twinset.workflows.advise.design_matrix import BinnedView, Matrix, RawRows, ScaledView

Floats = npt.NDArray[np.float64]
Predict = Callable[[Matrix], Floats]
Setting = Literal["plain", "finer", "smoother"]

JUDGES = {
    "boosted": "boosted trees (scikit-learn)",
    "linear": "logistic regression",
    "lightgbm": "boosted trees (LightGBM)",
    "xgboost": "boosted trees (XGBoost)",
}
"""Name of a judge -> the same in plain words."""

DEFAULT_JUDGES = ("boosted", "linear")
TREES = 100


def check_models(names: tuple[str, ...]) -> None:
    """Raise when there is no judge, or one is not known or its library is not installed.

    Raises
    ------
    ParameterError
        No judge is named.
    UnknownNameError
        No judge has this name.
    MissingExtraError
        Its library is not there.
    """
    if not names:
        raise ParameterError(
            "no judge is named",
            got="none",
            allowed=", ".join(JUDGES),
            todo="name one or more, or leave judges out",
        )
    for name in names:
        if name not in JUDGES:
            raise UnknownNameError.of("judge", name, JUDGES)
        if name in ("lightgbm", "xgboost") and importlib.util.find_spec(name) is None:
            raise MissingExtraError(
                f"the judge '{name}' needs the library '{name}', which is not installed",
                todo=f"install it with: pip install {name}",
            )


def view_of(judge: str, train: RawRows) -> BinnedView | ScaledView:
    """Return what turns rows into the matrix that a judge reads; it is learnt from real train rows."""
    return ScaledView(train) if judge == "linear" else BinnedView(train)


def fit(
    judge: str,
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
    judge : str
        One of `JUDGES`.
    x : numpy.ndarray, shape (n, d)
        Rows in the judge's view.
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
    model = _MODELS[judge](setting, seed, trees)
    if judge == "boosted":
        # A column without any value has no bins; as a constant it is passed over just the same.
        empty = np.isnan(x).all(axis=0)
        x = np.where(empty, 0.0, x) if empty.any() else x
        with threadpool_limits(limits=1, user_api="openmp"):
            model.fit(x, truth, weight)
    else:
        model.fit(x, truth, sample_weight=weight)

    def predict(rows: Matrix) -> Floats:
        found: Floats = np.asarray(model.predict_proba(rows)[:, 1], dtype=np.float64)
        return found

    return predict


def format_setting(judge: str, setting: Setting) -> str:
    """Return a setting in plain words.

    Examples
    --------
    >>> format_setting("boosted", "finer"), format_setting("linear", "smoother")
    ('leaves of 5 rows or more instead of 20', 'C = 0.03 instead of 0.3')
    """
    if judge == "linear":
        return f"C = {_C[setting]:g} instead of {_C['plain']:g}"
    return f"leaves of {_LEAF[setting]} rows or more instead of {_LEAF['plain']}"


_RATE = 8.0
"""Learning rate times trees."""
_LEAF: Mapping[Setting, int] = {"plain": 20, "finer": 5, "smoother": 60}
_PENALTY: Mapping[Setting, float] = {"plain": 5.0, "finer": 5.0, "smoother": 20.0}
_C: Mapping[Setting, float] = {"plain": 0.3, "finer": 3.0, "smoother": 0.03}


def _boosted(setting: Setting, seed: int, trees: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        learning_rate=_RATE / trees,
        max_iter=trees,
        max_leaf_nodes=15,
        min_samples_leaf=_LEAF[setting],
        l2_regularization=_PENALTY[setting],
        early_stopping=False,
        random_state=seed,
    )


def _linear(setting: Setting, seed: int, trees: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=_C[setting], max_iter=500, tol=1e-3)


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
    "boosted": _boosted,
    "linear": _linear,
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
}
