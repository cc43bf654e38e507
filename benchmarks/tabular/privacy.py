"""Leakage of training rows: nearest distances, copies, and membership attacks.

The protocol fits on one half of train (members) and keeps the other (control): rows of the same source
that the generator never saw. Distances are L1: numbers divided by the real range, a differing category
counts 2, as one-hot columns have it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.intervals import auc_with_error
from benchmarks.tabular.sets import Coded

OUTLIERS = 0.05  # share of rows attacked as outliers, on which attacks succeed first
_ONE_SIDED_95 = 1.645
_ROWS, _COLUMNS = 256, 4096  # of a block of distances: 4 MB, which stays in a processor's cache

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True)
class AttackTargets:
    """Members and control rows, two halves of train of equal size."""

    members: Coded
    control: Coded
    # Distance of each member, then each control row, to the nearest other row of both, (2 n,): members
    # and control rows are exchangeable in it.
    to_other: Singles

    @classmethod
    def from_halves(cls, members: Coded, control: Coded) -> AttackTargets:
        """Return the targets with their distances, in time quadratic in their rows."""
        both = stack(members, control)
        return cls(members, control, closest(both, both, ranges(both), other=True)[0])


def leakage(targets: AttackTargets, synthetic: Coded) -> dict[str, float]:
    """Return the leakage of rows of a generator that was fitted to the members alone."""
    n = len(targets.members)
    both = stack(targets.members, targets.control)
    to_real, to_synthetic = closest(synthetic, both, ranges(both), groups=(n,))
    share = float((to_real[:, 0] < to_real[:, 1]).mean())
    copied = equal_rows(synthetic, targets.members).mean()
    found = {
        # share strictly closer to a member than to a control row (published; 0.50 = no leak), and ties
        "dcr": share,
        "dcr_error": float(np.sqrt(share * (1 - share) / len(to_real))),
        "dcr_ties": float((to_real[:, 0] == to_real[:, 1]).mean()),
        # share equal to a member, less the share equal to a control row
        "member_copies": float(copied - equal_rows(synthetic, targets.control).mean()),
    }
    is_member = np.arange(2 * n) < n
    outliers = np.argsort(-targets.to_other, kind="stable")[: max(2, round(OUTLIERS * 2 * n))]
    # AUC of the stronger of two attacks, and the larger of their one-sided 95 % bounds
    for name, rows in (("membership", np.arange(2 * n)), ("isolated", outliers)):
        attack = _attack(to_synthetic[rows], targets.to_other[rows], is_member[rows])
        found[name], found[f"{name}_upper"] = attack
    return found


def copies_beyond(synthetic: Coded, train: Coded, holdout: Coded) -> float:
    """Return the share of synthetic rows that equal a train row, less the same share of the holdout."""
    return float(equal_rows(synthetic, train).mean() - equal_rows(holdout, train).mean())


def equal_rows(table: Coded, reference: Coded) -> npt.NDArray[np.bool_]:
    """Return which rows equal a row of `reference` in all columns, shape (n,)."""
    rows, known = (
        [row.tobytes() for row in np.hstack([one.numbers + 0.0, one.codes])]
        for one in (table, reference)
    )
    return np.isin(rows, known)


def stack(first: Coded, second: Coded) -> Coded:
    numbers = np.vstack([first.numbers, second.numbers])
    codes = np.vstack([first.codes, second.codes])
    return Coded(numbers, codes, first.levels, first.names)


def ranges(table: Coded) -> npt.NDArray[np.float64]:
    """Return largest minus least value of each number, 1 where these are equal."""
    spread = table.numbers.max(axis=0) - table.numbers.min(axis=0)
    return np.where(spread > 0, spread, 1.0)


def closest(
    query: Coded, table: Coded, scale: npt.NDArray[np.float64],
    *, groups: tuple[int, ...] = (), other: bool = False,
) -> tuple[Singles, Singles]:  # fmt: skip
    """Return L1 distances to the nearest row: of each query row, and of each row of the table.

    `groups` are positions that divide the rows of the table; then the first array has a column for each
    group. With `other` the query is the table, and a row is not its own neighbour.
    """
    left, right = (
        np.ascontiguousarray((side.numbers / scale).T, dtype=np.float32) for side in (query, table)
    )
    sizes = [len(levels) for levels in query.levels]
    hot_left, hot_right = _one_hot(query.codes, sizes), _one_hot(table.codes, sizes)
    bounds = [0, *groups, len(table)]
    from_query = np.full((len(query), len(bounds) - 1), np.inf, dtype=np.float32)
    from_table = np.full(len(table), np.inf, dtype=np.float32)
    for group, (begin, end) in enumerate(itertools.pairwise(bounds)):
        for first in range(begin, end, _COLUMNS):
            columns = slice(first, min(first + _COLUMNS, end))
            for start in range(0, len(query), _ROWS):
                rows = slice(start, min(start + _ROWS, len(query)))
                block = hot_left[rows] @ hot_right[columns].T
                np.subtract(len(sizes), block, out=block)
                block *= 2
                for a, b in zip(left, right):
                    block += np.abs(a[rows, None] - b[None, columns])
                if other:
                    own = np.arange(max(rows.start, columns.start), min(rows.stop, columns.stop))
                    block[own - rows.start, own - columns.start] = np.inf
                np.minimum(from_query[rows, group], block.min(axis=1), out=from_query[rows, group])
                np.minimum(from_table[columns], block.min(axis=0), out=from_table[columns])
    return (from_query if groups else from_query[:, 0]), from_table


def _one_hot(codes: npt.NDArray[np.int32], sizes: list[int]) -> Singles:
    hot = np.zeros((len(codes), max(1, sum(sizes))), dtype=np.float32)
    for offset, column in zip(np.cumsum([0, *sizes]), codes.T):
        hot[np.arange(len(codes)), offset + column] = 1
    return hot


def _attack(
    to_synthetic: Singles, to_other: Singles, is_member: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """Return AUC and upper bound, each of the attack where it is the larger."""
    # Distance to the nearest synthetic row, plain and relative to that to the nearest other real row.
    small = np.float32(1e-6)
    signals = (-to_synthetic.astype(float), np.log(to_other + small) - np.log(to_synthetic + small))
    found = [auc_with_error(signal[is_member], signal[~is_member]) for signal in signals]
    return max(auc for auc, _ in found), max(auc + _ONE_SIDED_95 * error for auc, error in found)
