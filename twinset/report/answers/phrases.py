"""Words of a report: questions, marks, short numbers and lists; titles and order of scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from twinset.core.contracts import Metric, Role, Score
from twinset.core.errors import TwinsetError
from twinset.core.findings import DifferentComponents, Verdict
from twinset.core.model_findings import Effect
from twinset.registry import component_class

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
    Effect.WORSE: Mark.INCONCLUSIVE,
    Effect.NOT_SHOWN: Mark.INCONCLUSIVE,
}


@dataclass(frozen=True)
class FamilyQuestion:
    """The question that one family of metrics answers."""

    # text, heading: the question, and its short form
    text: str
    heading: str
    subject: str  # What a candidate is ahead in, as a noun
    # good, bad, inconclusive: predicate of one candidate and of several with this mark
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
    "integrity": FamilyQuestion(
        "Is it valid?",
        "Validity",
        "validity",
        ("has no invalid rows that were looked for", "have no invalid rows that were looked for"),
        ("has invalid rows", "have invalid rows"),
    ),
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

    >>> signed_interval((-0.02, 0.1))
    '−0.020 to +0.100'
    """
    return f"{signed(ends[0])} to {signed(ends[1])}"


def percent(share: float) -> str:
    """Return a share in percent.

    >>> percent(0.031), percent(0.0002), percent(1.0)
    ('3.1 %', '<0.1 %', '100 %')
    """
    if 0 < share < 0.001:
        return "<0.1 %"
    return f"{100 * share:.1f} %" if share < 0.9995 and share else f"{100 * share:.0f} %"


def axis_label(value: float, span: float) -> str:
    """Return `value` with as many digits as an axis of length `span` needs.

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

    >>> plural("column", 1), plural("property", 2)
    ('column', 'properties')
    """
    if n == 1:
        return noun
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"


def count(n: int, noun: str) -> str:
    """Return a number with its noun.

    >>> count(1, "test"), count(1200, "row")
    ('1 test', '1,200 rows')
    """
    return f"{n:,} {plural(noun, n)}"


def capitalize(text: str) -> str:
    """Return a text with a capital first letter; the others stay."""
    return text[:1].upper() + text[1:]


def plain(value: Any) -> Any:
    """Return `value` as plain JSON values: tuples as lists, NaN and infinity as null, the rest as text.

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


_VERDICTS = (Verdict.DIFFERENT, Verdict.INCONCLUSIVE, Verdict.EQUIVALENT, Verdict.NOT_MEASURABLE)
# a margin of zero would divide by zero; any harm then counts as very many margins
_MIN_MARGIN = 1e-12


@lru_cache(maxsize=256)
def _metric_class(metric: str) -> type[Metric] | None:
    """Return the class of a metric; None where it is not installed."""
    try:
        return component_class("metric", metric)
    except TwinsetError:
        return None


def metric_title(metric: str) -> str:
    """Return the title of a metric; one without a title is read from its path.

    >>> metric_title("gap.marginals"), metric_title("gap.tail_weight")
    ('single columns', 'tail weight')
    """
    found = _metric_class(metric)
    return (found.title if found else "") or metric.rpartition(".")[2].replace("_", " ")


def interpret_metric(metric: str) -> str:
    """Return how to read the value of a metric; empty where it is not installed.

    >>> interpret_metric("gap.classifier").partition(":")[0]
    'A model tries to separate synthetic rows from real ones'
    >>> interpret_metric("gap.no_such_metric")
    ''
    """
    found = _metric_class(metric)
    if found is None:
        return ""
    return found.interpretation or (found.__doc__ or "").partition("\n")[0]


def has_role(score: Score, *roles: Role) -> bool:
    """Return whether the metric of a score has one of the roles."""
    found = _metric_class(score.metric)
    return found is not None and not found.roles.isdisjoint(roles)


def with_role(scores: Iterable[Score], *roles: Role) -> list[Score]:
    """Return the scores whose metric has one of the roles, in order."""
    return [score for score in scores if has_role(score, *roles)]


def sees_everything(score: Score) -> bool:
    """Return whether the metric of a score compares all columns at once."""
    found = _metric_class(score.metric)
    return found is not None and found.sees_everything


def compute_degradation(score: Score) -> float:
    """Return how many margins the score lies on the bad side of its baseline; below 0 is better."""
    if score.value is None or score.baseline is None:
        return 0.0
    worse = score.value - score.baseline
    return (-worse if score.higher_is_better else worse) / max(score.margin, _MIN_MARGIN)


def degradation_interval(score: Score) -> tuple[float, float] | None:
    """Return the 95 % interval of the degradation, low to high; None where there is no number."""
    if score.value is None or score.interval is None:
        return None
    low, high = score.interval
    return (-high, -low) if score.higher_is_better else (low, high)


def compute_certain_degradation(score: Score) -> float:
    """Return how many margins of degradation are certain, of the whole or of its worst component.

    Certain is the near end of the 95 % interval, so that a component with a wide interval does not
    lead. A mean over many columns says little of one that is off: its own number counts.

    >>> from twinset.core.contracts import Estimate
    >>> components = DifferentComponents("column", ("age",), 0.1, certain_degradation=4.5)
    >>> score = Score("gap.a", "gap", 0.1, False, Verdict.DIFFERENT,
    ...               Estimate(0.1, 0.0, None, (0.05, 0.15)), (components,))
    >>> compute_certain_degradation(score)
    4.5
    """
    found = score.finding(DifferentComponents)
    of_components = -1.0 if found is None else found.certain_degradation
    if score.interval is None:
        return max(compute_degradation(score), of_components)
    low, high = score.interval
    near = -high if score.higher_is_better else low
    return max(near / max(score.margin, _MIN_MARGIN), of_components)


def worst_first(scores: Iterable[Score]) -> list[Score]:
    """Return the scores in the order in which they matter.

    Different scores come first, by their certain degradation; among them, metrics of single places
    come before metrics of everything at once. Inconclusive and equivalent scores follow by their
    degradation; scores that were not measured come last. The metric's name decides ties.

    >>> from twinset.core.contracts import Estimate
    >>> def scored(name, low, verdict):
    ...     numbers = Estimate(0.3, 0.0, None, (low, 0.5))
    ...     return Score(name, "gap", 0.1, False, Verdict(verdict), numbers)
    >>> found = [scored("gap.a", 0.0, "cannot tell"), scored("gap.b", 0.2, "different"),
    ...          scored("gap.c", 0.3, "different")]
    >>> [score.metric for score in worst_first(found)]
    ['gap.c', 'gap.b', 'gap.a']
    """
    return sorted(scores, key=_sort_key)


def by_question(scores: Sequence[Score]) -> list[tuple[str, list[Score]]]:
    """Return (question, its scores, worst first) in reading order, for questions that have scores."""
    groups = [
        (question.text, worst_first(s for s in scores if s.family == family))
        for family, question in QUESTIONS.items()
    ]
    return [(question, own) for question, own in groups if own]


def _sort_key(score: Score) -> tuple[int, bool, float, str]:
    verdict = _VERDICTS.index(score.verdict)
    if verdict:
        return verdict, False, -compute_degradation(score), score.metric
    return verdict, sees_everything(score), -compute_certain_degradation(score), score.metric
