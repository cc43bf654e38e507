"""What metrics of integrity share: checks with their rows, the test of all of them, the measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement
from twinset.core.integrity import FaultKind, IntegrityFault, IntegrityFaults

from .._samples import shown_count

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Probability that checks of a kind call fresh real rows faulty; all families together may in 5 % of sets
_LEVEL = 0.002
# Level of the tests against train and holdout alone, which keep drift between them from being a fault
_ALONE_LEVEL = 0.01
_MAX_SHOWN_ROWS = (
    5  # positions in a finding: enough to look at, and the count says how many there are
)
_SAME_ROWS = (
    0.7  # share of the rows of a fault that other faults explain, from which it adds nothing
)
_MAX_SIGNS = 3  # other details of a fault: more would hide it
_OF_ROWS = (FaultKind.REPEATED_ROW, FaultKind.NEAR_REPEATED_ROW)


@dataclass(frozen=True)
class Check:
    """Rows that something in the real rows rules out.

    What is learnt from real rows is learnt on train and counted on the holdout, and the reverse: both
    counts are of rows that it was not learnt from.
    """

    kind: FaultKind
    columns: tuple[str, ...]
    rows: Rows  # Positions of the candidate's rows that show it, rising
    # Rows of the holdout and of train that show it, and all of them
    n_unseen: tuple[int, int]
    n_real: tuple[int, int]
    detail: str = ""
    n_tests: float = 1.0  # Tests of which this one is the most certain
    # Share of rows that a model of real rows expects to show it, where no real row does
    expected_share: float | None = None
    # Of a test of its own, e.g. of a score, already corrected for its choice of a threshold
    p_value: float | None = None
    is_chosen: bool = False  # Whether it was chosen for its excess, or made where there was none

    @property
    def is_modelled(self) -> bool:
        """Whether its expectation comes from a model, as no real row shows it."""
        return self.expected_share is not None and not sum(self.n_unseen)


def exact_p(hits: npt.ArrayLike, n: int, real_hits: npt.ArrayLike, n_real: int) -> Floats:
    """Return the p-values of Fisher's exact test that `hits` of n are no more than `real_hits`."""
    from scipy.stats import hypergeom

    hits = np.asarray(hits)
    return np.asarray(hypergeom.sf(hits - 1, n + n_real, hits + real_hits, n), dtype=np.float64)


def count_rivals(totals: npt.NDArray[np.int64], total: int, share: float) -> float:
    """Return how many tests could have shown `total` rows of the candidate alone, by their weight.

    Test v of `totals` rows does so by chance with probability share ** totals[v].
    """
    above = totals[totals >= total]
    return max(1.0, float((share ** (above - total).astype(float)).sum()))


def _p_value(check: Check, n: int) -> float:
    """Return the p-value of a check, corrected for its own choice among tests."""
    from scipy.special import pdtrc

    hits = len(check.rows)
    if check.p_value is not None or not hits:
        return 1.0 if check.p_value is None else check.p_value
    if check.is_modelled:
        return min(1.0, check.n_tests * float(pdtrc(hits - 1, n * (check.expected_share or 0.0))))
    sides = zip(check.n_unseen, check.n_real, strict=True)
    if any(m and exact_p(hits, n, k, m) > _ALONE_LEVEL for k, m in sides):
        return 1.0
    return min(1.0, check.n_tests * float(exact_p(hits, n, sum(check.n_unseen), sum(check.n_real))))


def _min_p(check: Check, n: int) -> float:
    """Return the smallest p-value that the check could have had, whatever set its rows were in."""
    if check.p_value is not None:
        return 0.0 if check.p_value < 1 else 1.0
    total = len(check.rows) + sum(check.n_unseen)
    least = exact_p(min(total, n), n, max(total - n, 0), sum(check.n_real)) if total else 1.0
    return check.n_tests * float(least)


def find_faults(checks: Sequence[Check], n: int) -> list[tuple[Check, float]]:
    """Return the checks of `n` rows that find a fault with their p-values, the most certain first.

    Three kinds of checks are corrected apart for their number: those that a model decides, those chosen
    for an excess, and all others. Of the last, tests that could not reject, however their hits fell on the
    sets, do not count (Tarone, "A modified Bonferroni method for discrete data", Biometrics 46, 1990).
    """
    modelled = [one for one in checks if one.is_modelled]
    chosen = [one for one in checks if one.is_chosen and not one.is_modelled]
    others = [one for one in checks if not one.is_chosen and not one.is_modelled]
    least = np.array([_min_p(one, n) for one in others])
    n_tests = next(k for k in range(1, len(others) + 2) if (least <= _LEVEL / k).sum() <= k)
    found = []
    for own, k in ((modelled, len(modelled)), (chosen, len(chosen)), (others, n_tests)):
        tested = [(one, _p_value(one, n)) for one in own]
        found += [(one, p) for one, p in tested if p <= _LEVEL / max(k, 1)]
    return sorted(found, key=lambda pair: (pair[1], len(pair[0].columns)))


def _without_explained(found: Sequence[tuple[Check, float]], n: int) -> list[tuple[Check, float]]:
    """Return the faults without those whose rows others explain: whole rows, one column, or surer."""
    kept: list[tuple[Check, float]] = []

    def rank(pair: tuple[Check, float]) -> tuple[int, bool, float]:
        one, p = pair
        kind = len(_OF_ROWS) if one.kind not in _OF_ROWS else _OF_ROWS.index(one.kind)
        # Rows that differ in one column say more than rows that differ somewhere.
        is_vague = one.kind == FaultKind.NEAR_REPEATED_ROW and not one.columns
        return kind, is_vague or len(one.columns) > 1, p

    for check, p in sorted(found, key=rank):
        explained = np.zeros(n, dtype=bool)
        for other, _ in kept:
            if other.kind in _OF_ROWS or set(other.columns) & set(check.columns):
                explained[other.rows] = True
        if explained[check.rows].mean() < _SAME_ROWS:
            kept.append((check, p))
    return sorted(kept, key=lambda pair: pair[1])


def measure_checks(comparison: Comparison, checks: Sequence[Check]) -> Measurement:
    """Return the share of synthetic rows with a fault, and the faults."""
    n = len(comparison.synthetic)
    found = find_faults(checks, n)
    faulty = np.zeros(n, dtype=bool)
    for check, _ in found:
        faulty[check.rows] = True
    kept = _without_explained(found, n)
    shown = tuple(_describe(comparison, *pair, _other_signs(pair[0], found)) for pair in kept)
    finding = IntegrityFaults(shown, len(checks), int(faulty.sum()), n, len(comparison.reference))
    return Measurement(float(faulty.mean()), findings=(finding,))


def _other_signs(check: Check, found: Sequence[tuple[Check, float]]) -> tuple[str, ...]:
    """Return the details of other checks of the same columns that mostly find the same rows."""
    same = [
        one.detail
        for one, _ in found
        if one.columns == check.columns and np.isin(one.rows, check.rows).mean() >= _SAME_ROWS
    ]
    return tuple(d for d in dict.fromkeys(same) if d and d != check.detail)[:_MAX_SIGNS]


def _describe(
    comparison: Comparison, check: Check, p_value: float, also: tuple[str, ...]
) -> IntegrityFault:
    first = check.rows[:_MAX_SHOWN_ROWS]
    places = first if comparison.places is None else comparison.places[first]
    return IntegrityFault(
        check.kind,
        check.columns,
        len(check.rows),
        shown_count(check.n_unseen[0]),
        p_value,
        tuple(int(row) + 1 for row in places),
        check.detail,
        also,
    )
