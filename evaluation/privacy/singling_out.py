"""Whether rare combinations in the synthetic rows pick out single training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import (
    Comparison,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
)
from twinset.core.errors import ParameterError
from twinset.core.judge import judge_table
from twinset.core.schema import TABULAR_KINDS

from ._attacks import Excess, in_words, resampled, thresholds, told_share

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_DRAWS = 8
"""How often columns are drawn around a row; the rarest draw is tried."""


@dataclass(frozen=True, kw_only=True)
class SinglingOut(Metric):
    """Measures how often a combination that is unique in the synthetic rows is unique in train.

    The attacker has the synthetic rows alone. Around one of them at a time it looks for a rare
    combination of conditions (a level, or an interval of a number) that no other synthetic row
    meets. It succeeds where exactly one training row meets them. Some such rows exist by chance, so
    the same conditions are tried on as many rows that the generator never saw, and the value is the
    excess success, 0 to 1. Train is usually the larger set: success is counted in subsets of the size of
    the control set, exactly and not by drawing them, and added up over all of train.

    Parameters
    ----------
    margin : float
        Largest excess that still counts as good as real; set by twinset, no authority gives a number.
    conditions : int
        Conditions of a combination, 2 to 4.
    width : float
        Share of the synthetic rows on each side of a number that its interval takes in, 0 to 0.5.
    max_attacks : int
        Synthetic rows that a combination is sought around.
    replicates : int
        Bootstrap replicates of the combinations.

    References
    ----------
    Article 29 Data Protection Working Party (2014), Opinion 05/2014 on Anonymisation Techniques.
    """

    family: ClassVar[MetricFamily] = "privacy"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    has_floor: ClassVar[bool] = False
    # Rows of the train part's own time meet a combination from it with nothing leaked.
    needs_same_time: ClassVar[bool] = True

    margin: float = 0.05
    conditions: int = 4
    width: float = 0.03
    max_attacks: int = 8_000
    replicates: int = 200

    def __post_init__(self) -> None:
        in_range = self.margin >= 0 and 2 <= self.conditions <= 4 and 0 <= self.width <= 0.5
        if not in_range or self.max_attacks < 1 or self.replicates < 2:
            raise ParameterError(
                "a setting is out of its range",
                allowed="margin >= 0, conditions 2 to 4, width 0 to 0.5, max_attacks >= 1, "
                "replicates >= 2",
            )

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the excess share of combinations that single out a row; details hold both shares."""
        sets = (comparison.synthetic, comparison.train, comparison.reference)
        names = comparison.reference.schema.names
        if not all(len(part) for part in sets):
            raise NotMeasurable("there are no rows to compare")
        if len(names) < 2:
            raise NotMeasurable("a combination needs two columns")
        learning, drawing = rng.spawn(2)
        table = judge_table(sets, names)
        # Missing is a level of its own, and lies outside every interval.
        known, train, control = (np.where(np.isnan(part), -np.inf, part) for part in table.parts)
        rows = learning.permutation(len(known))[: self.max_attacks]
        attacks = isolating(
            known,
            table.categorical,
            rows,
            conditions=self.conditions,
            width=self.width,
            draws=_DRAWS,
            rng=learning,
        )
        if not len(attacks):
            raise NotMeasurable(
                f"no {self.conditions} conditions pick out a single synthetic row, so there is nothing "
                "to try"
            )
        on_train, on_control = isolated_shares(
            count_matches(train, attacks),
            len(train),
            count_matches(control, attacks),
            len(control),
        )
        scale = max(1.0, len(train) / len(control))
        differences = scale * (on_train - on_control)
        drawn = resampled(differences, self.replicates, drawing, (-scale, 0.0, scale))
        found = Excess(float(differences.mean()), drawn.mean(axis=1))
        n, members, others = len(attacks), on_train.mean() * scale, on_control.mean() * scale
        details = {
            "summary": f"Of {n:,} combinations that one synthetic row meets, "
            f"{in_words(members, n)} single out a training row and {in_words(others, n)} "
            "would by chance",
            "excess": found.value,
            "singled_out": {"members": told_share(members, n), "control": told_share(others, n)},
            "rows": {
                "attacks": n,
                "tried": len(rows),
                "train": len(train),
                "control": len(control),
            },
            "deciding": {"rows": n, "what": "combinations"},
            "thresholds": dict(thresholds(self.margin)),
        }
        return Measurement(found.clipped, found.replicates, details)


@dataclass(frozen=True)
class Attacks:
    """Conjunctions of c conditions ``low <= column <= high``, m of them.

    Parameters
    ----------
    columns : numpy.ndarray of int, shape (m, c)
        Column of each condition.
    low, high : numpy.ndarray, shape (m, c)
        Bounds of each condition.
    """

    columns: npt.NDArray[np.int64]
    low: Floats
    high: Floats

    def __len__(self) -> int:
        return len(self.columns)

    def take(self, rows: npt.NDArray[np.int64]) -> Attacks:
        """Return the attacks at these positions."""
        return Attacks(self.columns[rows], self.low[rows], self.high[rows])


