"""One link of the chain: a variable given those drawn before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .residuals import LeafSlopes, ResidualModel, append_expectation, fit_expectation
from .table import (
    Mask,
    Matrix,
    NumberBins,
    QuantileMapping,
    Tie,
    Variable,
    find_ties,
    quantile_bins,
)
from .tree import Codes, DonorTree, Features, Nodes

_PSEUDO_ROWS = 5  # pull profiles of rare levels to the common one, so that they stay in the middle
_MAX_DEVIATIONS = 8.0  # an outlier beyond so many standard deviations would decide a linear score
_RIDGE = 1e-3  # of the rows: keeps the scores of collinear numbers finite, hardly shrinks others


@dataclass(frozen=True)
class ParentView:
    """The features of one tree: the variables drawn before, as numbers to split on.

    A number is itself, a day also its weekday and season, a code with two levels itself. A code
    with more levels becomes the ranks of its levels on the first two axes of a correspondence
    analysis with the label of the tree, so that one split separates the levels that differ. Two
    linear scores of all numbers let a tree follow a slope.
    """

    parents: tuple[int, ...]  # variables that features are made from
    days: tuple[int, ...]
    numbers: tuple[int, ...]
    # Parent -> rank of each level on two axes, and its number if all levels spell numbers: (k, 2|3).
    ranks: dict[int, Features]
    # Means, scales, shape (p,) each, and weights, (p + 1, 2), of the numeric parents.
    scores: tuple[Matrix, Matrix, Matrix] | None

    @classmethod
    def from_parents(
        cls,
        matrix: Matrix,
        variables: Sequence[Variable],
        parents: Sequence[int],
        labels: Codes,
        target: Matrix | None,
    ) -> ParentView:
        """Return the view for a tree of `labels`; `target` is the number behind them."""
        ranks = {}
        for parent in parents:
            variable = variables[parent]
            if variable.n_levels > 2:
                codes = matrix[:, parent].astype(np.int64)
                ranks[parent] = correspondence_ranks(codes, variable.n_levels, labels)
                if variable.natural:
                    natural = np.array(variable.natural, dtype=np.float32)
                    ranks[parent] = np.column_stack([ranks[parent], natural])
        numbers = tuple(p for p in parents if not variables[p].is_nominal)
        days = tuple(p for p in numbers if _is_free_day(variables[p]))
        scores = None
        if target is not None and numbers:
            scores = _linear_scores(matrix[:, numbers], target)
        return cls(tuple(parents), days, numbers, ranks, scores)

    def features(self, matrix: Matrix) -> Features:
        """Return the features to split on, shape (n, f)."""
        wide = sum(ranks.shape[1] - 1 for ranks in self.ranks.values()) + 2 * len(self.days)
        n_scores = 0 if self.scores is None else self.scores[2].shape[1]
        width = len(self.parents) + wide + n_scores
        features = np.empty((len(matrix), width), dtype=np.float32, order="F")
        at = 0
        for parent in self.parents:
            column = matrix[:, parent]
            if parent in self.ranks:
                ranks = self.ranks[parent]
                features[:, at : at + ranks.shape[1]] = ranks[column.astype(np.intp)]
                at += ranks.shape[1]
                continue
            features[:, at] = column
            at += 1
            if parent in self.days:
                features[:, at] = np.mod(column, 7)
                features[:, at + 1] = np.mod(column, 365.2425)
                at += 2
        if self.scores is not None:
            mean, scale, weights = self.scores
            standard = (matrix[:, self.numbers] - mean) / scale
            standard = np.clip(standard, -_MAX_DEVIATIONS, _MAX_DEVIATIONS)
            features[:, at:] = standard @ weights[:-1] + weights[-1]
        return features


def _is_free_day(variable: Variable) -> bool:
    return variable.part == "day" and variable.anchor is None


def correspondence_ranks(codes: Codes, n_levels: int, labels: Codes) -> Features:
    """Return the rank of each level on two axes of its profile over `labels`, shape (k, 2).

    Greenacre, "Correspondence Analysis in Practice", 2007.
    """
    n_labels = int(labels.max()) + 1 if len(labels) else 1
    table = np.bincount(codes * n_labels + labels, minlength=n_levels * n_labels)
    counts = table.reshape(n_levels, n_labels).astype(np.float64)
    common = counts.sum(0) / max(counts.sum(), 1)
    counts += _PSEUDO_ROWS * common
    weight = counts.sum(1)
    expected = weight[:, None] * common
    residual = (counts - expected) / np.sqrt(expected + 1)
    scaled = residual / np.sqrt(weight)[:, None]
    # The axes come from the small square matrix: there may be 10^5 levels.
    _, axes = np.linalg.eigh(scaled.T @ scaled)
    profile = (counts / weight[:, None] - common) / np.sqrt(common + 1e-9)
    places = profile @ axes[:, ::-1][:, :2]
    if places.shape[1] == 1:
        places = np.repeat(places, 2, axis=1)
    order = np.argsort(np.round(places, 9), axis=0, kind="stable")
    return np.asarray(np.argsort(order, axis=0, kind="stable"), dtype=np.float32)


def _linear_scores(numbers: Matrix, target: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """Fit the target and its mean rank by ridge regression on standardised numbers."""
    mean, scale = numbers.mean(0), numbers.std(0)
    scale[scale < 1e-12] = 1.0
    standard = np.clip((numbers - mean) / scale, -_MAX_DEVIATIONS, _MAX_DEVIATIONS)
    design = np.column_stack([standard, np.ones(len(numbers))])
    penalty = np.append(np.full(numbers.shape[1], _RIDGE * len(numbers)), 1e-9)
    _, where, counts = np.unique(target, return_inverse=True, return_counts=True)
    ranks = ((np.cumsum(counts) - counts / 2) / max(len(target), 1))[where]
    both = np.column_stack([target, ranks])
    weights = np.linalg.solve(design.T @ design + np.diag(penalty), design.T @ both)
    return mean, scale, weights


# A leaf of one level is no accident where so many rows of other levels would be expected in it.
_MIN_EXPECTED_OTHERS = 10


class LeafAssignment(NamedTuple):
    """The leaf of each row, and the forest's expectation if the link has one."""

    leaves: Nodes
    expected: Matrix | None


