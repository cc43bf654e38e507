"""`minority.borderline`: SMOTE from the rows of a class that stand near the others."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import rows_to_learn_from
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.errors import FewRowsWarning, FitError
from twinset.core.parameters import Ge

from ._engine.borderline_rows import Test, in_danger
from ._engine.class_points import ClassPoints
from ._engine.engine import FittedSampler, Maker
from ._engine.matrices import Grid
from ._engine.pairs import Labels, PairRule, Segments
from ._engine.streams import Positions


@dataclass(frozen=True, kw_only=True)
class Borderline(Generator):
    """Borderline-SMOTE: SMOTE that starts from the rows that other classes press, but do not bury.

    A row stands in danger when half or more of its nearest neighbours among all rows, but not all of
    them, are of other classes. Rows are made between one of these and its neighbours of its own
    class, as `minority.smote` makes them: same distance, types, gaps, rounding and promises. Where no row
    of a class stands in danger, all its rows are started from, with a warning.

    It needs the other classes: learn it on the whole table with a label as target, and name the
    class when rows are drawn (`counts` with `where` in a recipe).

    Parameters
    ----------
    k_neighbors : int
        Neighbours of its own class to choose from, 1 or more; with fewer other rows, all of these,
        with a warning.
    m_neighbors : int
        Neighbours among all rows that tell whether a row stands in danger, 1 or more.
    danger : {"exact", "sampled"}
        Look at all rows of other classes, or at those in the regions of space nearest to the row: as
        many as find 98 % of the neighbours of 64 rows for which all are looked at, 1 % to 32 % of the
        rows. Where that is not enough, and where there are fewer than 20,000 others, all are.
    labels : {"vote", "parent"}
        Labels of a new row: the commonest among the neighbours, column by column, or all those of
        the nearer of its two real rows, which keeps labels together that go together.
    across_entities : bool
        Whether rows of different entities may be interpolated where a column has the role group, e.g.
        the card; else only rows of one entity are, and rows that are alone in theirs start none.
    time_window : str
        Longest time between two rows that are interpolated, e.g. "7d", where a column has the role
        time; empty for any.

    References
    ----------
    Han, Wang and Mao, "Borderline-SMOTE: A New Over-Sampling Method in Imbalanced Data Sets
    Learning", ICIC 2005 (its first variant).

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.where import Where
    >>> table = pa.table({"x": [0.5, 1.5, 2.25, 3.0, 3.5, 9.5], "y": list("aaabab")})
    >>> real = Dataset.from_arrow(table)
    >>> real = real.with_schema(real.schema.with_target("y"))
    >>> fitted = Borderline(k_neighbors=1, m_neighbors=2).fit(real, np.random.default_rng(0))
    >>> rows, parents = fitted.draw(4, np.random.default_rng(1), Where({"y": "b"}))
    >>> sorted(set(parents.ravel().tolist()))
    [3, 5]
    """

    k_neighbors: Annotated[int, Ge(1)] = 5
    m_neighbors: Annotated[int, Ge(1)] = 10
    danger: Test = "exact"
    labels: Labels = "vote"
    across_entities: bool = False
    time_window: str = ""

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    needs_others: ClassVar[bool] = True
    note: ClassVar[str] = "interpolates between real records: treat as the source data"

    def __post_init__(self) -> None:
        super().__post_init__()
        PairRule(self.across_entities, self.time_window)

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator for all classes of these rows; who stands in danger is found later."""
        train = rows_to_learn_from(real, self.kinds, component="minority.borderline", least=2)
        train = train.without_parents()
        bond = PairRule(self.across_entities, self.time_window)
        target = train.schema.target
        if target is None or not target.has_levels:
            raise FitError(
                "minority.borderline looks at the other classes and needs a label",
                got="no target" if target is None else f"a target of kind {target.kind}",
                allowed="a target of kind category or boolean",
                todo="name the column under 'brief: target', or use minority.smote",
            )
        codes = train.codes(target.name)[0]
        if (codes == codes[0]).all():
            raise FitError(
                "minority.borderline looks at the other classes and was given rows of one only",
                got=f"{len(train)} rows with one value of '{target.name}'",
                todo="give rows of the other classes, too, or use minority.smote",
            )

        def maker(grid: Grid, rows: Positions | None) -> Maker:
            class_rows = ClassPoints(grid, rows)
            own = np.unique(codes[class_rows.cells.origin])
            segments = Segments(class_rows, self.k_neighbors, self.labels, bond)
            if len(own) > 1:  # labels of a single row each, which take turns among all rows
                return segments
            is_other = codes != own[0]
            points = segments.neighbours.points
            seeds = in_danger(class_rows, points, train, is_other, self.m_neighbors, self.danger)
            seeds = np.intersect1d(seeds, segments.seeds)
            if len(seeds):
                segments.seeds = seeds
            else:
                warnings.warn(_NOBODY, FewRowsWarning, stacklevel=2)
            return segments

        return FittedSampler(train, maker)


_NOBODY = (
    "no row of a class stands in danger, so all its rows are started from, as in minority.smote: "
    "the class lies apart from the others, or is buried among them"
)
