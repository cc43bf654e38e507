"""Which scores of SDMetrics leave the range of real rows."""

from pathlib import Path

import pytest

from benchmarks.evaluation import peer_sdmetrics
from benchmarks.evaluation.peer_sdmetrics import NULL_CUTS, moved, moved_scores, share_moved

JOB = {"set": "adult", "fault": "a slice removed", "seed": 0}
REAL = [{"quality": 0.98 + 0.001 * k, "diagnostic": 1.0} for k in range(NULL_CUTS)]


def test_a_score_moves_below_all_that_real_rows_get() -> None:
    assert moved({"quality": 0.979, "diagnostic": 1.0}, REAL) == ["quality"]
    assert moved({"quality": 0.980, "diagnostic": 1.0}, REAL) == []


def test_without_its_environment_and_for_leaks_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_sdmetrics, "VENVS", tmp_path)
    assert moved_scores(JOB) is None
    assert moved_scores(JOB | {"fault": "train with two numbers jittered"}) is None


def test_the_share_leaves_out_what_is_not_known() -> None:
    rows = [{"sdmetrics": found} for found in (["quality"], ["quality: Column Shapes"], None)]
    assert share_moved(rows) == "50 % (100 %)"
    assert share_moved(rows[2:]) == "–"
