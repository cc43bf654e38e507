"""Columns and index of a pandas frame after rows were added: real ones first, then new ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


def longer_columns(real: Sequence[Any], new: Sequence[Any]) -> dict[int, Any]:
    """Return position -> values of each column, n real ones and then m new ones, in its own type.

    Parameters
    ----------
    real : sequence of pandas.Series
        The real values, n of each.
    new : sequence of array-like
        New values for each, m of each.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"x": [1.5, 2.5], "c": pd.Categorical(["a", "b"])})
    >>> drawn = [np.array([2.0]), pd.Categorical(["b"], ["a", "b"])]
    >>> longer = longer_columns([frame["x"], frame["c"]], drawn)
    >>> longer[0].tolist(), longer[1].tolist()
    ([1.5, 2.5, 2.0], ['a', 'b', 'b'])
    """
    is_plain = [_is_plain(old, added) for old, added in zip(real, new, strict=True)]
    rooms = _Rooms([old for old, plain in zip(real, is_plain, strict=True) if plain], new)
    longer = {}
    for j, (old, added) in enumerate(zip(real, new, strict=True)):
        longer[j] = rooms.filled(old, added) if is_plain[j] else _joined(old, added)
    return longer


class _Rooms:
    """One array for all columns of a type: the system hands out a large piece of memory much faster."""

    def __init__(self, real: Sequence[Any], new: Sequence[Any]) -> None:
        counts = Counter(old.dtype for old in real)
        n = len(real[0]) + len(new[0]) if real else 0
        self._rows = {dtype: iter(np.empty((d, n), dtype)) for dtype, d in counts.items()}

    def filled(self, old: Any, added: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the next row of the room of this type, filled."""
        row: npt.NDArray[Any] = next(self._rows[old.dtype])
        row[: len(old)], row[len(old) :] = old.to_numpy(), added
        return row


def _is_plain(old: Any, added: Any) -> bool:
    is_numpy = isinstance(old.dtype, np.dtype) and isinstance(added, np.ndarray)
    return is_numpy and old.dtype == added.dtype and old.dtype.kind in "fiub"


def _joined(old: Any, added: Any) -> Any:
    import pandas as pd

    dtype = old.dtype
    if isinstance(dtype, pd.CategoricalDtype) and added.dtype == dtype:
        codes = np.concatenate([old.cat.codes.to_numpy(), added.codes])
        return pd.Categorical.from_codes(codes, dtype=dtype)
    series = pd.Series(added, copy=False)
    if series.dtype != dtype:
        series = series.astype(dtype)
    return pd.concat([old, series], ignore_index=True).array


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
