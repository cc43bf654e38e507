"""Maximum mean discrepancy of synthetic and real rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement
from twinset.core.features.encoder import Matrix
from twinset.core.findings import DecidingRows, PermutationTest
from twinset.core.parameters import Ge, Margin
from twinset.core.stats.bootstrap import Groups
from twinset.core.stats.neighbors import squared_distances

from .._bootstrap_metric import Floats, SampledMetric
from .._samples import common_size, draw_samples, row_encoder

# Kernel lengths in median distances: from a fourth, which sees clusters, to four, which sees shifts.
_SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)
_SCALE_ROWS = 500  # train rows for the median distance: 125,000 pairs
_MIN_ROWS = 4  # the unbiased estimate needs two rows, a permutation test more
_BATCH = 50  # shuffles computed in one matrix product: of 10,000 rows, 4 MB of signs


@dataclass(frozen=True, kw_only=True)
class MeanEmbedding(SampledMetric):
    """Maximum mean discrepancy (MMD) of whole rows, images or texts.

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y) for synthetic x and real y, by the unbiased estimate
    over all pairs; value = sqrt(max(MMD^2, 0) / 2), in [0, 1], 0 = no difference found. The kernel k is
    a mixture of five rational quadratic kernels 1 / (1 + r^2 / l^2) with lengths l of a fourth to four
    times the median distance of two train rows, computed by random Fourier features, so that time and
    memory are linear in the rows. A permutation test gives a p-value: labels are shuffled.

    Parameters
    ----------
    n_frequencies : int
        Random frequencies of the kernel, 1 or more.
    permutations : int
        Shuffles of the permutation test, 1 or more.

    References
    ----------
    Gretton, Borgwardt, Rasch, Schoelkopf, Smola (2012), A Kernel Two-Sample Test, JMLR 13; Rahimi,
    Recht (2007), Random Features for Large-Scale Kernel Machines, NeurIPS; for images: Binkowski,
    Sutherland, Arbel, Gretton (2018), Demystifying MMD GANs, ICLR.
    """

    family = "gap"
    title = "whole rows, by a kernel test"
    interpretation = (
        "All columns at once, by the kernel two-sample test (MMD): 0 means that no difference between "
        "the two distributions was found. It says that they differ, not where."
    )
    sees_everything = True

    margin: Margin = 0.0075
    max_rows: Annotated[int, Ge(_MIN_ROWS)] = 10_000
    n_frequencies: Annotated[int, Ge(1)] = 500
    permutations: Annotated[int, Ge(1)] = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the discrepancy, 0 to 1; facts hold its square and the p-value."""
        n = common_size(comparison, self.max_rows, _MIN_ROWS)
        # Drawn first, so that the synthetic rows do not move the scale.
        some = comparison.train.at_most(_SCALE_ROWS, rng)
        sets = draw_samples(comparison, n, rng)
        encoder = row_encoder(comparison)
        scale = median_distance(encoder.transform(some))
        width = encoder.transform(sets[0].slice(0, 1)).shape[1]
        frequencies = draw_frequencies(width, self.n_frequencies, scale, rng)
        real, synthetic = (fourier_features(encoder.transform(s), frequencies) for s in sets)
        squared = discrepancy(synthetic.sum(axis=0), real.sum(axis=0), n)
        if comparison.value_only:
            return Measurement(float(_to_value(squared)))
        p = _p_value(synthetic, real, squared, self.permutations, rng)
        drawn = _replicates(synthetic, real, self.replicates, rng)
        # A bootstrap adds the scatter of a sample a second time: its mean is brought back.
        return Measurement(
            float(_to_value(squared)),
            _to_value(drawn - drawn.mean() + squared),
            (PermutationTest(p), DecidingRows(n, "rows looked at")),
            facts={"mmd_squared": squared, "p_value": p, "rows": n, "max_rows": self.max_rows},
        )


def discrepancy(sum_x: Floats, sum_y: Floats, n: int) -> float:
    """Return the unbiased squared discrepancy of two samples of `n` rows; it may be below 0.

    Examples
    --------
    >>> discrepancy(np.array([2.0, 0.0]), np.array([0.0, 2.0]), 2)
    2.0
    """
    # Every row's features have length 1, so that its kernel with itself is known and subtracted.
    inside = (sum_x @ sum_x - n + sum_y @ sum_y - n) / (n * (n - 1))
    return float(inside - 2 * (sum_x @ sum_y) / n**2)


def draw_frequencies(
    d: int, n_frequencies: int, scale: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Return frequencies of the mixture of rational quadratic kernels, shape (d, n_frequencies)."""
    # The kernel 1 / (1 + r^2 / l^2) is a mean of Gaussian kernels exp(-u r^2 / l^2), u exponential.
    lengths = scale * np.resize(np.array(_SCALES), n_frequencies)
    widths = np.sqrt(2 * rng.standard_exponential(n_frequencies)) / lengths
    return (rng.standard_normal((d, n_frequencies)) * widths).astype(np.float32)


def fourier_features(rows: Matrix, frequencies: npt.NDArray[np.float32]) -> Matrix:
    """Return features whose products approximate the kernel, shape (n, 2 f), each row of length 1."""
    phase = rows.astype(np.float32) @ frequencies
    waves = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
    return np.asarray(waves / np.float32(np.sqrt(frequencies.shape[1])))


def median_distance(rows: Matrix) -> float:
    """Return the median distance of two different rows; 1 where that is 0."""
    found = [
        block[np.arange(block.shape[1]) > np.arange(part.start, part.stop)[:, None]]
        for part, block in squared_distances(rows, rows)
    ]
    squared = np.concatenate(found) if found else np.zeros(0)
    middle = float(np.sqrt(np.median(squared))) if len(squared) else 0.0
    return middle if middle > 0 else 1.0


def _p_value(
    synthetic: Matrix, real: Matrix, squared: float, shuffles: int, rng: np.random.Generator
) -> float:
    """Return the share of label shuffles that reach `squared`, itself counted."""
    n, reached = len(synthetic), 0
    total = synthetic.sum(axis=0, dtype=np.float64) + real.sum(axis=0, dtype=np.float64)
    for start in range(0, shuffles, _BATCH):
        signs = np.ones((min(_BATCH, shuffles - start), 2 * n), dtype=np.float32)
        signs[:, n:] = -1
        signs = rng.permuted(signs, axis=1)
        for gap in (signs[:, :n] @ synthetic + signs[:, n:] @ real).astype(np.float64):
            reached += discrepancy((total + gap) / 2, (total - gap) / 2, n) >= squared
    return float((1 + reached) / (1 + shuffles))


def _replicates(synthetic: Matrix, real: Matrix, b: int, rng: np.random.Generator) -> Floats:
    """Return bootstrap replicates of the squared discrepancy, shape (b,)."""
    means = []
    for features in (real, synthetic):
        groups = Groups.assign(len(features), b, rng)
        order = np.argsort(groups.group, kind="stable")
        starts = np.searchsorted(groups.group[order], np.arange(groups.size))
        sums = np.add.reduceat(features[order].astype(np.float64), starts, axis=0)
        means.append(groups.draws @ sums / (groups.draws @ groups.sizes)[:, None])
    return np.asarray(((means[0] - means[1]) ** 2).sum(axis=1))


def _to_value(squared: float | Floats) -> Floats:
    return np.sqrt(np.clip(squared, 0.0, 2.0) / 2.0)
