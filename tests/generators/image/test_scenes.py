import numpy as np
import pytest

from twinset.core.data.where import Where
from twinset.core.errors import ParameterError, UnknownNameError
from twinset.core.image.codec import decode_ids, decode_pixels
from twinset.core.image.instance_maps import extents_of
from twinset.core.image.polygons import fill
from twinset.core.seeding import rng_for
from twinset.generators.image._scenes.shapes import FORMS
from twinset.generators.image._scenes.spec import LEVELS
from twinset.generators.image._scenes.view import View
from twinset.generators.image.scenes import Scenes

pytest.importorskip("cv2")

EVERYTHING = {name: tuple(levels) for name, levels in LEVELS.items()}
CLASSES = {
    "square": {"shape": "rectangle", "turn": 0},
    "person": {"shape": "figure"},
    "disc": {"shape": "circle"},
}


def drawn(n: int, where=None, seed: int = 0, **settings):
    fitted = Scenes(**{"size": 96, "classes": CLASSES, **settings}).fit(None, rng_for(0, "fit"))
    return fitted.sample(n, rng_for(seed, "draw"), None if where is None else Where(where))


def rows_of(data):
    for row in data.records.to_pylist():
        yield row, decode_pixels(row["image"]["bytes"]), decode_ids(row["instances"]["bytes"])


def test_labels_say_what_the_map_shows():
    for row, image, ids in rows_of(drawn(25, factors=EVERYTHING, layout="surface")):
        assert image.shape == (96, 96, 3)
        seen, boxes, areas = extents_of(ids)
        assert [o["id"] for o in row["objects"]] == seen.tolist()
        assert [o["box"] for o in row["objects"]] == boxes.tolist()
        assert [o["area"] for o in row["objects"]] == areas.tolist()
        assert row["n_objects"] == len(seen)
        for label in row["objects"]:
            x0, y0, x1, y1 = label["box"]
            ax0, ay0, ax1, ay1 = label["amodal_box"]
            assert ax0 <= x0 < x1 <= ax1
            assert ay0 <= y0 < y1 <= ay1
            leaves = ax0 < 0 or ay0 < 0 or ax1 > 96 or ay1 > 96
            assert label["truncated"] == leaves
            assert 0.1 <= label["visible_fraction"] <= 1
            if label["visible_fraction"] == 1:
                assert label["amodal_box"] == label["box"]


@pytest.mark.parametrize("occlusion", LEVELS["occlusion"])
@pytest.mark.parametrize("truncation", LEVELS["truncation"])
def test_the_main_object_is_hidden_and_cut_as_asked(occlusion, truncation):
    # Alone but for the object that hides it, an upright square shows its own area.
    where = {"occlusion": occlusion, "truncation": truncation, "main_class": "square"}
    settings = {
        "factors": {"occlusion": [occlusion], "truncation": [truncation], "scale": ["medium"]}
    }
    classes = {"square": {"shape": "rectangle", "turn": 0, "tilt": 0}, "disc": {"shape": "circle"}}
    classes["disc"]["weight"] = 1e6
    n = 1 if occlusion == "none" else 2
    data = drawn(6, where, n_objects_range=(n, n), classes=classes, size=128, **settings)
    for row, _, ids in rows_of(data):
        (label,) = (o for o in row["objects"] if o["category"] == "square")
        x0, y0, x1, y1 = label["amodal_box"]
        whole = (x1 - x0) * (y1 - y0)
        inside = (min(x1, 128) - max(x0, 0)) * (min(y1, 128) - max(y0, 0))
        # Its four corner pixels may be covered by less than a half and so be nobody's.
        seen = (ids == label["id"]).sum()
        assert label["visible_fraction"] == pytest.approx(seen / whole, abs=4 / whole)
        for share, (low, high) in (
            (1 - label["area"] / inside, LEVELS["occlusion"][occlusion]),
            (1 - inside / whole, LEVELS["truncation"][truncation]),
        ):
            assert low - 0.031 <= share <= high + 0.031


@pytest.mark.parametrize("scale", LEVELS["scale"])
def test_the_main_object_is_as_large_as_asked(scale):
    low, high = LEVELS["scale"][scale]
    alone = {
        "n_objects_range": (1, 1),
        "size": 200,
        "factors": {"occlusion": ["none"], "truncation": ["none"]},
    }
    alone["factors"]["scale"] = [scale]
    for row, _, _ in rows_of(drawn(6, {"main_class": "disc"}, **alone)):
        x0, y0, x1, y1 = row["objects"][0]["box"]
        assert low * 200 - 2 <= max(x1 - x0, y1 - y0) <= high * 200 + 2


