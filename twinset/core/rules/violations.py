"""Which rows of a table break a rule: one vectorised check for each kind."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.rule import ARITHMETIC, fault
from twinset.core.errors import RecipeError
from twinset.core.rules.columns import Mask, Rows, RuleStatistics, RuleTable, TupleIndex

if TYPE_CHECKING:
    from twinset.core.data.dataset import Dataset
    from twinset.core.data.rule import Rule

_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_DAY = 86_400e6  # microseconds
Operand = Literal["number", "time", "text", "truth", "constant"]
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: pc.less,
    ast.LtE: pc.less_equal,
    ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
    ast.Eq: pc.equal,
    ast.NotEq: pc.not_equal,
}


@dataclass(frozen=True)
class _Value:
    """An Arrow column, null where it is unknown, or one constant."""

    kind: Operand
    data: Any

    @property
    def is_number(self) -> bool:
        """Whether one can calculate with it."""
        is_number = isinstance(self.data, int | float) and not isinstance(self.data, bool)
        return self.kind == "number" or (self.kind == "constant" and is_number)


class Evaluation:
    """One walk over the tree with the columns of one table; `and`, `or`, `not` are Kleene's."""

    def __init__(self, text: str, table: RuleTable) -> None:
        self.text, self.table = text, table

    def truth(self, node: ast.expr) -> pa.Array:
        """Return where an expression is true, null where that is unknown."""
        if isinstance(node, ast.BoolOp):
            join = pc.or_kleene if isinstance(node.op, ast.Or) else pc.and_kleene
            return reduce(join, [self.truth(value) for value in node.values])
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return pc.invert(self.truth(node.operand))
        if isinstance(node, ast.Compare):
            sides = itertools.pairwise([node.left, *node.comparators])
            parts = [self._comparison(op, *pair) for op, pair in zip(node.ops, sides, strict=True)]
            return reduce(pc.and_kleene, parts)
        value = self._value(node)
        if value.kind == "constant" and isinstance(value.data, bool):
            return pa.array(np.full(len(self.table), value.data))
        if value.kind != "truth":
            raise fault(self.text, "a part of it is neither true nor false")
        return value.data

    def _comparison(self, operator: ast.cmpop, left: ast.expr, right: ast.expr) -> pa.Array:
        if isinstance(operator, ast.Is | ast.IsNot):
            value, other = self._value(left), self._value(right)
            if other.kind != "constant" or other.data is not None or value.kind == "constant":
                raise fault(self.text, "'is' stands between a column and null")
            ask = pc.is_null if isinstance(operator, ast.Is) else pc.is_valid
            return ask(value.data)
        if isinstance(operator, ast.In | ast.NotIn):
            if not isinstance(right, ast.Tuple | ast.List) or not right.elts:
                raise fault(self.text, "'in' is followed by a list in brackets")
            value = self._value(left)
            items = [self._value(item) for item in right.elts]
            found = reduce(pc.or_kleene, [self._compare(ast.Eq, value, item) for item in items])
            return found if isinstance(operator, ast.In) else pc.invert(found)
        return self._compare(type(operator), self._value(left), self._value(right))

    def _value(self, node: ast.expr) -> _Value:
        if isinstance(node, ast.Constant):
            return _Value("constant", node.value)
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
            inner = self._value(node.operand)
            if not inner.is_number:
                raise fault(self.text, "only numbers have a sign")
            if isinstance(node.op, ast.UAdd):
                return inner
            is_constant = inner.kind == "constant"
            return _Value(inner.kind, -inner.data if is_constant else pc.negate(inner.data))
        if isinstance(node, ast.BinOp):
            return self._calculate(type(node.op), self._value(node.left), self._value(node.right))
        if isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp):
            return _Value("truth", self.truth(node))
        raise fault(self.text, "a list stands only after 'in'")

    def _name(self, name: str) -> _Value:
        if name not in self.table.columns:
            return _Value("constant", _WORDS.get(name))
        column, kind = self.table.columns[name], self.table.fields[name].kind
        if not self.table.is_numeric(name):
            texts = pa.array(self.table.levels[name].texts, pa.string())
            return _Value("text", texts.take(pa.array(column, mask=column < 0)))
        numbers = pa.array(column, from_pandas=True)
        if kind == "boolean":
            return _Value("truth", pc.equal(numbers, 1.0))
        return _Value("time" if kind == "datetime" else "number", numbers)

    def _calculate(self, operator: type[ast.operator], left: _Value, right: _Value) -> _Value:
        calculate = ARITHMETIC[operator]
        kinds = (left.kind, right.kind)
        if kinds == ("time", "time") and operator is ast.Sub:
            return _Value("number", pc.divide(calculate(left.data, right.data), _DAY))
        if left.kind == "time" and right.is_number and operator in (ast.Add, ast.Sub):
            return _Value("time", calculate(left.data, pc.multiply(_as_float(right.data), _DAY)))
        if not (left.is_number and right.is_number):
            raise fault(self.text, "it calculates with something that is no number")
        if kinds == ("constant", "constant") and operator is ast.Div and right.data == 0:
            raise fault(self.text, "it divides by zero")
        found = calculate(_as_float(left.data), _as_float(right.data))
        if "number" not in kinds:
            return _Value("constant", found.as_py())
        return _Value("number", pc.if_else(pc.is_finite(found), found, None))

    def _compare(self, operator: type[ast.cmpop], left: _Value, right: _Value) -> pa.Array:
        if left.kind == "constant" and right.kind == "constant":
            raise fault(self.text, "it compares two constants")
        if left.kind == "constant":
            left = _Value(right.kind, self._constant(left.data, right.kind))
        elif right.kind == "constant":
            right = _Value(left.kind, self._constant(right.data, left.kind))
        if left.kind != right.kind:
            raise fault(self.text, f"it compares a {left.kind} with a {right.kind}")
        if left.kind in ("text", "truth") and operator not in (ast.Eq, ast.NotEq):
            raise fault(self.text, f"a {left.kind} has no order: only = and != can be asked")
        return _ORDER[operator](left.data, right.data)

    def _constant(self, constant: object, kind: Operand) -> pa.Scalar:
        """Return a constant as a value of some kind."""
        if constant is None:
            raise fault(self.text, "null is asked for by 'is null', not by a comparison")
        if kind == "text":
            word = str(constant).lower() if isinstance(constant, bool) else str(constant)
            return pa.scalar(word)
        if kind == "truth" and constant in (True, False, "true", "false"):
            return pa.scalar(constant in (True, "true"))
        if kind == "time" and isinstance(constant, str):
            return pa.scalar(microseconds(constant, self.text))
        if kind == "number" and _Value("constant", constant).is_number:
            return pa.scalar(float(str(constant)))
        raise fault(self.text, f"it compares a {kind} with something of another kind")


