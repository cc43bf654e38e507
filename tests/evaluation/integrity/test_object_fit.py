"""Where masks, boxes and keypoints lie beside what they mark."""

import numpy as np
import pytest

from twinset.evaluation.integrity._object_fit import (
    measure_boxes,
    measure_keypoints,
    measure_masks,
)


def draw_disc() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:64, :64]
    inside = (x - 30) ** 2 + (y - 34) ** 2 < 144
    return np.where(inside, 0.8, 0.2).astype(np.float32), inside.astype(np.uint16)


def test_masks_that_fit_have_no_offset_and_leave_nothing_out():
    facts = measure_masks(*draw_disc())
    assert facts.pop("contrast of masks") > 2
    assert facts.pop("better fit of mirrored masks") < 0
    assert facts.pop("better fit of masks with x and y exchanged") < 0
    assert all(abs(value) < 0.6 for value in facts.values())


@pytest.mark.parametrize(
    ("axis", "by", "name", "expected"),
    [
        (1, -3, "objects right of their masks", 3),
        (0, 3, "objects below their masks", -3),
    ],
)
def test_moved_masks_show_where_their_objects_lie(axis, by, name, expected):
    grey, ids = draw_disc()
    assert measure_masks(grey, np.roll(ids, by, axis))[name] == pytest.approx(expected, abs=1)


def test_grown_masks_are_too_large_and_hold_ground():
    grey, _ = draw_disc()
    y, x = np.mgrid[:64, :64]
    facts = measure_masks(grey, ((x - 30) ** 2 + (y - 34) ** 2 < 225).astype(np.uint16))
    assert facts["masks too large"] == pytest.approx(3, abs=0.8)
    assert facts["ground within masks"] == pytest.approx(1 - 144 / 225, abs=0.05)


def test_boxes_show_shifts_and_growth_of_what_they_mark():
    grey, _ = draw_disc()
    fit, moved, grown = (
        measure_boxes(grey, np.array([box], dtype=float))
        for box in ([18, 22, 43, 47], [14, 22, 39, 47], [14, 18, 47, 51])
    )
    name = "objects right of their boxes"
    assert abs(fit[name]) < 0.03 < 0.1 < moved[name]
    assert fit["boxes too large"] + 0.06 < grown["boxes too large"]


def test_objects_without_a_box_are_unmarked():
    grey, ids = draw_disc()
    grey[5:15, 45:60] = 0.8
    facts = measure_masks(grey, ids)
    assert facts["unmarked beside masks"] == pytest.approx(150 / (150 + ids.sum()))


def test_exchanged_keypoints_lie_on_the_other_side():
    def person(left: float, right: float) -> dict[str, object]:
        points = [
            {"name": "left_eye", "x": left, "y": 5.0, "v": 2},
            {"name": "right_eye", "x": right, "y": 5.0, "v": 2},
            {"name": "left_ear", "x": 0.0, "y": 0.0, "v": 0},
        ]
        return {"box": [0.0, 0.0, 10.0, 10.0], "keypoints": points}

    assert measure_keypoints([person(8, 2)])["left keypoints right of right ones"] == 0.6
    assert measure_keypoints([person(2, 12)]) == {
        "keypoints outside of their box": 1.0,
        "left keypoints right of right ones": -1.0,
    }
