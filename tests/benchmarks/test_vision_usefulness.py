import numpy as np
import pytest

from benchmarks.intervals import student
from benchmarks.vision.usefulness import blocks


def rounds(trial: str, measures: list[str], gains: list[float]) -> list[dict[str, object]]:
    return [
        {
            "trial": trial,
            "seed": seed,
            "augmentation": "plain",
            "finding": "helps",
            "cpu_seconds": 60 + seed,
            "measures": {m: {"real": 0.5, "mixed": 0.5 + gain} for m in measures},
        }
        for seed, gain in enumerate(gains)
    ]


def test_the_interval_by_hand() -> None:
    change = student(np.array([0.1, 0.2, 0.3]))
    reach = 4.302653 * 0.1 / np.sqrt(3)  # Student's 0.975 quantile with two degrees of freedom
    assert change.mean == pytest.approx(0.2)
    assert (change.low, change.high) == pytest.approx((0.2 - reach, 0.2 + reach), abs=1e-6)


def test_the_page_answers_by_the_interval() -> None:
    measures = [f"average precision of {name}" for name in ("Platelets", "WBC", "RBC")]
    sure = blocks(rounds("cells", measures, [0.1, 0.11, 0.12]))
    assert "**helps**" in sure["cells"]
    assert "+22.0%" in sure["cells"]
    assert list(sure) == ["cells"]
    unsure = blocks(rounds("cells", measures, [0.1, -0.1, 0.05]))["cells"]
    assert "**no evidence**" in unsure
    assert "**helps**" not in unsure
