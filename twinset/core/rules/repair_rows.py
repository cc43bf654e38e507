"""Learn what real rows show about rules, and move the rows of a table until the rules hold in them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from twinset.core.rules.columns import Levels, Mask, Rows, RuleStatistics, RuleTable, TupleIndex
from twinset.core.rules.violations import (
    allowed_tuples,
    broken_rows,
    excess,
    flag_value,
    linear_form,
    ones,
)

if TYPE_CHECKING:
    from twinset.core.data.dataset import Dataset
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
        step = field.column_kind.step(present, field.decimals)
        return cls(low, high, rule_low, rule_high, 1.0 if field.has_levels else step, kept)

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

    def unit(self, share: float) -> float:
        """Return the step of the grid; of a free number that share of its range."""
        if self.step is not None:
            return self.step
        span = self.high - self.low
        return float(span * share) if np.isfinite(span) and span > 0 else 1e-6


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


@dataclass(frozen=True)
class RepairState:
    """What a move works on."""

    table: RuleTable  # The rows; moves write into it
    facts: Mapping[str, ColumnFacts]  # Facts of the numeric columns
    # Columns that a condition speaks of: left alone as long as there is another way
    frozen: frozenset[str]
    # 0 for the first, best move; later ones vary at random, so that overlapping rules can all be
    # met
    attempt: int
    rng: np.random.Generator
    # Position of a linear rule -> its columns, the one to recompute first
    determined: Mapping[int, tuple[str, ...]]


def move_range(rule: Rule, scene: RepairState, rows: Rows) -> None:
    """Reflect values at the end that they passed, or, where that leads out again, set them to it."""
    name = rule.columns[0]
    facts, values = scene.facts[name], scene.table.columns[name][rows]
    low, high = facts.rule_low, facts.rule_high
    if scene.attempt and len(facts.values):
        values = scene.rng.choice(facts.values, len(rows))
    low_side = values < low
    least, most = max(low, facts.low), min(high, facts.high)
    mirrored = np.where(
        low_side, 2 * low - values, np.where(values > high, 2 * high - values, values)
    )
    leads_out = (mirrored < least) | (mirrored > most)
    inside = np.where(leads_out, np.where(low_side, least, most), mirrored)
    moved_values = np.where(low_side, facts.snap(inside, 1), facts.snap(inside, -1))
    scene.table.columns[name][rows] = np.clip(moved_values, low, high)


def move_order(rule: Rule, scene: RepairState, rows: Rows) -> None:
    """Sort values that fit one another's columns, else shift them just as far as needed."""
    if scene.attempt >= 4:
        rows = _jolt(rule.columns, scene, rows)
    names, table = rule.columns, scene.table
    strict = bool(rule.settings.get("strict"))
    matrix = np.column_stack([table.numbers(name)[rows] for name in names])
    if scene.attempt == 0 and not scene.frozen & set(names):
        ordered = np.sort(matrix, axis=1)
        fits = ~np.isnan(matrix).any(axis=1)
        for j, name in enumerate(names):
            facts, column = scene.facts[name], ordered[:, j]
            fits &= (column >= facts.low) & (column <= facts.high) & (facts.snap(column) == column)
        matrix[fits] = ordered[fits]
    forward = scene.attempt % 2 == 0
    for upwards in (forward, not forward):
        _shift(matrix, names, scene, strict, upwards)
    for j, name in enumerate(names):
        table.columns[name][rows] = matrix[:, j]


def _shift(
    matrix: Floats, names: tuple[str, ...], scene: RepairState, strict: bool, upwards: bool
) -> None:
    """Raise each value to the one before it, or lower each to the one behind it."""
    columns = range(1, len(names)) if upwards else range(len(names) - 2, -1, -1)
    for j in columns:
        if names[j] in scene.frozen:
            continue
        other = j - 1 if upwards else j + 1
        facts, sign = scene.facts[names[j]], 1 if upwards else -1
        # A thousandth of the range: the least by which one value shall exceed the other.
        units = [facts.unit(1e-3), scene.facts[names[other]].unit(1e-3)]
        gap = sign * max(units) if strict else 0.0
        bound = facts.snap(matrix[:, other] + gap, sign)
        wrong = matrix[:, j] < bound if upwards else matrix[:, j] > bound
        matrix[wrong, j] = bound[wrong]


