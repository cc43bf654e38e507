"""The smallest faults that a comparison would have noticed, stated before its results."""

from __future__ import annotations

from collections.abc import Sequence

from twinset.core.contracts import Role, Score
from twinset.core.differences import DetectableDifferences
from twinset.core.findings import DetectableRegion
from twinset.core.model_findings import ModelComparison
from twinset.report.answers.phrases import has_role, percent, short, with_role


def smallest_faults(scores: Sequence[Score]) -> str:
    """Return the smallest faults that would be found four times in five; empty where nothing was measured.

    >>> smallest_faults([])
    ''
    """
    named = [
        text for text in (*_distributions(scores), *_regions(scores), *_models(scores)) if text
    ]
    return f"{', '.join(named)}; smaller faults may be there unseen." if named else ""


def _distributions(scores: Sequence[Score]) -> list[str]:
    """Return shifts of columns: by the scan of slices, or else by the distance of single columns."""
    scan = next((one for s in scores if (one := s.finding(DetectableDifferences))), None)
    if scan is not None:
        return [
            f"a column moved by {scan.all_rows:.2f} standard deviations ({scan.twentieth:.2f} in a "
            "twentieth of the rows)",
            f"a correlation changed by {scan.correlation:.2f}",
        ]
    basic = [s for s in with_role(scores, Role.BASIC_APPEARANCE) if s.detectable is not None]
    single = [s for s in basic if not has_role(s, Role.DEPENDENCE)]
    return [
        f"columns off by {percent(s.detectable)} on average"
        for s in single[:1]
        if s.detectable is not None
    ]


def _regions(scores: Sequence[Score]) -> list[str]:
    found = next((one for s in scores if (one := s.finding(DetectableRegion))), None)
    if found is None:
        return []
    return [f"half of the rows missing in a region of {percent(found.share)} of them"]


def _models(scores: Sequence[Score]) -> list[str]:
    for score in with_role(scores, Role.SUBSTITUTE_MODEL):
        models = score.finding(ModelComparison)
        if models is not None and score.detectable is not None:
            return [f"a model worse by {short(score.detectable)} in {models.measures[0]}"]
    return []
