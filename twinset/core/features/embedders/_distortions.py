"""Eight ways to distort a picture: what a net must tell apart to learn what pictures look like."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinset.core.image.codec import open_cv

Matrix = npt.NDArray[np.float32]

N_DISTORTIONS = 8


def distorted(pictures: Matrix, rng: np.random.Generator) -> tuple[Matrix, npt.NDArray[np.int64]]:
    """Return pictures, each flipped at random and distorted in one of eight ways, and which way it was.

    Parameters
    ----------
    pictures : numpy.ndarray, shape (n, 3, side, side)
        Values from 0 to 1.
    rng : numpy.random.Generator
        Draws ways and strengths.
    """
    out = np.empty_like(pictures)
    which = rng.integers(0, N_DISTORTIONS, len(pictures))
    for row, way in enumerate(which):
        picture = pictures[row]
        if rng.random() < 0.5:
            picture = picture[:, :, ::-1]
        out[row] = np.clip(_one(picture, int(way), float(rng.random()), rng), 0.0, 1.0)
    return out, which.astype(np.int64)


def _one(picture: Matrix, way: int, strength: float, rng: np.random.Generator) -> Matrix:
    sign = 1.0 if rng.random() < 0.5 else -1.0
    if way == 1:
        noise = rng.standard_normal(picture.shape, dtype=np.float32)
        return picture + (0.01 + 0.04 * strength) * noise
    if way == 2:
        return _blurred(picture, 0.4 + 0.8 * strength)
    if way == 3:
        return picture + np.float32(sign * (0.03 + 0.1 * strength))
    if way == 4:
        cast = rng.normal(size=3)
        cast -= cast.mean()
        cast *= (0.03 + 0.1 * strength) / max(float(np.abs(cast).max()), 1e-6)
        return picture + cast.astype(np.float32)[:, None, None]
    if way == 5:
        return _blocky(picture, 0.3 + 0.5 * strength)
    if way == 6:
        return _shuffled(picture, rng)
    if way == 7:
        return np.rot90(picture, 1 if sign > 0 else 3, axes=(1, 2))
    return picture


def _blurred(picture: Matrix, sigma: float) -> Matrix:
    cv2 = open_cv()
    last = np.ascontiguousarray(picture.transpose(1, 2, 0))
    return np.asarray(cv2.GaussianBlur(last, (0, 0), sigma)).transpose(2, 0, 1)


def _blocky(picture: Matrix, share: float) -> Matrix:
    """Return the picture with a share of what is fine in blocks of 8 pixels taken out."""
    channels, side = picture.shape[:2]
    blocks = picture.reshape(channels, side // 8, 8, side // 8, 8)
    coarse = np.broadcast_to(blocks.mean(axis=(2, 4), keepdims=True), blocks.shape)
    return (picture * (1 - share) + coarse.reshape(picture.shape) * share).astype(np.float32)


def _shuffled(picture: Matrix, rng: np.random.Generator) -> Matrix:
    half = picture.shape[1] // 2
    quarters = [picture[:, y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    first, second, third, fourth = (quarters[i] for i in rng.permutation(4))
    rows = [np.concatenate(pair, axis=2) for pair in ((first, second), (third, fourth))]
    return np.concatenate(rows, axis=1)
