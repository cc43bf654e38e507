"""`minority.smote`: SMOTE for numbers, labels and both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import rows_to_learn_from
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.parameters import Ge

from ._engine.class_points import ClassPoints
from ._engine.engine import FittedSampler
from ._engine.matrices import Grid
from ._engine.pairs import Interpolation, Labels, PairRule
from ._engine.streams import Positions


@dataclass(frozen=True, kw_only=True)
class Smote(Generator):
    """SMOTE: new rows on the line between a real row and one of its nearest real neighbours.

    x_new = x_i + u (x_j - x_i), u uniform in [0, 1), x_j one of the k nearest neighbors of x_i. It takes
    numbers (SMOTE), labels (SMOTEN) and both (SMOTENC) alike; no label becomes a column of its own. Fit
    it on the rare class alone: `where` of the step names the rows. Fitted on a whole table with a label
    as target it draws each class from its own rows, at its own share.

    Distances are taken on numbers divided by their standard deviation among these rows; a label
    that differs, or a number that one of two rows lacks, counts as much as one standard deviation.
    Datetimes are numbers. Integers, decimals and whole days are restored by rounding up or down at
    random, so that means stay. A new row lacks the numbers that the nearer of its two real rows
    lacks. Columns that hold one value pass through. Equal rows count once, since a row between two
    of them would be a copy; a new row that equals a real one is drawn again.

    The rows do not depend on the order of the real ones, and the first n of a larger request are
    those of a request for n.

    Parameters
    ----------
    k_neighbors : int
        Neighbors to choose from, 1 or more; with fewer other rows, all of these, with a warning.
    labels : {"vote", "parent"}
        Labels of a new row: the most frequent one among the neighbors, column by column, or all those of
        the nearer of its two real rows, which keeps labels together that go together.
    across_entities : bool
        Interpolate rows of different entities where a column has the role group, e.g. the card. By
        default only rows of one entity are, and rows that are alone in theirs start no new row.
    time_window : str
        Longest time between two rows that are interpolated, e.g. "7d", where a column has the role
        time; empty for any.

    References
    ----------
    Chawla, Bowyer, Hall and Kegelmeyer, "SMOTE: Synthetic Minority Over-sampling Technique",
    J. Artif. Intell. Res. 16, 2002. Distance: Wilson and Martinez, "Improved Heterogeneous Distance
    Functions", J. Artif. Intell. Res. 6, 1997.

    Examples
    --------
    >>> import pyarrow as pa
    >>> frauds = pa.table({"amount": [9.99, 12.5, 11.25], "fraud": [1, 1, 1]})
    >>> fitted = Smote(k_neighbors=2).fit(Dataset.from_arrow(frauds), np.random.default_rng(0))
    >>> rows = fitted.sample(100, np.random.default_rng(1))
    >>> float(rows.values("amount").min()) >= 9.99, rows.codes("fraud")[1]
    (True, ('1',))
    """

    k_neighbors: Annotated[int, Ge(1)] = 5
    labels: Labels = "vote"
    across_entities: bool = False
    time_window: str = ""

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    note: ClassVar[str] = "interpolates between real records: treat as the source data"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.pair_rule()

    def pair_rule(self) -> PairRule:
        """Return what two rows must share to be interpolated."""
        return PairRule(self.across_entities, self.time_window)

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator for the class of these rows; needs 2. Neighbors are found later."""
        train = rows_to_learn_from(real, self.kinds, component="minority.smote", min_rows=2)
        return FittedSampler(train.without_parents(), self._maker)

    def _maker(self, grid: Grid, rows: Positions | None) -> Interpolation:
        class_rows = ClassPoints(grid, rows)
        return Interpolation(class_rows, self.k_neighbors, self.labels, self.pair_rule())
