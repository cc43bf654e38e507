import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from twinset.core.errors import DataError
from twinset.core.instances import objects_from_ids

TWO_OBJECTS = np.array(
    [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 1, 2, 2, 2, 2],
        [0, 0, 2, 2, 2, 2],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ],
    dtype=np.uint16,
)


def test_boxes_areas_and_fractions_by_hand():
    # object 1 is a 3 x 2 block of which object 2 hides two pixels; object 2 runs out at the right
    first, second = objects_from_ids(
        TWO_OBJECTS, {1: "rectangle", 2: "ring"}, full_areas={1: 6, 2: 10}, truncated={2}
    )
    assert first["category"] == "rectangle"
    assert first["box"] == [1.0, 1.0, 4.0, 3.0]
    assert first["area"] == 4.0
    assert first["visible_fraction"] == pytest.approx(4 / 6)
    assert not first["truncated"]
    assert second["box"] == [2.0, 2.0, 6.0, 4.0]
    assert second["area"] == 8.0
    assert second["visible_fraction"] == pytest.approx(0.8)
    assert second["truncated"]


def test_an_object_in_two_pieces_gets_one_box_round_both():
    ids = np.zeros((6, 6), np.uint16)
    ids[0, 1] = ids[5, 4] = 300
    (found,) = objects_from_ids(ids, {300: "star"})
    assert found["id"] == 300
    assert found["box"] == [1.0, 0.0, 5.0, 6.0]
    assert found["area"] == 2.0
    assert found["visible_fraction"] is None


def test_a_single_pixel_in_the_last_corner_is_one_by_one():
    ids = np.zeros((6, 6), np.uint16)
    ids[5, 5] = 1
    assert objects_from_ids(ids, {1: "circle"})[0]["box"] == [5.0, 5.0, 6.0, 6.0]


def test_hidden_objects_are_left_out():
    found = objects_from_ids(TWO_OBJECTS, {1: "a", 2: "b", 3: "wholly hidden"})
    assert [o["id"] for o in found] == [1, 2]


def test_an_empty_map_has_no_objects():
    assert objects_from_ids(np.zeros((6, 6), np.uint16), {}) == []


def test_an_id_without_a_category_is_refused():
    with pytest.raises(DataError, match="id 2"):
        objects_from_ids(TWO_OBJECTS, {1: "a"})


@given(arrays(np.uint16, (7, 5), elements=st.integers(0, 4)))
def test_every_box_is_the_tightest_one(ids):
    found = objects_from_ids(ids, dict.fromkeys(range(1, 5), "x"))
    assert [o["id"] for o in found] == sorted(set(ids.ravel().tolist()) - {0})
    for item in found:
        ys, xs = np.nonzero(ids == item["id"])
        assert item["box"] == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        assert item["area"] == len(xs)
