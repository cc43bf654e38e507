"""Who is ahead in a metric: only where the whole interval is clear of the others'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twinset.core.contracts import MetricFamily, Score
from twinset.report.answers.metrics import metric_title
from twinset.report.answers.phrases import NOTHING, joined, short
from twinset.report.answers.sentences import degradation_interval, score_sentence


@dataclass(frozen=True)
class MetricRow:
    """One metric over all candidates.

    Parameters
    ----------
    metric : str
        Its name.
    scores : mapping
        Candidate -> its score.
    out : frozenset of str
        Candidates that are never called ahead.
    """

    metric: str
    scores: Mapping[str, Score]
    out: frozenset[str] = frozenset()

    @property
    def family(self) -> MetricFamily:
        """The family of metrics that it belongs to."""
        return next(iter(self.scores.values())).family

    @property
    def title(self) -> str:
        """The metric in plain words."""
        return metric_title(self.metric)

    @property
    def higher_is_better(self) -> bool:
        """Direction of good."""
        return next(iter(self.scores.values())).higher_is_better

    @property
    def baselines(self) -> tuple[float, ...]:
        """What real rows get, ascending, each number once; candidates of other sizes get others."""
        return tuple(sorted({s.baseline for s in self.scores.values() if s.baseline is not None}))

    @property
    def measured(self) -> tuple[str, ...]:
        """The candidates in the race that have a number."""
        return tuple(
            name
            for name, score in self.scores.items()
            if name not in self.out and degradation_interval(score) is not None
        )

    @property
    def front(self) -> tuple[str, ...]:
        """The candidates that nobody is clearly ahead of; empty where fewer than two have a number."""
        if len(self.measured) < 2:
            return ()
        scores = [self.scores[name] for name in self.measured]
        return tuple(
            name
            for name in self.measured
            if not any(is_ahead(other, self.scores[name]) for other in scores)
        )

    @property
    def best(self) -> str | None:
        """The candidate that is clearly ahead of every other measured one; None where none is."""
        for name in self.measured:
            others = [self.scores[other] for other in self.measured if other != name]
            if others and all(is_ahead(self.scores[name], other) for other in others):
                return name
        return None

    def baseline_told(self) -> str:
        """Return what real rows get; least to most where the candidates are not equally large."""
        found = [short(base) for base in self.baselines]
        if len(set(found)) < 2:
            return found[0] if found else NOTHING
        return f"{found[0]} to {found[-1]}"

    def told(self) -> str:
        """Return who is best in words; a dash where there is nothing to compare."""
        if self.best is not None:
            return self.best
        if not self.front:
            return NOTHING
        if len(self.front) == len(self.measured):
            return "cannot tell apart"
        return f"cannot tell {joined(self.front)} apart" if len(self.front) > 1 else self.front[0]

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain JSON values, without the details of the scores."""
        first = next(iter(self.scores.values()))
        kept = ("value", "baseline", "interval", "verdict")
        return {
            "metric": self.metric,
            "title": self.title,
            "family": self.family,
            "higher_is_better": self.higher_is_better,
            "margin": first.margin,
            "best": self.best,
            "front": list(self.front),
            "candidates": {
                name: {
                    **{key: getattr(score, key) for key in kept},
                    "sentence": score_sentence(score),
                }
                for name, score in self.scores.items()
            },
        }


def metric_rows(
    scores: Mapping[str, tuple[Score, ...]], out: frozenset[str] = frozenset()
) -> tuple[MetricRow, ...]:
    """Return one row for each metric that a candidate was measured by, in the order of the scores.

    Parameters
    ----------
    scores : mapping
        Candidate -> its scores.
    out : frozenset of str
        Candidates that are never called ahead.
    """
    rows: dict[str, dict[str, Score]] = {}
    for name, own in scores.items():
        for score in own:
            rows.setdefault(score.metric, {})[name] = score
    return tuple(MetricRow(metric, found, out) for metric, found in rows.items())


def is_ahead(score: Score, other: Score) -> bool:
    """Return whether `score` is better than `other` beyond both intervals.

    Each interval is that of the difference from real rows, so sets of other sizes can be compared.
    Two intervals that do not touch are further apart than a test of their difference would ask for.

    Examples
    --------
    >>> from twinset.core.contracts import Estimate
    >>> from twinset.core.findings import Verdict
    >>> def scored(low, high):
    ...     numbers = Estimate(0.1, 0.0, None, (low, high))
    ...     return Score("gap.a", "gap", 0.1, False, Verdict.DIFFERENT, numbers)
    >>> is_ahead(scored(0.1, 0.2), scored(0.3, 0.4)), is_ahead(scored(0.1, 0.3), scored(0.2, 0.4))
    (True, False)
    """
    mine, theirs = degradation_interval(score), degradation_interval(other)
    # A billionth forgives rounding, as verdicts do.
    return mine is not None and theirs is not None and mine[1] + 1e-9 < theirs[0]
