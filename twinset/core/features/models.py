"""Models of rows, and what they read: boosted trees of coded columns, linear models of hashed words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.features.encoder import FeatureEncoder

Floats = npt.NDArray[np.float64]
Task = Literal["classification", "regression"]

_MAX_LEVELS = 200  # the bins of boosted trees end at 255
_FULL_LEAF = 50  # rows: smaller leaves fit noise where one row in 600 is positive
N_BUCKETS = 1 << 16  # few collisions: a corpus has some 20,000 words and pairs that repeat
_STRENGTH = 10.0  # weak penalty: rows are of length 1 over many words
_WORD = re.compile(r"\w+")


def build_boosted_trees(
    task: Task,  # kind of outcome
    seed: int,  # seed of the model; it only chooses the rows that set the bins of very large tables
    # of `sklearn.ensemble.HistGradientBoostingClassifier`, whose early stopping is off
    **settings: Any,
) -> Any:
    """Return unfitted boosted trees that use all rows for training."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    is_number = task == "regression"
    model = HistGradientBoostingRegressor if is_number else HistGradientBoostingClassifier
    return model(early_stopping=False, random_state=seed, **settings)


def fit_boosted_trees(
    x: Floats,  # features; missing is NaN, shape (n, d)
    y: npt.NDArray[Any],  # labels or numbers to predict, shape (n,)
    weight: Floats | None = None,  # weight of each row; by default all are equal, shape (n,)
    *,
    # as for `build_boosted_trees`
    task: Task,
    seed: int,
    **settings: Any,
) -> Any:
    """Return boosted trees fitted on one thread; columns without any value are ignored."""
    from threadpoolctl import threadpool_limits

    # scikit-learn finds no bins for a column without values; it splits on no constant either.
    empty = np.isnan(x).all(axis=0)
    x = np.where(empty, 0.0, x) if empty.any() else x
    # Two threads on a busy machine made one fit a hundred times slower than one thread.
    with threadpool_limits(limits=1, user_api="openmp"):
        return build_boosted_trees(task, seed, **settings).fit(x, y, weight)


def build_linear_model(
    task: Task,  # kind of outcome
    *,
    # penalty and solver of `sklearn.linear_model.Ridge`
    alpha: float = 1.0,
    solver: str = "auto",
    **settings: Any,  # of `sklearn.linear_model.LogisticRegression`
) -> Any:
    """Return an unfitted linear model: logistic regression of labels, ridge regression of numbers."""
    from sklearn.linear_model import LogisticRegression, Ridge

    if task == "regression":
        return Ridge(alpha=alpha, solver=solver)
    return LogisticRegression(**settings)


@dataclass(frozen=True)
class DiscriminatorTable:
    """One or more sets in one coding, as the discriminator reads them."""

    # One matrix a set, shape (n, d): numbers as they are, categories as codes, missing as NaN
    parts: tuple[Floats, ...]
    categorical: npt.NDArray[np.bool_]  # Which columns are codes, shape (d,)


def build_discriminator_table(
    # sets that all hold the named columns; encoders of images and texts are fitted on the first
    sets: Sequence[Dataset],
    names: Sequence[str],  # columns to encode
) -> DiscriminatorTable:
    """Return the named columns of all `sets` in one coding.

    Trees need no scaling, so numbers stay raw. The 200 most frequent levels of a category keep a code of
    their own. Images, texts, boxes and spans enter as their features (see `FeatureEncoder`).
    """
    columns: list[list[Floats]] = [[] for _ in sets]
    categorical: list[bool] = []
    rest = []
    for name in names:
        field = sets[0].schema[name]
        if not field.is_tabular:
            rest.append(name)
            continue
        is_code = field.has_levels
        found = _codes(sets, name) if is_code else [part.values(name) for part in sets]
        for held, column in zip(columns, found):
            held.append(column)
        categorical.append(is_code)
    parts = [np.column_stack(c) if c else np.zeros((len(s), 0)) for c, s in zip(columns, sets)]
    if rest:
        encoder = FeatureEncoder.fit(sets[0].select(rest))
        features = [encoder.transform(part.select(rest)) for part in sets]
        parts = [np.column_stack([part, more]) for part, more in zip(parts, features)]
        categorical += [False] * features[0].shape[1]
    return DiscriminatorTable(tuple(parts), np.array(categorical, dtype=bool))


