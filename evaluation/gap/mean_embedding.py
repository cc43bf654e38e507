"""How far the mean of all rows lies from the real one in the feature space of a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.encoder import Matrix, shared_encoder
from twinset.core.findings import DecidingRows, PermutationTest
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.stats.bootstrap import Groups
from twinset.core.stats.neighbors import squared_distances

Floats = npt.NDArray[np.float64]

_SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)
_SCALE_ROWS = 500
_LEAST_ROWS = 4
_AT_A_TIME = 50


@dataclass(frozen=True, kw_only=True)
class MeanEmbedding(Metric):
    """Compares whole rows, images or texts by a kernel two-sample test.

    The maximum mean discrepancy of the features under a mixture of five rational quadratic kernels,
    whose lengths are a quarter to four times the usual distance of two train rows. The kernel is that
    of random Fourier features, which makes the unbiased estimate over all pairs of rows linear in
    time and memory. The value is its square root, divided by the root of 2, the most it can be: 0
    (alike, also where chance takes the estimate below 0) to 1. Details hold a p-value: labels are
    shuffled, all else stays.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    max_rows : int
        Rows of each side that are looked at, 4 or more.
    n_frequencies : int
        Random frequencies of the kernel, 1 or more.
    permutations : int
        Shuffles behind the p-value, 1 or more.
    replicates : int
        Bootstrap replicates.

    References
    ----------
    Gretton, Borgwardt, Rasch, Schoelkopf, Smola (2012), A Kernel Two-Sample Test, JMLR 13; Rahimi,
    Recht (2007), Random Features for Large-Scale Kernel Machines, NeurIPS; for images: Binkowski,
    Sutherland, Arbel, Gretton (2018), Demystifying MMD GANs, ICLR.
    """

    family: ClassVar[MetricFamily] = "gap"
    title: ClassVar[str] = "whole rows, by a kernel test"
    interpretation: ClassVar[str] = (
        "All columns at once, by the kernel two-sample test (MMD): 0 means that no difference between "
        "the two distributions was found. It says that they differ, not where."
    )
    sees_everything: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "text", "boxes", "spans"}

    margin: Margin = 0.0075
    max_rows: Annotated[int, Ge(_LEAST_ROWS)] = 10_000
    n_frequencies: Annotated[int, Ge(1)] = 500
    permutations: Annotated[int, Ge(1)] = 200
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the discrepancy, 0 to 1; details hold its square and the p-value."""
        n = min(len(comparison.reference), len(comparison.synthetic), self.max_rows)
        if n < _LEAST_ROWS:
            raise NotMeasurable(f"it needs at least {_LEAST_ROWS} rows of each side")
        # Drawn first, so that the synthetic rows do not move the scale.
        usual = comparison.train.at_most(_SCALE_ROWS, rng)
        reference = comparison.reference.at_most(n, rng)
        synthetic = comparison.synthetic.at_most(n, rng)
        names = reference.schema.names
        encoder = shared_encoder(
            comparison.train, names, comparison.cache, comparison.text_embeddings
        )
        scale = usual_distance(encoder.transform(usual))
        width = encoder.transform(reference.slice(0, 1)).shape[1]
        frequencies = draw_frequencies(width, self.n_frequencies, scale, rng)
        real = fourier_features(encoder.transform(reference), frequencies)
        made = fourier_features(encoder.transform(synthetic), frequencies)
        squared = discrepancy(made.sum(axis=0), real.sum(axis=0), n)
        if comparison.value_only:
            return Measurement(float(_bounded(squared)))
        p = _p_value(made, real, squared, self.permutations, rng)
        facts = {
            "mmd_squared": squared,
            "p_value": p,
            "rows": n,
            "max_rows": self.max_rows,
        }
        drawn = _replicates(made, real, self.replicates, rng)
        # A bootstrap adds the scatter of a sample a second time: its mean is brought back.
        return Measurement(
            float(_bounded(squared)),
            _bounded(drawn - drawn.mean() + squared),
            (PermutationTest(p), DecidingRows(n, "rows looked at")),
            facts=facts,
        )


