"""What is said of the width of intervals: known factors come out, and narrower ones fail."""

import numpy as np
import pytest

from benchmarks.evaluation.intervals import ended_at_chance, squared_distance


def test_a_bootstrap_of_a_squared_distance_is_the_root_of_3_too_wide_at_no_difference() -> None:
    (covers, width), _ = squared_distance(0.0, np.random.default_rng(1), 4_000)
    assert width == pytest.approx(np.sqrt(3), abs=0.08)
    assert covers > 0.99
    (covers, width), _ = squared_distance(20.0, np.random.default_rng(1), 4_000)
    assert width == pytest.approx(1, abs=0.05)
    assert covers == pytest.approx(0.95, abs=0.015)


def test_a_squared_distance_without_its_surplus_fails_where_there_is_a_difference() -> None:
    (bootstrap, _), (narrow, _) = squared_distance(3.0, np.random.default_rng(2), 4_000)
    assert bootstrap > 0.94
    assert narrow < 0.93


def test_replicates_cut_at_chance_fail_where_an_attack_has_some_success() -> None:
    (whole, _), (cut, _) = ended_at_chance(1.5, np.random.default_rng(3), 4_000)
    assert whole > 0.95
    assert cut < 0.92
