"""The training loop of the conditional GAN: critic with gradient penalty, generator with moments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twinset.core.contracts import Progress
from twinset.core.features.torch_device import torch

from .layout import RealRows, StateFeatures
from .networks import Predictor, generate_scores, new_critic, new_generator, score_packs

_BETAS = (0.5, 0.9)  # of Adam, as in Xu et al.
_PENALTY_EVERY = 4  # steps; the second derivative costs as much as the rest of a step
_EVERY_OTHER = 2  # moments and predictor alternate, each with twice its weight
# A moment is divided by the fourth roots of both mean squares, so that rare cells count more than by
# their share; cells below 1e-4 are noise.
_MIN_MOMENT, _MOMENT_POWER = 1e-4, 0.25
_MAX_FEATURES = 1_024  # of which all pairs are compared: the cost grows as their square
_AVERAGE = 0.995  # of the weights of the step before: the mean spans the last few hundred steps
_REPORT_EVERY = 20  # steps between two calls of `progress`


@dataclass(frozen=True)
class GanTrainingOptions:
    """Settings of the training; see `tabular.gan`."""

    steps: int
    batch_rows: int
    pack: int
    width: int
    noise: int
    learning_rate: float
    temperature: float
    penalty: float
    moments: float
    downstream: float


def train_gan(
    real: RealRows,
    options: GanTrainingOptions,
    target: int | None,
    random: torch.Generator,
    progress: Progress,
) -> dict[str, torch.Tensor]:
    """Return the running average of the generator's weights over the last few hundred steps."""
    features = real.features
    n_slots, n_places = features.layout.n_slots, len(features.interval_slots)
    generator = new_generator(options.noise, options.width, n_slots, n_places, random)
    critic = new_critic(features.n_features, n_slots, options.width, options.pack, random)
    average = {name: weight.clone() for name, weight in generator.items()}
    optimizers = [_adam(weights, options) for weights in (generator, critic)]
    match = PairMoments(real)
    predictor = None
    if options.downstream and target is not None:
        predictor = Predictor(features, target, random)
    n_rows = max(options.batch_rows // (2 * options.pack), 1) * 2 * options.pack
    for step in range(options.steps):
        _slow_down(optimizers, options, step)
        slots, rows = real.batch(n_rows, random)
        generated = draw_rows(generator, features, slots, options, random)
        penalty = options.penalty if step % _PENALTY_EVERY == 0 else 0.0
        loss = critic_loss(critic, rows, generated.detach(), slots, options.pack, penalty, random)
        _step(optimizers[1], loss)
        loss = -score_packs(critic, generated, slots, options.pack).mean()
        if options.moments and step % _EVERY_OTHER == 0:
            loss = loss + options.moments * _EVERY_OTHER * match.distance(generated, rows, random)
        if predictor and step % _EVERY_OTHER:
            predictor.learn(rows)
            loss = loss + options.downstream * _EVERY_OTHER * predictor.distance(generated, rows)
        _step(optimizers[0], loss)
        share = 1 - min(_AVERAGE, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.values()), list(generator.values()), share)
        if step % _REPORT_EVERY == 0 or step == options.steps - 1:
            progress("train", step + 1, options.steps)
    return average


def draw_rows(
    weights: dict[str, torch.Tensor],
    features: StateFeatures,
    slots: torch.Tensor,
    options: GanTrainingOptions,
    random: torch.Generator,
) -> torch.Tensor:
    """Return generated rows of features that have the requested states, shape (n, f).

    States are drawn by the straight-through Gumbel softmax (Jang et al. 2017): one-hot as in real
    rows, with the gradient of the softmax. The requested state is written into the row.
    """
    device = slots.device
    noise = torch.randn(len(slots), options.noise, generator=random, device=device)
    scores, places = generate_scores(weights, noise, slots).split(
        [features.layout.n_slots, len(features.interval_slots)], 1
    )
    scores = scores.masked_fill(~features.used, -1e9) + gumbel(scores, random)
    soft = features.layout.softmax(scores / options.temperature)
    hard = features.one_hot(features.layout.choose(scores.detach()))
    states = hard + soft - soft.detach()
    is_requested = features.span_of == features.span_of[slots][:, None]
    requested = features.one_hot(slots[:, None])
    return features.rows(torch.where(is_requested, requested, states), torch.tanh(places))


