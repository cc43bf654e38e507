"""Questions of the report, and short forms for numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

FAMILIES: Mapping[str, tuple[str, str]] = {
    "gap": ("How far from real?", "Gap"),
    "coverage": ("What is missing?", "Coverage"),
    "utility": ("Does it help?", "Usefulness"),
    "privacy": ("Does it leak?", "Leaks"),
}
"""Family -> (the question it answers, its heading), in reading order."""

NOTHING = "–"


def short(value: object) -> str:
    """Return a number for a table cell, or a dash when there is none.

    Examples
    --------
    >>> short(0.03125), short(1234567), short(None), short(0.00002), short(0)
    ('0.031', '1,234,567', '–', '2e-05', '0')
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return NOTHING
    size = abs(value)
    if size == 0 or (value == int(value) and size >= 10):
        return f"{value:,.0f}"
    if size < 0.0005:
        return f"{value:.1g}"
    return f"{value:.3f}" if size < 10 else f"{value:,.1f}"


def signed(value: object) -> str:
    """Return a difference with its sign.

    Examples
    --------
    >>> signed(0.02), signed(-0.02)
    ('+0.020', '−0.020')
    """
    if not isinstance(value, int | float) or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    return ("+" if value > 0 else "−") + short(abs(value))


def percent(share: float) -> str:
    """Return a share in percent.

    Examples
    --------
    >>> percent(0.031), percent(0.0002), percent(1.0)
    ('3.1 %', '<0.1 %', '100 %')
    """
    if 0 < share < 0.001:
        return "<0.1 %"
    return f"{100 * share:.1f} %" if share < 0.9995 and share else f"{100 * share:.0f} %"


def axis_label(value: float, span: float) -> str:
    """Return `value` with as many digits as an axis of length `span` needs.

    Examples
    --------
    >>> axis_label(12.345, 100), axis_label(0.5, 1), axis_label(2500000, 5e6)
    ('12', '0.50', '2.5M')
    """
    if not span > 0 or not math.isfinite(value):
        return f"{value:.4g}"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if span >= size and max(abs(value), span) >= 5 * size:
            return f"{value / size:.3g}{unit}".replace("-", "−") if value else "0"
    decimals = min(6, max(0, 2 - math.ceil(math.log10(span))))
    text = f"{value:,.{decimals}f}"
    return "0" if float(text.replace(",", "")) == 0 else text.replace("-", "−")


def date_label(microseconds: float, span: float) -> str:
    """Return an instant as a date, with the time of day where the axis is short.

    Examples
    --------
    >>> date_label(0.0, 1e13), date_label(3.6e9, 3.6e9)
    ('1970-01-01', '1970-01-01 01:00')
    """
    try:
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    except OverflowError:
        return f"{microseconds:.3g}"
    return instant.strftime("%Y-%m-%d" if span > 2 * 86_400e6 else "%Y-%m-%d %H:%M")


def joined(parts: Sequence[str]) -> str:
    """Return the parts as one enumeration.

    Examples
    --------
    >>> joined(["a", "b", "c"])
    'a, b and c'
    """
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def plain(value: Any) -> Any:
    """Return `value` as plain JSON values: tuples as lists, NaN and infinity as null, the rest as text.

    Examples
    --------
    >>> plain({"a": (1, float("nan"))})
    {'a': [1, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in (sorted(value) if isinstance(value, set) else value)]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)
