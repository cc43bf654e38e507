"""Margins of the conditional GAN: measured after training and brought to those of the real rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .networks import generate, settled
from .rows import Features
from .training import gumbel

if TYPE_CHECKING:
    import torch

    from .networks import Weights

_MOST_DRAWS, _MOST_CELLS = 49_152, 20_000_000
_ROUNDS, _PACE = 20, 0.7
_LEAST_SHARE, _LARGEST_STEP = 1e-4, 1.0
_KNOTS = 33
_LEAST_PLACES = 64


@dataclass(frozen=True)
class Margins:
    """What is added to the scores of states, and where places of intervals are moved.

    Parameters
    ----------
    bias : torch.Tensor
        Added to the scores, shape (p,): states that come too rarely become commoner.
    knots : torch.Tensor
        Quantiles of the places in each interval, shape (h, k): they go to even ones.
    """

    bias: torch.Tensor
    knots: torch.Tensor

    @classmethod
    def untouched(cls, features: Features) -> Margins:
        """Return margins that change nothing."""
        import torch

        device = features.used.device
        even = torch.linspace(-1, 1, _KNOTS, device=device)
        knots = even.repeat(len(features.interval_slots), 1)
        return cls(torch.zeros(features.layout.n_slots, device=device), knots)

    def places(self, tanh_places: torch.Tensor) -> torch.Tensor:
        """Return places spread evenly over -1 to 1, shape (n, h)."""
        import torch

        given = tanh_places.T.contiguous()
        after = torch.searchsorted(self.knots, given).clamp(1, _KNOTS - 1)
        low, high = self.knots.gather(1, after - 1), self.knots.gather(1, after)
        within = ((given - low) / (high - low).clamp_min(1e-9)).clamp(0, 1)
        return (2 * (after - 1 + within) / (_KNOTS - 1) - 1).T


def calibrate(
    average: Weights, features: Features, shares: torch.Tensor, random: torch.Generator
) -> tuple[dict[str, torch.Tensor], Margins]:
    """Return the generator with its normalisation settled, and margins measured on up to 49,152 rows.

    Parameters
    ----------
    average : mapping
        Weights that the training gave.
    features : Features
        Where states stand.
    shares : torch.Tensor
        Share of each slot among the real rows, shape (p,); a span's sum is 1.
    random : torch.Generator
        Source of noise.
    """
    import torch

    device = shares.device
    weights = settled(average, *_asked(average, shares, random))
    noise, slots = _asked(average, shares, random)
    scores, places = generate(weights, noise, slots).split(
        [features.layout.n_slots, len(features.interval_slots)], 1
    )
    scores = scores.masked_fill(~features.used, -1e9) + gumbel(scores, random)
    bias = torch.zeros(len(shares), device=device)
    for _ in range(_ROUNDS):
        chosen = force_requested_slots(features.layout.choose(scores + bias), slots, features)
        found = torch.bincount(chosen.flatten(), minlength=len(shares)) / len(chosen)
        ratio = (shares + _LEAST_SHARE) / (found + _LEAST_SHARE)
        bias += _PACE * torch.log(ratio).clamp(-_LARGEST_STEP, _LARGEST_STEP)
    states = force_requested_slots(features.layout.choose(scores + bias), slots, features)
    knots = _quantiles(torch.tanh(places), features.one_hot(states)[:, features.interval_slots])
    return weights, Margins(bias.masked_fill(~features.used, 0.0), knots)


def _asked(
    weights: Weights, shares: torch.Tensor, random: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    width = weights["condition"].shape[1]
    n = min(_MOST_DRAWS, _MOST_CELLS // len(shares))
    noise = torch.randn(n, width, generator=random, device=shares.device)
    return noise, torch.multinomial(shares, n, replacement=True, generator=random)


def force_requested_slots(
    states: torch.Tensor, asked: torch.Tensor, features: Features
) -> torch.Tensor:
    """Return the chosen slots, shape (n, s), with the asked one, shape (n,), in its span."""
    return states.scatter(1, features.span_of[asked][:, None], asked[:, None])


def _quantiles(places: torch.Tensor, is_there: torch.Tensor) -> torch.Tensor:
    """Return the quantiles of each column of places over the rows that are there, shape (h, k)."""
    import torch

    even = torch.linspace(-1, 1, _KNOTS, device=places.device)
    if not places.shape[1]:
        return even.repeat(0, 1)
    # Absent places sort to the end, so each column's quantiles are positions among its first ones.
    ordered = torch.where(is_there > 0, places, 2.0).sort(0).values
    count = is_there.sum(0)
    along = (even[:, None] + 1) / 2 * (count - 1).clamp_min(0)
    low = along.floor().long()
    high = along.ceil().long()
    found = torch.lerp(ordered.gather(0, low), ordered.gather(0, high), along - low).T
    found[:, 0], found[:, -1] = -1.0, 1.0
    return torch.where((count >= _LEAST_PLACES)[:, None], found, even).contiguous()
