import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.contracts import (
    Comparison,
    ComponentResults,
    Measurement,
    Metric,
    MetricFamily,
    Score,
)
from twinset.core.findings import (
    CopyCounts,
    DecidingRows,
    DifferentComponents,
    Finding,
)
from twinset.core.seeding import rng_for
from twinset.measurement.verdict import (
    Reference,
    compute_verdict,
    estimate_required_rows,
    subtract_drift,
)


@dataclass(frozen=True, kw_only=True)
class Distance(Metric):
    """Stands for a metric of which less is better."""

    family: ClassVar[MetricFamily] = "gap"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = frozenset({"number"})
    margin: float = 0.1

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Merit(Distance):
    """Stands for a metric of which more is better."""

    higher_is_better: ClassVar[bool] = True


def spread(error: float, centre: float) -> np.ndarray:
    """Replicates with exactly this standard deviation."""
    draws = rng_for(1, "spread").normal(size=100)
    return centre + error * (draws - draws.mean()) / draws.std(ddof=1)


def verdict(
    value: float,
    base: float,
    error: float,
    n: int = 1000,
    metric: Metric | None = None,
    findings: tuple[Finding, ...] = (),
) -> Score:
    measured = Measurement(value, spread(error, value), findings)
    baseline = Measurement(base, np.full(100, base))
    return compute_verdict("toy", metric or Distance(), measured, against(baseline, n))


def against(baseline: Measurement, n: int) -> Reference:
    return Reference(baseline, None, DecidingRows(n, "rows on each side"))


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (0.25, 0.02, "as good as real"),  # 0.05 +- 0.04 lies inside 0.1
        (0.25, 0.03, "cannot tell"),  # 0.05 +- 0.06 does not
        (0.36, 0.02, "different"),  # 0.16 is 3 standard errors beyond it
        (0.35, 0.02, "cannot tell"),  # 2.5: among the metrics of a report, chance alone does that
        (0.35, 0.03, "cannot tell"),
        (0.05, 0.02, "as good as real"),  # better than real is no harm
    ],
)
def test_verdicts_are_about_the_margin(value: float, error: float, expected: str) -> None:
    score = verdict(value, 0.2, error)
    assert score.verdict == expected
    reach = 1.96 * error
    assert score.interval == pytest.approx((value - 0.2 - reach, value - 0.2 + reach))
    assert score.detectable == pytest.approx(0.1 + 3.72 * error)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 0.2))
def test_more_is_better_is_the_mirror_image(value: float, base: float, error: float) -> None:
    low = verdict(value, base, error)
    high = verdict(1 - value, 1 - base, error, metric=Merit())
    assert low.verdict == high.verdict


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.2), st.integers(0, 19))
def test_fewer_than_20_rows_never_decide(value: float, base: float, error: float, n: int) -> None:
    score = verdict(value, base, error, n)
    assert score.verdict == "cannot tell"
    assert score.finding(DecidingRows) == DecidingRows(n, "rows on each side")


def test_a_small_sample_without_any_spread_is_not_certain() -> None:
    assert verdict(0.0, 0.0, 0.0, n=20, metric=Distance(margin=0.05)).verdict == "cannot tell"
    assert verdict(0.0, 0.0, 0.0, n=2000, metric=Distance(margin=0.05)).verdict == "as good as real"


def test_replicates_are_paired() -> None:
    shared = spread(0.2, 0.0)
    measured, baseline = Measurement(0.3, 0.3 + shared), Measurement(0.3, 0.3 + shared)
    score = compute_verdict("toy", Distance(), measured, against(baseline, 10_000))
    assert score.verdict == "as good as real"
    unpaired = Measurement(0.3, spread(0.2, 0.3)[:50])
    score = compute_verdict("toy", Distance(), measured, against(unpaired, 10_000))
    assert score.interval is not None
    assert score.interval[1] > 0.3


def test_without_replicates_the_value_is_exact_also_in_few_rows() -> None:
    metric = Distance(margin=0.0)
    clean = compute_verdict("toy", metric, Measurement(0.0), against(Measurement(0.0), 5))
    assert (clean.verdict, clean.detectable) == ("as good as real", None)
    copied = compute_verdict("toy", metric, Measurement(0.001), against(Measurement(0.0), 5))
    assert copied.verdict == "different"


