"""A small net that reads texts as bags of words and pairs, trained within seconds on one thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.features.hashed_words import word_model
from twinset.core.features.models import Task
from twinset.core.features.torch_device import one_thread, require_torch
from twinset.core.seeding import rng_for, torch_generator

Floats = npt.NDArray[np.float64]

_WIDTH = 64
_BATCH = 32
_RATE = 2e-2
_EPOCHS, _FEWEST_STEPS, _MOST_STEPS = 6, 300, 3_000
_LOST_TERMS, _LOST_UNITS = 0.1, 0.5
_APPLIED_AT_ONCE = 4_096

TEXT_JUDGES = {"linear": ("words",), "net": ("net",), "both": ("words", "net")}
"""Who reads texts: setting of a metric -> names of judges."""


def text_model(judge: str, task: Task, seed: int) -> Any:
    """Return the model by which a judge, "words" or "net", reads texts.

    Raises
    ------
    MissingExtraError
        The net is asked for and torch is not installed.
    """
    if judge == "words":
        return word_model(task)
    require_torch()
    return WordNet(task, seed)


@dataclass(frozen=True)
class WordNet:
    """An embedding of terms, summed up, one layer of rectified units, and a linear answer.

    It is fitted and asked like an estimator of scikit-learn, on the sparse rows of `word_features`: so
    the net and the linear model read the same words.

    Parameters
    ----------
    task : {"classification", "regression"}
        Whether it answers with probabilities or with a number.
    seed : int
        Decides weights, batches and what is left out while it learns.

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
        """Return the net, trained for a number of steps that the rows alone decide.

        Parameters
        ----------
        x : sparse matrix, shape (n, d)
            Features of the rows.
        y : numpy.ndarray, shape (n,)
            Classes or numbers.
        weight : numpy.ndarray, shape (n,), optional
            How much each row counts; by default all count alike.
        """
        import torch

        rng = rng_for(self.seed, "word net")
        generator, draws = torch_generator(rng), rng.spawn(1)[0]
        classes, codes = np.unique(y, return_inverse=True)
        middle, spread = float(y.mean()), float(y.std()) or 1.0
        counts = self.task == "regression"
        answers = torch.from_numpy(((y - middle) / spread).astype(np.float32) if counts else codes)
        shares = np.ones(len(y)) if weight is None else weight / weight.mean()
        rows = _Rows.of(x, np.unique(x.indices))
        with one_thread():
            layers = _layers(rows.n_columns, 1 if counts else len(classes), generator)
            _train(layers, rows, answers, torch.from_numpy(shares.astype(np.float32)), draws)
        return FittedWordNet(layers, rows.columns, classes, middle, spread)


@dataclass(frozen=True)
class FittedWordNet:
    """A trained net, asked like an estimator of scikit-learn."""

    layers: Any
    columns: npt.NDArray[np.int64]
    classes_: Floats
    middle: float
    spread: float

    def predict_proba(self, x: Any) -> Floats:
        """Return the probability of each class, shape (n, classes)."""
        said = self._said(x)
        odds = np.exp(said - said.max(axis=1, keepdims=True))
        out: Floats = odds / odds.sum(axis=1, keepdims=True)
        return out

    def predict(self, x: Any) -> Floats:
        """Return the number for each row, shape (n,)."""
        return self._said(x)[:, 0] * self.spread + self.middle

    def _said(self, x: Any) -> Floats:
        import torch

        parts = []
        with one_thread(), torch.no_grad():
            for start in range(0, x.shape[0], _APPLIED_AT_ONCE):
                rows = _Rows.of(x[start : start + _APPLIED_AT_ONCE], self.columns)
                bags = rows.bags(np.arange(len(rows)))
                parts.append(_forward(self.layers, *bags).numpy())
        return np.concatenate(parts).astype(np.float64)


@dataclass(frozen=True)
class _Rows:
    """Sparse rows with their columns counted through, those that training never saw left out."""

    places: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    bounds: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]

    @classmethod
    def of(cls, x: Any, columns: npt.NDArray[np.int64]) -> _Rows:
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
        """Return the terms of some rows, where each row's begin, and their values, as tensors."""
        import torch

        firsts, sizes = self.bounds[rows], np.diff(self.bounds)[rows]
        offsets = np.cumsum(sizes) - sizes
        at = np.repeat(firsts - offsets, sizes) + np.arange(int(sizes.sum()))
        return (
            torch.from_numpy(self.places[at]),
            torch.from_numpy(offsets),
            torch.from_numpy(self.values[at]),
        )


def _layers(n_columns: int, n_answers: int, generator: Any) -> dict[str, Any]:
    """Return the weights; they come from the generator alone, torch's own state stays as it is."""
    import torch

    def drawn(*shape: int, scale: float) -> Any:
        return (torch.randn(shape, generator=generator) * scale).requires_grad_()

    return {
        "terms": drawn(n_columns, _WIDTH, scale=0.1),
        "bias": torch.zeros(_WIDTH, requires_grad=True),
        "answers": drawn(_WIDTH, n_answers, scale=float(np.sqrt(1 / _WIDTH))),
        "usual": torch.zeros(n_answers, requires_grad=True),
    }


def _forward(layers: dict[str, Any], terms: Any, offsets: Any, values: Any, kept: Any = 1.0) -> Any:
    from torch.nn.functional import embedding_bag

    summed = embedding_bag(
        terms, layers["terms"], offsets, mode="sum", per_sample_weights=values, sparse=True
    )
    return ((summed + layers["bias"]).relu() * kept) @ layers["answers"] + layers["usual"]


def _train(
    layers: dict[str, Any], rows: _Rows, answers: Any, shares: Any, rng: np.random.Generator
) -> None:
    import torch

    steps = int(np.clip(_EPOCHS * len(rows) // _BATCH, _FEWEST_STEPS, _MOST_STEPS))
    dense = [layers[name] for name in ("bias", "answers", "usual")]
    optimisers = [
        torch.optim.SparseAdam([layers["terms"]], lr=_RATE),
        torch.optim.AdamW(dense, lr=_RATE),
    ]
    for step in range(steps):
        chosen = rng.integers(0, len(rows), _BATCH)
        terms, offsets, values = rows.bags(chosen)
        lost = torch.from_numpy(rng.random(len(values)) < _LOST_TERMS)
        kept = (rng.random((_BATCH, _WIDTH)) >= _LOST_UNITS) / (1 - _LOST_UNITS)
        bags = (terms, offsets, values.masked_fill(lost, 0.0))
        said = _forward(layers, *bags, torch.from_numpy(kept.astype(np.float32)))
        loss = (_losses(said, answers[chosen]) * shares[chosen]).mean()
        for optimiser in optimisers:
            optimiser.param_groups[0]["lr"] = _RATE * (1 - step / steps)
            optimiser.zero_grad()
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()


def _losses(said: Any, wanted: Any) -> Any:
    from torch.nn.functional import cross_entropy, mse_loss

    if wanted.dtype.is_floating_point:
        return mse_loss(said[:, 0], wanted, reduction="none")
    return cross_entropy(said, wanted, reduction="none")
