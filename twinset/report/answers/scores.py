"""Titles, interpretations and roles of scores, and the order in which they matter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from twinset.core.contracts import Metric, Role, Score
from twinset.core.errors import TwinsetError
from twinset.core.findings import DifferentComponents, Verdict
from twinset.registry import component_class
from twinset.report.answers.phrases import QUESTIONS

_VERDICTS = (Verdict.DIFFERENT, Verdict.INCONCLUSIVE, Verdict.EQUIVALENT, Verdict.NOT_MEASURABLE)
_MIN_MARGIN = (
    1e-12  # a margin of zero would divide by zero; any harm then counts as very many margins
)


@lru_cache(maxsize=256)
def _metric_class(metric: str) -> type[Metric] | None:
    """Return the class of a metric; None where it is not installed."""
    try:
        return component_class("metric", metric)
    except TwinsetError:
        return None


def metric_title(metric: str) -> str:
    """Return the title of a metric; one without a title is read from its path.

    Examples
    --------
    >>> metric_title("gap.marginals"), metric_title("gap.tail_weight")
    ('single columns', 'tail weight')
    """
    found = _metric_class(metric)
    return (found.title if found else "") or metric.rpartition(".")[2].replace("_", " ")


def interpret_metric(metric: str) -> str:
    """Return how to read the value of a metric; empty where it is not installed.

    Examples
    --------
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
    return max(near / max(score.margin, _MIN_MARGIN), of_components)


def worst_first(scores: Iterable[Score]) -> list[Score]:
    """Return the scores in the order in which they matter.

    Different scores come first, by their certain degradation; among them, metrics of single places
    come before metrics of everything at once. Inconclusive and equivalent scores follow by their
    degradation; scores that were not measured come last. The metric's name decides ties.

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
