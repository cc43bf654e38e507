"""The rules that new rows must satisfy: declared ones, or those that all real rows satisfy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from twinset.core.data.rule import Rule, rules_from_json
from twinset.core.rules.discover import discover_rules
from twinset.core.rules.violations import violations
from twinset.sklearn._columns import Rows, SamplerInputError
from twinset.sklearn._rows import row_hashes
from twinset.sklearn._tables import Table

RuleWords = Sequence[Rule | Mapping[str, Any]] | None
_N_SEARCHED, _MIN_OTHERS = 4_000, 1_000  # rows searched for candidates, which all rows then confirm
_MAX_COLUMNS = 300  # wider tables are not searched: candidates grow with the square of the columns


def rules_for(words: RuleWords, table: Table, rare: Rows) -> tuple[Rule, ...]:
    """Return the rules that new rows must satisfy.

    `words` are declared rules, ``{"kind": "sum", "columns": ["total", "net", "tax"]}``; columns of an
    array are called x0, x1, ... None discovers rules that every real row satisfies; an empty sequence
    stands for none. `rare` are the rows whose classes are to grow.

    Raises
    ------
    SamplerInputError
        A declared rule names a column that does not exist, or requires unique values.
    """
    if words is None:
        return _discover(table, rare) if len(table.names) <= _MAX_COLUMNS else ()
    given = tuple(rule for rule in words if isinstance(rule, Rule))
    declared = (*given, *rules_from_json([dict(r) for r in words if not isinstance(r, Rule)]))
    for rule in declared:
        if rule.kind == "unique":
            raise SamplerInputError(
                f"the rule {rule} cannot be enforced by a sampler: keys of new rows are copies",
                todo="leave the rule out, or leave the column out of X",
            )
        unknown = [name for name in rule.columns if name not in table.names]
        if unknown:
            raise SamplerInputError(
                f"the rule {rule} names a column that does not exist",
                got=f"'{unknown[0]}'",
                allowed=", ".join(table.names[:30]),
            )
    return declared


def _discover(table: Table, rare: Rows) -> tuple[Rule, ...]:
    """Return the rules found in some rows that all rows satisfy."""
    is_rare = np.zeros(len(table), dtype=bool)
    is_rare[rare] = True
    n_others = max(_N_SEARCHED - len(rare), _MIN_OTHERS)
    others = _sample(table, np.flatnonzero(~is_rare), n_others)
    searched = table.dataset(np.concatenate([_sample(table, rare, _N_SEARCHED), others]))
    found = [one.rule for one in discover_rules(searched) if one.holds]
    every = np.arange(len(table))
    # A key requires different rows, which new rows are anyway, and copies are rejected separately.
    return tuple(
        rule
        for rule in found
        if rule.kind != "unique" and not violations(rule, table.dataset(every, rule.columns)).any()
    )


def _sample(table: Table, rows: Rows, n: int) -> Rows:
    """Return at most `n` of the rows, those with the least hashes, whatever their order.

    The first column of free numbers tells rows apart where no two share a value, which costs less than
    all columns.
    """
    if len(rows) == 0:
        return rows
    fields = [column.field for column in table.columns]
    free = [field.name for field in fields if field.is_continuous and field.decimals is None]
    hashes = row_hashes(table.dataset(rows, free[:1])) if free else None
    if len(rows) > 8 * n and hashes is not None:
        nearly = hashes <= np.partition(hashes, 2 * n)[2 * n]
        if nearly.sum() < 4 * n:
            rows, hashes = rows[nearly], hashes[nearly]
    if hashes is None or len(np.unique(hashes)) < len(hashes):
        hashes = row_hashes(table.dataset(rows))
    if len(rows) > n:
        least = np.argpartition(hashes, n)[: n + 1]
        rows, hashes = rows[least], hashes[least]
    return np.asarray(rows[np.argsort(hashes, kind="stable")[:n]])
