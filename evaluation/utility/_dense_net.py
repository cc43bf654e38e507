"""A small U-Net with an output for every few pixels, trained for a fixed number of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from twinset.core.features.torch_device import one_thread
from twinset.core.seeding import torch_generator

from ._annotated import AnnotatedImage, Matrix, WindowAugmentation, draw_batch, normalize_pixels
from ._network_training import draw_weights, fit_network

_WIDTHS = (16, 32, 48, 64)  # channels by depth: 300 steps take seconds on one CPU thread
_RATE = 5e-3  # learning rate at which 200 to 300 steps are enough
LOGIT_AT_START = -2.0  # output of an untrained network: most pixels belong to no object
_STRIDE = 16  # pixels of the image to one of the deepest layer


class DenseTask(Protocol):
    """Targets and loss of a network."""

    @property
    def step(self) -> int:
        """Pixels of the image to one of the output, 2 or 4."""

    @property
    def n_outputs(self) -> int:
        """Channels of the output."""

    @property
    def norm_groups(self) -> int:
        """Groups of channels that are normalized in each image; 0 normalizes over the batch."""

    def targets(self, batch: Sequence[AnnotatedImage], size: int) -> Matrix:
        """Return the targets, shape (b, any, size / step, size / step)."""

    def loss(self, output: Any, targets: Any) -> Any:
        """Return the loss of an output, a torch scalar."""


@dataclass(frozen=True)
class TrainingOptions:
    """Settings of the training, the same for all networks that are compared.

    Parameters
    ----------
    steps, batch, window : int
        Steps of the optimizer, windows in each, side of a window in pixels.
    synthetic_share : float
        Part of each batch that is synthetic where there are synthetic images.
    last_real : float
        Part of the steps, at the end, in which batches are real.
    device : str
        Device of torch.
    """

    steps: int
    batch: int = 8
    window: int = 128
    synthetic_share: float = 0.5
    last_real: float = 0.0
    device: str = "cpu"

    def shares(self, n_sources: int, step: int) -> list[int]:
        """Return the number of windows of a batch from each source: real, then synthetic."""
        if n_sources == 1 or step >= round(self.steps * (1 - self.last_real)):
            return [self.batch]
        n_synthetic = round(self.batch * self.synthetic_share)
        return [self.batch - n_synthetic, n_synthetic]


def train_network(
    sources: Sequence[Sequence[AnnotatedImage]],
    task: DenseTask,
    augmentation: WindowAugmentation,
    training: TrainingOptions,
    rng: np.random.Generator,
) -> Callable[[Sequence[AnnotatedImage]], list[Matrix]]:
    """Return a trained network, as a function from images to an output for each.

    Parameters
    ----------
    sources : sequence of sequences of AnnotatedImage
        Images to learn from: real ones first, then synthetic ones if any.
    task : DenseTask
        Targets and loss.
    augmentation : WindowAugmentation
        Augmentation of the windows.
    training : TrainingOptions
        Steps and device.
    rng : numpy.random.Generator
        Draws weights, windows and augmentations.
    """
    import torch

    generator, draws = torch_generator(rng), rng.spawn(1)[0]
    device = training.device

    def batches() -> Iterator[tuple[Any, Any]]:
        for step in range(training.steps):
            shares = training.shares(len(sources), step)
            x, labels = draw_batch(sources, shares, training.window, augmentation, task.step, draws)
            y = task.targets(labels, training.window)
            yield torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)

    with one_thread():
        net = _build(task, generator).to(device)
        net = net.to(memory_format=torch.channels_last)
        fit_network(
            lambda x: _forward(net, x),
            net.parameters(),
            batches(),
            task.loss,
            training.steps,
            _RATE,
        )
        net.eval()

    def predict(images: Sequence[AnnotatedImage]) -> list[Matrix]:
        with one_thread(), torch.no_grad():
            return [_predict(net, image, task.step, device) for image in images]

    return predict


def _predict(net: Any, image: AnnotatedImage, step: int, device: str) -> Matrix:
    """Return the output for a whole image, shape (n_outputs, h / step, w / step), rounded up."""
    import torch

    height, width = image.pixels.shape[:2]
    room = ((0, 0), (0, -height % _STRIDE), (0, -width % _STRIDE))
    x = np.pad(normalize_pixels(image.pixels, image.pixels), room, mode="edge")
    output = _forward(net, torch.from_numpy(x[None]).to(device))[0].cpu().numpy()
    return np.asarray(output[:, : -(-height // step), : -(-width // step)])


def _build(task: DenseTask, generator: Any) -> Any:
    """Return layers with weights from the generator alone; the state of torch does not change."""
    import torch
    from torch import nn

    stop, groups = task.step // 2 - 1, task.norm_groups
    with torch.random.fork_rng(devices=[]):
        down = [_pair(before, width, groups) for before, width in zip((12, *_WIDTHS), _WIDTHS)]
        up = [
            _pair(_WIDTHS[k + 1] + _WIDTHS[k], _WIDTHS[k], groups)
            for k in range(len(_WIDTHS) - 2, stop - 1, -1)
        ]
        last = nn.Conv2d(_WIDTHS[stop], task.n_outputs, 1)
        parts = {"down": nn.ModuleList(down), "up": nn.ModuleList(up), "last": last}
        net = nn.ModuleDict(parts)
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.data = draw_weights(layer, generator)
        last.bias.data.fill_(LOGIT_AT_START)
    return net


def _forward(net: Any, x: Any) -> Any:
    """Return the output: the image is halved four times and doubled again, with shortcuts."""
    import torch
    from torch.nn.functional import interpolate, max_pool2d, pixel_unshuffle

    x = pixel_unshuffle(x, 2)
    kept = []
    for k, layer in enumerate(net["down"]):
        x = layer(max_pool2d(x, 2) if k else x)
        kept.append(x)
    for layer, shortcut in zip(net["up"], kept[-2::-1]):
        x = layer(torch.cat([interpolate(x, scale_factor=2.0), shortcut], dim=1))
    return net["last"](x)


def _pair(before: int, width: int, groups: int) -> Any:
    """Return two convolutions with their normalization."""
    from torch import nn

    layers = []
    for first in (before, width):
        layers += [
            nn.Conv2d(first, width, 3, padding=1, bias=False),
            nn.GroupNorm(groups, width) if groups else nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)
