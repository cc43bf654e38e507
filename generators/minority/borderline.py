"""`minority.borderline`: SMOTE from the rows of a class that stand near the others."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.contracts import FittedGenerator, Progress, silent
from twinset.core.data.conditions import rows_to_learn_from
from twinset.core.data.dataset import Dataset
from twinset.core.errors import FewRowsWarning, FitError
from twinset.core.parameters import Ge

from ._engine.borderline_rows import Test, find_rows_in_danger
from ._engine.engine import FittedSampler, RowMaker
from ._engine.matrices import Grid
from ._engine.streams import Positions
from .smote import Smote


@dataclass(frozen=True, kw_only=True)
class Borderline(Smote):
    """Borderline-SMOTE: SMOTE that starts from rows with many, but not only, neighbors of other classes.

    A row is in danger when half or more of its nearest neighbors among all rows, but not all of
    them, are of other classes. Rows are drawn between one of these and its neighbors of its own
    class, as `minority.smote` draws them: same distance, types, gaps and rounding. Where no row
    of a class is in danger, all its rows are started from, with a warning.

    It needs the other classes: fit it on the whole table with a label as target, and name the
    class when rows are drawn (`counts` with `where` in a recipe).

    Parameters
    ----------
    k_neighbors : int
        Neighbors of its own class to choose from, 1 or more; with fewer other rows, all of these,
        with a warning.
    m_neighbors : int
        Neighbors among all rows that decide whether a row is in danger, 1 or more.
    danger : {"exact", "sampled"}
        Search all rows of other classes, or those in the regions of space nearest to the row: as
        many as find 98 % of the neighbors of 64 rows for which all are searched, 1 % to 32 % of the
        rows. Where that is not enough, and where there are fewer than 20,000 others, all are.

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

    m_neighbors: Annotated[int, Ge(1)] = 10
    danger: Test = "exact"

    needs_others: ClassVar[bool] = True

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator for all classes of these rows; rows in danger are found later."""
        train = rows_to_learn_from(real, self.kinds, component="minority.borderline", min_rows=2)
        train = train.without_parents()
        target = train.schema.target
        if target is None or not target.has_levels:
            raise FitError(
                "minority.borderline needs the other classes and therefore a label",
                got="no target" if target is None else f"a target of kind {target.kind}",
                allowed="a target of kind category or boolean",
                todo="name the column under 'brief: target', or use minority.smote",
            )
        codes = train.codes(target.name)[0]
        if (codes == codes[0]).all():
            raise FitError(
                "minority.borderline needs the other classes and was given rows of one only",
                got=f"{len(train)} rows with one value of '{target.name}'",
                todo="give rows of the other classes, too, or use minority.smote",
            )

        def maker_of_class(grid: Grid, rows: Positions | None) -> RowMaker:
            maker = self._maker(grid, rows)
            class_rows, points = maker.class_rows, maker.neighbors.points
            own = np.unique(codes[class_rows.cells.origin])
            if len(own) > 1:  # labels of a single row each, drawn from among all rows
                return maker
            seeds = find_rows_in_danger(
                class_rows, points, train, codes != own[0], self.m_neighbors, self.danger
            )
            seeds = np.intersect1d(seeds, maker.seeds)
            if len(seeds):
                maker.seeds = seeds
            else:
                warnings.warn(
                    "no row of a class is in danger, so all its rows are started from, as in "
                    "minority.smote: the class is far from the others, or surrounded by them",
                    FewRowsWarning,
                    stacklevel=2,
                )
            return maker

        return FittedSampler(train, maker_of_class)
