import numpy as np
import pytest

from twinset.core.data.where import Where
from twinset.core.errors import ParameterError, UnknownNameError
from twinset.core.image.codec import decode_ids, decode_pixels
from twinset.core.image.instance_maps import extents_of
from twinset.core.image.surface_defects import DEFECTS
from twinset.core.seeding import rng_for
from twinset.generators.image.defects import Defects

pytest.importorskip("cv2")


def drawn(n: int, where=None, **settings):
    fitted = Defects(size=64, **settings).fit(None, rng_for(0, "fit"))
    return fitted.sample(n, rng_for(1, "draw"), None if where is None else Where(where))


def test_good_surfaces_are_empty_and_faulty_ones_labelled():
    for row in drawn(40, good_fraction=0.5).records.to_pylist():
        ids = decode_ids(row["instances"]["bytes"])
        assert decode_pixels(row["image"]["bytes"]).shape == (64, 64, 3)
        seen, boxes, areas = extents_of(ids)
        assert [o["box"] for o in row["objects"]] == boxes.tolist()
        assert [o["area"] for o in row["objects"]] == areas.tolist()
        assert {o["category"] for o in row["objects"]} == ({row["defect"]} - {"good"})
        assert bool(len(seen)) == (row["defect"] != "good")


def test_shares_are_exact():
    kinds = drawn(64, good_fraction=0.25, kinds_of_defect={"hole": 3, "dent": 1}).records["defect"]
    kinds = kinds.to_pylist()
    assert [kinds.count(k) for k in ("good", "hole", "dent")] == [16, 36, 12]


@pytest.mark.parametrize("n", [1, 7, 40])
def test_the_count_of_every_defect_is_within_one_image_of_its_share(n):
    weights = {"scratch": 2, "dent": 1, "hole": 1, "stain": 4}
    data = drawn(n, good_fraction=0.2, kinds_of_defect=weights).records
    kinds, surfaces = data["defect"].to_pylist(), data["surface"].to_pylist()
    assert abs(kinds.count("good") - 0.2 * n) < 1
    for name, weight in weights.items():
        assert abs(kinds.count(name) - 0.8 * n * weight / 8) < 1
    if n == 40:
        assert all(abs(surfaces.count(s) - 8) <= 5 for s in set(surfaces))


def test_the_smallest_defects_still_own_a_pixel():
    for kind in sorted(DEFECTS):
        small = {"size": 32, "side_range": (0.02, 0.03), "good_fraction": 0.0}
        fitted = Defects(kinds_of_defect=[kind], n_defects_range=(1, 1), **small).fit(
            None, rng_for(0, "fit")
        )
        for row in fitted.sample(24, rng_for(1, "draw")).records.to_pylist():
            ids = decode_ids(row["instances"]["bytes"])
            (label,) = row["objects"]
            assert label["category"] == row["defect"] == kind
            assert label["area"] == (ids == label["id"]).sum() > 0


def test_conditions_are_met():
    data = drawn(7, {"defect": ["crack", "stain"], "surface": "cloth"}).records
    assert set(data["defect"].to_pylist()) <= {"crack", "stain"}
    assert set(data["surface"].to_pylist()) == {"cloth"}
    with pytest.raises(ParameterError, match="share above 0"):
        drawn(1, {"defect": "good"}, good_fraction=0)


def test_surfaces_differ_from_image_to_image():
    for name in ["brushed", "cast", "cloth", "wood", "frosted"]:
        images = [
            decode_pixels(c["bytes"])
            for c in drawn(2, {"defect": "good", "surface": name}).records["image"].to_pylist()
        ]
        assert (images[0] != images[1]).any()
        assert all(image.std() > 1 for image in images)
        assert all(0.1 < np.mean(image) / 255 < 0.95 for image in images)


def test_wrong_settings():
    for settings, error, words in [
        ({"surfaces": ["glas"]}, UnknownNameError, "glas"),
        ({"kinds_of_defect": ["scrath"]}, UnknownNameError, "did you mean 'scratch'"),
        ({"kinds_of_defect": {"hole": 0}}, ParameterError, "nothing a weight"),
        ({"kinds_of_defect": {"hole": -1}}, ParameterError, "weight of 'hole'"),
        ({"good_fraction": 2}, ParameterError, "good_fraction"),
        ({"n_defects_range": (0, 1)}, ParameterError, "n_defects_range"),
    ]:
        with pytest.raises(error, match=words):
            Defects(**settings)