def fit_discriminator(
    x: Floats,  # columns from `build_discriminator_table`, shape (n, d)
    y: npt.NDArray[Any],  # labels or numbers to predict, shape (n,)
    categorical: npt.NDArray[np.bool_],  # which columns are codes, shape (d,)
    *,
    task: Task,  # what `y` is
    seed: int,  # seed of the model; it only chooses the rows that set the bins of very large tables
    iterations: int = 100,  # number of trees
    # how much each row counts; by default all count alike, shape (n,)
    weight: Floats | None = None,
) -> Any:
    """Return a boosted-tree model fitted on one thread.

    Slow learning, small trees and a strong penalty, because the usual defaults collapse where one row
    in 600 is positive: on the ULB card-fraud table, cut by time, they reach an average precision of
    0.31 and these settings 0.80. Leaves shrink with the table, so that 50 rows can still be split.
    """
    return fit_boosted_trees(
        x,
        y,
        weight,
        task=task,
        seed=seed,
        learning_rate=0.08,
        max_iter=iterations,
        max_leaf_nodes=15,
        min_samples_leaf=int(np.clip(len(x) // 20, 1, _FULL_LEAF)),
        l2_regularization=5.0 if len(x) >= 20 * _FULL_LEAF else 1.0,
        categorical_features=categorical if categorical.any() else None,
    )


def _codes(sets: Sequence[Dataset], name: str) -> list[Floats]:
    """Return codes by falling frequency over all sets; missing is NaN, levels beyond 200 share a code."""
    coded = [part.codes(name) for part in sets]
    counts: dict[str, int] = {}
    for codes, levels in coded:
        for level, count in zip(levels, np.bincount(codes[codes >= 0], minlength=len(levels))):
            counts[level] = counts.get(level, 0) + int(count)
    common = sorted(counts, key=lambda level: (-counts[level], level))
    place = {level: float(min(i, _MAX_LEVELS)) for i, level in enumerate(common)}
    return [
        np.array([*[place[level] for level in levels], np.nan])[codes] for codes, levels in coded
    ]


def has_texts(rows: Dataset, names: Sequence[str]) -> bool:
    """Return whether one of these columns holds texts."""
    return any(rows.schema[name].column_kind.is_free_text for name in names)


def word_features(sets: Sequence[Dataset], names: Sequence[str]) -> list[Any]:
    """Return sparse features of each set, shape (n, d): hashed words of texts, then all other columns.

    Lowercase words and pairs of neighbouring words are counted, each text's counts brought to
    length 1. Other columns are encoded as the first set says.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.schema import Field, Schema
    >>> schema = Schema((Field(name="said", kind="text"),))
    >>> rows = Dataset.from_arrow(pa.table({"said": ["play jazz", "stop"]}), schema)
    >>> word_features([rows], ["said"])[0].getnnz(axis=1).tolist()
    [3, 1]
    """
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import HashingVectorizer

    texts = [name for name in names if sets[0].schema[name].column_kind.is_free_text]
    others = [name for name in names if name not in texts]
    counter = HashingVectorizer(n_features=N_BUCKETS, alternate_sign=False, analyzer=_terms)
    encoder = FeatureEncoder.fit(sets[0].select(others)) if others else None
    found = []
    for part in sets:
        blocks = [
            counter.transform(text or "" for text in part.records.column(name).to_pylist())
            for name in texts
        ]
        if encoder is not None:
            blocks.append(csr_matrix(encoder.transform(part.select(others)).astype(np.float64)))
        found.append(hstack(blocks, format="csr"))
    return found


def _terms(text: str) -> list[str]:
    words = _WORD.findall(text.lower())
    return words + [f"{one} {two}" for one, two in pairwise(words)]


def stacked(parts: Sequence[Any]) -> Any:
    """Return the features of all parts, one below the other."""
    from scipy.sparse import vstack

    return vstack(list(parts), format="csr")


def word_model(task: Task) -> Any:
    """Return a linear model of sparse features: logistic, or ridge where numbers are predicted."""
    return _LinearWordModel(
        build_linear_model(task, solver="lsqr", C=_STRENGTH, max_iter=200, tol=1e-3)
    )


@dataclass
class _LinearWordModel:
    """A linear model of the columns that are not empty in training: the penalty keeps the others at 0."""

    model: Any

    def fit(self, x: Any, y: Any, weight: Floats | None = None) -> _LinearWordModel:
        self.columns = np.union1d(x.indices, 0)  # one at least, where no text has a word
        self.model.fit(x[:, self.columns], y, weight)
        return self

    @property
    def classes_(self) -> npt.NDArray[Any]:
        return np.asarray(self.model.classes_)

    def predict(self, x: Any) -> Any:
        return self.model.predict(x[:, self.columns])

    def predict_proba(self, x: Any) -> Floats:
        return np.asarray(self.model.predict_proba(x[:, self.columns]))
