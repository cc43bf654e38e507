import numpy as np
import pyarrow as pa
import pytest

from tests.evaluation.utility.disc_images import discs
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, Field, Schema
from twinset.core.image.codec import encode_lossless
from twinset.core.seeding import rng_for
from twinset.evaluation.utility._annotated import (
    AnnotatedImage,
    WindowAugmentation,
    draw_window,
    list_augmentations,
    normalize_pixels,
    read_annotated_images,
)
from twinset.evaluation.utility.image_detection import (
    Centres,
    ImageDetection,
    compute_iou,
    decode_boxes,
)
from twinset.evaluation.utility.image_segmentation import (
    ImageSegmentation,
    Instances,
    count_objects,
    decode_instances,
    find_cores,
)

pytest.importorskip("cv2")
LEVELS = {"dark": 0, "light": 1}


def touching() -> np.ndarray:
    """Return an id map of two discs that touch, and one apart."""
    y, x = np.mgrid[:64, :96] + 0.5
    ids = np.zeros((64, 96), np.int32)
    for k, (cx, cy) in enumerate(((20, 30), (42, 30), (80, 40)), start=1):
        ids[(x - cx) ** 2 + (y - cy) ** 2 <= 11.5**2] = k
    return ids


def test_cores_of_objects_that_touch_are_apart() -> None:
    import cv2

    assert cv2.connectedComponents(touching().clip(0, 1).astype(np.uint8))[0] == 3
    assert cv2.connectedComponents(find_cores(touching()).astype(np.uint8))[0] == 4


def test_what_is_trained_tells_the_objects_apart() -> None:
    ids = touching()[::2, ::2]
    one = AnnotatedImage(np.zeros((64, 96, 3), np.uint8), np.zeros((0, 4)), np.zeros(0), ids)
    (taught,) = Instances(settings=ImageSegmentation()).targets([one])
    found = decode_instances(20 * taught - 10, (64, 96))
    assert count_objects(touching(), found).tolist() == [3, 0, 0]


def test_ground_alone_holds_no_object() -> None:
    assert not decode_instances(np.full((2, 8, 8), -5.0, np.float32), (16, 15)).any()
    foreground = np.full((2, 8, 8), 5.0, np.float32)
    foreground[1] = -5  # a patch without a core is no object
    assert not decode_instances(foreground, (16, 16)).any()


def test_what_is_trained_of_boxes_gives_them_back() -> None:
    boxes = np.array([[4, 6, 16, 18], [30, 8, 60, 52], [8, 40, 20, 60]], np.float32)
    classes = np.array([0, 1, 0])
    task = Centres(settings=ImageDetection(), names=("dark", "light"))
    one = AnnotatedImage(np.zeros((64, 64, 3), np.uint8), boxes, classes)
    (taught,) = task.targets([one])
    logits = np.log(np.clip(taught[:2], 1e-3, 1 - 1e-3) / (1 - np.clip(taught[:2], 1e-3, 1 - 1e-3)))
    said = np.concatenate([logits, np.log(np.maximum(taught[2:6], 0.1) / 16) - 2])
    found, named, sure = decode_boxes(said.astype(np.float32), 2, task.step)
    assert sorted(named.tolist()) == [0, 0, 1]
    assert compute_iou(boxes, found).max(axis=1).min() > 0.95
    assert (named[compute_iou(boxes, found).argmax(axis=1)] == classes).all()
    assert (sure > 0.5).all()


def test_each_object_has_the_same_weight() -> None:
    boxes = np.array([[0, 0, 8, 8], [16, 16, 60, 60]], np.float32)
    one = AnnotatedImage(np.zeros((64, 64, 3), np.uint8), boxes, np.array([0, 0]))
    task = Centres(settings=ImageDetection(), names=("disc",))
    assert task.targets([one])[0, -1].sum() == pytest.approx(2)


