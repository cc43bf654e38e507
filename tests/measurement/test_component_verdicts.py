"""One part that is off makes the whole different, and chance over many parts does not."""

from collections.abc import Sequence

import numpy as np
import pytest

from tests.measurement.test_verdict import Distance, Merit, spread
from twinset.core.contracts import ComponentResults, Measurement
from twinset.core.findings import DecidingRows, DifferentComponents
from twinset.measurement.verdict import Reference, compute_verdict, find_different_components


def parts(values: Sequence[float], error: float, names: str = "abcdefghij") -> ComponentResults:
    replicates = np.column_stack([spread(error, value) for value in values])
    return ComponentResults(
        "column", tuple(names[: len(values)]), np.array(values), replicates, 0.1
    )


def flat(values: Sequence[float], names: str = "abcdefghij") -> ComponentResults:
    return parts(values, 0.0, names)


def test_a_part_beyond_its_margin_is_named_the_worst_first() -> None:
    base = flat([0.0, 0.05, 0.0, 0.0])
    # Harms 0.12, 0.35, 0.3 and 0.02, each +- 0.02: the first is 1 standard error beyond the margin.
    found = find_different_components(Distance(), parts([0.12, 0.4, 0.3, 0.02], 0.02), base, 1000)
    assert found is not None
    assert found.names == ("b", "c")
    assert (found.kind, found.values, found.baselines) == ("column", (0.4, 0.3), (0.05, 0.0))


def test_of_a_merit_less_is_harm() -> None:
    found = find_different_components(Merit(), parts([0.5, 0.9], 0.01), flat([0.9, 0.5]), 1000)
    assert found is not None
    assert found.names == ("a",)


def test_a_mean_inside_its_margin_does_not_hide_a_part() -> None:
    values = [0.5, *[0.01] * 9]  # mean 0.059
    measured = Measurement(0.059, spread(0.005, 0.059), components=parts(values, 0.01))
    baseline = Measurement(0.01, np.full(100, 0.01), components=flat([0.01] * 10))
    against = Reference(baseline, None, DecidingRows(1000, "rows on each side"))
    score = compute_verdict("toy", Distance(), measured, against)
    assert score.verdict == "different"
    different = score.finding(DifferentComponents)
    assert different is not None
    # The degradation of 0.49 is certain but for 1.96 errors of 0.01, in margins of 0.1.
    assert different.certain_degradation == pytest.approx(4.704)
    assert (different.names, different.margin, different.decides) == (("a",), 0.1, True)
    whole = Measurement(0.059, spread(0.005, 0.059))
    alone = compute_verdict("toy", Distance(), whole, against)
    assert alone.verdict == "as good as real"


@pytest.mark.parametrize("n_rows", [5, 19])
def test_few_rows_decide_nothing(n_rows: int) -> None:
    assert find_different_components(Distance(), parts([0.9], 0.01), flat([0.0]), n_rows) is None


def test_parts_that_both_have_are_compared_whatever_else_one_of_them_has() -> None:
    measured = parts([0.5, 0.0, 0.4], 0.01, "abc")
    found = find_different_components(Distance(), measured, flat([0.3, 0.9, 0.0], "cxa"), 1000)
    assert found is not None
    # c is 0.1 above its own baseline and within the margin, b has none.
    assert (found.names, found.values, found.baselines) == (("a",), (0.5,), (0.0,))


def test_other_parts_cannot_be_compared() -> None:
    assert find_different_components(Distance(), parts([0.9], 0.01), flat([0.0], "z"), 1000) is None
    assert find_different_components(Distance(), None, flat([0.0]), 1000) is None


def test_many_parts_are_seldom_different_by_chance() -> None:
    """Each part lies right on its margin: at 1 % a test each, 45 % of 60 would name one."""
    rng = np.random.default_rng(0)
    names = tuple(f"c{i}" for i in range(60))
    named = 0
    for _ in range(500):
        error = rng.normal(size=(200, 60)) * 0.02
        values = 0.1 + rng.normal(size=60) * 0.02
        measured = ComponentResults("column", names, values, values + error, 0.1)
        baseline = ComponentResults("column", names, np.zeros(60), np.zeros((200, 60)), 0.1)
        found = find_different_components(Distance(), measured, baseline, 1000)
        assert found is not None
        named += bool(found.names)
    assert named <= 10
