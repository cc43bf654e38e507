"""Which rules new rows must keep: those that were declared, or those that all real rows keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from twinset.core.data.rule import Rule, rules_from_json
from twinset.core.rules.discover import discover_rules
from twinset.core.rules.violations import violations
from twinset.sklearn._columns import Rows, SamplerInputError
from twinset.sklearn._order import Hashes, row_hashes
from twinset.sklearn._tables import Table, dataset_of

RuleWords = Sequence[Rule | Mapping[str, Any]] | None
_LOOKED_AT, _FEWEST_OTHERS = 4_000, 1_000
_MOST_COLUMNS = 300


def rules_for(words: RuleWords, table: Table, rare: Rows) -> tuple[Rule, ...]:
    """Return the rules that new rows must keep.

    Parameters
    ----------
    words : sequence of Rule or mapping, or None
        Declared rules, ``{"kind": "sum", "columns": ["total", "net", "tax"]}``; columns of an array
        are called x0, x1, ... None looks for rules that hold in every real row; an empty sequence
        stands for none.
    table : Table
        All real rows.
    rare : numpy.ndarray
        Positions of the rows whose classes are to grow.

    Raises
    ------
    SamplerInputError
        A declared rule names a column that does not exist, or says that values occur once.
    """
    if words is not None:
        given = tuple(rule for rule in words if isinstance(rule, Rule))
        rest = [dict(rule) for rule in words if not isinstance(rule, Rule)]
        declared = (*given, *rules_from_json(rest))
        for rule in declared:
            if rule.kind == "unique":
                raise SamplerInputError(
                    f"the rule {rule} cannot be held by a sampler: keys of new rows are copies",
                    todo="leave the rule out, or leave the column out of X",
                )
            for name in rule.columns:
                if name not in table.names:
                    raise SamplerInputError(
                        f"the rule {rule} speaks of a column that does not exist",
                        got=f"'{name}'",
                        allowed=", ".join(table.names[:30]),
                    )
        return declared
    if len(table.names) > _MOST_COLUMNS:
        return ()
    return _found(table, rare)


def _found(table: Table, rare: Rows) -> tuple[Rule, ...]:
    """Look at some rows for candidates, and ask all rows whether these hold."""
    looked_at = dataset_of(table, _some_rows(table, rare))
    found = [one.rule for one in discover_rules(looked_at) if one.holds]
    kept = []
    every = np.arange(len(table))
    for rule in found:
        # A key says that rows differ, which new rows do anyway, and copies are looked for apart.
        if (
            rule.kind != "unique"
            and not violations(rule, dataset_of(table, every, rule.columns)).any()
        ):
            kept.append(rule)
    return tuple(kept)


def _some_rows(table: Table, rare: Rows) -> Rows:
    """Return positions of rare rows and of some others; which ones does not depend on their order."""
    n_others = max(_LOOKED_AT - len(rare), _FEWEST_OTHERS)
    is_rare = np.zeros(len(table), dtype=bool)
    is_rare[rare] = True
    others = np.flatnonzero(~is_rare)
    return np.concatenate([_least(table, rare, _LOOKED_AT), _least(table, others, n_others)])


def _least(table: Table, rows: Rows, most: int) -> Rows:
    """Return at most so many of the rows, in an order that does not depend on theirs.

    One finely divided column tells them apart where no two share a value, which costs less than all.
    """
    if len(rows) == 0:
        return rows
    hashes = _telling_hashes(table, rows)
    if len(rows) > 8 * most and hashes is not None:
        nearly = hashes <= np.partition(hashes, 2 * most)[2 * most]
        if nearly.sum() < 4 * most:
            rows, hashes = rows[nearly], hashes[nearly]
    if hashes is None or len(np.unique(hashes)) < len(hashes):
        hashes = row_hashes(dataset_of(table, rows))
    if len(rows) > most:
        least = np.argpartition(hashes, most)[: most + 1]
        rows, hashes = rows[least], hashes[least]
    return np.asarray(rows[np.argsort(hashes, kind="stable")[:most]])


def _telling_hashes(table: Table, rows: Rows) -> Hashes | None:
    """Return hashes of the first column of numbers without a step; None if there is none."""
    fields = [column.field for column in table.columns]
    free = [field.name for field in fields if field.is_continuous and field.decimals is None]
    return row_hashes(dataset_of(table, rows, free[:1])) if free else None
