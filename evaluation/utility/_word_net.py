"""A small network of bags of words and word pairs, trained within seconds on one thread."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.extras import optional
from twinset.core.features.models import Task, word_model
from twinset.core.features.torch_device import one_thread, require_torch, torch_generator
from twinset.core.seeding import rng_for

Floats = npt.NDArray[np.float64]

_WIDTH = 64  # units: more add seconds and no accuracy on labelled messages
_BATCH = 32  # texts of a step
_RATE = 2e-2  # learning rate at which a few hundred steps are enough
_EPOCHS = 6  # passes over the texts, within the limits of steps
_MIN_STEPS, _MAX_STEPS = 300, 3_000  # small sets are trained longer, large ones bounded in time
_TERM_DROPOUT, _UNIT_DROPOUT = 0.1, 0.5  # shares dropped in training, against overfitting
_PREDICTED_AT_ONCE = 4_096  # texts, to bound memory


def build_text_model(name: str, task: Task, seed: int) -> Any:
    """Return the unfitted model of texts, "words" or "net", which needs torch."""
    if name == "words":
        return word_model(task)
    require_torch()
    return WordNet(task, seed)


class WordNet:
    """A sum of term embeddings, one layer of rectified units, and a linear output.

    It has the interface of an estimator of scikit-learn, for the sparse rows of `word_features`, so that
    the network and the linear model use the same words. The seed is that of weights, batches and dropout.

    References
    ----------
    Iyyer, Manjunatha, Boyd-Graber and Daume, "Deep Unordered Composition Rivals Syntactic Methods for
    Text Classification", ACL 2015.
    """

    def __init__(self, task: Task, seed: int) -> None:
        self.task, self.seed = task, seed

    def fit(self, x: Any, y: Floats, weight: Floats | None = None) -> WordNet:
        """Return the network, trained for a number of steps that depends on the rows alone."""
        torch = optional("torch")
        rng = rng_for(self.seed, "word net")
        generator, draws = torch_generator(rng), rng.spawn(1)[0]
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.middle, self.spread = float(y.mean()), float(y.std()) or 1.0
        is_number = self.task == "regression"
        scaled = ((y - self.middle) / self.spread).astype(np.float32)
        targets = torch.from_numpy(scaled if is_number else codes)
        shares = np.ones(len(y)) if weight is None else weight / weight.mean()
        self.columns = np.unique(x.indices)
        n_outputs = 1 if is_number else len(self.classes_)
        with one_thread():
            self.layers = _draw_layers(len(self.columns), n_outputs, generator)
            shares = torch.from_numpy(shares.astype(np.float32))
            _train(self.layers, x[:, self.columns], targets, shares, draws)
        return self

    def predict_proba(self, x: Any) -> Floats:
        """Return the probability of each class, shape (n, classes)."""
        output = self._forward(x)
        odds = np.exp(output - output.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    def predict(self, x: Any) -> Floats:
        """Return the number for each row, shape (n,)."""
        return np.asarray(self._forward(x)[:, 0] * self.spread + self.middle)

    def _forward(self, x: Any) -> Floats:
        torch = optional("torch")
        # Columns that training never saw are excluded.
        x, starts = x[:, self.columns], range(0, x.shape[0], _PREDICTED_AT_ONCE)
        with one_thread(), torch.no_grad():
            bags = (_bags(x[start : start + _PREDICTED_AT_ONCE]) for start in starts)
            parts = [_forward(self.layers, *bag).numpy() for bag in bags]
        return np.concatenate(parts).astype(np.float64)


def _bags(x: Any) -> tuple[Any, Any, Any]:
    """Return the terms of sparse rows, the offset of each row, and the values, as tensors."""
    torch = optional("torch")
    arrays = x.indices.astype(np.int64), x.indptr[:-1].astype(np.int64), x.data.astype(np.float32)
    terms, offsets, values = map(torch.from_numpy, arrays)
    return terms, offsets, values


def _draw_layers(n_columns: int, n_outputs: int, generator: Any) -> dict[str, Any]:
    """Return weights from the generator alone; the state of torch does not change."""
    torch = optional("torch")

    def draw(*shape: int, scale: float) -> Any:
        return (torch.randn(shape, generator=generator) * scale).requires_grad_()

    return {
        "terms": draw(n_columns, _WIDTH, scale=0.1),
        "bias": torch.zeros(_WIDTH, requires_grad=True),
        "output": draw(_WIDTH, n_outputs, scale=float(np.sqrt(1 / _WIDTH))),
        "output_bias": torch.zeros(n_outputs, requires_grad=True),
    }


def _forward(layers: dict[str, Any], terms: Any, offsets: Any, values: Any, kept: Any = 1.0) -> Any:
    embedding_bag = optional("torch.nn.functional").embedding_bag
    summed = embedding_bag(
        terms, layers["terms"], offsets, mode="sum", per_sample_weights=values, sparse=True
    )
    return ((summed + layers["bias"]).relu() * kept) @ layers["output"] + layers["output_bias"]


def _train(
    layers: dict[str, Any], x: Any, targets: Any, shares: Any, rng: np.random.Generator
) -> None:
    torch = optional("torch")
    functional = optional("torch.nn.functional")
    cross_entropy = functional.cross_entropy
    mse_loss = functional.mse_loss

    is_number = targets.dtype.is_floating_point
    losses = mse_loss if is_number else cross_entropy
    steps = int(np.clip(_EPOCHS * x.shape[0] // _BATCH, _MIN_STEPS, _MAX_STEPS))
    dense = [layers[name] for name in ("bias", "output", "output_bias")]
    sparse = torch.optim.SparseAdam([layers["terms"]], lr=_RATE)
    optimisers = [sparse, torch.optim.AdamW(dense, lr=_RATE)]
    for step in range(steps):
        chosen = rng.integers(0, x.shape[0], _BATCH)
        terms, offsets, values = _bags(x[chosen])
        dropped = torch.from_numpy(rng.random(len(values)) < _TERM_DROPOUT)
        kept = (rng.random((_BATCH, _WIDTH)) >= _UNIT_DROPOUT) / (1 - _UNIT_DROPOUT)
        bags = (terms, offsets, values.masked_fill(dropped, 0.0))
        output = _forward(layers, *bags, torch.from_numpy(kept.astype(np.float32)))
        output = output[:, 0] if is_number else output
        loss = (losses(output, targets[chosen], reduction="none") * shares[chosen]).mean()
        for optimiser in optimisers:
            optimiser.param_groups[0]["lr"] = _RATE * (1 - step / steps)
            optimiser.zero_grad()
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