def move_linear(rule: Rule, scene: RepairState, rows: Rows, position: int) -> None:
    """Recompute the column that the others determine; later on, one that is drawn at random."""
    if scene.attempt >= 4:
        rows = _jolt(rule.columns, scene, rows)
    table, (coefficients, low, high) = scene.table, linear_form(rule)
    free = [name for name in scene.determined[position] if name not in scene.frozen]
    if not free or not len(rows):
        return
    outside = excess(rule, table.take(rows))
    if scene.attempt == 0:
        picks = np.zeros(len(rows), dtype=np.int64)
    else:
        picks = scene.rng.integers(0, len(free), len(rows))
    for j in np.unique(picks):
        name, own = free[j], rows[picks == j]
        facts, slope = scene.facts[name], coefficients[free[j]]
        values = table.columns[name][own] - outside[picks == j] / slope
        towards = 0
        if low != high:
            # Round to the side on which the inequality holds.
            towards = int(np.sign(slope)) * (1 if np.isinf(high) else -1)
            if np.isfinite(low) and np.isfinite(high):
                towards = 0
        first = scene.attempt == 0 and name == scene.determined[position][0] and low == high
        ends = (facts.rule_low, facts.rule_high) if first else (facts.low, facts.high)
        table.columns[name][own] = np.clip(facts.snap(values, towards), *ends)


def _jolt(names: tuple[str, ...], scene: RepairState, rows: Rows) -> Rows:
    """Give some rows a fresh real value in one column, so that rules in conflict come loose."""
    free = [n for n in names if n not in scene.frozen and len(scene.facts[n].values)]
    if not free:
        return rows
    shaken = rows[scene.rng.random(len(rows)) < 0.3]
    picks = scene.rng.integers(0, len(free), len(shaken))
    for j, name in enumerate(free):
        own = shaken[picks == j]
        own = own[~np.isnan(scene.table.columns[name][own])]
        scene.table.columns[name][own] = scene.rng.choice(scene.facts[name].values, len(own))
    return rows


def columns_to_recompute(
    rule: Rule, facts: Mapping[str, ColumnFacts], taken: set[str]
) -> tuple[str, ...]:
    """Return the columns of a linear rule, the one to recompute first.

    Of an equality, a column goes first when its grid can take the answer up and no other equality
    recomputes it (`taken`); of an inequality, the one whose values lie widest; of equals, the first
    one named.
    """
    coefficients, low, high = linear_form(rule)
    tolerance = float(rule.settings.get("tolerance", 1e-6))

    def cost(item: tuple[int, str]) -> tuple[bool, bool, float, int]:
        position, name = item
        own, slope = facts[name], coefficients[name]
        if low != high:
            spread = abs(slope) * (own.high - own.low)
            return (False, False, -spread if np.isfinite(spread) else 0.0, position)
        off_grid = own.step is not None and not (
            abs(slope) * own.step / 2 <= tolerance
            or all(_is_multiple(coefficients[n], facts[n].step, slope * own.step) for n in facts_of)
        )
        return (off_grid, name in taken, 0.0, position)

    facts_of = tuple(coefficients)
    return tuple(name for _, name in sorted(enumerate(coefficients), key=cost))


def _is_multiple(coefficient: float, step: float | None, unit: float) -> bool:
    if step is None:
        return False
    ratio = coefficient * step / unit
    return abs(ratio - round(ratio)) < 1e-9


MAX_SUBSETS = 40  # sets of columns of one size that are tried: wide rules have thousands


