"""Words of a report: the four questions, marks, and short forms of numbers and lists."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from twinset.core.findings import Effect, Verdict

NOTHING = "–"


class Mark(StrEnum):
    """What an answer amounts to; the values are those in JSON and the class names of the page."""

    GOOD = "good"
    BAD = "bad"
    INCONCLUSIVE = "inconclusive"
    UNMEASURED = "unmeasured"
    MIXED = "mixed"

    @property
    def sign(self) -> str:
        """The mark on a terminal."""
        return dict(zip(Mark, "+!?-~"))[self]

    @property
    def emoji(self) -> str:
        """The mark in Markdown."""
        return dict(zip(Mark, ("✅", "❌", "❔", "➖", "↔️")))[self]

    @property
    def label(self) -> str:
        """The mark in words, for readers who do not see it."""
        words = ("good", "bad", "inconclusive", "not measured", "not the same for all")
        return dict(zip(Mark, words))[self]


MARKS: Mapping[Verdict | Effect, Mark] = {
    Verdict.EQUIVALENT: Mark.GOOD,
    Verdict.DIFFERENT: Mark.BAD,
    Verdict.INCONCLUSIVE: Mark.INCONCLUSIVE,
    Verdict.NOT_MEASURABLE: Mark.UNMEASURED,
    Effect.HELPS: Mark.GOOD,
    Effect.HURTS: Mark.BAD,
    Effect.NOT_SHOWN: Mark.INCONCLUSIVE,
}


@dataclass(frozen=True)
class FamilyQuestion:
    """The question that one family of metrics answers.

    Parameters
    ----------
    text, heading : str
        The question, and its short form.
    subject : str
        What a candidate is ahead in, as a noun.
    good, bad, inconclusive : tuple of str
        Predicate of one candidate and of several with this mark.
    """

    text: str
    heading: str
    subject: str
    good: tuple[str, str]
    bad: tuple[str, str]
    inconclusive: tuple[str, str] = ("is inconclusive", "are inconclusive")

    def predicate(self, mark: Mark, n: int = 1) -> str:
        """Return what is said of `n` candidates with a mark."""
        if mark == Mark.UNMEASURED:
            return "could not be measured"
        one, several = {Mark.GOOD: self.good, Mark.BAD: self.bad}.get(mark, self.inconclusive)
        return one if n == 1 else several


QUESTIONS: Mapping[str, FamilyQuestion] = {
    "gap": FamilyQuestion(
        "How far from real?",
        "Gap",
        "closeness to real",
        ("is as good as real rows", "are as good as real rows"),
        ("is different from real rows", "are different from real rows"),
    ),
    "coverage": FamilyQuestion(
        "What is missing?",
        "Coverage",
        "coverage",
        ("misses nothing that was looked for", "miss nothing that was looked for"),
        ("misses something", "miss something"),
    ),
    "utility": FamilyQuestion(
        "Does it help?",
        "Usefulness",
        "usefulness",
        ("helps", "help"),
        ("does not help", "do not help"),
        ("shows no clear use", "show no clear use"),
    ),
    "privacy": FamilyQuestion(
        "Does it leak?",
        "Leaks",
        "privacy",
        ("shows no sign of leaking", "show no sign of leaking"),
        ("shows signs of leaking", "show signs of leaking"),
    ),
}
"""Family of metrics -> its question, in reading order."""


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


def signed_interval(ends: Sequence[float]) -> str:
    """Return an interval of differences.

    Examples
    --------
    >>> signed_interval((-0.02, 0.1))
    '−0.020 to +0.100'
    """
    return f"{signed(ends[0])} to {signed(ends[1])}"


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


def joined(parts: Sequence[str], limit: int | None = None, noun: str = "") -> str:
    """Return the parts as one enumeration: at most `limit` of them, and how many more there are.

    Examples
    --------
    >>> joined(["a", "b", "c"]), joined(["a", "b", "c"], 2), joined(["a", "b", "c"], 1, "column")
    ('a, b and c', 'a, b and 1 more', 'a and 2 more columns')
    """
    if limit is not None and len(parts) > limit:
        left = len(parts) - limit
        more = f"{left} more {plural(noun, left)}" if noun else f"{left} more"
        parts = [*parts[:limit], more]
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def plural(noun: str, n: int) -> str:
    """Return a noun in the number that `n` asks for.

    Examples
    --------
    >>> plural("column", 1), plural("property", 2)
    ('column', 'properties')
    """
    if n == 1:
        return noun
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"


def count(n: int, noun: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> count(1, "test"), count(1200, "row")
    ('1 test', '1,200 rows')
    """
    return f"{n:,} {plural(noun, n)}"


def capitalize(text: str) -> str:
    """Return a text with a capital first letter; the others stay."""
    return text[:1].upper() + text[1:]


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
