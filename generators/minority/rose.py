"""`minority.rose`: a smoothed bootstrap of one class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import rows_to_learn_from
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.parameters import Interval

from ._engine.class_points import ClassPoints
from ._engine.engine import FittedSampler, NewRows, RowMaker
from ._engine.streams import NOISE, PARENTS, Floats, RandomDraws

_TIED_FRACTION = (
    0.05  # of the rows: so common a value (0 for most amounts) has a meaning that noise loses
)


@dataclass(frozen=True, kw_only=True)
class Rose(Generator):
    """ROSE, the smoothed bootstrap: real rows drawn again, their numbers moved by a little noise.

    The noise of a number is normal. Its standard deviation follows Silverman's rule for a density in d
    dimensions: h = shrinkage * (4 / ((d + 2) n)) ** (1 / (d + 4)) times that of the class. What would
    leave the range of the class is reflected into it. Labels and gaps are those of the real row, and a
    value that 5 % of the rows or more share (0 where most amounts are 0) stays as it is. Integers,
    decimals and whole days are restored by rounding up or down at random, so that means stay.

    Fit it on the rare class alone: `where` of the step names the rows. Fitted on a whole table with
    a label as target it draws each class from its own rows, at its own share. The rows do not depend
    on the order of the real ones, and the first n of a larger request are those of a request for n.

    Parameters
    ----------
    shrinkage : float
        Factor of the width of the noise, above 0: 1 suits a class with one cluster, less one with several.

    References
    ----------
    Menardi and Torelli, "Training and assessing classification rules with imbalanced data", Data
    Mining and Knowledge Discovery 28, 2014. Silverman, "Density Estimation", 1986.

    Examples
    --------
    >>> import pyarrow as pa
    >>> frauds = pa.table({"amount": [10.0, 10.5, 11.25, 14.0], "by": ["web", "web", "card", "card"]})
    >>> fitted = Rose(shrinkage=0.5).fit(Dataset.from_arrow(frauds), np.random.default_rng(0))
    >>> rows, parents = fitted.draw(400, np.random.default_rng(1))
    >>> bool(np.all(rows.codes("by")[0] == np.array([1, 1, 0, 0])[parents[:, 0]]))
    True
    """

    shrinkage: Annotated[float, Interval(gt=0, lt=np.inf)] = 1.0

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    note: ClassVar[str] = "real records with noise: treat as the source data"

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator for the class of these rows; needs 2."""
        train = rows_to_learn_from(real, self.kinds, component="minority.rose", min_rows=2)
        return FittedSampler(
            train.without_parents(),
            lambda grid, rows: RoseMaker(ClassPoints(grid, rows), self.shrinkage),
        )


class RoseMaker(RowMaker):
    """Draws real rows again, with normal noise in their numbers."""

    def __init__(self, class_rows: ClassPoints, shrinkage: float) -> None:
        self.class_rows = class_rows
        cells, scale = class_rows.cells, class_rows.scale
        n, d = int(cells.counts.sum()), len(scale.columns)
        spread = np.zeros(cells.numbers.shape[1])
        spread[scale.columns] = scale.spread
        self.width = shrinkage * (4 / ((d + 2) * n)) ** (1 / (d + 4)) * spread
        self.is_free = np.empty(cells.numbers.shape, dtype=bool)
        for i, values in enumerate(cells.numbers.T):
            self.is_free[:, i] = _is_free(values, cells.counts)
        self.up_to = np.cumsum(cells.counts)

    def make(self, draws: RandomDraws) -> NewRows:
        """Return one row for each of `draws`."""
        cells, low, high = self.class_rows.cells, self.class_rows.low, self.class_rows.high
        place = draws.uniform(PARENTS, 1)[:, 0] * self.up_to[-1]
        seeds = np.searchsorted(self.up_to, place, side="right")
        numbers = draws.normal(NOISE, len(self.width))
        numbers *= self.width
        numbers *= self.is_free[seeds]
        numbers += cells.numbers[seeds]
        numbers = np.where(numbers > high, 2 * high - numbers, numbers)
        numbers = np.where(numbers < low, 2 * low - numbers, numbers)
        return NewRows(numbers, cells.codes[seeds], np.column_stack([seeds, seeds]))


def _is_free(values: Floats, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which values fewer than 5 % of the rows share, or only one row has."""
    _, place = np.unique(values, return_inverse=True)
    rows = np.bincount(place, weights=counts)
    return np.asarray((rows < _TIED_FRACTION * counts.sum()) | (rows == 1))[place]
