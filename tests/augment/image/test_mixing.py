import numpy as np
import pyarrow as pa
import pytest

from twinset.augment.image.cutmix import Cutmix
from twinset.augment.image.mixup import Mixup
from twinset.augment.image.mosaic import Mosaic
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, OBJECT
from twinset.core.errors import DataError, ParameterError
from twinset.core.image.codec import decode_ids, decode_pixels, encode_lossless
from twinset.core.image.instance_maps import extents_of, objects_from_ids
from twinset.core.seeding import rng_for

pytest.importorskip("cv2")

SIZE, N = 48, 8


def scenes(*, with_map: bool = True) -> Dataset:
    """Each row has two squares whose colour tells row and object: red = 20 * row + 10, green = object."""
    images, maps, labels = [], [], []
    for row in range(N):
        rng = np.random.default_rng(row)
        ids = np.zeros((SIZE, SIZE), np.uint16)
        for i in (1, 2):
            x, y = rng.integers(2, 30, 2)
            ids[y : y + 14, x : x + 14] = i
        image = np.zeros((SIZE, SIZE, 3), np.uint8)
        image[..., 0] = 20 * row + 10
        image[..., 1] = 100 * ids
        objects = objects_from_ids(ids, {1: "first", 2: "second"}, full_areas={1: 196, 2: 196})
        x0, y0, x1, y1 = objects[-1]["box"]
        objects[-1]["keypoints"] = [{"name": "c", "x": (x0 + x1) / 2, "y": (y0 + y1) / 2, "v": 2}]
        images.append({"bytes": encode_lossless(image), "path": None})
        maps.append({"bytes": encode_lossless(ids), "path": None})
        labels.append(objects)
    table = {"image": pa.array(images, BLOB), "objects": pa.array(labels, pa.list_(OBJECT))}
    if with_map:
        table["instances"] = pa.array(maps, BLOB)
    return Dataset.from_arrow(pa.table(table)).with_reserved(ids=[f"r{i}" for i in range(N)])


def rows_of(data: Dataset):
    for row in data.records.to_pylist():
        yield (
            decode_pixels(row["image"]["bytes"]),
            decode_ids(row["instances"]["bytes"]),
            row["objects"],
        )


@pytest.mark.parametrize(
    "augmenter", [Mosaic(scale_range=(1, 1)), Cutmix()], ids=["mosaic", "cutmix"]
)
def test_every_label_has_its_pixels_and_every_pixel_its_label(augmenter):
    data = scenes()
    out = augmenter.apply(data, augmenter.draw(data, rng_for(0, "mix")))
    n_mixed = 0
    for image, ids, objects in rows_of(out):
        seen, boxes, areas = extents_of(ids)
        assert [o["id"] for o in objects] == seen.tolist()
        assert [o["box"] for o in objects] == boxes.tolist()
        assert [o["area"] for o in objects] == areas.tolist()
        for label in objects:
            green = image[..., 1][ids == label["id"]]
            # Where a picture had to be enlarged its edges are blended.
            assert np.median(green) == {"first": 100, "second": 200}[label["category"]]
            assert 0 < (label["visible_fraction"] or 0.5) <= 1
        n_mixed += len(np.unique(image[..., 0])) > 1
    assert n_mixed >= N // 2
    parents = out.records["_parents"].to_pylist()
    assert [p[0] for p in parents] == [f"r{k}" for k in range(N)]
    assert sum(len(p) > 1 for p in parents) >= N // 2


def test_mosaic_points_lie_in_their_boxes():
    data, mosaic = scenes(), Mosaic(scale_range=(0.7, 1.4))
    out = mosaic.apply(data, mosaic.draw(data, rng_for(1, "mix")))
    n_points = 0
    for _, _, objects in rows_of(out):
        for label in objects:
            x0, y0, x1, y1 = label["box"]
            for point in label["keypoints"]:
                if point["v"]:
                    n_points += 1
                    assert x0 - 1 <= point["x"] <= x1 + 1
                    assert y0 - 1 <= point["y"] <= y1 + 1
    assert n_points > 5


