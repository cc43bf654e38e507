"""Tiles of a recipe's source, and of the command line."""

import json
from pathlib import Path

import numpy as np
import pytest

from twinset.catalog import Catalog
from twinset.cli import main
from twinset.core.errors import DataError, RecipeError, SchemaError
from twinset.core.image.codec import decode_ids, decode_pixels
from twinset.core.seeding import rng_for
from twinset.io import read_dataset, write_dataset
from twinset.io.tiling import Tiling
from twinset.io.tiling.files import tile_files
from twinset.recipe import load_recipe
from twinset.registry import build
from twinset.workflows.run import run

pytest.importorskip("cv2")

RECIPE = """
name: tiled
seed: 3
brief: {task: detection}
source: {name: wide, path: wide, tiles: {size: 64, overlap: 16, min_visible_fraction: 0.2}}
split: {by: group, holdout_fraction: 0.3}
generate: [{use: image.copy_paste, rows: 6, with: {n_pastes_range: [1, 2], look_distance: 1.0}}]
augment: [{use: image.elastic}]
evaluate: {metrics: []}
deliver: {formats: [coco]}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    scenes = build("generator", "image.scenes", {"size": [100, 150], "n_objects_range": [4, 7]})
    write_dataset(
        [scenes.fit(None, rng_for(1, "f")).sample(6, rng_for(1, "d"))], tmp_path / "wide", "coco"
    )
    (tmp_path / "tiled.yaml").write_text(RECIPE)
    return tmp_path / "tiled.yaml"


def test_tiles_go_through_generators_augmenters_and_formats(recipe: Path, tmp_path: Path) -> None:
    ran = run(recipe)
    catalog = Catalog(tmp_path / ".twinset")
    parts = {name: catalog.load(catalog.find(ref)) for name, ref in ran.versions.items()}
    (whole,) = (part for name, part in parts.items() if name == "wide")
    assert len(whole) == 6 * 2 * 3
    assert any("cut into tiles of 64 x 64" in note for note in whole.card.notes)
    assert whole.records["_id"].to_pylist() == [f"wide-{k}" for k in range(36)]
    sides = [
        set(part.codes("tile_of")[1]) for name, part in parts.items() if name.startswith("wide.")
    ]
    assert len(sides) == 2
    assert not sides[0] & sides[1]
    made = read_dataset(ran.delivered / "synthetic.coco")
    assert len(made) == 6 + len(parts["wide.train"])
    for row in made.records.to_pylist():
        image, ids = (decode_pixels(row["image"]["bytes"]), decode_ids(row["instances"]["bytes"]))
        assert image.shape == (64, 64, 3)
        assert set(np.unique(ids[ids > 0])) == {o["id"] for o in row["objects"]}
        assert row["tile_of"] in sides[0] | sides[1]


def test_a_split_that_tears_images_apart_is_refused(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(RECIPE.replace("by: group", "by: stratified"))
    with pytest.raises(RecipeError, match=r"both train set and holdout; say split: \{by: group\}"):
        load_recipe(recipe)
    # The same of a set that was cut before, and whose columns a format has brought back.
    tile_files(tmp_path / "wide", tmp_path / "cut", tiling=Tiling(size=64, overlap=0))
    text = RECIPE.replace(", tiles: {size: 64, overlap: 16, min_visible_fraction: 0.2}", "")
    text = text.replace("path: wide", "path: cut")
    recipe.write_text(text.replace("by: group", "by: stratified"))
    with pytest.raises(SchemaError, match="both train set and holdout"):
        run(recipe)
    recipe.write_text(text.replace("by: group", "by: group, on: tile_of"))
    assert run(recipe).delivered.is_dir()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("size: 8", "'size' is out of its range; got 8"),
        ("overlap: 64", "'overlap' is out of its range"),
        ("size: [64, 64, 3]", "height and width; got 3 numbers"),
        ("min_visible_fraction: 2", "min_visible_fraction"),
        ("stride: 3", "unknown key"),
    ],
)
def test_faults_of_tiles_are_reported_with_their_line(recipe: Path, given: str, words: str) -> None:
    key = given.partition(":")[0]
    settings = {"size": "size: 64", "overlap": "overlap: 16"} | {key: given}
    recipe.write_text(
        RECIPE.replace(
            "size: 64, overlap: 16, min_visible_fraction: 0.2", ", ".join(settings.values())
        )
    )
    with pytest.raises(RecipeError, match=r"tiled\.yaml:5: source\.tiles") as told:
        load_recipe(recipe)
    assert words in str(told.value)


def test_the_command_cuts_and_joins(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["tiles", "wide", "cut", "--size", "64", "--overlap", "16"]
    assert main([*words, "--min-visible-fraction", "0"]) == 0
    assert "6 images read, 36 tiles written." in capsys.readouterr().out
    assert main(["tiles", "cut", "back", "--join", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["read"], told["written"]) == (36, 6)
    before, after = (read_dataset(tmp_path / name).records.to_pylist() for name in ("wide", "back"))
    for old, new in zip(before, after, strict=True):
        for name, decode in (("image", decode_pixels), ("instances", decode_ids)):
            np.testing.assert_array_equal(
                decode(old[name]["bytes"]) > 0, decode(new[name]["bytes"]) > 0
            )
        assert [o["box"] for o in old["objects"]] == [o["box"] for o in new["objects"]]
    assert main(words) == 2
    assert "there is a 'cut' already" in capsys.readouterr().err
    assert main(["tiles", "cut", "again"]) == 2
    assert "images that are tiles" in capsys.readouterr().err


def test_a_plain_folder_of_large_images_can_be_cut(tmp_path: Path) -> None:
    from twinset.core.image.codec import encode_lossless

    (tmp_path / "scans/a").mkdir(parents=True)
    pixels = rng_for(0, "x").integers(0, 60_000, (130, 90, 5)).astype(np.uint16)
    (tmp_path / "scans/a/x.tif").write_bytes(encode_lossless(pixels))
    made = tile_files(
        tmp_path / "scans", tmp_path / "cut.parquet", "parquet", tiling=Tiling(size=80, overlap=0)
    )
    assert (made.n_read, made.n_written) == (1, 4)
    rows = read_dataset(tmp_path / "cut.parquet").records.to_pylist()
    assert {row["label"] for row in rows} == {"a"}
    np.testing.assert_array_equal(decode_pixels(rows[-1]["image"]["bytes"]), pixels[50:, 10:])
    with pytest.raises(DataError, match="already"):
        tile_files(tmp_path / "scans", tmp_path / "cut.parquet", "parquet", tiling=Tiling())


def test_results_of_tiles_become_one_file_of_the_whole_images(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tiles", "wide", "cut", "--size", "64", "--overlap", "16"]) == 0
    told = json.loads((tmp_path / "cut/annotations.json").read_text())
    # A detector that finds on each tile just what is labelled there.
    results = [
        {
            "image_id": a["image_id"],
            "category_id": a["category_id"],
            "bbox": a["bbox"],
            "score": 0.5,
        }
        for a in told["annotations"]
    ]
    (tmp_path / "results.json").write_text(json.dumps(results))
    capsys.readouterr()
    assert main(["tiles", "cut", "found.json", "--predictions", "results.json"]) == 0
    assert f"{len(results)} boxes on tiles are" in capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    assert [image["width"] for image in found["images"]] == [150] * 6
    assert found["categories"] == told["categories"]
    names = {c["id"]: c["name"] for c in found["categories"]}
    whole = read_dataset(tmp_path / "wide").records.to_pylist()
    n_alike = n_objects = 0
    for number, row in enumerate(whole, start=1):
        made = [
            (names[a["category_id"]], *a["bbox"])
            for a in found["annotations"]
            if a["image_id"] == number
        ]
        for item in row["objects"]:
            x0, y0, x1, y1 = item["box"]
            n_objects += 1
            n_alike += (item["category"], x0, y0, x1 - x0, y1 - y0) in made
    # The rule of the tiles has dropped slivers; where a box lost one, it is smaller than the whole.
    assert n_alike >= 0.85 * n_objects
    results[3] |= {"image_id": 999}
    results[4] |= {"bbox": [1, 2, 0, 3]}
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert main(["tiles", "cut", "more.json", "--predictions", "results.json"]) == 2
    said = capsys.readouterr().err
    assert (
        "2 entries that cannot be used; got [3] is of a tile 999 that there is not; [4] is no"
        in said
    )
    assert main(["tiles", "wide", "more.json", "--predictions", "results.json"]) == 2
    assert "does not state where tiles lie" in capsys.readouterr().err
    assert main(["tiles", "cut", "found.json", "--predictions", "results.json"]) == 2
    assert "there is a 'found.json' already" in capsys.readouterr().err


def test_a_result_of_a_class_that_there_is_not_is_reported(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tiles", "wide", "cut", "--size", "64", "--overlap", "16"]) == 0
    told = json.loads((tmp_path / "cut/annotations.json").read_text())
    one = {"image_id": told["images"][0]["id"], "category_id": 77, "bbox": [1, 1, 5, 5], "score": 1}
    (tmp_path / "results.json").write_text(json.dumps([one]))
    assert main(["tiles", "cut", "found.json", "--predictions", "results.json"]) == 2
    said = capsys.readouterr().err
    assert "an entry that cannot be used; got [0] is of a class 77 that there is not" in said
    assert f"{told['categories'][0]['id']} ({told['categories'][0]['name']})" in said
    assert not (tmp_path / "found.json").exists()
    words = ["tiles", "cut", "found.json", "--join", "--predictions", "results.json"]
    assert main(words) == 2
    assert "joined by two calls" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["cut", "--format", "csv"],
            "allowed: parquet, tfrecord, webdataset, voc, yolo, coco, masks",
        ),
        (["cut", "--format", "parquet"], "write to 'cut.parquet'"),
    ],
)
def test_tiles_are_written_only_where_they_can_be_read_again(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["tiles", "wide", *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "cut").exists()


def test_joined_images_keep_their_names(recipe: Path, tmp_path: Path) -> None:
    names = [cell["path"] for cell in read_dataset(tmp_path / "wide").records["image"].to_pylist()]
    tile_files(tmp_path / "wide", tmp_path / "cut", tiling=Tiling(size=64, overlap=0))
    tile_files(tmp_path / "cut", tmp_path / "whole")
    back = read_dataset(tmp_path / "whole")
    assert back.records["file"].to_pylist() == names
    tile_files(tmp_path / "cut", tmp_path / "voc", "voc")  # which holds no plain columns
    assert len(read_dataset(tmp_path / "voc")) == len(names)


def test_empty_tiles_are_not_kept_in_silence(tmp_path: Path) -> None:
    from twinset.core.image.codec import encode_lossless

    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/x.png").write_bytes(encode_lossless(np.zeros((40, 90), np.uint8)))
    with pytest.raises(SchemaError, match="the images have no labels"):
        tile_files(
            tmp_path / "scans",
            tmp_path / "cut",
            tiling=Tiling(size=32, overlap=0, keep_empty=False),
        )