def gumbel(like: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Return standard Gumbel noise in the shape of `like`."""
    drawn = torch.empty_like(like, requires_grad=False).exponential_(generator=random)
    return -torch.log(drawn.clamp_min_(1e-20))


def critic_loss(
    critic: dict[str, torch.Tensor],
    real: torch.Tensor,
    generated: torch.Tensor,
    slots: torch.Tensor,
    pack: int,
    penalty: float,
    random: torch.Generator,
) -> torch.Tensor:
    """Return the Wasserstein loss with gradient penalty (Gulrajani et al. 2017) of the critic."""
    loss = (
        score_packs(critic, generated, slots, pack).mean()
        - score_packs(critic, real, slots, pack).mean()
    )
    if not penalty:
        return loss
    n_packs = len(real) // pack
    along = torch.rand(n_packs, generator=random, device=real.device).repeat_interleave(pack)
    between = (generated + along[:, None] * (real - generated)).requires_grad_()
    total = score_packs(critic, between, slots, pack).sum()
    (slope,) = torch.autograd.grad(total, between, create_graph=True)
    lengths = slope.reshape(n_packs, -1).norm(dim=1)
    return loss + penalty * ((lengths - 1) ** 2).mean()


class PairMoments:
    """Distance between the mean products of any two features in real and in generated rows.

    For one-hot features a mean product is a cell of the table of two columns, for ranks it is their
    correlation. The two halves of a batch are independent, so the product of their deviations is an
    unbiased estimate of the squared distance; rare cells weigh more than by their share.

    Up to 1,024 features the real products are those of all rows; beyond, each step compares as
    many features at random with a batch of real rows, so that the cost stays bounded.
    """

    def __init__(self, real: RealRows) -> None:
        own = real.mean_squares()
        scale = own.clamp_min(_MIN_MOMENT) ** -_MOMENT_POWER
        self.scale = torch.where(own > 0, scale, 0.0)
        self.expected: torch.Tensor | None = None
        if len(own) <= _MAX_FEATURES:
            self.expected = real.moments() * self.scale * self.scale[:, None]

    def distance(
        self, generated: torch.Tensor, real: torch.Tensor, random: torch.Generator
    ) -> torch.Tensor:
        """Return the estimate for two batches of features, shape (n, f) each."""
        half = len(generated) // 2
        if self.expected is not None:
            parts = (generated * self.scale).split(half)
            one, two = (part.T @ part / half - self.expected for part in parts)
            return (one * two).sum()
        order = torch.rand(len(self.scale), generator=random, device=generated.device).argsort()
        some = order[:_MAX_FEATURES]
        generated, real = generated[:, some] * self.scale[some], real[:, some] * self.scale[some]
        one, two = (
            (m.T @ m - r.T @ r) / half
            for m, r in zip(generated.split(half), real.split(half), strict=True)
        )
        return (one * two).sum() * (len(order) / _MAX_FEATURES) ** 2


def _adam(weights: dict[str, torch.Tensor], options: GanTrainingOptions) -> Any:
    for weight in weights.values():
        weight.requires_grad_()
    return torch.optim.Adam(list(weights.values()), options.learning_rate, _BETAS, fused=True)


def _step(optimizer: Any, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    # No gradient of the other network, which the loss passes through.
    loss.backward(inputs=optimizer.param_groups[0]["params"])
    optimizer.step()


def _slow_down(optimizers: list[Any], options: GanTrainingOptions, step: int) -> None:
    """Lower the step size to zero along the second half of the training."""
    left = 2 * (1 - step / options.steps)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * min(1.0, left)
