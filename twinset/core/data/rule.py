"""Rules: what must hold in every row of a table; declared with the schema, checked on any set."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import pyarrow.compute as pc

from twinset.core.errors import RecipeError, did_you_mean
from twinset.core.parameters import NUMBERS, has_unusable_number, is_number

_SETTINGS: dict[str, tuple[str, ...]] = {
    "range": ("low", "high"),
    "order": ("strict",),
    "sum": ("tolerance",),
    "linear": ("coefficients", "equals", "at_least", "at_most", "tolerance"),
    "combination": ("allowed",),
    "predicate": ("expression",),
}
# Smallest number of columns of a rule; 1 where none is listed.
_MIN_COLUMNS = {"order": 2, "sum": 2, "one_hot": 2, "dependency": 2}


def _is_rows(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(v, list | tuple) for v in value)


def _is_coefficients(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(map(is_number, value.values()))


# Setting -> its test, and what is allowed in words; all others are numbers.
_VALUES: dict[str, tuple[Callable[[object], bool], str]] = {
    "allowed": (_is_rows, "a list of rows, each a list of values"),
    "coefficients": (_is_coefficients, "column: number"),
    "strict": (lambda value: isinstance(value, bool), "true or false"),
    "expression": (lambda value: isinstance(value, str), "a text"),
}


def check_rule(kind: str, columns: tuple[str, ...], settings: Mapping[str, Any]) -> None:
    """Raise RecipeError for columns or settings that a rule of this kind cannot have."""
    _check_columns(kind, columns)
    known = _SETTINGS.get(kind, ())
    for name, value in settings.items():
        if name not in known:
            raise RecipeError(
                f"a rule '{kind}' has no setting '{name}'",
                allowed=", ".join(known) or "none: it takes no settings",
                todo=did_you_mean(name, known),
            )
        if has_unusable_number(value):
            raise RecipeError(
                f"the setting '{name}' of a rule '{kind}' holds a number that is too large or not finite",
                allowed=NUMBERS,
            )
        fits, words = _VALUES.get(name, (is_number, "a number"))
        if not (fits(value) or (value is None and kind == "range")):
            raise RecipeError(
                f"the setting '{name}' of a rule '{kind}' has a value of a wrong type",
                got=type(value).__name__,
                allowed=words,
            )
    if kind == "combination":
        _check_allowed(columns, settings)
    if kind == "linear":
        _check_linear(columns, settings)
    low, high = settings.get("low"), settings.get("high")
    if low is not None and high is not None and low > high:
        raise RecipeError("a rule 'range' leaves no value", got=f"low {low}, high {high}")
    if settings.get("tolerance", 0) < 0:
        raise RecipeError(f"the tolerance of a rule '{kind}' is negative", allowed="0 or more")


def _check_columns(kind: str, columns: tuple[str, ...]) -> None:
    least = _MIN_COLUMNS.get(kind, 1)
    if len(columns) < least:
        raise RecipeError(
            f"a rule '{kind}' needs at least {least} column" + "s" * (least > 1),
            got=str(len(columns)),
        )
    if kind == "range" and len(columns) > 1:
        raise RecipeError(f"a rule '{kind}' speaks of one column", got=str(len(columns)))
    if len(set(columns)) < len(columns):
        raise RecipeError(f"a rule '{kind}' names a column twice", got=", ".join(columns))


def _check_allowed(columns: tuple[str, ...], settings: Mapping[str, Any]) -> None:
    allowed = settings.get("allowed")
    if allowed is None:
        return
    if not allowed:
        raise RecipeError(
            "a rule 'combination' allows nothing",
            allowed="rows of values, or no setting 'allowed': then what the real rows show",
        )
    wrong = [row for row in allowed if len(row) != len(columns)]
    if wrong:
        raise RecipeError(
            "a rule 'combination' lists a row of another length than its columns",
            got=f"{len(wrong[0])} values",
            allowed=f"{len(columns)}: one for each of {', '.join(columns)}",
        )


def _check_linear(columns: tuple[str, ...], settings: Mapping[str, Any]) -> None:
    coefficients = settings.get("coefficients")
    if coefficients is None or set(coefficients) != set(columns) or not all(coefficients.values()):
        raise RecipeError(
            "a rule 'linear' needs a coefficient other than 0 for each of its columns",
            allowed="coefficients: {price: 1, cost: -1}, at_least: 0",
        )
    ends = [settings.get(key) for key in ("equals", "at_least", "at_most")]
    if (ends[0] is None) == (ends[1] is None and ends[2] is None):
        raise RecipeError(
            "a rule 'linear' needs 'equals', or 'at_least' and / or 'at_most'",
            got="both" if ends[0] is not None else "none of them",
        )
    if ends[1] is not None and ends[2] is not None and ends[1] > ends[2]:
        raise RecipeError(
            "a rule 'linear' leaves no value", got=f"at_least {ends[1]}, at_most {ends[2]}"
        )


_LONGEST = 2_000  # characters: the parser of Python takes seconds for a megabyte
_DEEPEST = 60  # levels: far below the recursion limit of Python
_PIECE = re.compile(r"'[^']*'|\"[^\"]*\"|`([^`]+)`")
_SINGLE_EQUALS = re.compile(r"(?<![<>=!])=(?!=)")
_WORDS = ("true", "false", "null")


@dataclass(frozen=True)
class Predicate:
    """An expression over columns that a row meets, does not meet, or leaves open (missing values).

    ``=`` and ``==`` are one; a column whose name is no plain word goes in backticks. Arithmetic on
    datetimes counts in days: ``end - start <= 30``. Nothing is ever evaluated as Python.

    Examples
    --------
    >>> Predicate.parse("age >= 18 or job != 'cook'").columns
    ('age', 'job')
    """

    text: str
    tree: ast.expr
    columns: tuple[str, ...]

    @classmethod
    def parse(cls, text: object) -> Predicate:
        """Return the predicate that `text` spells.

        Raises
        ------
        RecipeError
            It is not of the language.
        """
        if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST:
            raise RecipeError(
                "a rule 'predicate' needs an expression",
                got="none, or a longer one" if isinstance(text, str) else type(text).__name__,
                allowed=f"up to {_LONGEST:,} characters, {EXAMPLE}",
            )
        plain, names = _without_backticks(text.strip())
        try:
            tree = ast.parse(plain, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise fault(text, "it is no expression") from error
        found: list[str] = []
        _check(tree, text, names, found, 0)
        if not found:
            raise fault(text, "it names no column")
        return cls(text, tree, tuple(dict.fromkeys(found)))


def _without_backticks(text: str) -> tuple[str, list[str]]:
    """Return the text as Python's grammar reads it; quoted names become _0_, _1_, ..."""
    names: list[str] = []
    parts, at = [], 0
    for piece in _PIECE.finditer(text):
        parts.append(_SINGLE_EQUALS.sub("==", text[at : piece.start()]))
        if piece[1] is None:
            parts.append(piece[0].replace("\\", "\\\\"))
        else:
            parts.append(f"_{len(names)}_")
            names.append(piece[1])
        at = piece.end()
    parts.append(_SINGLE_EQUALS.sub("==", text[at:]))
    return "".join(parts), names


