import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, OBJECT
from twinset.core.data.where import Where
from twinset.core.errors import DataError, FitError, ParameterError, SchemaError, UnknownNameError
from twinset.core.image.codec import decode_ids, decode_pixels, encode_lossless
from twinset.core.image.instance_maps import extents_of, objects_from_ids
from twinset.core.seeding import rng_for
from twinset.generators.image.copy_paste import CopyPaste

pytest.importorskip("cv2")

H, W, N = 60, 80, 8
LIGHT = {"disc": 220, "bar": 150}


def real(*, with_map: bool = True, dtype=np.uint8, channels: int = 3, scale: int = 1) -> Dataset:
    """Dark images, each with a disc and a bar of known brightness."""
    images, maps, labels = [], [], []
    y, x = np.mgrid[:H, :W] + 0.5
    for row in range(N):
        rng = np.random.default_rng(row)
        cx, cy = rng.uniform(15, 35, 2)
        ids = np.zeros((H, W), np.uint16)
        ids[np.hypot(x - cx, y - cy) < 9] = 1
        ids[45:51, 40:70] = 2
        image = np.full((H, W, channels), 40 * scale) + rng.integers(0, 5, (H, W, channels))
        image[ids == 1] = LIGHT["disc"] * scale
        image[ids == 2] = LIGHT["bar"] * scale
        objects = objects_from_ids(ids, {1: "disc", 2: "bar"})
        objects[1]["keypoints"] = [{"name": "left_end", "x": 41.0, "y": 48.0, "v": 2}]
        pixels = image.astype(dtype)
        images.append(
            {"bytes": encode_lossless(pixels if channels > 1 else pixels[..., 0]), "path": None}
        )
        maps.append({"bytes": encode_lossless(ids), "path": None})
        labels.append(objects)
    table = {
        "image": pa.array(images, BLOB),
        "instances": pa.array(maps, BLOB),
        "objects": pa.array(labels, pa.list_(OBJECT)),
        "site": pa.array(["a", "b"] * (N // 2)),
    }
    if not with_map:
        del table["instances"]
    return Dataset.from_arrow(pa.table(table)).with_reserved(ids=[f"r{i}" for i in range(N)])


def pasted(n: int, data: Dataset, where=None, **settings) -> Dataset:
    fitted = CopyPaste(**settings).fit(data, rng_for(0, "fit"))
    return fitted.sample(n, rng_for(1, "draw"), None if where is None else Where(where))


def test_every_label_is_what_the_map_shows_and_the_pixels_are_its_own():
    for blend in ["none", "feather", "poisson", "mixed"]:
        n_pasted = 0
        for row in pasted(12, real(), blend=blend, match=0).records.to_pylist():
            image, ids = decode_pixels(row["image"]["bytes"]), decode_ids(row["instances"]["bytes"])
            seen, boxes, areas = extents_of(ids)
            by_id = sorted(row["objects"], key=lambda o: o["id"])
            assert [o["id"] for o in by_id] == seen.tolist()
            assert [o["box"] for o in by_id] == boxes.tolist()
            assert [o["area"] for o in by_id] == areas.tolist()
            n_pasted += len(by_id) - 2
            for label in by_id:
                light = np.median(image[ids == label["id"]])
                if blend in ("none", "feather"):
                    assert light == pytest.approx(LIGHT[label["category"]], abs=25)
                else:
                    assert light > 70  # gradients keep the contrast, not the level
        assert n_pasted > 20


def test_nobody_is_hidden_further_than_allowed():
    for row in pasted(
        15, real(), n_pastes_range=(8, 8), max_hidden_fraction=0.2
    ).records.to_pylist():
        below = [o for o in row["objects"] if o["amodal_box"] is None]
        assert len(below) == 2
        for label in row["objects"]:
            # Pasted ones may have lain on the frame, and then under others.
            assert label["visible_fraction"] is None or label["visible_fraction"] > 0.7 * 0.8**8


def test_classes_come_in_their_shares():
    data = pasted(
        20, real(), classes={"disc": 3, "bar": 1}, n_pastes_range=(2, 2), max_hidden_fraction=1
    )
    names = [
        o["category"] for row in data.records["objects"].to_pylist() for o in row if o["amodal_box"]
    ]
    assert names.count("disc") == pytest.approx(30, abs=4)
    assert names.count("bar") == pytest.approx(10, abs=4)
    with pytest.raises(UnknownNameError, match="did you mean 'disc'"):
        pasted(1, real(), classes=["disk"])


def test_classes_that_often_find_no_place_keep_their_shares():
    # Nothing may be hidden, so that on crowded images the larger disc fits less often than the bar.
    crowded = {"n_pastes_range": (8, 8), "min_inside_fraction": 1.0, "max_hidden_fraction": 0}
    data = pasted(30, real(), classes={"disc": 1, "bar": 1}, **crowded)
    new = [
        [o["category"] for o in row if o["id"] > 2] for row in data.records["objects"].to_pylist()
    ]
    names = [name for row in new for name in row]
    assert len(names) < 30 * 8 * 0.9  # many found none
    assert abs(names.count("disc") - names.count("bar")) <= 2


def test_a_class_without_any_place_does_not_hold_up_the_others():
    # A bar at this scale is wider than the image, a disc is not.
    data = pasted(
        12, real(), classes={"disc": 1, "bar": 1}, n_pastes_range=(1, 1), turn=0,
        scale_range=(3, 3), min_inside_fraction=0.9, max_hidden_fraction=1,
    )  # fmt: skip
    names = [
        o["category"] for row in data.records["objects"].to_pylist() for o in row if o["id"] > 2
    ]
    assert set(names) == {"disc"}
    assert len(names) > 3


def test_rows_name_whose_pixels_they_hold():
    data = pasted(6, real(), n_pastes_range=(3, 3))
    for parents, objects in zip(
        data.records["_parents"].to_pylist(), data.records["objects"].to_pylist()
    ):
        assert 1 <= len(parents) <= 4
        assert set(parents) <= {f"r{i}" for i in range(N)}
        assert len(objects) >= 2


def test_conditions_choose_the_image_below():
    data = pasted(9, real(), {"site": "b"})
    assert data.records["site"].to_pylist() == ["b"] * 9
    with pytest.raises(ParameterError, match="no row that meets"):
        pasted(1, real(), {"site": "c"})


def test_keypoints_come_along():
    data = pasted(10, real(), classes=["bar"], n_pastes_range=(1, 1), turn=0, max_hidden_fraction=1)
    names = set()
    for row in data.records["objects"].to_pylist():
        for label in row:
            for point in label["keypoints"]:
                names.add(point["name"])
                if point["v"]:
                    x0, y0, x1, y1 = label["amodal_box"] or label["box"]
                    assert x0 - 1 <= point["x"] <= x1 + 1
                    assert y0 - 1 <= point["y"] <= y1 + 1
    assert names == {"left_end", "right_end"}


def test_boxes_alone_need_a_way_to_their_pixels():
    data = real(with_map=False)
    with pytest.raises(DataError, match="cannot tell which pixels"):
        pasted(1, data)
    for how in ("ellipse", "grabcut"):
        made = pasted(4, data, masks_from_boxes=how, classes=["disc"], max_hidden_fraction=0)
        for row in made.records.to_pylist():
            image = decode_pixels(row["image"]["bytes"])
            for label in row["objects"]:
                if label["amodal_box"]:
                    x0, y0, x1, y1 = (int(e) for e in label["box"])
                    assert np.median(image[y0:y1, x0:x1]) > 150


def test_images_that_look_otherwise_give_no_objects():
    light, dark = real(), real()
    bright = [
        {"bytes": encode_lossless(255 - decode_pixels(c["bytes"])), "path": None}
        for c in light.records["image"].to_pylist()
    ]
    place = light.records.schema.get_field_index("image")
    other = Dataset(
        light.records.set_column(place, "image", pa.array(bright, BLOB)), light.schema, light.card
    )
    both = Dataset(pa.concat_tables([other.records, dark.records]), light.schema, light.card)
    for row in pasted(10, both, match=0).records.to_pylist():
        image, ids = decode_pixels(row["image"]["bytes"]), decode_ids(row["instances"]["bytes"])
        is_light = np.median(image) > 128
        for label in row["objects"]:
            assert (np.median(image[ids == label["id"]]) < 128) == is_light


@pytest.mark.parametrize(("dtype", "channels", "scale"), [(np.uint16, 1, 200), (np.float32, 6, 1)])
def test_deep_images_of_many_bands(dtype, channels, scale):
    data = pasted(3, real(dtype=dtype, channels=channels, scale=scale), match=0, look_distance=1)
    for row in data.records.to_pylist():
        image, ids = decode_pixels(row["image"]["bytes"]), decode_ids(row["instances"]["bytes"])
        assert image.dtype == dtype
        for label in row["objects"]:
            light = np.median(image[ids == label["id"]]) / scale
            assert light == pytest.approx(LIGHT[label["category"]], abs=25)


def test_what_cannot_be_learnt_from():
    data = real()
    with pytest.raises(SchemaError, match="one column of images"):
        CopyPaste().fit(
            Dataset.from_arrow(data.records.select(["image", "site"])), rng_for(0, "fit")
        )
    empty = data.records.set_column(2, "objects", pa.array([[]] * N, pa.list_(OBJECT)))
    with pytest.raises(FitError, match="no object to cut out"):
        CopyPaste().fit(Dataset(empty, data.schema, data.card), rng_for(0, "fit"))


def test_wrong_settings():
    for settings in [
        {"n_pastes_range": (0, 1)},
        {"scale_range": (2, 1)},
        {"blend": "glue"},
        {"match": 2},
    ]:
        with pytest.raises(ParameterError, match=next(iter(settings))):
            CopyPaste(**settings)


def numbers(data: Dataset) -> list[tuple[int, int]]:
    """Return the number of discs and of bars in each row."""
    rows = [[o["category"] for o in row] for row in data.records["objects"].to_pylist()]
    return [(row.count("disc"), row.count("bar")) for row in rows]


def test_numbers_of_objects_are_met_by_pasting():
    for where, meets in [
        ({"objects 'bar'": {"ge": 3}}, lambda disc, bar: bar >= 3),
        ({"objects 'bar'": 2, "objects 'disc'": [3, 4]}, lambda d, b: b == 2 and d in (3, 4)),
        ({"all objects": {"ge": 5, "lt": 7}}, lambda disc, bar: 5 <= disc + bar < 7),
        ({"all objects": 4, "objects 'disc'": 1}, lambda d, b: (d, b) == (1, 3)),
        ({"objects 'disc'": {"not": {"ge": 2}}}, lambda disc, bar: disc == 1 and bar > 1),
    ]:
        data = pasted(
            12, real(), {**where, "site": "a"}, n_pastes_range=(1, 5), max_hidden_fraction=1
        )
        assert all(meets(disc, bar) for disc, bar in numbers(data))
        assert data.records["site"].to_pylist() == ["a"] * 12
        first = pasted(
            5, real(), {**where, "site": "a"}, n_pastes_range=(1, 5), max_hidden_fraction=1
        )
        assert first.records.to_pylist() == data.records.slice(0, 5).to_pylist()
        # None of them is a real image as it was.
        assert all(disc + bar > 2 for disc, bar in numbers(data))


def test_numbers_that_cannot_be_met_are_reported():
    with pytest.raises(ParameterError, match="raise n_pastes_range"):
        pasted(1, real(), {"objects 'bar'": {"ge": 5}}, n_pastes_range=(1, 3))
    with pytest.raises(ParameterError, match="no row that meets"):
        pasted(1, real(), {"objects 'bar'": 0})
    with pytest.raises(ParameterError, match="in 'classes'"):
        pasted(1, real(), {"objects 'bar'": 3}, classes=["disc"])
    with pytest.raises(ParameterError, match="finds no place"):
        pasted(
            1, real(), {"objects 'bar'": 3}, scale_range=(3, 3), turn=0, min_inside_fraction=0.95,
            max_hidden_fraction=1,
        )  # fmt: skip
    with pytest.raises(ParameterError, match="no real image meets it"):
        pasted(1, real(), {"objects 'van'": 1})
    with pytest.raises(SchemaError, match="names the column 'vans'"):
        pasted(1, real(), {"vans": 1})
    with pytest.raises(ParameterError, match="cannot be read"):
        pasted(1, real(), {"objects 'bar'": "many"})
