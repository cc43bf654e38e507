"""A small real table, a recipe for it, and the command line run in this process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from twinset.cli import main
from twinset.core.seeding import rng_for

RECIPE = """\
name: small
seed: 3
brief: {task: classification, target: label, positive: "yes"}
source: {name: people, path: people.csv, licence: CC0-1.0}
split: {by: stratified, holdout_fraction: 0.3}
generate:
  - {use: tabular.marginals, rows: 60}
evaluate: {metrics: [gap.marginals, privacy.exact_copies], gates: {}}
deliver: {to: out, formats: [csv]}
"""


@dataclass(frozen=True)
class Outcome:
    """What a command printed and returned."""

    code: int
    out: str
    err: str


Twinset = Callable[..., Outcome]


@pytest.fixture
def twinset(capsys: pytest.CaptureFixture[str]) -> Twinset:
    """Run `twinset WORDS...` in this process."""

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return run


def people(rows: int = 240) -> pa.Table:
    """Numbers, a category, an identifier, free text and a label that the numbers tell."""
    rng = rng_for(1, "people")
    age = rng.integers(18, 90, rows)
    income = np.round(rng.lognormal(10, 0.4, rows), 2)
    odds = 1 / (1 + np.exp(-(age - 55) / 6))
    words = ["paid late again", "called twice about the bill", "moved to another town last year"]
    return pa.table(
        {
            "customer": [f"C-{100_000 + 37 * i}" for i in range(rows)],
            "age": age,
            "income": income,
            "region": rng.choice(["north", "south", "west"], rows),
            "remark": [f"{words[i % 3]} number {i} in the long list" for i in range(rows)],
            "label": np.where(rng.random(rows) < odds, "yes", "no"),
        }
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: people.csv, its recipe, nothing else."""
    monkeypatch.chdir(make_folder(tmp_path))
    return tmp_path


def make_folder(path: Path) -> Path:
    """Write people.csv and its recipe into a folder."""
    path.mkdir(exist_ok=True)
    pyarrow.csv.write_csv(people(), path / "people.csv")
    (path / "recipe.yaml").write_text(RECIPE)
    return path


def listing(folder: Path, without: Sequence[str] = ()) -> dict[str, str]:
    """Return every path below `folder` with the digest of its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in sorted(folder.rglob("*"))
        if path.relative_to(folder).parts[0] not in without
    }
