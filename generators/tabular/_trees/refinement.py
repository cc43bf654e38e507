"""What two boosted models see wrong in a chain's rows, mended as they are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .boosting import Bins, Floats, Mask, SymmetricTrees, averaged, bin_edges, binned, boosted
from .chain import Chain
from .parents import Features, ParentView
from .table import ChainTable, Matrix, is_there

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


_MOST_ROWS = 20_000
_LEAST_ROWS_OF_LABEL = 200
_MOST_LEVELS = 8
_COMMON_TREES = 40
_WORTH_OF_LABELS = 4e-4
_MODELS = 3


@dataclass(frozen=True)
class TargetCorrection:
    """Change the few labels that the rest of their row speaks against.

    A chain draws its target first and lets every other column follow, each from its own tree, so
    that many small losses add up in the one thing that a model is trained for: the target given
    all the rest. Two boosted models measure it: `common` tells the odds of a level among real and
    drawn rows together, `gap` how much the odds differ between them, whatever `common` misses of
    what both have; where they do not differ it mostly has no trees, and else small ones. A drawn
    label is then kept as often as the overlap of both allows (a maximal coupling), and else replaced
    by a level that the chain draws too seldom there. So the labels agree with the real rows' where a
    difference shows, and stay the chain's everywhere else: drawing all labels from a model would
    lose what it does not see.

    Parameters
    ----------
    column : str
        The target.
    position : int
        Its labels among the variables.
    indicator : int or None
        Variable that is 1 where the target is missing; such rows are left as they are.
    view : ParentView
        What the models look at: all other variables.
    edges : tuple of numpy.ndarray
        Upper edges of the bins of each feature.
    common, gap : tuple of SymmetricTrees
        One per level; a target with two levels has those of its last one only.
    """

    column: str
    position: int
    indicator: int | None
    view: ParentView
    edges: tuple[Features, ...]
    common: tuple[SymmetricTrees, ...]
    gap: tuple[SymmetricTrees, ...]

    @classmethod
    def of(cls, chain: Chain, target: str, rng: np.random.Generator) -> TargetCorrection | None:
        """Return the correction of a chain, or None where the target gives no grounds for one.

        None where it is no category or boolean with 2 to 8 levels, a level has fewer than 200 rows,
        there is no other column, or no difference shows; at most 20,000 real rows are looked at, and
        as many drawn.
        """
        position = _level_of(chain, target)
        if position is None:
            return None
        variable = chain.table.variables[position]
        rows = np.flatnonzero(is_there(chain.matrix, variable))
        if len(rows) > _MOST_ROWS:
            rows = np.sort(rng.choice(rows, _MOST_ROWS, replace=False))
        real = chain.matrix[rows]
        others = [i for i, other in enumerate(chain.table.variables) if other.name != target]
        counts = np.bincount(real[:, position].astype(np.int64), minlength=variable.n_levels)
        if counts.min() < _LEAST_ROWS_OF_LABEL or not others:
            return None
        drawn = chain.draw(len(rows), rng)
        both = np.concatenate([real, drawn[is_there(drawn, variable)]])
        labels = both[:, position].astype(np.int64)
        view = ParentView.of(both, chain.table.variables, others, labels, labels.astype(np.float64))
        features = view.features(both)
        edges = bin_edges(features)
        bins = binned(features, edges)
        side = np.where(np.arange(len(both)) < len(real), 0.5, -0.5)
        common, gap = [], []
        for level in range(1 if variable.n_levels == 2 else 0, variable.n_levels):
            hits = labels == level
            common.append(boosted(bins, hits, rng, most=_COMMON_TREES))
            gap.append(_gap(bins, hits, rng, common[-1].log_odds(bins), side))
        if not any(len(trees.value) for trees in gap):
            return None
        return cls(target, position, variable.indicator, view, edges, tuple(common), tuple(gap))

    def apply(self, matrix: Matrix, rng: np.random.Generator) -> None:
        """Change labels of the rows that have one, in place."""
        rows = np.arange(len(matrix))
        if self.indicator is not None:
            rows = np.flatnonzero(matrix[:, self.indicator] == 0)
        bins = binned(self.view.features(matrix[rows]), self.edges)
        middle = [trees.log_odds(bins) for trees in self.common]
        half = [trees.log_odds(bins) / 2 for trees in self.gap]
        given = [odds - apart for odds, apart in zip(middle, half, strict=True)]
        wanted = [odds + apart for odds, apart in zip(middle, half, strict=True)]
        labels = matrix[rows, self.position].astype(np.int64)
        matrix[rows, self.position] = coupled(labels, _shares(given), _shares(wanted), rng)


def _gap(
    bins: Bins, hits: Mask, rng: np.random.Generator, common: Floats, side: Floats
) -> SymmetricTrees:
    """Return how much the odds of a hit differ between the sides: the mean of three models, or none.

    One model depends on the fifth of the rows that says when it is done, more than is good for a
    difference this small; where the first sees nothing, there is nothing to average.
    """
    models = [boosted(bins, hits, rng, common, side, worth=_WORTH_OF_LABELS)]
    while len(models[0].value) and len(models) < _MODELS:
        models.append(boosted(bins, hits, rng, common, side, worth=_WORTH_OF_LABELS))
    return averaged(models)


def coupled(
    labels: npt.NDArray[np.int64], given: Floats, wanted: Floats, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return labels with the shares `wanted`, as many as possible unchanged from `labels`.

    Parameters
    ----------
    labels : numpy.ndarray
        Labels drawn with the shares `given`, shape (n,).
    given, wanted : numpy.ndarray
        Shares of each level in each row, shape (n, k); rows sum to 1.
    """
    rows = np.arange(len(labels))
    kept = rng.random(len(labels)) * given[rows, labels] < wanted[rows, labels]
    lacking = np.maximum(wanted - given, 0.0).cumsum(1)
    at = rng.random(len(labels)) * lacking[:, -1]
    other = np.minimum((lacking <= at[:, None]).sum(1), wanted.shape[1] - 1)
    return np.where(kept, labels, other)


