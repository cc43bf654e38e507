"""Training of small networks, alike for all that are compared, and a U-Net."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from twinset.core.extras import optional
from twinset.core.features.torch_device import one_thread, torch_generator

STRIDE = 16  # pixels of the image to one of the deepest layer of the U-Net
_WEIGHT_DECAY = 1e-2  # the default of AdamW
_WIDTHS = (16, 32, 48, 64)  # channels by depth: 300 steps take seconds on one CPU thread


def fit_network(
    build: Callable[[], Any],
    draw_batch: Callable[[np.random.Generator], tuple[Any, Any]],
    loss: Callable[[Any, Any], Any],
    *,
    steps: int,
    rate: float,
    rng: np.random.Generator,
    device: str,
) -> Any:
    """Return a network trained by AdamW with a one-cycle schedule of rates up to `rate`.

    `draw_batch` returns features and targets of one step as arrays, `loss` of output and targets a scalar.

    References
    ----------
    Smith, Topin (2019), Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
    Rates, SPIE.
    """
    torch = optional("torch")
    generator, draws = torch_generator(rng), rng.spawn(1)[0]
    with one_thread():
        # Weights come from the generator alone; the state of torch does not change.
        with torch.random.fork_rng(devices=[]):
            net = build()
        _draw_weights(net, generator)
        net = net.to(device)
        optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=_WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1)
        for _ in range(steps):
            x, y = (torch.from_numpy(part).to(device) for part in draw_batch(draws))
            value = loss(net(x), y)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            schedule.step()
        net.eval()
    return net


def _draw_weights(net: Any, generator: Any) -> None:
    """Set He-normal weights."""
    torch = optional("torch")
    nn = optional("torch.nn")
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            drawn = torch.randn(layer.weight.shape, generator=generator)
            layer.weight.data.copy_(drawn * float(np.sqrt(2 / layer.weight[0].numel())))


def build_unet(n_outputs: int, step: int, norm_groups: int, bias: float) -> Any:
    """Return a U-Net with one output for `step` by `step` pixels, 2 or 4, and a bias of the output.

    The image is halved four times and doubled again, with shortcuts. Channels are normalized in
    `norm_groups` groups in each image, or over the batch where that is 0.
    """
    torch = optional("torch")
    nn = optional("torch.nn")
    functional = optional("torch.nn.functional")
    interpolate = functional.interpolate
    max_pool2d = functional.max_pool2d
    pixel_unshuffle = functional.pixel_unshuffle

    def pair(before: int, width: int) -> Any:
        layers: list[Any] = []
        for first in (before, width):
            norm = nn.GroupNorm(norm_groups, width) if norm_groups else nn.BatchNorm2d(width)
            layers += [nn.Conv2d(first, width, 3, padding=1, bias=False), norm, nn.ReLU()]
        return nn.Sequential(*layers)

    class UNet(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            stop, skips = step // 2 - 1, list(pairwise(_WIDTHS))
            self.down = nn.ModuleList(map(pair, (12, *_WIDTHS), _WIDTHS))
            self.up = nn.ModuleList(pair(low + high, high) for high, low in skips[stop:][::-1])
            self.last = nn.Conv2d(_WIDTHS[stop], n_outputs, 1)
            self.last.bias.data.fill_(bias)

        def forward(self, x: Any) -> Any:
            x = pixel_unshuffle(x, 2)
            kept = []
            for k, layer in enumerate(self.down):
                x = layer(max_pool2d(x, 2) if k else x)
                kept.append(x)
            for layer, shortcut in zip(self.up, kept[-2::-1]):
                x = layer(torch.cat([interpolate(x, scale_factor=2.0), shortcut], dim=1))
            return self.last(x)

    return UNet().to(memory_format=torch.channels_last)
