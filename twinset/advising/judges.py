"""The models that are asked: boosted trees and a linear model, one thread a fit."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.advising.views import BinnedView, Matrix, RawRows, ScaledView
from twinset.core.errors import MissingExtraError, UnknownNameError
from twinset.core.judge import fit_judge

Floats = npt.NDArray[np.float64]
Predict = Callable[[Matrix], Floats]
Fit = Callable[[Matrix, npt.NDArray[np.bool_], Floats | None, int], Predict]

JUDGES = {
    "boosted": "boosted trees (scikit-learn)",
    "linear": "logistic regression",
    "lightgbm": "boosted trees (LightGBM)",
    "xgboost": "boosted trees (XGBoost)",
}
"""Name of a judge -> the same in plain words."""

DEFAULT_JUDGES = ("boosted", "linear")


def check_judges(names: tuple[str, ...]) -> None:
    """Raise when a judge is not known or its library is not installed.

    Raises
    ------
    UnknownNameError
        No judge has this name.
    MissingExtraError
        Its library is not there.
    """
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
    judge: str, x: Matrix, truth: npt.NDArray[np.bool_], weight: Floats | None, seed: int
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
    """
    return _FITS[judge](x, truth, weight, seed)


def _boosted(x: Matrix, truth: npt.NDArray[np.bool_], weight: Floats | None, seed: int) -> Predict:
    model = fit_judge(
        x,
        truth,
        np.zeros(x.shape[1], dtype=bool),
        task="classification",
        seed=seed,
        weight=weight,
    )
    return _probability(model)


def _linear(x: Matrix, truth: npt.NDArray[np.bool_], weight: Floats | None, seed: int) -> Predict:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=0.3, max_iter=500, tol=1e-3)
    return _probability(model.fit(x, truth, weight))


def _lightgbm(x: Matrix, truth: npt.NDArray[np.bool_], weight: Floats | None, seed: int) -> Predict:
    lightgbm: Any = importlib.import_module("lightgbm")
    model = lightgbm.LGBMClassifier(
        n_estimators=100,
        learning_rate=0.08,
        num_leaves=15,
        reg_lambda=5.0,
        n_jobs=1,
        random_state=seed,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )
    return _probability(model.fit(x, truth, sample_weight=weight))


def _xgboost(x: Matrix, truth: npt.NDArray[np.bool_], weight: Floats | None, seed: int) -> Predict:
    xgboost: Any = importlib.import_module("xgboost")
    model = xgboost.XGBClassifier(
        n_estimators=100,
        learning_rate=0.08,
        max_leaves=15,
        grow_policy="lossguide",
        tree_method="hist",
        reg_lambda=5.0,
        n_jobs=1,
        random_state=seed,
    )
    return _probability(model.fit(x, truth, sample_weight=weight))


def _probability(model: Any) -> Predict:
    def predict(x: Matrix) -> Floats:
        found: Floats = np.asarray(model.predict_proba(x)[:, 1], dtype=np.float64)
        return found

    return predict


_FITS: dict[str, Fit] = {
    "boosted": _boosted,
    "linear": _linear,
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
}