def _level_of(chain: Chain, target: str) -> int | None:
    """Return the position of a target with few levels, None where it has too many or is a number."""
    for position in chain.table.of_column(target):
        variable = chain.table.variables[position]
        if variable.part == "value" and 2 <= variable.n_levels <= _MOST_LEVELS:
            return position
    return None


def _shares(odds: list[Floats]) -> Floats:
    """Return shares of all levels, shape (n, k), from log-odds of each, or of the second of two."""
    told = np.column_stack([1 / (1 + np.exp(-one)) for one in odds])
    if told.shape[1] == 1:
        return np.hstack([1 - told, told])
    return np.asarray(told / told.sum(1, keepdims=True))


@dataclass(frozen=True)
class Refinement:
    """Rows of a chain with labels corrected and rows that are plainly not real drawn anew.

    Both were measured on rows that the chain draws in its own order and without a condition, and are
    used for such rows only.

    Parameters
    ----------
    correction : TargetCorrection or None
        What brings labels of the target to the odds that real rows have.
    rejection : Rejection or None
        What tells drawn rows from real ones, where that is easy.
    """

    correction: TargetCorrection | None
    rejection: Rejection | None

    @classmethod
    def of(cls, chain: Chain, target: str | None, rng: np.random.Generator) -> Refinement:
        """Return what there is to mend in the rows of a chain; without a target, no labels."""
        correction = None if target is None else TargetCorrection.of(chain, target, rng)
        labelled = cls(correction, None)
        rejection = Rejection.of(
            chain.table, chain.matrix, lambda n: labelled.draw(chain, n, rng), rng
        )
        return cls(correction, rejection)

    def draw(self, chain: Chain, n: int, rng: np.random.Generator) -> Matrix:
        """Return `n` rows of the chain as variables, shape (n, v)."""

        def labelled(count: int) -> Matrix:
            made = chain.draw(count, rng)
            if self.correction is not None:
                self.correction.apply(made, rng)
            return made

        made = labelled(n)
        return made if self.rejection is None else self.rejection.redraw(made, labelled, rng)
