"""Shards straight from a recipe: the samples of a run, flat memory, and a killed run that goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from twinset.core.errors import DataError, ParameterError, RecipeError, SchemaError
from twinset.core.seeding import rng_for
from twinset.io import read_dataset, write_dataset
from twinset.io.vision.shards import ShardFolder
from twinset.recipe import parse_recipe
from twinset.registry import build
from twinset.workflows.run import run
from twinset.workflows.shards import make_shards

pytest.importorskip("cv2")

RECIPE = """
name: ma.ny
seed: 5
brief: {task: detection}
generate:
  - use: image.scenes
    name: a
    with: {size: 48, n_objects_range: [1, 3], factors: {occlusion: [none]}}
    counts: [{where: {light: day}, rows: 13}, {where: {main_class: sign}, rows: 20}]
  - {use: image.scenes, name: b, rows: 30, with: {size: 32, factors: {ground: [road]}}}
evaluate: {metrics: []}
deliver: {formats: [webdataset]}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "many.yaml"
    file.write_text(RECIPE)
    return file


def contents(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def test_the_samples_are_those_that_a_run_delivers(recipe: Path, tmp_path: Path) -> None:
    ran = run(recipe)
    made = make_shards(recipe, tmp_path / "shards")
    assert (made.n_rows, made.n_shards, made.n_kept) == (63, 1, 0)
    delivered = ran.delivered / "synthetic.webdataset"
    for file in delivered.iterdir():
        assert file.read_bytes() == (made.folder / file.name).read_bytes()
    schema = json.loads((made.folder / "schema.json").read_text())
    assert schema == json.loads((ran.delivered / "schema.json").read_text())
    cards = json.loads((made.folder / "cards.json").read_text())["synthetic"]
    known = json.loads((ran.delivered / "cards.json").read_text())["synthetic"]
    assert {**cards, "parents": 0} == {**known, "parents": 0}


def test_bytes_do_not_depend_on_processes(recipe: Path, tmp_path: Path) -> None:
    make_shards(recipe, tmp_path / "one", rows_a_shard=10)
    made = make_shards(recipe, tmp_path / "two", rows_a_shard=10, workers=2)
    assert made.n_shards == 7
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_set_of_any_shard_size_is_read_as_the_same_rows(recipe: Path, tmp_path: Path) -> None:
    sets = []
    for n in (9, 1000):
        make_shards(recipe, tmp_path / str(n), rows_a_shard=n)
        sets.append(read_dataset(tmp_path / str(n)))
    assert sets[0].records.equals(sets[1].records)
    assert len(sets[0]) == 63


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(recipe: Path, tmp_path: Path) -> None:
    changes = ["generate.1.rows=187"]
    words = [sys.executable, "-m", "twinset", "shards", str(recipe), str(tmp_path / "killed")]
    words += ["--rows-a-shard", "10", "--set", changes[0]]
    journal = tmp_path / "killed" / ".journal"
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, cwd=tmp_path)
    try:
        end = time.monotonic() + 60
        while len(list(journal.glob("shard-*"))) < 4 and time.monotonic() < end:
            time.sleep(0.002)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    n_finished = len(list(journal.glob("shard-*.json")))
    assert 4 <= n_finished < 22
    with pytest.raises(DataError, match="not complete"):
        read_dataset(tmp_path / "killed")

    made = make_shards(recipe, tmp_path / "killed", overrides=changes, rows_a_shard=10)
    assert (made.n_rows, made.n_shards, made.n_kept) == (220, 22, n_finished)
    make_shards(recipe, tmp_path / "whole", overrides=changes, rows_a_shard=10)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_only_what_is_missing_or_damaged_is_made_again(recipe: Path, tmp_path: Path) -> None:
    make_shards(recipe, tmp_path / "s", rows_a_shard=10)
    whole = contents(tmp_path / "s")
    (tmp_path / "s/shard-000001.tar").unlink()
    damaged = tmp_path / "s/shard-000004.tar"
    damaged.write_bytes(b"x" * damaged.stat().st_size)
    (tmp_path / "s/.journal/shard-000006.json").write_text('{"dig')
    for folder in ("s", "s/.journal"):
        (left := tmp_path / folder / ".77aa.twinset-draft").mkdir()
        (left / "twinset.lock").touch()
        (left / "shard-000004.tar").write_bytes(b"left by a killed run")
    kept = (tmp_path / "s/shard-000000.tar").stat().st_mtime_ns
    assert make_shards(recipe, tmp_path / "s", rows_a_shard=10).n_kept == 4
    assert (tmp_path / "s/shard-000000.tar").stat().st_mtime_ns == kept
    assert contents(tmp_path / "s") == whole


