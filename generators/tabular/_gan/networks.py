"""Generator, critic and predictor of the conditional GAN: functions of plain dictionaries of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from twinset.core.features.torch_device import torch

from .layout import StateFeatures

if TYPE_CHECKING:
    Weights = Mapping[str, torch.Tensor]

_SLOPE = 0.2  # of the leaky ReLU of the critic, as in Xu et al.
_EPSILON = 1e-5  # added to variances, as in batch normalisation
# Units and step size of the predictor: it must follow the real rows faster than the generator does.
_PREDICTOR_WIDTH, _PREDICTOR_RATE = 128, 2e-3


def new_generator(
    n_noise: int, width: int, n_slots: int, n_places: int, random: torch.Generator
) -> dict[str, torch.Tensor]:
    """Return first weights of a generator: two residual blocks after Xu et al., then its outputs."""
    n_in, n_out = 2 * n_noise, n_slots + n_places
    weights = {"condition": draw_normal_weights(n_slots, n_noise, 1.0, random)}
    for layer in ("1", "2"):
        weights["w" + layer] = draw_normal_weights(n_in, width, n_in**-0.5, random)
        weights["g" + layer] = fill_weights(width, 1.0, random)
        weights["b" + layer] = fill_weights(width, 0.0, random)
        n_in += width
    weights["w3"] = draw_normal_weights(n_in, n_out, n_in**-0.5, random)
    weights["b3"] = fill_weights(n_out, 0.0, random)
    return weights


def generate_scores(weights: Weights, noise: torch.Tensor, slots: torch.Tensor) -> torch.Tensor:
    """Return scores of all slots and, before the tanh, places of all intervals, shape (n, p + h)."""
    rows = torch.cat([noise, weights["condition"][slots]], 1)
    for layer in ("1", "2"):
        hidden = rows @ weights["w" + layer]
        if "g" + layer in weights:
            spread, mean = torch.var_mean(hidden, 0, unbiased=False)
            hidden = (hidden - mean) * (torch.rsqrt(spread + _EPSILON) * weights["g" + layer])
        rows = torch.cat([torch.relu(hidden + weights["b" + layer]), rows], 1)
    return rows @ weights["w3"] + weights["b3"]


def fix_normalization(
    weights: Weights, noise: torch.Tensor, slots: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return a generator whose normalisation is fixed to the moments of this large batch."""
    fixed = {k: v.detach().clone() for k, v in weights.items() if not k.startswith("g")}
    rows = torch.cat([noise, fixed["condition"][slots]], 1)
    for layer in ("1", "2"):
        hidden = rows @ weights["w" + layer]
        spread, mean = torch.var_mean(hidden, 0, unbiased=False)
        scale = torch.rsqrt(spread + _EPSILON) * weights["g" + layer]
        fixed["w" + layer] = weights["w" + layer] * scale
        fixed["b" + layer] = weights["b" + layer] - mean * scale
        hidden = rows @ fixed["w" + layer] + fixed["b" + layer]
        rows = torch.cat([torch.relu(hidden), rows], 1)
    return {k: v.detach() for k, v in fixed.items()}


