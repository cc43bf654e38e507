"""Distances of calendar patterns, daily rhythm, and times between rows of one entity."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.contracts import Comparison, Measurement, NotMeasurable, Role
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.parameters import Margin
from twinset.core.stats.bootstrap import Groups

from .._bootstrap_metric import BootstrapMetric, Floats, Ints
from .._results import Pattern, average_patterns, share_distance
from .._samples import require_rows

DAY = 86_400_000_000  # microseconds
_MIN_ROWS = 50  # with a time: fewer leave most hours of the day empty
_MIN_GAPS = 100  # times between rows: fewer leave the 16 bins with about six each
_MIN_DAYS = 28  # four weeks, so that a weekly rhythm shows more than once
_MAX_LAG = 7  # days: a week
_SEASONAL_DAYS = 330  # of a shorter span, months without rows are no season
_N_GAP_BINS = 16  # times between rows span orders of magnitude: more bins than of hours


@dataclass(frozen=True, kw_only=True)
class TimePatterns(BootstrapMetric):
    """Distance of the times of rows and of how rows follow each other, averaged over patterns.

    value = mean_k d_k over the patterns k. For each datetime column: the total variation distance of
    the shares of hours of the day, of weekdays and, where the real rows span 330 days or more, of
    months, in the column's own time zone. For the column with the role time, or the only one: the
    rhythm of its days, d = mean_l |r_synthetic(l) - r_real(l)|, r(l) being the autocorrelation of the
    daily numbers of rows at a lag of l = 1 to 7 days; and, where a column has the role group, the times
    between two rows of one group, such as one card (total variation over 16 real quantile bins).

    Parameters
    ----------
    pattern_margin : float
        Equivalence margin of a single pattern; one beyond it makes the whole different.

    References
    ----------
    Box, Jenkins, Reinsel, Ljung (2015), Time Series Analysis, Wiley (autocorrelation).

    Examples
    --------
    >>> hour = DAY // 24
    >>> morning = pa.array([d * DAY + 9 * hour for d in range(100)], pa.timestamp("us"))
    >>> evening = pa.array([d * DAY + 20 * hour for d in range(100)], pa.timestamp("us"))
    >>> real, late = (Dataset.from_arrow(pa.table({"t": t})) for t in (morning, evening))
    >>> found = TimePatterns(replicates=10).compute(Comparison(real, late, real), np.random.default_rng(0))
    >>> dict(zip(found.components.names, found.components.values.round(2).tolist()))
    {'hour of t': 1.0, 'weekday of t': 0.0, 'rhythm of t': 0.0}
    """

    family = "gap"
    title = "hours, weekdays, seasons and rhythm"
    interpretation = (
        "How far the hours, weekdays, months and the order of rows in time are from real, averaged: 0 is "
        "the same. A model that reads times learns the wrong rhythm from rows that lost it."
    )
    roles = frozenset({Role.APPEARANCE})
    bounds = (0.0, math.inf)
    kinds = TABULAR_KINDS | {"id"}
    needs_same_time = True

    margin: Margin = 0.03
    pattern_margin: Margin = 0.05

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance of all patterns, 0 or more."""
        sets = comparison.reference, comparison.synthetic
        schema = sets[0].schema
        names = [field.name for field in schema.of_kind("datetime")]
        if not names:
            raise NotMeasurable("no column holds dates or times")
        require_rows(sets, _MIN_ROWS)
        timed = [field.name for field in schema.with_role("time") if field.name in names]
        main = timed[0] if timed else names[0] if len(names) == 1 else None
        found: list[Pattern] = []
        for name in names:
            times = [local_microseconds(rows, name) for rows in sets]
            known = [part[~np.isnan(part)] for part in times]
            if min(map(len, known)) < _MIN_ROWS:
                continue
            groups = [Groups.assign(len(part), self.replicates, rng) for part in known]
            found += _calendar(name, known, groups)
            if name == main:
                found += _rhythm(name, known, groups)
                for entity in schema.with_role("group")[:1]:
                    gaps = [
                        gaps_within(part, rows.codes(entity.name)[0])
                        for part, rows in zip(times, sets)
                    ]
                    found += _gaps(entity.name, gaps, self.replicates, rng)
        if not found:
            raise NotMeasurable(f"no date is known in {_MIN_ROWS} rows in each set")
        return average_patterns(found, self.pattern_margin)


