import base64

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, OBJECT, Field, Schema
from twinset.report.figures.samples import (
    ImageSample,
    box_names,
    category_colours,
    image_figure,
    image_samples,
    numbered_images,
)

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")

SCHEMA = Schema((Field(name="image", kind="image"), Field(name="objects", kind="boxes")))


def png(grey, height=8, width=12, dtype=np.uint8):
    return cv2.imencode(".png", np.full((height, width), grey, dtype))[1].tobytes()


def images(*files, objects=None):
    blobs = pa.array([None if f is None else {"bytes": f, "path": None} for f in files], BLOB)
    boxes = pa.array(objects or [[]] * len(files), pa.list_(OBJECT))
    return Dataset.from_arrow(pa.table({"image": blobs, "objects": boxes}), SCHEMA)


def test_a_small_file_is_kept_byte_for_byte():
    (sample,) = image_samples(images(png(7)), [], None)
    kind, _, data = sample.uri.partition(",")
    assert (kind, sample.width, sample.height) == ("data:image/png;base64", 12, 8)
    assert base64.b64decode(data) == png(7)


def test_an_image_that_stands_in_a_real_set_is_not_shown():
    shown = image_samples(images(png(1), png(2)), [images(png(1)), images(png(3))], None)
    assert [base64.b64decode(s.uri.partition(",")[2]) for s in shown] == [png(2)]


def test_large_and_unusual_files_are_drawn_anew_in_their_own_measures():
    noise = np.random.default_rng(0).integers(0, 255, (500, 1000, 3), dtype=np.uint8)
    large = cv2.imencode(".png", noise)[1].tobytes()
    tiff = cv2.imencode(".tiff", noise[:20, :30])[1].tobytes()
    shown = image_samples(images(large, tiff), [], None)
    assert [(s.width, s.height) for s in shown] == [(1000, 500), (30, 20)]
    assert all(s.uri.startswith("data:image/jpeg") and len(s.uri) < 100_000 for s in shown)


def test_what_is_missing_or_no_image_is_passed_over():
    assert image_samples(images(None, b"not an image"), [], None) == ()


def test_boxes_are_drawn_in_pixels_with_escaped_names():
    boxes = [[{"id": 0, "category": "<b>&", "box": [1.0, 2.0, 5.0, 7.0]}]]
    (sample,) = image_samples(images(png(1), objects=boxes), [], None)
    figure = str(image_figure(sample, category_colours([sample]), 1))
    assert 'x="1" y="2" width="4" height="5"' in figure
    assert "&lt;b&gt;&amp;" in figure
    assert "<b>" not in figure


def test_at_most_24_images():
    files = [png(i % 250, width=3 + i) for i in range(60)]
    assert len(image_samples(images(*files), [], None)) == 24


def test_names_of_boxes_never_lie_on_one_another_nor_leave_the_picture():
    rng = np.random.default_rng(0)
    boxes = tuple(
        (name, x, y, x + 30, y + 40)
        for name, x, y in zip(["pedestrian", "car"] * 10, *rng.uniform(0, 220, (2, 20)))
    )
    size = 15.0
    found = box_names(ImageSample("", 256, 256, boxes), size)
    assert 0 < len(found) <= len(boxes)
    spans = [(x, y - size, x + 0.62 * size * len(name), y + size / 5) for name, x, y in found]
    for i, (left, top, right, low) in enumerate(spans):
        assert left >= 0
        assert top >= 0
        assert right <= 256 + 1e-9
        assert low <= 256
        for x0, y0, x1, y1 in spans[:i]:
            assert right <= x0 or x1 <= left or low <= y0 or y1 <= top


def test_numbered_images_are_those_rows_and_no_real_picture_saved_anew():
    made = images(png(1), png(2), None, png(4))
    bmp = cv2.imencode(".bmp", np.full((8, 12), 2, np.uint8))[1].tobytes()
    found = numbered_images(made, [images(png(9)), images(bmp)], [1, 2, 3, 4, 99])
    assert sorted(found) == [1, 4]
    assert base64.b64decode(found[4].uri.partition(",")[2]) == png(4)
    assert numbered_images(made, [], [2])[2].boxes == ()
