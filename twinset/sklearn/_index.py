"""The index of a pandas frame after rows were added."""

from __future__ import annotations

from typing import Any

import numpy as np

from twinset.sklearn._columns import Rows


def longer_index(index: Any, seeds: Rows) -> Any:
    """Return the labels of all rows: real rows keep theirs, new ones get labels of the same type.

    Whole numbers go on after the greatest one, so 0 ... n - 1 becomes 0 ... n + m - 1. Texts become
    ``synthetic-0``, ``synthetic-1``, ... All others (dates, several levels) take the label of the
    real row that the new one comes from, so that no label is missing.

    Parameters
    ----------
    index : pandas.Index
        Labels of the real rows, n of them.
    seeds : numpy.ndarray, shape (m,)
        Position of the real row that each new one comes from.

    Examples
    --------
    >>> import pandas as pd
    >>> longer_index(pd.RangeIndex(3), np.array([0, 2]))
    RangeIndex(start=0, stop=5, step=1)
    >>> longer_index(pd.Index(["a", "b"]), np.array([0])).to_list()
    ['a', 'b', 'synthetic-0']
    """
    import pandas as pd

    m = len(seeds)
    if isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1:
        return pd.RangeIndex(len(index) + m, name=index.name)
    if not isinstance(index, pd.MultiIndex):
        if pd.api.types.is_integer_dtype(index.dtype) and not index.hasnans:
            first = int(index.max()) + 1 if len(index) else 0
            new = pd.Index(np.arange(first, first + m), dtype=index.dtype)
            return index.append(new).rename(index.name)
        if pd.api.types.infer_dtype(index) == "string":
            new = pd.Index(_free_names(index, m), dtype=index.dtype)
            return index.append(new).rename(index.name)
    return index.append(index.take(seeds))


def _free_names(index: Any, m: int) -> list[str]:
    numbers = index.str.extract(r"^synthetic-(\d+)$", expand=False).dropna()
    first = int(numbers.astype("int64").max()) + 1 if len(numbers) else 0
    return [f"synthetic-{i}" for i in range(first, first + m)]
