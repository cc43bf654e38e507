"""Which finding a reader meets first: the one that is surely the farthest off, by its worst part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twinset.core.contracts import Score
from twinset.core.findings import DifferentComponents, Verdict
from twinset.report.answers.metrics import sees_everything
from twinset.report.answers.phrases import FAMILIES

_VERDICTS = (Verdict.DIFFERENT, Verdict.INCONCLUSIVE, Verdict.EQUIVALENT, Verdict.NOT_MEASURABLE)
_SMALLEST_MARGIN = 1e-12


def compute_degradation(score: Score) -> float:
    """Return how many margins the score lies on the bad side of its baseline; below 0 is better."""
    if score.value is None or score.baseline is None:
        return 0.0
    worse = score.value - score.baseline
    return (-worse if score.higher_is_better else worse) / max(score.margin, _SMALLEST_MARGIN)


def compute_certain_degradation(score: Score) -> float:
    """Return how many margins of harm are sure, of the whole or of its worst part, the larger one.

    Sure is what lies at the near end of the 95 % interval, so that a part that is off by a wide guess
    does not lead. A mean over many columns says little of one that is off: its own number counts.

    Examples
    --------
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
    return max(near / max(score.margin, _SMALLEST_MARGIN), of_components)


def worst_first(scores: Iterable[Score]) -> list[Score]:
    """Return the scores in the order in which they matter.

    Those that are different come first, by their sure harm, and those that look at a place before those
    that look at everything at once; then those that cannot be told and those that are as good as real, by
    their harm; last what was not measured. Ties go by the metric's name.

    Examples
    --------
    >>> from twinset.core.contracts import Estimate
    >>> def scored(name, low, verdict):
    ...     numbers = Estimate(0.3, 0.0, None, (low, 0.5))
    ...     return Score(name, "gap", 0.1, False, Verdict(verdict), numbers)
    >>> found = [scored("gap.a", 0.0, "cannot tell"), scored("gap.b", 0.2, "different"),
    ...          scored("gap.c", 0.3, "different")]
    >>> [score.metric for score in worst_first(found)]
    ['gap.c', 'gap.b', 'gap.a']
    """
    return sorted(scores, key=_place)


def by_question(scores: Sequence[Score]) -> list[tuple[str, list[Score]]]:
    """Return (question, its scores, worst first) in reading order, for questions that have scores."""
    groups = [
        (question, worst_first(s for s in scores if s.family == family))
        for family, (question, _) in FAMILIES.items()
    ]
    return [(question, own) for question, own in groups if own]


def _place(score: Score) -> tuple[int, bool, float, str]:
    verdict = _VERDICTS.index(score.verdict)
    if verdict:
        return verdict, False, -compute_degradation(score), score.metric
    return verdict, sees_everything(score), -compute_certain_degradation(score), score.metric