@dataclass(frozen=True)
class Link:
    """A variable given its parents: a tree whose leaves contain donors."""

    position: int  # the variable
    view: ParentView
    tree: DonorTree
    # Code of each donor, sorted by leaf, (n,): a level, or a position in the values of `bins`.
    donors: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int32]  # row of the train set that each donor comes from, (n,)
    bins: NumberBins | None = None  # the values of a number; None for a code
    ties: tuple[Tie, ...] = ()  # exact copies, sums and differences of its parents
    # Tie of each donor, -1 for none, (n,).
    tie: npt.NDArray[np.int8] = field(default_factory=lambda: np.empty(0, dtype=np.int8))
    slopes: LeafSlopes | None = None  # dependence of donors on one parent in the leaf
    residuals: ResidualModel | None = None  # dependence of donors on all parents together
    weight: npt.NDArray[np.float32] | None = None  # of each donor, (n,); None for equal weights
    mapping: QuantileMapping | None = None  # to real numbers, where weights are not enough

    @cached_property
    def certain(self) -> Mask:
        """Nodes of a split that leaves one level only, and not by chance: nothing to shrink, (m,)."""
        tree = self.tree
        certain = np.zeros(len(tree.parent), dtype=bool)
        inner = np.flatnonzero(tree.children[:, 0] != np.arange(len(tree.parent)))
        for node in inner:
            for leaf, other in (tree.children[node], tree.children[node][::-1]):
                own, beside = self._donors_of(leaf), self._donors_of(other)
                if tree.children[leaf, 0] == leaf and own[0] == own[-1]:  # sorted inside leaves
                    share = (beside != own[0]).sum() / (len(own) + len(beside))
                    if share * len(own) > _MIN_EXPECTED_OTHERS:
                        certain[[leaf, other]] = True
        return certain

    def _donors_of(self, node: int) -> npt.NDArray[np.int32]:
        start = self.tree.start[node]
        return self.donors[start : start + self.tree.size[node]]

    @property
    def exact_tie(self) -> Tie | None:
        """The tie that holds in all rows of the train set."""
        return self.ties[0] if len(self.ties) == 1 and not self.tie.any() else None

    def violates_tie(self, matrix: Matrix) -> Mask:
        """Return which drawn rows violate the exact tie, shape (n,)."""
        if self.exact_tie is None or self.bins is None:
            return np.zeros(len(matrix), dtype=bool)
        return ~self.exact_tie.matches(matrix, matrix[:, self.position], self.bins.decimals)

    def anonymous(self, rng: np.random.Generator) -> Link:
        """Return the link without the rows that its donors come from.

        A donor and its residual would disclose the parent: residuals of slopes, and donors with a
        forest's residual, are shuffled inside leaves.
        """
        plain = replace(self, rows=np.empty(0, dtype=np.int32))
        if self.slopes is not None and self.bins is not None:
            free = ~self.bins.atom[self.donors]
            own = np.flatnonzero(free & (self.tie < 0) if len(self.tie) else free)
            rest = np.zeros_like(self.slopes.rest)
            rest[own] = self.slopes.rest[own[np.lexsort((rng.random(len(own)), self._leaf(own)))]]
            plain = replace(plain, slopes=replace(self.slopes, rest=rest))
        if self.residuals is None:
            return plain
        own = np.flatnonzero(~np.isnan(self.residuals.rest))
        donors, weight = self.donors.copy(), self.weight
        donors[own] = self.donors[own[np.lexsort((rng.random(len(own)), self._leaf(own)))]]
        if weight is not None:  # a weight belongs to a value, which has another place now
            weight = weight.copy()
            weight[own] = 1.0
        return replace(plain, donors=donors, weight=weight)

    def _leaf(self, donors: Codes) -> Nodes:
        return self.tree.leaves[donors]

    def draw(
        self, matrix: Matrix, rng: np.random.Generator, back_off: float, allowed: Mask | None = None
    ) -> Matrix:
        """Return the variable in each row of `matrix`, whose parents are drawn, shape (n,)."""
        return self.draw_at(self.assign(matrix), matrix, rng, back_off, allowed)

    def assign(self, matrix: Matrix) -> LeafAssignment:
        """Return the leaf of each row of `matrix`, whose parents are drawn."""
        features, expected = self.view.features(matrix), None
        if self.residuals is not None:
            expected = self.residuals.expectation.predict(features)
            features = append_expectation(features, expected)
        return LeafAssignment(self.tree.route(features), expected)

    def draw_at(
        self,
        at: LeafAssignment,
        matrix: Matrix,
        rng: np.random.Generator,
        back_off: float,
        allowed: Mask | None = None,
    ) -> Matrix:
        """Return the result of `draw` for rows whose leaves are known."""
        weight, leaves = self.weight, at.leaves
        if allowed is not None:
            weight = allowed.astype(np.float64) if weight is None else allowed * weight
        if self.bins is None:
            nodes = self.tree.back_off(leaves, back_off, rng, self.certain)
            return self.donors[self.tree.pick(nodes, rng, weight)].astype(np.float64)
        bins, picked = self.bins, self.tree.pick(leaves, rng, weight)
        codes = self.donors[picked]
        values = bins.values[codes]
        drawn = moved = bins.moved(codes, rng)
        if self.slopes is not None:
            shifted = self.slopes.shift(values, moved, picked, leaves, matrix)
            drawn = np.where(shifted == moved, moved, bins.snap_to_shared(shifted))
        drawn = np.where(bins.atom[codes], values, bins.round(drawn))
        if self.residuals is not None and at.expected is not None:
            scores = self.residuals.scores(at.expected, picked, self.tree.leaves, rng)
            numbers = self.residuals.numbers(scores)
            if not self.residuals.in_steps:
                numbers = bins.snap_to_shared(bins.blurred(numbers, rng))
            drawn = np.where(np.isnan(numbers), drawn, bins.round(numbers))
        if self.mapping is not None and allowed is None:
            drawn = self.mapping.apply(drawn, bins, rng)
        tie = self.tie[picked] if self.ties else self.tie
        for number, one in enumerate(self.ties):
            rows = np.flatnonzero(tie == number)
            value = one.value(matrix[rows], bins.decimals)
            fits = (value >= bins.values[0]) & (value <= bins.values[-1])
            drawn[rows[fits]] = value[fits]
        return drawn


