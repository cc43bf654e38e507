"""Training of the masked network: random and ordered masks, averaged weights, early stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.features.torch_device import torch, torch_generator
from twinset.core.seeding import rng_for

from .cells import TokenLayout
from .model import MaskedNet, TrainingNoiseLayers

_BETAS = (0.9, 0.98)  # of AdamW, as for transformers: the second moment follows within 50 steps
_WARM_UP = 100  # steps of a rising rate, or a tenth of all: Adam's first moments are noise
_MAX_HOLDOUT = 2_000  # rows for early stopping: their loss has an error below .03 nats
_MASKS_PER_ROW = 4  # of a holdout row, fixed, so that epochs are compared on the same cells
# An epoch has at least 32 batches of a small table, 64 steps, and at most so many rows.
_BATCHES_PER_PASS, _MIN_STEPS, _MAX_ROWS = 32, 64, 65_536
_AVERAGE_POWER = 8.0  # of the average of weights: it spans the last tenth of the steps
VECTORS = ("weights", "mean", "best", "first", "second")


@dataclass(frozen=True)
class NetworkTrainingOptions:
    """Settings of the training; see `tabular.network`."""

    epochs: int
    batch_rows: int
    learning_rate: float
    weight_decay: float
    patience: int
    max_seconds: float | None
    dropout: float
    blur: float
    fixed_fraction: float = 0.5  # rows that are masked along the fixed order
    next_weight: float = 0.5  # of the next column of that order, among all hidden ones


@dataclass
class TrainingState:
    """State of the training: flat weight vectors in the order of `TokenLayout.shapes`, and counters."""

    weights: npt.NDArray[np.float32]
    mean: npt.NDArray[np.float32]  # running average of the weights
    best: npt.NDArray[np.float32]  # that average at the epoch of the smallest holdout loss
    first: npt.NDArray[np.float32]  # moments of the optimiser
    second: npt.NDArray[np.float32]
    losses: list[float]  # holdout loss of each epoch so far
    step: int
    seed: int

    @property
    def best_epoch(self) -> int:
        """Number of epochs after which the holdout loss was smallest; 0 before the first."""
        return int(np.argmin(self.losses)) + 1 if self.losses else 0


def start_training(
    layout: TokenLayout, width: int, blocks: int, rng: np.random.Generator
) -> TrainingState:
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
    return TrainingState(flat, flat.copy(), flat.copy(), zeros, zeros.copy(), [], 0, seed)


def view_weights(
    layout: TokenLayout, width: int, blocks: int, flat: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return the weight arrays as views into one flat vector."""
    views, at = {}, 0
    for name, shape in layout.shapes(width, blocks).items():
        size = int(np.prod(shape))
        views[name] = flat[at : at + size].view(shape)
        at += size
    return views


def train_network(
    net: MaskedNet,
    codes: npt.NDArray[np.int64],
    state: TrainingState,
    options: NetworkTrainingOptions,
    width: int,
    order: npt.NDArray[np.int64],
    progress: Callable[[int, int], None],
) -> TrainingState:
    """Return the state after training on cells of train rows, (n, d), continued from `state`."""
    trainer = _Trainer(net, codes, state, options, width, order)
    stop_at = None if options.max_seconds is None else time.monotonic() + options.max_seconds
    while trainer.epoch < options.epochs and trainer.epoch - trainer.best_epoch < options.patience:
        trainer.run_epoch()
        progress(trainer.epoch, options.epochs)
        if stop_at is not None and time.monotonic() > stop_at:
            break
    return trainer.state()


