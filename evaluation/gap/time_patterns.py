"""Whether rows keep the times of the real ones: hours, weekdays, seasons, rhythm and gaps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

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
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS, Schema
from twinset.core.parameters import Margin, Replicates
from twinset.core.stats.bootstrap import Groups, total_variation

from ._calendar_features import (
    DAY,
    autocorrelations,
    gaps_within,
    hours,
    local_microseconds,
    months,
    weekdays,
)

Floats = npt.NDArray[np.float64]
Apart = tuple[str, Floats, Floats]
"""Name of a pattern, how far it is from real, shape (1,), and replicates of that, shape (b,)."""

_LEAST_ROWS, _LEAST_GAPS = 50, 100
_LEAST_DAYS, _LAGS = 28, 7
_SEASONS_FROM = 330
_GAP_BINS = 16


@dataclass(frozen=True, kw_only=True)
class TimePatterns(Metric):
    """Compares when rows happen, and how they follow each other.

    For each datetime column: the shares of hours of the day, of weekdays and, where the real rows span
    330 days or more, of months (total variation distance, 0 to 1), as clocks of its own zone show
    them. For the column with the role time, or the only one there is: the rhythm of its days
    (autocorrelation of the daily numbers of rows at lags of 1 to 7 days, mean absolute difference),
    and, where a column has the role group, the times between two rows of the same group, such as one
    card (total variation distance over 16 real quantile bins). The value is the mean of the patterns,
    and one that is off by more than its own margin makes the whole different.

    Parameters
    ----------
    margin : float
        Largest mean distance that still counts as good as real.
    pattern_margin : float
        The same for a single pattern.
    replicates : int
        Bootstrap replicates.

    Examples
    --------
    >>> import pyarrow as pa
    >>> hour = DAY // 24
    >>> morning = pa.array([d * DAY + 9 * hour for d in range(100)], pa.timestamp("us"))
    >>> evening = pa.array([d * DAY + 20 * hour for d in range(100)], pa.timestamp("us"))
    >>> real, made = (Dataset.from_arrow(pa.table({"t": t})) for t in (morning, evening))
    >>> found = TimePatterns(replicates=10).compute(Comparison(real, made, real), np.random.default_rng(0))
    >>> dict(zip(found.components.names, found.components.values.round(2).tolist()))
    {'hour of t': 1.0, 'weekday of t': 0.0, 'rhythm of t': 0.0}
    """

    family: ClassVar[MetricFamily] = "gap"
    title: ClassVar[str] = "hours, weekdays, seasons and rhythm"
    interpretation: ClassVar[str] = (
        "How far the hours, weekdays, months and the order of rows in time are from real, averaged: 0 is "
        "the same. A model that reads times learns the wrong rhythm from rows that lost it."
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.APPEARANCE})
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"id"}
    needs_same_time: ClassVar[bool] = True

    margin: Margin = 0.03
    pattern_margin: Margin = 0.05
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance of all patterns, 0 or more."""
        real, made = comparison.reference, comparison.synthetic
        names = [field.name for field in real.schema.fields if field.is_time]
        if not names:
            raise NotMeasurable("no column holds dates or times")
        if min(len(real), len(made)) < _LEAST_ROWS:
            raise NotMeasurable(f"it needs at least {_LEAST_ROWS} rows of each side")
        main, entity = _time_and_entity(real.schema, names)
        found: list[Apart] = []
        for name in names:
            shown = [local_microseconds(rows, name) for rows in (real, made)]
            known = [part[~np.isnan(part)] for part in shown]
            if min(map(len, known)) < _LEAST_ROWS:
                continue
            deals = [Groups.assign(len(part), self.replicates, rng) for part in known]
            found += _calendar(name, known, deals)
            if name == main:
                found += _rhythm(name, known, deals)
                if entity is not None:
                    codes = [_entities(rows, entity) for rows in (real, made)]
                    found += _gaps(entity, shown, codes, self.replicates, rng)
        if not found:
            raise NotMeasurable(f"no date is known in {_LEAST_ROWS} rows of each side")
        titles = tuple(title for title, _, _ in found)
        values = np.concatenate([value for _, value, _ in found])
        drawn = np.stack([replicates for _, _, replicates in found], axis=1)
        worst = np.argsort(-values, kind="stable")
        facts = {"patterns": {titles[i]: float(values[i]) for i in worst}}
        return Measurement(
            float(values.mean()),
            drawn.mean(axis=1),
            (),
            ComponentResults("pattern", titles, values, drawn, self.pattern_margin),
            facts,
        )


