"""Models of different kinds, told as scores of holdout rows: what a team would choose among."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.features.models import build_boosted_trees, build_linear_model

from ._holdout_scores import Scorer, binary_scorer, classes_scorer, numbers_scorer
from ._task import PredictionTask

Floats = npt.NDArray[np.float64]
Make = Callable[[int], Any]

_ALERTS = 0.01
"""Average precision decides; the recall that comes with it is not looked at."""


@dataclass(frozen=True)
class ModelPool:
    """Feature matrices of sets in one coding, to race models on.

    Parameters
    ----------
    task : Task
        What is predicted.
    encoder : FeatureEncoder
        The coding, learnt from the rows that are trained on.
    """

    task: PredictionTask
    encoder: FeatureEncoder

    @classmethod
    def of(cls, task: PredictionTask, rows: Dataset) -> ModelPool:
        """Return contestants that read rows as those of `rows` are read."""
        return cls(task, FeatureEncoder.fit(rows.select(list(task.features))))

    def scorers(self, train: Dataset, test: Dataset, seed: int) -> dict[str, Scorer]:
        """Return of each model, trained on `train`, how to score it on `test`."""
        from threadpoolctl import threadpool_limits

        x, held = (self._features(part) for part in (train, test))
        y, truth = self.task.truth(train), self.task.truth(test)
        # Two threads on a busy machine made one fit a hundred times slower than one thread.
        with threadpool_limits(limits=1):
            return {
                name: self._scorer(make(seed).fit(x, y), held, truth)
                for name, make in models(self.task, len(y)).items()
            }

    def _features(self, rows: Dataset) -> Floats:
        return self.encoder.transform(rows.select(list(self.task.features))).astype(np.float64)

    def _scorer(self, model: Any, held: Floats, truth: Floats) -> Scorer:
        if self.task.name == "regression":
            return numbers_scorer(model.predict(held), truth)
        scores = np.zeros((len(held), len(self.task.classes)))
        scores[:, model.classes_.astype(np.int64)] = model.predict_proba(held)
        if len(self.task.classes) == 2:
            return binary_scorer(scores[:, 1], truth == 1, _ALERTS)
        return classes_scorer(scores, truth.astype(np.int64))


def models(task: PredictionTask, n: int) -> Mapping[str, Make]:
    """Return name -> a way to make the model from a seed; seven kinds for `n` rows, plain and strong.

    Examples
    --------
    >>> list(models(PredictionTask("regression", "y", ("x",)), 900))[:3]
    ['linear', 'linear, held back', 'nearest neighbours']
    """
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    is_number = task.name == "regression"
    near: Any = KNeighborsRegressor if is_number else KNeighborsClassifier
    tree: Any = DecisionTreeRegressor if is_number else DecisionTreeClassifier
    forest: Any = ExtraTreesRegressor if is_number else ExtraTreesClassifier
    linear = partial(build_linear_model, task.name, max_iter=200)
    min_leaf = min(50, max(1, n // 20))
    boosted = partial(build_boosted_trees, task.name, max_iter=60, min_samples_leaf=min_leaf)
    return {
        "linear": lambda seed: linear(tol=1e-3),
        "linear, held back": lambda seed: linear(alpha=1000.0, C=0.001),
        "nearest neighbours": lambda seed: near(min(25, n)),
        "one small tree": lambda seed: tree(max_depth=4, min_samples_leaf=25, random_state=seed),
        "forest": lambda seed: forest(60, min_samples_leaf=5, random_state=seed),
        "boosted stumps": lambda seed: boosted(seed, max_depth=1, learning_rate=0.2),
        "boosted trees": lambda seed: boosted(seed),
    }