class Ratio(Merit):
    """Stands for a ratio, which has no lower bound."""

    bounds: ClassVar[tuple[float, float]] = (-math.inf, 1.0)


def test_a_ratio_that_chance_moves_by_many_margins_is_withheld() -> None:
    score = verdict(-83.5, 0.4, 70_000.0, metric=Ratio())
    assert (score.verdict, score.value, score.interval) == ("cannot tell", None, None)
    assert "chance alone moves the number" in score.reason
    assert verdict(-83.5, 0.4, 0.02, metric=Ratio()).verdict == "different"
    assert verdict(0.9, 0.4, 70_000.0).value == 0.9  # a bounded number is never absurd


@pytest.mark.parametrize("metric", [Distance(), Merit()])
def test_train_rows_take_the_place_of_the_baseline_where_they_are_worse(metric: Metric) -> None:
    sign = -1.0 if metric.higher_is_better else 1.0
    baseline, near, far = (
        Measurement(value, spread(0.02, value)) for value in (0.5, 0.5, 0.5 + 0.3 * sign)
    )
    assert subtract_drift(metric, baseline, far, 1000).value == far.value
    better = Measurement(0.5 - 0.3 * sign, spread(0.02, 0.5))
    wide = Measurement(far.value, spread(0.5, far.value))
    for train in (near, better, wide):
        assert subtract_drift(metric, baseline, train, 1000) is baseline
    candidate = Measurement(far.value, spread(0.02, far.value))
    drifted = subtract_drift(metric, baseline, far, 1000)
    for base, expected in ((baseline, "different"), (drifted, "as good as real")):
        assert compute_verdict("toy", metric, candidate, against(base, 1000)).verdict == expected


def test_drift_of_one_component_leaves_the_others_as_they_were() -> None:
    def measured(*values: float) -> Measurement:
        draws = np.column_stack([spread(0.01, value) for value in values])
        parts = ComponentResults("column", ("a", "b"), np.array(values), draws, 0.05)
        return Measurement(0.1, spread(0.01, 0.1), components=parts)

    found = subtract_drift(Distance(), measured(0.1, 0.1), measured(0.6, 0.1), 1000)
    assert found.components is not None
    assert found.components.values.tolist() == [0.6, 0.1]
    score = compute_verdict("toy", Distance(), measured(0.6, 0.6), against(found, 1000))
    different = score.finding(DifferentComponents)
    assert different is not None
    assert different.names == ("b",)


def test_the_rows_that_decide_may_be_others_than_all_rows() -> None:
    rows = DecidingRows(7, "positive holdout rows")
    score = verdict(0.2, 0.2, 0.001, 5000, findings=(rows,))
    assert (score.verdict, score.finding(DecidingRows)) == ("cannot tell", rows)


def test_with_the_rows_that_it_asks_for_the_verdict_falls() -> None:
    error, n = 0.03, 1000
    score = verdict(0.25, 0.2, error, n)
    needed = estimate_required_rows(n, (0.05 - 1.96 * error, 0.05 + 1.96 * error), 0.1)
    assert needed is not None
    assert score.verdict == "cannot tell"
    assert verdict(0.25, 0.2, error * np.sqrt(n / needed), needed).verdict == "as good as real"
    fewer = int(needed * 0.9)
    assert verdict(0.25, 0.2, error * np.sqrt(n / fewer), fewer).verdict == "cannot tell"


def test_findings_of_the_metric_go_with_the_score() -> None:
    copies = CopyCounts(None, 3, 9, 0, 9)
    assert verdict(0.2, 0.2, 0.01, findings=(copies,)).finding(CopyCounts) == copies


def test_no_finite_number_is_not_measurable() -> None:
    score = compute_verdict(
        "toy", Distance(), Measurement(float("nan")), against(Measurement(0.0), 99)
    )
    assert (score.verdict, score.value) == ("not measurable", None)
