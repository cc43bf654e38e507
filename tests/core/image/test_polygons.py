import numpy as np
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays

from twinset.core.image.polygons import fill, fill_window, paint_rings, signed_area, trace_polygons
from twinset.core.seeding import rng_for

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))


def test_a_ring_has_an_outer_line_and_a_hole():
    mask = np.ones((3, 3), bool)
    mask[1, 1] = False
    outer, hole = trace_polygons(mask, offset=(10, 20))
    assert outer.tolist() == [[10, 20], [13, 20], [13, 23], [10, 23]]
    assert signed_area(outer) == 9
    assert signed_area(hole) == -1
    assert sorted(hole.tolist()) == [[11, 21], [11, 22], [12, 21], [12, 22]]


def test_pixels_that_touch_at_a_corner_have_a_line_each():
    lines = trace_polygons(np.array([[1, 0], [0, 1]], bool))
    assert [signed_area(line) for line in lines] == [1, 1]


@given(MASKS)
def test_the_lines_hold_the_mask_exactly(mask):
    lines = trace_polygons(mask)
    np.testing.assert_array_equal(fill(lines, mask.shape), mask)
    assert sum(signed_area(line) for line in lines) == mask.sum()


def test_a_pixel_belongs_to_the_outline_that_holds_its_centre():
    right_of_centre = np.array([[0.6, 0], [2.6, 0], [2.6, 1], [0.6, 1]])
    assert fill([right_of_centre], (1, 4)).astype(int).tolist() == [[0, 1, 1, 0]]
    assert fill([right_of_centre - [0.1, 0]], (1, 4)).astype(int).tolist() == [[1, 1, 0, 0]]


def test_outlines_may_leave_the_image():
    around = np.array([[-5, -5], [9, -5], [9, 9], [-5, 9.0]])
    assert fill([around], (3, 2)).all()
    assert not fill([around + 20], (3, 2)).any()
    assert not fill([], (3, 2)).any()


def test_a_window_holds_what_the_whole_frame_does() -> None:
    for k in range(60):
        rng = rng_for(k, "ring")
        # Corners on pixel edges and centres, where rounding could decide, and beyond the frame.
        ring = np.round(rng.uniform(-20, 60, (int(rng.integers(3, 9)), 2)) * 4) / 4
        window, inside = fill_window([ring], (40, 30))
        x, y = np.meshgrid(np.arange(30) + 0.5, np.arange(40) + 0.5)
        expected = np.zeros((40, 30), bool)
        for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0)):
            low, high = min(y0, y1), max(y0, y1)
            crossed = (low <= y) & (y < high)
            at = x0 + (y - y0) * (x1 - x0) / (y1 - y0 if y1 != y0 else 1)
            expected ^= crossed & (at <= x)
        whole = fill([ring], (40, 30))
        np.testing.assert_array_equal(whole, expected)
        np.testing.assert_array_equal(whole[window], inside)
        assert whole.sum() == inside.sum()
    assert fill([], (3, 3)).sum() == 0


def test_many_rings_are_painted_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    rings = [rng.uniform(-5, 45, 2) + rng.normal(0, 6, (rng.integers(1, 7), 2)) for _ in range(300)]
    # On the centres and edges of pixels, repeated corners, outside, and without an area.
    rings += [np.round(ring * 2) / 2 for ring in rings]
    rings += [np.full((4, 2), np.nan), np.zeros((0, 2)), rings[0] + 1e9, np.repeat(rings[1], 2, 0)]
    one_by_one, together = np.zeros((40, 30), np.uint16), np.zeros((40, 30), np.uint16)
    for number, ring in enumerate(rings, start=1):
        one_by_one[fill([ring], one_by_one.shape)] = number
    paint_rings(together, rings, range(1, len(rings) + 1))
    assert one_by_one.any()
    np.testing.assert_array_equal(together, one_by_one)
