"""Moves on values that go together: flags, allowed combinations, columns that others decide."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from twinset.core._rule_checks import flag_value, ones
from twinset.core._rule_learning import Lesson
from twinset.core._rule_moves import Scene
from twinset.core._rule_table import Rows
from twinset.core._rule_tuples import TupleIndex

if TYPE_CHECKING:
    from twinset.core.rules import Rule

_MOST_SUBSETS = 40


def move_one_hot(rule: Rule, lesson: Lesson, scene: Scene, rows: Rows) -> None:
    """Keep one of the flags that are set, or set one; which one is drawn by the real shares."""
    assert lesson.shares is not None
    table = scene.table
    flags = np.column_stack([ones(table, name)[rows] for name in rule.columns])
    frozen = np.array([name in scene.frozen for name in rule.columns])
    weights = np.where(flags.any(axis=1, keepdims=True), flags, True) * lesson.shares
    kept_set, kept_unset = flags & frozen, ~flags & frozen
    weights = np.where(kept_set.any(axis=1, keepdims=True), kept_set * lesson.shares, weights)
    possible = weights * ~kept_unset
    # Where the flags that are set may not be kept, any other may be set.
    open_ = np.where(
        possible.any(axis=1, keepdims=True), possible, ~kept_unset * lesson.shares + 1e-12
    )
    cumulated = np.cumsum(open_, axis=1)
    at = scene.rng.random((len(rows), 1)) * cumulated[:, -1:]
    chosen = np.minimum((cumulated <= at).sum(axis=1), len(frozen) - 1)
    for j, name in enumerate(rule.columns):
        if not frozen[j]:
            one, zero = flag_value(table, name, True), flag_value(table, name, False)
            table.columns[name][rows] = np.where(chosen == j, one, zero)


def move_to_tuple(
    tuples: TupleIndex, scene: Scene, rows: Rows, keep: frozenset[str] = frozenset()
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
    names: tuple[str, ...], kept: frozenset[str] | set[str], scene: Scene
) -> list[tuple[str, ...]]:
    """Return the sets of columns to share, largest first, those of one size in random order."""
    free = [name for name in names if name not in kept]
    most = len(free) - 1 if scene.attempt < 3 else int(scene.rng.integers(0, len(free)))
    every: list[tuple[str, ...]] = []
    for size in range(most, -1, -1):
        chosen = list(itertools.islice(itertools.combinations(free, size), _MOST_SUBSETS))
        for at in scene.rng.permutation(len(chosen)):
            shared = {*kept, *chosen[at]}
            every.append(tuple(name for name in names if name in shared))
    return every


def move_dependency(rule: Rule, lesson: Lesson, scene: Scene, rows: Rows) -> None:
    """Look the last column up; where it must stay, or now and then later on, move what decides it."""
    assert lesson.tuples is not None
    last = rule.columns[-1]
    backwards = np.zeros(len(rows), dtype=bool)
    if last in scene.frozen:
        backwards[:] = True
    elif scene.attempt and not scene.frozen >= set(rule.columns[:-1]):
        backwards = scene.rng.random(len(rows)) < 0.4
    move_to_tuple(lesson.tuples, scene, rows[backwards], frozenset({last}))
    own = rows[~backwards]
    column = scene.table.columns[last]
    column[own] = lesson.decided(scene.table.take(own)).astype(column.dtype)
