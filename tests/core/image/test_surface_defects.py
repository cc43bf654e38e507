import numpy as np
import pytest

from twinset.core.image.surface_defects import DEFECTS
from twinset.core.seeding import rng_for

cv2 = pytest.importorskip("cv2")

RIM = {"scratch": 9, "dent": 3, "hole": 6, "crack": 2, "stain": 4, "blot": 9, "patch": 0}
"""Pixels about the mask within which a defect may still change something: its soft edge."""


def surface(channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.uniform(0.35, 0.65, (90, 110, channels)).astype(np.float32)


def test_a_defect_is_where_its_mask_says():
    for seed in range(4):
        for name in DEFECTS:
            given = surface()
            before = given.copy()
            made, mask = DEFECTS[name](given, 40.0, 0.9, rng_for(seed, name))
            np.testing.assert_array_equal(given, before)
            assert made.dtype == np.float32
            assert made.min() >= 0
            assert made.max() <= 1
            assert 0 < mask.sum() < 0.5 * mask.size
            changed = np.abs(made - given).max(axis=2) > 0.02
            kernel = np.ones((2 * RIM[name] + 1,) * 2, np.uint8)
            near = cv2.dilate(mask.astype(np.uint8), kernel) > 0
            assert not (changed & ~near).any()
            assert changed[mask].mean() > 0.6


def test_more_is_more():
    for name in DEFECTS:
        slight, glaring = (
            np.abs(DEFECTS[name](surface(), 40.0, amount, rng_for(1, name))[0] - surface()).sum()
            for amount in (0.1, 1.0)
        )
        assert glaring > slight


def test_any_number_of_channels():
    for channels in [1, 5]:
        for name in DEFECTS:
            made, mask = DEFECTS[name](surface(channels), 30.0, 0.5, rng_for(2, name))
            assert made.shape == (90, 110, channels)
            assert mask.shape == (90, 110)
