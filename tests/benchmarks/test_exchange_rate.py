from benchmarks.evaluation.exchange_rate import blocks


def test_coverage_is_counted_over_the_repeats_that_reported_a_rate() -> None:
    fresh = {
        "set": "toy",
        "train": 10,
        "holdout": 20,
        "candidate": "fresh real rows",
        "seconds": 1.0,
    }
    rows = [
        {**fresh, "rate": 900.0, "reach": 200.0},
        {**fresh, "rate": 1300.0, "reach": 200.0},
        {**fresh, "rate": None, "reach": None},
    ]
    assert (
        "| toy | 10 | 20 | fresh real rows | 3 | 2 | 1,100 | 283 | 200 | 0.50 | 1.00 | 1.0 |"
        in blocks(rows)["rates"]
    )
