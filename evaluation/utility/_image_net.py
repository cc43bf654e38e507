"""A small net that names pictures, trained with standard augmentation for a fixed number of steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.features.embedders.embedding import decode_images
from twinset.core.features.embedders.small_cnn import small
from twinset.core.features.torch_device import one_thread
from twinset.core.seeding import torch_generator

Matrix = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_WIDTHS = (16, 32, 64)
_BATCH = 32
_RATE, _DECAY = 4e-3, 1e-2
_APPLIED_AT_ONCE = 128


@dataclass(frozen=True)
class ImageArrays:
    """Pictures of one size with their classes.

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
    def of(cls, images: pa.ChunkedArray, classes: Codes, side: int) -> ImageArrays:
        """Return those that can be read and whose class is known (0 or more)."""
        found = [(row, small(one, side)) for row, one in decode_images(images) if classes[row] >= 0]
        pixels = np.array([one for _, one in found], np.float32).reshape(-1, 3, side, side)
        return cls(pixels, classes[[row for row, _ in found]].astype(np.int64))

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, rows: npt.NDArray[np.int64]) -> ImageArrays:
        """Return some of them."""
        return ImageArrays(self.pixels[rows], self.classes[rows])


@dataclass(frozen=True)
class Augmentation:
    """How strongly pictures are varied while a net is trained; 0 is not at all.

    Parameters
    ----------
    name : str
        What it is called.
    shift : int
        Most pixels that a picture is moved by, either way.
    mirrored : bool
        Whether half of the pictures are mirrored left to right.
    light : float
        Most by which brightness and contrast change.
    """

    name: str
    shift: int = 0
    mirrored: bool = False
    light: float = 0.0

    def apply(self, pixels: Matrix, rng: np.random.Generator) -> Matrix:
        """Return varied pictures, of the same shape."""
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
"""What is tried; the best on unseen real training pictures is taken for all nets."""


def trained_forecast(
    sources: Sequence[ImageArrays],
    unseen: ImageArrays,
    n_classes: int,
    augmentation: Augmentation,
    steps: int,
    rng: np.random.Generator,
    device: str = "cpu",
) -> Floats:
    """Return what a net says of unseen pictures, shape (n, n_classes): a probability for each class.

    Parameters
    ----------
    sources : sequence of Pictures
        What it is trained on; every batch holds equally many of each source.
    unseen : Pictures
        What it is asked about.
    n_classes : int
        Number of classes.
    augmentation : Augmentation
        How training pictures are varied.
    steps : int
        Steps of the optimiser.
    rng : numpy.random.Generator
        Draws weights, batches and variations.
    device : str
        Where torch computes.
    """
    import torch
    from torch.nn.functional import cross_entropy

    generator, draws = torch_generator(rng), rng.spawn(1)[0]
    usual = sources[0].pixels
    mean, spread = usual.mean(axis=(0, 2, 3)), usual.std(axis=(0, 2, 3)) + 1e-3
    mean, spread = mean[:, None, None], spread[:, None, None]
    with one_thread():
        net = _net(n_classes, unseen.pixels.shape[-1], generator).to(device)
        optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps + 1)
        for _ in range(steps):
            batch = _batch(sources, draws)
            x = (augmentation.apply(batch.pixels, draws) - mean) / spread
            said = net(torch.from_numpy(x).to(device))
            loss = cross_entropy(said, torch.from_numpy(batch.classes).to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        net.eval()
        parts = []
        with torch.no_grad():
            for start in range(0, len(unseen), _APPLIED_AT_ONCE):
                x = (unseen.pixels[start : start + _APPLIED_AT_ONCE] - mean) / spread
                parts.append(net(torch.from_numpy(x).to(device)).softmax(dim=1).cpu().numpy())
    return np.concatenate(parts).astype(np.float64)


def _batch(sources: Sequence[ImageArrays], rng: np.random.Generator) -> ImageArrays:
    """Return a batch of which each source fills an equal part."""
    parts = [
        part.take(rng.integers(0, len(part), len(share)))
        for part, share in zip(sources, np.array_split(np.arange(_BATCH), len(sources)))
    ]
    pixels = np.concatenate([part.pixels for part in parts])
    return ImageArrays(pixels, np.concatenate([part.classes for part in parts]))


def _net(n_classes: int, side: int, generator: Any) -> Any:
    """Return a net whose weights come from the generator alone; torch's own state stays as it is."""
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
                fan = layer.weight[0].numel()
                drawn = torch.randn(layer.weight.shape, generator=generator)
                layer.weight.data = drawn * float(np.sqrt(2 / fan))
                if layer.bias is not None:
                    layer.bias.data.zero_()
    return nn.Sequential(*layers)
