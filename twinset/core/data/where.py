"""`Where`: which rows are meant, as a mapping in recipes and as text on the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from twinset.core.errors import RecipeError

Scalar = str | int | float | bool | date | datetime | None
Condition = Scalar | Sequence[Scalar] | Mapping[str, object]

_COMPARISONS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


@dataclass(frozen=True)
class Where:
    """A conjunction of conditions on columns.

    Parameters
    ----------
    conditions : mapping
        Column -> condition. A scalar means equals; a list means one of; ``{ge: 10, lt: 20}`` bounds
        (ge, gt, le, lt); ``None`` means missing; ``{not: ...}`` turns a condition round.

    Raises
    ------
    RecipeError
        A condition has none of these shapes.

    Examples
    --------
    >>> Where.parse("Class = 1 and Amount >= 100").conditions
    {'Class': 1, 'Amount': {'ge': 100}}
    """

    conditions: Mapping[str, Condition]

    def __post_init__(self) -> None:
        if not isinstance(self.conditions, Mapping):
            raise RecipeError(
                "a 'where' must map columns to conditions",
                got=type(self.conditions).__name__,
                allowed="{Class: 1, Amount: {ge: 100}}",
            )
        for column, condition in self.conditions.items():
            _check_condition(str(column), condition)

    @classmethod
    def of(cls, value: Where | Mapping[str, Condition] | str | None) -> Where | None:
        """Return a Where from a mapping, from text, from a Where, or None from nothing."""
        if value is None or isinstance(value, Where):
            return value
        return cls.parse(value) if isinstance(value, str) else cls(value)

    @classmethod
    def parse(cls, text: str) -> Where:
        """Return the Where that `text` spells: comparisons joined by ``and``.

        Allowed: ``=``, ``!=``, ``>=``, ``>``, ``<=``, ``<``, ``in (a, b)``, ``is null``,
        ``is not null``. Names and texts with spaces go in quotes; numbers of objects need none:
        ``objects 'car' >= 2``, ``all objects < 9``.
        """
        return cls(_Parser(text).conditions())

    def to_json(self) -> dict[str, object]:
        """Return the conditions as plain values."""
        return dict(self.conditions)

    def __str__(self) -> str:
        return " and ".join(_spell(c, v) for c, v in self.conditions.items())


def _check_condition(column: str, condition: object) -> None:
    if isinstance(condition, Mapping):
        unknown = [str(k) for k in condition if k not in (*_COMPARISONS, "not")]
        if unknown or not condition:
            raise RecipeError(
                f"a condition on '{column}' is not understood",
                got=", ".join(unknown) or "an empty mapping",
                allowed="ge, gt, le, lt, not",
            )
        if "not" in condition:
            _check_condition(column, condition["not"])
    elif isinstance(condition, Sequence) and not isinstance(condition, str):
        for item in condition:
            if isinstance(item, Mapping | list | tuple):
                raise RecipeError(
                    f"a condition on '{column}' lists something that is not a plain value",
                    got=type(item).__name__,
                    allowed="text, numbers, true / false, dates, null",
                )


def _spell(column: str, condition: object) -> str:
    if condition is None:
        return f"{column} is null"
    if isinstance(condition, Mapping):
        parts = []
        for key, bound in condition.items():
            inner = f"not ({_spell(column, bound)})"
            parts.append(inner if key == "not" else f"{column} {_COMPARISONS[key]} {bound}")
        return " and ".join(parts)
    if isinstance(condition, Sequence) and not isinstance(condition, str):
        return f"{column} in ({', '.join(str(item) for item in condition)})"
    return f"{column} = {condition}"


_TOKEN = re.compile(
    r"\s*(?:(?P<op>>=|<=|!=|<>|=|>|<|\(|\)|,)|\"(?P<dq>[^\"]*)\"|'(?P<sq>[^']*)'|(?P<word>[^\s=<>!(),\"']+))"
)


class _Parser:
    """Recursive-descent reader of the text form; tokens are (kind, text)."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.at = text, list(_tokens(text)), 0

    def conditions(self) -> dict[str, Condition]:
        found: dict[str, Condition] = {}
        while True:
            column, condition = self._comparison()
            earlier = found.get(column)
            if column in found:
                if not (isinstance(earlier, Mapping) and isinstance(condition, Mapping)):
                    raise self._fault(f"two conditions on '{column}' that cannot be joined")
                condition = {**earlier, **condition}
            found[column] = condition
            if self.at == len(self.tokens):
                return found
            if self._next()[1].lower() != "and":
                raise self._fault("conditions are joined by 'and'")

    def _comparison(self) -> tuple[str, Condition]:
        kind, column = self._next()
        if kind == "op":
            raise self._fault("a condition begins with a column name")
        kind, operator = self._next()
        if column == "objects" and kind == "quoted":  # as they are printed, without quotes around
            column = f"objects '{operator}'"
            kind, operator = self._next()
        elif (column, operator) == ("all", "objects"):
            column = "all objects"
            kind, operator = self._next()
        operator = operator.lower()
        if operator == "is":
            word = self._next()[1].lower()
            if word == "not" and self._next()[1].lower() == "null":
                return column, {"not": None}
            if word == "null":
                return column, None
            raise self._fault("'is' is followed by 'null' or 'not null'")
        if operator == "in":
            return column, self._list()
        names = {">=": "ge", ">": "gt", "<=": "le", "<": "lt"}
        if operator == "=":
            return column, self._value()
        if operator in ("!=", "<>"):
            return column, {"not": self._value()}
        if operator in names:
            return column, {names[operator]: self._value()}
        raise self._fault(
            f"'{operator}' is no comparison",
            "put a name or text with spaces in quotes" if kind != "op" else "",
        )

    def _list(self) -> list[Scalar]:
        if self._next()[1] != "(":
            raise self._fault("'in' is followed by a list in brackets")
        items = [self._value()]
        while (mark := self._next()[1]) == ",":
            items.append(self._value())
        if mark != ")":
            raise self._fault("a list ends with ')'")
        return items

    def _value(self) -> Scalar:
        kind, text = self._next()
        if kind == "op":
            raise self._fault("a value is missing")
        if kind == "quoted":
            return text
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        for convert in (int, float):
            try:
                return convert(text)
            except ValueError:
                continue
        return text

    def _next(self) -> tuple[str, str]:
        if self.at == len(self.tokens):
            raise self._fault("the condition ends too early")
        self.at += 1
        return self.tokens[self.at - 1]

    def _fault(self, what: str, todo: str = "") -> RecipeError:
        return RecipeError(
            f"cannot read the condition '{self.text}': {what}",
            allowed="e.g. Class = 1 and Amount >= 100",
            todo=todo,
        )


