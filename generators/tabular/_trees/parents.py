"""What a tree of the chain looks at: the variables drawn before, as numbers worth splitting on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .table import ChainTable, Matrix, Variable

Features = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

_PSEUDO_ROWS = 5
_FAR = 8.0
_RIDGE = 1e-3


@dataclass(frozen=True)
class ParentView:
    """The features of one tree.

    A number is itself, a day also its weekday and season, a code with two levels itself. A code
    with more levels becomes the ranks of its levels on the first two axes of a correspondence
    analysis with the label that the tree tells apart, so that one split parts the levels that
    matter. Two linear scores of all numbers let a tree follow a slope.

    Parameters
    ----------
    parents : tuple of int
        Variables looked at.
    ranks : mapping
        Parent -> rank of each level on two axes, and the number it spells if all levels spell
        numbers, shape (k, 2) or (k, 3).
    scores : tuple of numpy.ndarray or None
        Means, scales (each shape (p,)) and weights, shape (p + 1, 2), of the numeric parents.
    """

    parents: tuple[int, ...]
    days: tuple[int, ...]
    numbers: tuple[int, ...]
    ranks: dict[int, Features]
    scores: tuple[Matrix, Matrix, Matrix] | None

    @classmethod
    def of(
        cls,
        matrix: Matrix,
        variables: Sequence[Variable],
        parents: Sequence[int],
        labels: Labels,
        target: Matrix | None,
    ) -> ParentView:
        """Return the view that suits a tree of `labels`; `target` is the number behind them."""
        ranks = {}
        for parent in parents:
            n_levels = variables[parent].n_levels
            if n_levels > 2:
                codes = matrix[:, parent].astype(np.int64)
                ranks[parent] = correspondence_ranks(codes, n_levels, labels)
                if variables[parent].natural:
                    natural = np.array(variables[parent].natural, dtype=np.float32)
                    ranks[parent] = np.column_stack([ranks[parent], natural])
        numbers = tuple(p for p in parents if not variables[p].is_nominal)
        days = tuple(
            p for p in numbers if variables[p].part == "day" and variables[p].anchor is None
        )
        scores = None
        if target is not None and numbers:
            scores = _linear_scores(matrix[:, numbers], target)
        return cls(tuple(parents), days, numbers, ranks, scores)

    def features(self, matrix: Matrix) -> Features:
        """Return what the tree splits on, shape (n, f)."""
        wide = sum(ranks.shape[1] - 1 for ranks in self.ranks.values()) + 2 * len(self.days)
        n_scores = 0 if self.scores is None else self.scores[2].shape[1]
        width = len(self.parents) + wide + n_scores
        made = np.empty((len(matrix), width), dtype=np.float32, order="F")
        at = 0
        for parent in self.parents:
            column = matrix[:, parent]
            if parent in self.ranks:
                ranks = self.ranks[parent]
                made[:, at : at + ranks.shape[1]] = ranks[column.astype(np.intp)]
                at += ranks.shape[1]
                continue
            made[:, at] = column
            at += 1
            if parent in self.days:
                made[:, at] = np.mod(column, 7)
                made[:, at + 1] = np.mod(column, 365.2425)
                at += 2
        if self.scores is not None:
            mean, scale, weights = self.scores
            standard = np.clip((matrix[:, self.numbers] - mean) / scale, -_FAR, _FAR)
            made[:, at:] = standard @ weights[:-1] + weights[-1]
        return made


def correspondence_ranks(codes: Labels, n_levels: int, labels: Labels) -> Features:
    """Return the rank of each level on two axes of its profile over `labels`, shape (k, 2).

    Profiles are drawn towards the common one by 5 pseudo-rows, so rare levels stay in the middle.

    References
    ----------
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
    """Fit the target and its rank by ridge regression on standardised numbers, cut at 8 scales."""
    mean, scale = numbers.mean(0), numbers.std(0)
    scale[scale < 1e-12] = 1.0
    standard = np.clip((numbers - mean) / scale, -_FAR, _FAR)
    design = np.column_stack([standard, np.ones(len(numbers))])
    penalty = np.append(np.full(numbers.shape[1], _RIDGE * len(numbers)), 1e-9)
    both = np.column_stack([target, _mid_ranks(target)])
    weights = np.linalg.solve(design.T @ design + np.diag(penalty), design.T @ both)
    return mean, scale, weights


