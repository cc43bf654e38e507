import numpy as np
import pyarrow as pa
import pytest

from twinset.augment.image.elastic import Elastic
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, OBJECT
from twinset.core.errors import DataError, ParameterError
from twinset.core.image.codec import decode_ids, decode_pixels, encode_lossless
from twinset.core.image.instance_maps import extents_of, objects_from_ids
from twinset.core.seeding import rng_for

pytest.importorskip("cv2")

H, W = 90, 120


def scene(*, with_map: bool = True) -> Dataset:
    rows, columns = np.mgrid[:H, :W] + 0.5
    inside = np.hypot(columns - 60, rows - 45) < 20
    disc = np.clip(5 - np.hypot(columns - 52, rows - 40), 0, 1)
    image = np.stack([200.0 * inside, 250 * disc, 0 * disc], axis=2).astype(np.uint8)
    (label,) = objects_from_ids(inside.astype(np.uint16), {1: "cell"})
    label["keypoints"] = [{"name": "nucleus", "x": 52.0, "y": 40.0, "v": 2}]
    table = {
        "image": pa.array([{"bytes": encode_lossless(image), "path": None}], BLOB),
        "objects": pa.array([[label]], pa.list_(OBJECT)),
    }
    if with_map:
        blob = {"bytes": encode_lossless(inside.astype(np.uint16)), "path": None}
        table["instances"] = pa.array([blob], BLOB)
    return Dataset.from_arrow(pa.table(table)).with_reserved(ids=["a"])


def test_image_map_box_and_point_bend_alike():
    for seed in range(6):
        data, bend = scene(), Elastic(shift=0.03, n_cells=4)
        out = bend.apply(data, bend.draw(data, rng_for(seed, "test")))
        image = decode_pixels(out.records["image"][0].as_py()["bytes"])
        ids = decode_ids(out.records["instances"][0].as_py()["bytes"])
        (label,) = out.records["objects"][0].as_py()
        assert label["box"] == extents_of(ids)[1][0].tolist()
        seen = image[..., 0] >= 100
        assert (seen & (ids == 1)).sum() / (seen | (ids == 1)).sum() > 0.97
        (point,) = label["keypoints"]
        rows, columns = np.mgrid[:H, :W] + 0.5
        green = image[..., 1].astype(float)
        centre = np.array([(green * columns).sum(), (green * rows).sum()]) / green.sum()
        assert np.hypot(*(centre - [point["x"], point["y"]])) < 0.5
        assert (ids != decode_ids(data.records["instances"][0].as_py()["bytes"])).any()


def test_neighbouring_pixels_are_shifted_alike_in_either_direction():
    for seed in range(8):
        field = Elastic(shift=0.1, n_cells=32)._field((H, W), rng_for(seed, "test"))[:, ::4, ::4]
        steepest = [np.abs(np.diff(field, axis=k)).max() / 4 for k in (1, 2)]
        assert max(steepest) == pytest.approx(0.35, rel=1e-4)


def test_nothing_folds_over():
    field = Elastic(shift=0.1, n_cells=32)._field((H, W), rng_for(0, "test"))
    dx_x, dx_y = np.diff(field[0], axis=1)[:-1], np.diff(field[0], axis=0)[:, :-1]
    dy_x, dy_y = np.diff(field[1], axis=1)[:-1], np.diff(field[1], axis=0)[:, :-1]
    assert ((1 + dx_x) * (1 + dy_y) - dx_y * dy_x).min() > 0.2


def test_boxes_alone_are_refused_and_images_alone_are_not():
    data, bend = scene(with_map=False), Elastic()
    with pytest.raises(DataError, match="needs id maps"):
        bend.apply(data, bend.draw(data, rng_for(0, "test")))
    images = Dataset.from_arrow(data.records.select(["image"]))
    assert len(bend.apply(images, bend.draw(images, rng_for(0, "test")))) == 1


@pytest.mark.parametrize("settings", [{"shift": 0}, {"shift": 0.2}, {"n_cells": 1}])
def test_wrong_settings(settings):
    with pytest.raises(ParameterError, match="out of its range"):
        Elastic(**settings)
