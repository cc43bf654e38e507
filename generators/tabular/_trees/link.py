"""One link of the chain: a variable given those drawn before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .parents import ParentView
from .residuals import LeafSlopes, Residuals, find_leaning, with_expected
from .rounding import NumberBins, quantile_bins
from .table import Matrix, Variable
from .ties import Overlay, Tie, find_ties
from .tree import DonorTree, Nodes

Labels = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_SURE = 10
"""A leaf of one level is no accident where this many other rows would be expected."""


class LeafAssignment(NamedTuple):
    """Where rows are led: their leaves, and what a forest expects of them if the link has one."""

    leaves: Nodes
    expected: Matrix | None


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
    overlay : Overlay or None
        What lays numbers upon real ones that weights alone do not bring there.
    """

    position: int
    view: ParentView
    tree: DonorTree
    donors: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int32]
    grain: NumberBins | None = None
    ties: tuple[Tie, ...] = ()
    tie: npt.NDArray[np.int8] = field(default_factory=lambda: np.empty(0, dtype=np.int8))
    slopes: LeafSlopes | None = None
    residuals: Residuals | None = None
    weight: npt.NDArray[np.float32] | None = None
    overlay: Overlay | None = None

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
        drawn, decimals = matrix[:, self.position], decimals_of(self.grain.step)
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
        none = np.empty(0, dtype=np.int32)
        plain = replace(self, rows=none, slopes=slopes)
        return plain if self.residuals is None else plain._unpaired(self.residuals, rng)

    def _unpaired(self, residuals: Residuals, rng: np.random.Generator) -> Link:
        """Return the link whose leaning donors have the rest of any of their leaf.

        A donor and its own rest would tell what was expected of its row, and so its parents.
        """
        leans = np.flatnonzero(~np.isnan(residuals.rest))
        leaves = self.tree.leaves[leans]
        donors, rest = self.donors.copy(), residuals.rest.copy()
        donors[leans] = self.donors[leans[np.lexsort((self.donors[leans], leaves))]]
        rest[leans] = residuals.rest[leans[np.lexsort((rng.random(len(leans)), leaves))]]
        weight = self.weight
        if weight is not None:  # a weight is that of a value, which is another one's now
            weight = weight.copy()
            weight[leans] = 1.0
        return replace(self, donors=donors, residuals=replace(residuals, rest=rest), weight=weight)

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
        return self.draw_at(self.reach(matrix), matrix, rng, back_off, allowed)

    def reach(self, matrix: Matrix) -> LeafAssignment:
        """Return where the tree leads each row of `matrix`, whose parents are drawn."""
        features, expected = self.view.features(matrix), None
        if self.residuals is not None:
            expected = self.residuals.expectation.expected(features)
            features = with_expected(features, expected)
        return LeafAssignment(self.tree.route(features), expected)

    def draw_at(
        self,
        reached: LeafAssignment,
        matrix: Matrix,
        rng: np.random.Generator,
        back_off: float,
        allowed: Mask | None = None,
    ) -> Matrix:
        """Return what `draw` returns, from where its rows have been led already."""
        weight, leaves = self.weight, reached.leaves
        if allowed is not None:
            weight = allowed.astype(np.float64) if weight is None else allowed * weight
        if self.grain is None:
            nodes = self.tree.back_off(leaves, back_off, rng, self.settled)
            return self.donors[self.tree.pick(nodes, rng, weight)].astype(np.float64)
        picked = self.tree.pick(leaves, rng, weight)
        codes = self.donors[picked]
        values = self.grain.values[codes]
        drawn = moved = self.grain.moved(codes, rng)
        if self.slopes is not None:
            leant = self.slopes.lean(values, moved, picked, leaves, matrix)
            drawn = np.where(leant == moved, moved, self.grain.habitual(leant))
        drawn = np.where(self.grain.atom[codes], values, self.grain.on_grid(drawn))
        if self.residuals is not None and reached.expected is not None:
            leaning = self.residuals.drawn(self.residuals.scores(reached.expected, picked))
            drawn = np.where(np.isnan(leaning), drawn, self.grain.on_grid(leaning))
        if self.overlay is not None and allowed is None:
            drawn = self.overlay.laid(drawn, self.grain, rng)
        return self._tied(drawn, picked, matrix)

    def _tied(self, drawn: Matrix, picked: Labels, matrix: Matrix) -> Matrix:
        if self.grain is None or not self.ties:
            return drawn
        low, high = self.grain.values[0], self.grain.values[-1]
        tie = self.tie[picked]
        for number, one in enumerate(self.ties):
            rows = np.flatnonzero(tie == number)
            made = one.value(matrix[rows], decimals_of(self.grain.step))
            fits = (made >= low) & (made <= high)
            drawn[rows[fits]] = made[fits]
        return drawn


def decimals_of(step: float | None) -> int | None:
    """Return the digits after the point of a number on a grid; None for one without."""
    return None if step is None else max(0, round(-np.log10(step)))


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
        grain = NumberBins.of(target, settings.n_cells, variable.step, by_week=by_week)
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
