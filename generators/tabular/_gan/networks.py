"""Generator and critic of the conditional GAN: functions of plain dictionaries of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    Weights = Mapping[str, torch.Tensor]

_SLOPE = 0.2
_TINY = 1e-5


def new_generator(
    n_noise: int, width: int, n_slots: int, n_places: int, random: torch.Generator
) -> dict[str, torch.Tensor]:
    """Return fresh weights of a generator: two residual blocks after Xu et al., then its outputs.

    The condition enters as a learnt row of its own (``condition``): the product of a one-hot vector
    and a matrix of weights, without the multiplications by zero.
    """
    n_in, n_out = 2 * n_noise, n_slots + n_places
    weights = {"condition": normal(n_slots, n_noise, 1.0, random)}
    for layer in ("1", "2"):
        weights["w" + layer] = normal(n_in, width, n_in**-0.5, random)
        weights["g" + layer] = full(width, 1.0, random)
        weights["b" + layer] = full(width, 0.0, random)
        n_in += width
    weights["w3"] = normal(n_in, n_out, n_in**-0.5, random)
    weights["b3"] = full(n_out, 0.0, random)
    return weights


def generate(weights: Weights, noise: torch.Tensor, slots: torch.Tensor) -> torch.Tensor:
    """Return scores of all slots and, before the tanh, places of all intervals, shape (n, p + h).

    Parameters
    ----------
    weights : mapping
        Of `new_generator`: hidden units are normalised over the batch; of `settled`: they are not.
    noise : torch.Tensor
        Standard normal, shape (n, n_noise).
    slots : torch.Tensor
        Slot of the state that each row is asked to have, shape (n,).
    """
    import torch

    rows = torch.cat([noise, weights["condition"][slots]], 1)
    for layer in ("1", "2"):
        hidden = rows @ weights["w" + layer]
        if "g" + layer in weights:
            spread, mean = torch.var_mean(hidden, 0, unbiased=False)
            hidden = (hidden - mean) * (torch.rsqrt(spread + _TINY) * weights["g" + layer])
        rows = torch.cat([torch.relu(hidden + weights["b" + layer]), rows], 1)
    return rows @ weights["w3"] + weights["b3"]


def settled(weights: Weights, noise: torch.Tensor, slots: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return a generator whose normalisation is fixed to the moments of this large batch.

    Rows then no longer depend on the rows drawn beside them.
    """
    import torch

    fixed = {k: v.detach().clone() for k, v in weights.items() if not k.startswith("g")}
    rows = torch.cat([noise, fixed["condition"][slots]], 1)
    for layer in ("1", "2"):
        hidden = rows @ weights["w" + layer]
        spread, mean = torch.var_mean(hidden, 0, unbiased=False)
        scale = torch.rsqrt(spread + _TINY) * weights["g" + layer]
        fixed["w" + layer] = weights["w" + layer] * scale
        fixed["b" + layer] = weights["b" + layer] - mean * scale
        hidden = rows @ fixed["w" + layer] + fixed["b" + layer]
        rows = torch.cat([torch.relu(hidden), rows], 1)
    return {k: v.detach() for k, v in fixed.items()}


def new_critic(
    n_features: int, n_slots: int, width: int, pack: int, random: torch.Generator
) -> dict[str, torch.Tensor]:
    """Return fresh weights of a critic of packs of `pack` rows (PacGAN, Lin et al. 2018).

    All rows of a pack pass the same narrow first layer; their hidden units, side by side, go on.
    """
    narrow = max(32, 3 * width // 8)
    return {
        "condition": normal(n_slots, narrow, 0.3, random),
        "w0": normal(n_features, narrow, n_features**-0.5, random),
        "b0": full(narrow, 0.0, random),
        "w1": normal(narrow * pack, width, (narrow * pack) ** -0.5, random),
        "b1": full(width, 0.0, random),
        "w2": normal(width, width, width**-0.5, random),
        "b2": full(width, 0.0, random),
        "w3": normal(width, 1, width**-0.5, random),
    }


def criticise(weights: Weights, rows: torch.Tensor, slots: torch.Tensor, pack: int) -> torch.Tensor:
    """Return how real each pack of rows looks, shape (n / pack,).

    Parameters
    ----------
    weights : mapping
        Of `new_critic`.
    rows : torch.Tensor
        Features, shape (n, f); each `pack` rows in turn are one pack.
    slots : torch.Tensor
        Slot that each row was asked to have, shape (n,).
    pack : int
        Rows in a pack.
    """
    from torch.nn.functional import leaky_relu

    asked = weights["condition"][slots]
    hidden = leaky_relu(rows @ weights["w0"] + weights["b0"] + asked, _SLOPE)
    hidden = hidden.reshape(len(rows) // pack, -1) @ weights["w1"] + weights["b1"]
    hidden = leaky_relu(hidden, _SLOPE) @ weights["w2"] + weights["b2"]
    return (leaky_relu(hidden, _SLOPE) @ weights["w3"])[:, 0]


def normal(rows: int, columns: int, scale: float, random: torch.Generator) -> torch.Tensor:
    """Return normal weights with this standard deviation, on the generator's device."""
    import torch

    empty = torch.empty(rows, columns, device=random.device)
    return empty.normal_(0.0, float(np.float32(scale)), generator=random)


def full(size: int, value: float, random: torch.Generator) -> torch.Tensor:
    """Return equal weights, on the generator's device."""
    import torch

    return torch.full((size,), value, device=random.device)
