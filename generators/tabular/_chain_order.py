"""In which order the chain draws its variables, and which parents a tree looks at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ._chain_table import ChainTable, Matrix, Variable

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


class Kinship:
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
