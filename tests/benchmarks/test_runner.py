"""A run continues where it stopped, keeps recorded rows on request, and writes its page."""

import json
from pathlib import Path

import pytest

from benchmarks.markdown import blocks_of, write_page
from benchmarks.runner import JOBS, Benchmark, ResultLog, Row, crossed, measured, read_rows


def test_an_interrupted_log_continues(tmp_path: Path) -> None:
    path = tmp_path / "run" / "null.jsonl"
    log = ResultLog.open(("seed",), path)
    log.add({"seed": 0, "value": 0.5})
    log.add({"seed": 1, "value": None})
    # Interrupted while the third line was written.
    with path.open("a") as file:
        file.write('{"seed": 2, "va')
    again = ResultLog.open(("seed",), path)
    assert list(again.rows) == [(0,), (1,)]
    assert again.missing([{"seed": 1}, {"seed": 2}, {"seed": 3}]) == [{"seed": 2}, {"seed": 3}]
    again.add({"seed": 2, "value": 1.0})
    assert len(ResultLog.open(("seed",), path).rows) == 3


def test_without_a_file_rows_stay_in_memory() -> None:
    log = ResultLog.open(("seed",), None)
    log.add({"seed": 0})
    assert log.rows == {(0,): {"seed": 0}}


def test_blocks_are_replaced_and_prose_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n<!-- begin a -->\nold\n<!-- end a -->\n\nProse \\1.\n")
    write_page(page, {"a": "new \\g<0>", "b": "added"})
    assert page.read_text().startswith("# Title\n\n<!-- begin a -->\nnew \\g<0>\n<!-- end a -->")
    assert "Prose \\1." in page.read_text()
    assert blocks_of(page.read_text()) == {"a": "new \\g<0>", "b": "added"}


def squared(job: Row) -> Row:
    return {**job, "square": job["x"] ** 2}


@pytest.fixture
def benchmark(tmp_path: Path) -> Benchmark:
    return Benchmark(
        results=tmp_path / "squares.json",
        page=tmp_path / "SQUARES.md",
        key=("x",),
        jobs=lambda options: [{"x": x} for x in options.numbers],
        measure=squared,
        blocks=lambda rows: {"sum": str(sum(row["square"] for row in rows))},
        settings={"numbers": [1, 2, 3]},
    )


def test_a_run_writes_rows_and_page(benchmark: Benchmark, tmp_path: Path) -> None:
    benchmark.run([])
    assert read_rows(benchmark.results) == [{"x": x, "square": x * x} for x in (1, 2, 3)]
    assert "numpy" in json.loads(benchmark.results.read_text())["versions"]
    assert blocks_of(benchmark.page.read_text())["sum"] == "14"
    benchmark.run(["--numbers", "4", "--out", str(tmp_path / "other")])
    assert read_rows(tmp_path / "other" / "squares.json") == [{"x": 4, "square": 16}]
    assert len(read_rows(benchmark.results)) == 3


def test_recorded_rows_are_kept_on_request(benchmark: Benchmark) -> None:
    benchmark.run([])
    benchmark.run(["--numbers", "3", "4", "--keep"])
    assert [row["x"] for row in read_rows(benchmark.results)] == [1, 2, 3, 4]
    benchmark.page.unlink()
    benchmark.run(["--page"])
    assert blocks_of(benchmark.page.read_text())["sum"] == "30"


def test_a_process_of_its_own_gives_the_same_rows() -> None:
    jobs = crossed(x=[1, 2], y=["a", "b"])
    assert jobs[1] == {"x": 1, "y": "b"}
    assert list(measured(squared, jobs, fresh=True)) == [squared(job) for job in jobs]


@pytest.mark.parametrize("name", JOBS)
def test_every_job_file_names_a_benchmark_and_its_page(name: str) -> None:
    found = Benchmark.named(name)
    assert found.page.exists()
    jobs = list(found.jobs(found.parser().parse_args([])))
    assert len({tuple(job[field] for field in found.key) for job in jobs}) == len(jobs) > 0
