"""From two measurements to a verdict: interval, margin and smallest detectable effect."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import ComponentResults, Estimate, Measurement, Metric, Score
from twinset.core.findings import (
    ComparisonBasis,
    DecidingRows,
    DifferentComponents,
    Finding,
    NotMeasured,
    Verdict,
)
from twinset.core.model_findings import ModelComparison
from twinset.core.stats.hypothesis_tests import COMPONENT_LEVEL, METRIC_QUANTILE, discoveries

Floats = npt.NDArray[np.float64]

MIN_ROWS = 20  # of a set; with fewer nothing is decided: an interval from so few is not reliable

_DRIFT_RATE = (
    0.05  # false discovery rate over all components, of drift between train set and holdout
)
_DEGREES = 49  # degrees of freedom of a standard error from a bootstrap of 50 groups of rows
_NORMAL_QUANTILE = 1.96  # two-sided 95 % interval of a normal distribution
_POWER_QUANTILE = 0.84  # 80 % power, to detect a difference of 2.88 + 0.84 standard errors
# A number without bounds, such as a ratio, says nothing where half of its interval is more margins: with a
# quarter of the rows an interval is only twice as wide.
_MAX_REACH = 100
_ROUNDING = 1e-9  # forgives rounding where a degradation equals the margin, as 0 and 0 do


def find_different_components(
    metric: Metric,
    measured: ComponentResults | None,
    baseline: ComponentResults | None,
    n_rows: int,
) -> DifferentComponents | None:
    """Return the components whose degradation is beyond their margin; None where none is comparable.

    Each component is tested one-sidedly against a degradation of at most the margin, by Student's t
    since errors are those of a bootstrap of 50 groups of rows, and the false discovery rate over all
    components is kept at `COMPONENT_LEVEL`. Components that only one of the two measurements has, such as
    a group that is large enough in one set, are excluded.

    References
    ----------
    Benjamini and Hochberg, "Controlling the false discovery rate", J. R. Stat. Soc. B 57, 1995.
    """
    if measured is None or baseline is None or n_rows < MIN_ROWS:
        return None
    shared = [name for name in measured.names if name in set(baseline.names)]
    if not shared:
        return None
    measured, baseline = _select_components(measured, shared), _select_components(baseline, shared)
    degradation, error = _degrade_components(metric, measured, baseline, n_rows)
    found = _find_degraded(degradation, error, measured.margin, COMPONENT_LEVEL)
    found = found[np.argsort(-degradation[found], kind="stable")]
    certain = (degradation - _NORMAL_QUANTILE * error)[found] / max(measured.margin, 1e-12)
    return DifferentComponents(
        kind=measured.kind,
        names=tuple(measured.names[i] for i in found),
        margin=measured.margin,
        values=tuple(float(measured.values[i]) for i in found),
        baselines=tuple(float(baseline.values[i]) for i in found),
        certain_degradation=float(certain.max(initial=0.0)),
    )


def _degrade_components(
    metric: Metric, measured: ComponentResults, baseline: ComponentResults, n_rows: int
) -> tuple[Floats, Floats]:
    """Return the degradation of each component and its standard error, shapes (p,)."""
    sign = -1.0 if metric.higher_is_better else 1.0
    error = np.std(measured.replicates - baseline.replicates, axis=0, ddof=1)
    degradation = sign * (measured.values - baseline.values)
    return degradation, np.maximum(error, min_standard_error(metric, n_rows))


def _find_degraded(
    degradation: Floats, error: Floats, margin: float, rate: float
) -> npt.NDArray[np.int64]:
    """Return the components that are worse by more than the margin, at this false discovery rate."""
    from scipy.special import stdtr

    p_values = np.asarray(stdtr(_DEGREES, -(degradation - margin) / error))
    return np.flatnonzero(discoveries(p_values, rate))


def subtract_drift(
    metric: Metric, baseline: Measurement, train: Measurement, n_rows: int
) -> Measurement:
    """Return the baseline with the numbers of train rows where these are worse beyond chance.

    Where the holdout is later than the train set, or from another source, train rows differ from it as
    well. No generator that is fitted on them can do better, so they take the place of the other real
    rows: in the value, and in each component by itself. `baseline` itself is returned where nothing is
    worse. `baseline`, `train`: the metric on real rows of the holdout, and on as many of the train set.
    """
    found = baseline
    error = _standard_error(metric, train, baseline, n_rows)
    worse = (train.value - baseline.value) * (-1.0 if metric.higher_is_better else 1.0)
    if math.isfinite(train.value) and worse > _NORMAL_QUANTILE * error + _ROUNDING:
        found = replace(found, value=train.value, replicates=train.replicates)
    ours, theirs = train.components, baseline.components
    if ours is None or theirs is None:
        return found
    shared = [name for name in theirs.names if name in set(ours.names)]
    if not shared:
        return found
    ours, own = _select_components(ours, shared), _select_components(theirs, shared)
    worse_parts = _find_degraded(*_degrade_components(metric, ours, own, n_rows), 0, _DRIFT_RATE)
    drifted = {shared[i]: i for i in worse_parts}
    if not drifted:
        return found
    places = [i for i, name in enumerate(theirs.names) if name in drifted]
    rows = [drifted[theirs.names[i]] for i in places]
    values, replicates = theirs.values.copy(), theirs.replicates.copy()
    values[places], replicates[:, places] = ours.values[rows], ours.replicates[:, rows]
    return replace(found, components=replace(theirs, values=values, replicates=replicates))


def _select_components(components: ComponentResults, names: Sequence[str]) -> ComponentResults:
    """Return the named components, in this order."""
    place = {name: i for i, name in enumerate(components.names)}
    rows = [place[name] for name in names]
    return replace(
        components,
        names=tuple(names),
        values=components.values[rows],
        replicates=components.replicates[:, rows],
    )


def min_standard_error(metric: Metric, n_rows: int) -> float:
    """Return the smallest standard error that a number from `n_rows` rows can have.

    It is the standard deviation of the Jeffreys posterior of a share that was seen 0 times in n rows:
    about 0.7 / n.
    """
    span = metric.bounds[1] - metric.bounds[0]
    return 0.7 * (span if math.isfinite(span) else 1.0) / max(n_rows, 1)


@dataclass(frozen=True)
class Reference:
    """Baseline, floor and number of rows that a measurement is compared with."""

    # The same metric on real rows, or the best value it can take where it needs no real rows
    baseline: Measurement
    floor: float | None  # The same metric on independent columns
    rows: DecidingRows  # Rows of the smaller set, which decide unless the metric names others


def not_measurable(name: str, metric: Metric, reason: str) -> Score:
    """Return the score of a metric that lacks something, stated in `reason`."""
    return _score(name, metric, Verdict.NOT_MEASURABLE, findings=(NotMeasured(reason),))


def _score(name: str, metric: Metric, verdict: Verdict, **results: Any) -> Score:
    return Score(name, metric.family, metric.margin, metric.higher_is_better, verdict, **results)


def compute_verdict(
    name: str,
    metric: Metric,
    measured: Measurement,
    against: Reference,
    basis: ComparisonBasis | None = None,
) -> Score:
    """Return the score of `measured` compared with its baseline.

    Only a degradation counts: better than real is equivalent. The verdict is EQUIVALENT when the whole
    95 % interval of the degradation lies within the margin, DIFFERENT when the degradation is beyond
    the margin at `METRIC_LEVEL`, because a report holds the verdicts of many metrics, else INCONCLUSIVE.
    Two guards keep small samples from passing: below 20 rows nothing is decided, and no standard error
    counts as smaller than that of a share that was seen 0 times in n rows. Where the measurement has
    components, one that is different makes the whole different: see `find_different_components`.

    A number without bounds whose interval is wider than any answer needs is withheld, and the reason is
    a finding: it is inconclusive, however far off it seems.

    `measured`: measurement of the candidate. Without replicates it is taken as exact.
    `DecidingRows` among its findings, e.g. the positive rows of a rare class, are the rows that
    count. `against`: baseline, floor and number of rows. `basis`: rows and columns that were
    compared, for the findings of the score.
    """
    value, base = float(measured.value), float(against.baseline.value)
    if not math.isfinite(value) or not math.isfinite(base):
        return not_measurable(name, metric, "no finite number came out")
    rows = measured.finding(DecidingRows) or against.rows
    exact = len(measured.replicates) == 0
    error = 0.0 if exact else _standard_error(metric, measured, against.baseline, rows.n)
    difference = value - base
    interval = (difference - _NORMAL_QUANTILE * error, difference + _NORMAL_QUANTILE * error)
    degradation = (-interval[1], -interval[0]) if metric.higher_is_better else interval
    verdict = Verdict.INCONCLUSIVE
    if exact or rows.n >= MIN_ROWS:
        if degradation[1] <= metric.margin + _ROUNDING:
            verdict = Verdict.EQUIVALENT
        elif sum(degradation) / 2 - METRIC_QUANTILE * error > metric.margin + _ROUNDING:
            verdict = Verdict.DIFFERENT
    different = find_different_components(
        metric, measured.components, against.baseline.components, rows.n
    )
    reach = (interval[1] - interval[0]) / 2
    is_absurd = (
        verdict == Verdict.INCONCLUSIVE
        and math.inf in map(abs, metric.bounds)
        and reach > _MAX_REACH * metric.margin > 0
    )
    detectable = None if exact else metric.margin + (METRIC_QUANTILE + _POWER_QUANTILE) * error
    estimate = Estimate(value, base, against.floor, interval, detectable)
    findings: list[Finding] = [f for f in measured.findings if not isinstance(f, DecidingRows)]
    if different is not None and different.names:
        findings.append(replace(different, decides=verdict != Verdict.DIFFERENT))
        verdict = Verdict.DIFFERENT
    elif is_absurd:
        moved = f"{reach / metric.margin:,.0f}"
        findings.append(NotMeasured(f"chance alone moves the number by {moved} margins"))
        estimate, verdict = Estimate(), Verdict.INCONCLUSIVE
    elif verdict == Verdict.EQUIVALENT and _is_chance(measured):
        findings.append(NotMeasured("no model predicts the target, not even one of real rows"))
        verdict = Verdict.INCONCLUSIVE
    return _score(
        name,
        metric,
        verdict,
        estimate=estimate,
        findings=(*findings, rows, basis or ComparisonBasis()),
        facts=measured.facts,
    )


def _is_chance(measured: Measurement) -> bool:
    """Return whether all models of a measurement predict no better than a guess."""
    models = measured.finding(ModelComparison)
    return models is not None and models.is_chance


def estimate_required_rows(
    n_rows: int, degradation: tuple[float, float], margin: float
) -> int | None:
    """Return about how many rows would decide, two digits rounded up; None where none would.

    `n_rows`: rows there are. `degradation`: 95 % interval of the degradation. `margin`: largest
    degradation that is equivalent.

    >>> estimate_required_rows(100, (-0.02, 0.06), 0.04), estimate_required_rows(100, (0.02, 0.1), 0.04)
    (400, 870)
    """
    middle, reach = (degradation[0] + degradation[1]) / 2, (degradation[1] - degradation[0]) / 2
    away = abs(margin - middle)
    if middle > margin:
        reach *= METRIC_QUANTILE / _NORMAL_QUANTILE  # a difference takes more than the interval
    # 30 times closer to the margin than the interval is wide would take 900 times the rows.
    if away * 30 <= reach:
        return None
    needed = max(n_rows * (reach / away) ** 2, MIN_ROWS)
    digit: int = 10 ** max(math.floor(math.log10(needed)) - 1, 0)
    return math.ceil(round(needed / digit, 6)) * digit


def _standard_error(
    metric: Metric, measured: Measurement, baseline: Measurement, n_rows: int
) -> float:
    mine, other = measured.replicates, baseline.replicates
    if len(mine) == len(other):
        error = float(np.std(mine - other, ddof=1))
    else:
        error = math.hypot(np.std(mine, ddof=1), np.std(other, ddof=1) if len(other) > 1 else 0.0)
    return max(error, min_standard_error(metric, n_rows))
