"""Boosted trees and linear models of scikit-learn, for labels and for numbers."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Task = Literal["classification", "regression"]


def build_boosted_trees(task: Task, seed: int, **settings: Any) -> Any:
    """Return unfitted boosted trees that use all rows for training.

    Parameters
    ----------
    task : {"classification", "regression"}
        Kind of outcome.
    seed : int
        Seed of the model; it only chooses the rows that set the bins of very large tables.
    **settings
        Of `sklearn.ensemble.HistGradientBoostingClassifier`, whose early stopping is off.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    is_number = task == "regression"
    model = HistGradientBoostingRegressor if is_number else HistGradientBoostingClassifier
    return model(early_stopping=False, random_state=seed, **settings)


def fit_boosted_trees(
    x: Floats,
    y: npt.NDArray[Any],
    weight: Floats | None = None,
    *,
    task: Task,
    seed: int,
    **settings: Any,
) -> Any:
    """Return boosted trees fitted on one thread; columns without any value are ignored.

    Parameters
    ----------
    x : numpy.ndarray, shape (n, d)
        Features; missing is NaN.
    y : numpy.ndarray, shape (n,)
        Labels or numbers to predict.
    weight : numpy.ndarray, shape (n,), optional
        Weight of each row; by default all are equal.
    task, seed, **settings
        As for `build_boosted_trees`.
    """
    from threadpoolctl import threadpool_limits

    # scikit-learn finds no bins for a column without values; it splits on no constant either.
    empty = np.isnan(x).all(axis=0)
    x = np.where(empty, 0.0, x) if empty.any() else x
    # Two threads on a busy machine made one fit a hundred times slower than one thread.
    with threadpool_limits(limits=1, user_api="openmp"):
        return build_boosted_trees(task, seed, **settings).fit(x, y, weight)


def build_linear_model(
    task: Task, *, alpha: float = 1.0, solver: str = "auto", **settings: Any
) -> Any:
    """Return an unfitted linear model: logistic regression of labels, ridge regression of numbers.

    Parameters
    ----------
    task : {"classification", "regression"}
        Kind of outcome.
    alpha, solver : float, str
        Penalty and solver of `sklearn.linear_model.Ridge`.
    **settings
        Of `sklearn.linear_model.LogisticRegression`.
    """
    from sklearn.linear_model import LogisticRegression, Ridge

    if task == "regression":
        return Ridge(alpha=alpha, solver=solver)
    return LogisticRegression(**settings)
