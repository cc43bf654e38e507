"""Which rows of a table break a rule: one vectorised check for each kind."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core._rule_evaluation import microseconds
from twinset.core._rule_table import Mask, Rows, RuleTable
from twinset.core._rule_tuples import TupleIndex
from twinset.core.errors import RecipeError

if TYPE_CHECKING:
    from twinset.core.rules import Rule

TOLERANCE = 1e-6
_ONES = ("1", "1.0", "true")
_ZEROS = ("0", "0.0", "false")


class Learnt(Protocol):
    """What real rows taught about one rule."""

    @property
    def tuples(self) -> TupleIndex | None:
        """The tuples that may occur."""

    def decided(self, table: RuleTable) -> npt.NDArray[np.float64]:
        """Return what the last column of a dependency must be in each row, shape (n,)."""


def broken_rows(rule: Rule, table: RuleTable, learnt: Learnt | None = None) -> Mask:
    """Return the rows that break a rule, shape (n,)."""
    return _CHECKS[rule.kind](rule, table, learnt)


def ones(table: RuleTable, name: str) -> Mask:
    """Return the rows in which a flag is set, shape (n,)."""
    if table.is_numeric(name):
        return np.asarray(table.columns[name] == 1)
    set_codes = [code for code, text in enumerate(table.levels[name].texts) if text in _ONES]
    return np.isin(table.columns[name], set_codes)


def flag_value(table: RuleTable, name: str, one: bool) -> float:
    """Return what stands for 1, or for 0, in the column of a flag."""
    if table.is_numeric(name):
        return float(one)
    texts = table.levels[name].texts
    for text in _ONES if one else _ZEROS:
        if text in texts:
            return float(texts.index(text))
    return float(table.levels[name].code(_ONES[0] if one else _ZEROS[0]))


def linear_form(rule: Rule) -> tuple[dict[str, float], float, float]:
    """Return coefficients, least and greatest value of a sum or of a linear rule."""
    if rule.kind == "sum":
        return {name: 1.0 if i == 0 else -1.0 for i, name in enumerate(rule.columns)}, 0.0, 0.0
    settings = rule.settings
    coefficients = {name: float(settings["coefficients"][name]) for name in rule.columns}
    if settings.get("equals") is not None:
        return coefficients, float(settings["equals"]), float(settings["equals"])
    low, high = settings.get("at_least"), settings.get("at_most")
    return (
        coefficients,
        -np.inf if low is None else float(low),
        np.inf if high is None else float(high),
    )


def excess(rule: Rule, table: RuleTable) -> npt.NDArray[np.float64]:
    """Return by how much each row lies outside a linear rule, shape (n,); 0 inside its tolerance."""
    coefficients, low, high = linear_form(rule)
    terms = [c * table.numbers(name) for name, c in coefficients.items()]
    total = np.sum(terms, axis=0)
    scale = np.max(np.abs(terms), axis=0)
    short = any(pa.types.is_float32(table.fields[name].arrow_type) for name in coefficients)
    # Beside the tolerance: the last bits of the floats that were added.
    slack = float(rule.settings.get("tolerance", TOLERANCE)) + (1e-6 if short else 1e-12) * scale
    outside = total - np.clip(total, low, high)
    return np.where(np.abs(outside) > slack, outside, 0.0)


def allowed_tuples(rule: Rule, table: RuleTable) -> TupleIndex | None:
    """Return the tuples that a combination lists, in the codes of `table`; None if it lists none."""
    rows = rule.settings.get("allowed")
    if rows is None:
        return None
    known = [row for row in rows if all(value is not None for value in row)]
    columns = {
        name: np.array([_read(rule, row[i], table, name) for row in known])
        for i, name in enumerate(rule.columns)
    }
    listed = RuleTable(
        {n: v if table.is_numeric(n) else v.astype(np.int64) for n, v in columns.items()},
        table.fields,
        table.levels,
    )
    found = TupleIndex.of(listed, rule.columns)
    found.counts = np.zeros_like(found.counts)
    return found


def _read(rule: Rule, value: object, table: RuleTable, name: str) -> float:
    kind = table.fields[name].kind
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if not table.is_numeric(name):
        return table.levels[name].code(text)
    if kind == "boolean":
        return float(text.lower() in _ONES)
    if kind == "datetime":
        return microseconds(value, text)
    try:
        return float(text)
    except ValueError as error:
        raise RecipeError(
            f"a rule '{rule.kind}' allows a text for the column '{name}'",
            got=type(value).__name__,
            allowed=f"values of kind {kind}",
        ) from error


def _range(rule: Rule, table: RuleTable, learnt: Learnt | None) -> Mask:
    values = table.numbers(rule.columns[0])
    low, high = rule.settings.get("low"), rule.settings.get("high")
    broken = np.zeros(len(values), dtype=bool)
    if low is not None:
        broken |= values < float(low)
    if high is not None:
        broken |= values > float(high)
    return broken


def _order(rule: Rule, table: RuleTable, learnt: Learnt | None) -> Mask:
    columns = [table.numbers(name) for name in rule.columns]
    wrong = np.greater_equal if rule.settings.get("strict") else np.greater
    return np.asarray(np.any([wrong(a, b) for a, b in itertools.pairwise(columns)], axis=0))


def _linear(rule: Rule, table: RuleTable, learnt: Learnt | None) -> Mask:
    return np.asarray(excess(rule, table) != 0)


def _one_hot(rule: Rule, table: RuleTable, learnt: Learnt | None) -> Mask:
    n_set = np.sum([ones(table, name) for name in rule.columns], axis=0)
    return np.asarray((n_set != 1) & ~table.missing(rule.columns))


def _combination(rule: Rule, table: RuleTable, learnt: Learnt | None) -> Mask:
    tuples = learnt.tuples if learnt is not None else allowed_tuples(rule, table)
    if tuples is None:
        return np.zeros(len(table), dtype=bool)
    return np.asarray((tuples.find(table) < 0) & ~table.missing(rule.columns))


def _dependency(rule: Rule, table: RuleTable, learnt: Learnt | None) -> Mask:
    last = table.columns[rule.columns[-1]]
    present = ~table.missing(rule.columns)
    if learnt is not None:
        return np.asarray(present & (learnt.decided(table) != last))
    rows = np.flatnonzero(present)
    first = _first_of_codes(table.keys(rule.columns[:-1])[rows])
    broken = np.zeros(len(table), dtype=bool)
    broken[rows] = last[rows] != last[rows[first]]
    return broken


def _unique(rule: Rule, table: RuleTable, learnt: Learnt | None) -> Mask:
    keys = table.keys(rule.columns)
    return np.asarray((keys >= 0) & (_first_of_codes(keys) != np.arange(len(keys))))


def _predicate(rule: Rule, table: RuleTable, learnt: Learnt | None) -> Mask:
    assert rule.predicate is not None
    return rule.predicate.broken(table)


def first_of(keys: npt.NDArray[np.integer[Any]]) -> Rows:
    """Return for each row the first row that has the same key, shape (n,)."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return np.asarray(first[inverse.ravel()])


def _first_of_codes(codes: Rows) -> Rows:
    """Return the same as `first_of` for codes from -1 on, in time that grows with n alone."""
    first = np.zeros(int(codes.max(initial=-1)) + 2, dtype=np.int64)
    # Of several assignments to one place the last one stays: the first row.
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return np.asarray(first[codes])


_CHECKS: Mapping[str, Callable[[Rule, RuleTable, Learnt | None], Mask]] = {
    "range": _range,
    "order": _order,
    "sum": _linear,
    "linear": _linear,
    "one_hot": _one_hot,
    "combination": _combination,
    "dependency": _dependency,
    "unique": _unique,
    "predicate": _predicate,
}
