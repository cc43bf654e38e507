"""Real persons that have a synthetic row nearer than other real rows, in several views of the columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from twinset.core.stats.neighbors import nearest

from ._attacks import distance_floor, distances_to_others
from ._canonical import CanonicalColumn, Codes, Floats, ranks

# Limits of the distance to synthetic rows over that to other real rows: halves from a neighbor down to a
# copy with small changes; exact ones are found by their values.
NEARNESS = (0.125, 0.25, 0.5, 0.75, 1.0)

_MAX_DISTANCE = 3.0  # standard deviations from the middle at which a number stops counting
_TOP_LEVELS = 30  # levels with an indicator of their own, as in `FeatureEncoder`


def relative_distances(
    columns: Sequence[CanonicalColumn], rows: Codes, synthetic: Codes, *, by_rank: bool
) -> Floats:
    """Return the distance to the nearest synthetic row over that to the nearest other real row.

    `rows` are positions of real rows, which are compared with each other, `synthetic` those of synthetic
    rows; shape (len(rows),).
    """
    parts = [_encode(column, rows, synthetic, by_rank) for column in columns]
    real, other = (np.concatenate([pair[i] for pair in parts], axis=1) for i in (0, 1))
    to_other = distances_to_others(real)
    small = distance_floor(to_other)
    to_synthetic = nearest(real, other, 1)[0][:, 0]
    return np.asarray((to_synthetic + small) / (to_other + small), dtype=np.float64)


def _encode(
    column: CanonicalColumn, rows: Codes, synthetic: Codes, by_rank: bool
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return a column as features in which different levels, or numbers a deviation apart, lie at 1."""
    if column.is_number:
        if by_rank:
            # Ranks of all rows; their standard deviation is 1 / sqrt(12).
            scaled = [(ranks(part) - 0.5) * np.sqrt(12) for part in (column.real, column.synthetic)]
        else:
            present = column.real[np.isfinite(column.real)]
            centre = float(np.median(present)) if len(present) else 0.0
            low, high = np.quantile(present, [0.05, 0.95]) if len(present) else (0.0, 0.0)
            # The middle 90 % of a normal distribution are 3.3 standard deviations wide.
            width = (high - low) / 3.3 or (float(np.std(present)) if len(present) else 0.0) or 1.0
            scaled = [(part - centre) / width for part in (column.real, column.synthetic)]
        found = [scaled[0][rows], scaled[1][synthetic]]
        encoded = [
            np.stack(
                [np.nan_to_num(np.clip(x, -_MAX_DISTANCE, _MAX_DISTANCE)), np.isnan(x)], axis=1
            )
            for x in found
        ]
        return encoded[0].astype(np.float32), encoded[1].astype(np.float32)
    present = column.real[~np.isnan(column.real)].astype(np.int64)
    counts = np.bincount(present, minlength=1)
    place = np.full(len(counts) + 1, _TOP_LEVELS)
    top = np.argsort(-counts, kind="stable")[:_TOP_LEVELS]
    place[top] = np.arange(len(top))
    encoded = []
    for values in (column.real[rows], column.synthetic[synthetic]):
        # Levels that no real row has, and missing ones, share the last place.
        known = np.where(np.isnan(values) | (values >= len(counts)), len(counts), values)
        indicators = np.zeros((len(values), _TOP_LEVELS + 1), dtype=np.float32)
        indicators[np.arange(len(values)), place[known.astype(np.int64)]] = np.sqrt(0.5)
        encoded.append(indicators[:, [*range(len(top)), _TOP_LEVELS]])
    return encoded[0], encoded[1]