# Labels of a code's tree: the 48 most frequent levels have their own, all rarer ones share 16. A
# tree of thousands of labels would take minutes and memory and separate nothing more.
_MAX_OWN_LABELS = 48
_SHARED_LABELS = 16  # see above; similar rare levels share one
# Levels that the tree of a number may go below a split that other rows confirm: 1 for a number with
# few values, 5 at leaves of 40 rows. Below 4,000 rows such trees are not pruned: too few test rows.
_SLACK_OF_FEW, _SLACK_OF_40, _MIN_PRUNED_ROWS = 1, 5, 4_000


@dataclass(frozen=True)
class LinkSettings:
    """How links are grown; see the parameters of `tabular.trees`."""

    min_leaf: int
    min_leaf_labels: int
    back_off: float
    n_bins: int
    n_cells: int
    temperature: float = 1.0
    min_repeats: int = 0


def _fit_nominal_link(
    known: Matrix,
    variables: Sequence[Variable],
    position: int,
    parents: Sequence[int],
    rows: Codes,
    settings: LinkSettings,
    seed: int,
) -> Link:
    """Return the link of a variable of labels; `known` are the `rows` of the matrix."""
    codes = known[:, position].astype(np.int64)
    labels = _level_labels(codes, variables[position].n_levels, known, parents)
    view = ParentView.from_parents(known, variables, parents, labels, None)
    features, min_leaf = view.features(known), settings.min_leaf_labels
    tree, order = DonorTree.grow(features, labels, codes, min_leaf, seed)
    donors, row_numbers = codes[order].astype(np.int32), rows[order].astype(np.int32)
    weight = _temperature_weights(codes[order], tree, settings.temperature)
    return Link(position, view, tree, donors, row_numbers, weight=weight)


