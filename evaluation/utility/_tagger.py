"""A token tagger that learns within seconds: an averaged perceptron over hashed features."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._tokens import N_BUCKETS

Ints = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float32]

_EPOCHS = 8
_AT_ONCE = 16


def fit_tagger(features: Ints, tags: Ints, n_tags: int, rng: np.random.Generator) -> Weights:
    """Return weights of an averaged perceptron, shape (buckets, n_tags).

    Tokens are gone through eight times, in another order each time, 16 at once; the weights are the
    mean over all steps.

    Parameters
    ----------
    features : numpy.ndarray of int, shape (t, f)
        Buckets of each token's features.
    tags : numpy.ndarray of int, shape (t,)
        The true tag of each token, 0 to n_tags - 1.
    n_tags : int
        Number of tags.
    rng : numpy.random.Generator
        Orders the tokens.

    References
    ----------
    Collins (2002), Discriminative Training Methods for Hidden Markov Models, EMNLP.

    Examples
    --------
    >>> features = np.array([[1, 9], [2, 9], [1, 9], [2, 9]])
    >>> weights = fit_tagger(features, np.array([0, 1, 0, 1]), 2, np.random.default_rng(0))
    >>> predict_tags(weights, features).tolist()
    [0, 1, 0, 1]
    """
    now = np.zeros((N_BUCKETS, n_tags), dtype=np.float32)
    # The mean over all steps is the last weights less what came late, weighted by how late it came.
    late = np.zeros_like(now)
    flat_now, flat_late = now.ravel(), late.ravel()
    step, n_steps = 0, _EPOCHS * -(-len(tags) // _AT_ONCE)
    for _ in range(_EPOCHS):
        order = rng.permutation(len(tags))
        for start in range(0, len(order), _AT_ONCE):
            rows = order[start : start + _AT_ONCE]
            told = predict_tags(now, features[rows])
            wrong = np.flatnonzero(told != tags[rows])
            if len(wrong):
                at = features[rows[wrong]] * n_tags
                for tag, change in ((tags[rows[wrong]], 1.0), (told[wrong], -1.0)):
                    places = (at + tag[:, None]).ravel()
                    np.add.at(flat_now, places, np.float32(change))
                    np.add.at(flat_late, places, np.float32(change * step / n_steps))
            step += 1
    return now - late


def predict_tags(weights: Weights, features: Ints) -> Ints:
    """Return the tag of the highest score for each token, shape (t,); of equal ones the first."""
    out = np.empty(len(features), dtype=np.int64)
    for start in range(0, len(features), 4_096):
        part = features[start : start + 4_096]
        scores = weights[part[:, 0]].copy()
        for column in part.T[1:]:
            scores += weights[column]
        out[start : start + 4_096] = scores.argmax(axis=1)
    return out