def test_mosaic_of_boxes_alone_cuts_them_at_the_parts():
    data, mosaic = scenes(with_map=False), Mosaic(scale_range=(1, 1), centre_range=(0.5, 0.5))
    out = mosaic.apply(data, mosaic.draw(data, rng_for(2, "mix")))
    sizes = []
    for row in out.records.to_pylist():
        for label in row["objects"]:
            x0, y0, x1, y1 = label["box"]
            assert 0 <= x0 < x1 <= SIZE
            assert (x1 - 24) * (24 - x0) <= 0 or (x0 >= 24) == (x1 > 24)  # none crosses the middle
            assert (y1 - 24) * (24 - y0) <= 0 or (y0 >= 24) == (y1 > 24)
            sizes.append((x1 - x0) * (y1 - y0))
    assert max(sizes) <= 196.1 * 1.1
    with pytest.raises(DataError, match="cutmix needs id maps"):
        Cutmix().apply(data, Cutmix().draw(data, rng_for(2, "mix")))


def test_cutmix_hides_by_hand():
    data = scenes()
    out = Cutmix(area_range=(0.25, 0.25)).apply(
        data, {"seed": np.arange(N), "partners": np.full((N, 1), N - 1)}
    )
    for (image, ids, objects), (_, before, old) in zip(rows_of(out), rows_of(data)):
        own = image[..., 0] != 20 * (N - 1) + 10
        for label in objects:
            mine = ids == label["id"]
            if (mine & own).any() and own.any() and not own.all():
                number = {"first": 1, "second": 2}[label["category"]]
                np.testing.assert_array_equal(mine, (before == number) & own)
                parent = next(o for o in old if o["category"] == label["category"])
                share = mine.sum() / parent["area"]
                assert label["visible_fraction"] == pytest.approx(
                    parent["visible_fraction"] * share
                )


def test_only_images_of_one_label_meet():
    images = [
        {"bytes": encode_lossless(np.full((4, 4), 10 + k, np.uint8)), "path": None}
        for k in range(12)
    ]
    table = pa.table({"image": images, "kind": ["a", "b", "c"] * 4})
    data = Dataset.from_arrow(table)
    data = data.with_schema(data.schema.with_target("kind"))
    for augmenter in (Mixup(), Cutmix(), Mosaic()):
        partners = augmenter.draw(data, rng_for(3, "mix"))["partners"]
        assert ((partners - np.arange(12)[:, None]) % 3 == 0).all()
        assert len(np.unique(partners)) > 6


def test_mixup_refuses_objects():
    data = scenes()
    with pytest.raises(DataError, match="two of them would own one pixel"):
        Mixup().apply(data, Mixup().draw(data, rng_for(0, "mix")))


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (Mosaic, {"scale_range": (0, 1)}),
        (Cutmix, {"area_range": (0.1, 0.9)}),
        (Mixup, {"share_range": (0.6, 0.7)}),
    ],
)
def test_wrong_settings(make, settings):
    with pytest.raises(ParameterError, match="out of its range"):
        make(**settings)


@pytest.mark.parametrize(
    "augmenter", [Mosaic(scale_range=(1, 1)), Cutmix()], ids=["mosaic", "cutmix"]
)
def test_id_maps_are_kept_without_a_column_of_objects(augmenter):
    records = scenes().records
    data = Dataset.from_arrow(pa.table({n: records[n] for n in ("image", "instances")}))
    out = augmenter.apply(data, augmenter.draw(data, rng_for(0, "mix")))
    for row in out.records.to_pylist():
        image = decode_pixels(row["image"]["bytes"])
        ids = decode_ids(row["instances"]["bytes"])
        # Green tells where an object is; each number stands for one object of one picture.
        assert ((image[..., 1] > 0) == (ids > 0)).all()
        for number in np.unique(ids[ids > 0]):
            assert len(np.unique(image[ids == number], axis=0)) == 1
        assert len(np.unique(ids)) > 2


def test_an_id_that_the_made_map_cannot_hold_is_refused():
    ids = np.zeros((SIZE, SIZE), np.uint32)
    ids[:, :] = 70_000
    blob = {"bytes": encode_lossless(np.zeros((SIZE, SIZE, 3), np.uint8)), "path": None}
    table = {"image": pa.array([blob] * 2, BLOB)}
    table["instances"] = pa.array([{"bytes": encode_lossless(ids), "path": None}] * 2, BLOB)
    data = Dataset.from_arrow(pa.table(table))
    with pytest.raises(DataError, match="70000"):
        Cutmix().apply(data, Cutmix().draw(data, rng_for(0, "mix")))
