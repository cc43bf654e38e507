"""Share of texts that a classifier separates from real ones with certainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.findings import TextFeatures
from twinset.core.parameters import Ge, Margin
from twinset.core.seeding import draw_seed
from twinset.core.stats.bootstrap import Groups

from .._bootstrap_metric import Bools, TextMetric, text_columns
from .._samples import common_size, draw_samples
from ._text_patterns import split_words, text_values, word_shapes

_MIN_ROWS = 50  # texts: the 1 % false positive rate of fewer is no text at all
_FALSE_POSITIVE_RATE = 0.01  # of real texts above the threshold
_N_FOLDS = 3  # fits of the model; more change little and take longer
# Inverse strength C of the penalty: strong, because of thousands of words only those that separate
# again and again should count.
_STRENGTH = 0.03
_TOLERANCE = 1e-2  # of the solver: finer fits do not change which texts are above the threshold
_MIN_USES = 3  # texts with a piece: one of fewer separates nothing on unseen folds
_MIN_SHOWN_USES = 5  # synthetic texts with a named piece, so that none is what a real row alone has
_MAX_NAMED = 3  # pieces: a longer list would not say where to look
_LENGTH_STEP = 4  # words: a piece for each range of lengths


@dataclass(frozen=True, kw_only=True)
class TextClassifier(TextMetric):
    """Share of texts that a simple classifier separates from real ones with certainty.

    A logistic regression on words, pairs of words, shapes of words ("Aa"), first and last words and
    length separates synthetic from held-out real texts. With out-of-fold scores and the threshold t that
    1 % of the real texts exceed, value = max(P(score > t | synthetic) - P(score > t | real), 0), in
    [0, 1]. It sees whatever repeats itself, known beforehand or not: a courtesy at the end of one text
    in ten, remains of markup, lost capitals, first words that are missing. Findings name such pieces.

    References
    ----------
    Lopez-Paz, Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.schema import Field, Schema
    >>> schema = Schema((Field(name="note", kind="text"),))
    >>> texts = [f"{'play' if i % 3 else 'stop'} number {i % 50}" for i in range(600)]
    >>> polite = [f"{text} please" if i % 5 == 0 else text for i, text in enumerate(texts)]
    >>> real, other = (Dataset.from_arrow(pa.table({"note": t}), schema) for t in (texts, polite))
    >>> sets = Comparison(real, other, real)
    >>> found = TextClassifier(replicates=10).compute(sets, np.random.default_rng(0))
    >>> round(found.value, 1), found.facts["features"][0]
    (0.2, '"please"')
    """

    family = "gap"
    title = "texts that a model separates from real ones"
    interpretation = (
        "The share of synthetic texts that a simple model of words, shapes and ends separates from real "
        "ones with certainty, beyond the one in a hundred that it may be wrong about. It names the words "
        "that do it."
    )
    sees_everything = True

    margin: Margin = 0.02
    max_rows: Annotated[int, Ge(_MIN_ROWS)] = 10_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the share of texts that are separated with certainty, 0 to 1."""
        from sklearn.model_selection import PredefinedSplit, cross_val_predict

        names = text_columns(comparison)
        n = common_size(comparison, self.max_rows, _MIN_ROWS, "texts")
        real, synthetic = (_pieces(part, names) for part in draw_samples(comparison, n, rng))
        features, known = _count_pieces([*real, *synthetic])
        is_synthetic = np.arange(2 * n) >= n
        fold = rng.permutation(np.arange(2 * n) % _N_FOLDS)
        seed = draw_seed(rng)
        score = cross_val_predict(
            _build_model(seed),
            features,
            is_synthetic,
            cv=PredefinedSplit(fold),
            method="decision_function",
        )
        threshold = np.quantile(score[~is_synthetic], 1 - _FALSE_POSITIVE_RATE, method="higher")
        (hits, hits_drawn), (errors, errors_drawn) = (
            Groups.assign(n, self.replicates, rng).means(
                (score[rows] > threshold)[:, None].astype(np.float64)
            )
            for rows in (is_synthetic, ~is_synthetic)
        )
        value = max(float(hits[0, 0] - errors[0, 0]), 0.0)
        drawn = np.maximum(hits_drawn[:, 0] - errors_drawn[:, 0], 0.0)
        named = _find_features(features, known, is_synthetic, seed)
        findings = (TextFeatures(tuple(named)),) if value > self.margin and named else ()
        return Measurement(value, drawn, findings, facts={"rows": n, "features": named})


def _pieces(rows: Dataset, names: Sequence[str]) -> list[set[str]]:
    """Return the pieces of each text in words that a reader understands."""
    found: list[set[str]] = [set() for _ in range(len(rows))]
    for name in names:
        suffix = f" of {name}" if len(names) > 1 else ""
        for own, text in zip(found, text_values(rows, name)):
            own.update(f"{piece}{suffix}" for piece in _text_pieces(text))
    return found


def _text_pieces(text: str) -> list[str]:
    words, shapes = split_words(text), word_shapes(text)
    if not words:
        return ["no word at all"]
    length = len(words) // _LENGTH_STEP * _LENGTH_STEP
    return [
        *(f'"{word}"' for word in words),
        *(f'"{one} {two}"' for one, two in pairwise(words)),
        *(f"words like {shape}" for shape in shapes),
        f'"{words[0]}" at the beginning',
        f'"{words[-1]}" at the end',
        f"words like {shapes[0]} at the beginning",
        f"words like {shapes[-1]} at the end",
        f"{length} to {length + _LENGTH_STEP - 1} words",
    ]


def _count_pieces(pieces: Sequence[set[str]]) -> tuple[Any, list[str]]:
    """Return which pieces each text has, sparse (n, d), and the pieces: those of three texts or more."""
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(analyzer=sorted, binary=True, dtype=np.float64, min_df=_MIN_USES)
    try:
        features = counter.fit_transform(pieces)
    except ValueError as nothing:
        raise NotMeasurable("no word is used by three texts") from nothing
    return features, list(counter.get_feature_names_out())


def _build_model(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=_STRENGTH, solver="liblinear", tol=_TOLERANCE, random_state=seed)


def _find_features(
    features: Any, known: Sequence[str], is_synthetic: Bools, seed: int
) -> list[str]:
    """Return the pieces that separate most, all of them used by five synthetic texts or more."""
    synthetic, real = (
        np.asarray(features[rows].mean(axis=0)).ravel() for rows in (is_synthetic, ~is_synthetic)
    )
    weight = _build_model(seed).fit(features, is_synthetic).coef_[0] * (synthetic - real)
    weight[synthetic * is_synthetic.sum() < _MIN_SHOWN_USES] = 0.0
    best = [i for i in np.argsort(-weight, kind="stable")[:_MAX_NAMED] if weight[i] > 0]
    return [known[i] if synthetic[i] > real[i] else f"too little of {known[i]}" for i in best]