def _as_float(data: Any) -> Any:
    return pa.scalar(float(data)) if isinstance(data, int | float) else data


def microseconds(value: object, text: str) -> float:
    """Return a date or time as microseconds since 1970; one without a zone is taken for UTC."""
    try:
        moment = (
            np.datetime64(value.replace(" ", "T").removesuffix("Z"), "us")
            if isinstance(value, str)
            else np.datetime64(value if isinstance(value, date | datetime) else "x", "us")
        )
    except ValueError as error:
        raise fault(text, "a text is no date such as 2024-05-31") from error
    return float(moment.astype(np.int64))


TOLERANCE = 1e-6  # difference of a sum that counts as none: below any unit of money
_ONES = ("1", "1.0", "true")
_ZEROS = ("0", "0.0", "false")


def violations(rule: Rule, dataset: Dataset) -> Mask:
    """Return which rows break a rule, shape (n,). A missing value breaks no rule.

    Of rows that contradict one another (dependency, unique) the first one counts as right. A
    combination without `allowed` is broken by no row: only real rows can tell what occurs.

    Examples
    --------
    >>> from twinset.core.data.dataset import Dataset
    >>> from twinset.core.data.rule import Rule
    >>> d = Dataset.from_arrow(pa.table({"start": [1.0, 5.0], "end": [2.5, 4.5]}))
    >>> violations(Rule("order", ("start", "end")), d).tolist()
    [False, True]
    """
    return broken_rows(rule, RuleTable.from_dataset(dataset, rule.columns))