def _tokens(text: str) -> Sequence[tuple[str, str]]:
    found, position = [], 0
    text = text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise RecipeError(
                f"cannot read the condition '{text}' from character {position + 1} on",
                allowed="e.g. Class = 1 and Amount >= 100",
            )
        position = match.end()
        if match["op"]:
            found.append(("op", match["op"]))
        elif match["word"]:
            found.append(("word", match["word"]))
        else:
            found.append(("quoted", match["dq"] if match["dq"] is not None else match["sq"]))
    return found


_ABSENT = object()


def implies(given: Where, other: Where) -> bool:
    """Return whether every row that meets `given` must meet `other` too, as far as bounds tell.

    Equal conditions and bounds on numbers are looked at; the numbers of single labels bound that of all
    objects from below.

    Examples
    --------
    >>> implies(Where.parse("objects 'car' >= 3"), Where.parse("all objects >= 2"))
    True
    >>> implies(Where.parse("age >= 60"), Where.parse("age >= 60 and sex = F"))
    False
    """
    return all(
        _implied(condition, given.conditions.get(column, _ABSENT), _fewest(given, column))
        for column, condition in other.conditions.items()
    )


def _fewest(given: Where, column: str) -> float:
    """Return the number of objects that the numbers of single labels add up to, at least."""
    if column != "all objects":
        return -np.inf
    own = (v for k, v in given.conditions.items() if k.startswith("objects '"))
    return sum(max(_bounds(one)[0], 0.0) for one in own)


def _implied(condition: object, given: object, fewest: float) -> bool:
    """Return whether a condition follows from the one given, and from a value of at least `fewest`."""
    if given is not _ABSENT and condition == given:
        return True
    if not isinstance(condition, Mapping) or not condition or "not" in condition:
        return False
    low, high = _bounds(given)
    low = max(low, fewest)
    asked = {
        "ge": lambda bound: low >= bound,
        "gt": lambda bound: low > bound,
        "le": lambda bound: high <= bound,
        "lt": lambda bound: high < bound,
    }
    return all(_is_number(bound) and asked[key](bound) for key, bound in condition.items())


def _bounds(given: object) -> tuple[float, float]:
    """Return the range of the numbers that meet a condition; strict bounds are widened."""
    if isinstance(given, int | float) and _is_number(given):
        return float(given), float(given)
    low, high = -np.inf, np.inf
    for key, bound in given.items() if isinstance(given, Mapping) else ():
        if key in ("ge", "gt") and _is_number(bound):
            low = max(low, float(bound))
        elif key in ("le", "lt") and _is_number(bound):
            high = min(high, float(bound))
    return low, high


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
