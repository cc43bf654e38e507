import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, OBJECT, Field, Schema
from twinset.core.features.image_statistics import box_labels, image_properties, with_properties
from twinset.core.image.codec import encode_png
from twinset.core.seeding import rng_for

pytest.importorskip("cv2")


def scene(shift: float = 0.0, noise: float = 0.0) -> Dataset:
    """A bright square of 10 pixels at (8, 12) on a dark ground of 40 x 40, its box moved by `shift`."""
    pixels = np.full((40, 40, 3), 51.0)
    pixels[12:22, 8:18] = [255, 153, 153]
    ids = np.zeros((40, 40), np.uint16)
    ids[12:22, 8:18] = 3
    pixels += noise * rng_for(1, "noise").normal(size=pixels.shape)
    box = [8 + shift, 12 + shift, 18 + shift, 22 + shift]
    cells = [
        {"bytes": encode_png(np.clip(pixels, 0, 255).astype(np.uint8)), "path": ""},
        {"bytes": b"damaged", "path": ""},
    ]
    table = pa.table(
        {
            "photo": pa.array(cells, BLOB),
            "ids": pa.array([{"bytes": encode_png(ids), "path": ""}, None], BLOB),
            "objects": pa.array([[{"category": "cat", "box": box}], []], pa.list_(OBJECT)),
        }
    )
    fields = [
        Field(name=name, kind=kind)
        for name, kind in (("photo", "image"), ("ids", "mask"), ("objects", "boxes"))
    ]
    return Dataset.from_arrow(table, Schema(tuple(fields)))


def first(data: Dataset, name: str) -> float:
    return float(image_properties(data, ("cat", "dog")).values(name)[0])


def test_pixels_by_hand() -> None:
    # 100 of 1,600 pixels are (1, .6, .6), all others .2.
    grey = (100 * (2.2 / 3) + 1500 * 0.2) / 1600
    assert first(scene(), "brightness") == pytest.approx(grey, abs=1e-4)
    assert first(scene(), "red cast") == pytest.approx(0.4 * 100 / 1600, abs=1e-4)
    assert first(scene(), "saturation") == pytest.approx(0.4 * 100 / 1600, abs=1e-4)
    assert first(scene(), "white share") == 0.0
    assert first(scene(), "height") == 40.0


def test_noise_is_reported_in_its_own_size() -> None:
    assert 10 ** first(scene(noise=5.1), "noise") == pytest.approx(0.02 / np.sqrt(3), rel=0.15)


def test_boxes_by_hand() -> None:
    assert first(scene(), "objects") == 1
    assert first(scene(), "objects 'cat'") == 1
    assert first(scene(), "objects 'dog'") == 0
    assert first(scene(), "object size") == pytest.approx(0.25)
    assert first(scene(), "object shape") == pytest.approx(0.0)
    assert first(scene(), "object x") == pytest.approx(13 / 40)


def test_a_box_that_is_moved_sits_off_centre() -> None:
    assert first(scene(), "box off centre x") == pytest.approx(0.0, abs=0.01)
    assert first(scene(shift=2.0), "box off centre x") == pytest.approx(-0.2, abs=0.02)
    assert first(scene(), "box border") > first(scene(shift=2.0), "box border")


def test_masks_by_hand() -> None:
    assert first(scene(), "masks") == 1
    assert first(scene(), "masked share") == pytest.approx(100 / 1600)
    assert first(scene(), "mask border") > 3


def test_what_cannot_be_read_is_missing_and_nothing_else() -> None:
    found = image_properties(scene())
    assert np.isnan([found.values(name)[1] for name in found.schema.names]).all()
    without = scene().select(["photo"])
    assert "objects" not in image_properties(without).schema.names


def test_carried_properties_are_those_that_would_be_measured() -> None:
    plain = scene()
    labels = box_labels(plain)
    assert labels == ("cat",)
    carried = with_properties(plain, labels).take([1, 0])
    wanted = image_properties(plain, labels).take([1, 0])
    assert image_properties(carried, labels).digest == wanted.digest