def _mid_ranks(values: Matrix) -> Matrix:
    """Return the mean rank of each value among all, between 0 and 1, shape (n,)."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(((np.cumsum(counts) - counts / 2) / max(len(values), 1))[where])


_PROBE_ROWS = 4_000
_SHOWN_LEVELS = 4


def draw_order(
    table: ChainTable,
    n_distinct: Sequence[int],
    first: Iterable[str],
    n_cells: int,
    target: str = "",
) -> tuple[int, ...]:
    """Return the variables in the order they are drawn.

    First the columns named; then codes, in ascending order of how many values they have; then the
    target if it is a number; then numbers with few values, in ascending order again; last the fine
    numbers, the finest first, since coarser ones tend to be made from them.

    Parameters
    ----------
    table : ChainTable
        The variables.
    n_distinct : sequence of int
        Distinct values of each variable.
    first : iterable of str
        Columns to draw before all others.
    n_cells : int
        A number with more distinct values than this is a fine one.
    target : str
        The column to predict; what is told of it by codes alone is worth telling exactly.
    """
    position = {name: i for i, name in enumerate(first)}
    variables = table.variables

    def key(v: int) -> tuple[int, int, int, int]:
        place = position.get(variables[v].name, len(position))
        if variables[v].is_nominal:
            return place, 0, n_distinct[v], v
        if variables[v].name == target:
            return place, 1, 0, v
        if n_distinct[v] <= n_cells:
            return place, 2, n_distinct[v], v
        return place, 3, -n_distinct[v], v

    order: list[int] = []

    def put(v: int) -> None:
        for needed in variables[v].needs:
            put(needed)
        # A time of day follows its day at once: what hangs on a date hangs on the whole of it.
        own = table.of_column(variables[v].name) if variables[v].part == "day" else []
        order.extend(u for u in [v, *own] if u not in order)

    for v in sorted(range(len(variables)), key=key):
        if variables[v].part != "time":
            put(v)
    return tuple(order)


class DependenceMatrix:
    """How closely variables go together, for tables too wide to look at every parent."""

    def __init__(self, matrix: Matrix, variables: Sequence[Variable]) -> None:
        step = max(1, len(matrix) // _PROBE_ROWS)
        probe = matrix[::step]
        blocks, owner = [], []
        for v, variable in enumerate(variables):
            block = _indicators(probe[:, v]) if variable.is_nominal else _ranks(probe[:, v])
            blocks.append(block)
            owner += [v] * block.shape[1]
        features = np.hstack(blocks)
        features -= features.mean(0)
        features /= np.maximum(np.sqrt((features**2).sum(0)), 1e-12)
        self._features, self._owner = features, np.array(owner)
        self._n = len(variables)

    def closest(self, position: int, candidates: Sequence[int], most: int) -> list[int]:
        """Return at most `most` of the candidates, those that tell most, in their given order."""
        own = self._features[:, self._owner == position]
        strength = np.zeros(self._n)
        np.maximum.at(strength, self._owner, np.abs(self._features.T @ own).max(1, initial=0.0))
        ranked = sorted(candidates, key=lambda v: -float(strength[v]))[:most]
        kept = set(ranked)
        return [v for v in candidates if v in kept]


def _indicators(codes: Matrix) -> npt.NDArray[np.float64]:
    values, counts = np.unique(codes, return_counts=True)
    shown = values[np.argsort(-counts, kind="stable")[:_SHOWN_LEVELS]]
    return np.asarray(codes[:, None] == shown, dtype=np.float64)


def _ranks(values: Matrix) -> npt.NDArray[np.float64]:
    return np.unique(values, return_inverse=True)[1].astype(np.float64)[:, None]
