"""How round numbers are: the coarsest step, of a chain of steps, that each of them is a multiple of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

from ._pooled import PooledColumn, places_of

Floats = npt.NDArray[np.float64]

_DIGITS = 5
_OF_A_STEP = 0.01
_TIME_STEPS = np.array([1e3, 1e6, 6e7, 3.6e9, 8.64e10])


def compute_roundness(reference: Dataset, others: list[Dataset], name: str) -> list[Floats] | None:
    """Return how round each value of a column is, once a set: the reference, then the others.

    Rounding to tens, to half hours or to whole days moves a distribution by almost nothing, and yet
    gives every row away. None where the column holds no numbers or all of them are equally round.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"x": [12.0, 35.0, 21.0, 40.0, 18.0]}))
    >>> found = compute_roundness(real, [real], "x")
    >>> (found[0] - found[0].min()).tolist()
    [0.0, 1.0, 0.0, 2.0, 0.0]
    """
    if not reference.schema[name].has_order:
        return None
    steps = choose_rounding_steps(reference, name)
    found = [count_rounding_steps(part.values(name), steps) for part in (reference, *others)]
    present = np.concatenate(found)
    present = present[~np.isnan(present)]
    return found if len(present) and present.min() < present.max() else None


def choose_rounding_steps(reference: Dataset, name: str) -> Floats:
    """Return the rising steps that roundness is told in: of a datetime 1 ms to 1 day, else decimal ones.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"x": [12.0, 35.0, 21.0]}))
    >>> choose_rounding_steps(real, "x")[-4:].tolist()
    [10.0, 50.0, 100.0, 500.0]
    """
    if reference.schema[name].is_time:
        return _TIME_STEPS
    return _decimal_steps(_median_size(reference.values(name)))


def compute_value_roundness(column: PooledColumn) -> Floats | None:
    """Return how round each distinct value of a column is, shape (k,); None as in `compute_roundness`.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"x": [12.0, 35.0, 21.0, 40.0, 18.0]}))
    >>> found = compute_value_roundness(PooledColumn.of(real, real, "x"))  # of 12, 18, 21, 35 and 40
    >>> (found - found.min()).tolist()
    [0.0, 0.0, 0.0, 1.0, 2.0]
    """
    if not column.is_number:
        return None
    is_time = column.field.is_time
    steps = _TIME_STEPS if is_time else _decimal_steps(_usual_size(column))
    found = count_rounding_steps(column.values, steps)
    return found if len(found) and found.min() < found.max() else None


def count_rounding_steps(values: Floats, steps: Floats) -> Floats:
    """Return of how many of the `steps` each value is a multiple, shape (n,); NaN where missing.

    Parameters
    ----------
    values : numpy.ndarray, shape (n,)
        Numbers.
    steps : numpy.ndarray, shape (k,)
        Rising steps, each a multiple of the one before.

    Examples
    --------
    >>> count_rounding_steps(np.array([12.0, 35.0, 40.0]), np.array([1.0, 5.0, 10.0])).tolist()
    [1.0, 2.0, 3.0]
    """
    out = np.zeros(len(values))
    left = np.flatnonzero(np.isfinite(values))
    for step in steps:
        parts = values[left] / step
        # Decimals have no exact binary form: a hundredth of a step still counts as none.
        left = left[np.abs(parts - np.rint(parts)) < _OF_A_STEP]
        out[left] += 1
    out[~np.isfinite(values)] = np.nan
    return out


def _decimal_steps(usual: float) -> Floats:
    """Return 1, 5, 10, 50, ... times a step five digits below the usual size of the values."""
    top = int(np.ceil(np.log10(usual)))
    powers = 10.0 ** np.arange(top - _DIGITS, top + 1)
    return np.sort(np.concatenate([powers, 5 * powers]))


def _median_size(values: Floats) -> float:
    """Return the median size of the values other than 0; 1 without any."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    return float(np.median(sizes)) if len(sizes) else 1.0


def _usual_size(column: PooledColumn) -> float:
    """Return what `_median_size` says of the real rows."""
    counts = np.where(column.values != 0, column.real[:-1], 0.0)
    sizes = np.abs(column.values)
    order = np.argsort(sizes, kind="stable")
    n = counts.sum()
    if not n:
        return 1.0
    middle = places_of(counts[order], np.array([(n - 1) // 2, n // 2]))
    return float(sizes[order][middle].mean())
