"""Models whose loss on every holdout row is told, all behind one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.features.discriminator import build_discriminator_table, fit_discriminator
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.features.hashed_words import has_texts, stacked, word_features
from twinset.core.features.models import build_linear_model

from ._task import PredictionTask
from ._word_net import TEXT_JUDGES, text_model

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Predict = Callable[[Any, Floats, Floats | None, Any], tuple[Floats, Floats]]
"""Takes x, y, weights and the holdout's x; returns predictions and the classes they are for."""

JUDGES = {
    "boosted": "boosted trees",
    "linear": "a linear model",
    "words": "a linear model of words",
    "net": "a small net of words",
}
"""Name of a judge -> the same in plain words."""

_STEPS = 200

_SUREST = 1e-5
"""No label is held to be less likely than this, so that one surprise cannot outweigh all rows."""


@dataclass(frozen=True)
class Learner:
    """One kind of model, with the rows it may be trained on and the holdout it is tested on.

    Parameters
    ----------
    x : numpy.ndarray or sparse matrix, shape (n, d)
        Features of the rows to choose from.
    y : numpy.ndarray, shape (n,)
        What is to be predicted: numbers, or positions of classes.
    holdout_x, holdout_y : numpy.ndarray, or a sparse matrix and one
        The same of the holdout rows.
    predict : callable
        Fits and predicts.
    task : Task
        What is predicted.
    """

    x: Any
    y: Floats
    holdout_x: Any
    holdout_y: Floats
    predict: Predict
    task: PredictionTask

    def losses(self, rows: Rows, weight: Floats | None = None) -> Floats:
        """Return the loss of a model of `rows` on each holdout row, shape (h,).

        Labels: minus the logarithm of the true label's probability. Numbers: squared error, as a share of
        the holdout's variance.
        """
        y = self.y[rows]
        if self.task.name == "regression":
            predicted, _ = self.predict(self.x[rows], y, weight, self.holdout_x)
            spread = float(np.var(self.holdout_y))
            return (predicted - self.holdout_y) ** 2 / (spread or 1.0)
        scores = np.zeros((len(self.holdout_y), len(self.task.classes)))
        if len(np.unique(y)) == 1:
            scores[:, int(y[0])] = 1.0
        else:
            found, classes = self.predict(self.x[rows], y, weight, self.holdout_x)
            scores[:, classes.astype(np.int64)] = found
        return log_loss(scores, self.holdout_y.astype(np.int64))


def log_loss(scores: Floats, truth: npt.NDArray[np.int64]) -> Floats:
    """Return minus the logarithm of the probability of the true class, shape (n,).

    Examples
    --------
    >>> log_loss(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([1, 0])).round(3).tolist()
    [0.693, 0.0]
    """
    likely = np.clip(scores[np.arange(len(truth)), truth], _SUREST, 1.0)
    out: Floats = np.abs(np.log(likely))
    return out


def list_models(task: PredictionTask, rows: Dataset, text_judge: str = "linear") -> tuple[str, ...]:
    """Return the names of the judges of a task: texts are read by their words."""
    if has_texts(rows, task.features):
        return TEXT_JUDGES[text_judge]
    return ("boosted", "linear")


def learner(
    name: str,
    task: PredictionTask,
    sets: list[Dataset],
    holdout: Dataset,
    *,
    seed: int,
    iterations: int,
) -> Learner:
    """Return a judge by name, to be trained on rows of `sets`, counted through all of them.

    Parameters
    ----------
    name : {"boosted", "linear", "words", "net"}
        Which judge; "words" and "net" are for rows with texts.
    task : Task
        What is predicted.
    sets : list of Dataset
        The train part first: encoders are fitted on it alone.
    holdout : Dataset
        Rows to test on.
    seed, iterations : int
        Seed of the boosted judge and the net, and number of trees.

    Raises
    ------
    MissingExtraError
        The net is asked for and torch is not installed.
    """
    y = np.concatenate([task.truth(part) for part in sets])
    if name == "boosted":
        table = build_discriminator_table([*sets, holdout], task.features)
        *parts, held = table.parts
        predict = _boosted(table.categorical, task, seed, iterations)
    elif name in ("words", "net"):
        *read, held = word_features([*sets, holdout], task.features)
        predict = _reader(text_model(name, task.name, seed), task)
        return Learner(stacked(read), y, held, task.truth(holdout), predict, task)
    else:
        chosen = [part.select(list(task.features)) for part in [*sets, holdout]]
        encoder = FeatureEncoder.fit(chosen[0])
        *parts, held = (encoder.transform(part).astype(np.float64) for part in chosen)
        linear = build_linear_model(task.name, max_iter=500, tol=1e-3)
        predict = _reader(linear, task)
    return Learner(np.concatenate(parts), y, held, task.truth(holdout), predict, task)


def _boosted(
    categorical: npt.NDArray[np.bool_], task: PredictionTask, seed: int, iterations: int
) -> Predict:
    def predict(x: Floats, y: Floats, weight: Floats | None, held: Floats) -> tuple[Floats, Floats]:
        if weight is not None:
            x, held = _in_steps(x, held, categorical)
        model = fit_discriminator(
            x, y, categorical, task=task.name, seed=seed, iterations=iterations, weight=weight
        )
        return _answers(model, held, task)

    return predict


def _in_steps(x: Floats, held: Floats, categorical: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return both with numbers replaced by the quantile of `x` that they lie in.

    Boosted trees look at quantiles anyway, but take seconds to find them where rows have weights.
    """
    x, held = x.copy(), held.copy()
    for column in np.flatnonzero(~categorical):
        present = x[~np.isnan(x[:, column]), column]
        if not len(present):
            continue
        edges = np.unique(np.quantile(present, np.linspace(0, 1, _STEPS + 1)[1:-1]))
        for part in (x, held):
            known = ~np.isnan(part[:, column])
            part[known, column] = np.searchsorted(edges, part[known, column])
    return x, held


def _reader(model: Any, task: PredictionTask) -> Predict:
    def predict(x: Any, y: Floats, weight: Floats | None, held: Any) -> tuple[Floats, Floats]:
        return _answers(model.fit(x, y, weight), held, task)

    return predict


def _answers(model: Any, held: Any, task: PredictionTask) -> tuple[Floats, Floats]:
    if task.name == "regression":
        return model.predict(held), np.empty(0)
    return model.predict_proba(held), model.classes_