def _check(node: ast.expr, text: str, quoted: list[str], found: list[str], depth: int) -> None:
    """Refuse what is not of the language; put the real names of columns into the tree."""
    if depth > _DEEPEST:
        raise fault(text, "it is nested too deeply")
    if isinstance(node, ast.Name):
        if node.id in _WORDS:
            return
        if match := re.fullmatch(r"_(\d+)_", node.id):
            if int(match[1]) >= len(quoted):
                raise fault(text, f"'{node.id}' is no column name; put it in backticks")
            node.id = quoted[int(match[1])]
        found.append(node.id)
        return
    if isinstance(node, ast.Constant):
        if node.value is not None and not isinstance(node.value, bool | int | float | str):
            raise fault(text, "a constant is neither a number nor a text")
        if has_unusable_number(node.value):
            raise fault(text, f"a number is too large; allowed are {NUMBERS}")
        return
    inner: list[ast.expr]
    if isinstance(node, ast.BoolOp):
        inner = node.values
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.UAdd):
        inner = [node.operand]
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        inner = [node.left, node.right]
    elif isinstance(node, ast.Compare):
        inner = [node.left, *node.comparators]
    elif isinstance(node, ast.Tuple | ast.List):
        inner = node.elts
    else:
        raise fault(text, f"'{_name_of(node)}' is not part of the language")
    for child in inner:
        _check(child, text, quoted, found, depth + 1)


