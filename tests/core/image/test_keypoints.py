import numpy as np
import pytest

from twinset.core.image.keypoints import keypoints_from_ids, move_keypoints


def test_visibility_is_read_from_the_map():
    ids = np.zeros((4, 8), np.uint16)
    ids[:, 1:4] = 1
    ids[:, 4:7] = 2
    points = {"own": (2.5, 1.5), "before_the_other": (5.9, 1.5), "tip_on_ground": (0.2, 3.9)}
    found = keypoints_from_ids({**points, "out": (8.0, 1.0), "above": (3.0, -0.1)}, ids, 1)
    assert {point["name"]: point["v"] for point in found} == {
        "own": 2, "before_the_other": 1, "tip_on_ground": 2, "out": 0, "above": 0,
    }  # fmt: skip
    assert (found[3]["x"], found[3]["y"]) == (0.0, 0.0)


def test_at_its_own_edge_a_point_is_seen_though_the_other_owns_the_pixel():
    ids = np.array([[1, 1, 2, 2]], np.uint16)
    near, far = keypoints_from_ids({"near": (2.1, 0.5), "far": (3.1, 0.5)}, ids, 1)
    assert (near["v"], far["v"]) == (2, 1)


def test_a_move_keeps_who_is_hidden_and_drops_what_leaves():
    points = [
        {"name": "left", "x": 1.0, "y": 1.0, "v": 1},
        {"name": "right", "x": 7.0, "y": 1.0, "v": 2},
        {"name": "gone", "x": 0.0, "y": 0.0, "v": 0},
    ]
    moved = move_keypoints(
        points, lambda p: p + [2.0, 0.5], (4, 8), {"left": "right", "right": "left"}
    )
    assert [(p["name"], p["x"], p["y"], p["v"]) for p in moved] == [
        ("right", 3.0, 1.5, 1), ("left", 0.0, 0.0, 0), ("gone", 0.0, 0.0, 0),
    ]  # fmt: skip
    assert move_keypoints([], lambda p: pytest.fail("asked for nothing"), (4, 8)) == []
