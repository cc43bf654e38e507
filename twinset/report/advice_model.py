"""Hold what an advice says: measures, candidates and the texts of their values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from twinset.report.answers.phrases import percent, plain, short, signed

SCHEMA_VERSION = 1

Verdict = Literal["helps", "hurts", "no evidence", "too few to tell"]
_MARKS: Mapping[str, str] = {
    "helps": "good",
    "hurts": "bad",
    "no evidence": "unclear",
    "too few to tell": "unmeasured",
}


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure of the model without balancing and of the one with, on the test rows.

    Parameters
    ----------
    name, title : str
        Short name, and the same in plain words.
    none, other : float
        Without and with balancing.
    none_interval : tuple of float
        95 % interval of the first.
    difference : float
        `other - none`.
    interval : tuple of float
        95 % interval of the difference; paired, with the variance between training sets.
    higher_is_better : bool
        Direction of good.
    unit : {"share", "percent", "times", "money"}
        How it is written.
    """

    name: str
    title: str
    none: float
    none_interval: tuple[float, float]
    other: float
    difference: float
    interval: tuple[float, float]
    higher_is_better: bool
    unit: str = "share"

    @property
    def verdict(self) -> Verdict:
        """Whether balancing helps, by this measure alone."""
        low, high = (
            self.interval if self.higher_is_better else (-self.interval[1], -self.interval[0])
        )
        return "helps" if low > 0 else "hurts" if high < 0 else "no evidence"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One strategy as the inner folds saw it.

    Parameters
    ----------
    name, title : str
        Short name, and the same in plain words.
    kind : str
        What strategies that differ by their ratio alone have in common.
    ratio : float
        Rare rows per common row after it; 0 where it sets none.
    precision : float
        Mean average precision over the inner folds.
    difference, error : float
        Difference to "none" and its standard error.
    in_last_round : bool
        Whether it took part in the last round.
    """

    name: str
    title: str
    kind: str
    ratio: float
    precision: float
    difference: float
    error: float
    in_last_round: bool


@dataclass(frozen=True, kw_only=True)
class AdviceContent:
    """Whether to balance the rare class; it holds no clock, host or path, and no row.

    Parameters
    ----------
    title : str
        Heading of the page.
    verdict : {"helps", "hurts", "no evidence", "too few to tell"}
        What the untouched test rows say of the best way of balancing.
    chosen : str
        Strategy to take: "none" unless another one won the inner choice.
    chosen_title : str
        The same in plain words.
    tested, tested_title : str
        Strategy compared with "none" on the test rows: the chosen one, or the best of the others.
    is_balancing : bool
        Whether the tested strategy changes the rows or their weights, and not the model.
    model : str
        The model, in plain words.
    sentence : str
        The advice.
    measures : tuple of Measure
        On the test rows.
    candidates : tuple of Candidate
        On the inner folds.
    calibration : mapping
        Log-loss, reliability and how probabilities were restored.
    curves : mapping
        What the page draws.
    novelty : mapping
        Novelty and intrusion of the synthetic rows; empty where none were added.
    facts : mapping
        Counts, split, prices, seed.
    notes : tuple of str
        What must be read with care.
    recipe : str
        Recipe of the chosen rows, as YAML text; empty where no row is added.
    """

    title: str
    verdict: Verdict
    chosen: str
    chosen_title: str
    tested: str
    tested_title: str
    is_balancing: bool = True
    model: str
    sentence: str
    measures: tuple[Measure, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    calibration: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, Any] = field(default_factory=dict)
    novelty: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    recipe: str = ""

    @property
    def mark(self) -> str:
        """The mark of the verdict on the page."""
        return _MARKS[self.verdict]

    def to_json(self) -> str:
        """Return the advice as JSON text."""
        content = {
            "schema_version": SCHEMA_VERSION,
            **asdict(self),
            "measures": [{**asdict(m), "verdict": m.verdict} for m in self.measures],
        }
        return json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def format_measure(measure: Measure, tested: str) -> str:
    """Return a measure as words: both values, the difference and its interval."""
    none = written(measure.none, measure.unit)
    if tested == "none":
        return f"{none}  (95 %: {between(measure.none_interval, measure.unit)})"
    return (
        f"{none} -> {written(measure.other, measure.unit)}  "
        f"({change(measure.difference, measure.unit)}, 95 %: "
        f"{between(measure.interval, measure.unit, changes=True)})"
    )


def format_alerts(count: float) -> str:
    """Return a number of alerts, whole where it is not small.

    Examples
    --------
    >>> format_alerts(1851.9), format_alerts(0.42)
    ('1,852', '0.420')
    """
    return f"{count:,.0f}" if count >= 10 else short(count)


def written(value: float, unit: str) -> str:
    """Return a measure's value in its unit.

    Examples
    --------
    >>> written(0.613, "percent"), written(12.25, "times"), written(0.7, "share")
    ('61.3 %', '12.2 times', '0.700')
    """
    if unit == "percent":
        return percent(value)
    return f"{short(value)} times" if unit == "times" else short(value)


def between(ends: tuple[float, float], unit: str, *, changes: bool = False) -> str:
    """Return an interval of values, or of changes, in the unit of its measure; the unit is said once.

    Examples
    --------
    >>> between((0.25, 0.5), "times"), between((-0.02, 0.1), "percent", changes=True)
    ('0.250 to 0.500 times', '−2.0 to +10.0 points')
    """
    low, high = ((change if changes else written)(end, unit) for end in ends)
    for word in (" points", " times", " %"):
        if high.endswith(word):
            low = low.removesuffix(word)
    return f"{low} to {high}"


def change(value: float, unit: str) -> str:
    """Return a difference in the unit of its measure.

    Examples
    --------
    >>> change(-0.02, "percent"), change(0.1, "share")
    ('−2.0 points', '+0.100')
    """
    if unit == "percent":
        return f"{'+' if value > 0 else '−' if value < 0 else ''}{100 * abs(value):.1f} points"
    return signed(value)
