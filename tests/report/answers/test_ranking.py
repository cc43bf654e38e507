from twinset.report.candidates import is_ahead, metric_rows


def row(**scores):
    (found,) = metric_rows({name: (score,) for name, score in scores.items()})
    return found


def test_best_only_where_the_interval_is_clear_of_all_others(score):
    near = score("gap.a", interval=(0.0, 0.1))
    far = score("gap.a", interval=(0.2, 0.3))
    between = score("gap.a", interval=(0.05, 0.25))
    assert row(a=near, b=far).best == "a"
    assert row(a=near, b=far).format_best() == "a"
    three = row(a=near, b=far, c=between)
    assert three.best is None
    assert three.front == ("a", "c")
    assert three.format_best() == "cannot tell a and c apart"
    assert row(a=near, c=between).format_best() == "cannot tell apart"


def test_touching_intervals_cannot_be_told_apart(score):
    assert (
        row(a=score("gap.a", interval=(0.0, 0.1)), b=score("gap.a", interval=(0.1, 0.2))).best
        is None
    )


def test_higher_is_better_turns_the_order(score):
    low = score("coverage.a", interval=(-0.5, -0.4), higher_is_better=True)
    high = score("coverage.a", interval=(-0.1, 0.0), higher_is_better=True)
    assert is_ahead(high, low)
    assert not is_ahead(low, high)
    assert row(a=low, b=high).best == "b"


def test_exact_numbers_are_told_apart_and_equal_ones_are_not(score):
    none, few = score("gap.a", interval=(0.0, 0.0)), score("gap.a", interval=(0.01, 0.01))
    assert row(a=none, b=few).best == "a"
    assert row(a=none, b=none).best is None


def test_alone_nobody_is_best(score):
    for others in [{}, {"b": "not measurable"}]:
        rest = {name: score("gap.a", verdict) for name, verdict in others.items()}
        found = row(a=score("gap.a"), **rest)
        assert (found.best, found.front, found.format_best()) == (None, (), "–")


def test_a_candidate_without_a_number_does_not_hinder_the_others(score):
    found = row(
        a=score("gap.a", interval=(0.0, 0.1)),
        b=score("gap.a", interval=(0.2, 0.3)),
        c=score("gap.a", "not measurable"),
    )
    assert found.best == "a"


def test_baselines_that_differ_are_told_as_a_range(score):
    assert row(a=score("gap.a"), b=score("gap.a")).format_baseline() == "0.010"
    found = row(a=score("gap.a"), b=score("gap.a", baseline=0.03))
    assert found.format_baseline() == "0.010 to 0.030"
    assert row(a=score("gap.a", "not measurable")).format_baseline() == "–"
