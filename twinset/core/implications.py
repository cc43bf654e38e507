"""What follows from conditions alone, before any row is looked at."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from twinset.core.where import Where

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
