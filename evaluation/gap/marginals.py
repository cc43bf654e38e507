"""How far each single column is from the real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import (
    Comparison,
    ComponentResults,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
    Role,
)
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.findings import ColumnDistances, DifferingComponents
from twinset.core.parameters import Margin, Replicates
from twinset.core.stats.bootstrap import Groups, total_variation
from twinset.core.stats.hypothesis_tests import discoveries

from ._column_tests import column_p, ks_distance, wasserstein_distance
from ._pooled import PooledColumn, cut_at, places_of
from ._tails import Tails, tail_gaps

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_GRID = 256
_FALSE_CALLS = 0.05
_MOST_NAMED = 5
_SMALL_CELL = 11


@dataclass(frozen=True, kw_only=True)
class Marginals(Metric):
    """Compares single columns: how far each one's distribution lies from the real one.

    Numbers, integers and datetimes by the Kolmogorov-Smirnov distance, categories and booleans by
    the total variation distance. A missing value is a value like any other: a level of a category, a
    number below all numbers. The value is the mean over the columns, 0 (alike) to 1.

    Of a number each tail, the outer twentieth of the real values, is held against the real one as
    well: a distance over the whole column does not see that its large values were cut off.

    Beside the distances stands which columns differ at all: those that a test of each column calls
    different once the false discovery rate over all columns is held at 5 %. The test sees rounding
    too, which moves no distribution by much (see `column_p`).

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    column_margin : float
        The same for a single column and for a tail: one that is farther off makes the whole different.
    replicates : int
        Bootstrap replicates.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> sets = [Dataset.from_arrow(pa.table({"x": x})) for x in ([1.0, 2.0], [2.0, None, 3.0, 4.0])]
    >>> told = Comparison(train=sets[1], synthetic=sets[0], reference=sets[1])
    >>> Marginals(replicates=2).compute(told, np.random.default_rng(0)).value
    0.5
    """

    family: ClassVar[MetricFamily] = "gap"
    title: ClassVar[str] = "single columns"
    interpretation: ClassVar[str] = (
        "How far each column by itself is from real, averaged over the columns: 0 is the same spread of "
        "values, 1 is nothing in common. It cannot see how columns go together."
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.BASIC_APPEARANCE})
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    # Shuffling columns changes no single column, so it is no worst case here.
    has_floor: ClassVar[bool] = False

    margin: Margin = 0.02
    column_margin: Margin = 0.02
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance over the columns; details hold each column's, worst first."""
        synthetic, reference = comparison.synthetic, comparison.reference
        if not len(synthetic) or not len(reference):
            raise NotMeasurable("there are no rows to compare")
        names = synthetic.schema.names
        of_reference = Groups.assign(len(reference), self.replicates, rng)
        of_synthetic = Groups.assign(len(synthetic), self.replicates, rng)
        groups = (of_synthetic, of_reference)
        cache = comparison.cache
        columns = {name: PooledColumn.of(synthetic, reference, name, cache) for name in names}
        found = [column_distance(columns[name], of_synthetic, of_reference) for name in names]
        distances = np.array([distance for distance, _ in found])
        drawn = np.column_stack([replicates for _, replicates in found])
        by_column = ColumnDistances(_worst_first(columns, distances.tolist()))
        ranked = {name: columns[name] for name in by_column.distances}
        differing, facts = _differing(ranked), _facts(columns, ranked)
        tails = [
            tail
            for name in names
            if columns[name].is_number
            for tail in tail_gaps(
                columns[name], Tails.of(comparison.train, name, cache), name, groups
            )
        ]
        parts = ComponentResults(
            "column",
            (*names, *(tail.name for tail in tails)),
            np.append(distances, [tail.gap for tail in tails]),
            np.column_stack([drawn, *(tail.drawn for tail in tails)]),
            self.column_margin,
        )
        return Measurement(
            float(distances.mean()), drawn.mean(axis=1), (differing, by_column), parts, facts
        )


def column_distance(
    column: PooledColumn, of_synthetic: Groups, of_reference: Groups
) -> tuple[float, Floats]:
    """Return a column's distance and its replicates, shape (b,)."""
    # The replicates look at 256 quantiles of a number only: enough for their spread.
    cells = _quantile_cells(column) if column.is_number else np.arange(len(column.made))
    n_cells = int(cells.max()) + 1
    made, real = column.rows(cells)
    whole_s, drawn_s = of_synthetic.shares(of_synthetic.counts(made, n_cells))
    whole_r, drawn_r = of_reference.shares(of_reference.counts(real, n_cells))
    if not column.is_number:
        return float(total_variation(whole_s, whole_r)[0]), total_variation(drawn_s, drawn_r)
    gap = np.abs(np.cumsum(drawn_s - drawn_r, axis=1))
    return ks_distance(column), gap.max(axis=1)


def _quantile_cells(column: PooledColumn) -> Codes:
    """Return a cell for each distinct number, shape (k + 1,); missing, which comes last, is cell 0."""
    k = len(column.values)
    if not k:
        return np.zeros(1, dtype=np.int64)
    pooled = column.made[:-1] + column.real[:-1]
    at = np.floor(np.linspace(0, pooled.sum() - 1, _GRID))
    edges = np.unique(places_of(pooled, at))
    return np.append(1 + cut_at(edges, k), 0)


def _worst_first(
    columns: Mapping[str, PooledColumn], distances: Sequence[float]
) -> dict[str, float]:
    return dict(sorted(zip(columns, distances), key=lambda pair: (-pair[1], pair[0])))


def _facts(
    columns: Mapping[str, PooledColumn], ranked: Mapping[str, PooledColumn]
) -> dict[str, Any]:
    """Return how far numbers are off, and the shares of missing cells."""
    missing = {
        name: {
            "synthetic": float(column.made[-1] / column.made.sum()),
            "real": _real_share(column.real),
        }
        for name, column in columns.items()
    }
    moved = {n: wasserstein_distance(column) for n, column in ranked.items() if column.is_number}
    return {
        "wasserstein": dict(sorted(moved.items(), key=lambda pair: -pair[1])),
        "missing": {
            name: shares for name, shares in missing.items() if any(v != 0 for v in shares.values())
        },
    }


def _real_share(counts: Floats) -> float | None:
    """Return a missing share of real rows; None where it would speak of 1 to 10 rows."""
    return None if 1 <= counts[-1] < _SMALL_CELL else float(counts[-1] / counts.sum())


def _differing(columns: Mapping[str, PooledColumn]) -> DifferingComponents:
    """Return the columns that differ beyond chance, surest first."""
    names = list(columns)
    p = np.array([column_p(column) for column in columns.values()])
    found = discoveries(p, _FALSE_CALLS)
    # `columns` comes worst first; of columns equally sure to differ the farther one leads.
    called = [names[i] for i in np.argsort(p, kind="stable") if found[i]]
    return DifferingComponents("column", tuple(called), len(names))
