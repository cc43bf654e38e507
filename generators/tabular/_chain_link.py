"""One link of the chain: a variable given those drawn before it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._chain_grain import Grain
from ._chain_overlay import Overlay
from ._chain_parents import ParentView
from ._chain_residuals import Residuals, with_expected
from ._chain_routing import Nodes
from ._chain_slopes import LeafSlopes
from ._chain_table import Matrix
from ._chain_ties import Tie
from ._chain_tree import DonorTree

Labels = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_SURE = 10
"""A leaf of one level is no accident where this many other rows would be expected."""


class Reached(NamedTuple):
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
    grain: Grain | None = None
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

    def reach(self, matrix: Matrix) -> Reached:
        """Return where the tree leads each row of `matrix`, whose parents are drawn."""
        features, expected = self.view.features(matrix), None
        if self.residuals is not None:
            expected = self.residuals.expectation.expected(features)
            features = with_expected(features, expected)
        return Reached(self.tree.route(features), expected)

    def draw_at(
        self,
        reached: Reached,
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
