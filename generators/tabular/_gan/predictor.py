"""What the target should be, given the rest: a small network that holds the conditional GAN to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .layout import Features
from .networks import full, normal

if TYPE_CHECKING:
    import torch

_WIDTH = 128
_LEARNING_RATE = 2e-3


class Predictor:
    """Predicts the state of the target from the other columns; learnt on real rows, step by step.

    The downstream loss of CTAB-GAN+ without its pull towards easy rows: not the prediction error on
    generated rows is kept small, but its correlation with what the predictor sees is kept at that
    of real rows. In expectation this is the gradient of the predictor's loss by its last layer,
    which real rows make zero; a model trained on rows that do so, too, comes out as on real rows.

    Parameters
    ----------
    features : Features
        Where states stand.
    target : int
        Span of the target.
    random : torch.Generator
        Source of the first weights.
    """

    def __init__(self, features: Features, target: int, random: torch.Generator) -> None:
        import torch

        layout, device, width = features.layout, features.used.device, features.n_features
        start, size = int(layout.starts[target]), layout.sizes[target]
        self.own = slice(start, start + size)
        places = torch.tensor(layout.numbers, dtype=torch.int64, device=device)
        self.is_other = torch.cat([features.span_of, places, places]) != target
        self.weights = {
            "w1": normal(width, _WIDTH, width**-0.5, random),
            "b1": full(_WIDTH, 0.0, random),
            "w2": normal(_WIDTH, _WIDTH, _WIDTH**-0.5, random),
            "b2": full(_WIDTH, 0.0, random),
            "w3": normal(_WIDTH, size, 0.01, random),
            "b3": full(size, 0.0, random),
        }
        for weight in self.weights.values():
            weight.requires_grad_()
        self.optimizer: Any = torch.optim.Adam(
            list(self.weights.values()), _LEARNING_RATE, fused=True
        )

    def learn(self, real: torch.Tensor) -> None:
        """Take one step on a batch of features of real rows, shape (n, f)."""
        import torch

        _, scores = self._predict(real)
        loss = -(real[:, self.own] * torch.log_softmax(scores, 1)).sum(1).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def distance(self, made: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Return an unbiased estimate of the squared distance of the correlations of the errors."""
        import torch

        with torch.no_grad():
            wanted = self._errors(real)
        one, two = (m - r for m, r in zip(self._errors(made), wanted, strict=True))
        return (one * two).sum()

    def _errors(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """Return the mean product of error and hidden units in each half of the rows."""
        import torch

        hidden, scores = self._predict(rows)
        error = rows[:, self.own] - torch.softmax(scores, 1)
        hidden = torch.cat([hidden, torch.ones_like(hidden[:, :1])], 1)
        half = len(rows) // 2
        halves = zip(error.split(half), hidden.split(half), strict=True)
        return [e.T @ h / half for e, h in halves]

    def _predict(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return hidden units and scores of the states of the target."""
        import torch

        weights = self.weights
        hidden = torch.relu((rows * self.is_other) @ weights["w1"] + weights["b1"])
        hidden = torch.relu(hidden @ weights["w2"] + weights["b2"])
        return hidden, hidden @ weights["w3"] + weights["b3"]
