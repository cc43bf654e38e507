"""The training loop of the conditional GAN: critic with gradient penalty, generator with moments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twinset.core.contracts import Progress

from .layout import Features, RealRows
from .networks import criticise, generate, new_critic, new_generator
from .predictor import Predictor

if TYPE_CHECKING:
    import torch

_BETAS = (0.5, 0.9)
_PENALTY_EVERY = 4
_EVERY_OTHER = 2
_LEAST_MOMENT, _MOMENT_POWER = 1e-4, 0.25
_MOST_FEATURES = 1_024
_AVERAGE = 0.995
_REPORT_EVERY = 20


@dataclass(frozen=True)
class GanTrainingOptions:
    """How to train: see the settings of `tabular.gan`."""

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


def train(
    real: RealRows,
    plan: GanTrainingOptions,
    target: int | None,
    random: torch.Generator,
    progress: Progress,
) -> dict[str, torch.Tensor]:
    """Return the running average of the generator's weights over the last few hundred steps.

    `target` is the span of the target, if the table has one that varies.
    """
    import torch

    features = real.features
    n_slots, n_places = features.layout.n_slots, len(features.interval_slots)
    generator = new_generator(plan.noise, plan.width, n_slots, n_places, random)
    critic = new_critic(features.n_features, n_slots, plan.width, plan.pack, random)
    average = {name: weight.clone() for name, weight in generator.items()}
    optimizers = [_adam(weights, plan) for weights in (generator, critic)]
    match = PairMoments(real)
    predictor = None
    if plan.downstream and target is not None:
        predictor = Predictor(features, target, random)
    n_rows = max(plan.batch_rows // (2 * plan.pack), 1) * 2 * plan.pack
    for step in range(plan.steps):
        _slow_down(optimizers, plan, step)
        slots, rows = real.batch(n_rows, random)
        made = draw_rows(generator, features, slots, plan, random)
        penalty = plan.penalty if step % _PENALTY_EVERY == 0 else 0.0
        loss = critic_loss(critic, rows, made.detach(), slots, plan.pack, penalty, random)
        _step(optimizers[1], loss)
        loss = -criticise(critic, made, slots, plan.pack).mean()
        if plan.moments and step % _EVERY_OTHER == 0:
            loss = loss + plan.moments * _EVERY_OTHER * match.distance(made, rows, random)
        if predictor and step % _EVERY_OTHER:
            predictor.learn(rows)
            loss = loss + plan.downstream * _EVERY_OTHER * predictor.distance(made, rows)
        _step(optimizers[0], loss)
        share = 1 - min(_AVERAGE, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.values()), list(generator.values()), share)
        if step % _REPORT_EVERY == 0 or step == plan.steps - 1:
            progress("train", step + 1, plan.steps)
    return average


def draw_rows(
    weights: dict[str, torch.Tensor],
    features: Features,
    slots: torch.Tensor,
    plan: GanTrainingOptions,
    random: torch.Generator,
) -> torch.Tensor:
    """Return generated rows of features that have the asked states, shape (n, f).

    States are drawn by the straight-through Gumbel softmax (Jang et al. 2017): one-hot as in real
    rows, with the gradient of the softmax. The asked state is written into the row, so it always
    holds.
    """
    import torch

    device = slots.device
    noise = torch.randn(len(slots), plan.noise, generator=random, device=device)
    scores, places = generate(weights, noise, slots).split(
        [features.layout.n_slots, len(features.interval_slots)], 1
    )
    scores = scores.masked_fill(~features.used, -1e9) + gumbel(scores, random)
    soft = features.layout.softmax(scores / plan.temperature)
    hard = features.one_hot(features.layout.choose(scores.detach()))
    states = hard + soft - soft.detach()
    is_asked = features.span_of == features.span_of[slots][:, None]
    wanted = features.one_hot(slots[:, None])
    return features.rows(torch.where(is_asked, wanted, states), torch.tanh(places))


def gumbel(like: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Return standard Gumbel noise in the shape of `like`."""
    import torch

    drawn = torch.empty_like(like, requires_grad=False).exponential_(generator=random)
    return -torch.log(drawn.clamp_min_(1e-20))


def critic_loss(
    critic: dict[str, torch.Tensor],
    real: torch.Tensor,
    made: torch.Tensor,
    slots: torch.Tensor,
    pack: int,
    penalty: float,
    random: torch.Generator,
) -> torch.Tensor:
    """Return the Wasserstein loss with gradient penalty (Gulrajani et al. 2017) of the critic.

    A penalty of 0 leaves the gradient out: it is asked for in every fourth step only.
    """
    import torch

    loss = criticise(critic, made, slots, pack).mean() - criticise(critic, real, slots, pack).mean()
    if not penalty:
        return loss
    n_packs = len(real) // pack
    along = torch.rand(n_packs, generator=random, device=real.device).repeat_interleave(pack)
    between = (made + along[:, None] * (real - made)).requires_grad_()
    total = criticise(critic, between, slots, pack).sum()
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
        import torch

        own = real.mean_squares()
        scale = own.clamp_min(_LEAST_MOMENT) ** -_MOMENT_POWER
        self.scale = torch.where(own > 0, scale, 0.0)
        self.wanted: torch.Tensor | None = None
        if len(own) <= _MOST_FEATURES:
            self.wanted = real.moments() * self.scale * self.scale[:, None]

    def distance(
        self, made: torch.Tensor, real: torch.Tensor, random: torch.Generator
    ) -> torch.Tensor:
        """Return the estimate for two batches of features, shape (n, f) each."""
        import torch

        half = len(made) // 2
        if self.wanted is not None:
            parts = (made * self.scale).split(half)
            one, two = (part.T @ part / half - self.wanted for part in parts)
            return (one * two).sum()
        order = torch.rand(len(self.scale), generator=random, device=made.device).argsort()
        some = order[:_MOST_FEATURES]
        made, real = made[:, some] * self.scale[some], real[:, some] * self.scale[some]
        one, two = (
            (m.T @ m - r.T @ r) / half
            for m, r in zip(made.split(half), real.split(half), strict=True)
        )
        return (one * two).sum() * (len(order) / _MOST_FEATURES) ** 2


def _adam(weights: dict[str, torch.Tensor], plan: GanTrainingOptions) -> Any:
    import torch

    for weight in weights.values():
        weight.requires_grad_()
    return torch.optim.Adam(list(weights.values()), plan.learning_rate, _BETAS, fused=True)


def _step(optimizer: Any, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    # Of the other network, which the loss goes through, no gradient is wanted.
    loss.backward(inputs=optimizer.param_groups[0]["params"])
    optimizer.step()


def _slow_down(optimizers: list[Any], plan: GanTrainingOptions, step: int) -> None:
    """Lower the step size to zero along the second half of the training."""
    left = 2 * (1 - step / plan.steps)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = plan.learning_rate * min(1.0, left)