def _time_and_entity(schema: Schema, dates: list[str]) -> tuple[str | None, str | None]:
    """Return the column that tells when rows happen, and the one that tells whose they are."""
    timed = [field.name for field in schema.with_role("time") if field.name in dates]
    main = timed[0] if timed else dates[0] if len(dates) == 1 else None
    owners = schema.with_role("group")
    return main, owners[0].name if owners else None


def _entities(rows: Dataset, name: str) -> npt.NDArray[np.int64]:
    known = ~rows.is_null(name)
    _, codes = np.unique(
        np.asarray(rows.records.column(name).to_pylist(), dtype=str), return_inverse=True
    )
    return np.where(known, codes, -1)


def _calendar(name: str, known: list[Floats], deals: list[Groups]) -> Iterator[Apart]:
    patterns = [("weekday", weekdays, 7)]
    if any((np.mod(part, DAY) != 0).any() for part in known):
        patterns.insert(0, ("hour", hours, 24))
    if np.ptp(known[0]) >= _SEASONS_FROM * DAY:
        patterns.append(("month", months, 12))
    for what, code, n_cells in patterns:
        sides = [deal.shares(deal.counts(code(part), n_cells)) for deal, part in zip(deals, known)]
        yield _apart(f"{what} of {name}", sides)


def _apart(title: str, sides: list[tuple[Floats, Floats]]) -> Apart:
    (real, real_drawn), (made, made_drawn) = sides
    return title, total_variation(made, real), total_variation(made_drawn, real_drawn)


def _rhythm(name: str, known: list[Floats], deals: list[Groups]) -> Iterator[Apart]:
    """Yield how far the autocorrelations of the daily numbers of rows are apart."""
    told = []
    for deal, part in zip(deals, known):
        day = (part // DAY).astype(np.int64)
        day -= day.min()
        n_days = int(day.max()) + 1
        if not _LEAST_DAYS <= n_days <= len(part):
            return  # too short for a week to come back, or mostly days without a row
        counts = deal.counts(day, n_days)
        told.append(
            [
                autocorrelations(series, _LAGS)
                for series in (counts.sum(0)[None], deal.draws @ counts)
            ]
        )
    (real, real_drawn), (made, made_drawn) = told
    yield (
        f"rhythm of {name}",
        np.abs(made - real).mean(axis=1),
        np.abs(made_drawn - real_drawn).mean(axis=1),
    )


def _gaps(
    entity: str,
    shown: list[Floats],
    codes: list[npt.NDArray[np.int64]],
    b: int,
    rng: np.random.Generator,
) -> Iterator[Apart]:
    """Yield how far the times between two rows of one entity are apart."""
    gaps = [gaps_within(part, own) for part, own in zip(shown, codes)]
    if len(gaps[0]) < _LEAST_GAPS:
        return
    title = f"time between rows of one {entity}"
    if not len(gaps[1]):  # every synthetic row belongs to somebody else
        yield title, np.ones(1), np.ones(b)
        return
    edges = np.unique(np.quantile(gaps[0], np.linspace(0, 1, _GAP_BINS + 1)[1:-1]))
    sides = []
    for part in gaps:
        deal = Groups.assign(len(part), b, rng)
        cells = np.searchsorted(edges, part, side="right")
        sides.append(deal.shares(deal.counts(cells, len(edges) + 1)))
    yield _apart(title, sides)
