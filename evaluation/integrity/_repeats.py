"""Checks of rows that repeat others: exactly, in all columns but one, nearly; and of repeated keys."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
import numpy.typing as npt

from twinset.core.integrity import FaultKind

from ._checks import Check, Rows
from ._columns import Column, PerSet, Values, repeat_checks

Hashes = npt.NDArray[np.uint64]

# Constants of the hash splitmix64, which mixes all bits of a number
_STEP, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_WORD = 2**64  # size of its numbers
_BINS = 20  # in a standard deviation; numbers of nearly equal rows agree in them
_MAX_NATURAL = 0.02  # share of real rows that repeat others, above which near repeats say nothing
_MIN_COLUMNS = 6  # of which two may differ; equal values in fewer others are no sign
_MAX_SORTED = 2_000_000  # hashes that are sorted for all pairs of columns: about two CPU seconds
_MIN_KEYS = 30  # values of a key, fewer of which differ by chance


def row_checks(columns: Sequence[Column]) -> Iterator[Check]:
    """Yield the checks of repeated rows and keys."""
    for column in columns:
        yield from _key_check(column)
    compared = [column for column in columns if column.is_compared]
    if len(compared) < 2:
        return
    own = [PerSet(*(_hash(part, i) for part in c.parts)) for i, c in enumerate(compared)]
    whole = reduce(_add, own)
    yield _repeat_check([whole], FaultKind.REPEATED_ROW, ())
    for check in repeat_checks(whole, FaultKind.REPEATED_ROW, ()):
        yield replace(check, detail="the same row")
    real = np.concatenate([whole.train, whole.holdout])
    if len(_find_later(real)) > _MAX_NATURAL * len(real):
        return
    for column, part in zip(compared, own, strict=True):
        rest = PerSet(*(a - b for a, b in zip(whole, part)))
        yield _repeat_check([rest], FaultKind.NEAR_REPEATED_ROW, (column.name,), whole)
    yield from _two_columns_check(own, whole)
    binned = reduce(_add, (_hash_bins(column, i) for i, column in enumerate(compared)))
    yield _repeat_check([binned], FaultKind.NEAR_REPEATED_ROW, (), whole)


def _two_columns_check(own: Sequence[PerSet[Hashes]], whole: PerSet[Hashes]) -> Iterator[Check]:
    """Yield the check of rows that repeat in all columns but any two."""
    pairs = list(itertools.combinations(own, 2))
    if len(own) >= _MIN_COLUMNS and len(pairs) * len(whole.synthetic) <= _MAX_SORTED:
        rest = [PerSet(*(w - a - b for w, a, b in zip(whole, *pair))) for pair in pairs]
        yield _repeat_check(rest, FaultKind.NEAR_REPEATED_ROW, (), whole)


def _add(one: PerSet[Hashes], other: PerSet[Hashes]) -> PerSet[Hashes]:
    """Return the hashes of more columns: sums, so that one column can be taken away."""
    return PerSet(*(a + b for a, b in zip(one, other)))


def _hash(values: Values, salt: int) -> Hashes:
    """Return a hash of each value, shape (n,); `salt` is the place of the column."""
    # -0.0 becomes 0.0; codes stay below 2**53
    bits = (values.astype(np.float64) + 0.0).view(np.uint64) + np.uint64((salt + 1) * _STEP % _WORD)
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        bits ^= bits >> np.uint64(shift)
        bits *= np.uint64(factor)
    return bits ^ (bits >> np.uint64(31))


def _hash_bins(column: Column, salt: int) -> PerSet[Hashes]:
    """Return hashes of a column whose numbers are rounded to bins."""
    width = 0.0
    if column.is_numeric and len(column.sorted_real):
        low, high = np.quantile(column.sorted_real, (0.16, 0.84))
        width = float(high - low) / 2 / _BINS
    parts = [np.rint(part / width) if width > 0 else part for part in column.parts]
    return PerSet(*(_hash(part, salt) for part in parts))


def _find_later(hashes: Hashes) -> Rows:
    """Return the positions of rows that equal an earlier one, rising."""
    order = np.argsort(hashes, kind="stable")
    rising = hashes[order]
    return np.sort(order[1:][rising[1:] == rising[:-1]])


def _repeat_check(
    several: Sequence[PerSet[Hashes]],
    kind: FaultKind,
    columns: tuple[str, ...],
    whole: PerSet[Hashes] | None = None,
) -> Check:
    """Return the check of rows that equal an earlier one, by any of several hashes.

    Rows that equal a row of the real rows, or of the other real set, are frequent ones and do not count;
    of nearly equal ones neither do those that are equal in `whole`.
    """
    again = (None, None, None) if whole is None else tuple(_find_later(part) for part in whole)

    def find(hashes: Hashes, others: Hashes, equal: Rows | None) -> Rows:
        later = _find_later(hashes)
        if equal is not None:
            later = np.setdiff1d(later, equal, assume_unique=True)
        return later[~np.isin(hashes[later], others)]

    found: list[PerSet[Rows]] = []
    for train, holdout, synthetic in several:
        real = np.concatenate([train, holdout])
        found.append(
            PerSet(
                find(train, holdout, again[0]),
                find(holdout, train, again[1]),
                find(synthetic, real, again[2]),
            )
        )
    rows = PerSet(*(np.unique(np.concatenate(own)) for own in zip(*found)))
    n_real = len(several[0].holdout), len(several[0].train)
    # Pairs grow with the square of the rows.
    unseen = [
        min(m, int(np.ceil(len(own) * max(len(several[0].synthetic) / m, 1.0))))
        for own, m in zip((rows.holdout, rows.train), n_real)
    ]
    return Check(kind, columns, rows.synthetic, (unseen[0], unseen[1]), n_real, is_chosen=True)


def _key_check(column: Column) -> Iterator[Check]:
    """Yield the check of a column in which no value occurs twice in all real rows."""
    real = column.sorted_real
    if column.field.is_continuous or len(real) < _MIN_KEYS or (real[1:] == real[:-1]).any():
        return
    values = column.parts.synthetic
    present = np.flatnonzero(column.is_present(values))
    later = present[_find_later(_hash(values[present], 0))]
    # None of the pairs of real rows is equal: chance may still show about one in as many pairs.
    share = max(len(present), 1) / len(real) ** 2
    n_real = len(column.parts.holdout), len(column.parts.train)
    yield Check(FaultKind.REPEATED_KEY, (column.name,), later, (0, 0), n_real, expected_share=share)
