"""Boosted models that correct the rows of a chain as they are drawn, and a guard against copies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .chain import Chain
from .link import ParentView
from .table import ChainTable, Mask, Matrix, is_there
from .tree import Codes, Features, Places

Draw = Callable[[int], Matrix]
Bins = npt.NDArray[np.uint8]

_N_BINS = 64  # of each of two kinds of edges: 128 bins of a feature fit into a byte
_DEPTH = 6  # 64 leaves: deeper trees of 8,000 rows have empty leaves
_RATE = 0.12  # shrinkage of a tree: about 40 to 160 trees until the test rows stop improving
# Rows and features that each tree uses, and rows that stop the growth: see Friedman, "Stochastic
# gradient boosting", 2002.
_TREE_ROWS, _TREE_FEATURES, _TEST_ROWS = 0.4, 0.5, 0.2
_RIDGE = 10.0  # curvature added to each leaf: a leaf of few rows adds little
_PATIENCE = 30  # trees without an improvement of the test rows
_FIRST = 16  # trees after which a model that gains too little is given up


@dataclass(frozen=True)
class SymmetricTrees:
    """Trees that use one split for all rows at each level, so that a row's leaf is a number of bits.

    Own code because libraries neither accept signed weights per row nor export to plain arrays by a
    public API (decision 0017); symmetric trees route 3 million rows a second.

    Friedman, "Greedy function approximation", Annals of Statistics 29, 2001; symmetric trees: Kohavi
    and Li, "Oblivious decision trees, graphs, and top-down pruning", IJCAI 1995.
    """

    feature: npt.NDArray[np.int16]  # split of each level, shape (t, 6): the bin of the feature ...
    threshold: npt.NDArray[np.uint8]  # ... is above the threshold or not
    value: Matrix  # log-odds that each leaf adds, (t, 64)
    base: float  # log-odds that all rows start from
    # Mean log-loss that the trees save on test rows, less its standard error, 0 or more.
    gain: float

    def log_odds(self, bins: Bins) -> Matrix:
        """Return the sum of the trees for each row, shape (n,)."""
        total = np.full(len(bins), self.base)
        for feature, threshold, value in zip(self.feature, self.threshold, self.value, strict=True):
            total += value[_leaves(bins, feature, threshold)]
        return total


def fit_boosted_trees(
    bins: Bins,
    hits: Mask,
    rng: np.random.Generator,
    start: Matrix | None = None,
    sign: Matrix | None = None,
    min_gain: float = 0.0,
    max_trees: int = 160,
) -> SymmetricTrees:
    """Return trees for the odds of a hit, as many as a fifth of the rows confirms.

    No tree at all, unless the log-loss that they save on these rows exceeds its standard error.
    `bins` are binned features, (n, f), at most 254; some of the `hits`, (n,), are True and not all.

    The trees are added to the log-odds `start`, (n,); None starts from the share of hits. `sign`, (n,),
    is a factor of the trees in each row: with a half for one group of rows and minus a half for another,
    the trees predict how much the groups' log-odds differ. Growth stops where 16 trees save less than a
    quarter of `min_gain`.
    """
    share = float(hits.mean())
    base = float(np.log(share / (1 - share))) if start is None else 0.0
    total = np.full(len(bins), base) if start is None else start.copy()
    is_test = rng.random(len(bins)) < _TEST_ROWS
    rest = np.flatnonzero(~is_test)
    trees: list[tuple[Places, Places, Matrix]] = []
    first = best = _log_losses(total[is_test], hits[is_test])
    kept = 0
    while len(trees) < max_trees and len(trees) - kept < _PATIENCE:
        rows = rest[rng.random(len(rest)) < _TREE_ROWS]
        features = rng.permutation(bins.shape[1])[: max(1, round(_TREE_FEATURES * bins.shape[1]))]
        trees.append(_grow_tree(bins, np.sort(features), rows, hits, total, sign))
        feature, threshold, value = trees[-1]
        step = value[_leaves(bins, feature, threshold)]
        total += step if sign is None else sign * step
        losses = _log_losses(total[is_test], hits[is_test])
        if losses.sum() < best.sum():
            best, kept = losses, len(trees)
        if len(trees) == _FIRST and (first - best).sum() < min_gain / 4 * len(first):
            break
    saved, gain = first - best, 0.0
    if len(saved) > 1:
        gain = max(0.0, float(saved.mean() - saved.std(ddof=1) / np.sqrt(len(saved))))
    kept = kept if gain else 0
    parts = list(zip(*trees[:kept], strict=True)) or [(), (), ()]
    return SymmetricTrees(
        np.array(parts[0], dtype=np.int16).reshape(kept, _DEPTH),
        np.array(parts[1], dtype=np.uint8).reshape(kept, _DEPTH),
        np.array(parts[2], dtype=np.float64).reshape(kept, 1 << _DEPTH),
        base,
        gain,
    )


def average_models(models: Sequence[SymmetricTrees]) -> SymmetricTrees:
    """Return one model, of all trees, whose log-odds are the mean of those of the models."""
    return SymmetricTrees(
        np.concatenate([model.feature for model in models]),
        np.concatenate([model.threshold for model in models]),
        np.concatenate([model.value for model in models]) / len(models),
        float(np.mean([model.base for model in models])),
        float(np.mean([model.gain for model in models])),
    )


def _grow_tree(
    bins: Bins, features: Places, rows: Places, hits: Mask, total: Matrix, sign: Matrix | None
) -> tuple[Places, Places, Matrix]:
    """Return features, thresholds and leaf values of one Newton step on `rows`."""
    probability = 1 / (1 + np.exp(-total[rows]))
    slope, curve = hits[rows] - probability, probability * (1 - probability)
    if sign is not None:
        slope, curve = slope * sign[rows], curve * sign[rows] ** 2
    columns = [bins[rows, j].astype(np.intp) for j in features]
    width = int(max((int(column.max(initial=0)) for column in columns), default=0)) + 1
    leaf = np.zeros(len(rows), dtype=np.intp)
    chosen, thresholds = [], []
    for level in range(_DEPTH):
        size = width << level
        gain = np.empty((len(columns), width))
        for j, column in enumerate(columns):
            at = leaf * width + column
            slopes = np.bincount(at, slope, size).reshape(-1, width).cumsum(1)
            curves = np.bincount(at, curve, size).reshape(-1, width).cumsum(1)
            above = (slopes[:, -1:] - slopes) ** 2 / (curves[:, -1:] - curves + _RIDGE)
            gain[j] = (slopes**2 / (curves + _RIDGE) + above).sum(0)
        best, threshold = np.unravel_index(int(gain.argmax()), gain.shape)
        chosen.append(features[best])
        thresholds.append(threshold)
        leaf = 2 * leaf + (columns[int(best)] > threshold)
    slopes, curves = (np.bincount(leaf, weight, 1 << _DEPTH) for weight in (slope, curve))
    return np.array(chosen), np.array(thresholds), _RATE * slopes / (curves + _RIDGE)


def _leaves(
    bins: Bins, feature: npt.NDArray[np.integer], threshold: npt.NDArray[np.integer]
) -> Places:
    leaf = np.zeros(len(bins), dtype=np.intp)
    for j, above in zip(feature, threshold, strict=True):
        leaf <<= 1
        leaf += bins[:, j] > above
    return leaf


def _log_losses(total: Matrix, hits: Mask) -> Matrix:
    return np.asarray(np.logaddexp(0, np.where(hits, -total, total)))


def bin_edges(features: Features) -> tuple[Features, ...]:
    """Return the upper edges of at most 128 bins of each feature, for features of shape (n, f)."""
    at = np.linspace(0, 1, _N_BINS + 1)[1:-1]
    edges = []
    for column in features.T:
        both = [np.quantile(values, at, method="lower") for values in (column, np.unique(column))]
        edges.append(np.unique(np.concatenate(both)).astype(np.float32))
    return tuple(edges)


def bin_values(features: Features, edges: tuple[Features, ...]) -> Bins:
    """Return the bin of each value, shape (n, f)."""
    bins = np.empty(features.shape, dtype=np.uint8, order="F")
    for j, upper in enumerate(edges):
        bins[:, j] = np.searchsorted(upper, features[:, j], side="left")
    return bins


# Real rows of the two models: fewer than 4,000 are too noisy to measure .003 of log-loss, more than
# 20,000 cost time and find nothing else on the benchmark sets.
_MIN_ROWS, _MAX_ROWS = 4_000, 20_000
# Odds of a row that is always kept: every second draw is rejected. At 1 no row would be weighted up.
_MAX_ODDS = 2.0
_MIN_GAIN = 0.003  # log-loss that rejection must save: an AUC of about .55 (decision 0017)
_ROUNDS = 8  # of drawing again; then a row stays: a condition may leave nothing else to draw


@dataclass(frozen=True)
class RejectionSampler:
    """Keep a drawn row as often as rows like it are real.

    A boosted model separates real rows from drawn ones; a row with odds r of being real is kept with
    probability min(1, r / 2) and otherwise drawn again, which makes the odds of the kept rows even.
    Every second draw or so is rejected, so this is done only where rows that the model was not fitted
    on are clearly separated.

    Azadi, Olsson, Darrell, Goodfellow and Odena, "Discriminator rejection sampling", ICLR 2019.
    """

    view: ParentView  # features of all variables
    edges: tuple[Features, ...]  # upper edges of the bins of each feature
    trees: SymmetricTrees  # log-odds of being real

    @classmethod
    def fit(
        cls, table: ChainTable, real: Matrix, draw: Draw, rng: np.random.Generator
    ) -> RejectionSampler | None:
        """Return the model of `real` rows, or None where it saves less than .003 of log-loss.

        It is fitted on 20,000 real rows at most, and as many of `draw(n)`; None for fewer than 4,000.
        """
        if len(real) < _MIN_ROWS:
            return None
        if len(real) > _MAX_ROWS:
            real = real[np.sort(rng.choice(len(real), _MAX_ROWS, replace=False))]
        both = np.concatenate([real, draw(len(real))])
        is_real = np.arange(len(both)) < len(real)
        every, labels = range(both.shape[1]), is_real.astype(np.int64)
        view = ParentView.from_parents(both, table.variables, every, labels, None)
        features = view.features(both)
        edges = bin_edges(features)
        start = np.zeros(len(both))
        bins = bin_values(features, edges)
        trees = fit_boosted_trees(bins, is_real, rng, start, min_gain=_MIN_GAIN)
        return cls(view, edges, trees) if trees.gain >= _MIN_GAIN else None

    def redraw(self, rows: Matrix, draw: Draw, rng: np.random.Generator) -> Matrix:
        """Return the rows with rejected ones drawn again, up to 8 times; `rows` is changed in place."""
        suspects = np.arange(len(rows))
        for _ in range(_ROUNDS):
            bins = bin_values(self.view.features(rows[suspects]), self.edges)
            odds = np.exp(self.trees.log_odds(bins))
            suspects = suspects[~(rng.random(len(suspects)) * _MAX_ODDS < odds)]
            if not len(suspects):
                break
            rows[suspects] = draw(len(suspects))
        return rows


_MIN_ROWS_OF_LABEL = 200  # below, the odds of a level follow single rows
_MAX_LEVELS = 8  # each level has its own models: more would take too long for what they correct
_COMMON_TREES = 40  # what is left out of the common odds is in both groups and makes no difference
_MIN_LABEL_GAIN = 4e-4  # log-loss; smaller differences of labels are noise of the test rows
_MODELS = 3  # averaged: one depends on the fifth of the rows that stops it more than is good


@dataclass(frozen=True)
class TargetCorrection:
    """Change the few labels that the rest of their row contradicts.

    A chain draws its target first and each other column from its own tree, so that many small losses
    add up in what a model is trained for: the target given all other columns. Two boosted models
    measure it: `common` predicts the odds of a level among real and drawn rows together, `gap` how
    much the odds differ between them. A drawn label is kept as often as the overlap of both allows
    (a maximal coupling), and otherwise replaced by a level that the chain draws too rarely there.
    Where the odds do not differ, labels stay the chain's: drawing all labels from a model would
    lose the dependence that it does not represent (decision 0017).
    """

    position: int  # the labels among the variables
    indicator: int | None  # variable that is 1 where the target is missing; such rows stay
    view: ParentView  # features of all other variables
    edges: tuple[Features, ...]  # upper edges of the bins of each feature
    common: tuple[SymmetricTrees, ...]  # one per level; for two levels that of the last one only
    gap: tuple[SymmetricTrees, ...]

    @classmethod
    def fit(cls, chain: Chain, target: str, rng: np.random.Generator) -> TargetCorrection | None:
        """Return the correction of a chain, or None where the target needs or allows none.

        None where it is no category or boolean with 2 to 8 levels, a level has fewer than 200 rows,
        there is no other column, or no difference shows. It is fitted on 20,000 real rows at most,
        and as many drawn ones.
        """
        variables = chain.table.variables
        suitable = [
            p
            for p in chain.table.positions_of(target)
            if variables[p].part == "value" and 2 <= variables[p].n_levels <= _MAX_LEVELS
        ]
        if not suitable:
            return None
        position = suitable[0]
        variable = variables[position]
        rows = np.flatnonzero(is_there(chain.matrix, variable))
        if len(rows) > _MAX_ROWS:
            rows = np.sort(rng.choice(rows, _MAX_ROWS, replace=False))
        real = chain.matrix[rows]
        others = [i for i, other in enumerate(variables) if other.name != target]
        counts = np.bincount(real[:, position].astype(np.int64), minlength=variable.n_levels)
        if counts.min() < _MIN_ROWS_OF_LABEL or not others:
            return None
        drawn = chain.draw(len(rows), rng)
        both = np.concatenate([real, drawn[is_there(drawn, variable)]])
        labels = both[:, position].astype(np.int64)
        view = ParentView.from_parents(both, variables, others, labels, labels.astype(np.float64))
        features = view.features(both)
        edges = bin_edges(features)
        bins = bin_values(features, edges)
        sign = np.where(np.arange(len(both)) < len(real), 0.5, -0.5)
        common, gap = [], []
        for level in range(1 if variable.n_levels == 2 else 0, variable.n_levels):
            hits = labels == level
            common.append(fit_boosted_trees(bins, hits, rng, max_trees=_COMMON_TREES))
            gap.append(_fit_gap(bins, hits, rng, common[-1].log_odds(bins), sign))
        if not any(len(trees.value) for trees in gap):
            return None
        return cls(position, variable.indicator, view, edges, tuple(common), tuple(gap))

    def apply(self, matrix: Matrix, rng: np.random.Generator) -> None:
        """Change labels of the rows that have one, in place."""
        rows = np.arange(len(matrix))
        if self.indicator is not None:
            rows = np.flatnonzero(matrix[:, self.indicator] == 0)
        bins = bin_values(self.view.features(matrix[rows]), self.edges)
        middle = [trees.log_odds(bins) for trees in self.common]
        half = [trees.log_odds(bins) / 2 for trees in self.gap]
        drawn = [odds - gap for odds, gap in zip(middle, half, strict=True)]
        real = [odds + gap for odds, gap in zip(middle, half, strict=True)]
        labels = matrix[rows, self.position].astype(np.int64)
        shares = _level_shares(drawn), _level_shares(real)
        matrix[rows, self.position] = couple_labels(labels, *shares, rng)


def _fit_gap(
    bins: Bins, hits: Mask, rng: np.random.Generator, common: Matrix, sign: Matrix
) -> SymmetricTrees:
    """Return how much the odds of a hit differ between real and drawn rows: a mean of three models."""
    models = [fit_boosted_trees(bins, hits, rng, common, sign, min_gain=_MIN_LABEL_GAIN)]
    while len(models[0].value) and len(models) < _MODELS:
        models.append(fit_boosted_trees(bins, hits, rng, common, sign, min_gain=_MIN_LABEL_GAIN))
    return average_models(models)


def couple_labels(labels: Codes, drawn: Matrix, real: Matrix, rng: np.random.Generator) -> Codes:
    """Return labels with the shares `real`, as many as possible unchanged from `labels`."""
    rows = np.arange(len(labels))
    kept = rng.random(len(labels)) * drawn[rows, labels] < real[rows, labels]
    deficit = np.maximum(real - drawn, 0.0).cumsum(1)
    at = rng.random(len(labels)) * deficit[:, -1]
    other = np.minimum((deficit <= at[:, None]).sum(1), real.shape[1] - 1)
    return np.where(kept, labels, other)


def _level_shares(odds: list[Matrix]) -> Matrix:
    """Return shares of all levels, shape (n, k), from log-odds of each, or of the second of two."""
    shares = np.column_stack([1 / (1 + np.exp(-one)) for one in odds])
    if shares.shape[1] == 1:
        return np.hstack([1 - shares, shares])
    return np.asarray(shares / shares.sum(1, keepdims=True))


@dataclass(frozen=True)
class Refinement:
    """Corrections of rows that a chain draws in its own order and without a condition."""

    correction: TargetCorrection | None = None
    rejection: RejectionSampler | None = None

    @classmethod
    def fit(cls, chain: Chain, target: str | None, rng: np.random.Generator) -> Refinement:
        """Return the corrections that the rows of a chain need; without a target, of no labels."""
        correction = None if target is None else TargetCorrection.fit(chain, target, rng)
        labelled = cls(correction)
        rejection = RejectionSampler.fit(
            chain.table, chain.matrix, lambda n: labelled.draw(chain, n, rng), rng
        )
        return cls(correction, rejection)

    def draw(self, chain: Chain, n: int, rng: np.random.Generator) -> Matrix:
        """Return `n` rows of the chain as variables, shape (n, v)."""

        def labelled(count: int) -> Matrix:
            rows = chain.draw(count, rng)
            if self.correction is not None:
                self.correction.apply(rows, rng)
            return rows

        rows = labelled(n)
        return rows if self.rejection is None else self.rejection.redraw(rows, labelled, rng)


Hashes = npt.NDArray[np.uint64]

_GUARD_ROWS = 20_000  # drawn to measure the share of copies: its error is below .004
# Below this share of copies among fresh rows, drawing none leaves no hole that anyone could notice.
_MIN_COPY_SHARE = 0.02


@dataclass(frozen=True)
class CopyGuard:
    """The rows that only one individual has, and the share of their copies that may stay.

    In a table with few combinations a fresh real row often equals one that was seen once before. The
    estimate of Good and Turing is 2 N2 / n, N2 being the number of combinations seen twice. Copies
    beyond that are drawn again, so that synthetic rows neither repeat individuals nor have holes
    where they are. Where fresh rows are copies in less than 2 %, no copy stays at all.

    Good, "The population frequencies of species", Biometrika 40, 1953.
    """

    single: Hashes  # hashes of the rows that occur once, ascending, shape (k,)
    kept_fraction: float  # share of the copies that may stay, 0 to 1

    @classmethod
    def from_rows(cls, real: Matrix, draw: Draw) -> CopyGuard:
        """Return the guard for `real` rows; `draw(n)` gives unguarded rows of the generator."""
        hashes, counts = np.unique(row_hashes(real), return_counts=True)
        guard = cls(hashes[counts == 1], 0.0)
        expected = 2.0 * float((counts == 2).sum()) / len(real)
        drawn = draw(min(len(real), _GUARD_ROWS))
        measured = float(guard.copies(drawn).mean()) if len(drawn) else 0.0
        if expected < _MIN_COPY_SHARE:
            return guard
        return cls(guard.single, min(1.0, expected / measured) if measured else 1.0)

    def copies(self, rows: Matrix) -> Mask:
        """Return which rows equal a real row that occurs once, shape (n,)."""
        if not len(self.single):
            return np.zeros(len(rows), dtype=bool)
        hashes = row_hashes(rows)
        at = np.minimum(np.searchsorted(self.single, hashes), len(self.single) - 1)
        return np.asarray(self.single[at] == hashes)

    def redraw(self, rows: Matrix, draw: Draw, rng: np.random.Generator) -> Matrix:
        """Return the rows with surplus copies replaced, up to 8 times; `rows` is changed in place."""
        suspects = np.flatnonzero(self.copies(rows))
        suspects = suspects[rng.random(len(suspects)) >= self.kept_fraction]
        for _ in range(_ROUNDS):
            if not len(suspects):
                break
            rows[suspects] = draw(len(suspects))
            again = self.copies(rows[suspects])
            suspects = suspects[again & (rng.random(len(suspects)) >= self.kept_fraction)]
        return rows


def row_hashes(matrix: Matrix) -> Hashes:
    """Return a 64-bit hash of each row, shape (n,); equal rows have equal hashes."""
    mixed = np.full(len(matrix), 0x9E3779B97F4A7C15, dtype=np.uint64)
    for column in matrix.T:
        # Adding 0 turns -0.0 into 0.0, which has other bits.
        mixed ^= np.ascontiguousarray(column + 0.0).view(np.uint64)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
    return mixed
