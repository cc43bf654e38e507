"""Scores of one comparison with the default metrics, and what they say of a fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twinset.core import findings as found_by
from twinset.core.contracts import Score
from twinset.core.data.dataset import Dataset
from twinset.measurement.harness import measure
from twinset.registry import default_metrics
from twinset.report.answers.phrases import worst_first

NAMED = 2  # names read of each finding: a report shows its first two in the summary


def family_scores(
    parts: tuple[Dataset, Dataset, Dataset], families: Sequence[str],
    only: Sequence[str] = (), **settings: Any,
) -> list[Score]:  # fmt: skip
    """Return the scores of train, synthetic and holdout by the default metrics of some families."""
    metrics = [
        (name, metric)
        for name, metric in default_metrics(parts[1].schema.kinds)
        if metric.family in families and (not only or name in only)
    ]
    sides: Any = dict(zip(("train", "synthetic", "holdout"), parts))
    return measure(**sides, metrics=metrics, **settings)


def different(scores: Sequence[Score]) -> list[Score]:
    """Return the scores with the verdict "different", the worst first."""
    return worst_first(score for score in scores if score.verdict == "different")


def first_names(found: Sequence[Score]) -> list[str]:
    """Return the columns or patterns that the worst score with names gives first."""
    for score in found:
        regions = score.finding(found_by.RegionShares) or found_by.RegionShares()
        slices = [*regions.underrepresented, *regions.overrepresented]
        components = score.finding(found_by.DifferentComponents)
        importances = score.finding(found_by.FeatureImportances)
        texts = score.finding(found_by.TextFeatures)
        # The finding names a broken rule; only the facts list its columns.
        broken = [one for one in score.facts.get("broken", []) if one["beyond_real"]]
        named = [
            *(part.split()[0] for one in slices[:1] for part in one.condition.split(" and ")),
            *(components.names[:NAMED] if components else ()),
            *(list(importances.importances)[:NAMED] if importances else ()),
            *(column for one in broken[:1] for column in one["columns"]),
            *(texts.features[:NAMED] if texts else ()),
        ]
        if named:
            return [str(name) for name in named]
    return []


def classifier_differs(scores: Sequence[Score]) -> bool | None:
    """Return whether a classifier's AUC lies above 0.5 with its 95 % interval; None if not measured."""
    for score in scores:
        if score.metric == "gap.classifier" and score.value is not None and score.detectable:
            error = (score.detectable - score.margin) / 3.72  # 2.88 + 0.84 standard errors
            return bool(score.facts["auc"] - 1.96 * error > 0.5)
    return None
