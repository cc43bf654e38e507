"""Boosted symmetric trees for yes or no, starting from log-odds that are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bins = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]

_N_BINS = 64
_DEPTH = 6
_RATE = 0.12
_ROWS, _FEATURES, _HELD = 0.4, 0.5, 0.2
_RIDGE = 10.0
_PATIENCE = 30
_FIRST = 16


@dataclass(frozen=True)
class SymmetricTrees:
    """Trees that ask the same question of all rows at each level, so that a row's leaf is a number.

    A library's boosting neither starts from given log-odds nor goes to plain arrays by a public way;
    symmetric trees are few lines, and are asked 3 million rows a second.

    Parameters
    ----------
    feature, cut : numpy.ndarray
        What each level asks: whether a row's bin of the feature is above the cut, shape (t, 6).
    value : numpy.ndarray
        Log-odds that each leaf adds, shape (t, 64).
    base : float
        Log-odds that all rows start from.
    gain : float
        Mean log-loss that the trees save on rows they were not grown from, less the standard error
        of that, 0 or more.

    References
    ----------
    Friedman, "Greedy function approximation", Annals of Statistics 29, 2001; symmetric trees: Kohavi
    and Li, "Oblivious decision trees, graphs, and top-down pruning", IJCAI 1995.
    """

    feature: npt.NDArray[np.int16]
    cut: npt.NDArray[np.uint8]
    value: Floats
    base: float
    gain: float

    def log_odds(self, bins: Bins) -> Floats:
        """Return what the trees add up to for each row, shape (n,)."""
        total = np.full(len(bins), self.base)
        for feature, cut, value in zip(self.feature, self.cut, self.value, strict=True):
            total += value[_leaves(bins, feature, cut)]
        return total


def boosted(
    bins: Bins,
    hits: Mask,
    rng: np.random.Generator,
    start: Floats | None = None,
    sign: Floats | None = None,
    worth: float = 0.0,
    most: int = 160,
) -> SymmetricTrees:
    """Return trees that tell how likely a hit is, as many as a fifth of the rows confirms.

    None at all, unless what they save these rows is more than its standard error.

    Parameters
    ----------
    bins : numpy.ndarray
        Binned features, shape (n, f); a bin is at most 254.
    hits : numpy.ndarray
        Which rows are hits, shape (n,); both some and not all.
    rng : numpy.random.Generator
        Chooses rows and features of each tree.
    start : numpy.ndarray or None
        Log-odds that the trees are added to, shape (n,): no tree is grown where they are right
        already. None starts from the share of hits.
    sign : numpy.ndarray or None
        What the trees are multiplied with before they are added, shape (n,); None is 1 everywhere.
        With a half for one group of rows and minus a half for another, they tell how much the
        groups' log-odds differ, and nothing of what both have in common.
    worth : float
        Least gain that the caller has a use for: where 16 trees have saved less than a quarter of it,
        no more are grown.
    most : int
        Trees at most.
    """
    share = float(hits.mean())
    base = float(np.log(share / (1 - share))) if start is None else 0.0
    total = np.full(len(bins), base) if start is None else start.copy()
    held = rng.random(len(bins)) < _HELD
    rest = np.flatnonzero(~held)
    features: list[Places] = []
    cuts: list[Places] = []
    values: list[Floats] = []
    first = best = _losses(total[held], hits[held])
    kept = 0
    while len(values) < most and len(values) - kept < _PATIENCE:
        rows = rest[rng.random(len(rest)) < _ROWS]
        asked = rng.permutation(bins.shape[1])[: max(1, round(_FEATURES * bins.shape[1]))]
        feature, cut, value = _tree(bins, np.sort(asked), rows, hits, total, sign)
        step = value[_leaves(bins, feature, cut)]
        total += step if sign is None else sign * step
        features.append(feature)
        cuts.append(cut)
        values.append(value)
        losses = _losses(total[held], hits[held])
        if losses.sum() < best.sum():
            best, kept = losses, len(values)
        if len(values) == _FIRST and (first - best).sum() < worth / 4 * len(first):
            break
    gain = _surely(first - best)
    if not gain:
        kept = 0
    return SymmetricTrees(
        np.array(features[:kept], dtype=np.int16).reshape(kept, _DEPTH),
        np.array(cuts[:kept], dtype=np.uint8).reshape(kept, _DEPTH),
        np.array(values[:kept], dtype=np.float64).reshape(kept, 1 << _DEPTH),
        base,
        gain,
    )


def averaged(models: Sequence[SymmetricTrees]) -> SymmetricTrees:
    """Return one model whose log-odds are the mean of those of the models, all of their trees in one.

    Models that held back other rows and saw others in each tree err differently: their mean errs less.
    """
    return SymmetricTrees(
        np.concatenate([model.feature for model in models]),
        np.concatenate([model.cut for model in models]),
        np.concatenate([model.value for model in models]) / len(models),
        float(np.mean([model.base for model in models])),
        float(np.mean([model.gain for model in models])),
    )


def _tree(
    bins: Bins,
    asked: Places,
    rows: Places,
    hits: Mask,
    total: Floats,
    sign: Floats | None,
) -> tuple[Places, Places, Floats]:
    """Return features, cuts and leaf values of one Newton step on `rows`."""
    told = 1 / (1 + np.exp(-total[rows]))
    slope, curve = hits[rows] - told, told * (1 - told)
    if sign is not None:
        slope, curve = slope * sign[rows], curve * sign[rows] ** 2
    columns = [bins[rows, j].astype(np.intp) for j in asked]
    width = int(max((int(column.max(initial=0)) for column in columns), default=0)) + 1
    leaf = np.zeros(len(rows), dtype=np.intp)
    features, cuts = [], []
    for level in range(_DEPTH):
        size = width << level
        gain = np.empty((len(columns), width))
        for j, column in enumerate(columns):
            at = leaf * width + column
            slopes = np.bincount(at, slope, size).reshape(-1, width).cumsum(1)
            curves = np.bincount(at, curve, size).reshape(-1, width).cumsum(1)
            above = (slopes[:, -1:] - slopes) ** 2 / (curves[:, -1:] - curves + _RIDGE)
            gain[j] = (slopes**2 / (curves + _RIDGE) + above).sum(0)
        best, cut = np.unravel_index(int(gain.argmax()), gain.shape)
        features.append(asked[best])
        cuts.append(cut)
        leaf = 2 * leaf + (columns[int(best)] > cut)
    slopes, curves = (np.bincount(leaf, weight, 1 << _DEPTH) for weight in (slope, curve))
    return np.array(features), np.array(cuts), _RATE * slopes / (curves + _RIDGE)


def _leaves(bins: Bins, feature: npt.NDArray[np.integer], cut: npt.NDArray[np.integer]) -> Places:
    leaf = np.zeros(len(bins), dtype=np.intp)
    for j, above in zip(feature, cut, strict=True):
        leaf <<= 1
        leaf += bins[:, j] > above
    return leaf


def _losses(total: Floats, hits: Mask) -> Floats:
    """Return the log-loss of each row's log-odds, shape (n,)."""
    return np.asarray(np.logaddexp(0, np.where(hits, -total, total)))


def _surely(saved: Floats) -> float:
    """Return the mean less its standard error, 0 where that is negative or cannot be told."""
    if len(saved) < 2:
        return 0.0
    return max(0.0, float(saved.mean() - saved.std(ddof=1) / np.sqrt(len(saved))))


def bin_edges(features: Features) -> tuple[Features, ...]:
    """Return the upper edges of at most 128 bins of each feature, for features of shape (n, f).

    Half of the edges lie at equal shares of the rows, half of the distinct values: long tails and
    frequent values both matter.
    """
    at = np.linspace(0, 1, _N_BINS + 1)[1:-1]
    made = []
    for column in features.T:
        both = [np.quantile(values, at, method="lower") for values in (column, np.unique(column))]
        made.append(np.unique(np.concatenate(both)).astype(np.float32))
    return tuple(made)


def binned(features: Features, edges: tuple[Features, ...]) -> Bins:
    """Return the bin of each value, shape (n, f)."""
    made = np.empty(features.shape, dtype=np.uint8, order="F")
    for j, upper in enumerate(edges):
        made[:, j] = np.searchsorted(upper, features[:, j], side="left")
    return made
