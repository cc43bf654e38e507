"""A small network that classifies images, trained with standard augmentation for a fixed number of
steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.features.embedders.embedding import decode_images
from twinset.core.features.embedders.small_cnn import small
from twinset.core.features.torch_device import one_thread
from twinset.core.seeding import torch_generator

from ._network_training import draw_weights, fit_network

Matrix = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_WIDTHS = (16, 32, 64)  # channels by depth: 300 steps take seconds on one CPU thread
_BATCH = 32  # images of a step
_RATE = 4e-3  # learning rate at which 300 steps are enough
_PREDICTED_AT_ONCE = 128  # images, to bound memory


@dataclass(frozen=True)
class ImageArrays:
    """Images of one size with their classes.

    Parameters
    ----------
    pixels : numpy.ndarray, shape (n, 3, side, side)
        Values from 0 to 1.
    classes : numpy.ndarray of int, shape (n,)
        Class of each.
    """

    pixels: Matrix
    classes: Codes

    @classmethod
    def from_column(cls, images: pa.ChunkedArray, classes: Codes, side: int) -> ImageArrays:
        """Return the images that can be decoded and whose class is known (0 or more)."""
        found = [(row, small(one, side)) for row, one in decode_images(images) if classes[row] >= 0]
        pixels = np.array([one for _, one in found], np.float32).reshape(-1, 3, side, side)
        return cls(pixels, classes[[row for row, _ in found]].astype(np.int64))

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, rows: npt.NDArray[np.int64]) -> ImageArrays:
        """Return the images at these positions."""
        return ImageArrays(self.pixels[rows], self.classes[rows])


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training images; 0 is none.

    Parameters
    ----------
    name : str
        Name for the report.
    shift : int
        Largest shift in pixels, in both directions.
    mirrored : bool
        Whether half of the images are mirrored left to right.
    light : float
        Largest relative change of brightness and contrast.
    """

    name: str
    shift: int = 0
    mirrored: bool = False
    light: float = 0.0

    def apply(self, pixels: Matrix, rng: np.random.Generator) -> Matrix:
        """Return changed images, of the same shape."""
        out = pixels.copy()
        n, side = len(out), out.shape[-1]
        if self.mirrored:
            turned = rng.random(n) < 0.5
            out[turned] = out[turned, :, :, ::-1]
        if self.shift:
            moves = rng.integers(-self.shift, self.shift + 1, (n, 2))
            room = ((0, 0), (0, 0), (self.shift,) * 2, (self.shift,) * 2)
            wide = np.pad(out, room, mode="edge")
            for row, (dy, dx) in enumerate(moves + self.shift):
                out[row] = wide[row, :, dy : dy + side, dx : dx + side]
        if self.light:
            factor = 1 + rng.uniform(-self.light, self.light, (n, 1, 1, 1))
            added = rng.uniform(-self.light, self.light, (n, 1, 1, 1)) / 2
            middle = out.mean(axis=(1, 2, 3), keepdims=True)
            out = ((out - middle) * factor + middle + added).astype(np.float32)
        return out


AUGMENTATIONS = (
    Augmentation("none"),
    Augmentation("mirrored and moved", shift=2, mirrored=True),
    Augmentation("mirrored, moved, light and contrast", shift=2, mirrored=True, light=0.2),
)
"""Candidates; the best on held-out real training images is used for all networks."""


def predict_unseen(
    sources: Sequence[ImageArrays],
    unseen: ImageArrays,
    n_classes: int,
    augmentation: Augmentation,
    steps: int,
    rng: np.random.Generator,
    device: str = "cpu",
) -> Floats:
    """Return the probabilities that a trained network gives unseen images, shape (n, n_classes).

    Parameters
    ----------
    sources : sequence of ImageArrays
        Training images; every batch holds equally many of each source.
    unseen : ImageArrays
        Images to classify.
    n_classes : int
        Number of classes.
    augmentation : Augmentation
        Augmentation of the training images.
    steps : int
        Steps of the optimizer.
    rng : numpy.random.Generator
        Draws weights, batches and augmentations.
    device : str
        Device of torch.
    """
    import torch
    from torch.nn.functional import cross_entropy

    generator, draws = torch_generator(rng), rng.spawn(1)[0]
    real = sources[0].pixels
    mean, spread = real.mean(axis=(0, 2, 3)), real.std(axis=(0, 2, 3)) + 1e-3
    mean, spread = mean[:, None, None], spread[:, None, None]

    def batches() -> Iterator[tuple[Any, Any]]:
        for _ in range(steps):
            batch = _draw_batch(sources, draws)
            x = (augmentation.apply(batch.pixels, draws) - mean) / spread
            yield torch.from_numpy(x).to(device), torch.from_numpy(batch.classes).to(device)

    with one_thread():
        net = _build(n_classes, generator).to(device)
        fit_network(net, net.parameters(), batches(), cross_entropy, steps, _RATE)
        net.eval()
        parts = []
        with torch.no_grad():
            for start in range(0, len(unseen), _PREDICTED_AT_ONCE):
                x = (unseen.pixels[start : start + _PREDICTED_AT_ONCE] - mean) / spread
                parts.append(net(torch.from_numpy(x).to(device)).softmax(dim=1).cpu().numpy())
    return np.concatenate(parts).astype(np.float64)


def _draw_batch(sources: Sequence[ImageArrays], rng: np.random.Generator) -> ImageArrays:
    """Return a batch with equally many images of each source."""
    parts = [
        part.take(rng.integers(0, len(part), len(share)))
        for part, share in zip(sources, np.array_split(np.arange(_BATCH), len(sources)))
    ]
    pixels = np.concatenate([part.pixels for part in parts])
    return ImageArrays(pixels, np.concatenate([part.classes for part in parts]))


def _build(n_classes: int, generator: Any) -> Any:
    """Return a network with weights from the generator alone; the state of torch does not change."""
    import torch
    from torch import nn

    layers: list[Any] = []
    before = 3
    with torch.random.fork_rng(devices=[]):
        for width in _WIDTHS:
            layers += [
                nn.Conv2d(before, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            before = width
        layers += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * before, n_classes)]
        for layer in layers:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight.data = draw_weights(layer, generator)
                if layer.bias is not None:
                    layer.bias.data.zero_()
    return nn.Sequential(*layers)