def local_microseconds(rows: Dataset, name: str) -> Floats:
    """Return local times in the column's own zone, in microseconds, NaN where missing."""
    column = rows.records.column(name)
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        column = pc.local_timestamp(column)
    whole = column.cast(pa.timestamp("us")).cast(pa.int64())
    return np.asarray(pc.cast(whole, pa.float64()).to_numpy(), dtype=np.float64)


def hours(times: Floats) -> Ints:
    """Return the hour of day, 0 to 23."""
    return (np.mod(times, DAY) // (DAY // 24)).astype(np.int64)


def weekdays(times: Floats) -> Ints:
    """Return the weekday, 0 to 6, Monday first; 1 January 1970 was a Thursday."""
    return np.mod(times // DAY + 3, 7).astype(np.int64)


def months(times: Floats) -> Ints:
    """Return the month of the year, 0 to 11."""
    days = (times // DAY).astype(np.int64).astype("datetime64[D]")
    return np.asarray(days.astype("datetime64[M]").astype(np.int64) % 12)


def gaps_within(times: Floats, entity: npt.NDArray[np.integer]) -> Floats:
    """Return the microseconds between known consecutive rows of one entity, which is 0 or more."""
    known = ~np.isnan(times) & (entity >= 0)
    order = np.lexsort((times[known], entity[known]))
    time, own = times[known][order], entity[known][order]
    return np.asarray(np.diff(time)[own[1:] == own[:-1]])


def autocorrelations(series: Floats, max_lag: int) -> Floats:
    """Return the autocorrelations of each line, shape (b, max_lag); a constant line has 0."""
    centred = series - series.mean(axis=1, keepdims=True)
    square = (centred**2).sum(axis=1)
    found = [(centred[:, lag:] * centred[:, :-lag]).sum(axis=1) for lag in range(1, max_lag + 1)]
    return np.stack(
        [np.divide(f, square, out=np.zeros_like(f), where=square > 0) for f in found], 1
    )


def _cell_pattern(title: str, cells: list[Ints], n_cells: int, groups: list[Groups]) -> Pattern:
    """Return the total variation distance of cells of the reference and of the synthetic rows."""
    real, synthetic = (own.shares(own.counts(c, n_cells)) for own, c in zip(groups, cells))
    return title, *share_distance(synthetic, real)


def _calendar(name: str, times: list[Floats], groups: list[Groups]) -> Iterator[Pattern]:
    patterns = [("weekday", weekdays, 7)]
    if any((np.mod(part, DAY) != 0).any() for part in times):
        patterns.insert(0, ("hour", hours, 24))
    if np.ptp(times[0]) >= _SEASONAL_DAYS * DAY:
        patterns.append(("month", months, 12))
    for title, code, n_cells in patterns:
        yield _cell_pattern(f"{title} of {name}", [code(part) for part in times], n_cells, groups)


def _rhythm(name: str, times: list[Floats], groups: list[Groups]) -> Iterator[Pattern]:
    """Yield the distance of the autocorrelations of the daily numbers of rows."""
    found = []
    for own, part in zip(groups, times):
        day = (part // DAY).astype(np.int64)
        day -= day.min()
        n_days = int(day.max()) + 1
        if not _MIN_DAYS <= n_days <= len(part):
            return  # too short for a week to come back, or mostly days without a row
        counts = own.counts(day, n_days)
        series = counts.sum(axis=0)[None], own.draws @ counts
        found.append([autocorrelations(one, _MAX_LAG) for one in series])
    whole, drawn = (np.abs(one - other).mean(axis=1) for one, other in zip(*found))
    yield f"rhythm of {name}", float(whole[0]), drawn


def _gaps(
    entity: str, gaps: list[Floats], replicates: int, rng: np.random.Generator
) -> Iterator[Pattern]:
    """Yield the distance of the times between two rows of one entity."""
    if len(gaps[0]) < _MIN_GAPS:
        return
    title = f"time between rows of one {entity}"
    if not len(gaps[1]):  # every synthetic row belongs to another entity
        yield title, 1.0, np.ones(replicates)
        return
    edges = np.unique(np.quantile(gaps[0], np.linspace(0, 1, _N_GAP_BINS + 1)[1:-1]))
    groups = [Groups.assign(len(part), replicates, rng) for part in gaps]
    cells = [np.searchsorted(edges, part, side="right") for part in gaps]
    yield _cell_pattern(title, cells, len(edges) + 1, groups)
