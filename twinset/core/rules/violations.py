"""Which rows of a table break a rule: one vectorised check for each kind."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.rule import ARITHMETIC, fault
from twinset.core.errors import RecipeError
from twinset.core.rules.columns import Array, Mask, Rows, RuleTable, TupleIndex

if TYPE_CHECKING:
    from twinset.core.data.dataset import Dataset

if TYPE_CHECKING:
    from twinset.core.data.rule import Rule

if TYPE_CHECKING:
    from twinset.core.data.rule import Rule

_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_DAY = 86_400e6  # microseconds
Operand = Literal["number", "time", "text", "truth", "constant"]


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


TOLERANCE = 1e-6  # difference of a sum that counts as none: below any unit of money
_ONES = ("1", "1.0", "true")
_ZEROS = ("0", "0.0", "false")


class RuleParameters(Protocol):
    """What the train rows show about one rule."""

    @property
    def tuples(self) -> TupleIndex | None:
        """The tuples that may occur."""

    def decided(self, table: RuleTable) -> npt.NDArray[np.float64]:
        """Return what the last column of a dependency must be in each row, shape (n,)."""


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


def broken_rows(rule: Rule, table: RuleTable, learnt: RuleParameters | None = None) -> Mask:
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


def _range(rule: Rule, table: RuleTable, learnt: RuleParameters | None) -> Mask:
    values = table.numbers(rule.columns[0])
    low, high = rule.settings.get("low"), rule.settings.get("high")
    broken = np.zeros(len(values), dtype=bool)
    if low is not None:
        broken |= values < float(low)
    if high is not None:
        broken |= values > float(high)
    return broken


def _order(rule: Rule, table: RuleTable, learnt: RuleParameters | None) -> Mask:
    columns = [table.numbers(name) for name in rule.columns]
    wrong = np.greater_equal if rule.settings.get("strict") else np.greater
    return np.asarray(np.any([wrong(a, b) for a, b in itertools.pairwise(columns)], axis=0))


def _linear(rule: Rule, table: RuleTable, learnt: RuleParameters | None) -> Mask:
    return np.asarray(excess(rule, table) != 0)


def _one_hot(rule: Rule, table: RuleTable, learnt: RuleParameters | None) -> Mask:
    n_set = np.sum([ones(table, name) for name in rule.columns], axis=0)
    return np.asarray((n_set != 1) & ~table.missing(rule.columns))


def _combination(rule: Rule, table: RuleTable, learnt: RuleParameters | None) -> Mask:
    tuples = learnt.tuples if learnt is not None else allowed_tuples(rule, table)
    if tuples is None:
        return np.zeros(len(table), dtype=bool)
    return np.asarray((tuples.find(table) < 0) & ~table.missing(rule.columns))


def _dependency(rule: Rule, table: RuleTable, learnt: RuleParameters | None) -> Mask:
    last = table.columns[rule.columns[-1]]
    present = ~table.missing(rule.columns)
    if learnt is not None:
        return np.asarray(present & (learnt.decided(table) != last))
    rows = np.flatnonzero(present)
    first = _first_of_codes(table.keys(rule.columns[:-1])[rows])
    broken = np.zeros(len(table), dtype=bool)
    broken[rows] = last[rows] != last[rows[first]]
    return broken


def _unique(rule: Rule, table: RuleTable, learnt: RuleParameters | None) -> Mask:
    keys = table.keys(rule.columns)
    return np.asarray((keys >= 0) & (_first_of_codes(keys) != np.arange(len(keys))))


def _predicate(rule: Rule, table: RuleTable, learnt: RuleParameters | None) -> Mask:
    assert rule.predicate is not None
    truth = Evaluation(rule.predicate.text, table).truth(rule.predicate.tree)
    return np.asarray(truth.known & ~truth.data)


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


_CHECKS: Mapping[str, Callable[[Rule, RuleTable, RuleParameters | None], Mask]] = {
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
    """Return one sentence for each rule of the schema that rows of a real set break.

    Examples
    --------
    >>> from twinset.core.data.dataset import Dataset
    >>> from twinset.core.data.schema import Field, Schema
    >>> import pyarrow as pa
    >>> from twinset.core.data.rule import Rule
    >>> schema = Schema((Field(name="age", kind="integer"),), (Rule("range", ("age",), {"low": 0}),))
    >>> broken_by_real_rows(Dataset.from_arrow(pa.table({"age": [31, -1, 50]}), schema))
    ('Rule range(age): 1 of 3 real rows breaks it.',)
    """
    sentences = []
    for rule in dataset.schema.rules:
        n = int(violations(rule, dataset).sum())
        if n:
            verb = "breaks" if n == 1 else "break"
            sentences.append(f"Rule {rule}: {n:,} of {len(dataset):,} real rows {verb} it.")
    return tuple(sentences)
