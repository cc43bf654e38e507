"""Models of intents and taggers of entities, trained on real and synthetic texts alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from benchmarks.datasets import TextRow, text_dataset
from benchmarks.intervals import Difference, difference, hit_difference
from benchmarks.text.arms import Arm, Make
from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.model_findings import AddedRows
from twinset.evaluation.utility import _entities  # type: ignore[import-not-found, unused-ignore]
from twinset.registry import component_class

Rows = Sequence[TextRow]
Floats = npt.NDArray[np.float64]
Counts = Any  # which test rows are right; or right, found and true entities of each text

STRENGTHS = (1.0, 5.0, 25.0)  # C of the logistic model; each arm searches the same ones
FOLDS = 5
REPLICATES = 200  # draws of the test rows for the error of an F1


def probabilities(
    real: Rows, synthetic: Rows, weight: float, strength: float, test: Rows
) -> tuple[Floats, list[str]]:
    """Return the probabilities of the test rows, shape (n, classes), and the classes."""
    rows = [*real, *synthetic]
    reader = TfidfVectorizer(ngram_range=(1, 2))
    x = reader.fit_transform([row["said"] for row in rows])
    model = LogisticRegression(C=strength, max_iter=200, tol=1e-3)
    weights = np.repeat([1.0, weight], [len(real), len(synthetic)])
    model.fit(x, [row["about"] for row in rows], sample_weight=weights)
    found = model.predict_proba(reader.transform([row["said"] for row in test]))
    return found, list(model.classes_)


def strength_for(real: Rows, make: Make | None, weight: float, seed: int) -> float:
    """Return the C of the least log loss in five folds of the real rows.

    In each fold `make` sees the other four only, so that no synthetic row knows of the rows that it
    is tested on. Accuracy does not serve: with few rows it has too many ties.
    """
    loss = dict.fromkeys(STRENGTHS, 0.0)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    labels = [row["about"] for row in real]
    for train, test in folds.split(labels, labels):
        own, others = [real[i] for i in train], [real[i] for i in test]
        synthetic = make(own, seed) if make else ()
        for strength in STRENGTHS:
            found, classes = probabilities(own, synthetic, weight, strength, others)
            at = [classes.index(row["about"]) for row in others]
            loss[strength] -= float(np.log(found[np.arange(len(at)), at]).sum())
    return min(STRENGTHS, key=lambda strength: loss[strength])


def hits(
    real: Rows, synthetic: Rows, weight: float, strength: float, test: Rows
) -> npt.NDArray[np.bool_]:
    """Return which test rows get their intent right, shape (n,)."""
    found, classes = probabilities(real, synthetic, weight, strength, test)
    predicted = np.array(classes)[found.argmax(axis=1)]
    return np.array(predicted == np.array([row["about"] for row in test]))


def two_sample_area(one: Rows, other: Rows, seed: int) -> float:
    """Return the out-of-fold AUC of a model of words that separates two sets: 0.5 is chance."""
    texts = [row["said"] for row in (*one, *other)]
    side = np.repeat([0, 1], [len(one), len(other)])
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10, tol=1e-3))
    # Sets that stand one after the other look alike in folds that are not shuffled.
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    predicted = cross_val_predict(model, texts, side, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(side, predicted))


@dataclass(frozen=True)
class IntentBench:
    """Test rows whose intents are predicted."""

    test: Rows

    def found(self, real: Rows, synthetic: Rows, seed: int, arm: Arm | None = None) -> Counts:
        """Return the hits of a model whose C is searched for the arm, or for the real rows alone."""
        make, weight = (arm.make, arm.weight) if arm else (None, 1.0)
        return hits(real, synthetic, weight, strength_for(real, make, weight, seed), self.test)

    def score(self, found: Counts) -> float:
        return float(found.mean())

    def gain(self, better: Sequence[Counts], worse: Sequence[Counts]) -> Difference:
        return hit_difference(np.array(better), np.array(worse))


@dataclass(frozen=True)
class TaggerBench:
    """Test rows, and the labels that a tagger looks for in them."""

    test: Rows
    labels: Sequence[str]

    @cached_property
    def holdout(self) -> Any:
        return self.tokenized(self.test)

    def tokenized(self, rows: Rows) -> Any:
        return _entities.TokenizedTexts.from_dataset(text_dataset(rows), self.labels)

    def found(self, real: Rows, synthetic: Rows, seed: int, arm: Arm | None = None) -> Counts:
        """Return the counts of the tagger that is trained on all rows."""
        marked = [self.tokenized(part) for part in (real, synthetic) if part]
        rows = [(m, np.arange(m.tokens.n_texts)) for m in marked]
        return _entities.score_tagger(rows, self.holdout, seed)

    def score(self, found: Counts) -> float:
        return float(found.f1(np.ones(len(self.test)))[0])

    def gain(self, better: Sequence[Counts], worse: Sequence[Counts]) -> Difference:
        return f1_difference(better, worse, len(self.test))


def f1_difference(better: Sequence[Counts], worse: Sequence[Counts], n: int) -> Difference:
    """Return the difference in F1 over the same seeds; test rows are drawn again 200 times."""

    def gains(weight: Floats) -> list[float]:
        return [one.f1(weight)[0] - other.f1(weight)[0] for one, other in zip(better, worse)]

    draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), REPLICATES)
    drawn = [np.mean(gains(weight)) for weight in draws.astype(np.float64)]
    return difference(np.array(gains(np.ones(n))), float(np.std(drawn, ddof=1)), n)


def recommended_rows(
    metric: str, real: Rows, synthetic: Rows, holdout: Rows, seed: int
) -> tuple[int, float | None]:
    """Return how many synthetic rows an exchange rate recommends, and its value; 0 if not measurable.

    `holdout` are real rows that neither the model nor the final test sees.
    """
    parts = [text_dataset(rows) for rows in (real, synthetic, holdout)]
    target = "about" if metric == "utility.exchange_rate" else None
    if target:
        parts = [part.select(["said", "about"]) for part in parts]
    comparison = Comparison(train=parts[0], synthetic=parts[1], reference=parts[2], target=target)
    try:
        found: Any = component_class("metric", metric)()
        measured = found.compute(comparison, np.random.default_rng(seed))
    except NotMeasurable:
        return 0, None
    return measured.finding(AddedRows).best, measured.value
