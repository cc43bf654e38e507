"""Plan how many rows each under-represented slice of a synthetic table needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where, implies
from twinset.core.features.slice_search import MIN_REPORTED
from twinset.core.stats.hypothesis_tests import Floats
from twinset.report.answers.sentences import Obstacle, gap_sentence, obstacle_sentence

MAX_GROWTH = 20  # times the rows there are: shares that clash would ask for rows without end
_REACHED = 0.9  # a slice that reaches less of its share misses it by more than rounding


@dataclass(frozen=True)
class Gap:
    """A slice that the synthetic table has too few rows of.

    Parameters
    ----------
    words : str
        The slice in words.
    where : Where
        The slice as a condition.
    synthetic : float, optional
        Its share of the synthetic rows; None where 1 to 10 rows lie in it.
    target_share : float
        The share that it should have, in (0, 1).
    declared : bool
        Whether `target_share` was declared, rather than counted in the real table.
    rows : int
        Rows to make; 0 where other slices bring enough of them, or there is an obstacle.
    expected : float
        Share that it will have once all rows are added, as far as real rows tell.
    obstacle : Obstacle, optional
        Reason why its rows cannot be made.
    """

    words: str
    where: Where
    synthetic: float | None
    target_share: float
    declared: bool
    rows: int
    expected: float
    obstacle: Obstacle | None = None

    @property
    def sentence(self) -> str:
        """The slice with both shares, in words."""
        return gap_sentence(self.words, self.synthetic, self.target_share, self.declared)

    @property
    def obstacle_text(self) -> str:
        """The obstacle in words; empty without one."""
        return obstacle_sentence(self.obstacle, self.expected) if self.obstacle else ""

    def to_json(self) -> dict[str, Any]:
        """Return the gap as plain JSON values."""
        return {
            "words": self.words,
            "sentence": self.sentence,
            "where": self.where.to_json(),
            "target_share": self.target_share,
            "declared": self.declared,
            "rows": self.rows,
            "expected": self.expected,
            "obstacle": self.obstacle_text,
        }


@dataclass(frozen=True)
class Aim:
    """A slice and the share that it should have; None for that of the real table.

    `learnt` is the part of the condition that real rows must show for it to be made; None: all of it.
    """

    where: Where
    words: str
    share: float | None
    declared: bool
    learnt: Where | None = None


def plan_rows(
    real: Dataset, synthetic: Dataset, aims: Sequence[Aim], *, learns: bool = True
) -> tuple[Gap, ...]:
    """Return the aims that are missed, with the rows that reach them.

    `learns` says that rows are learnt from real ones: a slice of fewer than 11 cannot be made then.
    """
    there = [real.mask(aim.where) for aim in aims]
    counts = np.array([float(synthetic.mask(aim.where).sum()) for aim in aims])
    shares = np.array(
        [float(mask.mean()) if aim.share is None else aim.share for aim, mask in zip(aims, there)]
    )
    known = [
        int(mask.sum()) if aim.learnt is None else int(real.mask(aim.learnt).sum())
        for aim, mask in zip(aims, there)
    ]
    missed = [i for i in range(len(aims)) if counts[i] < shares[i] * len(synthetic)]
    able = [i for i in missed if known[i] >= MIN_REPORTED or not learns]
    wheres = [aim.where for aim in aims]
    within = np.array([[_within(there, wheres, i, j) for j in able] for i in able])
    rows = np.zeros(len(aims), dtype=np.int64)
    if able:
        rows[able] = rows_to_add(counts[able], shares[able], within, len(synthetic))
    total = len(synthetic) + rows.sum()
    gaps = []
    for i in missed:
        inside = sum(_within(there, wheres, i, j) * rows[j] for j in able)
        expected = (counts[i] + inside) / total
        obstacle = None
        if learns and known[i] < MIN_REPORTED:
            obstacle = Obstacle.FEW_ROWS if known[i] else Obstacle.NO_ROWS
        elif expected < _REACHED * shares[i]:
            obstacle = Obstacle.CLASH
        gaps.append(
            Gap(
                words=aims[i].words,
                where=aims[i].where,
                synthetic=None if 0 < counts[i] < MIN_REPORTED else counts[i] / len(synthetic),
                target_share=float(shares[i]),
                declared=aims[i].declared,
                rows=int(rows[i]),
                expected=float(expected),
                obstacle=obstacle,
            )
        )
    return tuple(gaps)


def rows_to_add(counts: Floats, shares: Floats, within: Floats, n: int) -> npt.NDArray[np.int64]:
    """Return how many rows to add of each slice so that all slices come near their shares.

    Parameters
    ----------
    counts : numpy.ndarray, shape (k,)
        Rows of each slice that there are.
    shares : numpy.ndarray, shape (k,)
        Share that each slice should have once the rows are added.
    within : numpy.ndarray, shape (k, k)
        Share of the rows of slice j (column) that lie in slice i (line) too; 1 on the diagonal.
    n : int
        Rows that there are in all.

    Returns
    -------
    numpy.ndarray of int, shape (k,)
        The least-squares solution without negative numbers; at most 20 `n` rows a slice.

    Examples
    --------
    >>> rows_to_add(np.array([0.0]), np.array([0.2]), np.eye(1), 80).tolist()
    [20]
    >>> rows_to_add(np.zeros(2), np.array([0.25, 0.25]), np.ones((2, 2)), 60).tolist()
    [20, 0]
    """
    from scipy.optimize import nnls

    # counts_i + sum_j within_ij x_j = shares_i (n + sum_j x_j), each line in standard errors.
    scale = np.sqrt(np.maximum(shares * (1 - shares), 1e-12))
    left = (within - shares[:, None]) / scale[:, None]
    found, _ = nnls(left, (shares * n - counts) / scale)
    return np.asarray(np.rint(np.minimum(found, MAX_GROWTH * n)), dtype=np.int64)


def _within(
    there: Sequence[npt.NDArray[np.bool_]], wheres: Sequence[Where], i: int, j: int
) -> float:
    """Return the share of the real rows of slice j that lie in slice i too.

    Where there is no real row of slice j, the conditions themselves tell whether all of it lies in i.
    """
    if i == j:
        return 1.0
    if there[j].any():
        return float(there[i][there[j]].mean())
    return float(implies(wheres[j], wheres[i]))
