"""What train rows show about rules: the range and grid of columns, which values go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from twinset.core.rules.columns import Array, RuleTable, TupleIndex
from twinset.core.rules.violations import allowed_tuples, ones

if TYPE_CHECKING:
    from twinset.core.data.rule import Rule
    from twinset.core.data.schema import Field

Floats = npt.NDArray[np.float64]
_KEPT_VALUES = 512  # quantiles: enough to draw a value from the real distribution


@dataclass(frozen=True)
class ColumnFacts:
    """What is known of a numeric column."""

    # Least and greatest value: of the real rows, and within the rules of kind range
    low: float
    high: float
    # Least and greatest value that those rules alone allow
    rule_low: float
    rule_high: float
    # Grid that the values lie on (0.01 for cents, a day for dates); None for a free number
    step: float | None
    values: Floats  # Up to 512 real values inside the bounds, as equally spaced quantiles

    @classmethod
    def from_values(cls, field: Field, values: Floats, rules: Sequence[Rule]) -> ColumnFacts:
        """Return the facts of a column with these values."""
        ranges = [r.settings for r in rules if r.kind == "range" and r.columns == (field.name,)]
        lows = [float(s["low"]) for s in ranges if s.get("low") is not None]
        highs = [float(s["high"]) for s in ranges if s.get("high") is not None]
        rule_low, rule_high = max(lows, default=-np.inf), min(highs, default=np.inf)
        present = values[~np.isnan(values)]
        inside = present[(present >= rule_low) & (present <= rule_high)]
        low = float(inside.min()) if len(inside) else rule_low
        high = float(inside.max()) if len(inside) else rule_high
        grid = np.linspace(0, 1, min(len(inside), _KEPT_VALUES))
        kept = np.quantile(inside, grid, method="nearest") if len(inside) else np.empty(0)
        return cls(low, high, rule_low, rule_high, _step(field, present), kept)

    def snap(self, values: Floats, towards: int = 0) -> Floats:
        """Return the values on the grid: the nearest point, the next below (-1) or above (1)."""
        if self.step is None:
            return values
        scaled = values / self.step
        points = np.rint(scaled)
        if towards:
            # A value that is on the grid but for its last bits stays there.
            near = np.abs(scaled - points) < 1e-6
            points = np.where(near, points, np.floor(scaled) if towards < 0 else np.ceil(scaled))
        made = points * self.step
        return np.round(made, round(-np.log10(self.step))) if self.step < 1 else made

    @property
    def gap(self) -> float:
        """The least difference that two values shall have where one must exceed the other."""
        if self.step is not None:
            return self.step
        span = self.high - self.low
        return float(span * 1e-3) if np.isfinite(span) and span > 0 else 1e-6


@dataclass(frozen=True)
class RuleStatistics:
    """What train rows show about one rule."""

    # The tuples that may occur: of a combination, or left and right side of a dependency
    tuples: TupleIndex | None = None
    left: TupleIndex | None = None  # Left sides of a dependency
    # For each of them the value of the last column that most real rows show
    right: Array | None = None
    # Values of the first column, sorted, and what the most frequent row with each has on the right:
    # for left sides that no real row has
    fallback: tuple[Array, Array] | None = None
    shares: Floats | None = None  # Of a one-hot group, the share of rows in which each flag is set

    def decided(self, table: RuleTable) -> Floats:
        """Return what the last column must be in each row, shape (n,).

        A left side that no real row has goes with what is most frequent beside the nearest value of its
        first column: some fixed answer, so that equal left sides always get equal right ones.
        """
        assert self.left is not None
        assert self.right is not None
        assert self.fallback is not None
        found = self.left.find(table)
        grid, answers = self.fallback
        if not len(grid):
            return np.full(len(table), np.nan)
        decided = self.right[found].astype(float)
        unseen = np.flatnonzero(found < 0)
        if len(unseen):
            values = table.columns[self.left.names[0]][unseen]
            above = np.clip(np.searchsorted(grid, values), 0, len(grid) - 1)
            below = np.maximum(above - 1, 0)
            nearest = np.where(values - grid[below] < grid[above] - values, below, above)
            decided[unseen] = answers[nearest]
        return decided


def learn(rule: Rule, table: RuleTable) -> RuleStatistics:
    """Return what the rows of a real table show about one rule."""
    if rule.kind == "combination":
        seen = TupleIndex.from_table(table, rule.columns)
        listed = allowed_tuples(rule, table)
        if listed is None:
            return RuleStatistics(tuples=seen)
        if len(seen):
            place = listed.find(_as_table(seen, table))
            np.add.at(listed.counts, place[place >= 0], seen.counts[place >= 0])
        return RuleStatistics(tuples=listed)
    if rule.kind == "dependency":
        return _dependency(rule, table)
    if rule.kind == "one_hot":
        counts = np.array([ones(table, name).sum() for name in rule.columns], dtype=float) + 1e-3
        return RuleStatistics(shares=counts / counts.sum())
    return RuleStatistics()


def _dependency(rule: Rule, table: RuleTable) -> RuleStatistics:
    every = TupleIndex.from_table(table, rule.columns)
    left = TupleIndex.from_table(_as_table(every, table), rule.columns[:-1])
    side = left.find(_as_table(every, table))
    # Of several right sides the most frequent counts; of equally common ones the least.
    order = np.lexsort((every.values[-1], -every.counts, side))
    _, first = np.unique(side[order], return_index=True)
    chosen = order[first]
    values = tuple(column[chosen] for column in every.values)
    kept = TupleIndex(rule.columns, values, every.counts[chosen])
    by_first = np.lexsort((values[-1], -kept.counts, values[0]))
    grid, at = np.unique(values[0][by_first], return_index=True)
    return RuleStatistics(kept, left, values[-1], (grid, values[-1][by_first][at]))


def _as_table(tuples: TupleIndex, like: RuleTable) -> RuleTable:
    columns = dict(zip(tuples.names, tuples.values, strict=True))
    return RuleTable(columns, like.fields, like.levels)


def _step(field: Field, present: Floats) -> float | None:
    return 1.0 if field.has_levels else field.column_kind.step(present, field.decimals)
