import importlib.metadata
import random

import numpy as np
import pyarrow as pa
import pytest

from twinset.augment.image.albumentations import Albumentations
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, OBJECT
from twinset.core.errors import (
    DataError,
    MissingExtraError,
    ParameterError,
    SchemaError,
    UnknownNameError,
)
from twinset.core.image.codec import decode_pixels, encode_lossless, encode_png
from twinset.core.image.instance_maps import objects_from_ids
from twinset.core.seeding import rng_for

pytest.importorskip("albumentations")

NAMES = {1: "rectangle", 300: "ring"}


def id_map() -> np.ndarray:
    ids = np.zeros((6, 8), np.uint16)
    ids[1:3, 0:3] = 1
    ids[4:6, 5:7] = 300
    return ids


def image_of(ids: np.ndarray) -> np.ndarray:
    """An image in which every object has a colour of its own, so that pixels name their object."""
    colours = {0: (10, 20, 30), 1: (200, 0, 0), 300: (0, 0, 250)}
    return np.array([[colours[int(i)] for i in line] for line in ids], np.uint8)


def dataset(n: int = 3, *, with_map: bool = True, ids: np.ndarray | None = None) -> Dataset:
    ids = id_map() if ids is None else ids
    objects = objects_from_ids(ids, NAMES, full_areas={1: 8, 300: 4}, truncated={1})
    columns = {
        "image": pa.array([{"bytes": encode_png(image_of(ids)), "path": "a.png"}] * n, BLOB),
        "instances": pa.array([{"bytes": encode_png(ids), "path": None}] * n, BLOB),
        "objects": pa.array([objects] * n, pa.list_(OBJECT)),
        "site": pa.array(["north"] * n),
    }
    if not with_map:
        del columns["instances"]
    return Dataset.from_arrow(pa.table(columns)).with_reserved(ids=[f"r{i}" for i in range(n)])


def vary(data: Dataset, transforms, seed: int = 0) -> Dataset:
    augmenter = Albumentations(transforms=transforms)
    return augmenter.apply(data, augmenter.draw(data, rng_for(seed, "test")))


def cell(data: Dataset, name: str, row: int = 0):
    value = data.records.column(name)[row].as_py()
    return decode_pixels(value["bytes"]) if name in ("image", "instances") else value


def test_flip_moves_image_map_and_boxes_by_hand():
    out = vary(dataset(1), [{"HorizontalFlip": {"p": 1.0}}])
    np.testing.assert_array_equal(cell(out, "instances"), id_map()[:, ::-1])
    np.testing.assert_array_equal(cell(out, "image"), image_of(id_map()[:, ::-1]))
    first, second = cell(out, "objects")
    assert (first["id"], first["category"], first["box"]) == (1, "rectangle", [5, 1, 8, 3])
    assert (second["id"], second["category"], second["box"]) == (300, "ring", [1, 4, 3, 6])
    assert first["visible_fraction"] == pytest.approx(0.75)  # 6 of 8 pixels, as before
    assert first["truncated"]
    assert not second["truncated"]
    assert out.records.column("site")[0].as_py() == "north"


def test_an_object_that_leaves_the_edge_is_dropped():
    out = vary(dataset(1), [{"Affine": {"translate_px": {"x": (-4, -4), "y": (0, 0)}, "p": 1.0}}])
    (left,) = cell(out, "objects")
    assert (left["id"], left["box"]) == (300, [1, 4, 3, 6])
    assert left["visible_fraction"] == pytest.approx(1.0)


def test_an_object_cut_by_the_edge_is_truncated_and_its_share_unknown():
    out = vary(dataset(1), [{"Affine": {"translate_px": {"x": (2, 2), "y": (0, 0)}, "p": 1.0}}])
    first, second = cell(out, "objects")
    assert first["box"] == [2, 1, 5, 3]
    assert first["visible_fraction"] == pytest.approx(0.75)
    assert second["box"] == [7, 4, 8, 6]
    assert second["truncated"]
    assert second["visible_fraction"] is None


@pytest.mark.parametrize(
    "transforms",
    [
        [{"Affine": {"rotate": [-40, 40], "scale": [0.7, 1.4], "interpolation": 0, "p": 1.0}}],
        [{"RandomRotate90": {"p": 1.0}}, {"RandomCrop": {"height": 5, "width": 5}}],
        [{"Rotate": {"limit": 60, "interpolation": 0, "p": 1.0}}],
    ],
)
def test_boxes_are_the_tight_boxes_of_the_pixels(transforms):
    ids = np.kron(id_map(), np.ones((6, 6), np.uint16))
    out = vary(dataset(8, ids=ids), transforms)
    for row in range(8):
        moved, objects = cell(out, "instances", row), cell(out, "objects", row)
        assert set(np.unique(moved)) <= {0, 1, 300}
        assert [o["id"] for o in objects] == [i for i in (1, 300) if (moved == i).any()]
        for item in objects:
            ys, xs = np.nonzero(moved == item["id"])
            assert item["box"] == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            assert item["area"] == len(xs)


def test_a_resized_map_is_sampled_at_pixel_centres():
    out = vary(dataset(1), [{"Resize": {"height": 6, "width": 11}}])
    centres = np.floor((np.arange(11) + 0.5) * 8 / 11).astype(int)
    floored = np.floor(np.arange(11) * 8 / 11).astype(int)
    np.testing.assert_array_equal(cell(out, "instances"), id_map()[:, centres])
    assert (id_map()[:, centres] != id_map()[:, floored]).any()  # what plain nearest would give