def fit_link(
    matrix: Matrix,
    variables: Sequence[Variable],
    position: int,
    parents: Sequence[int],
    rows: Codes,
    settings: LinkSettings,
    seed: int,
    *,
    regress: bool = True,
) -> Link:
    """Return the link of one variable, fitted on `rows` of the matrix, shape (n, v)."""
    known, variable = _columns_of(matrix, rows, [*parents, position]), variables[position]
    if variable.is_nominal:
        return _fit_nominal_link(known, variables, position, parents, rows, settings, seed)
    target, by_week = known[:, position], _is_free_day(variable)
    bins = NumberBins.from_values(target, settings.n_cells, variable.step, by_week=by_week)
    codes = bins.codes(target) if len(target) else np.zeros(0, dtype=np.int64)
    counts = np.bincount(codes, minlength=len(bins.values))
    labels = quantile_bins(np.maximum(counts, 1), settings.n_bins)[0][codes]
    numbers = [p for p in parents if not variables[p].is_nominal]
    free = ~bins.atom[codes]
    ties, tie = find_ties(known, target, numbers, free, bins.decimals)
    free = free & (tie < 0)
    if ties:
        labels = np.where(tie >= 0, labels.max() + 1 + tie, labels)
        labels = np.unique(labels, return_inverse=True)[1]
    view = ParentView.from_parents(known, variables, parents, labels, target)
    has_few_values = len(bins.values) <= settings.n_cells
    features, places, rng = view.features(known), codes, np.random.default_rng(seed)
    regression = None
    if regress and not by_week and not (ties and has_few_values):
        regression = fit_expectation(features, target, bins, codes, free, has_few_values, rng)
    if regression is not None:
        features, places = regression.features(features, rng), regression.places(codes)
        labels = regression.labels(labels, settings.n_bins)
    is_coarse = has_few_values and regression is None
    min_leaf = settings.min_leaf_labels if is_coarse else settings.min_leaf
    slack = _pruning_slack(len(target), min_leaf, has_few_values)
    tree, order = DonorTree.grow(features, labels, places, min_leaf, seed, slack)
    slopes = residuals = None
    if regression is not None:
        residuals = regression.residuals(tree, order, target, rng)
    elif numbers and len(tree.parent) > 1:
        donors = _columns_of(known, order, numbers), target[order], free[order]
        slopes = LeafSlopes.fit(*donors, tree.leaves, len(tree.parent), numbers)
    return Link(
        position=position,
        view=view,
        tree=tree,
        donors=codes[order].astype(np.int32),
        rows=rows[order].astype(np.int32),
        bins=bins,
        ties=ties,
        tie=tie[order] if ties else tie[:0],
        slopes=slopes,
        residuals=residuals,
        weight=_temperature_weights(labels[order], tree, settings.temperature),
    )


