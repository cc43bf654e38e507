"""What a model finds on tiles, as one answer for the whole image."""

import numpy as np
import pytest

from twinset.core.errors import DataError, ParameterError
from twinset.core.seeding import rng_for
from twinset.io.tiling import Detections, Tiling, Window, find_by_tiles, join_boxes, join_maps


def found(*entries: tuple[list[float], float, str]) -> Detections:
    boxes = np.array([box for box, _, _ in entries], float).reshape(-1, 4)
    return Detections(boxes, np.array([s for _, s, _ in entries]), [name for _, _, name in entries])


TWO = [Window(0, 0, 100, 100), Window(80, 0, 180, 100)]


def test_a_part_within_a_whole_is_one_object() -> None:
    # The second tile shows the car whole, the first the left half of it, with less certainty.
    tiles = [found(([85, 10, 100, 30], 0.6, "car")), found(([5, 10, 35, 30], 0.9, "car"))]
    joined = join_boxes(tiles, TWO)
    assert joined.boxes.tolist() == [[85, 10, 115, 30]]
    assert joined.scores.tolist() == [0.9]


def test_the_whole_box_is_taken_though_a_part_is_surer() -> None:
    tiles = [found(([85, 10, 99, 31], 0.9, "car")), found(([4, 10, 35, 30], 0.6, "car"))]
    joined = join_boxes(tiles, TWO)
    assert joined.boxes.tolist() == [[84, 10, 115, 30]]
    assert joined.scores.tolist() == [0.9]


def test_how_far_boxes_must_agree_where_both_tiles_look() -> None:
    # Both lie whole in the overlap, x 80 to 100; they share 8 x 20 of 8 x 30 pixels: 2/3.
    tiles = [found(([86, 10, 94, 30], 0.6, "car")), found(([6, 10, 14, 40], 0.9, "car"))]
    assert len(join_boxes(tiles, TWO, threshold=0.66).boxes) == 1
    assert len(join_boxes(tiles, TWO, threshold=0.67).boxes) == 2


def test_a_small_object_before_a_large_one_stays_apart() -> None:
    # Both tiles show both of them whole: each meets itself.
    left = found(([84, 10, 96, 40], 0.9, "man"), ([88, 20, 92, 30], 0.8, "man"))
    right = found(([8, 20, 12, 30], 0.7, "man"), ([4, 10, 16, 40], 0.6, "man"))
    joined = join_boxes([left, right], TWO)
    assert joined.boxes.tolist() == [[84, 10, 96, 40], [88, 20, 92, 30]]


def test_boxes_of_one_tile_are_never_joined() -> None:
    twice = found(([10, 10, 30, 30], 0.9, "car"), ([11, 10, 31, 30], 0.8, "car"))
    assert len(join_boxes([twice, found()], TWO).boxes) == 2


def test_other_classes_and_other_places_stay_apart() -> None:
    tiles = [
        found(([85, 10, 100, 30], 0.6, "car"), ([0, 0, 9, 9], 0.2, "car")),
        found(([5, 10, 20, 30], 0.9, "van")),
    ]
    joined = join_boxes(tiles, TWO)
    assert list(joined.labels) == ["van", "car", "car"]
    assert joined.scores.tolist() == [0.9, 0.6, 0.2]


def test_a_long_object_grows_from_tile_to_tile() -> None:
    windows = Tiling(size=50, overlap=20).windows(50, 170)
    tiles = []
    for k, window in enumerate(windows):
        left, right = max(10, window.x0), min(160, window.x1)
        box = [left - window.x0, 5, right - window.x0, 15]
        tiles.append(found((box, 0.5 + 0.1 * (k == 2), "pipe")))
    assert len(windows) == 5
    joined = join_boxes(tiles, windows)
    assert joined.boxes.tolist() == [[10, 5, 160, 15]]
    assert joined.scores.tolist() == [0.6]


def test_nothing_found_is_nothing() -> None:
    joined = join_boxes([found(), found()], TWO)
    assert joined.boxes.shape == (0, 4)
    assert len(joined.scores) == len(joined.labels) == 0


def test_every_disc_is_found_once() -> None:
    import cv2

    image, rng, discs = np.zeros((300, 420), np.uint8), rng_for(0, "x"), []
    for x, y in np.mgrid[20:420:40, 20:300:40].reshape(2, -1).T:
        at = (int(x + rng.integers(-8, 9)), int(y + rng.integers(-8, 9)))
        cv2.circle(image, at, int(rng.integers(3, 11)), 255, -1)
        discs.append(at)

    def find(tile: np.ndarray) -> Detections:
        n, _, stats, _ = cv2.connectedComponentsWithStats(tile)
        x, y, w, h = stats[1:, :4].T
        boxes = np.stack([x, y, x + w, y + h], axis=1).astype(float)
        return Detections(boxes, np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), ["disc"] * (n - 1))

    whole, tiled = find(image), find_by_tiles(image, find, Tiling(size=96, overlap=24))
    assert len(whole.boxes) == len(discs)
    assert sorted(tiled.boxes.tolist()) == sorted(whole.boxes.tolist())


def test_maps_of_tiles_are_one_map() -> None:
    import cv2

    image = np.zeros((200, 260), np.uint8)
    for x, y, r in ((40, 40, 30), (130, 60, 45), (220, 150, 25), (70, 150, 44), (180, 30, 9)):
        cv2.circle(image, (x, y), r, 255, -1)
    n, truth = cv2.connectedComponents(image)
    windows = Tiling(size=90, overlap=30).windows(*image.shape)
    maps = [cv2.connectedComponents(np.ascontiguousarray(image[w.slices]))[1] for w in windows]
    whole = join_maps(maps, windows, image.shape)
    pairs = {(int(a), int(b)) for a, b in zip(truth.ravel(), whole.ravel())}
    assert len(pairs) == n  # each object, and the ground, has one number and no other's
    assert whole.max() == n - 1


def test_mistakes_are_reported() -> None:
    with pytest.raises(ParameterError, match="threshold"):
        join_boxes([found()], TWO[:1], threshold=0)
    with pytest.raises(ParameterError, match="threshold"):
        join_maps([], [], (1, 1), threshold=1.5)
    with pytest.raises(DataError, match="1 tiles, 2 windows"):
        join_boxes([found()], TWO)
    with pytest.raises(DataError, match="another size than its window"):
        join_maps([np.zeros((3, 3), int)], TWO[:1], (100, 180))
    with pytest.raises(DataError, match="one score and one label each"):
        Detections(np.zeros((2, 4)), np.zeros(1), ["a", "b"])
