"""The learner of intents: a linear model of words and pairs of words, tuned alike in every arm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from twinset.core.contracts import Comparison
from twinset.registry import component_class

from .sets import Row, dataset

STRENGTHS = (1.0, 5.0, 25.0)
FOLDS = 5

Floats = npt.NDArray[np.float64]
Make = Callable[[Sequence[Row], int], Sequence[Row]]
"""Makes rows from real ones and a seed."""


def opinions(
    real: Sequence[Row], made: Sequence[Row], weight: float, strength: float, test: Sequence[Row]
) -> tuple[Floats, list[str]]:
    """Return the probabilities that a model gives to the test rows, shape (n, classes), and its classes.

    Parameters
    ----------
    real, made : sequence of row
        What it is trained on; `made` rows count `weight` each, real ones 1.
    weight : float
        Above 0.
    strength : float
        C of the logistic model.
    test : sequence of row
        What it is asked about.
    """
    rows = [*real, *made]
    reader = TfidfVectorizer(ngram_range=(1, 2))
    x = reader.fit_transform([row["said"] for row in rows])
    model = LogisticRegression(C=strength, max_iter=200, tol=1e-3)
    counts = np.repeat([1.0, weight], [len(real), len(made)])
    model.fit(x, [row["about"] for row in rows], sample_weight=counts)
    found = model.predict_proba(reader.transform([row["said"] for row in test]))
    return found, list(model.classes_)


def strength_for(real: Sequence[Row], make: Make | None, weight: float, seed: int) -> float:
    """Return the C of the least log loss in five folds of the real rows.

    Every arm searches the same C. In each fold `make` sees the other four only, so that no made row knows
    of the rows that it is judged by. Accuracy does not serve: with few rows it has too many ties.
    """
    loss = dict.fromkeys(STRENGTHS, 0.0)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    labels = [row["about"] for row in real]
    for learnt, judged in folds.split(labels, labels):
        own, others = [real[i] for i in learnt], [real[i] for i in judged]
        made = make(own, seed) if make else ()
        for strength in STRENGTHS:
            found, classes = opinions(own, made, weight, strength, others)
            at = [classes.index(row["about"]) for row in others]
            loss[strength] -= float(np.log(found[np.arange(len(at)), at]).sum())
    return min(STRENGTHS, key=lambda strength: loss[strength])


def hits(
    real: Sequence[Row], made: Sequence[Row], weight: float, strength: float, test: Sequence[Row]
) -> npt.NDArray[np.bool_]:
    """Return which test rows get their intent right, shape (n,)."""
    found, classes = opinions(real, made, weight, strength, test)
    told = np.array(classes)[found.argmax(axis=1)]
    return np.array(told == np.array([row["about"] for row in test]))


def recommended_intents(
    real: Sequence[Row], made: Sequence[Row], holdout: Sequence[Row], seed: int
) -> tuple[int, float]:
    """Return how many made rows `utility.exchange_rate` says to add, and what 1,000 are worth in real ones.

    `holdout` are real rows that neither the model nor the final test sees.
    """
    metric: Any = component_class("metric", "utility.exchange_rate")()
    train, candidate, held = (
        dataset(rows).select(["said", "about"]) for rows in (real, made, holdout)
    )
    told = Comparison(train=train, synthetic=candidate, reference=held, target="about")
    found = metric.compute(told, np.random.default_rng(seed))
    return int(found.details["best_rows"]), float(found.value)


def two_sample_area(one: Sequence[Row], other: Sequence[Row], seed: int) -> float:
    """Return how well the words of a text tell which of two sets it is from: 0.5 guesses, 1 always knows.

    The area under the curve of out-of-fold opinions. Folds are shuffled: sets that stand one after the
    other look alike otherwise.
    """
    texts = [row["said"] for row in (*one, *other)]
    side = np.repeat([0, 1], [len(one), len(other)])
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10, tol=1e-3))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    told = cross_val_predict(model, texts, side, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(side, told))