class _Trainer:
    def __init__(
        self,
        net: MaskedNet,
        codes: npt.NDArray[np.int64],
        state: TrainingState,
        options: NetworkTrainingOptions,
        width: int,
        order: npt.NDArray[np.int64],
    ) -> None:
        self.net, self.options, self.seed, self.step = net, options, state.seed, state.step
        self.losses = list(state.losses)
        device = net.device
        vectors = (torch.tensor(getattr(state, name), device=device) for name in VECTORS)
        self.flat, self.mean, self.best, self.first, self.second = vectors
        self.grad = torch.zeros_like(self.flat)
        self.weights = view_weights(net.layout, width, net.blocks, self.flat)
        grads = view_weights(net.layout, width, net.blocks, self.grad)
        decays = torch.ones_like(self.flat)
        for name, view in view_weights(net.layout, width, net.blocks, decays).items():
            if name.endswith("bias"):
                view.zero_()
        self.decays = decays
        for name in self.weights:
            self.weights[name] = self.weights[name].detach().requires_grad_()
            self.weights[name].grad = grads[name]
        self.averaged = view_weights(net.layout, width, net.blocks, self.mean)
        self.place = torch.as_tensor(np.argsort(order), device=device)
        self._split(codes)

    @property
    def epoch(self) -> int:
        return len(self.losses)

    @property
    def best_epoch(self) -> int:
        return int(np.argmin(self.losses)) + 1 if self.losses else 0

    def _split(self, codes: npt.NDArray[np.int64]) -> None:
        """Hold rows out for early stopping, each with a few fixed masks."""
        rng = rng_for(self.seed, "held out")
        n_holdout = min(max(len(codes) // 10, min(len(codes) // 5, 20)), _MAX_HOLDOUT)
        mixed = rng.permutation(len(codes))
        device = self.net.device
        self.rows = torch.as_tensor(codes[np.sort(mixed[n_holdout:])], device=device)
        holdout = codes[np.sort(mixed[:n_holdout])] if n_holdout else codes
        self.holdout = torch.as_tensor(np.repeat(holdout, _MASKS_PER_ROW, axis=0), device=device)
        generator = torch_generator(rng, device)
        self.holdout_masks = self._masks(len(self.holdout), generator, 1.0)
        max_batch = max(len(self.rows) // _BATCHES_PER_PASS, 1)
        self.batch_rows = max(min(self.options.batch_rows, max_batch), min(32, len(self.rows)))
        self.passes = max(1, -(-_MIN_STEPS * self.batch_rows // len(self.rows)))
        in_epoch = min(self.passes * len(self.rows), _MAX_ROWS)
        per_epoch = (in_epoch + self.batch_rows // 2) // self.batch_rows
        self.max_steps = self.options.epochs * max(per_epoch, 1)

    def _masks(
        self, n: int, generator: torch.Generator, next_weight: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return which cells are visible and the weight of each hidden one, both (n, d)."""
        device, d = self.net.device, len(self.place)
        drawn = torch.rand(n, d, generator=generator, device=device)
        ranks = drawn.argsort(dim=1).argsort(dim=1)
        is_fixed = (
            torch.rand(n, 1, generator=generator, device=device) < self.options.fixed_fraction
        )
        ranks = torch.where(is_fixed, self.place, ranks)
        seen = torch.randint(0, d, (n, 1), generator=generator, device=device)
        visible = ranks < seen
        share = (~visible) / (d - seen)
        share = torch.where(
            is_fixed, share * (1 - next_weight) + (ranks == seen) * next_weight, share
        )
        return visible, share

    def run_epoch(self) -> None:
        rng = rng_for(self.seed, "epoch", self.epoch)
        generator = torch_generator(rng, self.net.device)
        order: list[torch.Tensor] = []
        for _ in range(self.passes):
            n = len(self.rows)
            order.append(torch.randperm(n, generator=generator, device=self.net.device))
        for rows in torch.cat(order)[:_MAX_ROWS].split(self.batch_rows):
            if len(rows) * 2 >= self.batch_rows:
                self._take_step(self.rows[rows], generator)
        self.losses.append(self._holdout_loss())
        if self.losses[-1] <= min(self.losses):
            self.best = self.mean.clone()

    def _take_step(self, codes: torch.Tensor, generator: torch.Generator) -> None:
        visible, share = self._masks(len(codes), generator, self.options.next_weight)
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=self.net.device != "cpu"):
            noise = TrainingNoiseLayers(self.options.dropout, self.options.blur, generator)
            lost = self.net.losses(self.weights, codes, visible, noise)
        loss = (lost * share).sum() / len(codes)
        self.grad.zero_()
        loss.backward()
        self.step += 1
        with torch.no_grad():
            self._descend()

    def _descend(self) -> None:
        """Take one step of AdamW on the flat vector, and average the weights.

        Step s has the weight s ** 8 in the average, which replaces a falling learning rate.
        """
        first, second = _BETAS
        norm = self.grad.norm()
        self.grad.mul_((1.0 / (norm + 1e-6)).clamp(max=1.0))
        rate = self.options.learning_rate * self._pace()
        self.first.lerp_(self.grad, 1 - first)
        self.second.mul_(second).addcmul_(self.grad, self.grad, value=1 - second)
        root = (self.second / (1 - second**self.step)).sqrt_().add_(1e-8)
        self.flat.addcmul_(self.flat, self.decays, value=-rate * self.options.weight_decay)
        self.flat.addcdiv_(self.first, root, value=-rate / (1 - first**self.step))
        self.mean.lerp_(self.flat, 1 - (1 - 1 / self.step) ** (_AVERAGE_POWER + 1))

    def _pace(self) -> float:
        """Return the part of the learning rate for this step: up over the first, then down to 0."""
        warm = min(_WARM_UP, 0.1 * self.max_steps)
        left = 1.0 - (self.step - 1) / self.max_steps
        return min(1.0, self.step / warm) * 0.5 * (1.0 - math.cos(math.pi * max(left, 0.0)))

    def _holdout_loss(self) -> float:
        """Return the mean held-out -log p of a row, in nats."""
        visible, share = self.holdout_masks
        total = 0.0
        with torch.inference_mode():
            for part in torch.arange(len(self.holdout), device=self.net.device).split(4096):
                lost = self.net.losses(self.averaged, self.holdout[part], visible[part])
                total += float((lost * share[part]).sum())
        return float(total / len(self.holdout) * self.holdout.shape[1])

    def state(self) -> TrainingState:
        vectors = (self.flat, self.mean, self.best, self.first, self.second)
        arrays = {
            name: v.detach().cpu().numpy().copy() for name, v in zip(VECTORS, vectors, strict=True)
        }
        return TrainingState(**arrays, losses=list(self.losses), step=self.step, seed=self.seed)


def _first_scale(name: str, shape: tuple[int, ...], width: int, n_columns: int) -> float:
    """Return the standard deviation of first weights: outputs begin near the margins."""
    if name == "embed":
        return float(1 / np.sqrt(max(n_columns, 1)))
    if name == "waves":
        return float(1 / np.sqrt(shape[0]))
    if name.startswith("in") or name.endswith("down"):
        return float(1 / np.sqrt(width))
    if name.startswith("back"):
        return float(0.5 / np.sqrt(width))
    if name.endswith("scale"):
        return 0.3
    if name.endswith("_out"):
        return 0.02
    return float(0.1 / np.sqrt(width))
