"""Repeats that a class has by nature: its values are few, or one of its columns varies freely.

Where rows were multiplied, a row repeats as a whole: another value in one telling column, and its copies
are gone. Where a class is discrete by nature, its rows repeat as well with columns that were shuffled.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from twinset.measurement.leakage.row_keys import Keys

_MOST_COLUMNS = 32
_TELLING = 0.2
"""Two rows of the class agree in a telling column with at most this chance."""
_FEW_ROWS = 50
_LEAST_ROWS = 12
_LEAST_COLUMNS = 3
_TELLS_ROWS_APART = 0.8


def shuffled_share(
    cells: Mapping[str, Keys],
    held: npt.NDArray[np.bool_],
    elsewhere: Keys,
    rng: np.random.Generator,
) -> float:
    """Return the share of holdout rows of a class that stand in train once their columns are shuffled.

    Parameters
    ----------
    cells : mapping
        Column -> mixed number of each row of the class, shape (n,).
    held : numpy.ndarray of bool
        Which of these rows are the holdout's, shape (n,); at least one.
    elsewhere : numpy.ndarray
        Keys of the train rows of other classes.
    rng : numpy.random.Generator
        Source of the shuffles.

    Returns
    -------
    float
        The largest share, in [0, 1], of: every column shuffled for itself, one telling column alone.

    Examples
    --------
    >>> cells = {"x": np.arange(100, dtype=np.uint64) % np.uint64(50) * np.uint64(1000)}
    >>> cells["y"] = cells["x"] * np.uint64(7)
    >>> held = np.arange(100) < 50
    >>> shuffled_share(cells, held, np.zeros(0, np.uint64), np.random.default_rng(0)) < 0.2
    True
    """
    whole = _sum(cells)
    shuffled = [_sum({name: rng.permutation(cell) for name, cell in cells.items()})]
    telling = []
    for name, cell in cells.items():
        sizes = np.unique(cell, return_counts=True)[1]
        if ((sizes / len(cell)) ** 2).sum() <= _TELLING:
            telling.append((len(sizes), name))
    for _, name in sorted(telling)[:_MOST_COLUMNS]:
        shuffled.append(whole - cells[name] + rng.permutation(cells[name]))
    # Train stays as it is: shuffled, rows that were multiplied would fill every combination.
    train = np.append(whole[~held], elsewhere)
    return float(max(np.isin(key[held], train).mean() for key in shuffled))


def has_few_rows(cells: Mapping[str, Keys]) -> bool:
    """Return whether the repeats of a class are of so few rows that they may be its nature.

    Fewer than 12 distinct rows repeat; or up to 50 do, and they are not told apart by each of three
    columns, as rows of measured values are.

    Parameters
    ----------
    cells : mapping
        Column -> mixed number of each row of the class, shape (n,).

    Examples
    --------
    >>> kinds = np.arange(60, dtype=np.uint64) % np.uint64(20)
    >>> has_few_rows({"kind": kinds, "half": kinds // np.uint64(2)})
    True
    >>> has_few_rows({name: kinds * np.uint64(i) for i, name in enumerate("abcd", 1)})
    False
    """
    _, first, sizes = np.unique(_sum(cells), return_index=True, return_counts=True)
    rows = first[sizes > 1]
    if len(rows) > _FEW_ROWS:
        return False
    apart = sum(
        len(np.unique(cell[rows])) >= _TELLS_ROWS_APART * len(rows) for cell in cells.values()
    )
    return len(rows) < _LEAST_ROWS or apart < _LEAST_COLUMNS


def _sum(cells: Mapping[str, Keys]) -> Keys:
    total = np.zeros(len(next(iter(cells.values()))), dtype=np.uint64)
    for cell in cells.values():
        total += cell
    return total