def _name_of(node: ast.expr) -> str:
    if isinstance(node, ast.BinOp | ast.UnaryOp):
        return type(node.op).__name__.lower()
    return type(node).__name__.lower()


EXAMPLE = "e.g. age >= 18 or job is null, `net price` * 1.2 <= price, state in ('new', 'paid')"


def fault(text: str, reason: str) -> RecipeError:
    """Return the error that says why a predicate cannot be read."""
    return RecipeError(f"cannot read the predicate '{text}': {reason}", allowed=EXAMPLE)


ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: pc.add,
    ast.Sub: pc.subtract,
    ast.Mult: pc.multiply,
    ast.Div: pc.divide,
}


RuleKind = Literal[
    "range", "order", "sum", "linear", "one_hot", "combination", "dependency", "unique", "predicate"
]
RULE_KINDS: tuple[str, ...] = get_args(RuleKind)


@dataclass(frozen=True)
class Rule:
    """One statement about every row. A missing value breaks no rule.

    Parameters
    ----------
    kind : RuleKind
        range: `low` <= column <= `high`; order: each column <= the next (< when `strict`); sum: the
        first column is the sum of the others; linear: the columns times their `coefficients` add up
        to `equals`, or lie between `at_least` and `at_most`; one_hot: exactly one of the columns is
        1; combination: only `allowed` tuples of values occur (those of the real rows when none are
        given); dependency: the columns before the last one decide the last; unique: no tuple of
        values twice; predicate: `expression` holds, see `Predicate`.
    columns : tuple of str
        The columns it speaks of; of a predicate those in its expression.
    settings : mapping
        What the kind needs. `tolerance` (sum, linear) is the difference that still counts as none,
        1e-6 by default.

    Raises
    ------
    RecipeError
        The kind is unknown, or columns or settings do not suit it.

    Examples
    --------
    >>> str(Rule("order", ("start", "end")))
    'order(start, end)'
    """

    kind: RuleKind
    columns: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    predicate: Predicate | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in RULE_KINDS:
            raise RecipeError.unknown(f"unknown kind of rule '{self.kind}'", self.kind, RULE_KINDS)
        if self.kind == "predicate":
            predicate = Predicate.parse(self.settings.get("expression"))
            if self.columns and set(self.columns) != set(predicate.columns):
                raise RecipeError(
                    "a rule 'predicate' lists other columns than its expression names",
                    allowed=", ".join(predicate.columns),
                    todo="leave the list out",
                )
            object.__setattr__(self, "columns", predicate.columns)
            object.__setattr__(self, "predicate", predicate)
        check_rule(self.kind, self.columns, self.settings)

    def __str__(self) -> str:
        if self.predicate is not None:
            return f"predicate({self.predicate.text})"
        return f"{self.kind}({', '.join(self.columns)})"


def rules_to_json(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """Return rules as plain JSON values."""
    return [{"kind": r.kind, "columns": list(r.columns), **r.settings} for r in rules]


def rules_from_json(values: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Return the rules that `rules_to_json`, or a recipe, wrote.

    A linear rule and a predicate name their columns themselves.
    """
    rules = []
    for value in values:
        rest = {k: v for k, v in value.items() if k not in ("kind", "columns")}
        columns = value.get("columns")
        if columns is None and isinstance(rest.get("coefficients"), Mapping):
            columns = list(rest["coefficients"])
        elif columns is None and value.get("kind") == "predicate":
            columns = []
        if "kind" not in value or not isinstance(columns, list | tuple):
            raise RecipeError(
                "a rule needs 'kind' and 'columns'", allowed="{kind: order, columns: [start, end]}"
            )
        if isinstance(rest.get("coefficients"), Mapping):
            rest["coefficients"] = {str(k): v for k, v in rest["coefficients"].items()}
        rules.append(Rule(value["kind"], tuple(str(c) for c in columns), rest))
    return tuple(rules)
