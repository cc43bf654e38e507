"""Blocked exact nearest-neighbour search: an N x N matrix never exists."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from twinset.core.errors import ParameterError

_BLOCK_CELLS = 4_000_000  # of one block of distances: 16 MB of float32, 32 MB of float64
_SPARE = 4  # candidates beyond k, because the first pass orders them in single precision
_STRIDES = 16  # reference rows that share one smallest score when candidates are picked

Distances = npt.NDArray[np.float64]


def nearest(
    query: npt.NDArray[np.floating],  # rows to look from, shape (m, d)
    # rows to look among, shape (n, d); a query row that is among them finds itself first
    reference: npt.NDArray[np.floating],
    k: int,  # number of neighbours, 1 to n
    *,
    # query rows handled at a time; by default as many as fit 16 MB of distances
    block: int | None = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return the `k` nearest reference rows of every query row, nearest first.

    Returns
    -------
    distances : numpy.ndarray of float32, shape (m, k)
        Euclidean distances.
    indices : numpy.ndarray of int64, shape (m, k)
        Positions in `reference`. Rows whose distances agree to single precision (seven digits of
        the data's own length) count as equally near, and any of them may come first.

    Raises
    ------
    ParameterError
        `k` is below 1 or above the number of reference rows.

    Examples
    --------
    >>> distances, indices = nearest(np.array([[0.0], [9.0]]), np.array([[1.0], [8.0], [5.0]]), 2)
    >>> distances.tolist(), indices.tolist()
    ([[1.0, 5.0], [1.0, 4.0]], [[0, 2], [1, 2]])
    """
    if not 1 <= k <= len(reference):
        raise ParameterError(
            "the number of neighbours is out of range", got=str(k), allowed=f"1 to {len(reference)}"
        )
    distances = np.empty((len(query), k), dtype=np.float32)
    indices = np.empty((len(query), k), dtype=np.int64)
    # One product gives |r|^2 - 2qr, which orders the references of a query as their distances do.
    # Centred first: it loses digits where the data lie far from the origin.
    centre = reference.mean(axis=0, dtype=np.float64)
    far = (reference - centre).astype(np.float32)
    far = np.column_stack([far, np.einsum("ij,ij->i", far, far)]).T.copy()
    candidates = min(k + _SPARE, len(reference))
    step = min(block or max(1, _BLOCK_CELLS // len(reference)), max(len(query), 1))
    # One buffer for all blocks: fresh memory costs as much as the product that fills it.
    buffer = np.empty((step, len(reference)), dtype=np.float32)
    for start in range(0, len(query), step):
        rows = slice(start, start + step)
        near = (-2 * (query[rows] - centre)).astype(np.float32)
        left = np.column_stack([near, np.ones(len(near), np.float32)])
        score = np.matmul(left, far, out=buffer[: len(near)])
        found = score.argmin(axis=1)[:, None] if k == 1 else _find_smallest(score, candidates)
        exact = _distances(query[rows], reference, found)
        order = np.lexsort((found, exact), axis=1)[:, :k]
        distances[rows] = np.take_along_axis(exact, order, axis=1)
        indices[rows] = np.take_along_axis(found, order, axis=1)
    return distances, indices


def squared_distances(
    query: npt.NDArray[np.floating],
    reference: npt.NDArray[np.floating],
    *,
    block: int | None = None,
) -> Iterator[tuple[slice, Distances]]:
    """Yield blocks of squared Euclidean distances: (query rows, distances of shape (rows, n)).

    Distances that are rounding error, below about 1e-6 of the data's own length, are exactly 0.
    """
    if len(query) == 0 or len(reference) == 0:
        return
    # Centred first: |q|^2 + |r|^2 - 2qr loses digits where the data lie far from the origin.
    centre = reference.mean(axis=0, dtype=np.float64)
    far = reference.astype(np.float64) - centre
    far_lengths = np.einsum("ij,ij->i", far, far)
    step = block or max(1, _BLOCK_CELLS // len(reference))
    for start in range(0, len(query), step):
        rows = slice(start, min(start + step, len(query)))
        near = query[rows].astype(np.float64) - centre
        lengths = np.einsum("ij,ij->i", near, near)
        squared = near @ far.T
        squared *= -2.0
        squared += lengths[:, None]
        squared += far_lengths
        squared[squared <= 1e-12 * lengths[:, None]] = 0.0
        yield rows, squared


def _find_smallest(score: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.intp]:
    """Return where the `k` least of each line are, in any order, shape (m, k).

    The k least lie in those k runs of columns whose own least is least, so only these are sorted
    out. A run is every (n / 16)-th column, which takes the least of 16 lines of memory at once.
    """
    m, n = score.shape
    if k == n:
        return np.broadcast_to(np.arange(n), score.shape)
    width = n // _STRIDES
    if width <= 2 * k:
        return np.argpartition(score, k - 1, axis=1)[:, :k]
    runs = score[:, : width * _STRIDES].reshape(m, _STRIDES, width).min(axis=1)
    best = np.argpartition(runs, k - 1, axis=1)[:, :k]
    places = (best[:, :, None] + width * np.arange(_STRIDES)).reshape(m, -1)
    rest = np.broadcast_to(np.arange(width * _STRIDES, n), (m, n - width * _STRIDES))
    places = np.concatenate([places, rest], axis=1)
    among = np.take_along_axis(score, places, axis=1)
    return np.take_along_axis(places, np.argpartition(among, k - 1, axis=1)[:, :k], axis=1)


def _distances(
    query: npt.NDArray[np.floating],
    reference: npt.NDArray[np.floating],
    found: npt.NDArray[np.intp],
) -> Distances:
    """Return the distances to the candidates of each query, without rounding of squares."""
    out = np.empty(found.shape)
    for j in range(found.shape[1]):
        apart = query.astype(np.float64) - reference[found[:, j]]
        out[:, j] = np.sqrt(np.einsum("ij,ij->i", apart, apart))
    return out
