"""`minority.trees`: a chain of trees, grown with the other classes, with values of the own rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import rows_to_learn_from
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.data.where import Where
from twinset.core.parameters import Ge
from twinset.core.seeding import draw_seed, rng_for

from ..tabular.trees import Trees as Chains
from ._engine.per_class import FittedByLabel, Rows

_MAX_REDRAWS = (
    8  # of values outside the range of the label: few are, so later rounds are rarely needed
)


@dataclass(frozen=True, kw_only=True)
class Trees(Generator):
    """Chain of trees for a rare class: splits from all classes, values from its own rows.

    As `tabular.trees`, with two differences. The trees of a label are grown on its rows and on `others`
    as many of the other labels, so both weigh alike: what holds in every class is estimated from more
    rows than the rare class has. And a value is always one of a row of the label itself: where a
    leaf has none of these, the nearest branch that has one gives it.

    Fit it on the whole table with a label as target and name the class when rows are drawn;
    fitted on one class alone it is `tabular.trees` of these rows.

    Parameters
    ----------
    others : float
        Rows of other labels that the trees of a label are grown on, per row of its own; 0 or more.
    min_leaf, min_leaf_labels : int
        As in `tabular.trees`.
    guard_copies : bool
        Draw exact copies of rows that one individual has again, as in `tabular.trees`. Off by default:
        where a label has few rows in few columns hardly anything else can be drawn, and rows with
        missing values, which have less to differ in, would be lost.

    References
    ----------
    Reiter, "Using CART to generate partially synthetic public use microdata", J. Official Statistics
    21, 2005. Chen, Liaw and Breiman, "Using random forest to learn imbalanced data", 2004.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.where import Where
    >>> x = np.random.default_rng(0).normal(size=400).round(3)
    >>> table = pa.table({"x": x, "fraud": np.where(x > 1.5, "yes", "no")})
    >>> real = Dataset.from_arrow(table)
    >>> real = real.with_schema(real.schema.with_target("fraud"))
    >>> fitted = Trees().fit(real, np.random.default_rng(1))
    >>> rows = fitted.sample(100, np.random.default_rng(2), Where({"fraud": "yes"}))
    >>> bool(rows.values("x").min() > 1.4)
    True
    """

    others: Annotated[float, Ge(0)] = 1.0
    min_leaf: int = 0
    min_leaf_labels: int = 40
    guard_copies: bool = False

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    chunk_rows: ClassVar[int] = 32_768
    needs_others: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._chains()

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator; the chain of a label (2 rows or more) is grown when it is drawn."""
        train = rows_to_learn_from(
            real, self.kinds, component="minority.trees", min_rows=2
        ).without_reserved()
        seed = draw_seed(rng)

        def fit_label(number: int, rows: Rows) -> FittedGenerator:
            return self._fit_label(train, rows, rng_for(seed, f"label-{number}"), progress)

        return FittedByLabel(train, fit_label, "minority.trees")

    def _fit_label(
        self, train: Dataset, rows: Rows, rng: np.random.Generator, progress: Progress
    ) -> FittedGenerator:
        others = np.setdiff1d(np.arange(len(train)), rows)
        n_others = min(len(others), int(self.others * len(rows)))
        others = rng.choice(others, n_others, replace=False)
        both = np.sort(np.concatenate([rows, others]))
        guard_copies = self.guard_copies and not n_others
        fitted = self._chains(guard_copies).fit(train.take(both), rng, progress)
        if not n_others:
            return fitted
        own = fitted.with_donors_in(np.isin(both, rows), rng, guard_copies=self.guard_copies)
        return _InsideRange(own, train.take(rows))

    def _chains(self, guard_copies: bool = False) -> Chains:
        """Return the generator of the chain, without refinement: its rows are of one label."""
        return Chains(
            min_leaf=self.min_leaf,
            min_leaf_labels=self.min_leaf_labels,
            guard_copies=guard_copies,
            refine=False,
        )


class _InsideRange(FittedGenerator):
    """Draws rows again whose values, moved from those of a real row, left the range of the label."""

    def __init__(self, fitted: FittedGenerator, own: Dataset) -> None:
        self.fitted, self.schema = fitted, fitted.schema
        self.ranges = {}
        for field in own.schema.of_kind("number", "integer", "datetime"):
            values = own.values(field.name)
            if not np.isnan(values).all():
                self.ranges[field.name] = float(np.nanmin(values)), float(np.nanmax(values))

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        drawn = self.fitted.sample(n, rng, where)
        for _ in range(_MAX_REDRAWS):
            outside = np.zeros(n, dtype=bool)
            for name, (low, high) in self.ranges.items():
                values = drawn.values(name)
                outside |= (values < low) | (values > high)
            again = np.flatnonzero(outside)
            if not len(again):
                break
            place = np.arange(n)
            place[again] = n + np.arange(len(again))
            drawn = Dataset.concat([drawn, self.fitted.sample(len(again), rng, where)]).take(place)
        return drawn
