"""Numbers for what is no number: texts, boxes and spans become short plain vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Matrix = npt.NDArray[np.float32]

TEXT_SIZE = 2_048


def text_vectors(column: pa.ChunkedArray) -> Matrix:
    """Return one row a text, shape (n, 2048): hashed counts of words and pairs of words, length 1."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(n_features=TEXT_SIZE, ngram_range=(1, 2), alternate_sign=False)
    texts = [text or "" for text in column.to_pylist()]
    return np.asarray(hashing.transform(texts).toarray(), dtype=np.float32)


def label_counts(column: pa.ChunkedArray, key: str, labels: Sequence[str]) -> Matrix:
    """Return how often each of `labels` occurs in a list column, shape (n, len(labels)), as log(1 + n)."""
    column = column.combine_chunks()
    rows = np.asarray(pc.list_parent_indices(column))
    found = pc.index_in(
        pc.struct_field(pc.list_flatten(column), key), pa.array(list(labels), pa.string())
    )
    codes = pc.fill_null(found, -1).to_numpy(zero_copy_only=False)
    out = np.zeros((len(column), len(labels)), dtype=np.float32)
    np.add.at(out, (rows[codes >= 0], codes[codes >= 0]), 1.0)
    return np.log1p(out)


def labels_of(column: pa.ChunkedArray, key: str) -> tuple[str, ...]:
    """Return the labels that occur in a list column, sorted."""
    found = pc.unique(pc.struct_field(pc.list_flatten(column.combine_chunks()), key)).to_pylist()
    return tuple(sorted(label for label in found if label is not None))


@dataclass(frozen=True)
class Reduction:
    """A fitted projection on the main directions, scaled to a given mean squared length.

    Parameters
    ----------
    mean : numpy.ndarray, shape (d,)
        Centre of the data.
    directions : numpy.ndarray, shape (d, r)
        Main directions, scaled.
    """

    mean: Matrix
    directions: Matrix

    @classmethod
    def fit(cls, vectors: Matrix, *, size: int, variance: float) -> Reduction:
        """Return the projection of `vectors`, shape (n, d), on at most `size` directions.

        The projected rows have the total variance `variance`, so that a picture or a text weighs as
        much in a distance as that many numbers.
        """
        vectors = vectors[~np.isnan(vectors).any(axis=1)]
        if len(vectors) == 0:
            return cls(np.zeros(1, dtype=np.float32), np.zeros((1, 0), dtype=np.float32))
        mean = vectors.mean(axis=0)
        _, lengths, rows = np.linalg.svd(vectors - mean, full_matrices=False)
        kept = int(min(size, (lengths > 1e-4 * max(float(lengths[0]), 1e-9)).sum()))
        total = float((lengths[:kept] ** 2).sum()) / len(vectors)
        scale = np.sqrt(variance / total) if total > 1e-12 else 1.0
        return cls(mean, (rows[:kept].T * scale).astype(np.float32))

    def apply(self, vectors: Matrix) -> Matrix:
        """Return the projected rows, shape (n, r); a row with NaN lies at the centre."""
        if self.directions.shape[1] == 0:
            return np.zeros((len(vectors), 0), dtype=np.float32)
        projected: Matrix = np.nan_to_num(vectors - self.mean) @ self.directions
        return projected
