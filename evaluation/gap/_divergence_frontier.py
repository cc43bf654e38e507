"""The divergence frontier of two laws over the same clusters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_MIXTURES = 25
_SCALE = 5.0


def frontier_area(p: Floats, q: Floats) -> Floats:
    """Return the area under the divergence frontier, shape (b,): 1 the same law, near 0 nothing shared.

    For mixtures r of both laws the points (exp(-5 KL(q, r)), exp(-5 KL(p, r))) trade rows that should
    not be there against rows that are lacking; the area under them is what MAUVE reports, there on the
    embeddings of a language model.

    Parameters
    ----------
    p, q : numpy.ndarray, shape (b, k)
        Shares of the clusters, each row sums to 1.

    References
    ----------
    Pillutla et al., "MAUVE: Measuring the Gap Between Neural Text and Human Text using Divergence
    Frontiers", NeurIPS 2021.

    Examples
    --------
    >>> p, q = np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.5, 0.5], [0.0, 1.0]])
    >>> frontier_area(p, q).round(3).tolist()
    [1.0, 0.004]
    """
    weights = np.linspace(0, 1, _MIXTURES + 2)[1:-1]
    mixed = weights[:, None, None] * p + (1 - weights[:, None, None]) * q
    x = np.exp(-_SCALE * _divergence(q, mixed))
    y = np.exp(-_SCALE * _divergence(p, mixed))
    ends = np.zeros((1, x.shape[1])), np.ones((1, x.shape[1]))
    # At one end nothing of q is unlike the mixture, at the other nothing of p.
    x, y = np.concatenate([ends[1], x, ends[0]]), np.concatenate([ends[0], y, ends[1]])
    area: Floats = np.abs(np.trapezoid(y, x, axis=0))
    return area


def _divergence(p: Floats, mixed: Floats) -> Floats:
    """Return the Kullback-Leibler divergence of each row of `p` from each mixture, in nats, (m, b)."""
    held = np.broadcast_to(p, mixed.shape)
    ratio = np.divide(held, mixed, out=np.ones_like(mixed), where=held > 0)
    return np.asarray((held * np.log(ratio)).sum(axis=2))
