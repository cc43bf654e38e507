"""Evaluate the tree of a predicate on the columns of a table, with three values: true, false, open."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import numpy as np

from twinset.core._rule_table import Array, Mask, RuleTable
from twinset.core.errors import RecipeError

EXAMPLE = "e.g. age >= 18 or job is null, `net price` * 1.2 <= price, state in ('new', 'paid')"
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_DAY = 86_400e6
Operand = Literal["number", "time", "text", "truth", "constant"]


def fault(text: str, what: str) -> RecipeError:
    """Return the error that says why a predicate cannot be read."""
    return RecipeError(f"cannot read the predicate '{text}': {what}", allowed=EXAMPLE)


ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
}


@dataclass(frozen=True)
class _Value:
    """A column of values, or one constant. Unknown (missing): NaN, code -1, or not in `known`."""

    kind: Operand
    data: Any
    known: Any = None
    texts: tuple[str, ...] = ()


class Evaluation:
    """One walk over the tree with the columns of one table."""

    def __init__(self, text: str, table: RuleTable) -> None:
        self.text, self.table = text, table

    def truth(self, node: ast.expr) -> _Value:
        """Return where an expression is true, and where that is known."""
        if isinstance(node, ast.BoolOp):
            answers = [self.truth(value) for value in node.values]
            deciding = isinstance(node.op, ast.Or)
            # One true part decides an `or`, one false part an `and`, whatever is unknown beside it.
            decided = np.any([a.known & (a.data == deciding) for a in answers], axis=0)
            known = decided | np.all([a.known for a in answers], axis=0)
            return _Value("truth", decided if deciding else ~decided, known)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            answer = self.truth(node.operand)
            return _Value("truth", ~answer.data, answer.known)
        if isinstance(node, ast.Compare):
            return self._comparisons(node)
        value = self._value(node)
        if value.kind == "constant" and isinstance(value.data, bool):
            return _Value("truth", np.full(len(self.table), value.data), self._everywhere())
        if value.kind != "truth":
            raise fault(self.text, "a part of it is neither true nor false")
        return value

    def _comparisons(self, node: ast.Compare) -> _Value:
        operands = [node.left, *node.comparators]
        data, known = self._everywhere(), self._everywhere()
        for operator, left, right in zip(node.ops, operands[:-1], operands[1:], strict=True):
            one = self._comparison(operator, left, right)
            failed = (known & ~data) | (one.known & ~one.data)
            known = failed | (known & one.known)
            data = ~failed
        return _Value("truth", data, known)

    def _comparison(self, operator: ast.cmpop, left: ast.expr, right: ast.expr) -> _Value:
        if isinstance(operator, ast.Is | ast.IsNot):
            value, other = self._value(left), self._value(right)
            if other.kind != "constant" or other.data is not None or value.kind == "constant":
                raise fault(self.text, "'is' stands between a column and null")
            absent = ~_known(value)
            wanted = absent if isinstance(operator, ast.Is) else ~absent
            return _Value("truth", wanted, self._everywhere())
        if isinstance(operator, ast.In | ast.NotIn):
            if not isinstance(right, ast.Tuple | ast.List) or not right.elts:
                raise fault(self.text, "'in' is followed by a list in brackets")
            value = self._value(left)
            answers = [_compare(self.text, ast.Eq, value, self._value(item)) for item in right.elts]
            found = np.any([answer.data for answer in answers], axis=0)
            known = answers[0].known
            return _Value("truth", found if isinstance(operator, ast.In) else ~found, known)
        return _compare(self.text, type(operator), self._value(left), self._value(right))

    def _value(self, node: ast.expr) -> _Value:
        if isinstance(node, ast.Constant):
            return _Value("constant", node.value)
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
            inner = self._value(node.operand)
            if not _is_number(inner):
                raise fault(self.text, "only numbers have a sign")
            negative = isinstance(node.op, ast.USub)
            return _Value(inner.kind, -inner.data if negative else inner.data)
        if isinstance(node, ast.BinOp):
            return _calculate(
                self.text, type(node.op), self._value(node.left), self._value(node.right)
            )
        if isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp):
            return self.truth(node)
        raise fault(self.text, "a list stands only after 'in'")

    def _name(self, name: str) -> _Value:
        if name not in self.table.columns:
            return _Value("constant", _WORDS.get(name))
        column, kind = self.table.columns[name], self.table.fields[name].kind
        if kind == "boolean":
            return _Value("truth", column == 1, ~np.isnan(column))
        if kind == "datetime":
            return _Value("time", column)
        if self.table.is_numeric(name):
            return _Value("number", column)
        return _Value("text", column, texts=tuple(self.table.levels[name].texts))

    def _everywhere(self) -> Mask:
        return np.ones(len(self.table), dtype=bool)


def _known(value: _Value) -> Mask:
    if value.kind == "truth":
        return np.asarray(value.known)
    return np.asarray(value.data >= 0 if value.kind == "text" else ~np.isnan(value.data))


def _is_number(value: _Value) -> bool:
    if value.kind == "constant":
        return isinstance(value.data, int | float) and not isinstance(value.data, bool)
    return value.kind == "number"


def _calculate(text: str, operator: type[ast.operator], left: _Value, right: _Value) -> _Value:
    function = ARITHMETIC[operator]
    kinds = (left.kind, right.kind)
    if kinds == ("time", "time") and operator is ast.Sub:
        return _Value("number", (left.data - right.data) / _DAY)
    if left.kind == "time" and _is_number(right) and operator in (ast.Add, ast.Sub):
        return _Value("time", function(left.data, right.data * _DAY))
    if not (_is_number(left) and _is_number(right)):
        raise fault(text, "it calculates with something that is no number")
    if kinds == ("constant", "constant") and operator is ast.Div and right.data == 0:
        raise fault(text, "it divides by zero")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        made = function(_float(left.data), _float(right.data))
    if "number" in kinds:
        made = np.where(np.isfinite(made), made, np.nan)
        return _Value("number", made)
    return _Value("constant", float(made))


def _float(data: Any) -> Any:
    return np.float64(data) if isinstance(data, int) else data


def _compare(text: str, operator: type[ast.cmpop], left: _Value, right: _Value) -> _Value:
    if left.kind == "constant" and right.kind == "constant":
        raise fault(text, "it compares two constants")
    if left.kind == "constant":
        left = _as(text, left.data, right)
    elif right.kind == "constant":
        right = _as(text, right.data, left)
    if left.kind != right.kind:
        raise fault(text, f"it compares a {left.kind} with a {right.kind}")
    if left.kind in ("text", "truth") and operator not in (ast.Eq, ast.NotEq):
        raise fault(text, f"a {left.kind} has no order: only = and != can be asked")
    known = _known(left) & _known(right)
    ours, theirs = left.data, right.data
    if left.kind == "text" and left.texts != right.texts:
        theirs = _recode(right, left.texts)
    return _Value("truth", _ORDER[operator](ours, theirs), known)


def _as(text: str, constant: object, like: _Value) -> _Value:
    """Return a constant as a value of the same kind as `like`."""
    if constant is None:
        raise fault(text, "null is asked for by 'is null', not by a comparison")
    n = len(like.data)
    if like.kind == "text":
        word = str(constant).lower() if isinstance(constant, bool) else str(constant)
        # A text that no row has equals none of them, and is known all the same.
        code = like.texts.index(word) if word in like.texts else len(like.texts)
        return _Value("text", np.full(n, code), texts=like.texts)
    if like.kind == "truth" and constant in (True, False, "true", "false"):
        return _Value("truth", np.full(n, constant in (True, "true")), np.ones(n, dtype=bool))
    if like.kind == "time" and isinstance(constant, str):
        return _Value("time", np.full(n, microseconds(constant, text)))
    if like.kind == "number" and _is_number(_Value("constant", constant)):
        return _Value("number", np.full(n, float(str(constant))))
    raise fault(text, f"it compares a {like.kind} with something of another kind")


def _recode(value: _Value, texts: tuple[str, ...]) -> Array:
    codes = {word: code for code, word in enumerate(texts)}
    table = [codes.get(word, len(texts) + i) for i, word in enumerate(value.texts)]
    return np.asarray(np.array([*table, -1])[value.data])


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
