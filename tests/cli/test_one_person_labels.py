"""A label that one person has is in nothing that commands print or write."""

import re
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from twinset.core.seeding import rng_for

from .conftest import Twinset

RECIPE = """
name: r
seed: 3
brief: {task: classification, target: smoker, positive: "yes"}
source: {path: a.csv, licence: CC0-1.0}
split: {by: stratified, holdout_fraction: 0.3}
generate: [{use: tabular.marginals, rows: 80}]
evaluate: {metrics: [coverage.slices, coverage.modes, gap.marginals, privacy.one_person_values]}
deliver: {to: out, formats: [csv, parquet, jsonl, tfrecord]}
"""
COMMANDS = [
    "twin a.csv t.csv --use tabular.marginals --seed 1 --target smoker --json",
    "evaluate a.csv t.csv --quick --html e.html --markdown e.md --junit e.xml",
    "run r.yaml --junit r.xml",
    "run r.yaml --json",
    "gaps a.csv b.csv --out g.yaml",
    "init a.csv --target town --out i1.yaml",
    "init a.csv --target illness --out i2.yaml",
    "twin a.csv u.csv --target town --positive nope",
    "twin a.csv u.csv --where 'town = nope'",
    "run r.yaml --set 'brief={task: classification, target: town, positive: nope}'",
    "run r.yaml --set 'brief={task: classification, target: illness, want: {nope: 5}}'"
    " --set 'generate=[{use: minority.rose}]'",
    "gaps a.csv b.csv --population 'town={nope: 0.5}'",
]


def planted(folder: Path, seed: int) -> list[str]:
    """Write two tables and a recipe; return the labels of which each is in one row of the first."""
    rng = rng_for(seed, "planted labels")
    labels = [f"Zq{''.join(rng.choice(list('abcdefgh'), 7))}" for _ in range(6)]
    lines = [
        [
            str(rng.choice(["Bern", "Oslo", "Rome"])),
            str(rng.choice(["flu", "gout"])),
            f"{rng.normal():.3f}",
            str(rng.choice(["no", "yes"])),
        ]
        for _ in range(130)
    ]
    head = "town,illness,weight,smoker\n"
    (folder / "b.csv").write_text(head + "".join(",".join(line) + "\n" for line in lines))
    for k, row in enumerate(rng.choice(130, 6, replace=False)):
        lines[row][k % 2] = labels[k]
    (folder / "a.csv").write_text(head + "".join(",".join(line) + "\n" for line in lines))
    (folder / "r.yaml").write_text(RECIPE)
    return labels


def written(path: Path) -> bytes:
    """Return what a file holds; of a set in the catalogue only if it is not real."""
    data = path.read_bytes()
    if path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
        return repr([row for row in rows if row.get("_origin") != "real"]).encode()
    is_real = "objects" in path.parts and re.search(rb'"origin":\s*"real"', data)
    return b"" if is_real or path.name.startswith("catalog.sqlite") else data


def test_no_output_names_a_label_of_one_person(
    twinset: Twinset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    labels = planted(tmp_path, 5)
    codes = []
    for command in COMMANDS:
        ended = twinset(*shlex.split(command))
        codes.append(ended.code)
        assert not [label for label in labels if label in ended.out + ended.err], command
    assert codes == [0] * 7 + [2] * 4 + [0]
    for path in sorted(tmp_path.rglob("*")):
        if path.is_file() and path.name != "a.csv":
            assert not [one for one in labels if one.encode() in written(path)], path.name
