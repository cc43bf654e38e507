"""Requests for more rows than a machine holds are refused before anything is drawn."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.csv
import pytest

from twinset.cli import main
from twinset.core.data.dataset import Dataset
from twinset.core.errors import RecipeError
from twinset.generation.room import Room

SEEN = Dataset.from_arrow(pa.table({"x": [0.5, 1.5] * 50, "y": [1, 2] * 50}))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=5e10))
    pyarrow.csv.write_csv(SEEN.to_arrow(), "seen.csv")
    return tmp_path


def test_the_sentence_says_what_is_needed_and_what_is_there() -> None:
    with pytest.raises(RecipeError) as caught:
        Room().check(10**15, SEEN)
    said = str(caught.value)
    assert "1,000,000,000,000,000 rows do not fit this machine" in said
    assert "about 12.1 PB of free disk and memory, and 317 years or longer" in said
    assert "of free disk, " in said
    assert "allowed: about " in said


def test_a_request_that_fits_is_not_refused() -> None:
    Room().check(10_000, SEEN)
    Room(None, in_memory=False).check(10**15, SEEN)


def test_rows_that_are_never_together_need_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sysconf", lambda name: 1 if "PAGES" in name else 4096)
    with pytest.raises(RecipeError, match="need about 64 kB of memory"):
        Room(Path("not/there/yet")).check(1_000, None)
    Room(Path("not/there/yet"), in_memory=False).check(1_000, None)


@pytest.mark.parametrize(
    "words",
    [
        ("twin", "seen.csv", "twin.csv", "--rows", "10000000000"),
        ("run", "shapes", "--set", "generate.0.rows=10000000000"),
        ("run", "recipe.yaml", "--set", "generate.0.rows=10000000000"),
        ("run", "recipe.yaml", "--set", "generate.0.counts=[{where: {y: 1}, rows: 10000000000}]"),
        ("shards", "shapes", "shards", "--set", "generate.0.rows=10000000000"),
    ],
    ids=lambda words: " ".join(words),
)
def test_commands_refuse_what_does_not_fit(
    words: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "recipe.yaml").write_text(
        "name: one\nseed: 1\nbrief: {task: classification}\nsource: {path: seen.csv}\n"
        "generate: [{use: tabular.bootstrap}]\nevaluate: {metrics: []}\n"
    )
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "10,000,000,000 rows do not fit this machine: they need about" in said
    assert not (folder / "twin.csv").exists()
    assert not (folder / "shards").exists()
