"""`twinset advise` on a small file: what it prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from twinset.core.seeding import rng_for

from .conftest import Twinset

QUICK = ("--model", "linear", "--ratio", "0.1")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """payments.csv in the current folder: 2,000 rows, 120 frauds."""
    rng = rng_for(4, "payments")
    fraud = np.arange(2_000) % 17 == 0
    table = pa.table(
        {"speed": rng.normal(2.0 * fraud), "size": rng.lognormal(1 + fraud), "fraud": fraud}
    )
    pyarrow.csv.write_csv(table, tmp_path / "payments.csv")
    monkeypatch.chdir(tmp_path)
    return "payments.csv"


def test_it_prints_a_few_lines_and_writes_the_page(
    file: str, twinset: Twinset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # a line of the answer is one line
    outcome = twinset("advise", file, "--target", "fraud", *QUICK)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[0][0] in "+!?"
    assert any("average precision" in line for line in lines)
    assert len(lines) <= 14
    assert lines[-1].endswith("payments-advice.html")
    assert "<!doctype html>" in Path("payments-advice.html").read_text()


@pytest.fixture
def small(file: str) -> str:
    """400 of the rows: too few positives to compare anything, which takes no time."""
    lines = Path(file).read_text().splitlines()
    Path(file).write_text("\n".join(lines[:401]))
    return file


def test_json_is_all_that_is_printed(small: str, twinset: Twinset) -> None:
    outcome = twinset("advise", small, "--target", "fraud", "--json", *QUICK)
    assert json.loads(outcome.out)["chosen"]
    assert [path.name for path in Path().iterdir()] == ["payments.csv"]


def test_a_mistake_is_one_sentence(file: str, twinset: Twinset) -> None:
    outcome = twinset("advise", file, "--target", "frod")
    assert outcome.code == 2
    assert "there is no column 'frod'" in outcome.err
    assert twinset("advise", file, "--target", "fraud", "--html", file).code == 2


def test_a_recipe_that_is_there_is_overwritten_only_when_forced(
    small: str, twinset: Twinset
) -> None:
    Path("made.yaml").write_text("name: mine")
    words = ("advise", small, "--target", "fraud", "--recipe", "made.yaml", *QUICK)
    refused = twinset(*words)
    assert refused.code == 2
    assert "there is a 'made.yaml' already" in refused.err
    assert Path("made.yaml").read_text() == "name: mine"
    assert twinset(*words, "--force").code == 0
