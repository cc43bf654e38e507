import numpy as np
import pytest

from twinset.evaluation.utility.image_detection import average_precision, compute_iou, match_boxes
from twinset.evaluation.utility.image_segmentation import compute_f1, count_objects


def test_masks_by_hand() -> None:
    truth = np.zeros((4, 12), np.int32)
    truth[:, :3], truth[:, 4:8], truth[:2, 9:] = 1, 2, 9
    found = np.zeros((4, 12), np.int32)
    found[:, :2] = 5  # 8 of 12 pixels: overlap 2/3
    found[:, 4:6], found[:, 6:8] = 3, 4  # halves of one object: 1/2 each is too little
    # The third object is missed.
    assert count_objects(truth, found).tolist() == [1, 2, 2]
    assert compute_f1(count_objects(truth, found)) == pytest.approx(2 / (2 + 2 + 2))


def test_masks_at_the_ends() -> None:
    nothing, one = np.zeros((3, 3), np.int32), np.full((3, 3), 4, np.int32)
    assert count_objects(nothing, nothing).tolist() == [0, 0, 0]
    assert count_objects(one, nothing).tolist() == [0, 0, 1]
    assert count_objects(nothing, one).tolist() == [0, 1, 0]
    assert count_objects(one, one).tolist() == [1, 0, 0]
    assert compute_f1(count_objects(nothing, nothing)) == 0


def test_overlaps_by_hand() -> None:
    a = np.array([[0, 0, 4, 4]], np.float32)
    b = np.array([[0, 0, 4, 4], [2, 2, 6, 6], [4, 0, 8, 4]], np.float32)
    assert compute_iou(a, b) == pytest.approx(np.array([[1, 4 / 28, 0]]))


def test_a_true_box_is_found_once_and_by_the_most_confident() -> None:
    truth = np.array([[0, 0, 10, 10], [20, 0, 30, 10]], np.float32)
    boxes = np.array([[0, 0, 10, 9], [0, 0, 10, 10], [21, 0, 31, 10], [50, 50, 60, 60]], np.float32)
    assert match_boxes(truth, boxes, np.array([0.5, 0.6, 0.2, 0.9])).tolist() == [
        False,
        True,
        True,
        False,
    ]
    assert match_boxes(truth[:0], boxes, np.ones(4)).tolist() == [False] * 4
    assert match_boxes(truth, boxes[:0], np.ones(0)).tolist() == []


def test_average_precision_by_hand() -> None:
    hits = np.array([True, False, True, True, False])
    sure = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    # Precision 1, 1/2, 2/3, 3/4, 3/5 at recall 1/4, 1/4, 2/4, 3/4, 3/4; the best beyond: 1, 3/4, 3/4.
    by_hand = (1 + 3 / 4 + 3 / 4) / 4
    assert average_precision(hits, sure, 4, np.ones(5)) == pytest.approx(by_hand)
    shuffled = np.array([3, 1, 4, 0, 2])
    assert average_precision(hits[shuffled], sure[shuffled], 4, np.ones(5)) == pytest.approx(
        by_hand
    )


def test_weights_count_like_repeated_images() -> None:
    hits, sure = np.array([True, False, True]), np.array([0.9, 0.8, 0.7])
    weights = np.array([2.0, 1.0, 3.0])
    again = np.repeat(np.arange(3), weights.astype(int))
    whole = average_precision(hits[again], sure[again], 7, np.ones(6))
    assert average_precision(hits, sure, 7, weights) == pytest.approx(whole)


def test_average_precision_at_the_ends() -> None:
    assert np.isnan(average_precision(np.array([True]), np.ones(1), 0, np.ones(1)))
    assert average_precision(np.zeros(0, bool), np.zeros(0), 3, np.zeros(0)) == 0
    assert average_precision(np.ones(3, bool), np.ones(3), 3, np.ones(3)) == 1
