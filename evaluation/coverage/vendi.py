"""Diversity of synthetic rows by the Vendi score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.features.encoder import Matrix
from twinset.core.findings import DecidingRows
from twinset.core.parameters import Ge, Margin
from twinset.core.stats.neighbors import squared_distances

from .._bootstrap_metric import ROW_KINDS, BootstrapMetric, Floats
from .._samples import MIN_SHOWN, draw_samples, row_encoder

_N_BLOCKS = 12  # the spread of fewer means is hardly known; more blocks cost time
_MIN_BLOCK_ROWS = 50  # in smaller blocks all rows look different
_SCALE_ROWS = 500  # train rows for the median distance: 250,000 pairs
_MAX_RATIO = 2.0  # of the scores: more than real diversity is no merit, and noise has no bound
_WIDTH = 0.5  # of the kernel, in median distances: a wider one takes clusters for one row
_MIN_EIGENVALUE = 1e-12  # a smaller one is rounding error, and p log p is 0 there


@dataclass(frozen=True, kw_only=True)
class Vendi(BootstrapMetric):
    """Vendi score of the synthetic rows as a share of that of the real rows.

    The score exp(-sum_i l_i log l_i), l being the eigenvalues of K / n for a similarity matrix K of n
    rows, is their effective number of different rows. K is a Gaussian kernel half as wide as the median
    distance of train rows. The score grows with n, so it is the mean over 12 blocks of rows, equally
    large in both sets; of few rows fewer blocks are formed, none below 50 rows. value = min(score of
    synthetic rows / score of real rows, 2): 1 is as diverse as real. More than 1 is no merit (noise is
    diverse), and other metrics show it.

    Parameters
    ----------
    block_rows : int
        Largest number of rows of a block, 50 or more.

    References
    ----------
    Friedman, Dieng (2023), The Vendi Score: A Diversity Evaluation Metric for Machine Learning, TMLR.
    """

    family = "coverage"
    title = "how many different rows in effect"
    interpretation = (
        "How many different rows the set holds in effect, counted by their similarity to each other. Far "
        "fewer than in as many real rows means that it repeats itself."
    )
    higher_is_better = True
    bounds = (0.0, _MAX_RATIO)
    kinds = ROW_KINDS
    # Shuffled columns are more diverse than linked ones: they are no worst case here.
    has_floor = False

    margin: Margin = 0.05
    block_rows: Annotated[int, Ge(_MIN_BLOCK_ROWS)] = 250

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the ratio of the scores, 0 to 2; facts hold both of them."""
        n = min(len(comparison.reference), len(comparison.synthetic), _N_BLOCKS * self.block_rows)
        if n < 2 * _MIN_BLOCK_ROWS:
            raise NotMeasurable(
                f"it needs at least {2 * _MIN_BLOCK_ROWS} rows in each set, there are "
                + (str(n) if n >= MIN_SHOWN else f"fewer than {MIN_SHOWN}")
            )
        # Drawn first, so that the synthetic rows do not move the scale.
        some = comparison.train.at_most(_SCALE_ROWS, rng)
        sets = draw_samples(comparison, n, rng)
        encoder = row_encoder(comparison)
        width = _WIDTH**2 * _median_squared(encoder.transform(some))
        n_blocks = min(_N_BLOCKS, n // _MIN_BLOCK_ROWS)
        size = n // n_blocks
        scores = np.empty((2, n_blocks))
        for i, part in enumerate(sets):
            rows = encoder.transform(part)[rng.permutation(n)]
            for k in range(n_blocks):
                block = rows[k * size : (k + 1) * size]
                scores[i, k] = vendi_score(gaussian_similarity(block, width))
        real, synthetic = scores.mean(axis=1)
        places = rng.integers(0, n_blocks, (2, self.replicates, n_blocks))
        real_drawn, synthetic_drawn = (
            own.mean() + _bootstrap_factor(n_blocks) * (own[drawn].mean(axis=1) - own.mean())
            for own, drawn in zip(scores, places)
        )
        facts = {
            "synthetic_score": float(synthetic),
            "real_score": float(real),
            "rows_in_block": size,
            "rows": n_blocks * size,
        }
        return Measurement(
            float(min(synthetic / real, _MAX_RATIO)),
            np.minimum(synthetic_drawn / np.maximum(real_drawn, 1.0), _MAX_RATIO),
            (DecidingRows(n, "rows looked at"),),
            facts=facts,
        )


def _bootstrap_factor(n_blocks: int) -> float:
    """Return by how much a bootstrap of so few blocks is too narrow.

    It lacks a degree of freedom, and the harness takes 1.96 for a quantile of Student's t.
    """
    from scipy.special import stdtrit

    reach = float(stdtrit(2 * (n_blocks - 1), 0.975)) / 1.96
    return reach * float(np.sqrt(n_blocks / (n_blocks - 1)))


def vendi_score(similarity: Floats) -> float:
    """Return the effective number of different rows, 1 to n.

    Examples
    --------
    >>> round(vendi_score(np.eye(3)), 6), round(vendi_score(np.ones((3, 3))), 6)
    (3.0, 1.0)
    """
    shares = np.linalg.eigvalsh(similarity / len(similarity))
    shares = shares[shares > _MIN_EIGENVALUE]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def gaussian_similarity(rows: Matrix, squared_width: float) -> Floats:
    """Return Gaussian similarities, shape (n, n): 1 for equal rows, exp(-1/2) one width apart."""
    parts = [np.exp(-block / (2 * squared_width)) for _, block in squared_distances(rows, rows)]
    whole = np.concatenate(parts)
    np.fill_diagonal(whole, 1.0)
    return np.asarray((whole + whole.T) / 2)


def _median_squared(rows: Matrix) -> float:
    """Return the median squared distance of two rows; 1 where that is 0."""
    found = [block.ravel() for _, block in squared_distances(rows, rows)]
    middle = float(np.median(np.concatenate(found))) if found else 0.0
    return middle if middle > 0 else 1.0