def isolating(
    known: Floats,
    categorical: npt.NDArray[np.bool_],
    rows: npt.NDArray[np.int64],
    *,
    conditions: int,
    width: float,
    draws: int,
    rng: np.random.Generator,
) -> Attacks:
    """Return conjunctions that exactly one known row meets, at most one for each of `rows`.

    For every row, columns are drawn several times, those with rare values first, and the draw is
    kept that fewest rows would meet if columns were independent. Where another known row meets it
    all the same, the row is passed over.

    Parameters
    ----------
    known : numpy.ndarray, shape (n, d)
        Rows that the attacker has; codes for categories, no NaN.
    categorical : numpy.ndarray of bool, shape (d,)
        Which columns are codes.
    rows : numpy.ndarray of int, shape (m,)
        Known rows to look around.
    conditions : int
        Conditions of each conjunction, 2 or more; fewer where there are fewer columns.
    width : float
        Share of known rows on each side of a number that belong to its interval.
    draws : int
        How often columns are drawn for each row.
    rng : numpy.random.Generator
        Draws the columns.

    Examples
    --------
    >>> known = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    >>> found = isolating(known, np.array([True, True]), np.arange(4), conditions=2, width=0,
    ...                   draws=1, rng=np.random.default_rng(1))
    >>> len(found), count_matches(known, found).tolist()
    (2, [1, 1])
    """
    n, d = known.shape
    low, high = known[rows].copy(), known[rows].copy()
    shares = np.empty((len(rows), d))
    for j in range(d):
        ordered = np.sort(known[:, j])
        if not categorical[j]:
            low[:, j], high[:, j] = _intervals(ordered, known[rows, j], int(width * n))
        after = np.searchsorted(ordered, high[:, j], side="right")
        shares[:, j] = (after - np.searchsorted(ordered, low[:, j], side="left")) / n
    columns = _rarest(-np.log(shares), min(conditions, d), draws, rng)
    found = Attacks(
        columns, np.take_along_axis(low, columns, axis=1), np.take_along_axis(high, columns, axis=1)
    )
    return found.take(np.flatnonzero(count_matches(known, found) == 1))


def count_matches(rows: Floats, attacks: Attacks) -> Counts:
    """Return how many `rows`, shape (n, d), meet all conditions of each attack, shape (m,).

    Examples
    --------
    >>> attack = Attacks(np.array([[0, 1]]), np.zeros((1, 2)), np.ones((1, 2)))
    >>> count_matches(np.array([[0.0, 1.0], [0.5, 0.5], [2.0, 0.0]]), attack).tolist()
    [2]
    """
    d = rows.shape[1]
    by_column = np.ascontiguousarray(rows.T)
    order = np.argsort(by_column, axis=1, kind="stable")
    ordered = np.take_along_axis(by_column, order, axis=1)
    start = np.zeros(attacks.columns.shape, dtype=np.int64)
    stop = np.zeros(attacks.columns.shape, dtype=np.int64)
    for j in range(d):
        here = attacks.columns == j
        start[here] = np.searchsorted(ordered[j], attacks.low[here], side="left")
        stop[here] = np.searchsorted(ordered[j], attacks.high[here], side="right")
    # The condition that fewest rows meet comes first, so that little is left to look through.
    first = (stop - start).argmin(axis=1)
    counts = np.zeros(len(attacks), dtype=np.int64)
    for i, j in enumerate(first):
        left = order[attacks.columns[i, j], start[i, j] : stop[i, j]]
        for c, column in enumerate(attacks.columns[i]):
            if c != j and len(left):
                values = by_column[column, left]
                left = left[(values >= attacks.low[i, c]) & (values <= attacks.high[i, c])]
        counts[i] = len(left)
    return counts


def isolated_shares(
    members: Counts, n_members: int, control: Counts, n_control: int
) -> tuple[Floats, Floats]:
    """Return how likely each attack picks out exactly one row of a subset of the smaller set's size.

    Where a set is of that size already, this is 1 for attacks that one row meets and 0 for others.

    Parameters
    ----------
    members, control : numpy.ndarray of int, shape (m,)
        Rows of each set that meet the attack.
    n_members, n_control : int
        Rows of each set.

    Examples
    --------
    >>> on_members, on_control = isolated_shares(np.array([1, 2]), 20, np.array([1, 2]), 10)
    >>> on_members.round(3).tolist(), on_control.tolist()
    ([0.5, 0.526], [1.0, 0.0])
    """
    from scipy.stats import hypergeom

    n = min(n_members, n_control)
    return hypergeom.pmf(1, n_members, members, n), hypergeom.pmf(1, n_control, control, n)


def _rarest(
    information: Floats, size: int, draws: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return of several draws of `size` columns a row that with the most information, (m, size)."""
    best = np.zeros((len(information), size), dtype=np.int64)
    most = np.full(len(information), -1.0)
    for _ in range(draws):
        # Without replacement, with the information of each column as its weight.
        keys = rng.exponential(size=information.shape) / (information + 1e-9)
        drawn = np.argsort(keys, axis=1)[:, :size]
        told = np.take_along_axis(information, drawn, axis=1).sum(axis=1)
        better = told > most
        best[better], most[better] = drawn[better], told[better]
    return best


def _intervals(ordered: Floats, values: Floats, reach: int) -> tuple[Floats, Floats]:
    """Return intervals around `values` that take in `reach` more ordered rows on each side."""
    ordered = ordered[np.isfinite(ordered)]
    if not len(ordered):
        return values, values
    before = np.searchsorted(ordered, values, side="left") - reach
    after = np.searchsorted(ordered, values, side="right") - 1 + reach
    low = ordered[np.clip(before, 0, len(ordered) - 1)]
    high = ordered[np.clip(after, 0, len(ordered) - 1)]
    missing = ~np.isfinite(values)
    return np.where(missing, values, low), np.where(missing, values, high)
