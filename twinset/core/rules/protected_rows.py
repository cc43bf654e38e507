"""Protected rows in which the rules of the real rows hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule
from twinset.core.data.value_protection import Named, ProtectedRows, protect_values
from twinset.core.data.where import Where
from twinset.core.errors import RecipeError
from twinset.core.rules.columns import Rows
from twinset.core.rules.discover import discover_rules
from twinset.core.rules.enforce import RuleEnforcer

# Relations that every real row satisfies hold in protected rows too, though nobody declared them.
_RELATIONS = ("sum", "linear", "order", "dependency", "one_hot")


def protect_rows(real: Dataset, rng: np.random.Generator, named: Named | None = None) -> Dataset:
    """Return real rows whose values of single persons are replaced; rules hold as in the real rows.

    See `twinset.core.data.value_protection.protect_values`. Sums, orders, dependencies and the like
    that every real row satisfies, and declared rules, are repaired in the rows that were changed; those
    in `named` stay.

    Examples
    --------
    >>> import pyarrow as pa
    >>> x = np.random.default_rng(0).normal(size=60).round(4)
    >>> real = Dataset.from_arrow(pa.table({"x": x, "twice": 2 * x}))
    >>> rows = protect_rows(real, np.random.default_rng(1))
    >>> bool(np.allclose(rows.values("twice"), 2 * rows.values("x"))), bool((rows.values("x") == x).any())
    (True, False)
    """
    found = protect_values(real, rng, named)
    values = found.dataset
    declared = [rule for rule in real.schema.rules if rule.kind != "unique"]
    rules = [*declared, *_relations(real, found, declared)]
    for group in _connected(rules):
        for kept in (group, [rule for rule in group if rule in declared]):
            try:
                found = replace(found, dataset=_repaired(found, kept, rng))
                break
            except RecipeError:  # these do not hold together; declared ones are enforced in draws
                continue
    return _with_named(values, found.dataset, named or {})


def _unchanged_rows(found: ProtectedRows, rule: Rule) -> Rows:
    """Return the rows in which no column of a rule was changed; all where there is none."""
    rows = np.flatnonzero(~found.rows_changed_in(rule.columns))
    return rows if len(rows) else np.arange(len(found.dataset))


def _with_named(values: Dataset, repaired: Dataset, named: Named) -> Dataset:
    """Return the repaired rows; rows that lost a named value thereby are as before the repair."""
    lost = np.zeros(len(values), dtype=bool)
    for name in set(named) & set(values.schema.names):
        spelled: Any = list(named[name])
        is_named = Where({name: spelled})
        lost |= values.mask(is_named) & ~repaired.mask(is_named)
    if not lost.any():
        return repaired
    order = np.arange(len(values)) + len(values) * lost
    both = Dataset.concat([repaired, values]).take(order)
    return replace(repaired, records=both.records)


def _connected(rules: Sequence[Rule]) -> list[list[Rule]]:
    """Return the rules in groups that share no column."""
    groups: list[list[Rule]] = []
    for rule in rules:
        near = [g for g in groups if any(set(rule.columns) & set(one.columns) for one in g)]
        groups = [g for g in groups if g not in near]
        groups.append([*(one for g in near for one in g), rule])
    return groups


def _relations(real: Dataset, found: ProtectedRows, declared: Sequence[Rule]) -> list[Rule]:
    """Return the relations of changed columns that all real rows satisfy and nobody declared."""
    if not found.changed:
        return []
    names = [field.name for field in real.schema.fields if field.is_tabular]
    kinds = {(rule.kind, frozenset(rule.columns)) for rule in declared}
    return [
        one.rule
        for one in discover_rules(real.select(names))
        if one.holds
        and one.rule.kind in _RELATIONS
        and set(one.rule.columns) & set(found.changed)
        and (one.rule.kind, frozenset(one.rule.columns)) not in kinds
    ]


def _repaired(found: ProtectedRows, rules: Sequence[Rule], rng: np.random.Generator) -> Dataset:
    """Return the protected rows with changed ones repaired by what unchanged values show of each rule.

    Raises
    ------
    RecipeError
        The rules do not hold together in some row.
    """
    changed = found.rows_changed_in(name for rule in rules for name in rule.columns)
    if not rules or not changed.any():
        return found.dataset
    enforcer = RuleEnforcer.learn(found.dataset, rules, partial(_unchanged_rows, found))
    assert enforcer is not None
    broken = np.flatnonzero(changed & ~enforcer.none_broken(found.dataset))
    if not len(broken):
        return found.dataset
    fixed = enforcer.enforce(found.dataset.take(broken), rng).dataset
    order = np.arange(len(found.dataset))
    order[broken] = len(order) + np.arange(len(broken))
    both = Dataset.concat([found.dataset, fixed]).take(order)
    return replace(found.dataset, records=both.records)
