"""Distances of the distributions of single columns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from twinset.core.contracts import Comparison, ComponentResults, Measurement, Role
from twinset.core.data.dataset import Dataset
from twinset.core.findings import ColumnDistances, DifferingComponents
from twinset.core.parameters import Margin
from twinset.core.stats.bootstrap import Groups
from twinset.core.stats.hypothesis_tests import discoveries

from .._bootstrap_metric import BootstrapMetric, Floats
from .._results import share_distance
from .._samples import cached, check_not_empty, draw_groups, shown_share
from ._column_tests import column_p, ks_distance, wasserstein_distance
from ._columns import PooledColumn, cut_at, places_of

_N_QUANTILES = 256  # at which replicates compare numbers: enough for their spread, and fast
_FALSE_DISCOVERY_RATE = 0.05  # over the tests of all columns: the usual level
_TAIL = 0.05  # share of the real values that is a tail
_MIN_TAIL = 0.01  # weight of a tail among train rows: one below it consists of ties with the bulk


@dataclass(frozen=True, kw_only=True)
class Marginals(BootstrapMetric):
    """Distance of each column's distribution, averaged over columns.

    value = mean_j d_j. For numbers, integers and datetimes d = sup_x |F_synthetic(x) - F_real(x)|
    (Kolmogorov-Smirnov); for categories and booleans d = sum_k |p_synthetic(k) - p_real(k)| / 2 (total
    variation). A missing value is a value: a level of a category, a number below all numbers. Range
    [0, 1]; 0 = equal distributions. Blind to dependence between columns: see `gap.pairs`.

    The two tails of a number are components too: a distance over the whole column does not show that
    large values were cut off. The weight of a value in a tail falls linearly from 2 at the end of the
    real values to 0 at their outer twentieth, and a tail's distance is that of the mean weights.

    Findings name the columns that differ beyond chance, by a test of each column (see `column_p`) at
    a false discovery rate of 5 %. The tests see rounding too, which moves no distribution by much.

    Parameters
    ----------
    column_margin : float
        Equivalence margin of a single column and a tail; one beyond it makes the whole different.

    References
    ----------
    Massey (1951), The Kolmogorov-Smirnov Test for Goodness of Fit, JASA 46.

    Examples
    --------
    >>> import pyarrow as pa
    >>> sets = [Dataset.from_arrow(pa.table({"x": x})) for x in ([1.0, 2.0], [2.0, None, 3.0, 4.0])]
    >>> comparison = Comparison(train=sets[1], synthetic=sets[0], reference=sets[1])
    >>> Marginals(replicates=2).compute(comparison, np.random.default_rng(0)).value
    0.5
    """

    family = "gap"
    title = "single columns"
    interpretation = (
        "How far each column by itself is from real, averaged over the columns: 0 is the same spread of "
        "values, 1 is nothing in common. It cannot see how columns go together."
    )
    roles = frozenset({Role.BASIC_APPEARANCE})
    # Shuffling columns changes no single column, so it is no worst case here.
    has_floor = False

    margin: Margin = 0.02
    column_margin: Margin = 0.02

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance over the columns; findings hold each column's, largest first."""
        synthetic, reference, cache = comparison.synthetic, comparison.reference, comparison.cache
        check_not_empty(comparison)
        groups = draw_groups(synthetic, reference, self.replicates, rng)
        columns = {
            name: PooledColumn.from_sets(synthetic, reference, name, cache)
            for name in synthetic.schema.names
        }
        distances, drawn = zip(*(column_distance(column, groups) for column in columns.values()))
        ranked = dict(sorted(zip(columns, distances), key=lambda pair: (-pair[1], pair[0])))
        tails = [
            tail
            for name, column in columns.items()
            if column.is_number
            for tail in _tail_gaps(column, name, comparison, groups)
        ]
        names, gaps, tail_draws = zip(*tails) if tails else ((), (), ())
        components = ComponentResults(
            "column",
            (*columns, *names),
            np.array([*distances, *gaps]),
            np.column_stack([*drawn, *tail_draws]),
            self.column_margin,
        )
        ordered = {name: columns[name] for name in ranked}
        return Measurement(
            float(np.mean(distances)),
            np.column_stack(drawn).mean(axis=1),
            (_find_differing(ordered), ColumnDistances(ranked)),
            components,
            _facts(columns, ordered),
        )


