"""Training of a torch network, the same for all networks that are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from twinset.core.features.torch_device import one_thread

_WEIGHT_DECAY = 1e-2  # the default of AdamW


def fit_network(
    net: Callable[[Any], Any],
    parameters: Iterable[Any],
    batches: Iterable[tuple[Any, Any]],
    loss: Callable[[Any, Any], Any],
    steps: int,
    rate: float,
) -> None:
    """Train a network by AdamW with a one-cycle schedule of learning rates.

    Parameters
    ----------
    net : callable
        Features of a batch -> output.
    parameters : iterable of torch.nn.Parameter
        Weights to train.
    batches : iterable of (torch.Tensor, torch.Tensor)
        Features and targets, one pair for each step.
    loss : callable
        Output and targets -> scalar.
    steps : int
        Number of batches.
    rate : float
        Highest learning rate.

    References
    ----------
    Smith, Topin (2019), Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
    Rates, SPIE.
    """
    import torch

    with one_thread():
        optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=_WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1)
        for x, y in batches:
            value = loss(net(x), y)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            schedule.step()


def draw_weights(layer: Any, generator: Any) -> Any:
    """Return He-normal weights of a layer, of its shape, drawn from the generator alone."""
    import torch

    drawn = torch.randn(layer.weight.shape, generator=generator)
    return drawn * float(np.sqrt(2 / layer.weight[0].numel()))
