"""210 classical numbers of a image: colours, edges, frequencies, texture and quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.features.embedders.embedding import (
    Codes,
    Embedder,
    Embedding,
    ImageEmbedding,
    Matrix,
)
from twinset.core.image.codec import Pixels, open_cv

Floats = npt.NDArray[np.float32]

# Grey levels of a histogram, side of the image for edges, cells a side, directions, rings of frequency,
# uniform local binary patterns of 8 neighbors (58, and one for all others).
_LEVELS, _EDGE_SIDE, _CELLS, _DIRECTIONS, _RINGS, _PATTERNS = 15, 64, 3, 8, 24, 59
_QUALITY = 7  # numbers of `_quality`
# Pixels: frequencies of images of different size are compared in a window of one size
_WINDOW = 256
_PERIOD = 8  # pixels: the blocks of JPEG
BLOCKS = (3 * (_LEVELS + 1), _CELLS**2 * _DIRECTIONS, _RINGS, _PATTERNS, _QUALITY)
"""How many numbers describe colours, edges, frequencies, texture and quality."""
SIZE = sum(BLOCKS)

_FIT_IMAGES = 2_000  # images that scales are measured on: decoding them takes the time
_QUIETEST = 1e-8  # power added before the logarithm: below the rounding of 8 bits
# Least spread of each group: what a few hundred pixels vary by chance
_MIN_SPREADS = (0.01, 0.01, 0.3, 0.04, 0.05)


@dataclass(frozen=True, kw_only=True)
class Classical(Embedder):
    """Measures 210 classical numbers of each image; no weights, no training, no download.

    Cumulated colour histograms (48), directions of edges in a grid of 3 x 3 (72), the power in 24
    rings of frequency, uniform local binary patterns (59), and noise, sharpness, blocks of 8 pixels
    as JPEG leaves them, clipped shares and size (7). Each number is centred and scaled by its spread
    among the training images; each of the five groups weighs the same.

    References
    ----------
    Dalal, Triggs (2005), Histograms of Oriented Gradients for Human Detection, CVPR; Ojala,
    Pietikainen, Maenpaa (2002), Multiresolution Gray-Scale and Rotation Invariant Texture
    Classification with Local Binary Patterns, PAMI 24.
    """

    kind: ClassVar[str] = "image"

    @property
    def name(self) -> str:
        """Its name: "classical"."""
        return "classical"

    def fit(self, column: pa.ChunkedArray, labels: Codes | None, seed: int) -> Embedding:
        """Return the embedding, its scales those of the training images; nothing is drawn."""
        plain = ImageEmbedding(self.name, SIZE, _stacked)
        if len(column) > _FIT_IMAGES:
            rows = np.linspace(0, len(column) - 1, _FIT_IMAGES).astype(np.int64)
            column = column.take(pa.array(rows))
        known = plain.embed(column)
        known = known[~np.isnan(known).any(axis=1)]
        if not len(known):
            known = np.zeros((1, SIZE), dtype=np.float32)
        centre = known.mean(axis=0, dtype=np.float64)
        spread = known.std(axis=0, dtype=np.float64)
        # What never changes among real images still tells where it changes among others; but the
        # chance of a few hundred pixels must not be blown up to what tells images apart.
        least, sizes = np.repeat(_MIN_SPREADS, BLOCKS), np.repeat(BLOCKS, BLOCKS)
        spread = np.maximum(spread, least)
        weight = 1 / (spread * np.sqrt(sizes))

        def apply(many: Sequence[Pixels]) -> Matrix:
            usual = weight * spread
            scaled = (_stacked(many) - centre) * weight / usual
            return np.asarray(drawn_in(scaled) * usual, dtype=np.float32)

        return ImageEmbedding(self.name, SIZE, apply, {"kind": "classical features", "size": SIZE})


def classical_vector(
    # uint8 or uint16 of their full range, or floats from 0 to 1. Of four channels the last one, of
    # more all after the third are passed over, shape (h, w) or (h, w, channels)
    pixels: Pixels,
) -> Floats:
    """Return the 210 numbers of one image as they are, shape (210,)."""
    colour = as_colour(pixels)
    grey = colour.mean(axis=2)
    height, width = grey.shape
    top, left = max(0, height - _WINDOW) // 2, max(0, width - _WINDOW) // 2
    window = np.ascontiguousarray(grey[top : top + _WINDOW, left : left + _WINDOW])
    parts = [_colours(colour), _edges(grey), _rings(window), _patterns(window)]
    return np.concatenate([*parts, _quality(window, height, width)]).astype(np.float32)


def as_colour(pixels: Pixels) -> Floats:
    """Return pixels as floats from 0 to 1 in three channels, shape (h, w, 3)."""
    full = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65_535.0}.get(pixels.dtype, 1.0)
    values = np.atleast_3d(np.asarray(pixels, dtype=np.float32) / np.float32(full))
    values = np.clip(np.nan_to_num(values), 0.0, 1.0)
    return values[..., :3] if values.shape[2] >= 3 else np.repeat(values[..., :1], 3, axis=2)


def _stacked(many: Sequence[Pixels]) -> Matrix:
    return np.stack([classical_vector(pixels) for pixels in many])


def drawn_in(scaled: npt.NDArray[Any], knee: float = 3.0) -> npt.NDArray[Any]:
    """Return `scaled` with values beyond +-`knee` on a logarithmic scale; order is kept."""
    beyond = np.maximum(np.abs(scaled) - knee, 0.0)
    tamed = np.minimum(np.abs(scaled), knee) + np.log1p(beyond)
    return np.asarray(np.copysign(tamed, scaled))


def _colours(colour: Floats) -> Floats:
    """Return for each channel the share of pixels below each of 15 levels, and the mean."""
    steps = np.minimum((colour * (_LEVELS + 1)).astype(np.int64), _LEVELS)
    found = []
    for channel in range(3):
        counts = np.bincount(steps[..., channel].ravel(), minlength=_LEVELS + 1)
        below = np.cumsum(counts[:-1]) / steps[..., 0].size
        found.append(np.append(below, colour[..., channel].mean()))
    return np.concatenate(found).astype(np.float32)


def _edges(grey: Floats) -> Floats:
    """Return the strength of edges by place (3 x 3) and direction (8), square roots."""
    cv2 = open_cv()
    small = cv2.resize(grey, (_EDGE_SIDE, _EDGE_SIDE), interpolation=cv2.INTER_AREA)
    dy, dx = np.gradient(small)
    turn = np.mod(np.arctan2(dy, dx), np.pi) / np.pi * _DIRECTIONS
    direction = np.minimum(turn.astype(np.int64), _DIRECTIONS - 1)
    cell = np.minimum(np.arange(_EDGE_SIDE) * _CELLS // _EDGE_SIDE, _CELLS - 1)
    place = (cell[:, None] * _CELLS + cell) * _DIRECTIONS + direction
    strength = np.bincount(place.ravel(), np.hypot(dx, dy).ravel(), _CELLS**2 * _DIRECTIONS)
    return np.sqrt(strength / (_EDGE_SIDE / _CELLS) ** 2).astype(np.float32)


@lru_cache(maxsize=64)
def _rings_of(height: int, width: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the ring of each frequency, and how many are in each; one beyond half a cycle is in none."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    ring = (np.hypot(fy, fx) * 2 * _RINGS).astype(np.int64)
    ring = np.minimum(ring, _RINGS)
    return ring, np.maximum(np.bincount(ring.ravel(), minlength=_RINGS + 1)[:_RINGS], 1.0)


def _rings(window: Floats) -> Floats:
    """Return the decimal logarithm of the mean power in each ring of frequency."""
    height, width = window.shape
    taper = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[None, 1:-1]
    spectrum = np.fft.rfft2((window - window.mean()) * taper)
    power = (spectrum.real**2 + spectrum.imag**2) / max(float((taper**2).sum()), 1e-12)
    ring, counts = _rings_of(height, width)
    total = np.bincount(ring.ravel(), power.ravel(), _RINGS + 1)[:_RINGS]
    return np.log10(total / counts + _QUIETEST).astype(np.float32)


def _uniform_patterns() -> npt.NDArray[np.int64]:
    """Return the place of each of the 256 patterns: 58 uniform ones, all others together."""
    place, out = 0, np.full(256, _PATTERNS - 1)
    for code in range(256):
        bits = [code >> i & 1 for i in range(8)]
        if sum(bits[i] != bits[i - 1] for i in range(8)) <= 2:
            out[code], place = place, place + 1
    return out


_PLACE_OF_PATTERN = _uniform_patterns()
_ROUND = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))  # the 8 neighbors


def _patterns(window: Floats) -> Floats:
    """Return the share of each uniform local binary pattern, square roots."""
    height, width = window.shape
    if min(height, width) < 3:
        return np.zeros(_PATTERNS, dtype=np.float32)
    inner = window[1:-1, 1:-1]
    code = np.zeros(inner.shape, dtype=np.uint8)
    for bit, (dy, dx) in enumerate(_ROUND):
        around = window[1 + dy : height - 1 + dy, 1 + dx : width - 1 + dx]
        code |= (around >= inner).astype(np.uint8) << bit
    counts = np.bincount(code.ravel(), minlength=256)
    shares = np.bincount(_PLACE_OF_PATTERN, counts, _PATTERNS) / code.size
    return np.sqrt(shares).astype(np.float32)


def _quality(window: Floats, height: int, width: int) -> Floats:
    """Return noise, sharpness and blocks as logarithms, clipped shares, and the size of the image."""
    noise, sharp, blocks = texture_facts(window)
    dark, bright = float((window <= 1 / 255).mean()), float((window >= 254 / 255).mean())
    return np.array(
        [noise, sharp, blocks, dark, bright, np.log2(height), np.log2(width)], dtype=np.float32
    )


def texture_facts(grey: Floats) -> tuple[float, float, float]:
    """Return noise, sharpness (decimal logarithms, of grey levels from 0 to 1) and blockiness of 8 pixels.

    Noise is the usual size of a difference that neither flat nor sloping ground explains; sharpness
    the mean square of the Laplacian; blockiness by how much steps over the borders of blocks of
    8 x 8 pixels exceed the others.

    References
    ----------
    Immerkaer (1996), Fast Noise Variance Estimation, CVIU 64.

    Examples
    --------
    >>> noise, sharp, blocks = texture_facts(np.zeros((16, 16), np.float32))
    >>> noise, sharp, blocks
    (-4.0, -8.0, 0.0)
    """
    height, width = grey.shape
    if min(height, width) < 3:
        return -4.0, -8.0, 0.0
    across = grey[1:-1, :-2] - 2 * grey[1:-1, 1:-1] + grey[1:-1, 2:]
    down = grey[:-2, 1:-1] - 2 * grey[1:-1, 1:-1] + grey[2:, 1:-1]
    twice = across[:-2] - 2 * across[1:-1] + across[2:] if height >= 5 else across
    noise = float(np.median(np.abs(twice))) / (6 * 0.6745)
    sharp = float(np.mean((across + down) ** 2))
    return (
        float(np.log10(noise + 1e-4)),
        float(np.log10(sharp + 1e-8)),
        float(np.mean([_blockiness(grey, axis) for axis in (0, 1)])),
    )


def _blockiness(grey: Floats, axis: int) -> float:
    """Return by how much the largest step of period 8 exceeds the usual one, as log(1 + excess).

    Where blocks begin is not known of a image that was cut out of another.
    """
    step = np.abs(np.diff(grey, axis=axis)).mean(axis=1 - axis)
    if len(step) < 2 * _PERIOD:
        return 0.0
    whole = step[: len(step) // _PERIOD * _PERIOD].reshape(-1, _PERIOD).mean(axis=0)
    return float(np.log1p(whole.max() / (np.median(whole) + 1e-4) - 1)) if whole.any() else 0.0
