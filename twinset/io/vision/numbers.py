"""Numbers as annotation files write them: short, and exact to a ten thousandth of a pixel."""

from __future__ import annotations

MOST_IDS = 65_535
"""Objects that an id map of 16 bits can tell apart."""


def short(value: float) -> float | int:
    """Return a number of pixels rounded to four digits; whole ones as integers.

    Examples
    --------
    >>> short(3.0), short(3.14159265), short(-0.00001)
    (3, 3.1416, 0)
    """
    rounded = round(float(value), 4)
    return int(rounded) if rounded == int(rounded) else rounded


def share(value: float) -> str:
    """Return a share of an image's side with eight digits: a thousandth of a pixel in 100,000.

    Examples
    --------
    >>> share(0.5), share(1 / 3), share(0)
    ('0.5', '0.33333333', '0')
    """
    return f"{value:.8f}".rstrip("0").rstrip(".") or "0"
