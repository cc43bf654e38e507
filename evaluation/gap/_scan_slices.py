"""Slices of a scan: rows that meet one or two conditions, in an order of interest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.features.discretize import infer_factors
from twinset.core.features.slice_search import compute_condition_masks

from .._bootstrap_metric import Bools, Ints
from ._scan_features import RowColumn, level_masks

_MAX_FACTORS = 40  # columns that conditions are of: pairs grow with their square
_MAX_PAIRS = 500  # slices of two conditions, which bounds the time of a scan
_MIN_SHARE = 0.008  # of the rows: a smaller slice has too few to show more than a gross fault
_MIN_ROWS = 45  # of both sets together, as the mean of fewer scores is not close to normal
_WEEKEND = ("Saturday", "Sunday")


class Tier(IntEnum):
    """Slices that share one allowance of false discoveries."""

    ALL = 0
    """All rows."""
    TARGET = 1
    """One condition on the target."""
    SINGLE = 2
    """One condition on another column."""
    TARGET_PAIR = 3
    """Two conditions, one of them on the target."""
    PAIR = 4
    """Two conditions on other columns."""


@dataclass(frozen=True)
class RowSlices:
    """Slices of all rows; the first holds every row."""

    words: tuple[str, ...]  # The conditions of each slice; empty for all rows
    columns: tuple[frozenset[str], ...]  # Columns that the conditions are on
    tiers: npt.NDArray[np.int64]  # (s,): the tier of each
    conditions: npt.NDArray[np.float32]  # (n, c): 1 where a row meets a condition; the first is 1
    slots: npt.NDArray[np.int64]  # (s, 2): the conditions of each slice; empty for one each

    def masks(self, rows: Ints) -> npt.NDArray[np.float32]:
        """Return which of some rows are in each slice, 0 or 1, shape (rows, s)."""
        own = self.conditions[rows]
        if not len(self.slots):
            return own
        return np.asarray(own[:, self.slots[:, 0]] * own[:, self.slots[:, 1]])

    def expand(self, rows: Ints) -> RowSlices:
        """Return the same slices of some rows, each with a condition of its own."""
        return replace(self, conditions=self.masks(rows), slots=self.slots[:0])

    def mask(self, i: int) -> Bools:
        """Return the rows of one slice, shape (n,)."""
        first, second = self.slots[i]
        return np.asarray((self.conditions[:, first] * self.conditions[:, second]) > 0)


def find_slices(
    parts: Sequence[Dataset],
    columns: Sequence[RowColumn],
    calendar: Sequence[RowColumn],
    target: str | None,
    min_synthetic: float,  # share of the synthetic rows among all rows
) -> RowSlices:
    """Return all rows, the slices of one condition, and those of two with most interest and rows."""
    words, owners, masks = [""], [""], [np.ones(sum(map(len, parts)), dtype=bool)]
    taken = {masks[0].tobytes()}

    def add(condition: str, owner: str, mask: Bools) -> None:
        # Two conditions of the same rows, such as "= 1" and ">= 1" of a code, are one.
        if (content := np.packbits(mask).tobytes()) not in taken:
            taken.add(content)
            words.append(condition)
            owners.append(owner)
            masks.append(mask)

    names = [column.name for column in columns]
    names = sorted(names, key=lambda name: name != target)[:_MAX_FACTORS]
    for column in columns:
        if column.name in names and not column.levels and not column.field.is_time:
            for level, mask in level_masks(column):
                add(f"{column.name} = {level}", column.name, mask)
    for factor in infer_factors(max(parts[:-1], key=len), names):
        own = np.concatenate([compute_condition_masks(part, [factor]) for part in parts]) > 0
        for part, mask in zip((*factor.levels, *factor.spans), own.T, strict=True):
            add(part.words, factor.column, mask)
    for column in calendar:
        found = dict(level_masks(column))
        if set(_WEEKEND) <= set(found):
            found[" or ".join(_WEEKEND)] = found[_WEEKEND[0]] | found[_WEEKEND[1]]
        for text, mask in found.items():
            add(f"{column.name} = {text}", column.name, mask)
    conditions_ = np.stack(masks, axis=1).astype(np.float32)
    slots, tiers = _choose(conditions_, owners, target, min_synthetic)
    named = [tuple(dict.fromkeys(k for k in pair if k)) for pair in slots.tolist()]
    return RowSlices(
        tuple(" and ".join(words[k] for k in own) for own in named),
        tuple(frozenset(owners[k] for k in own) for own in named),
        tiers,
        conditions_,
        slots,
    )


def _choose(
    conditions: npt.NDArray[np.float32], owners: Sequence[str], target: str | None, share: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the conditions and the tier of each slice with enough rows, all rows first."""
    together = conditions.T @ conditions
    n = len(conditions)
    least = max(_MIN_SHARE * n, _MIN_ROWS)
    own = np.diag(together)
    # What nearly all rows meet is no slice.
    singles = [k for k in range(1, len(owners)) if least <= own[k] <= n - least / 2]
    slots, tiers = [(0, 0)], [int(Tier.ALL)]
    for k in singles:
        slots.append((k, 0))
        tiers.append(int(Tier.TARGET if owners[k] == target else Tier.SINGLE))
    pairs: list[tuple[int, float, tuple[int, int]]] = []
    for place, i in enumerate(singles):
        for j in singles[place + 1 :]:
            both = float(together[i, j])
            # A pair of one column, or one that is nearly one of its conditions, is nothing new.
            if owners[i] == owners[j] or both < least or both > 0.9 * min(own[i], own[j]):
                continue
            tier = Tier.TARGET_PAIR if target in (owners[i], owners[j]) else Tier.PAIR
            pairs.append((int(tier), -both, (i, j)))
    for pair_tier, _, pair in _spread_out(sorted(pairs)):
        slots.append(pair)
        tiers.append(pair_tier)
    return np.array(slots), np.array(tiers)


def _spread_out(
    pairs: list[tuple[int, float, tuple[int, int]]],
) -> Iterator[tuple[int, float, tuple[int, int]]]:
    """Yield at most `_MAX_PAIRS`, half of them with the target, the largest slices first."""
    by_target = [pair for pair in pairs if pair[0] == Tier.TARGET_PAIR]
    others = pairs[len(by_target) :]
    yield from by_target[: _MAX_PAIRS // 2]
    yield from others[: _MAX_PAIRS - min(len(by_target), _MAX_PAIRS // 2)]
