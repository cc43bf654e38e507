"""Tiles of large images: exact pixels, maps, boxes and keypoints, and the way back."""

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, OBJECT, Field, Schema
from twinset.core.errors import DataError, ParameterError, SchemaError
from twinset.core.image.codec import decode_ids, decode_pixels, encode_lossless
from twinset.core.image.instance_maps import extents_of
from twinset.core.seeding import rng_for
from twinset.io import read_dataset, write_dataset
from twinset.io.tiling import TILE_COLUMNS, Tiling, Window, cut_tiles, join_tiles
from twinset.registry import build

pytest.importorskip("cv2")


def scenes(n: int = 3, size=(150, 230)) -> Dataset:
    settings = {"size": size, "n_objects_range": [5, 9], "classes": {
        "person": {"shape": "figure"}, "disc": {"shape": "circle"}}}  # fmt: skip
    fitted = build("generator", "image.scenes", settings).fit(None, rng_for(1, "fit"))
    return fitted.sample(n, rng_for(2, "draw"))


def tiles_of(data: Dataset, **settings) -> Dataset:
    tiling = Tiling(**{"size": 64, "overlap": 16, **settings})
    return Dataset.concat(list(cut_tiles([data], tiling)))


def one_image(
    pixels: np.ndarray, objects: list | None = None, ids: np.ndarray | None = None
) -> Dataset:
    fields = [Field(name="photo", kind="image")]
    columns = {"photo": pa.array([{"bytes": encode_lossless(pixels), "path": "a/b.tif"}], BLOB)}
    if ids is not None:
        fields.append(Field(name="map", kind="mask"))
        columns["map"] = pa.array([{"bytes": encode_lossless(ids), "path": None}], BLOB)
    if objects is not None:
        fields.append(Field(name="objects", kind="boxes"))
        columns["objects"] = pa.array([objects], pa.list_(OBJECT))
    return Dataset.from_arrow(pa.table(columns), Schema(tuple(fields)))


def label(number: int, box: list[float], **more) -> dict:
    x0, y0, x1, y1 = box
    made = {"id": number, "category": "car", "box": box, "area": (x1 - x0) * (y1 - y0)}
    return {**made, "visible_fraction": None, "truncated": False, "keypoints": [], **more}


