"""Moves on numbers: bring rows that break a range, an order or a linear rule a step closer to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from twinset.core._rule_checks import excess, linear_form
from twinset.core._rule_learning import ColumnFacts, Floats
from twinset.core._rule_table import Rows, RuleTable

if TYPE_CHECKING:
    from twinset.core.rules import Rule


@dataclass(frozen=True)
class Scene:
    """What a move works on.

    Parameters
    ----------
    table : RuleTable
        The rows; moves write into it.
    facts : mapping
        Facts of the numeric columns.
    frozen : frozenset of str
        Columns that a condition speaks of: left alone as long as there is another way.
    attempt : int
        0 for the first, best move; later ones vary at random, so that overlapping rules can settle.
    rng : numpy.random.Generator
        The stream.
    determined : mapping
        Position of a linear rule -> its columns, the one to recompute first.
    """

    table: RuleTable
    facts: Mapping[str, ColumnFacts]
    frozen: frozenset[str]
    attempt: int
    rng: np.random.Generator
    determined: Mapping[int, tuple[str, ...]]


def move_range(rule: Rule, scene: Scene, rows: Rows) -> None:
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
    made = np.where(low_side, facts.snap(inside, 1), facts.snap(inside, -1))
    scene.table.columns[name][rows] = np.clip(made, low, high)


def move_order(rule: Rule, scene: Scene, rows: Rows) -> None:
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
    matrix: Floats, names: tuple[str, ...], scene: Scene, strict: bool, upwards: bool
) -> None:
    """Raise each value to the one before it, or lower each to the one behind it."""
    columns = range(1, len(names)) if upwards else range(len(names) - 2, -1, -1)
    for j in columns:
        if names[j] in scene.frozen:
            continue
        other = j - 1 if upwards else j + 1
        facts, sign = scene.facts[names[j]], 1 if upwards else -1
        gap = sign * max(facts.gap, scene.facts[names[other]].gap) if strict else 0.0
        bound = facts.snap(matrix[:, other] + gap, sign)
        wrong = matrix[:, j] < bound if upwards else matrix[:, j] > bound
        matrix[wrong, j] = bound[wrong]


def move_linear(rule: Rule, scene: Scene, rows: Rows, position: int) -> None:
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


def _jolt(names: tuple[str, ...], scene: Scene, rows: Rows) -> Rows:
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
