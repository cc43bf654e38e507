from pathlib import Path

from benchmarks.evaluation.log import Log


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    log = Log.open(str(tmp_path / "run"), "null")
    log.add((0, "gap"), {"value": 0.5})
    log.add((1, "gap"), {"value": None})
    # Cut off while the third line was written.
    with (tmp_path / "run" / "null.jsonl").open("a") as file:
        file.write('{"key": [2, "gap"], "ro')
    again = Log.open(str(tmp_path / "run"), "null")
    assert again.rows == {(0, "gap"): {"value": 0.5}, (1, "gap"): {"value": None}}
    assert again.missing([(1, "gap"), (2, "gap"), (3, "gap")]) == [(2, "gap"), (3, "gap")]
    again.add((2, "gap"), {"value": 1.0})
    assert len(Log.open(str(tmp_path / "run"), "null").rows) == 3


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    log = Log.open("", "null")
    log.add((0,), 1)
    assert log.rows == {(0,): 1}
    assert log.path is None