def test_keypoints_lie_on_their_object_or_are_hidden():
    n_seen = n_hidden = 0
    data = drawn(
        30, {"main_class": "person"}, size=160, factors={"occlusion": ["heavy"], "scale": ["large"]}
    )
    for row, _, ids in rows_of(data):
        for label in row["objects"]:
            if label["category"] != "person":
                assert label["keypoints"] == []
                continue
            assert len(label["keypoints"]) == 7
            for point in label["keypoints"]:
                if point["v"] == 0:
                    assert (point["x"], point["y"]) == (0, 0)
                    continue
                y, x = int(point["y"]), int(point["x"])
                around = ids[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
                if point["v"] == 2:
                    n_seen += 1
                    assert (around == label["id"]).any() or ids[y, x] == 0
                else:
                    n_hidden += 1
                    assert ids[y, x] not in (0, label["id"])
    assert n_seen > 50
    assert n_hidden > 20


def test_conditions_are_met_by_construction():
    where = {
        "weather": ["fog", "rain"],
        "n_objects": {"ge": 4},
        "main_class": "disc",
        "ground": "road",
    }
    data = drawn(10, where, factors=EVERYTHING)
    assert set(data.records["weather"].to_pylist()) <= {"fog", "rain"}
    assert set(data.records["ground"].to_pylist()) == {"road"}
    assert set(data.records["main_class"].to_pylist()) == {"disc"}
    assert min(data.records["n_objects"].to_pylist()) >= 4
    with pytest.raises(ParameterError, match="no row that meets"):
        drawn(1, {"weather": "hail"}, factors=EVERYTHING)
    with pytest.raises(ParameterError, match="conditions on weather, light"):
        drawn(1, {"colour": "red"})


def test_forbidden_combinations_never_come():
    forbidden = [{"weather": "fog", "light": "night"}, {"main_class": "disc", "scale": "large"}]
    data = drawn(40, factors=EVERYTHING, forbidden=forbidden).records.to_pylist()
    assert not any(r["weather"] == "fog" and r["light"] == "night" for r in data)
    assert not any(r["main_class"] == "disc" and r["scale"] == "large" for r in data)
    with pytest.raises(ParameterError, match="every combination of levels is forbidden"):
        drawn(1, {"weather": "fog", "light": "night"}, factors=EVERYTHING, forbidden=forbidden)


def test_an_own_outline_with_points():
    arrow = {
        "outline": [[0, 0], [4, 0], [4, 1], [0, 1]],
        "points": {"tip": [4, 0.5]},
        "turn": 0,
        "tilt": 0,
    }
    arrow["colours"] = ["#f00"]
    factors = {"occlusion": ["none"], "truncation": ["none"], "scale": ["large"]}
    data = drawn(3, classes={"arrow": arrow}, n_objects_range=(1, 1), factors=factors)
    for row, image, ids in rows_of(data):
        (label,) = row["objects"]
        x0, y0, x1, y1 = label["box"]
        assert (x1 - x0) / (y1 - y0) == pytest.approx(4, abs=0.7)
        (tip,) = label["keypoints"]
        assert tip["x"] == pytest.approx(x1, abs=1)
        assert tip["y"] == pytest.approx((y0 + y1) / 2, abs=1)
        red = image[ids == 1].mean(axis=0)
        assert red[0] > red[1] + 80
    assert data.schema["objects"].taxonomy.labels[0].keypoints == ("tip",)


@pytest.mark.parametrize("name", FORMS)
def test_every_shape_is_one_object_of_some_size(name):
    factors = {"occlusion": ["none"], "truncation": ["none"], "scale": ["large"]}
    data = drawn(2, classes={"it": {"shape": name}}, n_objects_range=(1, 1), factors=factors)
    for row, _, ids in rows_of(data):
        assert (ids == 1).sum() > 100
        assert len(row["objects"]) == 1


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"classes": {}}, ParameterError, "holds no class"),
        ({"classes": {"a": {"shap": "car"}}}, ParameterError, "did you mean 'shape'"),
        ({"classes": {"a": {"shape": "lorry"}}}, UnknownNameError, "lorry"),
        ({"classes": {"a": {"texture": "wool"}}}, UnknownNameError, "wool"),
        ({"classes": {"a": {"colours": ["red"]}}}, ParameterError, "no colour; got red"),
        ({"classes": {"a": {"outline": [[0, 0]]}}}, ParameterError, "three corners"),
        ({"classes": {"a": {"weight": -1}}}, ParameterError, "a.weight"),
        ({"classes": {"a": {"weight": 0}}}, ParameterError, "weight above 0"),
        ({"factors": {"wether": ["fog"]}}, UnknownNameError, "did you mean 'weather'"),
        ({"factors": {"weather": ["fogg"]}}, UnknownNameError, "did you mean 'fog'"),
        (
            {"factors": {"weather": {"fog": 0}}},
            ParameterError,
            "factors.weather.* nothing a weight",
        ),
        ({"forbidden": [{"weather": "hail"}]}, UnknownNameError, "hail"),
        ({"n_objects_range": (3, 2)}, ParameterError, "in ascending order"),
        ({"size": 9}, ParameterError, "'size'"),
        ({"layout": "heap"}, ParameterError, "'layout'"),
        ({"ground_colour": "blue"}, ParameterError, "ground_colour holds no colour"),
    ],
)
def test_wrong_declarations_are_told_before_anything_is_drawn(settings, error, words):
    with pytest.raises(error, match=words):
        Scenes(**settings)


