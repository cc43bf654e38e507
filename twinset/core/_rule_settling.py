"""Move the rows of a table until all rules hold in them, or until nothing moves any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from twinset.core._rule_checks import broken_rows, linear_form
from twinset.core._rule_choices import move_dependency, move_one_hot, move_to_tuple
from twinset.core._rule_learning import ColumnFacts, Lesson, learn
from twinset.core._rule_moves import (
    Scene,
    columns_to_recompute,
    move_linear,
    move_order,
    move_range,
)
from twinset.core._rule_table import NUMERIC, Levels, Mask, Rows, RuleTable

if TYPE_CHECKING:
    from twinset.core.dataset import Dataset
    from twinset.core.rules import Rule

_PASSES = 30
Touched = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RowRules:
    """The rules that can be asked of one row alone, with what real rows taught about them.

    Build one with `RowRules.learn`.

    Parameters
    ----------
    rules : tuple of Rule
        All kinds but unique.
    lessons : tuple of Lesson
        One for each rule.
    facts : mapping
        Numeric column -> its range and grid.
    levels : mapping
        Any other column -> its values.
    determined : mapping
        Position of a linear rule -> its columns, the one to recompute first.
    """

    rules: tuple[Rule, ...]
    lessons: tuple[Lesson, ...]
    facts: Mapping[str, ColumnFacts]
    levels: Mapping[str, Levels]
    determined: Mapping[int, tuple[str, ...]]

    @classmethod
    def learn(cls, rules: Sequence[Rule], train: Dataset, names: Sequence[str]) -> RowRules:
        """Return the rules with what the rows of `train` teach; `names` are their columns."""
        table = RuleTable.of(train, names)
        lessons = tuple(learn(rule, table) for rule in rules)
        facts = {
            name: ColumnFacts.of(table.fields[name], table.columns[name], rules)
            for name in names
            if table.fields[name].kind in NUMERIC
        }
        determined, taken = {}, set[str]()
        for position, rule in enumerate(rules):
            if rule.kind in ("sum", "linear"):
                order = columns_to_recompute(rule, facts, taken)
                determined[position] = order
                low, high = linear_form(rule)[1:]
                taken |= {order[0]} if low == high else set()
        return cls(tuple(rules), lessons, facts, table.levels, determined)

    def read(self, dataset: Dataset, levels: Mapping[str, Levels]) -> RuleTable:
        """Return the columns that the rules speak of, in the given levels (see `new_levels`)."""
        return RuleTable.of(dataset, (*self.facts, *self.levels), levels)

    def new_levels(self) -> dict[str, Levels]:
        """Return the levels for one chunk, which may meet texts that no real row has."""
        return {name: levels.copy() for name, levels in self.levels.items()}

    def broken(self, table: RuleTable) -> Touched:
        """Return which rule each row breaks, shape (rules, n)."""
        every = np.zeros((len(self.rules), len(table)), dtype=bool)
        for i, rule in enumerate(self.rules):
            every[i] = broken_rows(rule, table, self.lessons[i])
        return every

    def settle(
        self, table: RuleTable, frozen: frozenset[str], gentle: bool, rng: np.random.Generator
    ) -> tuple[Mask, Touched]:
        """Move rows, in place, until the rules hold; the moves vary at random after the first pass.

        Parameters
        ----------
        table : RuleTable
            The rows.
        frozen : frozenset of str
            Columns to leave alone in the first half of the passes.
        gentle : bool
            Whether rows that break a range are left for a new draw.
        rng : numpy.random.Generator
            The stream.

        Returns
        -------
        numpy.ndarray
            Rows that still break a rule, shape (n,).
        numpy.ndarray
            Rows that each rule moved, shape (rules, n).
        """
        touched = np.zeros((len(self.rules), len(table)), dtype=bool)
        unsettled = np.zeros(len(table), dtype=bool)
        alive = np.arange(len(table))
        for attempt in range(_PASSES + 1):
            part = table if attempt == 0 else table.take(alive)
            held = frozen if attempt < _PASSES // 2 else frozenset[str]()
            scene = Scene(part, self.facts, held, attempt, rng, self.determined)
            hit, moved = self._pass(scene, gentle, touched, alive, check_only=attempt == _PASSES)
            if attempt:
                table.put(alive, part)
            unsettled[alive] = hit
            # A row that only rules without a move complain of stays as it is.
            alive = alive[moved]
            if not len(alive):
                break
        return unsettled, touched

    def _pass(
        self, scene: Scene, gentle: bool, touched: Touched, at: Rows, *, check_only: bool
    ) -> tuple[Mask, Mask]:
        hit = np.zeros(len(scene.table), dtype=bool)
        moved = hit.copy()
        for i, rule in enumerate(self.rules):
            mask = broken_rows(rule, scene.table, self.lessons[i])
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

    def _move(self, i: int, scene: Scene, rows: Rows) -> None:
        rule, lesson = self.rules[i], self.lessons[i]
        if rule.kind == "range":
            move_range(rule, scene, rows)
        elif rule.kind == "order":
            move_order(rule, scene, rows)
        elif rule.kind in ("sum", "linear"):
            move_linear(rule, scene, rows, i)
        elif rule.kind == "one_hot":
            move_one_hot(rule, lesson, scene, rows)
        elif rule.kind == "combination":
            assert lesson.tuples is not None
            move_to_tuple(lesson.tuples, scene, rows)
        else:
            move_dependency(rule, lesson, scene, rows)
