"""How many texts give themselves away by their words, how they are written, or how they begin and end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.findings import TextFeatures
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.seeding import draw_seed
from twinset.core.stats.bootstrap import Groups

from ._text_patterns import shapes_of, strings, words_of

Floats = npt.NDArray[np.float64]

_LEAST_ROWS = 50
_FALSE_ALARMS = 0.01
_FOLDS = 3
_STRENGTH = 0.03
"""Strong shrinkage: of thousands of words only those that tell again and again should count."""
_FEWEST_USES = 3
_FEWEST_TOLD = 5
_MOST_TOLD = 3
_WORDS_A_STEP = 4


@dataclass(frozen=True, kw_only=True)
class TextClassifier(Metric):
    """Counts texts that a simple model surely tells from real ones, and says what gives them away.

    A logistic model of words, pairs of words, shapes of words ("Aa"), first and last words and length
    learns to tell the texts from held-out real ones, and judges texts it has not learnt from. Surely
    told are those that look less real than 99 of 100 real texts do. The value is their share less that
    of the real texts, 0 to 1. It sees whatever repeats itself, known beforehand or not: a courtesy at
    the end of one text in ten, remains of markup, lost capitals, first words that are missing.

    Parameters
    ----------
    margin : float
        Share of texts that may be surely told, beyond that of real ones.
    max_rows : int
        Texts of each side that are looked at, 50 or more.
    replicates : int
        Bootstrap replicates; texts are drawn, the model is not fitted again.

    References
    ----------
    Lopez-Paz, Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.schema import Field, Schema
    >>> schema = Schema((Field(name="said", kind="text"),))
    >>> texts = [f"{'play' if i % 3 else 'stop'} number {i % 50}" for i in range(600)]
    >>> polite = [f"{text} please" if i % 5 == 0 else text for i, text in enumerate(texts)]
    >>> real, made = (Dataset.from_arrow(pa.table({"said": t}), schema) for t in (texts, polite))
    >>> sets = Comparison(real, made, real)
    >>> found = TextClassifier(replicates=10).compute(sets, np.random.default_rng(0))
    >>> round(found.value, 1), found.facts["tells"][0]
    (0.2, '"please"')
    """

    family: ClassVar[MetricFamily] = "gap"
    title: ClassVar[str] = "texts that a model separates from real ones"
    interpretation: ClassVar[str] = (
        "The share of synthetic texts that a simple model of words, shapes and ends separates from real "
        "ones with certainty, beyond the one in a hundred that it may be wrong about. It names the words "
        "that do it."
    )
    sees_everything: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = frozenset({"text"})
    needs: ClassVar[frozenset[str]] = frozenset({"text"})
    has_floor: ClassVar[bool] = False

    margin: Margin = 0.02
    max_rows: Annotated[int, Ge(_LEAST_ROWS)] = 10_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the share of texts that are surely told, 0 to 1; details say by what."""
        names = [field.name for field in comparison.train.schema.of_kind("text")]
        if not names:
            raise NotMeasurable("no column holds texts")
        sides = (comparison.reference, comparison.synthetic)
        n = min(*map(len, sides), self.max_rows)
        if n < _LEAST_ROWS:
            raise NotMeasurable(f"it needs at least {_LEAST_ROWS} texts of each side")
        real, made = (_pieces(part.at_most(n, rng), names) for part in sides)
        features, known = _features([*real, *made])
        is_made = np.arange(2 * n) >= n
        fold = rng.permutation(np.arange(2 * n) % _FOLDS)
        seed = draw_seed(rng)
        opinion = _cross_fitted(features, is_made, fold, seed)
        sure = opinion > np.quantile(opinion[~is_made], 1 - _FALSE_ALARMS, method="higher")
        told, alarms = (
            Groups.assign(n, self.replicates, rng).means(side[:, None].astype(np.float64))
            for side in (sure[is_made], sure[~is_made])
        )
        value = max(float(told[0][0, 0] - alarms[0][0, 0]), 0.0)
        drawn = np.maximum(told[1][:, 0] - alarms[1][:, 0], 0.0)
        tells = _tells(features, known, is_made, seed)
        found = (TextFeatures(tuple(tells)),) if value > self.margin and tells else ()
        return Measurement(value, drawn, found, facts={"rows": n, "tells": tells})


def _pieces(rows: Dataset, names: Sequence[str]) -> list[set[str]]:
    """Return what each text is made of, in words that a reader understands."""
    found: list[set[str]] = [set() for _ in range(len(rows))]
    for name in names:
        of = f" of {name}" if len(names) > 1 else ""
        for own, text in zip(found, strings(rows, name)):
            own.update(f"{piece}{of}" for piece in _of_text(text))
    return found


def _of_text(text: str) -> list[str]:
    words, shapes = words_of(text), shapes_of(text)
    if not words:
        return ["no word at all"]
    length = len(words) // _WORDS_A_STEP * _WORDS_A_STEP
    return [
        *(f'"{word}"' for word in words),
        *(f'"{one} {two}"' for one, two in pairwise(words)),
        *(f"words like {shape}" for shape in shapes),
        f'"{words[0]}" at the beginning',
        f'"{words[-1]}" at the end',
        f"words like {shapes[0]} at the beginning",
        f"words like {shapes[-1]} at the end",
        f"{length} to {length + _WORDS_A_STEP - 1} words",
    ]


def _features(pieces: Sequence[set[str]]) -> tuple[Any, list[str]]:
    """Return which pieces each text has, sparse (n, d), and the pieces: those of three texts or more."""
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(analyzer=sorted, binary=True, dtype=np.float64, min_df=_FEWEST_USES)
    try:
        features = counter.fit_transform(pieces)
    except ValueError as nothing:
        raise NotMeasurable("no word is used by three texts") from nothing
    return features, list(counter.get_feature_names_out())


def _model(features: Any, is_made: npt.NDArray[np.bool_], seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_STRENGTH, solver="liblinear", tol=1e-2, random_state=seed)
    return model.fit(features, is_made)


def _cross_fitted(
    features: Any, is_made: npt.NDArray[np.bool_], fold: npt.NDArray[np.int64], seed: int
) -> Floats:
    """Return how synthetic each text looks to a model that has not learnt from it, shape (n,)."""
    opinion = np.empty(len(is_made))
    for k in range(_FOLDS):
        held = fold == k
        model = _model(features[~held], is_made[~held], seed)
        opinion[held] = model.decision_function(features[held])
    return opinion


def _tells(
    features: Any, known: Sequence[str], is_made: npt.NDArray[np.bool_], seed: int
) -> list[str]:
    """Return the pieces that tell most, all of them used by five synthetic texts or more.

    So none of them is what a real row alone holds.
    """
    made, real = (np.asarray(features[side].mean(axis=0)).ravel() for side in (is_made, ~is_made))
    weight = _model(features, is_made, seed).coef_[0] * (made - real)
    weight[made * is_made.sum() < _FEWEST_TOLD] = 0.0
    best = [i for i in np.argsort(-weight, kind="stable")[:_MOST_TOLD] if weight[i] > 0]
    return [known[i] if made[i] > real[i] else f"too little of {known[i]}" for i in best]
