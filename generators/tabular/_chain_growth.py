"""How a link is learnt: a variable given its parents, from rows that have both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._chain_grain import Grain, quantile_bins
from ._chain_link import Labels, Link, decimals_of
from ._chain_parents import ParentView
from ._chain_residuals import find_leaning
from ._chain_slopes import LeafSlopes
from ._chain_table import Matrix, Variable
from ._chain_ties import find_ties
from ._chain_tree import DonorTree

_MOST_OWN_LABELS = 48
_SHARED_LABELS = 16
_SLACK_OF_FEW, _SLACK_OF_40, _TOO_FEW_TO_JUDGE = 1, 5, 4_000


@dataclass(frozen=True)
class LinkSettings:
    """How links are grown; see the parameters of `tabular.trees`."""

    min_leaf: int
    min_leaf_labels: int
    back_off: float
    n_bins: int
    n_cells: int
    temperature: float = 1.0
    least_repeats: int = 0


def fit_link(
    matrix: Matrix,
    variables: Sequence[Variable],
    position: int,
    parents: Sequence[int],
    rows: npt.NDArray[np.int64],
    settings: LinkSettings,
    seed: int,
    *,
    leans: bool = True,
) -> Link:
    """Return the link of one variable, learnt from `rows` of the matrix, shape (n, v).

    Without `leans` each draw is its donor's value but for a small move: conditions choose donors.
    """
    lesson = _Lesson(matrix[rows], variables, position, parents, rows, settings, seed)
    return lesson.of_codes() if variables[position].is_nominal else lesson.of_number(leans)


@dataclass(frozen=True)
class _Lesson:
    """What a link is learnt from: `known` are the `rows` of the matrix; else see `fit_link`."""

    known: Matrix
    variables: Sequence[Variable]
    position: int
    parents: Sequence[int]
    rows: npt.NDArray[np.int64]
    settings: LinkSettings
    seed: int

    def of_codes(self) -> Link:
        """Return the link of a variable with levels."""
        settings, n_levels = self.settings, self.variables[self.position].n_levels
        codes = self.known[:, self.position].astype(np.int64)
        labels = _level_labels(codes, n_levels, self.known, self.parents)
        view = ParentView.of(self.known, self.variables, self.parents, labels, None)
        tree, order = DonorTree.grow(
            view.features(self.known), labels, codes, settings.min_leaf_labels, self.seed
        )
        return Link(
            position=self.position,
            view=view,
            tree=tree,
            donors=codes[order].astype(np.int32),
            rows=self.rows[order].astype(np.int32),
            weight=_weights(codes[order], tree, settings.temperature),
        )

    def of_number(self, leans: bool) -> Link:
        """Return the link of a number, a day or a time of day."""
        settings, variable = self.settings, self.variables[self.position]
        target = self.known[:, self.position]
        by_week = variable.part == "day" and variable.anchor is None
        grain = Grain.of(target, settings.n_cells, variable.step, by_week=by_week)
        codes = grain.codes(target) if len(target) else np.zeros(0, dtype=np.int64)
        counts = np.bincount(codes, minlength=len(grain.values))
        labels = quantile_bins(np.maximum(counts, 1), settings.n_bins)[0][codes]
        numbers = [p for p in self.parents if not self.variables[p].is_nominal]
        free = ~grain.atom[codes]
        decimals = decimals_of(variable.step)
        ties, tie = find_ties(self.known, target, numbers, free, decimals)
        free = free & (tie < 0)
        if ties:
            labels = np.where(tie >= 0, labels.max() + 1 + tie, labels)
            labels = np.unique(labels, return_inverse=True)[1]
        view = ParentView.of(self.known, self.variables, self.parents, labels, target)
        few = len(grain.values) <= settings.n_cells
        features, places = view.features(self.known), codes
        leaning, rng = None, np.random.default_rng(self.seed)
        if leans and not by_week and not (ties and few):
            leaning = find_leaning(features, target, grain, codes, free, few, rng)
        if leaning is not None:
            features, places = leaning.features(features, rng), leaning.places(codes)
            labels = leaning.labels(labels, settings.n_bins)
        least = settings.min_leaf_labels if few and leaning is None else settings.min_leaf
        slack = _slack(len(target), least, few)
        tree, order = DonorTree.grow(features, labels, places, least, self.seed, slack)
        slopes = residuals = None
        if leaning is not None:
            residuals = leaning.residuals(tree, order, target, rng)
        elif numbers and len(tree.parent) > 1:
            donors = self.known[order], target[order], free[order]
            slopes = LeafSlopes.of(*donors, tree.leaves, len(tree.parent), numbers)
        return Link(
            position=self.position,
            view=view,
            tree=tree,
            donors=codes[order].astype(np.int32),
            rows=self.rows[order].astype(np.int32),
            grain=grain,
            ties=ties,
            tie=tie[order] if ties else tie[:0],
            slopes=slopes,
            residuals=residuals,
            weight=_weights(labels[order], tree, settings.temperature),
        )


def _slack(n: int, min_leaf: int, few: bool) -> int | None:
    """Return how many levels a number's tree may go beyond what other rows confirm; None for any.

    `few` says that the number has few values, so that its leaves are large.
    """
    if n < _TOO_FEW_TO_JUDGE:
        return None
    if few:
        return _SLACK_OF_FEW
    return max(0, round(_SLACK_OF_40 + math.log2(40 / min_leaf)))


def _weights(labels: Labels, tree: DonorTree, temperature: float) -> npt.NDArray[np.float32] | None:
    """Return donor weights that raise each label's share in its leaf to the power 1 / temperature."""
    if temperature == 1.0:
        return None
    leaves = tree.leaves.astype(np.int64)
    _, where, counts = np.unique(
        leaves * (int(labels.max(initial=0)) + 1) + labels, return_inverse=True, return_counts=True
    )
    power = (1.0 / temperature - 1.0) * np.log(counts[where] / tree.size[leaves])
    # Relative to the heaviest donor of the leaf, and never 0: every node has a donor to give.
    heaviest = np.full(len(tree.parent), -np.inf)
    np.maximum.at(heaviest, leaves, power)
    return np.asarray(np.exp(np.maximum(power - heaviest[leaves], -60.0)), dtype=np.float32)