@pytest.mark.parametrize("augmentation", list_augmentations(has_masks=True))
def test_windows_keep_pixels_and_masks_together(augmentation: WindowAugmentation) -> None:
    ids = touching()
    pixels = np.repeat((200 * (ids > 0)).astype(np.uint8)[..., None], 3, axis=2)
    one = AnnotatedImage(pixels, np.zeros((0, 4), np.float32), np.zeros(0, np.int64), ids)
    plain = WindowAugmentation(
        augmentation.name, augmentation.scale_range, 0.0, augmentation.any_turn
    )
    for k in range(4):
        made, what = draw_window(one, 48, plain, 1, rng_for(k, "w"))
        low, high = (
            float(normalize_pixels(np.full((1, 1, 3), light, np.uint8), pixels).mean())
            for light in (0, 200)
        )
        off = (made.mean(axis=0) > (low + high) / 2) != (what.ids > 0)
        # Half a pixel along the edges, no more; a shift by one would leave whole lines.
        edge = np.abs(np.diff(what.ids > 0, axis=0)).sum() + np.abs(np.diff(what.ids > 0)).sum()
        assert off.sum() <= 0.15 * edge


@pytest.mark.parametrize("augmentation", list_augmentations(has_masks=False))
def test_windows_keep_boxes_and_pixels_together(augmentation: WindowAugmentation) -> None:
    (one,) = read_annotated_images(discs(1, 3), "photo", "objects", "mask", LEVELS, 320)
    for k in range(6):
        _, what = draw_window(one, 32, augmentation, 1, rng_for(k, "w"))
        for box, own in zip(what.boxes, what.classes):
            ys, xs = np.nonzero(what.ids == {0: 2, 1: 1}[int(own)])
            if min(xs.min(), ys.min()) > 0 and max(xs.max(), ys.max()) < 31:
                # A box of pixels may lie a pixel beside the box that was turned and scaled.
                seen = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
                assert np.abs(box - seen).max() <= 1.5


@pytest.mark.parametrize("ground", [0, 7])
def test_neighbours_with_large_numbers_stay_two_objects(ground: int) -> None:
    ids = np.full((40, 40), ground, np.uint32)
    ids[:, 10:20], ids[:, 20:30] = 1 << 25, (1 << 25) + 1
    blobs = [{"bytes": encode_lossless(one), "path": None} for one in (ids.astype(np.uint8), ids)]
    table = {name: pa.array([blob], BLOB) for name, blob in zip(("photo", "mask"), blobs)}
    fields = (Field(name="photo", kind="image"), Field(name="mask", kind="mask"))
    rows = Dataset.from_arrow(pa.table(table), Schema(fields))
    (one,) = read_annotated_images(rows, "photo", None, "mask", {}, 320)
    assert one.ids is not None
    assert len(np.unique(one.ids)) == 3
    assert (one.ids > 0).sum() == (ids > 0).sum()
    _, what = draw_window(one, 40, WindowAugmentation("as it is"), 1, rng_for(0, "w"))
    assert len(np.unique(what.ids)) == 3


def test_images_are_shrunk_with_their_labels() -> None:
    (whole,) = read_annotated_images(discs(1, 3), "photo", "objects", "mask", LEVELS, 320)
    (half,) = read_annotated_images(discs(1, 3), "photo", "objects", "mask", LEVELS, 16)
    assert half.pixels.shape == (16, 16, 3)
    assert half.ids.shape == (16, 16)
    assert half.boxes == pytest.approx(whole.boxes / 2)
    assert half.classes.tolist() == whole.classes.tolist()


def test_dark_and_light_images_are_brought_together() -> None:
    rng = rng_for(1, "p")
    pixels = rng.integers(0, 200, (30, 30, 3)).astype(np.uint8)
    dark = (pixels // 4).astype(np.uint8)
    assert np.abs(normalize_pixels(pixels, pixels) - normalize_pixels(dark, dark)).max() < 0.15
