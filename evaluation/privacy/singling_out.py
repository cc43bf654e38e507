"""Singling out: rare combinations in synthetic rows that exactly one train row meets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.features.models import build_discriminator_table
from twinset.core.findings import AttackRates, DecidingRows
from twinset.core.parameters import Ge, Interval

from ._attacks import Attack, Floats, Mask, Positions, resample_scores, round_shares

_DRAWS = 8  # of columns around a row, of which the rarest is tried: more find few rarer ones
_ENOUGH = 1_000  # combinations for which a narrow interval is tried
_NARROWINGS = 3  # times that intervals are narrowed


@dataclass(frozen=True, kw_only=True)
class SinglingOut(Attack):
    """Excess share of combinations, unique in the synthetic rows, that exactly one train row meets.

    value = share(train) - share(control), 0 to 1. The attacker has the synthetic rows alone. Around one
    of them at a time it searches a rare combination of conditions (a level, or an interval of a number)
    that no other synthetic row meets, and succeeds where exactly one train row meets it. The same
    conditions are tried on control rows, since some such rows exist by chance. Train is usually larger:
    success is the expectation in parts of the size of the control set, added up over all of train.

    Parameters
    ----------
    conditions : int
        Conditions of a combination, 2 to 4.
    width : float
        Share of the synthetic rows below and above a number in its interval, 0 to 0.5.
        It is narrowed where too few combinations are found, as in tables of very many rows.
    max_attacks : int
        Synthetic rows around which a combination is searched.

    References
    ----------
    Article 29 Data Protection Working Party (2014), Opinion 05/2014 on Anonymisation Techniques.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> rng = np.random.default_rng(0)
    >>> draw = lambda: Dataset.from_arrow(pa.table(dict(zip("abcd", rng.normal(size=(4, 400))))))
    >>> train, control = draw(), draw()
    >>> of_copy = Comparison(train=train, synthetic=train, reference=control)
    >>> SinglingOut().compute(of_copy, np.random.default_rng(1)).value > 0.9
    True
    """

    title: ClassVar[str] = "singling out a training row by a rare combination"
    interpretation: ClassVar[str] = (
        "An attacker writes conditions that fit exactly one real person, helped by the synthetic rows. "
        "More hits on training rows than on unseen ones mean that single people stand out."
    )
    is_thorough: ClassVar[bool] = True

    conditions: Annotated[int, Interval(ge=2, le=4)] = 4
    width: Annotated[float, Interval(ge=0, le=0.5)] = 0.01
    max_attacks: Annotated[int, Ge(1)] = 8_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the excess share of combinations that single out a row; facts hold both shares."""
        sets = (comparison.synthetic, comparison.train, comparison.reference)
        names = comparison.reference.schema.names
        if not all(map(len, sets)):
            raise NotMeasurable("there are no rows to compare")
        if len(names) < 2:
            raise NotMeasurable("a combination needs two columns")
        searching, drawing = rng.spawn(2)
        table = build_discriminator_table(sets, names)
        # Missing is a level of its own, and lies outside every interval.
        known, train, control = (np.where(np.isnan(part), -np.inf, part) for part in table.parts)
        rows = searching.permutation(len(known))[: self.max_attacks]
        attacks, width = self._find_combinations(known, table.categorical, rows, searching)
        n, n_train, n_control = len(attacks), len(train), len(control)
        if not n:
            raise NotMeasurable(
                f"no {self.conditions} conditions pick out a single synthetic row, so there is "
                "nothing to try"
            )
        on_train, on_control = estimate_match_probability(
            count_matches(train, attacks), n_train, count_matches(control, attacks), n_control
        )
        # A row of a larger train set is in a part of the control set's size only now and then.
        scale = max(1.0, n_train / n_control)
        differences = scale * (on_train - on_control)
        drawn = resample_scores(differences, self.replicates, drawing, (-scale, 0.0, scale))
        shares = round_shares(float(on_train.mean()), n, float(on_control.mean()), n)
        facts = {
            "singled_out": dict(zip(("members", "control"), shares)),
            "counted_times": scale,
            "width": width,
            "rows": {"attacks": n, "tried": len(rows), "train": n_train, "control": n_control},
        }
        n_rows = min(n_train, n_control)
        return self.excess_measurement(
            float(differences.mean()),
            drawn.mean(axis=1),
            AttackRates(*shares, n_rows, n_rows, n_attempts=n),
            DecidingRows(n, "combinations"),
            facts,
        )

    def _find_combinations(
        self, known: Floats, categorical: Mask, rows: Positions, rng: np.random.Generator
    ) -> tuple[Combinations, float]:
        """Return combinations that one synthetic row meets, and the width of their intervals."""
        for narrowing in range(_NARROWINGS + 1):
            width = self.width / 4**narrowing
            found = find_unique_combinations(
                known, categorical, rows,
                conditions=self.conditions, width=width, draws=_DRAWS, rng=rng,
            )  # fmt: skip
            if len(found) >= min(_ENOUGH, len(rows) // 4):
                break
        return found, width


@dataclass(frozen=True)
class Combinations:
    """Conjunctions of c conditions ``low <= column <= high``, m of them; arrays of shape (m, c)."""

    columns: Positions
    low: Floats
    high: Floats

    def __len__(self) -> int:
        return len(self.columns)


def find_unique_combinations(
    known: Floats,
    categorical: Mask,
    rows: Positions,
    *,
    conditions: int,
    width: float,
    draws: int,
    rng: np.random.Generator,
) -> Combinations:
    """Return conjunctions that exactly one row meets, at most one for each of `rows`.

    For every row, columns are drawn several times, those with rare values first; the draw that fewest rows
    would meet with independent columns is used. Where another row meets it as well, the row is skipped.
    Rows have codes for categories and no NaN; intervals of numbers have a share `width` of the rows below
    and above.
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
    found = Combinations(
        columns, np.take_along_axis(low, columns, axis=1), np.take_along_axis(high, columns, axis=1)
    )
    kept = count_matches(known, found) == 1
    return Combinations(found.columns[kept], found.low[kept], found.high[kept])


def count_matches(rows: Floats, tried: Combinations) -> Positions:
    """Return how many `rows`, shape (n, d), meet all conditions of each combination, shape (m,)."""
    d = rows.shape[1]
    by_column = np.ascontiguousarray(rows.T)
    order = np.argsort(by_column, axis=1, kind="stable")
    ordered = np.take_along_axis(by_column, order, axis=1)
    start, stop = np.zeros((2, *tried.columns.shape), dtype=np.int64)
    for j in range(d):
        here = tried.columns == j
        start[here] = np.searchsorted(ordered[j], tried.low[here], side="left")
        stop[here] = np.searchsorted(ordered[j], tried.high[here], side="right")
    # The condition that fewest rows meet comes first, so that few rows remain for the others.
    first = (stop - start).argmin(axis=1)
    counts = np.zeros(len(tried), dtype=np.int64)
    for i, j in enumerate(first):
        rest = order[tried.columns[i, j], start[i, j] : stop[i, j]]
        for c, column in enumerate(tried.columns[i]):
            if c != j and len(rest):
                values = by_column[column, rest]
                rest = rest[(values >= tried.low[i, c]) & (values <= tried.high[i, c])]
        counts[i] = len(rest)
    return counts


def estimate_match_probability(
    members: Positions, n_members: int, control: Positions, n_control: int
) -> tuple[Floats, Floats]:
    """Return the probability that a combination has one match in a subset of the smaller set's size.

    Where a set is of that size already, this is 1 for those that one row meets and 0 for others.
    """
    from scipy.stats import hypergeom

    n = min(n_members, n_control)
    return hypergeom.pmf(1, n_members, members, n), hypergeom.pmf(1, n_control, control, n)


def _rarest(information: Floats, size: int, draws: int, rng: np.random.Generator) -> Positions:
    """Return the most informative of several draws of `size` columns for each row, (m, size)."""
    best = np.zeros((len(information), size), dtype=np.int64)
    highest = np.full(len(information), -1.0)
    for _ in range(draws):
        # Without replacement, with the information of each column as its weight.
        keys = rng.exponential(size=information.shape) / (information + 1e-9)
        drawn = np.argsort(keys, axis=1)[:, :size]
        total = np.take_along_axis(information, drawn, axis=1).sum(axis=1)
        better = total > highest
        best[better], highest[better] = drawn[better], total[better]
    return best


def _intervals(ordered: Floats, values: Floats, reach: int) -> tuple[Floats, Floats]:
    """Return intervals around `values` with `reach` more ordered rows below and above."""
    ordered = ordered[np.isfinite(ordered)]
    if not len(ordered):
        return values, values
    before = np.searchsorted(ordered, values, side="left") - reach
    after = np.searchsorted(ordered, values, side="right") - 1 + reach
    low = ordered[np.clip(before, 0, len(ordered) - 1)]
    high = ordered[np.clip(after, 0, len(ordered) - 1)]
    missing = ~np.isfinite(values)
    return np.where(missing, values, low), np.where(missing, values, high)