def test_boxes_without_a_map_are_moved_as_boxes():
    out = vary(dataset(1, with_map=False), [{"HorizontalFlip": {"p": 1.0}}])
    first, second = cell(out, "objects")
    assert first["box"] == pytest.approx([5, 1, 8, 3])
    assert (first["id"], second["id"]) == (1, 300)
    assert first["area"] == pytest.approx(6)


def test_rows_do_not_depend_on_order_or_neighbours():
    data = dataset(6)
    augmenter = Albumentations()
    params = augmenter.draw(data, rng_for(3, "test"))
    whole = augmenter.apply(data, params)
    alone = [
        augmenter.apply(data.slice(i, 1), {"seed": params["seed"][i : i + 1]}) for i in (4, 0, 5)
    ]
    for i, part in zip((4, 0, 5), alone):
        assert part.records.equals(whole.records.slice(i, 1))
    images = whole.records.column("image").to_pylist()
    assert len({item["bytes"] for item in images}) > 1


def test_transforms_of_equal_chance_happen_independently():
    chances = [{"HorizontalFlip": {"p": 0.5}}, {"VerticalFlip": {"p": 0.5}}]
    out = vary(dataset(64), chances)
    maps = [cell(out, "instances", row) for row in range(64)]
    both = [id_map(), id_map()[:, ::-1], id_map()[::-1], id_map()[::-1, ::-1]]
    counts = [sum(np.array_equal(m, other) for m in maps) for other in both]
    assert sum(counts) == 64
    assert min(counts) >= 5


def test_parents_input_and_global_state():
    data = dataset(2)
    before = data.records
    states = random.getstate(), np.random.get_state()[1].copy()
    out = vary(data, Albumentations().transforms)
    assert random.getstate() == states[0]
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])
    assert data.records.equals(before)
    assert out.schema == data.schema
    assert out.records.column("_parents").to_pylist() == [["r0"], ["r1"]]
    assert set(out.records.column("_origin").to_pylist()) == {"augmented"}
    assert len(set(out.records.column("_id").to_pylist()) | {"r0", "r1"}) == 4


@pytest.mark.parametrize("n", [0, 1])
def test_small_sets(n):
    assert len(vary(dataset(n), Albumentations().transforms)) == n


def test_a_row_without_an_image_stays():
    table = pa.table({"image": pa.array([None, {"bytes": None, "path": "x"}], BLOB)})
    out = vary(Dataset.from_arrow(table), [{"HorizontalFlip": {"p": 1.0}}])
    assert out.records.column("image").to_pylist() == table.column("image").to_pylist()


def test_unknown_transform_suggests_the_known_one():
    with pytest.raises(UnknownNameError, match="did you mean 'HorizontalFlip'"):
        Albumentations(transforms=[{"HorizontalFlp": {}}])


@pytest.mark.parametrize(
    ("transforms", "words"),
    [
        ([], "no transform"),
        ([{"HorizontalFlip": {}, "VerticalFlip": {}}], r"transforms\[0\]"),
        ([{"Affine": {"border_mode": 4}}], "'border_mode' of Affine"),
    ],
)
def test_wrong_lists_are_refused_at_once(transforms, words):
    with pytest.raises(ParameterError, match=words):
        Albumentations(transforms=transforms)


@pytest.mark.parametrize(
    ("transforms", "words"),
    [
        ([{"Affine": {"rotat": 4}}], "did you mean 'rotate'"),
        ([{"GaussNoise": {"std_range": [3, 4]}}], "GaussNoise refuses"),
        ([{"RandomCrop": {}}], "RandomCrop refuses"),
        ([{"RandomCrop": {"height": 99, "width": 99}}], "cannot be applied"),
    ],
)
def test_wrong_settings_are_refused_before_or_at_the_first_image(transforms, words):
    with pytest.raises(ParameterError, match=words):
        vary(dataset(1), transforms)


def test_agpl_successor_is_refused(monkeypatch):
    found = importlib.metadata.distribution
    monkeypatch.setattr(
        importlib.metadata,
        "distribution",
        lambda name: found("numpy") if name.lower() == "albumentationsx" else found(name),
    )
    with pytest.raises(MissingExtraError, match="AGPL"):
        vary(dataset(1), [{"HorizontalFlip": {}}])


def test_what_cannot_be_moved_is_refused():
    flip = [{"HorizontalFlip": {"p": 1.0}}]
    with pytest.raises(SchemaError, match="exactly one image column"):
        vary(Dataset.from_arrow(pa.table({"a": [1.5, 2.25]})), flip)
    wild = encode_lossless(np.full((4, 4), 7, np.float32))
    table = pa.table({"image": pa.array([{"bytes": wild}], BLOB)})
    assert len(vary(Dataset.from_arrow(table), flip)) == 1
    with pytest.raises(DataError, match="outside 0 to 1"):
        vary(Dataset.from_arrow(table), [{"GaussNoise": {"p": 1.0}}])
    double = Dataset.from_arrow(pa.table({"image": pa.array([{"bytes": b"nothing"}], BLOB)}))
    with pytest.raises(DataError, match="cannot be decoded"):
        vary(double, flip)
