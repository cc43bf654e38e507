"""Numbers for what is no number: images, texts, boxes and spans become short plain vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.errors import DataError
from twinset.core.pixels import decode_pixels

Matrix = npt.NDArray[np.float32]

_THUMBNAIL = 8
_DIRECTIONS = 8
IMAGE_SIZE = _THUMBNAIL * _THUMBNAIL * 3 + 4 * _DIRECTIONS
TEXT_SIZE = 2_048


def image_vectors(column: pa.ChunkedArray) -> Matrix:
    """Return one row an image, shape (n, 224): 8 x 8 colours and the directions of its edges.

    A missing image, or one that cannot be decoded, is a row of NaN.
    """
    out = np.full((len(column), IMAGE_SIZE), np.nan, dtype=np.float32)
    # One by one: all the pixels of a set together would not fit the memory.
    for row, cell in enumerate(column):
        data = cell.as_py()
        if data is not None and data["bytes"]:
            try:
                out[row] = _image_vector(decode_pixels(data["bytes"]))
            except DataError:
                continue
    return out


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


def _image_vector(pixels: npt.NDArray[np.generic]) -> Matrix:
    """Return thumbnail and edge directions of one image, values about 0 to 1."""
    full = 65_535.0 if pixels.dtype == np.uint16 else 255.0
    grey_or_colour = np.atleast_3d(np.asarray(pixels, dtype=np.float32) / full)
    colour = np.repeat(grey_or_colour[..., :1], 3, axis=2)
    if grey_or_colour.shape[2] >= 3:
        colour = grey_or_colour[..., :3]
    thumbnail = _block_means(colour, _THUMBNAIL)
    grey = colour.mean(axis=2)
    dy, dx = np.gradient(grey) if min(grey.shape) > 1 else (np.zeros_like(grey),) * 2
    strength = np.hypot(dx, dy)
    turn = np.mod(np.arctan2(dy, dx), np.pi) / np.pi * _DIRECTIONS
    direction = np.minimum(turn.astype(np.int64), _DIRECTIONS - 1)
    planes = np.zeros((*grey.shape, _DIRECTIONS), dtype=np.float32)
    np.put_along_axis(planes, direction[..., None], strength[..., None], axis=2)
    edges = _block_means(planes, 2)
    return np.concatenate([thumbnail.ravel(), 4.0 * edges.ravel()]).astype(np.float32)


def _block_means(planes: Matrix, cells: int) -> Matrix:
    """Return the means over a grid of cells x cells, shape (cells, cells, channels)."""
    out = planes
    for axis in (0, 1):
        length = out.shape[axis]
        starts = (np.arange(cells) * length) // cells
        stops = np.maximum(((np.arange(cells) + 1) * length) // cells, starts + 1)
        sums = np.concatenate(
            [np.zeros_like(out.take([0], axis=axis)), np.cumsum(out, axis=axis, dtype=np.float64)],
            axis=axis,
        )
        shape = [1, 1, 1]
        shape[axis] = cells
        widths = (stops - starts).reshape(shape)
        out = (sums.take(stops, axis=axis) - sums.take(starts, axis=axis)) / widths
    return np.asarray(out, dtype=np.float32)