def test_a_finished_set_is_left_as_it_is(recipe: Path, tmp_path: Path) -> None:
    make_shards(recipe, tmp_path / "s", rows_a_shard=40)
    whole = contents(tmp_path / "s")
    again = make_shards(recipe, tmp_path / "s", rows_a_shard=40)
    assert (again.n_kept, contents(tmp_path / "s")) == (2, whole)


def test_other_folders_are_refused(recipe: Path, tmp_path: Path) -> None:
    make_shards(recipe, tmp_path / "s", rows_a_shard=40)
    with pytest.raises(DataError, match="shards of another set"):
        make_shards(recipe, tmp_path / "s", rows_a_shard=41)
    with pytest.raises(DataError, match="shards of another set"):
        make_shards(recipe, tmp_path / "s", rows_a_shard=40, overrides=["seed=6"])
    (tmp_path / "home").mkdir()
    (tmp_path / "home/diary.txt").write_text("mine")
    with pytest.raises(DataError, match="no shards that were begun"):
        make_shards(recipe, tmp_path / "home")
    ShardFolder(tmp_path / "new", "a key", n_rows=9).open()
    assert make_shards(recipe, tmp_path / "new").n_rows == 63  # begun, and nothing made yet
    (tmp_path / "s/.journal/set.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        make_shards(recipe, tmp_path / "s", rows_a_shard=40)


def test_numbers_out_of_range_are_refused(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="workers"):
        make_shards(recipe, tmp_path / "s", workers=0)
    with pytest.raises(ParameterError, match="rows_a_shard"):
        make_shards(recipe, tmp_path / "s", rows_a_shard=0)


def test_tables_are_no_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("a,b\n" + "".join(f"{k},{k % 3}\n" for k in range(60)))
    Path("r.csv").write_text("a,b\n" + "".join(f"{k % 9},{k % 3}\n" for k in range(60)))
    text = """
        {name: t, brief: {task: other}, source: {path: t.csv, RULES},
         generate: [{use: tabular.trees, rows: 5}]}"""
    with pytest.raises(SchemaError, match="one column of images"):
        make_shards(parse_recipe(text.replace("t.csv, RULES", "r.csv")), tmp_path / "s")
    ruled = text.replace("RULES", "rules: [{kind: unique, columns: [a]}]")
    with pytest.raises(RecipeError, match="depend on each other"):
        make_shards(parse_recipe(ruled), tmp_path / "u")
    assert [path.name for path in tmp_path.iterdir() if path.name in "su"] == []


def test_varied_real_images_begin_at_any_row_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scenes = build("generator", "image.scenes", {"size": 32, "n_objects_range": [1, 2]})
    real = scenes.fit(None, rng_for(1, "fit")).sample(14, rng_for(1, "draw"))
    write_dataset([real], Path("real"), "coco")
    recipe = parse_recipe("""
        {name: v, brief: {task: detection}, source: {path: real}, split: {holdout_fraction: 0.3},
         augment: [{use: image.elastic, copies: 3}], evaluate: {metrics: []},
         deliver: {formats: [webdataset]}}""")
    ran = run(recipe)
    made = make_shards(recipe, Path("whole"))
    delivered = ran.delivered / "synthetic.webdataset/shard-000000.tar"
    assert (made.folder / "shard-000000.tar").read_bytes() == delivered.read_bytes()
    make_shards(recipe, Path("small"), rows_a_shard=4)
    lone = Path("small/shard-000003.tar")  # in the middle of a copy and of a chunk
    kept = lone.read_bytes()
    lone.unlink()
    make_shards(recipe, Path("small"), rows_a_shard=4)
    assert lone.read_bytes() == kept
    assert read_dataset(Path("small")).records.equals(read_dataset(Path("whole")).records)


def test_shards_that_lack_rows_are_not_kept(tmp_path: Path) -> None:
    folder = ShardFolder(tmp_path / "s", "key", n_rows=5)
    folder.open()
    with pytest.raises(DataError, match="did not get its rows"):
        folder.write_shard(0, [])
    assert folder.missing() == [0]
    with pytest.raises(DataError, match="shards are missing"):
        folder.finish()
    assert list((tmp_path / "s").iterdir()) == []


def test_a_mistake_in_another_process_is_reported_in_its_own_words(
    recipe: Path, tmp_path: Path
) -> None:
    (tmp_path / "s/shard-000001.tar").mkdir(parents=True)
    (tmp_path / "s/.journal").mkdir()
    (tmp_path / "s/.journal/set.json").write_text("{}")
    with pytest.raises(DataError, match=r"shard-000001\.tar' is a folder"):
        make_shards(recipe, tmp_path / "s", rows_a_shard=32, workers=2)
