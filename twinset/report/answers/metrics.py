"""Title, interpretation and roles of metrics, as their classes declare them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from twinset.core.contracts import Metric, Role, Score
from twinset.core.errors import TwinsetError
from twinset.registry import component_class


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
