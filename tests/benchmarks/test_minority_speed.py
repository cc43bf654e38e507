"""The page of the speed benchmark: medians, ratios, and the remarks on memory and danger."""

import pytest

from benchmarks.minority import speed
from benchmarks.minority.speed import CASES, blocks, overlapping_classes, resampled


def figures(cpu: float, megabytes: float, **more: object) -> dict[str, object]:
    return {"cpu": cpu, "megabytes": megabytes, "held": megabytes + 100, "rows": 9, **more}


def test_medians_and_ratios() -> None:
    found = {
        "smotenc-100k": {
            "ours": [figures(0.1, 60), figures(0.3, 80), figures(0.2, 70)],
            "theirs": [figures(20, 2100)] * 3,
        },
        "border-1m": {"ours": [figures(9, 800, seeds=[1, 2, 3, 4])], "theirs": [figures(18, 900)]},
        "sampled-1m": {"ours": [figures(2, 800, seeds=[1, 2, 3, 9])], "theirs": [figures(18, 900)]},
        "smotenc-1m": {"ours": [figures(1, 700)], "theirs": []},
    }
    rows = [
        {"case": case, "library": library, **figures}
        for case, by_library in found.items()
        for library, runs in by_library.items()
        for figures in runs
    ]
    page = "\n".join(blocks(rows).values())
    assert "| SMOTENC 100k | 0.200 | 20.00 | 1 / 100.0 | 1 / 100 | 70 | 2,100 | 1 / 30.0 |" in page
    assert "| SMOTENC 1M | 1.000 | not run |" in page
    assert "holds at most 800 MB, data included; theirs was not run: ten times its 100k" in page
    assert (
        "Rows in danger: 4 by the exact test; the sampled one finds 75.0% of them, and 75.0%"
        in page
    )


def test_the_table_is_what_the_page_says() -> None:
    for is_mixed in (False, True):
        x, y = overlapping_classes(2000, is_mixed)
        assert x.shape == (2000, 30)
        assert y.sum() == 10
    assert list(x.dtypes.astype(str)[-8:]) == ["category"] * 8
    assert {case.rows for case in CASES.values()} == {100_000, 1_000_000}


@pytest.mark.slow
def test_one_measurement_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "TOUCHED_BYTES", 2**20)
    found = resampled(4000, True, "smote")
    assert found["rows"] == 2 * 3980
    assert found["cpu"] > 0