def test_tiles_cover_every_pixel_and_overlap_as_asked() -> None:
    for length in [1, 63, 64, 65, 112, 113, 1000]:
        windows = Tiling(size=64, overlap=16).windows(length, 10)
        covered = np.zeros(length, int)
        for window in windows:
            assert window.shape == (min(length, 64), 10)
            covered[window.slices[0]] += 1
        assert covered.min() == 1
        starts = [window.y0 for window in windows]
        assert all(64 - (b - a) >= 16 for a, b in itertools.pairwise(starts))
        # No tile lies within the others: the fewest that do.
        assert len(windows) == max(1, -(-(length - 16) // 48))


def test_pixels_of_any_depth_are_cut_and_joined_without_loss() -> None:
    for channels in [0, 1, 2, 3, 4, 7]:
        for dtype in [np.uint8, np.uint16, np.float32]:
            shape = (90, 70, channels) if channels else (90, 70)
            pixels = (rng_for(0, "x").random(shape) * 60_000).astype(dtype)
            whole = decode_pixels(encode_lossless(pixels))
            made = tiles_of(one_image(pixels))
            assert len(made) == 4
            for row in made.records.to_pylist():
                part = decode_pixels(row["photo"]["bytes"])
                y, x = row["tile_y"], row["tile_x"]
                assert part.dtype == dtype
                np.testing.assert_array_equal(part, whole[y : y + 64, x : x + 64])
            (back,) = Dataset.concat(list(join_tiles([made]))).records.to_pylist()
            np.testing.assert_array_equal(decode_pixels(back["photo"]["bytes"]), whole)


def test_provenance_is_reported() -> None:
    made = tiles_of(one_image(np.zeros((100, 64), np.uint8)))
    rows = made.records.select(TILE_COLUMNS).to_pylist()
    assert rows == [
        {"tile_of": "a/b.tif", "tile_x": 0, "tile_y": y, "tile_of_width": 64, "tile_of_height": 100}
        for y in (0, 36)
    ]
    paths = [cell["path"] for cell in made.records["photo"].to_pylist()]
    assert paths == ["a/b_0_0_64_64.png", "a/b_0_36_64_100.png"]
    assert made.schema["tile_of"].role == "group"
    named = one_image(np.zeros((100, 64), np.uint8)).with_reserved(ids=["set-7"])
    reserved = tiles_of(named).records.to_pylist()
    assert [(row["_id"], row["_parents"]) for row in reserved] == [
        ("set-7@0,0", ["set-7"]),
        ("set-7@0,36", ["set-7"]),
    ]


def test_labels_are_those_of_the_tile_and_its_map() -> None:
    data = scenes()
    made = tiles_of(data, min_visible_fraction=0.25)
    n_dropped = 0
    whole = {f"image-{k:07d}": row for k, row in enumerate(data.records.to_pylist())}
    for row in made.records.to_pylist():
        parent = whole[row["tile_of"]]
        full = decode_ids(parent["instances"]["bytes"])
        ids = decode_ids(row["instances"]["bytes"])
        y, x = row["tile_y"], row["tile_x"]
        part = full[y : y + 64, x : x + 64]
        seen, boxes, areas = extents_of(ids)
        assert [o["id"] for o in row["objects"]] == seen.tolist()
        assert [o["box"] for o in row["objects"]] == boxes.tolist()
        assert [o["area"] for o in row["objects"]] == areas.tolist()
        before = {o["id"]: o for o in parent["objects"]}
        for number in np.unique(part[part > 0]):
            share = (part == number).sum() / (full == number).sum()
            kept = next((o for o in row["objects"] if o["id"] == number), None)
            assert (kept is not None) == (share >= 0.25)
            if kept is None:
                n_dropped += 1
                assert not (ids == number).any()
                continue
            was = before[number]
            assert kept["category"] == was["category"]
            assert kept["visible_fraction"] == pytest.approx(was["visible_fraction"] * share)
            shifted = np.array(was["amodal_box"]) - [x, y, x, y]
            assert kept["amodal_box"] == shifted.tolist()
            leaves = shifted.min() < 0 or shifted.max() > 64
            assert kept["truncated"] == (leaves or was["truncated"])
            for point, old in zip(kept["keypoints"], was["keypoints"]):
                inside = old["v"] > 0 and 0 <= old["x"] - x < 64 and 0 <= old["y"] - y < 64
                assert point["v"] == (old["v"] if inside else 0)
                if inside:
                    assert point["x"] == pytest.approx(old["x"] - x, abs=1e-4)
    assert n_dropped > 3


def test_cutting_and_joining_gives_the_whole_set_back() -> None:
    data = scenes()
    back = Dataset.concat(list(join_tiles([tiles_of(data, min_visible_fraction=0.0)])))
    assert back.schema.names == data.schema.names
    for new, old in zip(back.records.to_pylist(), data.records.to_pylist()):
        for name, decode in (("image", decode_pixels), ("instances", decode_ids)):
            np.testing.assert_array_equal(decode(new[name]["bytes"]), decode(old[name]["bytes"]))
        assert new["n_objects"] == old["n_objects"]
        for found, was in zip(new["objects"], old["objects"], strict=True):
            for key in ("id", "category", "box", "area", "truncated", "amodal_box"):
                assert found[key] == was[key], key
            assert found["visible_fraction"] == pytest.approx(was["visible_fraction"], rel=1e-5)
            for point, first in zip(found["keypoints"], was["keypoints"], strict=True):
                assert point["v"] == first["v"]
                assert (point["x"], point["y"]) == pytest.approx((first["x"], first["y"]), abs=1e-4)


def test_outlines_are_cut_at_the_tile() -> None:
    ring = [50.0, 10.0, 74.0, 10.0, 74.0, 20.5, 50.0, 20.5]
    car = label(1, [50, 10, 74, 20.5], polygons=[ring])
    made = tiles_of(one_image(np.zeros((32, 112), np.uint8), [car]), overlap=0).records.to_pylist()
    (left,), (right,) = (row["objects"] for row in made)
    assert left["box"] == [50, 10, 64, 20.5]
    assert left["area"] == pytest.approx(14 * 10.5)
    assert left["polygons"] == [[50, 10, 64, 10, 64, 20.5, 50, 20.5]]
    assert made[1]["tile_x"] == 48
    assert right["box"] == [2, 10, 26, 20.5]
    assert (right["truncated"], left["truncated"]) == (False, True)
    assert right["polygons"] == [[2, 10, 26, 10, 26, 20.5, 2, 20.5]]
    assert "approximate" not in (left["flags"] or ())


def test_an_outline_beside_a_map_has_the_share_of_the_area_that_pixels_show() -> None:
    ids = np.zeros((32, 112), np.uint16)
    ids[10:20, 50:74] = 1
    ring = [50.0, 10.0, 74.0, 10.0, 74.0, 20.5, 50.0, 20.5]
    car = label(1, [50, 10, 74, 20.5], polygons=[ring])
    data = one_image(np.zeros((32, 112), np.uint8), [car], ids)
    ((left,), _) = (
        tiles_of(data, overlap=0, min_visible_fraction=0.1).records["objects"].to_pylist()
    )
    assert left["area"] == pytest.approx(14 / 24 * 252)


def test_boxes_alone_are_cut_and_say_so() -> None:
    cars = [label(1, [50, 10, 74, 20]), label(2, [61, 0, 100, 10]), label(3, [3, 4, 5, 6])]
    data = one_image(np.zeros((32, 128), np.uint8), cars)
    made = tiles_of(data, overlap=0, min_visible_fraction=0.1).records.to_pylist()
    left, right = (row["objects"] for row in made)
    assert [(o["id"], o["box"], o["flags"]) for o in left] == [
        (1, [50, 10, 64, 20], ["approximate"]),
        (3, [3, 4, 5, 6], None),
    ]  # of car 2 the left tile shows 3 of 39 columns, less than a tenth
    assert [(o["id"], o["box"], o["truncated"]) for o in right] == [
        (1, [0, 10, 10, 20], True),
        (2, [0, 0, 36, 10], True),
    ]


def test_empty_tiles_go_where_that_is_asked() -> None:
    data = one_image(np.zeros((64, 128), np.uint8), [label(1, [70, 4, 80, 9])])
    assert len(tiles_of(data, overlap=0)) == 2
    kept = tiles_of(data, overlap=0, keep_empty=False)
    assert kept.records["tile_x"].to_pylist() == [64]


def test_a_map_without_objects_follows_the_same_rule() -> None:
    ids = np.zeros((64, 128), np.uint16)
    ids[10:20, 62:82] = 5
    data = one_image(np.zeros((64, 128), np.uint8), None, ids)
    left, right = (
        decode_ids(row["map"]["bytes"])
        for row in tiles_of(data, overlap=0, min_visible_fraction=0.2).records.to_pylist()
    )
    assert not left.any()
    assert (right == 5).sum() == 180


def test_formats_keep_tiles(tmp_path: Path) -> None:
    for number, layout in enumerate(["coco", "webdataset"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        made = tiles_of(scenes(2))
        write_dataset([made], folder / "set", layout)
        again = read_dataset(folder / "set")
        back = Dataset.concat(list(join_tiles([again])))
        assert again.records["tile_of"].to_pylist() == made.records["tile_of"].to_pylist()
        assert again.values("tile_x").tolist() == made.values("tile_x").tolist()
        for new, old in zip(back.records.to_pylist(), scenes(2).records.to_pylist()):
            np.testing.assert_array_equal(
                decode_pixels(new["image"]["bytes"]), decode_pixels(old["image"]["bytes"])
            )


def test_one_image_after_the_other_is_decoded() -> None:
    def endless():
        data = scenes(1)
        while True:
            yield data

    first = next(iter(cut_tiles(endless(), Tiling(size=64, overlap=0))))
    assert len(first) == 12


def test_what_cannot_be_cut_is_reported() -> None:
    for settings in ({"size": 8}, {"overlap": 64}, {"overlap": -1}, {"min_visible_fraction": 2}):
        with pytest.raises(ParameterError, match="out of its range"):
            Tiling(**{"size": 64, **settings})
    with pytest.raises(SchemaError, match="images that are tiles"):
        tiles_of(tiles_of(one_image(np.zeros((64, 70), np.uint8))))
    with pytest.raises(SchemaError, match="one column of images"):
        tiles_of(Dataset.from_arrow(pa.table({"a": [1, 2]})))
    with pytest.raises(SchemaError, match="no column 'tile_of'"):
        list(join_tiles([one_image(np.zeros((64, 70), np.uint8))]))
    with pytest.raises(DataError, match=r"map of 'a/b\.tif' is of another size"):
        tiles_of(one_image(np.zeros((64, 70), np.uint8), [], np.zeros((64, 71), np.uint16)))
    with pytest.raises(DataError, match="not in the list of objects; got id 5"):
        tiles_of(one_image(np.zeros((64, 70), np.uint8), [], np.full((64, 70), 5, np.uint16)))
    data = tiles_of(scenes(2))
    mixed = data.take(np.argsort(data.values("tile_x"), kind="stable"))
    with pytest.raises(DataError, match="do not follow each other"):
        list(join_tiles([mixed]))
    gray, colour = (
        tiles_of(one_image(np.zeros((64, 100, n), np.uint8)), overlap=0) for n in (1, 3)
    )
    with pytest.raises(DataError, match="kinds; got uint8, 1 channels; allowed: uint8, 3 channels"):
        list(join_tiles([Dataset.concat([gray.slice(0, 1), colour.slice(1, 1)])]))
    assert Window(1, 2, 5, 9).shape == (7, 4)