def move_one_hot(rule: Rule, learned: RuleStatistics, scene: RepairState, rows: Rows) -> None:
    """Keep one of the flags that are set, or set one; which one is drawn by the real shares."""
    assert learned.shares is not None
    table = scene.table
    flags = np.column_stack([ones(table, name)[rows] for name in rule.columns])
    frozen = np.array([name in scene.frozen for name in rule.columns])
    weights = np.where(flags.any(axis=1, keepdims=True), flags, True) * learned.shares
    kept_set, kept_unset = flags & frozen, ~flags & frozen
    weights = np.where(kept_set.any(axis=1, keepdims=True), kept_set * learned.shares, weights)
    possible = weights * ~kept_unset
    # Where the flags that are set may not be kept, any other may be set.
    open_ = np.where(
        possible.any(axis=1, keepdims=True), possible, ~kept_unset * learned.shares + 1e-12
    )
    cumulated = np.cumsum(open_, axis=1)
    at = scene.rng.random((len(rows), 1)) * cumulated[:, -1:]
    chosen = np.minimum((cumulated <= at).sum(axis=1), len(frozen) - 1)
    for j, name in enumerate(rule.columns):
        if not frozen[j]:
            one, zero = flag_value(table, name, True), flag_value(table, name, False)
            table.columns[name][rows] = np.where(chosen == j, one, zero)


def move_to_tuple(
    tuples: TupleIndex, scene: RepairState, rows: Rows, keep: frozenset[str] = frozenset()
) -> None:
    """Replace tuples by allowed ones that share as many columns as possible, drawn by frequency."""
    if not len(tuples):
        return
    kept = (scene.frozen | keep) & set(tuples.names)
    if len(kept) == len(tuples.names):
        return
    pending = rows
    for shared in _subsets(tuples.names, kept, scene):
        found = tuples.draw(scene.table, pending, shared, scene.rng)
        hit = found >= 0
        for name, values in zip(tuples.names, tuples.values, strict=True):
            if name not in shared:
                scene.table.columns[name][pending[hit]] = values[found[hit]]
        pending = pending[~hit]
        if not len(pending):
            return


def _subsets(
    names: tuple[str, ...], kept: frozenset[str] | set[str], scene: RepairState
) -> list[tuple[str, ...]]:
    """Return the sets of columns to share, largest first, those of one size in random order."""
    free = [name for name in names if name not in kept]
    most = len(free) - 1 if scene.attempt < 3 else int(scene.rng.integers(0, len(free)))
    every: list[tuple[str, ...]] = []
    for size in range(most, -1, -1):
        chosen = list(itertools.islice(itertools.combinations(free, size), MAX_SUBSETS))
        for at in scene.rng.permutation(len(chosen)):
            shared = {*kept, *chosen[at]}
            every.append(tuple(name for name in names if name in shared))
    return every


def move_dependency(rule: Rule, learned: RuleStatistics, scene: RepairState, rows: Rows) -> None:
    """Look the last column up; where it must stay, or now and then later on, move what decides it."""
    assert learned.tuples is not None
    last = rule.columns[-1]
    backwards = np.zeros(len(rows), dtype=bool)
    if last in scene.frozen:
        backwards[:] = True
    elif scene.attempt and not scene.frozen >= set(rule.columns[:-1]):
        backwards = scene.rng.random(len(rows)) < 0.4
    move_to_tuple(learned.tuples, scene, rows[backwards], frozenset({last}))
    own = rows[~backwards]
    column = scene.table.columns[last]
    column[own] = learned.decided(scene.table.take(own)).astype(column.dtype)


