"""`Where`: which rows are meant, as a mapping in recipes and as text on the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.errors import RecipeError, SchemaError, did_you_mean

if TYPE_CHECKING:
    from twinset.core.dataset import Dataset

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

    def mask(self, dataset: Dataset) -> npt.NDArray[np.bool_]:
        """Return which rows of `dataset` are meant, shape (n,).

        Where a set has objects, conditions may speak of their number: `all objects`, `objects 'LABEL'`.

        Raises
        ------
        SchemaError
            A column does not exist, or a value cannot be compared with it.
        """
        keep = np.ones(len(dataset), dtype=bool)
        for column, condition in self.conditions.items():
            values = _values_of(dataset, column)
            if values is None:
                raise SchemaError(
                    f"'where' names the column '{column}', which does not exist",
                    allowed=", ".join(dataset.schema.names[:30]),
                    todo=did_you_mean(column, dataset.schema.names),
                )
            keep &= _holds(values, condition, column)
        return keep

    def to_json(self) -> dict[str, object]:
        """Return the conditions as plain values."""
        return dict(self.conditions)

    def __str__(self) -> str:
        return " and ".join(_spell(c, v) for c, v in self.conditions.items())


def _values_of(dataset: Dataset, column: str) -> pa.ChunkedArray | None:
    """Return a column of the set, or the numbers of objects that its name means; None for neither."""
    if column in dataset.schema.names:
        return dataset.records.column(column)
    from twinset.core.object_counts import counted

    return counted(dataset, column)


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


def _holds(column: pa.ChunkedArray, condition: object, name: str) -> npt.NDArray[np.bool_]:
    if condition is None:
        return _as_mask(pc.is_null(column))
    if isinstance(condition, Mapping):
        keep = np.ones(len(column), dtype=bool)
        for key, bound in condition.items():
            if key == "not":
                keep &= ~_holds(column, bound, name)
            else:
                keep &= _as_mask(_compare(column, key, bound, name))
        return keep
    if isinstance(condition, Sequence) and not isinstance(condition, str):
        keep = np.zeros(len(column), dtype=bool)
        for item in condition:
            keep |= _holds(column, item, name)
        return keep
    return _as_mask(_compare(column, "eq", condition, name))


def _compare(column: pa.ChunkedArray, key: str, value: object, name: str) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = pc.cast(column, pa.string()), pa.string()
    functions = {
        "eq": pc.equal,
        "ge": pc.greater_equal,
        "gt": pc.greater,
        "le": pc.less_equal,
        "lt": pc.less,
    }
    try:
        return functions[key](column, _scalar(value, kind))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, ValueError) as error:
        raise SchemaError(
            f"'where' compares the column '{name}' ({kind}) with something of another type",
            got=f"{type(value).__name__}",
            todo="give a value of the column's type",
        ) from error


def _scalar(value: object, kind: pa.DataType) -> pa.Scalar:
    if pa.types.is_string(kind):
        if isinstance(value, bool):
            value = str(value).lower()
        return pa.scalar(str(value), pa.string())
    if pa.types.is_boolean(kind):
        words = {"true": True, "false": False, "1": True, "0": False}
        return pa.scalar(words.get(str(value).lower(), value))
    if isinstance(value, str):
        return pa.scalar(value).cast(kind)
    if pa.types.is_integer(kind) and isinstance(value, float):
        return pa.scalar(value, pa.float64())
    return pa.scalar(value).cast(kind)


def _as_mask(answer: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.fill_null(answer, False).to_numpy(zero_copy_only=False), dtype=bool)


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
