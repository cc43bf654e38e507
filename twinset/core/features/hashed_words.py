"""Rows with texts as sparse counts of hashed words and pairs of words: what linear models of texts read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from twinset.core.data.dataset import Dataset
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.features.models import Task, build_linear_model

N_BUCKETS = 1 << 16
_STRENGTH = 10.0
_WORD = re.compile(r"\w+")


def has_texts(rows: Dataset, names: Sequence[str]) -> bool:
    """Return whether one of these columns holds texts."""
    return any(rows.schema[name].column_kind.is_free_text for name in names)


def word_features(sets: Sequence[Dataset], names: Sequence[str]) -> list[Any]:
    """Return sparse features of each set, shape (n, d): hashed words of texts, then all other columns.

    Words in small letters and pairs of neighbouring words are counted, each text's counts brought to
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
    return build_linear_model(task, solver="lsqr", C=_STRENGTH, max_iter=200, tol=1e-3)
