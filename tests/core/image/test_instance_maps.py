import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from twinset.core.errors import DataError, ParameterError
from twinset.core.image.instance_maps import drop_hidden, extents_of, objects_from_ids, semantic_map

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


def test_ids_far_beyond_the_pixels():
    ids = np.array([[0, 4_000_000_000], [5, 4_000_000_000]], np.uint32)
    found, boxes, areas = extents_of(ids)
    assert found.tolist() == [5, 4_000_000_000]
    assert boxes.tolist() == [[0, 1, 1, 2], [1, 0, 2, 2]]
    assert areas.tolist() == [1, 2]


def test_the_whole_object_may_leave_the_image():
    (found,) = objects_from_ids(
        np.array([[1, 0]]), {1: "a"}, full_areas={1: 4}, amodal_boxes={1: (-1, 0, 1, 2)}
    )
    assert found["amodal_box"] == [-1.0, 0.0, 1.0, 2.0]
    assert found["visible_fraction"] == 0.25


def test_semantic_map_counts_classes_from_one():
    classes = semantic_map(TWO_OBJECTS, {1: "ring", 2: "star"}, ["star", "ring"])
    assert sorted(set(classes.ravel().tolist())) == [0, 1, 2]
    np.testing.assert_array_equal(classes == 2, TWO_OBJECTS == 1)
    with pytest.raises(DataError, match="id 2"):
        semantic_map(TWO_OBJECTS, {1: "ring"}, ["ring"])


def test_what_is_hardly_seen_is_dropped_from_map_and_labels():
    labels = objects_from_ids(TWO_OBJECTS, {1: "a", 2: "b"}, full_areas={1: 16})  # 1: a quarter
    same, all_kept = drop_hidden(TWO_OBJECTS, labels, 0.25)
    assert same is TWO_OBJECTS
    assert all_kept == labels
    ids, kept = drop_hidden(TWO_OBJECTS, labels, 0.26)
    assert [label["id"] for label in kept] == [2]  # its fraction is unknown
    np.testing.assert_array_equal(ids, np.where(TWO_OBJECTS == 1, 0, TWO_OBJECTS))
    assert (TWO_OBJECTS == 1).any()
    with pytest.raises(ParameterError, match="0 to 1"):
        drop_hidden(TWO_OBJECTS, labels, 1.5)


def test_many_ids_of_a_wide_image_have_the_boxes_of_few(monkeypatch):
    ids = np.random.default_rng(0).integers(0, 50, (40, 60)).astype(np.uint16)
    usual = extents_of(ids)
    monkeypatch.setattr("twinset.core.image.instance_maps._TABLE_CELLS", 10)
    for mine, theirs in zip(extents_of(ids), usual):
        np.testing.assert_array_equal(mine, theirs)


def test_noise_is_no_id_map():
    noise = np.arange(300 * 300, dtype=np.uint32).reshape(300, 300)
    with pytest.raises(DataError, match=r"too many objects; got 89,999 numbers; .* up to 65,535"):
        extents_of(noise)
    assert len(extents_of(noise % 65_536)[0]) == 65_535