def _columns_of(matrix: Matrix, rows: Codes, columns: Sequence[int]) -> Matrix:
    """Return some rows of which only these columns have values: the others would take time to copy."""
    part = np.empty((len(rows), matrix.shape[1]), order="F")
    for column in columns:
        part[:, column] = matrix[rows, column]
    return part


def _pruning_slack(n: int, min_leaf: int, has_few_values: bool) -> int | None:
    """Return how many levels a number's tree may go beyond useful splits; None for no pruning."""
    if n < _MIN_PRUNED_ROWS:
        return None
    if has_few_values:
        return _SLACK_OF_FEW
    return max(0, round(_SLACK_OF_40 + math.log2(40 / min_leaf)))


def _temperature_weights(
    labels: Codes, tree: DonorTree, temperature: float
) -> npt.NDArray[np.float32] | None:
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


def _level_labels(codes: Codes, n_levels: int, known: Matrix, parents: Sequence[int]) -> Codes:
    """Return labels for the tree: frequent levels keep their own, similar rare ones share one."""
    counts = np.bincount(codes, minlength=n_levels)
    if n_levels <= _MAX_OWN_LABELS + _SHARED_LABELS:
        return codes
    frequent = np.sort(np.argsort(-counts, kind="stable")[:_MAX_OWN_LABELS])
    label = np.full(n_levels, -1)
    label[frequent] = np.arange(len(frequent))
    rare = np.flatnonzero(label < 0)
    place = np.zeros(n_levels)
    if len(parents):
        standard = known[:, list(parents)] - known[:, list(parents)].mean(0)
        standard /= np.maximum(standard.std(0), 1e-12)
        sums = np.column_stack([np.bincount(codes, s, n_levels) for s in standard.T])
        means = sums / (counts[:, None] + _PSEUDO_ROWS)
        _, axes = np.linalg.eigh((means * counts[:, None]).T @ means)
        place = np.round(means @ axes[:, -1], 9)
    ordered = rare[np.argsort(place[rare], kind="stable")]
    below = np.cumsum(counts[ordered]) - counts[ordered] / 2
    share = np.minimum(below / max(counts[ordered].sum(), 1) * _SHARED_LABELS, _SHARED_LABELS - 1)
    label[ordered] = len(frequent) + share.astype(np.int64)
    return np.unique(label[codes], return_inverse=True)[1]
