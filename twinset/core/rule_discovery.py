"""Find rules that hold in all rows of a real table, or in nearly all, to be proposed to its owner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow.compute as pc

from twinset.core._rule_checks import broken_rows
from twinset.core._rule_search_labels import dependencies, keys, one_hot_groups
from twinset.core._rule_search_numbers import (
    linear_relations,
    never_negative,
    orders,
    sums,
)
from twinset.core._rule_table import NUMERIC, RuleTable
from twinset.core.dataset import Dataset
from twinset.core.rules import Rule

_SAMPLE_CELLS, _MOST_SAMPLE, _LEAST_ROWS = 2_000_000, 4_000, 30
NEARLY = 0.005
"""A rule that at most this share of the rows breaks is worth a look."""


@dataclass(frozen=True)
class ProposedRule:
    """A rule that real rows suggest.

    Parameters
    ----------
    rule : Rule
        The rule.
    support_rows : int
        Rows that could have broken it: those in which none of its columns is missing.
    broken_rows : int
        Rows that do break it.
    text : str
        The same in words, for a comment.
    """

    rule: Rule
    support_rows: int
    broken_rows: int
    text: str

    @property
    def holds(self) -> bool:
        """Whether no row breaks it."""
        return self.broken_rows == 0


def discover_rules(dataset: Dataset, *, nearly: float = NEARLY) -> list[ProposedRule]:
    """Return the rules that a table suggests, those without a breaking row first.

    Looked for are sums of up to four parts, linear relations of two numbers, orders, numbers that
    are never negative, one-hot groups, columns that another one decides, and keys of one or two
    columns. A sample finds the candidates, all rows decide. What independent columns would show
    anyway is no rule: two numbers on different scales have no order, a rare label is decided by
    nothing.

    Parameters
    ----------
    dataset : Dataset
        The real table; at least 30 rows, else nothing is found.
    nearly : float
        Share of rows that may break a rule for it to be listed, in [0, 1).

    Examples
    --------
    >>> import pyarrow as pa
    >>> rng = np.random.default_rng(0)
    >>> start, days = rng.integers(0, 300, 500), rng.integers(0, 90, 500)
    >>> table = pa.table({"start": start, "days": days, "end": start + days})
    >>> found = discover_rules(Dataset.from_arrow(table))
    >>> found[0].text, found[0].support_rows
    ('end = start + days', 500)
    """
    if len(dataset) < _LEAST_ROWS:
        return []
    kinds = (*NUMERIC, "category")
    names = [field.name for field in dataset.schema.fields if field.kind in kinds]
    table = RuleTable.of(dataset, names)
    n_sample = int(np.clip(_SAMPLE_CELLS // max(len(names), 1), 400, _MOST_SAMPLE))
    rows = np.unique(np.linspace(0, len(dataset) - 1, n_sample).astype(np.int64))
    found = [_identifier(dataset, field.name) for field in dataset.schema.of_kind("id")]
    found = [one for one in found if one.holds]
    for rule, text in _candidates(table, table.take(rows), nearly):
        broken = int(broken_rows(rule, table).sum())
        support = len(table) - int(table.missing(rule.columns).sum())
        if support >= _LEAST_ROWS and broken <= nearly * support:
            found.append(ProposedRule(rule, support, broken, text))
    kept = [one for one in found if not _is_implied(one, found)]
    return sorted(kept, key=lambda one: not one.holds)


def _identifier(dataset: Dataset, name: str) -> ProposedRule:
    column = dataset.records.column(name)
    present = len(column) - column.null_count
    repeated = present - pc.count_distinct(column, mode="only_valid").as_py()
    return ProposedRule(Rule("unique", (name,)), present, repeated, f"{name} is a key")


def _candidates(table: RuleTable, sample: RuleTable, nearly: float) -> Iterator[tuple[Rule, str]]:
    yield from sums(table, sample)
    yield from linear_relations(table, sample)
    yield from orders(table, sample, nearly)
    yield from never_negative(table)
    yield from one_hot_groups(table, nearly)
    yield from dependencies(table, sample, nearly)
    yield from keys(table, sample)


def _is_implied(one: ProposedRule, found: list[ProposedRule]) -> bool:
    """Return whether other rules say the same: an order by a sum, a dependency by a relation."""
    rule = one.rule
    exact = [other.rule for other in found if other.holds and other is not one]
    if rule.kind == "order":
        said = [set(other.columns) for other in exact if other.kind in ("sum", "linear")]
        return all(any({a, b} <= other for other in said) for a, b in pairwise(rule.columns))
    if rule.kind == "sum":
        return _follows_from_sums(rule, [other for other in exact if other.kind == "sum"])
    if rule.kind != "dependency":
        return False
    if any(other.kind == "linear" and set(other.columns) == set(rule.columns) for other in exact):
        return True
    left, right = rule.columns
    decided = {other.columns for other in exact if other.kind == "dependency"}
    between = {b for a, b in decided if a == left and b != right}
    # Of city -> county -> country the third, city -> country, follows.
    return any((middle, right) in decided and (middle, left) not in decided for middle in between)


def _follows_from_sums(rule: Rule, sums: list[Rule]) -> bool:
    """Return whether a sum is another one with a part put in the place of its own sum."""
    for outer in sums:
        for inner in sums:
            if outer.columns[0] == rule.columns[0] and inner.columns[0] in outer.columns[1:]:
                parts = (set(outer.columns[1:]) - {inner.columns[0]}) | set(inner.columns[1:])
                if parts == set(rule.columns[1:]):
                    return True
    return False
