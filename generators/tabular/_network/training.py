"""Training of the masked network: random and ordered masks, averaged weights, early stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from twinset.core.seeding import rng_for, torch_generator

from .layout import TokenLayout
from .model import MaskedNet, TrainingNoiseLayers

if TYPE_CHECKING:
    import torch

_BETAS = (0.9, 0.98)
_WARM_UP = 100
_MOST_HELD_OUT = 2_000
_CHECKS_PER_ROW = 4
_BATCHES_PER_PASS, _LEAST_STEPS, _MOST_ROWS = 32, 64, 65_536
_AVERAGE_POWER = 8.0


@dataclass(frozen=True)
class NetworkTrainingOptions:
    """How to train: see the settings of `tabular.network`."""

    epochs: int
    batch_rows: int
    learning_rate: float
    weight_decay: float
    patience: int
    max_seconds: float | None
    dropout: float
    blur: float
    fixed_fraction: float = 0.5
    next_weight: float = 0.5


@dataclass
class Progressed:
    """Where training stands: flat weight vectors in the order of `TokenLayout.shapes`, and counters.

    `mean` is the running average of `weights`, `best` that average at the epoch of least held-out
    loss; `first` and `second` are the optimiser's moments. `losses` holds the held-out loss of each
    epoch so far.
    """

    weights: npt.NDArray[np.float32]
    mean: npt.NDArray[np.float32]
    best: npt.NDArray[np.float32]
    first: npt.NDArray[np.float32]
    second: npt.NDArray[np.float32]
    losses: list[float]
    step: int
    seed: int

    @property
    def best_epoch(self) -> int:
        """Number of epochs after which the held-out loss was least; 0 before the first."""
        return int(np.argmin(self.losses)) + 1 if self.losses else 0


def begin(layout: TokenLayout, width: int, blocks: int, rng: np.random.Generator) -> Progressed:
    """Return the state before the first step: weights drawn from `rng`, biases from the margins."""
    parts = []
    for name, shape in layout.shapes(width, blocks).items():
        if name == "out_bias":
            parts.append(layout.marginal_scores())
            continue
        scale = _first_scale(name, shape, width, layout.n_columns)
        parts.append((scale * rng.standard_normal(shape, dtype=np.float32)).ravel())
    flat = np.concatenate(parts)
    seed = int(rng.integers(0, 2**31 - 1))
    zeros = np.zeros_like(flat)
    return Progressed(flat, flat.copy(), flat.copy(), zeros, zeros.copy(), [], 0, seed)


def named(
    layout: TokenLayout, width: int, blocks: int, flat: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return the weight arrays as views into one flat vector."""
    views, at = {}, 0
    for name, shape in layout.shapes(width, blocks).items():
        size = int(np.prod(shape))
        views[name] = flat[at : at + size].view(shape)
        at += size
    return views


def train(
    net: MaskedNet,
    codes: npt.NDArray[np.int64],
    state: Progressed,
    plan: NetworkTrainingOptions,
    width: int,
    order: npt.NDArray[np.int64],
    tell: Callable[[int, int], None],
) -> Progressed:
    """Return the state after training on these rows, going on from `state`.

    Parameters
    ----------
    net : MaskedNet
        The network.
    codes : numpy.ndarray
        Cells of the network's columns in the train rows, shape (n, d).
    state : Progressed
        Where to begin; it is left as it was.
    plan : Plan
        How long and how fast.
    width : int
        Units of the network.
    order : numpy.ndarray
        The fixed order of the columns, as positions in the network.
    tell : callable
        Called with the epochs done and the most there may be.
    """
    trainer = _Trainer(net, codes, state, plan, width, order)
    stop_at = None if plan.max_seconds is None else time.monotonic() + plan.max_seconds
    while trainer.epoch < plan.epochs and trainer.epoch - trainer.best_epoch < plan.patience:
        trainer.run_epoch()
        tell(trainer.epoch, plan.epochs)
        if stop_at is not None and time.monotonic() > stop_at:
            break
    return trainer.state()


