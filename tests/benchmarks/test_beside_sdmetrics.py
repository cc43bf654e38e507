"""What counts as a score of SDMetrics that moves, and that a run goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

from benchmarks.evaluation import beside_sdmetrics
from benchmarks.evaluation.beside_sdmetrics import NULL_CUTS, look_beside, moved
from benchmarks.evaluation.log import Log

JOB = ("adult", "a slice removed", 0)


def held(n_cuts: int, quality: float) -> Log:
    """Return a log of real rows that get 0.980, 0.981, ..., and of one fault."""
    log = Log(None)
    for k in range(n_cuts):
        scores = {"quality": 0.98 + 0.001 * k, "diagnostic": 1.0}
        log.add(("adult", "", 10_000 + k), {"scores": scores})
    log.add(JOB, {"scores": {"quality": quality, "diagnostic": 1.0}})
    return log


def test_a_score_moves_below_all_that_real_rows_get() -> None:
    assert moved(JOB, held(NULL_CUTS, 0.979)) == ["quality"]
    assert moved(JOB, held(NULL_CUTS, 0.980)) == []


def test_without_all_cuts_of_real_rows_nothing_is_known() -> None:
    assert moved(JOB, held(NULL_CUTS - 1, 0.5)) is None
    assert moved(("magic", "a slice removed", 0), held(NULL_CUTS, 0.5)) is None


def test_without_its_environment_nothing_is_asked(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(beside_sdmetrics, "VENVS", tmp_path)
    log = Log(None)
    look_beside([JOB], log)
    assert log.rows == {}
