"""Models with a loss on every holdout row: boosted trees, linear models, and models of texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.features.models import (
    build_discriminator_table,
    build_linear_model,
    fit_discriminator,
    has_texts,
    stacked,
    word_features,
)

from ._holdout_scores import Scorer, binary_scorer, classes_scorer, numbers_scorer
from ._task import PredictionTask
from ._word_net import build_text_model

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Fit = Callable[[Any, Floats, Floats | None], Any]
"""Features, targets and weights -> an object with `predict` or `predict_proba`."""

MODEL_TITLES = {
    "boosted": "boosted trees",
    "linear": "a linear model",
    "words": "a linear model of words",
    "net": "a small net of words",
}
"""Name of a model -> the same in plain words."""

_N_QUANTILES = 200  # of numbers in weighted fits: as fine as the bins of boosted trees matter
_MIN_PROBABILITY = 1e-5  # in log loss: one surprise must not outweigh all other rows


@dataclass(frozen=True)
class ModelSetup:
    """One kind of model with the rows that it may be trained on, x (n, d) and y (n,), and the holdout.

    `categorical` are columns of codes, for a model whose weighted fits take quantiles of the others.
    """

    x: Any
    y: Floats
    holdout_x: Any
    holdout_y: Floats
    fit: Fit
    task: PredictionTask
    categorical: npt.NDArray[np.bool_] | None = None

    def losses(self, rows: Rows, weight: Floats | None = None) -> Floats:
        """Return the loss of a model of `rows` on each holdout row, shape (h,).

        Labels: -ln p(true label). Numbers: squared error over the variance of the holdout.
        """
        x, y, held = self.x[rows], self.y[rows], self.holdout_x
        if weight is not None and self.categorical is not None:
            x, held = _to_quantiles(x, held, self.categorical)
        if self.task.name == "regression":
            variance = float(np.var(self.holdout_y))
            predicted = self.fit(x, y, weight).predict(held)
            return np.asarray((predicted - self.holdout_y) ** 2 / (variance or 1.0))
        if len(np.unique(y)) == 1:
            scores = np.zeros((len(self.holdout_y), len(self.task.classes)))
            scores[:, int(y[0])] = 1.0
        else:
            scores = predict_classes(self.fit(x, y, weight), held, self.task)
        likely = scores[np.arange(len(scores)), self.holdout_y.astype(np.int64)]
        return np.asarray(np.abs(np.log(np.clip(likely, _MIN_PROBABILITY, 1.0))))


def build_setup(
    name: str,
    task: PredictionTask,
    sets: Sequence[Dataset],
    holdout: Dataset,
    *,
    seed: int,
    iterations: int,
) -> ModelSetup:
    """Return a model by name, to be trained on rows of `sets`, counted through all of them.

    Encoders are fitted on the first set alone; "words" and "net" are for rows with texts.
    """
    y, truth = np.concatenate([task.truth(part) for part in sets]), task.truth(holdout)
    if name == "boosted":
        table = build_discriminator_table([*sets, holdout], task.features)
        *parts, held = table.parts

        def fit(x: Floats, y: Floats, weight: Floats | None) -> Any:
            return fit_discriminator(
                x, y, table.categorical,
                task=task.name, seed=seed, iterations=iterations, weight=weight,
            )  # fmt: skip

        return ModelSetup(np.concatenate(parts), y, held, truth, fit, task, table.categorical)
    if name in ("words", "net"):
        *read, held = word_features([*sets, holdout], task.features)
        model = build_text_model(name, task.name, seed)
        return ModelSetup(stacked(read), y, held, truth, model.fit, task)
    chosen = [part.select(list(task.features)) for part in [*sets, holdout]]
    encoder = FeatureEncoder.fit(chosen[0])
    *parts, held = (encoder.transform(part).astype(np.float64) for part in chosen)
    model = build_linear_model(task.name, max_iter=500, tol=1e-3)
    return ModelSetup(np.concatenate(parts), y, held, truth, model.fit, task)


def list_models(task: PredictionTask, rows: Dataset, text_model: str) -> tuple[str, ...]:
    """Return the names of the models of a task; rows with texts have models of words."""
    if has_texts(rows, task.features):
        return {"linear": ("words",), "net": ("net",), "both": ("words", "net")}[text_model]
    return ("boosted", "linear")


def predict_classes(model: Any, x: Any, task: PredictionTask) -> Floats:
    """Return the probability of each class of the task, shape (n, classes); unseen classes have 0."""
    scores = np.zeros((x.shape[0], len(task.classes)))
    scores[:, model.classes_.astype(np.int64)] = model.predict_proba(x)
    return scores


def predict_target(model: Any, x: Any, task: PredictionTask) -> Floats:
    """Return the predicted numbers, shape (n,), or the probability of each class, (n, classes)."""
    if task.name == "regression":
        return np.asarray(model.predict(x), dtype=np.float64)
    return predict_classes(model, x, task)


def score_predictions(
    predicted: Floats, truth: Floats, task: PredictionTask, alert_rate: float
) -> Scorer:
    """Return the scorer of predictions: average precision with recall, its mean, or R2."""
    if task.name == "regression":
        return numbers_scorer(predicted, truth)
    if len(task.classes) == 2:
        return binary_scorer(predicted[:, 1], truth == 1, alert_rate)
    return classes_scorer(predicted, truth.astype(np.int64))


def _to_quantiles(
    x: Floats, other: Floats, categorical: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return both with numbers replaced by their quantile in `x`.

    Boosted trees see quantiles in any case, but take seconds to find them where rows have weights.
    """
    x, other = x.copy(), other.copy()
    for column in np.flatnonzero(~categorical):
        present = x[~np.isnan(x[:, column]), column]
        if not len(present):
            continue
        edges = np.unique(np.quantile(present, np.linspace(0, 1, _N_QUANTILES + 1)[1:-1]))
        for part in (x, other):
            known = ~np.isnan(part[:, column])
            part[known, column] = np.searchsorted(edges, part[known, column])
    return x, other
