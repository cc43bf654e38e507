"""Which found objects are true, and what that scores: F1 of masks, average precision of boxes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._annotated import Floats, Ids, Matrix

Bools = npt.NDArray[np.bool_]

_OVERLAP = 0.5


def mask_counts(truth: Ids, found: Ids) -> npt.NDArray[np.int64]:
    """Return how many objects are found, wrongly found and missed.

    An object is found where the intersection over union exceeds one half: then no other can be.

    Examples
    --------
    >>> truth = np.array([[1, 1, 1, 0, 2, 2]], np.int32)
    >>> mask_counts(truth, np.array([[7, 7, 0, 0, 0, 9]], np.int32)).tolist()  # 2/3; 1/2 is too little
    [1, 1, 1]
    """
    places = [np.unique(ids, return_inverse=True)[1].reshape(ids.shape) for ids in (truth, found)]
    firsts = [int(np.min(ids, initial=0) == 0 and (ids == 0).any()) for ids in (truth, found)]
    n = [int(p.max(initial=-1)) + 1 for p in places]
    table = np.bincount((places[0] * n[1] + places[1]).ravel(), minlength=n[0] * n[1])
    table = table.reshape(n[0], n[1])
    union = table.sum(axis=1)[:, None] + table.sum(axis=0)[None] - table
    share = (table / np.maximum(union, 1))[firsts[0] :, firsts[1] :]
    hits = int((share > _OVERLAP).sum())
    return np.array([hits, share.shape[1] - hits, share.shape[0] - hits])


def f1(counts: npt.NDArray[np.int64]) -> float:
    """Return the F1 score of counts, shape (n, 3), over all pictures together, 0 to 1.

    Examples
    --------
    >>> f1(np.array([[2, 1, 0], [1, 0, 1]]))  # 2 * 3 / (2 * 3 + 1 + 1)
    0.75
    """
    hits, wrong, missed = counts.reshape(-1, 3).sum(axis=0)
    return float(2 * hits / max(2 * hits + wrong + missed, 1))


def box_hits(truth: Matrix, boxes: Matrix, scores: Floats) -> Bools:
    """Return which boxes of one class on one picture are right, shape (n,).

    The surest box takes the true one it overlaps most, by one half or more of their union; a true one
    that is taken counts no more.

    Examples
    --------
    >>> truth = np.array([[0, 0, 10, 10]], np.float32)
    >>> boxes = np.array([[0, 0, 10, 5], [0, 0, 10, 9]], np.float32)
    >>> box_hits(truth, boxes, np.array([.9, .8])).tolist()
    [True, False]
    """
    hits = np.zeros(len(boxes), bool)
    shares = overlaps(boxes, truth)
    for k in np.argsort(-scores, kind="stable"):
        if not shares.shape[1]:
            break
        best = int(np.argmax(shares[k]))
        if shares[k, best] >= _OVERLAP:
            hits[k] = True
            shares[:, best] = -1
    return hits


def overlaps(a: Matrix, b: Matrix) -> Floats:
    """Return the intersection over union of all pairs of boxes, shape (len(a), len(b))."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(one[:, 2:] - one[:, :2]).prod(axis=1) for one in (a, b)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float64)


def average_precision(hits: Bools, scores: Floats, n_true: float, weights: Floats) -> float:
    """Return the area under precision over recall, 0 to 1; NaN where there is no true object.

    Precision at a recall is the greatest at that recall or beyond, as PASCAL VOC has had it since 2010.

    Parameters
    ----------
    hits, scores : numpy.ndarray, shape (n,)
        Whether each found box is right, and how sure the net is of it.
    n_true : float
        True objects, weighted likewise.
    weights : numpy.ndarray, shape (n,)
        How often the picture of each counts.

    References
    ----------
    Everingham et al. (2010), The PASCAL Visual Object Classes Challenge, IJCV 88.

    Examples
    --------
    >>> hits = np.array([True, False, True])  # recall 1/2 at precision 1, 1 at 2/3
    >>> round(average_precision(hits, np.array([.9, .8, .7]), 2, np.ones(3)), 4)
    0.8333
    """
    if n_true <= 0:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(weights[order] * hits[order])
    every = np.cumsum(weights[order])
    recall = np.concatenate([[0.0], right / n_true])
    precision = right / np.maximum(every, 1e-12)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall) * best).sum())