def _level_labels(codes: Labels, n_levels: int, known: Matrix, parents: Sequence[int]) -> Labels:
    """Return labels for the tree: frequent levels keep their own, rare ones share 16 by likeness."""
    counts = np.bincount(codes, minlength=n_levels)
    if n_levels <= _MOST_OWN_LABELS + _SHARED_LABELS:
        return codes
    frequent = np.sort(np.argsort(-counts, kind="stable")[:_MOST_OWN_LABELS])
    label = np.full(n_levels, -1)
    label[frequent] = np.arange(len(frequent))
    rare = np.flatnonzero(label < 0)
    place = np.zeros(n_levels)
    if len(parents):
        standard = known[:, list(parents)] - known[:, list(parents)].mean(0)
        standard /= np.maximum(standard.std(0), 1e-12)
        sums = np.column_stack([np.bincount(codes, s, n_levels) for s in standard.T])
        means = sums / (counts[:, None] + 5)
        _, axes = np.linalg.eigh((means * counts[:, None]).T @ means)
        place = np.round(means @ axes[:, -1], 9)
    ordered = rare[np.argsort(place[rare], kind="stable")]
    below = np.cumsum(counts[ordered]) - counts[ordered] / 2
    share = np.minimum(below / max(counts[ordered].sum(), 1) * _SHARED_LABELS, _SHARED_LABELS - 1)
    label[ordered] = len(frequent) + share.astype(np.int64)
    return np.unique(label[codes], return_inverse=True)[1]
