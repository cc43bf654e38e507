"""One link of the chain: a variable given those drawn before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ._chain_grain import Grain, quantile_bins
from ._chain_parents import ParentView
from ._chain_residuals import Residuals, find_leaning, with_expected
from ._chain_slopes import LeafSlopes
from ._chain_table import Matrix, Variable
from ._chain_ties import Tie, find_ties
from ._chain_tree import DonorTree

Labels = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_MOST_OWN_LABELS = 48
_SHARED_LABELS = 16
_SLACK_OF_40, _TOO_FEW_TO_JUDGE = 5, 2_000
_SURE = 10
"""A leaf of one level is no accident where this many other rows would be expected."""


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


@dataclass(frozen=True)
class Link:
    """A variable given its parents: a tree whose leaves hold donors.

    Parameters
    ----------
    position : int
        The variable.
    view : ParentView
        What the tree looks at.
    tree : DonorTree
        The tree.
    donors : numpy.ndarray
        Code of each donor, sorted by leaf, shape (n,): a level, or a position in `grain.values`.
    rows : numpy.ndarray
        Row of the train part that each donor comes from, shape (n,).
    grain : Grain or None
        What the codes of a number stand for; None for codes.
    ties : tuple of Tie
        Ways in which a number is exactly made of its parents.
    tie : numpy.ndarray
        Tie of each donor, -1 for none, shape (n,).
    slopes : LeafSlopes or None
        How donors lean on a parent.
    residuals : Residuals or None
        How donors lean on what all parents together let one expect.
    weight : numpy.ndarray or None
        How often each donor is taken, shape (n,); None for all alike.
    """

    position: int
    view: ParentView
    tree: DonorTree
    donors: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int32]
    grain: Grain | None
    ties: tuple[Tie, ...]
    tie: npt.NDArray[np.int8]
    slopes: LeafSlopes | None
    residuals: Residuals | None = None
    weight: npt.NDArray[np.float32] | None = None

    @cached_property
    def settled(self) -> Mask:
        """Which nodes come of a split that leaves one level only, and not by chance, shape (m,).

        There is nothing to shrink: a value that is missing just where another column says so stays
        missing just there. Both sides of the split are trusted, so that shares stay as they are.
        """
        tree = self.tree
        settled = np.zeros(len(tree.parent), dtype=bool)
        inner = np.flatnonzero(tree.children[:, 0] != np.arange(len(tree.parent)))
        for node in inner:
            for leaf, other in (tree.children[node], tree.children[node][::-1]):
                own, beside = self._donors_of(leaf), self._donors_of(other)
                if tree.children[leaf, 0] == leaf and own[0] == own[-1]:  # sorted inside leaves
                    share = (beside != own[0]).sum() / (len(own) + len(beside))
                    if share * len(own) > _SURE:
                        settled[[leaf, other]] = True
        return settled

    def _donors_of(self, node: int) -> npt.NDArray[np.int32]:
        start = self.tree.start[node]
        return self.donors[start : start + self.tree.size[node]]

    @property
    def law(self) -> Tie | None:
        """The tie that held in all rows learnt from."""
        return self.ties[0] if len(self.ties) == 1 and not self.tie.any() else None

    def breaks_law(self, matrix: Matrix) -> Mask:
        """Return which drawn rows lack the one tie that all rows learnt from have, shape (n,)."""
        if self.law is None or self.grain is None:
            return np.zeros(len(matrix), dtype=bool)
        drawn, decimals = matrix[:, self.position], _decimals(self.grain.step)
        return ~self.law.holds(matrix, drawn, decimals)

    def anonymous(self, rng: np.random.Generator) -> Link:
        """Return the link without the rows that its donors come from.

        Sorted by value inside leaves, donors do not tell them. A donor and the rest that its parent
        leaves unexplained would tell the parent: the rests are shuffled inside leaves.
        """
        slopes = self.slopes
        if slopes is not None and self.grain is not None:
            free = ~self.grain.atom[self.donors]
            leans = np.flatnonzero(free & (self.tie < 0) if len(self.tie) else free)
            shuffled = np.lexsort((rng.random(len(leans)), self.tree.leaves[leans]))
            rest = np.zeros_like(slopes.rest)
            rest[leans] = slopes.rest[leans[shuffled]]
            slopes = replace(slopes, rest=rest)
        residuals = self.residuals
        if residuals is not None:
            leans = np.flatnonzero(~np.isnan(residuals.rest))
            shuffled = np.lexsort((rng.random(len(leans)), self.tree.leaves[leans]))
            mixed = residuals.rest.copy()
            mixed[leans] = residuals.rest[leans[shuffled]]
            residuals = replace(residuals, rest=mixed)
        none = np.empty(0, dtype=np.int32)
        return replace(self, rows=none, slopes=slopes, residuals=residuals)

    def draw(
        self,
        matrix: Matrix,
        rng: np.random.Generator,
        back_off: float,
        allowed: Mask | None = None,
    ) -> Matrix:
        """Return the variable in each row of `matrix`, whose parents are drawn, shape (n,).

        `allowed` restricts the donors, shape (len(donors),); at least one must be allowed.
        """
        weight = self.weight
        if allowed is not None:
            weight = allowed.astype(np.float64) if weight is None else allowed * weight
        features, expected = self.view.features(matrix), None
        if self.residuals is not None:
            expected = self.residuals.expectation.expected(features)
            features = with_expected(features, expected)
        leaves = self.tree.route(features)
        if self.grain is None:
            nodes = self.tree.back_off(leaves, back_off, rng, self.settled)
            return self.donors[self.tree.pick(nodes, rng, weight)].astype(np.float64)
        picked = self.tree.pick(leaves, rng, weight)
        codes = self.donors[picked]
        values = self.grain.values[codes]
        drawn = moved = self.grain.moved(codes, rng)
        if self.slopes is not None:
            drawn = self.slopes.lean(values, moved, picked, leaves, matrix)
        drawn = np.where(self.grain.atom[codes], values, self.grain.on_grid(drawn))
        if self.residuals is not None and expected is not None:
            leaning = self.residuals.drawn(expected + self.residuals.rest[picked])
            drawn = np.where(np.isnan(leaning), drawn, self.grain.on_grid(leaning))
        return self._tied(drawn, picked, matrix)

    def _tied(self, drawn: Matrix, picked: Labels, matrix: Matrix) -> Matrix:
        if self.grain is None or not self.ties:
            return drawn
        low, high = self.grain.values[0], self.grain.values[-1]
        tie = self.tie[picked]
        for number, one in enumerate(self.ties):
            rows = np.flatnonzero(tie == number)
            made = one.value(matrix[rows], _decimals(self.grain.step))
            fits = (made >= low) & (made <= high)
            drawn[rows[fits]] = made[fits]
        return drawn


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
    variable = variables[position]
    known = matrix[rows]
    target = known[:, position]
    if variable.is_nominal:
        codes = target.astype(np.int64)
        labels = _level_labels(codes, variable.n_levels, known, parents)
        view = ParentView.of(known, variables, parents, labels, None)
        least = settings.min_leaf_labels
        tree, order = DonorTree.grow(view.features(known), labels, codes, least, seed)
        none = np.empty(0, dtype=np.int8)
        donors = codes[order].astype(np.int32)
        weight = _weights(codes[order], tree, settings.temperature)
        return Link(
            position,
            view,
            tree,
            donors,
            rows[order].astype(np.int32),
            None,
            (),
            none,
            None,
            None,
            weight,
        )
    return _fit_number(known, variables, position, parents, rows, settings, seed, leans)


def _fit_number(
    known: Matrix,
    variables: Sequence[Variable],
    position: int,
    parents: Sequence[int],
    rows: npt.NDArray[np.int64],
    settings: LinkSettings,
    seed: int,
    leans: bool,
) -> Link:
    target, variable = known[:, position], variables[position]
    by_week = variable.part == "day" and variable.anchor is None
    grain = Grain.of(target, settings.n_cells, variable.step, by_week=by_week)
    codes = grain.codes(target) if len(target) else np.zeros(0, dtype=np.int64)
    counts = np.bincount(codes, minlength=len(grain.values))
    labels = quantile_bins(np.maximum(counts, 1), settings.n_bins)[0][codes]
    numbers = [p for p in parents if not variables[p].is_nominal]
    free = ~grain.atom[codes]
    ties, tie = find_ties(known, target, numbers, free, _decimals(variable.step))
    if ties:
        labels = np.where(tie >= 0, labels.max() + 1 + tie, labels)
        labels = np.unique(labels, return_inverse=True)[1]
    view = ParentView.of(known, variables, parents, labels, target)
    few = len(grain.values) <= settings.n_cells
    features, places, least = view.features(known), codes, settings.min_leaf_labels
    leaning, rng = None, np.random.default_rng(seed)
    if leans and not by_week and not (ties and few):
        leaning = find_leaning(features, target, grain, codes, free & (tie < 0), few, rng)
    if leaning is not None:
        features, places = leaning.features(features), leaning.places(codes)
        labels = leaning.labels(labels, settings.n_bins)
    if leaning is not None or not few:
        least = settings.min_leaf
    slack = 0 if few else _slack(len(target), least)
    tree, order = DonorTree.grow(features, labels, places, least, seed, slack)
    slopes = residuals = None
    if leaning is not None:
        residuals = leaning.residuals(tree, order, target, rng)
    elif numbers and len(tree.parent) > 1:
        slopes = LeafSlopes.of(
            known[order], target[order], (free & (tie < 0))[order], tree.leaves, len(tree.parent),
            numbers,
        )  # fmt: skip
    return Link(
        position, view, tree, codes[order].astype(np.int32), rows[order].astype(np.int32),
        grain, ties, tie[order] if ties else np.empty(0, dtype=np.int8), slopes, residuals,
        _weights(labels[order], tree, settings.temperature),
    )  # fmt: skip


def _slack(n: int, min_leaf: int) -> int | None:
    """Return how many levels a fine number's tree may go beyond what other rows confirm."""
    if n < _TOO_FEW_TO_JUDGE:
        return None
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


def _decimals(step: float | None) -> int | None:
    return None if step is None else max(0, round(-np.log10(step)))
