"""What follows a pipeline without being a pixel: keypoints, outlines, boxes alone; and deep images."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest

from twinset.augment.image.albumentations import Albumentations
from twinset.augment.image.elastic import Elastic
from twinset.augment.image.weather import Weather
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, OBJECT
from twinset.core.errors import DataError, ParameterError
from twinset.core.image.codec import decode_ids, decode_pixels, encode_lossless
from twinset.core.image.instance_maps import objects_from_ids
from twinset.core.seeding import rng_for

pytest.importorskip("albumentations")

SIZE = 64


def point_picture(x: float, y: float) -> np.ndarray:
    """A bright disc whose centre of mass is the point."""
    rows, columns = (np.mgrid[: SIZE * 8, : SIZE * 8] + 0.5) / 8
    fine = np.clip(4.5 - np.hypot(columns - x, rows - y), 0, 1)
    return np.rint(255 * fine.reshape(SIZE, 8, SIZE, 8).mean(axis=(1, 3))).astype(np.uint8)


def centre(plane: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[: plane.shape[0], : plane.shape[1]] + 0.5
    return np.array([(plane * columns).sum(), (plane * rows).sum()]) / plane.sum()


def scene(
    label: dict | None = None, *, pixels: np.ndarray | None = None, ids: np.ndarray | None = None
):
    columns = {}
    pixels = point_picture(40, 24) if pixels is None else pixels
    columns["image"] = pa.array([{"bytes": encode_lossless(pixels), "path": None}], BLOB)
    if ids is not None:
        columns["instances"] = pa.array([{"bytes": encode_lossless(ids), "path": None}], BLOB)
    if label is not None:
        columns["objects"] = pa.array([[label]], pa.list_(OBJECT))
    return Dataset.from_arrow(pa.table(columns)).with_reserved(ids=["a"])


def labelled(**more) -> dict:
    plain = {"id": 1, "category": "cell", "box": [30.0, 14.0, 50.0, 34.0], "area": 400.0}
    return plain | {"visible_fraction": 1.0, "truncated": False, "keypoints": []} | more


def vary(data: Dataset, *transforms, seed: int = 0) -> Dataset:
    augmenter = Albumentations(transforms=transforms)
    return augmenter.apply(data, augmenter.draw(data, rng_for(seed, "test")))


def cell(data: Dataset, name: str):
    value = data.records.column(name)[0].as_py()
    return decode_pixels(value["bytes"]) if name == "image" else value


MOVES = [
    {"HorizontalFlip": {"p": 1.0}},
    {"Resize": {"height": 47, "width": 91}},
    {"Affine": {"rotate": [30, 30], "scale": [0.8, 0.8], "p": 1.0}},
    {"Perspective": {"scale": [0.05, 0.1], "p": 1.0}},
    {"RandomResizedCrop": {"size": [70, 60], "scale": [0.8, 0.9], "p": 1.0}},
    {"ElasticTransform": {"alpha": 20, "sigma": 6, "p": 1.0}},
    {"GridDistortion": {"p": 1.0}},
]


@pytest.mark.parametrize("move", MOVES, ids=lambda m: next(iter(m)))
@pytest.mark.parametrize("seed", [0, 1])
def test_a_keypoint_goes_where_its_pixels_go(move, seed):
    ids = np.zeros((SIZE, SIZE), np.uint16)
    ids[10:40, 26:56] = 1
    point = {"name": "tip", "x": 40.0, "y": 24.0, "v": 2}
    out = vary(scene(labelled(keypoints=[point]), ids=ids), move, seed=seed)
    (found,) = cell(out, "objects")[0]["keypoints"]
    assert found["v"] == 2
    assert np.hypot(*(centre(cell(out, "image")) - [found["x"], found["y"]])) < 0.5


def test_flips_and_crops_move_points_by_whole_numbers():
    points = [
        {"name": "left_eye", "x": 40.25, "y": 24.5, "v": 1},
        {"name": "gone", "x": 1.0, "y": 1.0, "v": 2},
    ]
    crop = {"Crop": {"x_min": 2, "y_min": 10, "x_max": 60, "y_max": 50, "p": 1.0}}
    ids = np.zeros((SIZE, SIZE), np.uint16)
    ids[14:34, 30:50] = 1
    data = scene(labelled(keypoints=points), ids=ids)
    left, gone = cell(vary(data, crop), "objects")[0]["keypoints"]
    assert left == {"name": "left_eye", "x": 38.25, "y": 14.5, "v": 1}
    assert gone == {"name": "gone", "x": 0.0, "y": 0.0, "v": 0}
    right, _ = cell(vary(data, {"HorizontalFlip": {"p": 1.0}}), "objects")[0]["keypoints"]
    assert right == {"name": "right_eye", "x": SIZE - 40.25, "y": 24.5, "v": 1}


def test_an_outline_is_moved_by_its_corners_and_cut_at_the_frame():
    outline = [30.5, 14.25, 50.0, 14.25, 50.0, 34.0, 30.5, 34.0]
    data = scene(labelled(polygons=[outline], box=[30.5, 14.25, 50.0, 34.0], area=385.125))
    crop = {"Crop": {"x_min": 0, "y_min": 0, "x_max": 40, "y_max": 64, "p": 1.0}}
    (cut,) = cell(vary(data, crop), "objects")
    assert cut["box"] == [30.5, 14.25, 40.0, 34.0]
    assert cut["area"] == pytest.approx(9.5 * 19.75)
    assert cut["truncated"]
    assert cut["visible_fraction"] is None
    assert cut["flags"] is None
    (turned,) = cell(vary(data, {"Affine": {"rotate": [45, 45], "p": 1.0}}), "objects")
    # A rectangle of 19.5 x 19.75 turned by 45 degrees is (19.5 + 19.75) / sqrt 2 wide and high.
    x0, y0, x1, y1 = turned["box"]
    assert (x1 - x0, y1 - y0) == pytest.approx([(19.5 + 19.75) / 2**0.5] * 2, abs=0.15)
    assert len(turned["polygons"][0]) == 8


def test_a_box_alone_is_bounded_when_turned_and_says_so():
    data = scene(labelled())
    (flipped,) = cell(vary(data, {"HorizontalFlip": {"p": 1.0}}), "objects")
    assert flipped["box"] == [14.0, 14.0, 34.0, 34.0]
    assert flipped["flags"] is None
    (turned,) = cell(vary(data, {"Affine": {"rotate": [45, 45], "p": 1.0}}), "objects")
    assert turned["flags"] == ["approximate"]
    x0, _, x1, _ = turned["box"]
    assert x1 - x0 == pytest.approx(20, abs=0.2)  # the circle that the square holds stays as wide
    with pytest.raises(DataError, match="bends the image"):
        vary(data, {"GridDistortion": {"p": 1.0}})


def test_a_box_that_leaves_the_frame_is_dropped():
    crop = {"Crop": {"x_min": 0, "y_min": 0, "x_max": 20, "y_max": 64, "p": 1.0}}
    assert cell(vary(scene(labelled()), crop), "objects") == []


@pytest.mark.parametrize(
    "name", ["ThinPlateSpline", "RandomGridShuffle", "PiecewiseAffine", "Morphological"]
)
def test_transforms_that_spoil_labels_are_refused_with_the_reason(name):
    with pytest.raises(ParameterError, match=f"{name} is not offered: it "):
        Albumentations(transforms=[{name: {}}])


@pytest.mark.parametrize("channels", [1, 3, 7])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_deep_images_of_many_channels_keep_every_bit(dtype, channels):
    rng = np.random.default_rng(channels)
    pixels = rng.integers(0, 250, (6, 5, channels)).astype(dtype)
    if dtype is np.uint16:
        pixels = pixels * np.uint16(257) + np.uint16(3)
    if dtype is np.float32:
        pixels = pixels * np.float32(-3.7)  # X-rays are not fractions of 1
    pixels = pixels[..., 0] if channels == 1 else pixels
    out = cell(vary(scene(pixels=pixels), {"HorizontalFlip": {"p": 1.0}}), "image")
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, pixels[:, ::-1])


def test_ids_of_32_bits_survive():
    ids = np.zeros((SIZE, SIZE), np.int32)
    ids[4:9, 3:7] = 1_000_000
    objects = objects_from_ids(ids, {1_000_000: "cell"})
    out = vary(scene(objects[0], ids=ids), {"VerticalFlip": {"p": 1.0}})
    moved = decode_ids(out.records.column("instances")[0].as_py()["bytes"])
    np.testing.assert_array_equal(moved, ids[::-1])


def test_a_map_of_another_size_is_refused():
    data = scene(labelled(), ids=np.ones((SIZE, SIZE + 1), np.uint16))
    with pytest.raises(DataError, match="another size than its image"):
        vary(data, {"HorizontalFlip": {"p": 1.0}})


def test_one_row_is_made_again_from_its_record_alone():
    ids = np.zeros((SIZE, SIZE), np.uint16)
    ids[14:34, 30:50] = 1
    data = scene(objects_from_ids(ids, {1: "cell"})[0], ids=ids)
    augmenter = Albumentations()
    params = augmenter.draw(data, rng_for(5, "test"))
    record = json.loads(json.dumps(augmenter.record(params["seed"][0])))
    again = Albumentations.replay(record, data)
    assert again.records.equals(augmenter.apply(data, params).records)
    assert record["versions"]["albumentations"] == "2.0.8"
    with pytest.raises(ParameterError, match=r"image\.elastic"):
        Albumentations.replay(record | {"use": "image.elastic"}, data)


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("name", ["albumentations", "elastic", "weather"])
def test_records_give_the_same_bytes_in_any_order_on_any_workers(name, workers):
    cls = {"albumentations": Albumentations, "elastic": Elastic, "weather": Weather}[name]
    ids = np.zeros((SIZE, SIZE), np.uint16)
    ids[14:34, 30:50] = 1
    data = scene(objects_from_ids(ids, {1: "cell"})[0], ids=ids)
    rows = pa.concat_tables([data.records] * 8)
    many = Dataset(rows, data.schema, data.card)
    augmenter = cls()
    params = augmenter.draw(many, rng_for(5, "test"))
    whole = augmenter.apply(many, params).records
    records = [json.dumps(augmenter.record(seed)) for seed in params["seed"]]
    order = np.random.default_rng(workers).permutation(8)
    with ThreadPoolExecutor(workers) as pool:
        made = pool.map(lambda k: cls.replay(json.loads(records[k]), many.slice(int(k), 1)), order)
        for k, one in zip(order, made):
            assert one.records.equals(whole.slice(int(k), 1))