def new_critic(
    n_features: int, n_slots: int, width: int, pack: int, random: torch.Generator
) -> dict[str, torch.Tensor]:
    """Return first weights of a critic of packs of `pack` rows (PacGAN, Lin et al. 2018)."""
    narrow = max(32, 3 * width // 8)
    return {
        "condition": draw_normal_weights(n_slots, narrow, 0.3, random),
        "w0": draw_normal_weights(n_features, narrow, n_features**-0.5, random),
        "b0": fill_weights(narrow, 0.0, random),
        "w1": draw_normal_weights(narrow * pack, width, (narrow * pack) ** -0.5, random),
        "b1": fill_weights(width, 0.0, random),
        "w2": draw_normal_weights(width, width, width**-0.5, random),
        "b2": fill_weights(width, 0.0, random),
        "w3": draw_normal_weights(width, 1, width**-0.5, random),
    }


def score_packs(
    weights: Weights, rows: torch.Tensor, slots: torch.Tensor, pack: int
) -> torch.Tensor:
    """Return the critic's score of each pack of rows, shape (n / pack,); larger is more real."""
    requested = weights["condition"][slots]
    hidden = torch.nn.functional.leaky_relu(
        rows @ weights["w0"] + weights["b0"] + requested, _SLOPE
    )
    hidden = hidden.reshape(len(rows) // pack, -1) @ weights["w1"] + weights["b1"]
    hidden = torch.nn.functional.leaky_relu(hidden, _SLOPE) @ weights["w2"] + weights["b2"]
    return (torch.nn.functional.leaky_relu(hidden, _SLOPE) @ weights["w3"])[:, 0]


def gumbel(like: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Return standard Gumbel noise in the shape of `like`."""
    drawn = torch.empty_like(like, requires_grad=False).exponential_(generator=random)
    return -torch.log(drawn.clamp_min_(1e-20))


def draw_normal_weights(
    rows: int, columns: int, scale: float, random: torch.Generator
) -> torch.Tensor:
    """Return normal weights with this standard deviation, on the generator's device."""
    empty = torch.empty(rows, columns, device=random.device)
    return empty.normal_(0.0, float(np.float32(scale)), generator=random)


def fill_weights(size: int, value: float, random: torch.Generator) -> torch.Tensor:
    """Return equal weights, on the generator's device."""
    return torch.full((size,), value, device=random.device)


class Predictor:
    """Predicts the state of the target (a span) from the other columns; trained on real rows.

    The downstream loss of CTAB-GAN+ without its pull towards easy rows: the correlation of the
    prediction error on generated rows with the predictor's hidden units is kept at that of real
    rows. In expectation this is the gradient of the predictor's loss by its last layer, which is
    zero on real rows; a model trained on rows with the same property comes out as on real rows.
    """

    def __init__(self, features: StateFeatures, target: int, random: torch.Generator) -> None:
        layout, device, width = features.layout, features.used.device, features.n_features
        start, size = int(layout.starts[target]), layout.sizes[target]
        self.own = slice(start, start + size)
        places = torch.tensor(layout.numbers, dtype=torch.int64, device=device)
        self.is_other = torch.cat([features.span_of, places, places]) != target
        self.weights = {
            "w1": draw_normal_weights(width, _PREDICTOR_WIDTH, width**-0.5, random),
            "b1": fill_weights(_PREDICTOR_WIDTH, 0.0, random),
            "w2": draw_normal_weights(
                _PREDICTOR_WIDTH, _PREDICTOR_WIDTH, _PREDICTOR_WIDTH**-0.5, random
            ),
            "b2": fill_weights(_PREDICTOR_WIDTH, 0.0, random),
            "w3": draw_normal_weights(_PREDICTOR_WIDTH, size, 0.01, random),
            "b3": fill_weights(size, 0.0, random),
        }
        for weight in self.weights.values():
            weight.requires_grad_()
        self.optimizer: Any = torch.optim.Adam(
            list(self.weights.values()), _PREDICTOR_RATE, fused=True
        )

    def learn(self, real: torch.Tensor) -> None:
        """Take one step on a batch of features of real rows, shape (n, f)."""
        _, scores = self._predict(real)
        loss = -(real[:, self.own] * torch.log_softmax(scores, 1)).sum(1).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def distance(self, generated: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Return an unbiased estimate of the squared distance of the correlations of the errors."""
        with torch.no_grad():
            expected = self._errors(real)
        one, two = (m - r for m, r in zip(self._errors(generated), expected, strict=True))
        return (one * two).sum()

    def _errors(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """Return the mean product of error and hidden units in each half of the rows."""
        hidden, scores = self._predict(rows)
        error = rows[:, self.own] - torch.softmax(scores, 1)
        hidden = torch.cat([hidden, torch.ones_like(hidden[:, :1])], 1)
        half = len(rows) // 2
        halves = zip(error.split(half), hidden.split(half), strict=True)
        return [e.T @ h / half for e, h in halves]

    def _predict(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return hidden units and scores of the states of the target."""
        weights = self.weights
        hidden = torch.relu((rows * self.is_other) @ weights["w1"] + weights["b1"])
        hidden = torch.relu(hidden @ weights["w2"] + weights["b2"])
        return hidden, hidden @ weights["w3"] + weights["b3"]
