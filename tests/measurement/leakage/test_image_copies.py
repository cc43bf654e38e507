"""Changed copies of images are found; images that only look alike are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("cv2", reason="the extra 'image' is not installed")

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.image.codec import encode_png
from twinset.measurement.leakage import find_leakage
from twinset.measurement.leakage.image_copies import find_image_copies

N = 80  # images of each set: enough to tell 30 copies from none
SCHEMA = Schema((Field(name="photo", kind="image"),))
Pixels = np.ndarray


def discs(seed: int) -> list[Pixels]:
    """Return grey images of one bright disc, which all look alike, with a texture of their own."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :48] - 24
    disc = 90.0 * (y**2 + x**2 < 300)
    rough = rng.normal(0, 40, (N, 48, 48))
    texture = sum(np.roll(rough, step, (1, 2)) for step in ((0, 0), (0, 1), (1, 0), (1, 1)))
    return list(np.clip(70 + disc + texture / 2, 0, 255).astype(np.uint8))


def dataset(images: list[Pixels]) -> Dataset:
    cells = [{"bytes": encode_png(np.ascontiguousarray(one)), "path": ""} for one in images]
    return Dataset.from_arrow(pa.table({"photo": cells}), SCHEMA)


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "mirrored": lambda image: image[:, ::-1],
    "turned": np.rot90,
    "moved": lambda image: np.roll(image, (3, 2), (0, 1)),
    "brighter": lambda image: np.clip(image * 0.7 + 40, 0, 255).astype(np.uint8),
    "larger": lambda image: image.repeat(2, 0).repeat(2, 1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_changed_copies_are_found_at_their_rows(change: Callable[[Pixels], Pixels]) -> None:
    train, test = discs(0), discs(1)
    mixed = dataset(test[:50] + [change(image) for image in train[:30]])
    found = find_image_copies(dataset(train), mixed, np.random.default_rng(0))
    assert [leak.kind for leak in found] == ["near_copies"]
    assert set(found[0].at) == set(range(50, 80))


def test_images_that_look_alike_pass() -> None:
    train, test = discs(0), discs(1)
    assert find_leakage(dataset(train), dataset(test)).is_clean
    # Copies that were made of train images after the split are no leak.
    grown = train + [image[:, ::-1] for image in train]
    assert find_leakage(dataset(grown), dataset(test)).is_clean


def test_copies_within_the_test_set_are_no_leak() -> None:
    train, test = discs(0), discs(1)
    pairs = test[:40] + [image[::-1] for image in test[:40]]
    assert find_leakage(dataset(train), dataset(pairs)).is_clean
