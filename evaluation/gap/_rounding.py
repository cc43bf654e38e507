"""Roundness of numbers: how many steps of a chain, e.g. 1, 5, 10, 50, divide each of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

from ._columns import NUMERIC, PooledColumn

Floats = npt.NDArray[np.float64]

_DIGITS = 5  # below this many digits of a typical value, rounding error of measurement hides steps
_STEP_TOLERANCE = 0.01  # of a step: decimals have no exact binary form
_TIME_STEPS = np.array([1e3, 1e6, 6e7, 3.6e9, 8.64e10])  # 1 ms, 1 s, 1 min, 1 h, 1 day in us


def compute_roundness(reference: Dataset, others: list[Dataset], name: str) -> list[Floats] | None:
    """Return the roundness of each value of a column: of the reference, then of the other sets.

    Rounding to tens, half hours or whole days hardly moves a distribution, yet it reveals every row.
    None where the column holds no numbers, or all of them are equally round.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"x": [12.0, 35.0, 21.0, 40.0, 18.0]}))
    >>> found = compute_roundness(real, [real], "x")
    >>> (found[0] - found[0].min()).tolist()
    [0.0, 1.0, 0.0, 2.0, 0.0]
    """
    if reference.schema[name].kind not in NUMERIC:
        return None
    steps = choose_rounding_steps(reference, name)
    found = [count_rounding_steps(part.values(name), steps) for part in (reference, *others)]
    return found if _varies(np.concatenate(found)) else None


def compute_value_roundness(column: PooledColumn) -> Floats | None:
    """Return the roundness of each distinct value, shape (k,); None as in `compute_roundness`.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"x": [12.0, 35.0, 21.0, 40.0, 18.0]}))
    >>> found = compute_value_roundness(PooledColumn.from_sets(real, real, "x"))
    >>> (found - found.min()).tolist()  # of 12, 18, 21, 35 and 40
    [0.0, 0.0, 0.0, 1.0, 2.0]
    """
    if not column.is_number:
        return None
    real = np.repeat(column.values, column.reference[:-1].astype(np.int64))
    found = count_rounding_steps(column.values, _choose_steps(column.kind, real))
    return found if _varies(found) else None


def choose_rounding_steps(reference: Dataset, name: str) -> Floats:
    """Return ascending steps: 1 ms to 1 day for a datetime, decimal steps for other numbers.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"x": [12.0, 35.0, 21.0]}))
    >>> choose_rounding_steps(real, "x")[-4:].tolist()
    [10.0, 50.0, 100.0, 500.0]
    """
    return _choose_steps(reference.schema[name].kind, reference.values(name))


def count_rounding_steps(values: Floats, steps: Floats) -> Floats:
    """Return how many of the `steps` divide each value, shape (n,); NaN where missing.

    Parameters
    ----------
    values : numpy.ndarray, shape (n,)
        Numbers.
    steps : numpy.ndarray, shape (k,)
        Ascending steps, each a multiple of the one before.

    Examples
    --------
    >>> count_rounding_steps(np.array([12.0, 35.0, 40.0]), np.array([1.0, 5.0, 10.0])).tolist()
    [1.0, 2.0, 3.0]
    """
    out = np.where(np.isfinite(values), 0.0, np.nan)
    left = np.flatnonzero(np.isfinite(values))
    for step in steps:
        parts = values[left] / step
        left = left[np.abs(parts - np.rint(parts)) < _STEP_TOLERANCE]
        out[left] += 1
    return out


def _choose_steps(kind: str, real: Floats) -> Floats:
    """Return 1, 5, 10, 50, ... times a step five digits below the median size of the real values."""
    if kind == "datetime":
        return _TIME_STEPS
    sizes = np.abs(real[np.isfinite(real) & (real != 0)])
    top = int(np.ceil(np.log10(np.median(sizes)))) if len(sizes) else 0
    powers = 10.0 ** np.arange(top - _DIGITS, top + 1)
    return np.sort(np.concatenate([powers, 5 * powers]))


def _varies(roundness: Floats) -> bool:
    present = roundness[~np.isnan(roundness)]
    return bool(len(present) and present.min() < present.max())
