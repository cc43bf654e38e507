"""Groups of people: the levels of some columns, and their combinations two by two."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset

Bools = npt.NDArray[np.bool_]

_MOST_LEVELS = 12


@dataclass(frozen=True)
class Subgroups:
    """Groups with enough rows on both sides.

    Parameters
    ----------
    names : tuple of str
        What the g groups are called, e.g. "sex = f and region = north".
    conditions : tuple of tuples
        Column and level of each, one or two pairs.
    real, made : numpy.ndarray of bool, shapes (g, n) and (g, m)
        Which rows belong to each.
    too_few : tuple of str
        Groups of real rows that one side has too few rows of.
    """

    names: tuple[str, ...]
    conditions: tuple[tuple[tuple[str, str], ...], ...]
    real: Bools
    made: Bools
    too_few: tuple[str, ...]

    @classmethod
    def of(
        cls,
        real: Dataset,
        made: Dataset,
        columns: Sequence[str],
        crossed: Collection[str],
        least: int,
    ) -> Subgroups:
        """Return the groups of both sets that have `least` rows or more in each.

        Parameters
        ----------
        real, made : Dataset
            The sets.
        columns : sequence of str
            Columns whose levels are groups.
        crossed : collection of str
            Those of them that are also combined two by two.
        least : int
            Rows that a group needs on both sides.
        """
        singles = [
            ((name, level),) for name in columns for level in sorted(set(real.codes(name)[1]))
        ]
        pairs = [
            first + second
            for first, second in combinations(singles, 2)
            if first[0][0] != second[0][0] and {first[0][0], second[0][0]} <= set(crossed)
        ]
        names, kept, ours, theirs, too_few = [], [], [], [], []
        for conditions in [*singles, *pairs]:
            sides = [members(rows, conditions) for rows in (real, made)]
            if sides[0].sum() < least and len(conditions) > 1:
                continue  # what real rows hardly have is no group that could be lost
            name = " and ".join(f"{column} = {level}" for column, level in conditions)
            if min(side.sum() for side in sides) < least:
                too_few.append(name)
                continue
            names.append(name)
            kept.append(conditions)
            ours.append(sides[0])
            theirs.append(sides[1])
        shapes = [(0, len(real)), (0, len(made))]
        stacked = [
            np.array(side) if side else np.zeros(shape, dtype=bool)
            for side, shape in zip((ours, theirs), shapes)
        ]
        return cls(tuple(names), tuple(kept), stacked[0], stacked[1], tuple(too_few))


def members(rows: Dataset, conditions: Sequence[tuple[str, str]]) -> Bools:
    """Return which rows have all these levels, shape (n,).

    Examples
    --------
    >>> import pyarrow as pa
    >>> rows = Dataset.from_arrow(pa.table({"a": ["x", "x", "y"], "b": ["p", "q", "p"]}))
    >>> members(rows, [("a", "x"), ("b", "p")]).tolist()
    [True, False, False]
    """
    inside = np.ones(len(rows), dtype=bool)
    for column, level in conditions:
        codes, levels = rows.codes(column)  # -1 where the value is missing
        inside &= codes == (levels.index(level) if level in levels else -2)
    return inside


def audited_columns(comparison: Comparison, asked: Sequence[str], most: int) -> tuple[str, ...]:
    """Return the columns whose levels are groups.

    Those asked for; else those whose population is declared; else the `most` categories and booleans
    with the fewest levels, 2 to 12.

    Raises
    ------
    NotMeasurable
        There is no such column.
    """
    schema = comparison.reference.schema
    unknown = [name for name in asked if name not in schema.names]
    if unknown:
        raise NotMeasurable(f"the column '{unknown[0]}' is not among the columns of both sets")
    named = asked or [name for name in comparison.population if name in schema.names]
    if named:
        return tuple(name for name in named if name != comparison.target)
    found = []
    for place, field in enumerate(schema.fields):
        if field.has_levels and field.name != comparison.target:
            n_levels = len(comparison.reference.codes(field.name)[1])
            if 2 <= n_levels <= _MOST_LEVELS:
                found.append((n_levels, place, field.name))
    if not found:
        raise NotMeasurable(f"no category has 2 to {_MOST_LEVELS} levels that could be groups")
    return tuple(name for _, _, name in sorted(found)[:most])