def test_what_cannot_be_laid_out_is_told():
    with pytest.raises(ParameterError, match="do not find room"):
        drawn(1, n_objects_range=(60, 60), size=32, min_visible_fraction=0.9)


def test_a_lone_object_is_never_hidden():
    both = {"factors": {"occlusion": ["none", "partial"]}, "size": 64}
    with pytest.raises(ParameterError, match="nothing can hide it"):
        drawn(1, {"n_objects": 1, "occlusion": "partial"}, n_objects_range=(1, 4), **both)
    with pytest.raises(ParameterError, match="nothing can hide it"):
        drawn(1, {"occlusion": "partial"}, n_objects_range=(1, 1), **both)
    with pytest.raises(ParameterError, match="nothing can hide it"):
        Scenes(n_objects_range=(1, 1), factors={"occlusion": ["partial", "heavy"]})
    for data in (
        drawn(8, n_objects_range=(1, 1), **both),
        drawn(8, {"n_objects": 1}, n_objects_range=(1, 4), **both),
    ):
        assert set(data.records["n_objects"].to_pylist()) == {1}
        assert set(data.records["occlusion"].to_pylist()) == {"none"}


def test_the_number_of_objects_asked_for_comes_with_every_occlusion():
    where = {"n_objects": [1, 3], "occlusion": "partial"}
    data = drawn(6, where, n_objects_range=(1, 4), factors={"occlusion": ["none", "partial"]})
    assert set(data.records["n_objects"].to_pylist()) == {3}


TILE = {
    "tile": {
        "outline": [[-1, -1], [1, -1], [1, 1], [-1, 1]],
        "points": {"a": [-1, -1], "b": [1, -1], "c": [1, 1], "d": [-1, 1]},
        "turn": 0,
        "tilt": 0,
    }
}


def tiles(perspective: float):
    settings = {"size": 128, "n_objects_range": (1, 1), "factors": {"truncation": ["none"]}}
    data = drawn(30, classes=TILE, perspective=perspective, **settings)
    for row, _, ids in rows_of(data):
        (label,) = row["objects"]
        yield np.array([[p["x"], p["y"]] for p in label["keypoints"]]), ids, row["scale"]


def test_a_camera_aside_bends_objects_and_their_labels_alike():
    skews = []
    for corners, ids, scale in tiles(0.5):
        # The map and the keypoints are one quadrangle, but for the pixels on its edge.
        inner, outer = (
            (corners - corners.mean(axis=0)) * k + corners.mean(axis=0) for k in (0.8, 1.2)
        )
        assert (ids == 1)[fill([inner], ids.shape)].all()
        assert not (ids == 1)[~fill([outer], ids.shape)].any()
        low, high = LEVELS["scale"][scale]
        assert low * 128 - 1e-6 <= np.ptp(corners, axis=0).max() <= high * 128 + 1e-6
        sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
        skews.append(sides.max() / sides.min())
    # Up to sqrt(1 - 0.5 ** 2) = 0.87 as long along the turn, and smaller on the far side.
    assert max(skews) > 1.1
    for corners, _, _ in tiles(0.0):
        sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
        np.testing.assert_allclose(sides, sides[0], rtol=1e-5)


def test_one_camera_sees_the_ground_and_all_objects():
    view = View.draw(0.5, (80, 120), rng_for(3, "view"))
    assert view.matrix is not None
    centre = view.bend(np.array([[60.0, 40.0]]), (60, 40), keeps_size=False)
    np.testing.assert_allclose(centre, [[60, 40]])
    canvas = np.ones((80, 120, 3), np.float32)
    assert view.ground(canvas).min() == pytest.approx(1)  # filled to the corners
    points = np.array([[10.0, 10], [30, 10], [30, 30], [10, 30]])
    near = view.bend(points, (20, 20), keeps_size=False)
    far = view.bend(points + [80, 40], (100, 60), keeps_size=False)
    assert np.ptp(near, axis=0).max() != pytest.approx(np.ptp(far, axis=0).max(), rel=0.02)
    straight = View.draw(0.0, (80, 120), rng_for(3, "view"))
    assert straight.ground(canvas) is canvas
    assert straight.bend(points, (20, 20), keeps_size=True) is points