class _Trainer:
    def __init__(
        self,
        net: MaskedNet,
        codes: npt.NDArray[np.int64],
        state: Progressed,
        plan: NetworkTrainingOptions,
        width: int,
        order: npt.NDArray[np.int64],
    ) -> None:
        import torch

        self.net, self.plan, self.seed, self.step = net, plan, state.seed, state.step
        self.losses = list(state.losses)
        device = net.device
        vectors = (state.weights, state.mean, state.best, state.first, state.second)
        self.flat, self.mean, self.best, self.first, self.second = (
            torch.tensor(v, device=device) for v in vectors
        )
        self.grad = torch.zeros_like(self.flat)
        self.weights = named(net.layout, width, net.blocks, self.flat)
        grads = named(net.layout, width, net.blocks, self.grad)
        decays = torch.ones_like(self.flat)
        for name, view in named(net.layout, width, net.blocks, decays).items():
            if name.endswith("bias"):
                view.zero_()
        self.decays = decays
        for name in self.weights:
            self.weights[name] = self.weights[name].detach().requires_grad_()
            self.weights[name].grad = grads[name]
        self.averaged = named(net.layout, width, net.blocks, self.mean)
        self.place = torch.as_tensor(np.argsort(order), device=device)
        self._split(codes)

    @property
    def epoch(self) -> int:
        return len(self.losses)

    @property
    def best_epoch(self) -> int:
        return int(np.argmin(self.losses)) + 1 if self.losses else 0

    def _split(self, codes: npt.NDArray[np.int64]) -> None:
        """Hold rows out for early stopping, each with a few masks that stay the same."""
        import torch

        rng = rng_for(self.seed, "held out")
        n_held = min(max(len(codes) // 10, min(len(codes) // 5, 20)), _MOST_HELD_OUT)
        mixed = rng.permutation(len(codes))
        device = self.net.device
        self.rows = torch.as_tensor(codes[np.sort(mixed[n_held:])], device=device)
        held = codes[np.sort(mixed[:n_held])] if n_held else codes
        self.held = torch.as_tensor(np.repeat(held, _CHECKS_PER_ROW, axis=0), device=device)
        generator = torch_generator(rng, device)
        self.held_masks = self._masks(len(self.held), generator, 1.0)
        least = max(len(self.rows) // _BATCHES_PER_PASS, 1)
        self.batch_rows = max(min(self.plan.batch_rows, least), min(32, len(self.rows)))
        self.passes = max(1, -(-_LEAST_STEPS * self.batch_rows // len(self.rows)))
        in_epoch = min(self.passes * len(self.rows), _MOST_ROWS)
        per_epoch = (in_epoch + self.batch_rows // 2) // self.batch_rows
        self.most_steps = self.plan.epochs * max(per_epoch, 1)

    def _masks(
        self, n: int, generator: torch.Generator, next_weight: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return which cells are visible and how much each hidden one counts, both (n, d).

        A row sees the first columns of an order, as many as it may be: of the fixed order, or of one
        of its own. Its hidden cells count equally; under the fixed order the next one counts more.
        """
        import torch

        device, d = self.net.device, len(self.place)
        drawn = torch.rand(n, d, generator=generator, device=device)
        ranks = drawn.argsort(dim=1).argsort(dim=1)
        is_fixed = torch.rand(n, 1, generator=generator, device=device) < self.plan.fixed_fraction
        ranks = torch.where(is_fixed, self.place, ranks)
        seen = torch.randint(0, d, (n, 1), generator=generator, device=device)
        visible = ranks < seen
        share = (~visible) / (d - seen)
        share = torch.where(
            is_fixed, share * (1 - next_weight) + (ranks == seen) * next_weight, share
        )
        return visible, share

    def run_epoch(self) -> None:
        import torch

        rng = rng_for(self.seed, "epoch", self.epoch)
        generator = torch_generator(rng, self.net.device)
        order: list[torch.Tensor] = []
        for _ in range(self.passes):
            n = len(self.rows)
            order.append(torch.randperm(n, generator=generator, device=self.net.device))
        for rows in torch.cat(order)[:_MOST_ROWS].split(self.batch_rows):
            if len(rows) * 2 >= self.batch_rows:
                self._take_step(self.rows[rows], generator)
        self.losses.append(self._held_out_loss())
        if self.losses[-1] <= min(self.losses):
            self.best = self.mean.clone()

    def _take_step(self, codes: torch.Tensor, generator: torch.Generator) -> None:
        import torch

        visible, share = self._masks(len(codes), generator, self.plan.next_weight)
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=self.net.device != "cpu"):
            noise = TrainingNoiseLayers(self.plan.dropout, self.plan.blur, generator)
            lost = self.net.losses(self.weights, codes, visible, noise)
        loss = (lost * share).sum() / len(codes)
        self.grad.zero_()
        loss.backward()
        self.step += 1
        with torch.no_grad():
            self._descend()

    def _descend(self) -> None:
        """Take one step of AdamW on the flat vector, and average the weights.

        The average gives step s the weight s ** 8: it follows closely at first and spans the last
        tenth of the steps at any time, which stands in for a falling learning rate.
        """
        first, second = _BETAS
        norm = self.grad.norm()
        self.grad.mul_((1.0 / (norm + 1e-6)).clamp(max=1.0))
        rate = self.plan.learning_rate * self._pace()
        self.first.lerp_(self.grad, 1 - first)
        self.second.mul_(second).addcmul_(self.grad, self.grad, value=1 - second)
        root = (self.second / (1 - second**self.step)).sqrt_().add_(1e-8)
        self.flat.addcmul_(self.flat, self.decays, value=-rate * self.plan.weight_decay)
        self.flat.addcdiv_(self.first, root, value=-rate / (1 - first**self.step))
        self.mean.lerp_(self.flat, 1 - (1 - 1 / self.step) ** (_AVERAGE_POWER + 1))

    def _pace(self) -> float:
        """Return the part of the learning rate for this step: up over the first, then down to 0."""
        warm = min(_WARM_UP, 0.1 * self.most_steps)
        left = 1.0 - (self.step - 1) / self.most_steps
        return min(1.0, self.step / warm) * 0.5 * (1.0 - math.cos(math.pi * max(left, 0.0)))

    def _held_out_loss(self) -> float:
        """Return the mean held-out -log p of a row, in nats."""
        import torch

        visible, share = self.held_masks
        total = 0.0
        with torch.inference_mode():
            for part in torch.arange(len(self.held), device=self.net.device).split(4096):
                lost = self.net.losses(self.averaged, self.held[part], visible[part])
                total += float((lost * share[part]).sum())
        return float(total / len(self.held) * self.held.shape[1])

    def state(self) -> Progressed:
        weights, mean, best, first, second = (
            v.detach().cpu().numpy().copy()
            for v in (self.flat, self.mean, self.best, self.first, self.second)
        )
        return Progressed(
            weights, mean, best, first, second, list(self.losses), self.step, self.seed
        )


def _first_scale(name: str, shape: tuple[int, ...], width: int, n_columns: int) -> float:
    """Return the standard deviation of fresh weights: outputs begin near the margins."""
    if name == "embed":
        return float(1 / np.sqrt(max(n_columns, 1)))
    if name == "waves":
        return float(1 / np.sqrt(shape[0]))
    if name.startswith("in"):
        return float(1 / np.sqrt(width))
    if name.startswith("back"):
        return float(0.5 / np.sqrt(width))
    if name.endswith("down"):
        return float(1 / np.sqrt(width))
    if name.endswith("scale"):
        return 0.3
    if name.endswith("_out"):
        return 0.02
    return float(0.1 / np.sqrt(width))
