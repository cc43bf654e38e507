"""Conditions on single columns, each with the words for it and the rows in which it holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field

from ._rounding import choose_rounding_steps, count_rounding_steps

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_CUTS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
_LEAST_SHARE = 0.02
_DIGITS = 3
_DAY = 86_400_000_000
_WHOLE_TIMES = ("milliseconds", "seconds", "minutes", "hours", "days")


@dataclass(frozen=True)
class ColumnCondition:
    """A condition: the words for it, and in which rows it holds, shape (m + n,)."""

    words: str
    holds: Mask


def list_conditions(
    reference: Dataset, synthetic: Dataset, names: Sequence[str], among: npt.NDArray[np.int64]
) -> list[ColumnCondition]:
    """Return conditions that some, not all, of the synthetic rows `among` meet.

    Numbers and dates: at least, or at most, a round number near a quantile of these rows; a value that
    2 % of them share; multiples of a step; missing. Labels: each that 2 % of them have. Cuts are taken
    from synthetic rows alone, so that none of them is a real value.

    Parameters
    ----------
    reference, synthetic : Dataset
        Rows of both sides; of conditions those of the reference come first.
    names : sequence of str
        Columns; those that are none of a table are passed over.
    among : numpy.ndarray of int
        Places of synthetic rows.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"c": ["a", "b", "a", "a"]}))
    >>> found = list_conditions(real, real, ["c"], np.arange(4))
    >>> [literal.words for literal in found], found[1].holds.tolist()[:4]
    (['c = a', 'c = b'], [False, True, False, False])
    """
    offset = len(reference)
    found = []
    for name in names:
        field = reference.schema[name]
        if not field.is_tabular:
            continue
        of_column = _labels if field.has_levels else _numbers
        found += list(of_column(reference, synthetic, name, among))
    return [one for one in found if one.holds[offset + among].mean() > 0]


def _labels(
    reference: Dataset, synthetic: Dataset, name: str, among: npt.NDArray[np.int64]
) -> Iterator[ColumnCondition]:
    (real, of_real), (made, of_made) = reference.codes(name), synthetic.codes(name)
    shares = np.bincount(made[among] + 1, minlength=len(of_made) + 1) / len(among)
    if shares[0] >= _LEAST_SHARE:
        yield ColumnCondition(f"{name} is missing", np.concatenate([real, made]) < 0)
    for code in np.flatnonzero(shares[1:] >= _LEAST_SHARE):
        text = of_made[code]
        same = of_real.index(text) if text in of_real else len(of_real)
        holds = np.concatenate([real == same, made == code])
        words = synthetic.schema[name].column_kind.level_words(name, text)
        yield ColumnCondition(words, holds)


def _numbers(
    reference: Dataset, synthetic: Dataset, name: str, among: npt.NDArray[np.int64]
) -> Iterator[ColumnCondition]:
    field = synthetic.schema[name]
    made = synthetic.values(name)
    values, own = np.concatenate([reference.values(name), made]), made[among]
    gone = np.isnan(own)
    if gone.mean() >= _LEAST_SHARE:
        yield ColumnCondition(f"{name} is missing", np.isnan(values))
    own = own[np.isfinite(own)]
    if not len(own):
        return
    least, most = _cuts(own, field)
    for cut in least:
        yield ColumnCondition(f"{name} >= {_told(cut, field)}", values >= cut)
    for cut in most:
        yield ColumnCondition(f"{name} <= {_told(cut, field)}", values <= cut)
    distinct, counts = np.unique(own, return_counts=True)
    for value in distinct[counts >= max(2, _LEAST_SHARE * len(among))]:
        yield ColumnCondition(f"{name} = {_told(value, field)}", values == value)
    steps = choose_rounding_steps(reference, name)
    rounds = count_rounding_steps(values, steps)
    levels = rounds[np.isfinite(rounds)]
    # Of steps that tell alike the coarsest is said: the first of equals is taken.
    for level in range(int(levels.max()), int(levels.min()), -1):
        words = _whole(field, float(steps[level - 1]), level)
        yield ColumnCondition(f"{name} is {words}", rounds >= level)
        yield ColumnCondition(f"{name} is not {words}", rounds < level)


def _cuts(values: Floats, field: Field) -> tuple[list[float], list[float]]:
    """Return round numbers just below the quantiles, and just above them, each rising."""
    near = np.quantile(values, _CUTS)
    if field.is_time:
        unit = np.full(len(near), _DAY if np.ptp(values) > 20 * _DAY else 60_000_000.0)
    else:
        size = np.floor(np.log10(np.maximum(np.abs(near), 1e-300)))
        unit = 10.0 ** (size - _DIGITS + 1)
        unit = np.maximum(unit, 1.0) if field.is_whole else unit
    least, most = np.floor(near / unit) * unit, np.ceil(near / unit) * unit
    # A multiple of a decimal step is what it is called, not a hair beside it.
    tidy = float if field.is_time else lambda cut: float(f"{cut:.12g}")
    return sorted({tidy(cut) for cut in least}), sorted({tidy(cut) for cut in most})


def _told(value: float, field: Field) -> str:
    if not field.is_time:
        return f"{value:,.10g}"
    instant = datetime.fromtimestamp(value / 1e6, UTC)
    return instant.strftime("%Y-%m-%d" if value % _DAY == 0 else "%Y-%m-%d %H:%M")


def _whole(field: Field, step: float, level: int) -> str:
    if field.is_time:
        return f"in whole {_WHOLE_TIMES[level - 1]}"
    return "a whole number" if step == 1 else f"a multiple of {step:,.10g}"