_PASSES = 30  # rules that overlap settle in a few; the rest is drawn again
Touched = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RowRules:
    """The rules that can be asked of one row alone, with what the train rows show about them.

    Build one with `RowRules.learn`.
    """

    rules: tuple[Rule, ...]  # All kinds but unique
    statistics: tuple[RuleStatistics, ...]  # One for each rule
    facts: Mapping[str, ColumnFacts]  # Numeric column -> its range and grid
    levels: Mapping[str, Levels]  # Any other column -> its values
    # Position of a linear rule -> its columns, the one to recompute first
    determined: Mapping[int, tuple[str, ...]]

    @classmethod
    def learn(
        cls,
        rules: Sequence[Rule],
        train: Dataset,
        names: Sequence[str],
        shown: Sequence[Rows] | None = None,
    ) -> RowRules:
        """Return the rules with what the rows of `train` show; `names` are their columns.

        `shown`: for each rule, the rows in which values go together as in real rows; default all.
        """
        table = RuleTable.from_dataset(train, names)
        tables = [table] * len(rules) if shown is None else [table.take(rows) for rows in shown]
        statistics = tuple(map(learn, rules, tables))
        facts = {
            name: ColumnFacts.from_values(table.fields[name], table.columns[name], rules)
            for name in names
            if table.fields[name].column_kind.has_float_values
        }
        determined, taken = {}, set[str]()
        for position, rule in enumerate(rules):
            if rule.kind in ("sum", "linear"):
                order = columns_to_recompute(rule, facts, taken)
                determined[position] = order
                low, high = linear_form(rule)[1:]
                taken |= {order[0]} if low == high else set()
        return cls(tuple(rules), statistics, facts, table.levels, determined)

    def read(self, dataset: Dataset, levels: Mapping[str, Levels]) -> RuleTable:
        """Return the columns that the rules speak of, in the given levels (see `new_levels`)."""
        return RuleTable.from_dataset(dataset, (*self.facts, *self.levels), levels)

    def new_levels(self) -> dict[str, Levels]:
        """Return the levels for one chunk, which may meet texts that no real row has."""
        return {name: levels.copy() for name, levels in self.levels.items()}

    def broken(self, table: RuleTable) -> Touched:
        """Return which rule each row breaks, shape (rules, n)."""
        every = np.zeros((len(self.rules), len(table)), dtype=bool)
        for i, rule in enumerate(self.rules):
            every[i] = broken_rows(rule, table, self.statistics[i])
        return every

    def repair(
        self,
        table: RuleTable,
        frozen: frozenset[str],  # columns to leave alone in the first half of the passes
        gentle: bool,  # whether rows that break a range are left for a new draw
        rng: np.random.Generator,
    ) -> tuple[Mask, Touched]:
        """Move rows, in place, until the rules hold; the moves vary at random after the first pass.

        Returns
        -------
        numpy.ndarray
            Rows that still break a rule, shape (n,).
        numpy.ndarray
            Rows that each rule moved, shape (rules, n).
        """
        touched = np.zeros((len(self.rules), len(table)), dtype=bool)
        unrepaired = np.zeros(len(table), dtype=bool)
        alive = np.arange(len(table))
        for attempt in range(_PASSES + 1):
            part = table if attempt == 0 else table.take(alive)
            left_alone = frozen if attempt < _PASSES // 2 else frozenset[str]()
            scene = RepairState(part, self.facts, left_alone, attempt, rng, self.determined)
            hit, moved = self._pass(scene, gentle, touched, alive, check_only=attempt == _PASSES)
            if attempt:
                table.put(alive, part)
            unrepaired[alive] = hit
            # A row that only rules without a move complain of stays as it is.
            alive = alive[moved]
            if not len(alive):
                break
        return unrepaired, touched

    def _pass(
        self, scene: RepairState, gentle: bool, touched: Touched, at: Rows, *, check_only: bool
    ) -> tuple[Mask, Mask]:
        hit = np.zeros(len(scene.table), dtype=bool)
        moved = hit.copy()
        for i, rule in enumerate(self.rules):
            mask = broken_rows(rule, scene.table, self.statistics[i])
            if not mask.any():
                continue
            hit |= mask
            if check_only or rule.kind == "predicate" or (gentle and rule.kind == "range"):
                continue
            rows = np.flatnonzero(mask)
            self._move(i, scene, rows)
            moved |= mask
            touched[i, at[rows]] = True
        return hit, moved

    def _move(self, i: int, scene: RepairState, rows: Rows) -> None:
        rule, learned = self.rules[i], self.statistics[i]
        if rule.kind == "range":
            move_range(rule, scene, rows)
        elif rule.kind == "order":
            move_order(rule, scene, rows)
        elif rule.kind in ("sum", "linear"):
            move_linear(rule, scene, rows, i)
        elif rule.kind == "one_hot":
            move_one_hot(rule, learned, scene, rows)
        elif rule.kind == "combination":
            assert learned.tuples is not None
            move_to_tuple(learned.tuples, scene, rows)
        else:
            move_dependency(rule, learned, scene, rows)
