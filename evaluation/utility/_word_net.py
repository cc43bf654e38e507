"""A small network of bags of words and word pairs, trained within seconds on one thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.features.models import Task, word_model
from twinset.core.features.torch_device import one_thread, require_torch
from twinset.core.seeding import rng_for, torch_generator

Floats = npt.NDArray[np.float64]

_WIDTH = 64  # units: more add seconds and no accuracy on labelled messages
_BATCH = 32  # texts of a step
_RATE = 2e-2  # learning rate at which a few hundred steps are enough
_EPOCHS, _MIN_STEPS, _MAX_STEPS = (
    6,
    300,
    3_000,
)  # small sets are trained longer, large ones bounded in time
_TERM_DROPOUT, _UNIT_DROPOUT = 0.1, 0.5  # shares dropped in training, against overfitting
_PREDICTED_AT_ONCE = 4_096  # texts, to bound memory

TEXT_MODELS = {"linear": ("words",), "net": ("net",), "both": ("words", "net")}
"""Setting of a metric -> names of the models of texts."""


def build_text_model(name: str, task: Task, seed: int) -> Any:
    """Return the unfitted model of texts, "words" or "net".

    Raises
    ------
    MissingExtraError
        The net is requested and torch is not installed.
    """
    if name == "words":
        return word_model(task)
    require_torch()
    return WordNet(task, seed)


@dataclass(frozen=True)
class WordNet:
    """A sum of term embeddings, one layer of rectified units, and a linear output.

    It has the interface of an estimator of scikit-learn, for the sparse rows of `word_features`, so that
    the network and the linear model use the same words.

    Parameters
    ----------
    task : {"classification", "regression"}
        Kind of outcome.
    seed : int
        Seed of weights, batches and dropout.

    References
    ----------
    Iyyer, Manjunatha, Boyd-Graber and Daume, "Deep Unordered Composition Rivals Syntactic Methods for
    Text Classification", ACL 2015.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> x = csr_matrix(np.repeat([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], 20, axis=0))
    >>> y = np.repeat([0.0, 1.0], 20)
    >>> net = WordNet("classification", seed=1).fit(x, y)
    >>> net.predict_proba(x[[0, 39]]).argmax(axis=1).tolist()
    [0, 1]
    """

    task: str
    seed: int

    def fit(self, x: Any, y: Floats, weight: Floats | None = None) -> FittedWordNet:
        """Return the network, trained for a number of steps that depends on the rows alone.

        Parameters
        ----------
        x : sparse matrix, shape (n, d)
            Features of the rows.
        y : numpy.ndarray, shape (n,)
            Classes or numbers.
        weight : numpy.ndarray, shape (n,), optional
            Weight of each row; by default all are equal.
        """
        import torch

        rng = rng_for(self.seed, "word net")
        generator, draws = torch_generator(rng), rng.spawn(1)[0]
        classes, codes = np.unique(y, return_inverse=True)
        middle, spread = float(y.mean()), float(y.std()) or 1.0
        is_number = self.task == "regression"
        targets = torch.from_numpy(
            ((y - middle) / spread).astype(np.float32) if is_number else codes
        )
        shares = np.ones(len(y)) if weight is None else weight / weight.mean()
        rows = _SparseRows.from_matrix(x, np.unique(x.indices))
        with one_thread():
            layers = _draw_layers(rows.n_columns, 1 if is_number else len(classes), generator)
            _train(layers, rows, targets, torch.from_numpy(shares.astype(np.float32)), draws)
        return FittedWordNet(layers, rows.columns, classes, middle, spread)


@dataclass(frozen=True)
class FittedWordNet:
    """A trained network with the interface of an estimator of scikit-learn."""

    layers: Any
    columns: npt.NDArray[np.int64]
    classes_: Floats
    middle: float
    spread: float

    def predict_proba(self, x: Any) -> Floats:
        """Return the probability of each class, shape (n, classes)."""
        output = self._forward(x)
        odds = np.exp(output - output.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    def predict(self, x: Any) -> Floats:
        """Return the number for each row, shape (n,)."""
        return self._forward(x)[:, 0] * self.spread + self.middle

    def _forward(self, x: Any) -> Floats:
        import torch

        parts = []
        with one_thread(), torch.no_grad():
            for start in range(0, x.shape[0], _PREDICTED_AT_ONCE):
                rows = _SparseRows.from_matrix(x[start : start + _PREDICTED_AT_ONCE], self.columns)
                bags = rows.bags(np.arange(len(rows)))
                parts.append(_forward(self.layers, *bags).numpy())
        return np.concatenate(parts).astype(np.float64)


@dataclass(frozen=True)
class _SparseRows:
    """Sparse rows with numbered columns; columns that training never saw are excluded."""

    places: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    bounds: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]

    @classmethod
    def from_matrix(cls, x: Any, columns: npt.NDArray[np.int64]) -> _SparseRows:
        known = np.isin(x.indices, columns)
        owners = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))[known]
        counts = np.bincount(owners, minlength=x.shape[0])
        bounds = np.concatenate([[0], np.cumsum(counts)])
        places = np.searchsorted(columns, x.indices[known])
        return cls(places, x.data[known].astype(np.float32), bounds, columns)

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def n_columns(self) -> int:
        return len(self.columns)

    def bags(self, rows: npt.NDArray[np.int64]) -> tuple[Any, Any, Any]:
        """Return the terms of some rows, the offset of each row, and the values, as tensors."""
        import torch

        firsts, sizes = self.bounds[rows], np.diff(self.bounds)[rows]
        offsets = np.cumsum(sizes) - sizes
        at = np.repeat(firsts - offsets, sizes) + np.arange(int(sizes.sum()))
        return (
            torch.from_numpy(self.places[at]),
            torch.from_numpy(offsets),
            torch.from_numpy(self.values[at]),
        )


def _draw_layers(n_columns: int, n_outputs: int, generator: Any) -> dict[str, Any]:
    """Return weights from the generator alone; the state of torch does not change."""
    import torch

    def draw(*shape: int, scale: float) -> Any:
        return (torch.randn(shape, generator=generator) * scale).requires_grad_()

    return {
        "terms": draw(n_columns, _WIDTH, scale=0.1),
        "bias": torch.zeros(_WIDTH, requires_grad=True),
        "output": draw(_WIDTH, n_outputs, scale=float(np.sqrt(1 / _WIDTH))),
        "output_bias": torch.zeros(n_outputs, requires_grad=True),
    }


def _forward(layers: dict[str, Any], terms: Any, offsets: Any, values: Any, kept: Any = 1.0) -> Any:
    from torch.nn.functional import embedding_bag

    summed = embedding_bag(
        terms, layers["terms"], offsets, mode="sum", per_sample_weights=values, sparse=True
    )
    return ((summed + layers["bias"]).relu() * kept) @ layers["output"] + layers["output_bias"]


def _train(
    layers: dict[str, Any], rows: _SparseRows, targets: Any, shares: Any, rng: np.random.Generator
) -> None:
    import torch

    steps = int(np.clip(_EPOCHS * len(rows) // _BATCH, _MIN_STEPS, _MAX_STEPS))
    dense = [layers[name] for name in ("bias", "output", "output_bias")]
    optimisers = [
        torch.optim.SparseAdam([layers["terms"]], lr=_RATE),
        torch.optim.AdamW(dense, lr=_RATE),
    ]
    for step in range(steps):
        chosen = rng.integers(0, len(rows), _BATCH)
        terms, offsets, values = rows.bags(chosen)
        dropped = torch.from_numpy(rng.random(len(values)) < _TERM_DROPOUT)
        kept = (rng.random((_BATCH, _WIDTH)) >= _UNIT_DROPOUT) / (1 - _UNIT_DROPOUT)
        bags = (terms, offsets, values.masked_fill(dropped, 0.0))
        output = _forward(layers, *bags, torch.from_numpy(kept.astype(np.float32)))
        loss = (_losses(output, targets[chosen]) * shares[chosen]).mean()
        for optimiser in optimisers:
            optimiser.param_groups[0]["lr"] = _RATE * (1 - step / steps)
            optimiser.zero_grad()
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()


def _losses(output: Any, targets: Any) -> Any:
    from torch.nn.functional import cross_entropy, mse_loss

    if targets.dtype.is_floating_point:
        return mse_loss(output[:, 0], targets, reduction="none")
    return cross_entropy(output, targets, reduction="none")