def discrepancy(sum_x: Floats, sum_y: Floats, n: int) -> float:
    """Return the unbiased squared discrepancy of two samples of `n` rows; it may be below 0.

    Every row's features have length 1, so that its kernel with itself is known and taken off.

    Parameters
    ----------
    sum_x, sum_y : numpy.ndarray, shape (d,)
        Summed features of either sample.
    n : int
        Rows of each, 2 or more.

    Examples
    --------
    >>> discrepancy(np.array([2.0, 0.0]), np.array([0.0, 2.0]), 2)
    2.0
    """
    inside = (sum_x @ sum_x - n + sum_y @ sum_y - n) / (n * (n - 1))
    return float(inside - 2 * (sum_x @ sum_y) / n**2)


def draw_frequencies(
    d: int, n_frequencies: int, scale: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Return frequencies of the mixture of rational quadratic kernels, shape (d, n_frequencies).

    The kernel 1 / (1 + r^2 / l^2) is a mean of Gaussian kernels exp(-u r^2 / l^2), u exponential.

    Parameters
    ----------
    d : int
        Number of features.
    n_frequencies : int
        Number of frequencies.
    scale : float
        The usual distance of two rows.
    rng : numpy.random.Generator
        The stream.
    """
    lengths = scale * np.resize(np.array(_SCALES), n_frequencies)
    widths = np.sqrt(2 * rng.standard_exponential(n_frequencies)) / lengths
    return (rng.standard_normal((d, n_frequencies)) * widths).astype(np.float32)


def fourier_features(rows: Matrix, frequencies: npt.NDArray[np.float32]) -> Matrix:
    """Return features whose products are about the kernel, shape (n, 2 f), each row of length 1.

    Examples
    --------
    >>> fourier_features(np.zeros((1, 3), np.float32), np.ones((3, 2), np.float32)).round(2).tolist()
    [[0.7099999785423279, 0.7099999785423279, 0.0, 0.0]]
    """
    phase = rows.astype(np.float32) @ frequencies
    made = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
    return np.asarray(made / np.float32(np.sqrt(frequencies.shape[1])))


def usual_distance(rows: Matrix) -> float:
    """Return the median distance of two different rows; 1 where that is 0.

    Examples
    --------
    >>> usual_distance(np.array([[0.0], [1.0], [3.0]]))
    2.0
    """
    found = [
        block[np.arange(block.shape[1]) > np.arange(part.start, part.stop)[:, None]]
        for part, block in squared_distances(rows, rows)
    ]
    apart = np.concatenate(found) if found else np.zeros(0)
    middle = float(np.sqrt(np.median(apart))) if len(apart) else 0.0
    return middle if middle > 0 else 1.0


def _p_value(
    made: Matrix, real: Matrix, squared: float, shuffles: int, rng: np.random.Generator
) -> float:
    """Return the share of label shuffles that come as far as `squared`, itself counted."""
    n, reached = len(made), 0
    total = made.sum(axis=0, dtype=np.float64) + real.sum(axis=0, dtype=np.float64)
    for start in range(0, shuffles, _AT_A_TIME):
        signs = np.ones((min(_AT_A_TIME, shuffles - start), 2 * n), dtype=np.float32)
        signs[:, n:] = -1
        signs = rng.permuted(signs, axis=1)
        for apart in (signs[:, :n] @ made + signs[:, n:] @ real).astype(np.float64):
            reached += discrepancy((total + apart) / 2, (total - apart) / 2, n) >= squared
    return float((1 + reached) / (1 + shuffles))


def _replicates(made: Matrix, real: Matrix, b: int, rng: np.random.Generator) -> Floats:
    """Return bootstrap replicates of the squared discrepancy, shape (b,)."""
    n = len(made)
    of_real, of_made = Groups.assign(n, b, rng), Groups.assign(n, b, rng)
    means = []
    for features, groups in ((made, of_made), (real, of_real)):
        order = np.argsort(groups.group, kind="stable")
        starts = np.searchsorted(groups.group[order], np.arange(groups.size))
        sums = np.add.reduceat(features[order].astype(np.float64), starts, axis=0)
        sizes = groups.draws @ np.bincount(groups.group, minlength=groups.size)
        means.append(groups.draws @ sums / sizes[:, None])
    return np.asarray(((means[0] - means[1]) ** 2).sum(axis=1))


def _bounded(squared: float | Floats) -> Floats:
    return np.sqrt(np.clip(squared, 0.0, 2.0) / 2.0)
