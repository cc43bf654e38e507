"""Rows on a line between two others: what SMOTE leaves behind when it ran before the cut.

Three rows on one line do not happen by chance where columns are fine-grained. Seen from a holdout row,
the directions to all rows of its class are compared: two rows in one direction, or in opposite ones,
mean a line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.features.encoder import robust_scale
from twinset.measurement.leakage.duplicates import LOG_ALPHA, SplitRows, grown_classes
from twinset.measurement.leakage.findings import Leak
from twinset.measurement.leakage.row_keys import Keys, row_key
from twinset.measurement.leakage.tail_bounds import log_tail

Matrix = npt.NDArray[np.float64]

_PAIRS = 6_000_000
_MOST_ROWS = 20_000
_LOOKED_AT = (60, 400)
_FEWEST_ROWS = 12
_LEAST_COLUMNS = 3
_FINE = 1e-3
_SHARP = 1e-6
_GRAINS_AWAY = 1_000
_RARE = -27.0
"""A hundred million pairs of rows are seen from one; chance must not make one line among them."""
_MIXED = 2.5
"""Columns that must change along a line: rows that differ in one column always lie on one."""
_NATURAL_SHARE = 0.04
_NATURAL_TIMES = 3.0
_MORE = 0.15
"""Classes of exactly one size were made so; then a smaller difference of shares is enough."""


def interpolated(cut: SplitRows, rng: np.random.Generator) -> list[Leak]:
    """Return the leak of a class whose holdout rows lie on lines between its other rows; or none.

    The commonest other class tells how many do so by nature.
    """
    cloud = Cloud.of(cut)
    if cut.labels is None or cloud is None:
        return []
    sizes = np.bincount(cut.labels[cut.labels >= 0], minlength=len(cut.names))
    for code in grown_classes(cut):
        mine = cut.labels == code
        seen = cloud.on_lines(mine & cut.in_holdout, mine & ~cut.in_holdout, rng)
        if seen[0] <= _NATURAL_SHARE * seen[1]:
            continue
        other = cut.labels == int(np.argmax(np.where(np.arange(len(sizes)) == code, -1, sizes)))
        usual = cloud.on_lines(other & cut.in_holdout, other & ~cut.in_holdout, rng)
        tied = sizes[code] == sizes.max()
        chance = too_many(seen, usual, more=_MORE if tied else 1.0)
        if chance < LOG_ALPHA:
            what = (
                f"{seen[0] / seen[1]:.0%} of the holdout rows of the class '{cut.names[code]}' lie "
                "on a line with two other rows of it: rows were interpolated before the cut"
            )
            return [Leak("interpolated", what, seen[0], chance)]
    return []


def too_many(seen: tuple[int, int], usual: tuple[int, int], more: float = 1.0) -> float:
    """Return the log chance of as many rows on lines, where `usual` tells how many are natural.

    Three times the natural share is let pass, or `more` above it where that is less.
    """
    share = usual[0] / max(usual[1], 1)
    natural = max(_NATURAL_SHARE, min(_NATURAL_TIMES * share, share + more))
    if natural >= 1 or not seen[1]:
        return 0.0
    return log_tail(seen[0], np.array([natural]), np.array([seen[1]]))


@dataclass(frozen=True)
class Cloud:
    """Rows as points in their fine-grained columns.

    Parameters
    ----------
    points : numpy.ndarray, shape (n, d)
        Numbers in units of their spread.
    grain : numpy.ndarray, shape (d,)
        One step of a column of whole numbers, in the same units; 0 where there are no steps.
    key : numpy.ndarray, shape (n,)
        Equal for equal points.
    """

    points: Matrix
    grain: npt.NDArray[np.float64]
    key: Keys

    @classmethod
    def of(cls, cut: SplitRows) -> Cloud | None:
        """Return the points, or None where fewer than three columns are fine-grained."""
        points, grain = _points(cut)
        if points.shape[1] < _LEAST_COLUMNS:
            return None
        return cls(points, grain, row_key(points))

    def on_lines(
        self,
        mine: npt.NDArray[np.bool_],
        others: npt.NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> tuple[int, int]:
        """Return how many of my rows lie on a line with two others, and how many were looked at.

        Rows that equal one of the others are passed over: they are copies, which is another leak.
        """
        pool = np.flatnonzero(others)
        pool = pool[np.unique(self.key[pool], return_index=True)[1]]
        rows = np.flatnonzero(mine & ~np.isin(self.key, self.key[pool]))
        rows = rows[np.unique(self.key[rows], return_index=True)[1]]
        if len(pool) < _FEWEST_ROWS or len(rows) < _FEWEST_ROWS:
            return 0, 0
        if len(pool) > _MOST_ROWS:
            pool = rng.choice(pool, _MOST_ROWS, replace=False)
        budget = int(np.clip(_PAIRS // len(pool), *_LOOKED_AT))
        if len(rows) > budget:
            rows = rng.choice(rows, budget, replace=False)
        lens = rng.normal(size=(self.points.shape[1], 2))
        around = self.points[pool]
        found = sum(_has_line(self.points[row], around, lens, self.grain) for row in rows)
        return found, len(rows)


def _points(cut: SplitRows) -> tuple[Matrix, npt.NDArray[np.float64]]:
    """Return the fine-grained numbers of all rows in units of their spread, and their grain."""
    columns, grains = [], []
    for name in cut.features:
        if name not in cut.keys.numbers:
            continue
        values = cut.keys.numbers[name]
        finite = values[np.isfinite(values)]
        if len(finite) == 0:
            continue
        centre, spread = robust_scale(finite)
        grain = (1.0 if np.array_equal(finite, np.rint(finite)) else 0.0) / spread
        if grain <= _FINE and finite.min() < finite.max():
            columns.append(np.where(np.isfinite(values), (values - centre) / spread, 0.0))
            grains.append(grain)
    shape = (len(cut.in_holdout), 0)
    return (np.column_stack(columns) if columns else np.zeros(shape)), np.array(grains)


def _has_line(row: Matrix, pool: Matrix, lens: Matrix, grain: npt.NDArray[np.float64]) -> bool:
    """Return whether two rows of the pool lie in one direction from a row, or in opposite ones."""
    apart = pool - row
    length = np.sqrt(np.einsum("ij,ij->i", apart, apart))
    coarse = float(np.sqrt(grain @ grain))
    far = length > 1e-9 + _GRAINS_AWAY * coarse
    if far.sum() < 2:
        return False
    apart, length = apart[far], length[far]
    # A line has two directions; the lens, two random axes, makes them one and sorts them.
    seen = (apart @ lens) / length[:, None]
    sign = np.where(seen[:, 0] < 0, -1.0, 1.0)
    seen *= sign[:, None]
    order = np.argsort(seen[:, 0], kind="stable")
    # Far outliers lie in one direction by nature: what counts is how far they miss the line.
    seen, near = seen[order], np.maximum(length[order], 1.0)
    blur = _SHARP / near + 2 * coarse / length[order]
    for lag in (1, 2):
        reach = 4 * (blur[lag:] + blur[:-lag])
        close = np.flatnonzero((np.abs(seen[lag:] - seen[:-lag]) <= reach[:, None]).all(axis=1))
        if len(close):
            ends = order[close], order[close + lag]
            one, other = ((apart[i].T * sign[i] / length[i]).T for i in ends)
            mixed = 1.0 / (one**4).sum(axis=1) > min(_MIXED, 0.6 * len(row))
            # Two near neighbours lie in one direction from everywhere: they must be apart to tell.
            away = np.abs(sign[ends[0]] * length[ends[0]] - sign[ends[1]] * length[ends[1]])
            longer = np.maximum(length[ends[0]], length[ends[1]])
            mixed &= away > _GRAINS_AWAY * coarse
            sharp = _SHARP * np.minimum(1.0, np.minimum(away, 1.0) / longer)
            steps = 2 * (1 / length[ends[0]] + 1 / length[ends[1]])
            allowed = sharp[:, None] + steps[:, None] * grain
            hit = mixed & (np.abs(one - other) <= allowed).all(axis=1)
            if hit.any() and (_log_coincidence(one[hit], allowed[hit]) < _RARE).any():
                return True
    return False


def _log_coincidence(direction: Matrix, allowed: Matrix) -> npt.NDArray[np.float64]:
    """Return the log chance that another direction agrees with each by accident, shape (m,).

    A column counts by how much of its part in the direction the tolerance takes up; one column is free,
    since directions have length 1.
    """
    part = np.minimum(0.0, np.log(2 * allowed / np.maximum(np.abs(direction), 1e-300)))
    return np.asarray(part.sum(axis=1) - part.min(axis=1))
