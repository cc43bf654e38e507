"""How far the tails of a number reach, beside those of real rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.stats.bootstrap import Groups

from ._pooled import PooledColumn

Floats = npt.NDArray[np.float64]

_TAIL = 0.05
_LEAST = 0.01
"""Of a tail that weighs less among the train rows, as its values are one heap, nothing is said."""


@dataclass(frozen=True)
class TailGap:
    """How far one tail of a column is from the real one, and bootstrap replicates, shape (b,)."""

    name: str
    gap: float
    drawn: Floats


@dataclass(frozen=True)
class Tails:
    """The known numbers of a column, rising, and which of its tails are looked at: lower, upper."""

    known: Floats
    sides: tuple[tuple[str, bool], ...]

    @classmethod
    def of(cls, train: Dataset, name: str, cache: dict[str, Any]) -> Tails:
        """Return the tails of a column of the train rows; found once, then kept in `cache`."""
        key = f"tails {name}"
        if key not in cache:
            column = train.values(name)
            known = np.sort(column[~np.isnan(column)])
            sides = [
                (side, is_upper)
                for side, is_upper in (("lower tail", False), ("upper tail", True))
                if len(known) and tail_weights(known, known, is_upper).mean() >= _LEAST
            ]
            cache[key] = cls(known, tuple(sides))
        found: Tails = cache[key]
        return found


def tail_gaps(
    column: PooledColumn, tails: Tails, name: str, groups: tuple[Groups, Groups]
) -> list[TailGap]:
    """Return the gaps of the lower and of the upper tail, of those that the train rows have.

    Parameters
    ----------
    column : PooledColumn
        The column of both sets.
    tails : Tails
        Its tails in train.
    name : str
        Its name.
    groups : tuple of Groups
        Groups of the synthetic and of the reference rows.
    """
    found = []
    for side, is_upper in tails.sides:
        # A missing value is in no tail.
        weight = np.append(tail_weights(column.values, tails.known, is_upper), 0.0)
        (made, drawn_made), (real, drawn_real) = (
            group.means(rows[:, None]) for group, rows in zip(groups, column.rows(weight))
        )
        gap = float(np.abs(made - real)[0, 0])
        found.append(TailGap(f"{name} ({side})", gap, np.abs(drawn_made - drawn_real)[:, 0]))
    return found


def tail_weights(values: Floats, known: Floats, is_upper: bool) -> Floats:
    """Return how far out each value is in a tail, shape (k,): 0 where it begins, 2 at its end.

    A value's place is its rank among the known ones. The tail is their outer twentieth, and the mean
    weight of a column like them is that twentieth: what is cut off shows as a share of rows would.

    Parameters
    ----------
    values : numpy.ndarray, shape (k,)
        Values.
    known : numpy.ndarray, shape (m,)
        Rising values that decide the ranks, one or more.
    is_upper : bool
        Whether it is the tail of large values.

    Examples
    --------
    >>> known = np.arange(1000.0)
    >>> tail_weights(np.array([-5.0, 25.0, 60.0]), known, False).round(2).tolist()
    [2.0, 0.98, 0.0]
    >>> round(float(tail_weights(known, known, True).mean()), 3)
    0.05
    """
    n = len(known)
    # Beyond this known value more than the outer twentieth of them lies farther out.
    first = min(math.ceil(_TAIL * n), n - 1)
    near = values >= known[n - 1 - first] if is_upper else values <= known[first]
    sides = [np.searchsorted(known, values[near], side=side) for side in ("left", "right")]
    rank = (sides[0] + sides[1]) / (2 * n)
    outside = (1 - rank) if is_upper else rank
    weights = np.zeros(len(values))
    weights[near] = 2 * np.maximum(_TAIL - outside, 0.0) / _TAIL
    return weights
