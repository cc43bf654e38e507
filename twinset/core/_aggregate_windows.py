"""Windows over the rows of an entity: where each begins and ends, and what their values come to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """For each row, the stretch of rows that its window means, in the order of entity and time.

    Parameters
    ----------
    order : numpy.ndarray of int, shape (n,)
        Positions of the rows by entity, then time.
    start, end : numpy.ndarray of int, shape (n,)
        Half-open stretch of `order` for each row, in the order of the rows themselves.
    """

    order: Ints
    start: Ints
    end: Ints

    @classmethod
    def of(cls, entities: Ints, times: Floats, length: float, *, with_row: bool = True) -> Windows:
        """Return the windows ``t - length < time <= t``, or ``time < t`` without the row.

        Parameters
        ----------
        entities : numpy.ndarray of int, shape (n,)
            Code of each row's entity.
        times, length
            Times in one unit.

        Examples
        --------
        >>> w = Windows.of(np.array([0, 0, 1, 0]), np.array([1.0, 3.0, 2.0, 9.0]), 5.0)
        >>> (w.end - w.start).tolist()
        [1, 2, 1, 1]
        """
        order = np.lexsort((times, entities))
        end = _rows_up_to(entities, times, entities, times, inclusive=with_row)
        if np.isinf(length):
            start = _rows_up_to(entities, times, entities, np.full(len(times), -np.inf), True)
        else:
            start = _rows_up_to(entities, times, entities, times - length, True)
        return cls(order, start, np.maximum(end, start))

    def counts(self) -> Floats:
        """Return the number of rows in each window."""
        return (self.end - self.start).astype(np.float64)

    def sums(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the sum of the values that are there and their number, for each window.

        Only values of the window itself are added up: a huge value elsewhere costs no digits.
        """
        ordered = values[self.order]
        there = np.isfinite(ordered)
        number = np.concatenate([[0], np.cumsum(there)])
        n = (number[self.end] - number[self.start]).astype(np.float64)
        total, at = np.zeros(len(n)), self.start.copy()
        width, table = self.end - self.start, np.where(there, ordered, 0.0)
        size, widest = 1, int(width.max(initial=0))
        # A window is one stretch for every power of two in its width: O(n log n), no loop over rows.
        while size <= widest:
            mine = np.flatnonzero(width & size)
            total[mine] += table[at[mine]]
            at[mine] += size
            if 2 * size <= widest:
                table = table[:-size] + table[size:]
            size *= 2
        return total, n

    def largest(self, values: Floats) -> Floats:
        """Return the largest value in each window, NaN where none is there."""
        ordered = np.where(np.isfinite(values), values, -np.inf)[self.order]
        width = self.end - self.start
        found = np.full(len(width), -np.inf)
        size, table, widest = 1, ordered, int(width.max(initial=0))
        # A window is two stretches of a power of two that overlap: O(n log n), and no loop over rows.
        while size <= widest:
            mine = (width >= size) & (width < 2 * size)
            left, right = self.start[mine], self.end[mine] - size
            found[mine] = np.maximum(table[left], table[right])
            if 2 * size <= widest:
                table = np.maximum(table[:-size], table[size:])
            size *= 2
        return np.where(np.isfinite(found), found, np.nan)


def time_since_last(entities: Ints, times: Floats) -> Floats:
    """Return the time since the entity's latest earlier row, NaN where there is none, shape (n,).

    Examples
    --------
    >>> time_since_last(np.array([0, 0, 1, 0]), np.array([1.0, 3.0, 2.0, 3.0])).tolist()
    [nan, 2.0, nan, 2.0]
    """
    order = np.lexsort((times, entities))
    before = _rows_up_to(entities, times, entities, times, inclusive=False)
    last = order[np.maximum(before - 1, 0)]
    known = (before > 0) & (entities[last] == entities)
    return np.where(known, times - times[last], np.nan)


def _rows_up_to(entities: Ints, times: Floats, of: Ints, until: Floats, inclusive: bool) -> Ints:
    """Return how many rows, by entity then time, stand up to each question (of, until)."""
    n = len(entities)
    asked = np.concatenate([np.zeros(n, np.int8), np.ones(len(of), np.int8)])
    # At one time the rows come before the questions, or after them.
    rank = asked if inclusive else 1 - asked
    order = np.lexsort((rank, np.concatenate([times, until]), np.concatenate([entities, of])))
    is_question = asked[order] == 1
    seen = np.cumsum(~is_question)
    found = np.empty(len(of), dtype=np.int64)
    found[order[is_question] - n] = seen[is_question]
    return found
