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

_MAX_GROWTH = 20
_REACHED = 0.9


@dataclass(frozen=True)
class Gap:
    """A slice that the synthetic table holds too little of.

    Parameters
    ----------
    words : str
        The slice in words.
    where : Where
        The slice as a condition.
    found, wanted : float
        Its share of the synthetic rows, and the share that it should have, in (0, 1).
    declared : bool
        Whether `target_share` was declared, rather than counted in the real table.
    rows : int
        Rows to make; 0 where other slices bring enough of them, or `obstacle` says why not.
    expected : float
        Share that it will have once all rows are added, as far as real rows tell.
    obstacle : str
        Why it cannot be asked for; empty where it can.
    share_text : str
        The found share in words; counts of 1 to 10 rows are not shown.
    """

    words: str
    where: Where
    found: float
    target_share: float
    declared: bool
    rows: int
    expected: float
    obstacle: str
    share_text: str

    @property
    def sentence(self) -> str:
        """The slice with both shares, in words."""
        target_share = f"{100 * self.target_share:.1f} %"
        aim = f"wanted are {target_share}" if self.declared else f"{target_share} of the real ones"
        return f"{self.words}: {self.share_text} of the synthetic rows, {aim}"

    def to_json(self) -> dict[str, Any]:
        """Return the gap as plain JSON values."""
        return {
            "words": self.words,
            "sentence": self.sentence,
            "where": self.where.to_json(),
            "wanted": self.target_share,
            "declared": self.declared,
            "rows": self.rows,
            "expected": self.expected,
            "hindrance": self.obstacle,
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
    real: Dataset, made: Dataset, aims: Sequence[Aim], *, learns: bool = True
) -> tuple[Gap, ...]:
    """Return the aims that are missed, with the rows that reach them.

    Parameters
    ----------
    real, made : Dataset
        Both sets.
    aims : sequence of Aim
        Slices and their shares.
    learns : bool
        Whether rows are learnt from real ones: a slice of fewer than 11 cannot be asked for then.
    """
    there = [real.mask(aim.where) for aim in aims]
    counts = np.array([float(made.mask(aim.where).sum()) for aim in aims])
    shares = np.array(
        [float(mask.mean()) if aim.share is None else aim.share for aim, mask in zip(aims, there)]
    )
    known = [
        int(mask.sum()) if aim.learnt is None else int(real.mask(aim.learnt).sum())
        for aim, mask in zip(aims, there)
    ]
    lacking = [i for i in range(len(aims)) if counts[i] < shares[i] * len(made)]
    able = [i for i in lacking if known[i] >= MIN_REPORTED or not learns]
    wheres = [aim.where for aim in aims]
    within = np.array([[_within(there, wheres, i, j) for j in able] for i in able])
    rows = np.zeros(len(aims), dtype=np.int64)
    if able:
        rows[able] = rows_to_add(counts[able], shares[able], within, len(made))
    total = len(made) + rows.sum()
    planned = []
    for i in lacking:
        inside = sum(_within(there, wheres, i, j) * rows[j] for j in able)
        planned.append(
            _gap(
                aims[i],
                counts[i],
                shares[i],
                known[i] if learns else None,
                rows[i],
                (counts[i] + inside) / total,
                len(made),
            )
        )
    return tuple(planned)


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
    return np.asarray(np.rint(np.minimum(found, _MAX_GROWTH * n)), dtype=np.int64)


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


def _gap(
    aim: Aim, count: float, share: float, known: int | None, rows: int, expected: float, n: int
) -> Gap:
    obstacle = ""
    if known is not None and known < MIN_REPORTED:
        many = "no" if known == 0 else f"fewer than {MIN_REPORTED}"
        obstacle = f"{many} real rows to learn from"
    elif expected < _REACHED * share:
        obstacle = f"its share will be about {100 * expected:.1f} %: the shares asked for clash"
    few = 0 < count < MIN_REPORTED
    share_text = f"fewer than {MIN_REPORTED}" if few else f"{100 * count / n:.1f} %"
    return Gap(
        aim.words,
        aim.where,
        count / n,
        share,
        aim.declared,
        int(rows),
        expected,
        obstacle,
        share_text,
    )
