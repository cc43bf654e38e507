import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twinset.report.answers.phrases import axis_label
from twinset.report.figures.columns import MAX_BINS, shared_bins

numbers = st.lists(st.floats(-1e12, 1e12, allow_subnormal=False), min_size=1, max_size=60)


@given(numbers, numbers)
def test_bins_ascend_and_are_few(one, other):
    bins = shared_bins([np.array(one), np.array(other)], whole=False)
    assert 1 <= len(bins.edges) - 1 <= MAX_BINS
    assert (np.diff(bins.edges) > 0).all()
    assert bins.count(np.array(one)).sum() <= len(one)


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=60))
def test_bins_of_whole_numbers_hold_equally_many_of_them(values):
    bins = shared_bins([np.array(values, dtype=float)], whole=True, may_compress=False)
    widths = np.diff(bins.edges)
    assert len(widths) <= MAX_BINS
    assert (widths == widths[0]).all()
    assert (widths[0] % 1, bins.edges[0] % 1) == (0, 0.5)


def test_ends_are_round_numbers_and_nobodys_value():
    values = np.linspace(3.137, 98.871, 1000)
    bins = shared_bins([values], whole=False)
    assert bins.edges[0] == 3.0
    assert bins.edges[-1] == 99.0


def test_far_values_do_not_stretch_the_axis():
    values = np.append(np.linspace(0, 10, 9999), 1e9)
    assert shared_bins([values], whole=False).edges[-1] <= 11


def test_a_skewed_column_gets_a_log_like_axis():
    values = np.geomspace(1, 1e6, 2000)
    bins = shared_bins([values], whole=False)
    assert bins.log_like
    assert bins.count(values).max() < 0.3 * len(values)
    assert not shared_bins([values], whole=False, may_compress=False).log_like


def test_a_peak_at_zero_keeps_a_plain_axis():
    values = np.append(np.linspace(-0.1, 0.1, 900), np.linspace(-50, 50, 100))
    assert not shared_bins([values], whole=False).log_like


def test_one_value_gives_one_bin():
    bins = shared_bins([np.full(9, 7.0)], whole=False)
    assert bins.count(np.full(9, 7.0)).tolist() == [9]
    assert bins.labels(axis_label) == ((0.5, "7"),)


def test_whole_numbers_are_named_under_their_bins():
    bins = shared_bins([np.array([1.0, 2.0, 3.0])], whole=True)
    assert [text for _, text in bins.labels(axis_label)] == ["1", "2", "3"]


def test_no_value_gives_no_bins():
    assert shared_bins([np.empty(0)], whole=False) is None
