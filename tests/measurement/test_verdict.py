from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, Score
from twinset.core.findings import CopyCounts, DecidingRows, Finding
from twinset.core.seeding import rng_for
from twinset.measurement.verdict import Reference, compute_verdict, estimate_required_rows


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
        (0.35, 0.02, "different"),  # 0.15 +- 0.04 lies outside
        (0.35, 0.03, "cannot tell"),
        (0.05, 0.02, "as good as real"),  # better than real is no harm
    ],
)
def test_verdicts_are_about_the_margin(value: float, error: float, expected: str) -> None:
    score = verdict(value, 0.2, error)
    assert score.verdict == expected
    reach = 1.96 * error
    assert score.interval == pytest.approx((value - 0.2 - reach, value - 0.2 + reach))
    assert score.detectable == pytest.approx(2.8 * error)


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
