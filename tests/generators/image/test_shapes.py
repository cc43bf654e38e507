import numpy as np
import pytest

from twinset.core.data.where import Where
from twinset.core.errors import ParameterError, UnknownNameError
from twinset.core.image.codec import decode_pixels
from twinset.core.seeding import rng_for
from twinset.generators.image.shapes import Shapes

cv2 = pytest.importorskip("cv2")


def draw(n, where=None, seed=0, **settings):
    fitted = Shapes(**settings).fit(None, rng_for(seed, "fit"))
    return fitted.sample(n, rng_for(seed, "draw"), Where.of(where))


def pixels(data, name, row):
    return decode_pixels(data.records.column(name)[row]["bytes"].as_py())


def column(data, name):
    return data.records.column(name).to_pylist()


@pytest.mark.parametrize("category", ["circle", "cross", "rectangle", "ring", "star", "triangle"])
def test_a_shape_has_the_area_of_its_scale(category):
    data = draw(8, {"n_objects": 1}, size=128, categories=[category], scale_range=(0.3, 0.3))
    for (label,) in column(data, "objects"):
        full = label["area"] / label["visible_fraction"]
        assert full == pytest.approx((0.3 * 128) ** 2, rel=0.05)


def test_a_ring_has_a_hole():
    data = draw(4, {"n_objects": 1}, size=96, categories=["ring"], scale_range=(0.3, 0.3))
    for row in range(4):
        (label,) = data.records.column("objects")[row].as_py()
        if not label["truncated"]:
            x0, y0, x1, y1 = (int(edge) for edge in label["box"])
            assert pixels(data, "instances", row)[(y0 + y1) // 2, (x0 + x1) // 2] == 0


def test_every_label_follows_from_the_id_map():
    data = draw(24, size=96)
    for row in range(24):
        ids = pixels(data, "instances", row)
        objects = data.records.column("objects")[row].as_py()
        assert ids.dtype == np.uint16
        assert ids.shape == (96, 96)
        assert pixels(data, "image", row).shape == (96, 96, 3)
        assert [o["id"] for o in objects] == sorted(set(ids.ravel().tolist()) - {0})
        for item in objects:
            ys, xs = np.nonzero(ids == item["id"])
            assert item["box"] == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            assert item["area"] == len(xs)
            assert 0.4 - 1e-6 <= item["visible_fraction"] <= 1
        largest = max(objects, key=lambda o: o["area"])
        assert column(data, "main_shape")[row] == largest["category"]
        assert column(data, "n_objects")[row] == len(objects)


def test_the_image_shows_what_the_map_says():
    # without noise, the inside of a shape differs from the same scene's ground in nearly every pixel
    data = draw(6, {"n_objects": 1}, size=96, noise=0.0, night_fraction=0.0)
    for row in range(6):
        image, ids = pixels(data, "image", row).astype(int), pixels(data, "instances", row)
        inside = cv2.erode((ids == 1).astype(np.uint8), np.ones((5, 5))) > 0
        outside = cv2.dilate((ids == 1).astype(np.uint8), np.ones((21, 21))) == 0
        colours = image[inside] / np.maximum(image[inside].sum(1, keepdims=True), 1)
        ground = (image / np.maximum(image.sum(2, keepdims=True), 1))[outside].mean(0)
        assert np.abs(colours - ground).max(axis=1).min() > 0.03


@pytest.mark.parametrize(
    "where",
    [
        {"main_shape": "ring"},
        {"main_shape": ["star", "cross"], "light": "night"},
        {"main_shape": {"not": "circle"}, "n_objects": {"ge": 4}},
        {"n_objects": 1},
    ],
)
def test_conditions_are_met(where):
    data = draw(20, where, size=64)
    assert len(data) == 20
    assert data.mask(Where(where)).all()


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"main_shape": "hexagon"}, "no row that meets"),
        ({"n_objects": 9}, "no row that meets"),
        ({"light": None}, "no row that meets"),
        ({"image": None}, "condition on 'image'"),
        ({"n_objects": "many"}, "cannot read the condition"),
    ],
)
def test_impossible_conditions_are_refused(where, words):
    with pytest.raises(ParameterError, match=words):
        draw(1, where, size=64)


def test_a_shape_of_weight_nought_is_never_drawn():
    weights = {"circle": 3, "ring": 1, "star": 0}
    data = draw(40, size=48, categories=weights, n_objects_range=(1, 2))
    assert [column(data, "main_shape").count(name) for name in weights] == [30, 10, 0]
    seen = {o["category"] for row in column(data, "objects") for o in row}
    assert seen == {"circle", "ring"}
    with pytest.raises(ParameterError, match="above 0"):
        draw(1, {"main_shape": "star"}, size=48, categories=weights)


def test_images_without_objects():
    data = draw(30, size=32, n_objects_range=(0, 1), scale_range=(0.2, 0.4))
    empty = [n == 0 for n in column(data, "n_objects")]
    assert 5 <= sum(empty) <= 25
    assert [objects == [] for objects in column(data, "objects")] == empty
    assert [main is None for main in column(data, "main_shape")] == empty
    only = draw(3, {"main_shape": None}, size=32, n_objects_range=(0, 1))
    assert column(only, "n_objects") == [0, 0, 0]


def test_night_is_dark():
    day, night = (draw(6, {"light": light}, size=48) for light in ("day", "night"))
    levels = [np.mean([pixels(d, "image", i) for i in range(6)]) for d in (day, night)]
    assert levels[1] < 0.6 * levels[0]


@pytest.mark.parametrize(
    "settings",
    [
        {"size": 8},
        {"n_objects_range": (3, 2)},
        {"n_objects_range": (1, 50), "scale_range": (0.2, 0.3)},
        {"categories": {"circle": -1.0}},
        {"categories": {"circle": 0.0}},
        {"categories": []},
        {"night_fraction": 1.5},
        {"brightness_range": (0.1, 1.0)},
        {"scale_range": (0.1, 0.9)},
        {"noise": -1.0},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ParameterError):
        Shapes(**settings)


def test_unknown_shape_suggests_the_known_one():
    with pytest.raises(UnknownNameError, match="did you mean 'circle'"):
        Shapes(categories=["circel"])


def test_objects_that_find_no_room_are_an_error():
    with pytest.raises(ParameterError, match="do not find room"):
        draw(1, size=64, n_objects_range=(50, 50), scale_range=(0.1, 0.1))
