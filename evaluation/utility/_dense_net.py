"""A small U-Net that says something of every few pixels, trained for a fixed number of steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from twinset.core.features.torch_device import one_thread
from twinset.core.seeding import torch_generator

from ._annotated import Annotated, Matrix, Variation, normal, windows

_WIDTHS = (16, 32, 48, 64)
_RATE, _DECAY = 5e-3, 1e-2
LOGIT_AT_START = -2.0
"""What an untrained net says: nothing is here, most likely."""
_DEEPEST = 16  # pixels of the picture to one of the deepest layer


class DenseTask(Protocol):
    """What a net is taught."""

    @property
    def step(self) -> int:
        """Pixels of the picture to one of the output, 2 or 4."""

    @property
    def n_outputs(self) -> int:
        """Channels of the output."""

    @property
    def norm_groups(self) -> int:
        """Groups of channels that are normed picture by picture; 0 norms over the batch."""

    def targets(self, batch: Sequence[Annotated], size: int) -> Matrix:
        """Return what the output should be, shape (b, any, size / step, size / step)."""

    def loss(self, said: Any, wanted: Any) -> Any:
        """Return the loss of what the net said, a torch scalar."""


@dataclass(frozen=True)
class Training:
    """How nets are trained, the same for all that are compared.

    Parameters
    ----------
    steps, batch, window : int
        Steps of the optimiser, windows in each, side of a window in pixels.
    synthetic_share : float
        Part of each batch that is synthetic where there are synthetic pictures.
    last_real : float
        Part of the steps, at the end, in which real pictures alone are shown.
    device : str
        Where torch computes.
    """

    steps: int
    batch: int = 8
    window: int = 128
    synthetic_share: float = 0.5
    last_real: float = 0.0
    device: str = "cpu"

    def shares(self, n_sources: int, step: int) -> list[int]:
        """Return how many windows of a batch come from each source: real, then synthetic."""
        if n_sources == 1 or step >= round(self.steps * (1 - self.last_real)):
            return [self.batch]
        made = round(self.batch * self.synthetic_share)
        return [self.batch - made, made]


def train_network(
    sources: Sequence[Sequence[Annotated]],
    task: DenseTask,
    variation: Variation,
    training: Training,
    rng: np.random.Generator,
) -> Callable[[Sequence[Annotated]], list[Matrix]]:
    """Return a trained net, as a function from pictures to its output for each.

    Parameters
    ----------
    sources : sequence of sequences of Annotated
        Pictures to learn from: real ones first, then synthetic ones if any.
    task : Task
        What it learns.
    variation : Variation
        How its windows are varied.
    training : Training
        How long, and where.
    rng : numpy.random.Generator
        Draws weights, windows and variations.
    """
    import torch

    generator, draws = torch_generator(rng), rng.spawn(1)[0]
    device = training.device
    with one_thread():
        net = _net(task, generator).to(device)
        net = net.to(memory_format=torch.channels_last)
        optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, _RATE, total_steps=training.steps + 1
        )
        for step in range(training.steps):
            shares = training.shares(len(sources), step)
            x, labels = windows(sources, shares, training.window, variation, task.step, draws)
            wanted = torch.from_numpy(task.targets(labels, training.window)).to(device)
            loss = task.loss(_forward(net, torch.from_numpy(x).to(device)), wanted)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        net.eval()

    def told(pictures: Sequence[Annotated]) -> list[Matrix]:
        with one_thread(), torch.no_grad():
            return [_said(net, one, task.step, device) for one in pictures]

    return told


def _said(net: Any, one: Annotated, step: int, device: str) -> Matrix:
    """Return the output for one whole picture, shape (n_outputs, h / step, w / step), rounded up."""
    import torch

    height, width = one.pixels.shape[:2]
    room = ((0, 0), (0, -height % _DEEPEST), (0, -width % _DEEPEST))
    x = np.pad(normal(one.pixels, one.pixels), room, mode="edge")
    said = _forward(net, torch.from_numpy(x[None]).to(device))[0].cpu().numpy()
    return np.asarray(said[:, : -(-height // step), : -(-width // step)])


def _net(task: DenseTask, generator: Any) -> Any:
    """Return layers whose weights come from the generator alone; torch's own state stays as it is."""
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
                drawn = torch.randn(layer.weight.shape, generator=generator)
                layer.weight.data = drawn * float(np.sqrt(2 / layer.weight[0].numel()))
        last.bias.data.fill_(LOGIT_AT_START)
    return net


def _forward(net: Any, x: Any) -> Any:
    """Return the output: the picture is halved four times and doubled again, with shortcuts."""
    import torch
    from torch.nn.functional import interpolate, max_pool2d, pixel_unshuffle

    x = pixel_unshuffle(x, 2)
    kept = []
    for k, layer in enumerate(net["down"]):
        x = layer(max_pool2d(x, 2) if k else x)
        kept.append(x)
    for layer, beside in zip(net["up"], kept[-2::-1]):
        x = layer(torch.cat([interpolate(x, scale_factor=2.0), beside], dim=1))
    return net["last"](x)


def _pair(before: int, width: int, groups: int) -> Any:
    """Return two convolutions with their norms."""
    from torch import nn

    layers = []
    for first in (before, width):
        layers += [
            nn.Conv2d(first, width, 3, padding=1, bias=False),
            nn.GroupNorm(groups, width) if groups else nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)
