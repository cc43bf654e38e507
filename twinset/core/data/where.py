"""`Where`: which rows are meant, as a mapping in recipes or as text; and the rows that meet it."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.errors import RecipeError, SchemaError

if TYPE_CHECKING:
    from twinset.core.data.schema import Schema

Mask = npt.NDArray[np.bool_]

Scalar = str | int | float | bool | date | datetime | None
Condition = Scalar | Sequence[Scalar] | Mapping[str, object]

_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {name: getattr(operator, name) for name in _SIGNS}
_ARROW_COMPARE: dict[str, Callable[[Any, Any], pa.ChunkedArray]] = {
    "eq": pc.equal, "ge": pc.greater_equal, "gt": pc.greater, "le": pc.less_equal, "lt": pc.less,
}  # fmt: skip
_SHOWN = 60  # characters of a condition that an error repeats: enough to find the place
_INT64 = 2**63  # whole numbers of a column lie below it
_QUOTED = r"""(?:"[^"]*"|'[^']*')"""
_WORD = rf"""(?:{_QUOTED}|[^\s=<>!(),"']+)"""
_COMPARISON = re.compile(
    rf"""\s*(?P<column>all\s+objects|objects\s+{_QUOTED}|{_WORD})
    (?: (?P<is_null>\s+is\s+null)
      | (?P<not_null>\s+is\s+not\s+null)
      | \s+in\s*\(\s*(?P<items>{_WORD}(?:\s*,\s*{_WORD})*)\s*\)
      | \s*(?P<sign>>=|<=|!=|<>|=|>|<)\s*(?P<value>{_WORD})
    )(?:\s*$|\s+and\s+(?=\S))""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True)
class Where:
    """A conjunction of conditions on columns.

    Parameters
    ----------
    conditions : mapping
        Column -> condition. A scalar means equals; a list means one of; ``{ge: 10, lt: 20}`` bounds
        (ge, gt, le, lt); ``None`` means missing; ``{not: ...}`` negates a condition.

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
    def from_value(cls, value: Where | Mapping[str, Condition] | str | None) -> Where | None:
        """Return a Where from a mapping, from text, from a Where, or None from nothing."""
        if value is None or isinstance(value, Where):
            return value
        return cls.parse(value) if isinstance(value, str) else cls(value)

    @classmethod
    def parse(cls, text: str) -> Where:
        """Return the Where that `text` spells: comparisons joined by ``and``.

        Allowed: ``=``, ``!=``, ``>=``, ``>``, ``<=``, ``<``, ``in (a, b)``, ``is null``,
        ``is not null``. Names and texts with spaces go in quotes; numbers of objects need none:
        ``objects 'car' >= 2``, ``all objects < 9``. Several conditions on one column are intersected.
        Bounds on a text column are texts, compared letter by letter: ``code >= B``, ``zip < '9000'``.

        Raises
        ------
        RecipeError
            The text is not of this form, no value meets all conditions on a column, or the order of
            two values in quotes depends on the kind of the column (``'9'`` and ``'10'``).
        """
        found, at = Where({}), 0
        while at < len(text) or not found.conditions:
            match = _COMPARISON.match(text, at)
            if match is None:
                raise RecipeError(
                    f"cannot read the condition from character {at + 1} on",
                    got=f"'{text[at : at + _SHOWN]}'" if at < len(text) else "nothing",
                    allowed="e.g. Class = 1 and Amount >= 100",
                    todo="put a name or text with spaces in quotes, join comparisons by 'and'",
                )
            found = found.intersect(Where({_column(match["column"]): _condition(match)}))
            at = match.end()
        return found

    def intersect(self, other: Where) -> Where:
        """Return the Where of the rows that meet both.

        Raises
        ------
        RecipeError
            No value meets both conditions on a column.

        Examples
        --------
        >>> Where({"age": {"ge": 18}}).intersect(Where({"age": {"ge": 60, "not": 65}})).conditions
        {'age': {'ge': 60, 'not': 65}}
        """
        joint = dict(self.conditions)
        for column, condition in other.conditions.items():
            if column in joint:
                condition = _intersect(column, joint[column], condition)
            joint[column] = condition
        return Where(joint)

    def to_json(self) -> dict[str, object]:
        """Return the conditions as plain values."""
        return dict(self.conditions)

    def __str__(self) -> str:
        return " and ".join(_spell(c, v) for c, v in self.conditions.items())


def _check_condition(column: str, condition: object) -> None:
    if isinstance(condition, Mapping):
        unknown = [str(k) for k in condition if k not in (*_SIGNS, "not")]
        if unknown or not condition:
            raise RecipeError(
                f"a condition on '{column}' is not understood",
                got=", ".join(unknown) or "an empty mapping",
                allowed="ge, gt, le, lt, not",
            )
        for bound in condition.values():
            _check_condition(column, bound)
    elif isinstance(condition, Sequence) and not isinstance(condition, str):
        for item in condition:
            if isinstance(item, Mapping | list | tuple):
                raise RecipeError(
                    f"a condition on '{column}' lists something that is not a plain value",
                    got=type(item).__name__,
                    allowed="text, numbers, true / false, dates, null",
                )
            _check_condition(column, item)
    elif not _is_in_range(condition):
        raise RecipeError(
            f"a condition on '{column}' names a number that no column holds",
            got="not a number" if condition != condition else "a number too large",
            allowed="finite numbers, whole ones below 2 to the 63",
            todo="null (in text: is null) means missing; put a text in quotes",
        )


def _is_in_range(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) < _INT64
    return not isinstance(value, float) or math.isfinite(value)


def _spell(column: str, condition: object) -> str:
    if condition is None:
        return f"{column} is null"
    if isinstance(condition, Mapping):
        parts = []
        for key, bound in condition.items():
            inner = f"not ({_spell(column, bound)})"
            parts.append(inner if key == "not" else f"{column} {_SIGNS[key]} {bound}")
        return " and ".join(parts)
    if _is_list(condition):
        return f"{column} in ({', '.join(map(str, condition))})"
    return f"{column} = {condition}"


def _column(text: str) -> str:
    words = text.split(None, 1)
    if len(words) == 2 and text[0] not in "\"'":  # a number of objects
        return f"objects '{words[1][1:-1]}'" if words[1][0] in "\"'" else "all objects"
    return text[1:-1] if text[0] in "\"'" else text


def _condition(match: re.Match[str]) -> Condition:
    """Return the condition that a comparison spells."""
    if match["is_null"]:
        return None
    if match["not_null"]:
        return {"not": None}
    if match["items"]:
        return [_value(item) for item in re.findall(_WORD, match["items"])]
    value, sign = _value(match["value"]), match["sign"]
    if sign in ("!=", "<>"):
        return {"not": value}
    names = {spelled: name for name, spelled in _SIGNS.items()}
    return value if sign == "=" else {names[sign]: value}


def _value(text: str) -> Scalar:
    if text[0] in "\"'":
        return text[1:-1]
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


def _is_list(condition: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(condition, Sequence) and not isinstance(condition, str)


def _intersect(column: str, first: Condition, second: Condition) -> Condition:
    """Return the condition that values meet which meet both."""
    (allowed, bounds, excluded), (others, more, also) = map(_split, (first, second))
    try:
        for key, bound in more.items():
            is_lower = key in ("ge", "gt")
            known = bounds.setdefault(key, bound)
            _check_order(column, known, bound)
            bounds[key] = max(known, bound) if is_lower else min(known, bound)
        if allowed is not None and others is not None:
            allowed = [value for value in allowed if _is_in(value, others)]
        elif allowed is None:
            allowed = others
        excluded += [value for value in also if not _is_in(value, excluded)]
        if allowed is None:
            allowed = _only_value(bounds)
        if allowed is not None:
            allowed = [
                value
                for value in allowed
                if not _is_in(value, excluded)
                and all(_meets(column, value, key, bound) for key, bound in bounds.items())
            ]
    except TypeError as error:
        raise RecipeError(
            f"two conditions on '{column}' compare it with values of different types"
        ) from error
    if allowed is not None and not allowed:
        raise RecipeError(
            f"no value of '{column}' meets all its conditions",
            got=f"{_spell(column, first)} and {_spell(column, second)}",
        )
    if allowed is not None:
        return allowed if len(allowed) > 1 else allowed[0]
    if len(excluded) <= 1:
        return {**bounds, **({"not": excluded[0]} if excluded else {})}
    return {**bounds, "not": excluded}


def _split(condition: Condition) -> tuple[list[Any] | None, dict[str, Any], list[Any]]:
    """Return the values that a condition lists, its bounds, and the values that it excludes."""
    if not isinstance(condition, Mapping):
        return (list(condition) if _is_list(condition) else [condition]), {}, []
    bounds = {key: bound for key, bound in condition.items() if key != "not"}
    excluded = condition.get("not", [])
    return None, bounds, list(excluded) if _is_list(excluded) else [excluded]


def _is_in(value: Scalar, values: Sequence[Any]) -> bool:
    """Return whether a column may hold `value` as one of `values`: a text and a number may be the same."""
    if value is None or isinstance(value, Mapping):
        return value in values
    return any(
        value == one or _as_text(value) == _as_text(one) for one in values if one is not None
    )


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _only_value(bounds: Mapping[str, Any]) -> list[Any] | None:
    """Return the one value between bounds, none for bounds that contradict each other, else None."""
    for low in ("ge", "gt"):
        for high in ("le", "lt"):
            if low not in bounds or high not in bounds:
                continue
            if _is_order_known(bounds[low], bounds[high]) and not bounds[low] < bounds[high]:
                is_met = bounds[low] == bounds[high] and (low, high) == ("ge", "le")
                return [bounds[low]] if is_met else []
    return None


_NUMBER = re.compile(r"\s*[-+.\d][\d.,_]*(e[-+]?\d+)?\s*", re.IGNORECASE)
_TIME_WITH_ZONE = re.compile(r".*[:T]\d\d.*([-+].*|Z)", re.IGNORECASE)


def _meets(column: str, value: Any, key: str, bound: Any) -> bool:
    """Return whether a listed value of the column meets a bound."""
    _check_order(column, value, bound)
    return value is not None and _COMPARE[key](value, bound)


def _check_order(column: str, one: object, other: object) -> None:
    if one != other and not _is_order_known(one, other):
        raise RecipeError(
            f"the order of two values for '{column}' depends on its kind",
            got=f"'{one}' and '{other}'",
            todo="write the tighter condition only, or numbers without quotes",
        )


def _is_order_known(one: object, other: object) -> bool:
    """Return whether two values are ordered alike in every kind of column that takes them.

    "9" and "10" are not: a text column orders them by letters, a column of numbers by size. Times with a
    zone are not either.
    """
    if not isinstance(one, str) or not isinstance(other, str):
        return True
    if _NUMBER.fullmatch(one) and _NUMBER.fullmatch(other):
        return False
    return not (_TIME_WITH_ZONE.fullmatch(one) or _TIME_WITH_ZONE.fullmatch(other))


_ABSENT = object()


def implies(given: Where, other: Where) -> bool:
    """Return whether every row that meets `given` must meet `other` too, as far as bounds tell.

    Equal conditions and bounds on numbers are looked at; the numbers of single labels bound that of all
    objects from below.
    """
    return all(
        _implied(condition, given.conditions.get(column, _ABSENT), _min_objects(given, column))
        for column, condition in other.conditions.items()
    )


def _min_objects(given: Where, column: str) -> float:
    """Return the number of objects that the numbers of single labels add up to, at least."""
    if column != "all objects":
        return -np.inf
    own = (v for k, v in given.conditions.items() if k.startswith("objects '"))
    return sum(max(_bounds(one)[0], 0.0) for one in own)


def _implied(condition: object, given: object, min_objects: float) -> bool:
    """Return whether a condition follows from the one given, and from a value of at least `min_objects`."""
    if given is not _ABSENT and condition == given:
        return True
    if not isinstance(condition, Mapping) or not condition or "not" in condition:
        return False
    low, high = _bounds(given)
    low = max(low, min_objects)
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


ALL_OBJECTS = "all objects"
"""Column of the number of all objects of an image."""

_COUNT = re.compile(r"objects '(.+)'")


def count_column(label: str) -> str:
    """Return the name of the column that counts the objects of a label, as reports call it.

    Examples
    --------
    >>> count_column("WBC")
    "objects 'WBC'"
    """
    return f"objects '{label}'"


def counted(records: pa.Table, schema: Schema, column: str) -> pa.ChunkedArray | None:
    """Return the numbers that a column of counts would hold; None if it is unknown.

    It is unknown where the set has no objects, the name is not that of a count, or the taxonomy does not
    list the label.
    """
    fields = schema.of_kind("boxes")
    found = _COUNT.fullmatch(column)
    if not fields or (column != ALL_OBJECTS and found is None):
        return None
    labels = [found[1]] if found is not None else []
    taxonomy = fields[0].taxonomy
    if labels and taxonomy is not None and labels[0] not in {x.name for x in taxonomy.labels}:
        return None
    return pa.chunked_array([pa.array(object_counts(records, schema, labels)[:, -1])])


def object_counts(
    records: pa.Table, schema: Schema, labels: Sequence[str]
) -> npt.NDArray[np.int64]:
    """Return the number of all objects, then of each label, of the first column of boxes.

    Returns
    -------
    numpy.ndarray of int, shape (n, 1 + labels)
        Zeros where there are no objects.
    """
    fields = schema.of_kind("boxes")
    column = records.column(fields[0].name).to_pylist() if fields else []
    made = np.zeros((len(records), 1 + len(labels)), np.int64)
    place = {label: k for k, label in enumerate(labels, start=1)}
    for row, objects in enumerate(column):
        for item in objects or ():
            made[row, 0] += 1
            if item["category"] in place:
                made[row, place[item["category"]]] += 1
    return made


def rows_that_meet(where: Where, records: pa.Table, schema: Schema) -> Mask:
    """Return which rows of a table meet every condition, shape (n,).

    Where a set has objects, conditions may name their number: `all objects`, `objects 'LABEL'`.
    """
    keep = np.ones(len(records), dtype=bool)
    for column, condition in where.conditions.items():
        known = column in schema.names
        values = records.column(column) if known else counted(records, schema, column)
        if values is None:
            message = f"'where' names the column '{column}', which does not exist"
            raise SchemaError.unknown(message, column, schema.names)
        keep &= _holds(values, condition, column)
    return keep


def _holds(column: pa.ChunkedArray, condition: object, name: str) -> Mask:
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
    if _is_list(condition):
        keep = np.zeros(len(column), dtype=bool)
        for item in condition:
            keep |= _holds(column, item, name)
        return keep
    return _as_mask(_compare(column, "eq", condition, name))


def _compare(column: pa.ChunkedArray, key: str, value: object, name: str) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = pc.cast(column, pa.string()), pa.string()
    if key != "eq" and pa.types.is_string(kind) and not isinstance(value, str):
        raise SchemaError(
            f"'where' compares the column '{name}', which holds texts, with a bound that is none",
            got=f"a bound of type {type(value).__name__}",
            todo="put the bound in quotes to compare letter by letter, or declare the column a number",
        )
    try:
        return _ARROW_COMPARE[key](column, _scalar(value, kind))
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


def _as_mask(answer: pa.ChunkedArray) -> Mask:
    return np.asarray(pc.fill_null(answer, False).to_numpy(zero_copy_only=False), dtype=bool)