def column_distance(column: PooledColumn, groups: tuple[Groups, Groups]) -> tuple[float, Floats]:
    """Return a column's distance and its replicates, shape (b,); `groups` of synthetic and reference."""
    cells = np.arange(len(column.synthetic))
    if column.is_number:
        # One cell for each of 256 quantiles of both sets; missing, which comes last, is cell 0.
        pooled, k = column.synthetic[:-1] + column.reference[:-1], len(column.values)
        at = np.floor(np.linspace(0, pooled.sum() - 1, _N_QUANTILES)) if k else np.zeros(0)
        cells = np.append(1 + cut_at(np.unique(places_of(pooled, at)), k), 0) if k else cells * 0
    n_cells = int(cells.max()) + 1
    shares = [
        own.shares(own.counts(rows, n_cells)) for own, rows in zip(groups, column.rows(cells))
    ]
    if not column.is_number:
        return share_distance(shares[0], shares[1])
    gap = np.abs(np.cumsum(shares[0][1] - shares[1][1], axis=1))
    return ks_distance(column), gap.max(axis=1)


def tail_weights(values: Floats, known: Floats, is_upper: bool) -> Floats:
    """Return the weight of each value in a tail, shape (k,): 0 where it begins, 2 at its end."""
    n = len(known)
    # Beyond this known value more than the outer twentieth of them lies farther out.
    first = min(math.ceil(_TAIL * n), n - 1)
    near = values >= known[n - 1 - first] if is_upper else values <= known[first]
    low, high = (np.searchsorted(known, values[near], side=side) for side in ("left", "right"))
    rank = (low + high) / (2 * n)
    outside = (1 - rank) if is_upper else rank
    weights = np.zeros(len(values))
    weights[near] = 2 * np.maximum(_TAIL - outside, 0.0) / _TAIL
    return weights


def _find_tails(train: Dataset, name: str) -> tuple[Floats, list[tuple[str, bool]]]:
    """Return the train numbers, ascending, and the tails: name, and whether it is the upper one."""
    column = train.values(name)
    known = np.sort(column[~np.isnan(column)])
    return known, [
        (tail, is_upper)
        for tail, is_upper in (("lower tail", False), ("upper tail", True))
        if len(known) and tail_weights(known, known, is_upper).mean() >= _MIN_TAIL
    ]


def _tail_gaps(
    column: PooledColumn, name: str, comparison: Comparison, groups: tuple[Groups, Groups]
) -> list[tuple[str, float, Floats]]:
    """Return name, distance and replicates, shape (b,), of each tail."""
    key, train, found = f"tails {name}", comparison.train, []
    known, tails = cached(comparison, key, lambda: _find_tails(train, name))
    for tail, is_upper in tails:
        # A missing value is in no tail.
        weights = np.append(tail_weights(column.values, known, is_upper), 0.0)
        means = [own.means(rows[:, None]) for own, rows in zip(groups, column.rows(weights))]
        whole, drawn = (np.abs(one - other)[:, 0] for one, other in zip(*means))
        found.append((f"{name} ({tail})", float(whole[0]), drawn))
    return found


def _find_differing(columns: Mapping[str, PooledColumn]) -> DifferingComponents:
    """Return the columns that differ beyond chance, smallest p first; ties in the order given."""
    names = list(columns)
    p = np.array([column_p(column) for column in columns.values()])
    found = discoveries(p, _FALSE_DISCOVERY_RATE)
    differing = tuple(names[i] for i in np.argsort(p, kind="stable") if found[i])
    return DifferingComponents("column", differing, len(names))


def _facts(
    columns: Mapping[str, PooledColumn], ordered: Mapping[str, PooledColumn]
) -> dict[str, Any]:
    """Return the Wasserstein distances of numbers, largest first, and shares of missing cells."""
    moved = {n: wasserstein_distance(column) for n, column in ordered.items() if column.is_number}
    missing = {
        name: {
            "synthetic": float(column.synthetic[-1] / column.synthetic.sum()),
            "real": shown_share(column.reference[-1], column.reference.sum()),
        }
        for name, column in columns.items()
        if column.synthetic[-1] or column.reference[-1]
    }
    return {
        "wasserstein": dict(sorted(moved.items(), key=lambda pair: -pair[1])),
        "missing": missing,
    }