def broken_rows(rule: Rule, table: RuleTable, learnt: RuleStatistics | None = None) -> Mask:
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
    found = TupleIndex.from_table(listed, rule.columns)
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


def _range(rule: Rule, table: RuleTable, learnt: RuleStatistics | None) -> Mask:
    values = table.numbers(rule.columns[0])
    low, high = rule.settings.get("low"), rule.settings.get("high")
    broken = np.zeros(len(values), dtype=bool)
    if low is not None:
        broken |= values < float(low)
    if high is not None:
        broken |= values > float(high)
    return broken


def _order(rule: Rule, table: RuleTable, learnt: RuleStatistics | None) -> Mask:
    columns = [table.numbers(name) for name in rule.columns]
    wrong = np.greater_equal if rule.settings.get("strict") else np.greater
    return np.asarray(np.any([wrong(a, b) for a, b in itertools.pairwise(columns)], axis=0))


def _linear(rule: Rule, table: RuleTable, learnt: RuleStatistics | None) -> Mask:
    return np.asarray(excess(rule, table) != 0)


def _one_hot(rule: Rule, table: RuleTable, learnt: RuleStatistics | None) -> Mask:
    n_set = np.sum([ones(table, name) for name in rule.columns], axis=0)
    return np.asarray((n_set != 1) & ~table.missing(rule.columns))


def _combination(rule: Rule, table: RuleTable, learnt: RuleStatistics | None) -> Mask:
    tuples = learnt.tuples if learnt is not None else allowed_tuples(rule, table)
    if tuples is None:
        return np.zeros(len(table), dtype=bool)
    return np.asarray((tuples.find(table) < 0) & ~table.missing(rule.columns))


def _dependency(rule: Rule, table: RuleTable, learnt: RuleStatistics | None) -> Mask:
    last = table.columns[rule.columns[-1]]
    present = ~table.missing(rule.columns)
    if learnt is not None:
        return np.asarray(present & (learnt.decided(table) != last))
    rows = np.flatnonzero(present)
    first = _first_of_codes(table.keys(rule.columns[:-1])[rows])
    broken = np.zeros(len(table), dtype=bool)
    broken[rows] = last[rows] != last[rows[first]]
    return broken


def _unique(rule: Rule, table: RuleTable, learnt: RuleStatistics | None) -> Mask:
    keys = table.keys(rule.columns)
    return np.asarray((keys >= 0) & (_first_of_codes(keys) != np.arange(len(keys))))


def _predicate(rule: Rule, table: RuleTable, learnt: RuleStatistics | None) -> Mask:
    assert rule.predicate is not None
    truth = Evaluation(rule.predicate.text, table).truth(rule.predicate.tree)
    return np.asarray(pc.fill_null(pc.invert(truth), False).to_numpy(zero_copy_only=False))


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


_CHECKS: Mapping[str, Callable[[Rule, RuleTable, RuleStatistics | None], Mask]] = {
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


def broken_by_real_rows(dataset: Dataset) -> tuple[str, ...]:
    """Return one sentence for each rule of the schema that rows of a real set break."""
    sentences = []
    for rule in dataset.schema.rules:
        n = int(violations(rule, dataset).sum())
        if n:
            verb = "breaks" if n == 1 else "break"
            sentences.append(f"Rule {rule}: {n:,} of {len(dataset):,} real rows {verb} it.")
    return tuple(sentences)
