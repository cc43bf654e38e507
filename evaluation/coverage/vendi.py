"""How many different rows there are in effect, beside the real set's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.encoder import Matrix, shared_encoder
from twinset.core.findings import DecidingRows
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.stats.neighbors import squared_distances

Floats = npt.NDArray[np.float64]

_BLOCK_ROWS = 250
_BLOCKS = 12
_LEAST_BLOCK_ROWS = 50
_SCALE_ROWS = 500
_FEWEST_TOLD = 11
_MOST = 2.0
_WIDTH = 0.5


@dataclass(frozen=True, kw_only=True)
class Vendi(Metric):
    """Measures diversity: the Vendi score of the synthetic rows as a part of the real rows' one.

    The score of a set is the effective number of different rows in it: the exponential of the entropy
    of its similarity matrix, here of Gaussian kernels half as wide as the usual distance of train rows. It
    is the mean over 12 blocks of rows, equally large on both sides, because it grows with size; of
    few rows fewer blocks are made, none below 50 rows, in which all rows look different. The
    value is the ratio of the two scores, cut off at 2: 1 is as diverse as real, less is less. More
    than 1 is no merit (noise is diverse), and other metrics show it.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    block_rows : int
        Most rows of a block, 50 or more.
    replicates : int
        Bootstrap replicates; blocks are drawn.

    References
    ----------
    Friedman, Dieng (2023), The Vendi Score: A Diversity Evaluation Metric for Machine Learning, TMLR.
    """

    family: ClassVar[MetricFamily] = "coverage"
    title: ClassVar[str] = "how many different rows in effect"
    interpretation: ClassVar[str] = (
        "How many different rows the set holds in effect, counted by their similarity to each other. Far "
        "fewer than in as many real rows means that it repeats itself."
    )
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, _MOST)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "text", "boxes", "spans"}
    # Shuffled columns are more diverse than linked ones: they are no worst case here.
    has_floor: ClassVar[bool] = False

    margin: Margin = 0.05
    block_rows: Annotated[int, Ge(_LEAST_BLOCK_ROWS)] = _BLOCK_ROWS
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the ratio of the scores, 0 to 2; details hold both of them."""
        n = min(len(comparison.reference), len(comparison.synthetic), _BLOCKS * self.block_rows)
        if n < 2 * _LEAST_BLOCK_ROWS:
            raise NotMeasurable(
                f"it needs at least {2 * _LEAST_BLOCK_ROWS} rows of each side, there are "
                + (str(n) if n >= _FEWEST_TOLD else f"fewer than {_FEWEST_TOLD}")
            )
        # Drawn first, so that the synthetic rows do not move the scale.
        usual = comparison.train.at_most(_SCALE_ROWS, rng)
        reference = comparison.reference.at_most(n, rng)
        synthetic = comparison.synthetic.at_most(n, rng)
        names = reference.schema.names
        encoder = shared_encoder(
            comparison.train, names, comparison.cache, comparison.text_embeddings
        )
        width = _WIDTH**2 * _usual_squared(encoder.transform(usual))
        n_blocks = min(_BLOCKS, n // _LEAST_BLOCK_ROWS)
        size = n // n_blocks
        scores = np.empty((2, n_blocks))
        for i, part in enumerate((reference, synthetic)):
            rows = encoder.transform(part)[rng.permutation(n)]
            for k in range(n_blocks):
                block = rows[k * size : (k + 1) * size]
                scores[i, k] = vendi_score(gaussian_similarity(block, width))
        real, made = scores
        drawn = rng.integers(0, n_blocks, (2, self.replicates, n_blocks))
        made_drawn, real_drawn = (
            side.mean() + _wider(n_blocks) * (side[places].mean(axis=1) - side.mean())
            for side, places in ((made, drawn[1]), (real, drawn[0]))
        )
        replicates = made_drawn / np.maximum(real_drawn, 1.0)
        facts = {
            "synthetic_score": float(made.mean()),
            "real_score": float(real.mean()),
            "rows_in_block": size,
            "rows": n_blocks * size,
        }
        value = float(min(made.mean() / real.mean(), _MOST))
        return Measurement(
            value, np.minimum(replicates, _MOST), (DecidingRows(n, "rows looked at"),), facts=facts
        )


def _wider(n_blocks: int) -> float:
    """Return by how much a bootstrap of so few blocks is too narrow.

    It lacks the one degree of freedom that the mean takes, and the frame reads its spread as one that
    is known, where it is estimated: 1.96 stands in for a quantile of Student's t.

    Examples
    --------
    >>> round(_wider(12), 3), round(_wider(2), 2)
    (1.105, 3.1)
    """
    from scipy.special import stdtrit

    reach = float(stdtrit(2 * (n_blocks - 1), 0.975)) / 1.96
    return reach * float(np.sqrt(n_blocks / (n_blocks - 1)))


def vendi_score(similarity: Floats) -> float:
    """Return the effective number of different rows, 1 to n.

    Parameters
    ----------
    similarity : numpy.ndarray, shape (n, n)
        A positive semidefinite matrix with ones on its diagonal.

    Examples
    --------
    >>> round(vendi_score(np.eye(3)), 6), round(vendi_score(np.ones((3, 3))), 6)
    (3.0, 1.0)
    """
    shares = np.linalg.eigvalsh(similarity / len(similarity))
    shares = shares[shares > 1e-12]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def gaussian_similarity(rows: Matrix, squared_width: float) -> Floats:
    """Return Gaussian similarities, shape (n, n): 1 for equal rows, exp(-1/2) one width apart.

    Examples
    --------
    >>> gaussian_similarity(np.array([[0.0], [1.0]]), 1.0).round(3).tolist()
    [[1.0, 0.607], [0.607, 1.0]]
    """
    parts = [np.exp(-block / (2 * squared_width)) for _, block in squared_distances(rows, rows)]
    whole = np.concatenate(parts)
    np.fill_diagonal(whole, 1.0)
    return np.asarray((whole + whole.T) / 2)


def _usual_squared(rows: Matrix) -> float:
    """Return the median squared distance of two rows; 1 where that is 0."""
    found = [block.ravel() for _, block in squared_distances(rows, rows)]
    middle = float(np.median(np.concatenate(found))) if found else 0.0
    return middle if middle > 0 else 1.0
