"""Check the settings of a component against the ranges that their annotations declare.

A setting declares its range beside its type::

    n_bins: Annotated[int, Ge(2)] = 32
    scale_range: Annotated[tuple[float, float], Each(Interval(ge=0.1, le=10)), Ascending()] = (0.8, 1.2)
    blend: Literal["none", "feather"] = "feather"

`check_parameters` reads the annotations once for each class. An error names the setting, its value and
what is allowed. The types of the
items of a sequence and the length of a tuple are not checked here; recipes check them when they are read.
"""

from __future__ import annotations

import itertools
import math
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from twinset.core.errors import ParameterError, UnknownNameError, did_you_mean

_WORDS = {int: "an integer", float: "a number", str: "a text", bool: "true or false"}
_INT64 = 2**63  # whole numbers of a column lie below it
NUMBERS = "finite numbers, whole ones below 2 to the 63"
_LONGEST_SHOWN = 60  # characters of a value in an error: longer ones are lists nobody reads


@dataclass(frozen=True)
class Interval:
    """Range of a number: `ge` and `le` belong to it, `gt` and `lt` do not.

    Examples
    --------
    >>> str(Interval(gt=0, le=1)), Interval(gt=0, le=1).holds(0.0)
    ('> 0 and <= 1', False)
    """

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def holds(self, value: Any) -> bool:
        """Return whether `value` lies in the range; NaN and infinity lie in none."""
        return bool(
            (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
            and is_number(value)
        )

    def __str__(self) -> str:
        bounds = ((">=", self.ge), (">", self.gt), ("<=", self.le), ("<", self.lt))
        return " and ".join(f"{sign} {end:,g}" for sign, end in bounds if end is not None)


def Ge(low: float) -> Interval:
    """Return the range of numbers >= `low`."""
    return Interval(ge=low)


def Gt(above: float) -> Interval:
    """Return the range of numbers > `above`."""
    return Interval(gt=above)


@dataclass(frozen=True)
class Each:
    """Range of every number in a sequence, or of every value in a mapping."""

    interval: Interval

    def holds(self, value: Any) -> bool:
        """Return whether every number lies in the range."""
        numbers: Iterable[Any] = value.values() if isinstance(value, Mapping) else value
        return all(is_number(number) and self.interval.holds(number) for number in numbers)

    def __str__(self) -> str:
        return f"each {self.interval}"


@dataclass(frozen=True)
class Ascending:
    """A sequence whose numbers do not fall, e.g. the two ends of a range."""

    def holds(self, value: Any) -> bool:
        """Return whether no number is smaller than the one before it."""
        return all(a <= b for a, b in itertools.pairwise(value))

    def __str__(self) -> str:
        return "in ascending order"


@dataclass(frozen=True)
class MinLen:
    """Smallest number of items."""

    length: int

    def holds(self, value: Any) -> bool:
        """Return whether there are at least so many items."""
        return len(value) >= self.length

    def __str__(self) -> str:
        return f"at least {self.length} item{'s' if self.length != 1 else ''}"


@dataclass(frozen=True)
class OneOf:
    """A name out of a list that another module keeps."""

    names: tuple[str, ...]

    def holds(self, value: Any) -> bool:
        """Return whether `value` is one of the names."""
        return value in self.names

    def __str__(self) -> str:
        return ", ".join(self.names)


Constraint = Interval | Each | Ascending | MinLen | OneOf

Fraction = Annotated[float, Interval(ge=0, le=1)]
"""A share, 0 to 1."""
Margin = Annotated[float, Ge(0)]
"""An equivalence margin, in the unit of its metric."""
Replicates = Annotated[int, Ge(2)]
"""Number of bootstrap replicates."""
Ends = tuple[float, float]
"""Smallest and largest of a range."""
Device = Literal["auto", "cpu", "cuda"]
"""Where torch computes; "auto" takes a GPU where there is one."""


def check_parameters(
    settings: Any,  # an instance of a dataclass whose annotations declare ranges
) -> None:
    """Raise an error for the first setting whose value lies outside its declared range.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Bins:
    ...     n_bins: Annotated[int, Ge(2)] = 32
    >>> check_parameters(Bins(n_bins=1))
    Traceback (most recent call last):
        ...
    twinset.core.errors.ParameterError: 'n_bins' is out of its range; got 1; allowed: an integer >= 2
    """
    for name, hint in _checked_hints(settings.__class__):
        value = getattr(settings, name)
        if _fits(value, hint):
            continue
        names = _names_in(hint)
        raise ParameterError(
            f"'{name}' is out of its range",
            got=_shown(value),
            allowed=describe_type(hint),
            todo=did_you_mean(value, names) if isinstance(value, str) and names else "",
            place=(name,),
        )


def read_weights(
    given: Sequence[str] | Mapping[str, float],  # names, with weights when a mapping
    known: Iterable[str],  # names that are allowed
    # name of the setting, and of one of its names, in errors
    setting: str,
    noun: str,
) -> dict[str, float]:
    """Return name -> weight; a sequence of names gives equal weights.

    Examples
    --------
    >>> read_weights(["fog", "rain"], ("fog", "rain", "snow"), "kinds", "kind")
    {'fog': 1.0, 'rain': 1.0}
    """
    known = list(known)
    weights = dict(given) if isinstance(given, Mapping) else dict.fromkeys(given, 1.0)
    for name, weight in weights.items():
        if name not in known:
            raise UnknownNameError.for_name(noun, str(name), known, setting)
        if not is_number(weight) or not 0 <= weight < float("inf"):
            raise ParameterError(
                f"the weight of '{name}' in '{setting}' is out of its range",
                got=str(weight),
                allowed="0 or more",
            )
    if not sum(weights.values()):
        raise ParameterError(f"'{setting}' gives nothing a weight above 0", got=str(given))
    return {name: float(weight) for name, weight in weights.items()}


def describe_type(hint: Any) -> str:
    """Return a type and its range in words.

    Examples
    --------
    >>> describe_type(Annotated[int, Ge(2)]), describe_type(Literal["a", "b"] | None)
    ('an integer >= 2', 'a, b or null')
    """
    if hint is type(None) or hint is None:
        return "null"
    origin = get_origin(hint)
    if origin is Annotated:
        kind, *marks = get_args(hint)
        known = [mark for mark in marks if isinstance(mark, Constraint)]
        if any(isinstance(mark, OneOf) for mark in known):
            return "; ".join(map(str, known))
        head, tail = describe_type(kind), [str(mark) for mark in known]
        if isinstance(known[0] if known else None, Interval):
            return " ".join([f"{head} {tail[0]}", *tail[1:]])
        return ", ".join([head, *tail])
    if origin is Literal:
        return ", ".join(str(value) for value in get_args(hint))
    if origin in (Union, types.UnionType):
        return " or ".join(describe_type(one) for one in get_args(hint))
    plain = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
    return _WORDS.get(hint) or plain


@cache
def _checked_hints(cls: Any) -> tuple[tuple[str, Any], ...]:
    """Return the fields of a dataclass that declare a range, with their annotations."""
    hints = get_type_hints(cls, include_extras=True)
    fields: Sequence[str] = tuple(getattr(cls, "__dataclass_fields__", {}))
    return tuple((name, hints[name]) for name in fields if name in hints and _declares(hints[name]))


def _declares(hint: Any) -> bool:
    """Return whether an annotation declares a range or a list of names."""
    origin = get_origin(hint)
    if origin is Annotated:
        return any(isinstance(mark, Constraint) for mark in get_args(hint)[1:])
    if origin in (Union, types.UnionType):
        return any(_declares(one) for one in get_args(hint))
    return origin is Literal


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value meets an annotation; types without a range are not looked into."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in get_args(hint))
    if origin is Annotated:
        kind, *marks = get_args(hint)
        if not _fits(value, kind):
            return False
        try:
            return all(mark.holds(value) for mark in marks if isinstance(mark, Constraint))
        except TypeError:  # a value that cannot be compared, as a text with a number
            return False
    if origin is Literal:
        return any(value == known and type(value) is type(known) for known in get_args(hint))
    check = _TYPES.get(origin or hint)
    return check is None or check(value)


def is_number(value: object) -> bool:
    """Return whether `value` is a finite number; a whole one must lie below 2 to the 63.

    Examples
    --------
    >>> is_number(2**62), is_number(10**400), is_number(float("nan")), is_number(True)
    (True, False, False, False)
    """
    if isinstance(value, int):
        return not isinstance(value, bool) and -_INT64 <= value < _INT64
    return isinstance(value, float) and math.isfinite(value)


def has_unusable_number(value: object) -> bool:
    """Return whether a number that `is_number` refuses is `value`, or stands in it."""
    if isinstance(value, Mapping):
        return any(has_unusable_number(one) for one in value.values())
    if isinstance(value, list | tuple):
        return any(has_unusable_number(one) for one in value)
    return isinstance(value, int | float) and not isinstance(value, bool) and not is_number(value)


_TYPES: dict[Any, Callable[[Any], bool]] = {
    int: lambda value: isinstance(value, int) and is_number(value),
    float: is_number,
    str: lambda value: isinstance(value, str),
    bool: lambda value: isinstance(value, bool),
    type(None): lambda value: value is None,
    tuple: lambda value: isinstance(value, tuple | list),
    list: lambda value: isinstance(value, tuple | list),
    Sequence: lambda value: isinstance(value, Sequence) and not isinstance(value, str),
    Mapping: lambda value: isinstance(value, Mapping),
    dict: lambda value: isinstance(value, Mapping),
}


def _names_in(hint: Any) -> list[str]:
    """Return the names that an annotation lists."""
    origin = get_origin(hint)
    if origin is Literal:
        return [value for value in get_args(hint) if isinstance(value, str)]
    if origin is Annotated:
        marks = get_args(hint)[1:]
        return [name for mark in marks if isinstance(mark, OneOf) for name in mark.names]
    if origin in (Union, types.UnionType):
        return [name for one in get_args(hint) for name in _names_in(one)]
    return []


def _shown(value: object) -> str:
    if has_unusable_number(value):
        return "a number that is too large or not finite"
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"a {type(value).__name__}"
