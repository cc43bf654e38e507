"""The proof on memorisers, smaller, and its table."""

import pytest

from benchmarks.datasets import DataAbsentError
from benchmarks.evaluation import memorisers
from benchmarks.evaluation.memorisers import CANDIDATES, Draw, adult, blocks, scores
from twinset.measurement.comparison import ResultCache

OURS = ("privacy.membership", "privacy.outliers")
LEAKING = [name for name in CANDIDATES if name not in ("copula twin", "fresh real rows")]


@pytest.fixture(scope="module")
def draws() -> list[Draw]:
    try:
        every = adult()
    except DataAbsentError as absent:
        pytest.skip(str(absent))
    return [Draw(*every, seed) for seed in range(100, 110)]


@pytest.mark.slow
def test_verbatim_outliers_are_flagged_and_fresh_rows_are_not(draws: list[Draw]) -> None:
    flagged = {"with": 0, "fresh": 0}
    for draw in draws:
        assert len(draw.train) == len(draw.holdout) == 5000
        kept = ResultCache()
        for name, made in (("with", memorisers.with_outliers(draw)), ("fresh", draw.fresh)):
            found = scores(draw, made, ("privacy.outliers",), cache=kept)["privacy.outliers"]
            flagged[name] += found.verdict == "different"
    assert flagged == {"with": 10, "fresh": 0}


@pytest.mark.slow
@pytest.mark.parametrize("name", LEAKING)
def test_every_memoriser_is_flagged_by_an_attack(draws: list[Draw], name: str) -> None:
    found = scores(draws[0], CANDIDATES[name](draws[0]), OURS)
    assert "different" in {score.verdict for score in found.values()}


def test_copies_are_surely_reported_and_fresh_rows_are_not(draws: list[Draw]) -> None:
    copied = scores(draws[0], draws[0].train, ("privacy.membership",))["privacy.membership"]
    fresh = scores(draws[0], draws[0].fresh, ("privacy.membership",))["privacy.membership"]
    assert copied.value is not None
    assert copied.value >= 0.95
    assert fresh.value is not None
    assert 0.48 <= fresh.value <= 0.52
    assert (copied.verdict, fresh.verdict) == ("different", "as good as real")


def test_the_table_counts_verdicts() -> None:
    rows = [
        {"candidate": "c", "seed": seed, "metric": metric, "value": 0.5 + seed / 10,
         "interval": (0.0, 0.1), "verdict": verdict}
        for seed, metric, verdict in (
            (0, "a", "different"), (0, "b", "as good as real"),
            (1, "a", "cannot tell"), (1, "b", "as good as real"),
        )
    ]  # fmt: skip
    lines = blocks(rows)["candidates"].splitlines()
    assert lines[2] == "| c | a | 0.550 (0.500-0.600) | ±0.050 | 1/2 | 0/2 | 1/2 |"
    assert lines[3] == "| c | b | 0.550 (0.500-0.600) | ±0.050 | 0/2 | 2/2 | 1/2 |"
