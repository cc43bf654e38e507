"""Rows on the lines between real rows and their neighbours: the heart of SMOTE and its kin."""

from __future__ import annotations

import warnings
from typing import ClassVar, Literal, get_args

import numpy as np

from twinset.core.errors import FewRowsWarning

from .class_points import ClassPoints
from .engine import Maker, NewRows
from .pair_rules import PairRule
from .streams import PARENTS, Positions, RandomDraws

Labels = Literal["vote", "parent"]
LABELS: tuple[str, ...] = get_args(Labels)
_ANY = PairRule()


class Segments(Maker):
    """New rows between a real row and one of its k nearest ones.

    Parameters
    ----------
    crowd : Crowd
        Rows of one class.
    k_neighbors : int
        Neighbours to choose from.
    labels : {"vote", "parent"}
        Where labels come from; see `minority.smote`.
    bond : Bond
        What the two rows of a pair must share. Seeds are the rows that have somebody to pair with.
    """

    stays_in_range: ClassVar[bool] = True

    def __init__(
        self, crowd: ClassPoints, k_neighbors: int, labels: Labels, bond: PairRule = _ANY
    ) -> None:
        self.crowd, self.labels = crowd, labels
        self.neighbours = bond.neighbours(crowd, k_neighbors)
        self.seeds: Positions = self.neighbours.seeds
        if len(crowd) <= k_neighbors:
            warnings.warn(_few_rows(len(crowd), k_neighbors), FewRowsWarning, stacklevel=2)

    def make(self, draws: RandomDraws) -> NewRows:
        """Return one row for each of `draws`."""
        chance = draws.uniform(PARENTS, 4)
        seeds = self.seeds[(chance[:, 0] * len(self.seeds)).astype(np.int64)]
        self.neighbours.find(seeds)
        others = self.neighbours.pick(seeds, chance[:, 1])
        # That little short of the end, no rounding of floats can carry a value past it.
        gap = np.minimum(chance[:, 2], 1 - 2.0**-40)
        cells = self.crowd.cells
        start, made = (np.take(cells.numbers, rows, axis=0) for rows in (seeds, others))
        made -= start
        made *= gap[:, None]
        made += start
        nearer = np.where(gap < 0.5, seeds, others)
        if self.crowd.has_gaps:
            rows, columns = np.nonzero(np.isnan(made))
            made[rows, columns] = cells.numbers[nearer[rows], columns]
        vote = self.labels == "vote"
        codes = self.neighbours.vote(seeds, chance[:, 3]) if vote else cells.codes[nearer]
        return NewRows(made, codes, np.column_stack([seeds, others]))


def _few_rows(n: int, k_neighbors: int) -> str:
    if n == 1:
        return "all rows of a class are equal: every row made from them is a copy"
    return f"a class has only {n} different rows: k_neighbors is {n - 1} instead of {k_neighbors}"
