"""The latent normal behind a copula: its correlation matrix from scores, and draws given some parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SMALLEST_EIGENVALUE = 1e-4


@dataclass(frozen=True)
class LatentNormal:
    """A standard normal vector with the correlation matrix `correlation`, shape (d, d)."""

    correlation: Floats

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Return `n` draws, shape (n, d)."""
        root = np.linalg.cholesky(self.correlation)
        return np.asarray(rng.standard_normal((n, len(root))) @ root.T)

    def draw_given(self, known: list[int], values: Floats, rng: np.random.Generator) -> Floats:
        """Return one draw for each row of `values`, the parts `known` being as they are there.

        Parameters
        ----------
        known : list of int
            Positions of the parts that are given.
        values : numpy.ndarray
            What they are, shape (n, len(known)).
        rng : numpy.random.Generator
            Stream for the other parts.

        Notes
        -----
        A free draw moved by the regression on the gap between what it has and what it should have
        is a draw from the conditional normal (Matheron's rule; Hoffman and Ribak 1991).
        """
        drawn = self.draw(len(values), rng)
        if known:
            some = self.correlation[np.ix_(known, known)]
            weights = np.linalg.solve(some, self.correlation[known])
            drawn += (values - drawn[:, known]) @ weights
            drawn[:, known] = values
        return drawn

    def part(self, known: list[int]) -> LatentNormal:
        """Return the normal of these parts alone."""
        return LatentNormal(self.correlation[np.ix_(known, known)])


def correlation_of_scores(scores: Floats) -> Floats:
    """Return the latent correlation matrix that explains the scores, shape (d, d).

    A score is the mean of the latent normal in its value's cell. Of two such columns the covariance
    is, to first order, the latent correlation times both variances (exactly so when one of them is
    continuous: the polyserial case), so dividing by the variances undoes the loss through ties.
    Each entry then shrinks towards 0 by its own sampling error, and the nearest positive definite
    matrix is taken.

    Parameters
    ----------
    scores : numpy.ndarray
        Mean normal scores, shape (n, d); NaN where a value is missing.
    """
    present = (~np.isnan(scores)).astype(np.float64)
    filled = np.nan_to_num(scores)
    pairs = np.maximum(present.T @ present, 1.0)
    covariance = filled.T @ filled / pairs
    variances = np.diag(covariance)
    product = np.outer(variances, variances)
    # Constant columns have variance 0 and depend on nothing.
    ratio = np.divide(covariance, product, out=np.zeros_like(product), where=product > 1e-12)
    error = np.divide(1.0, pairs * product, out=np.ones_like(product), where=product > 1e-12)
    kept = 1.0 - np.divide(error, ratio**2, out=np.ones_like(ratio), where=ratio != 0)
    correlation = np.clip(ratio, -1.0, 1.0) * np.maximum(kept, 0.0)
    np.fill_diagonal(correlation, 1.0)
    return positive_definite(correlation)


def positive_definite(correlation: Floats) -> Floats:
    """Return a near correlation matrix without eigenvalues below 1e-4: clipped, diagonal back to 1.

    Examples
    --------
    >>> impossible = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    >>> bool(np.linalg.eigvalsh(positive_definite(impossible)).min() > 0)
    True
    """
    values, vectors = np.linalg.eigh(correlation)
    if values[0] >= SMALLEST_EIGENVALUE:
        return correlation
    mended = (vectors * np.maximum(values, SMALLEST_EIGENVALUE)) @ vectors.T
    scale = 1.0 / np.sqrt(np.diag(mended))
    mended = mended * np.outer(scale, scale)
    np.fill_diagonal(mended, 1.0)
    return np.asarray((mended + mended.T) / 2)
