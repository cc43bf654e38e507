"""Draw rows anew that a model can tell from real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._boosting import SymmetricTrees, bin_edges, binned, boosted
from ._chain_parents import Features, ParentView
from ._chain_table import ChainTable, Matrix

_LEAST_ROWS, _ROWS = 4_000, 20_000
_MOST = 2.0
_WORTH = 0.003
_ROUNDS = 8


@dataclass(frozen=True)
class Rejection:
    """Keep a drawn row as often as rows like it are real.

    A boosted model tells real rows from drawn ones; a row with odds r of being real is kept with
    probability min(1, r / 2) and else drawn anew, which makes the odds of what is kept even. Every
    second draw or so is thrown away, so this is done only where it is worth it: where rows that the
    model has not seen are told apart clearly.

    Parameters
    ----------
    view : ParentView
        What the model looks at: every variable.
    edges : tuple of numpy.ndarray
        Upper edges of the bins of each feature.
    trees : SymmetricTrees
        Log-odds of being real.

    References
    ----------
    Azadi, Olsson, Darrell, Goodfellow and Odena, "Discriminator rejection sampling", ICLR 2019.
    """

    view: ParentView
    edges: tuple[Features, ...]
    trees: SymmetricTrees

    @classmethod
    def of(
        cls,
        table: ChainTable,
        real: Matrix,
        draw: Callable[[int], Matrix],
        rng: np.random.Generator,
    ) -> Rejection | None:
        """Return the model for `real` rows, or None where it saves less than .003 of log-loss.

        Looks at 20,000 real rows at most, and as many of `draw(n)`; None for fewer than 4,000.
        """
        if len(real) < _LEAST_ROWS:
            return None
        if len(real) > _ROWS:
            real = real[np.sort(rng.choice(len(real), _ROWS, replace=False))]
        both = np.concatenate([real, draw(len(real))])
        is_real = np.arange(len(both)) < len(real)
        everything = range(both.shape[1])
        view = ParentView.of(both, table.variables, everything, is_real.astype(np.int64), None)
        features = view.features(both)
        edges = bin_edges(features)
        trees = boosted(binned(features, edges), is_real, rng, np.zeros(len(both)), worth=_WORTH)
        return cls(view, edges, trees) if trees.gain >= _WORTH else None

    def redraw(
        self, made: Matrix, draw: Callable[[int], Matrix], rng: np.random.Generator
    ) -> Matrix:
        """Return the rows with those that are not kept drawn anew; `made` is changed in place.

        After 8 rounds a row stays as it is: a condition may leave nothing that looks real.
        """
        suspects = np.arange(len(made))
        for _ in range(_ROUNDS):
            suspects = suspects[~self._kept(made[suspects], rng)]
            if not len(suspects):
                break
            made[suspects] = draw(len(suspects))
        return made

    def _kept(self, made: Matrix, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
        odds = np.exp(self.trees.log_odds(binned(self.view.features(made), self.edges)))
        return np.asarray(rng.random(len(made)) * _MOST < odds)
