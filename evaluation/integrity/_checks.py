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

# Probability that any check calls fresh real rows faulty; all families together may in 5 % of sets
FAULT_LEVEL = 0.005
_MAX_SHOWN_ROWS = (
    5  # positions in a finding: enough to look at, and the count says how many there are
)


@dataclass(frozen=True)
class Check:
    """Rows that something in the real rows rules out.

    A check that is learnt from train alone counts only the holdout among `n_pooled`. One that is learnt on
    train and counted on the holdout, and the reverse, counts both, which needs fewer synthetic rows.
    """

    kind: FaultKind
    columns: tuple[str, ...]
    rows: Rows  # Positions of the candidate's rows that show it, rising
    n_unseen: int  # Rows of the holdout that show it
    n_pooled: int  # Unseen real rows that show it, of `n_real`
    n_real: int
    detail: str = ""
    # Share of real rows that a model of the real tail still expects to show it, where `n_pooled` is 0
    expected_share: float | None = None
    # Of a test of its own, e.g. of a score, already corrected for its thresholds
    p_value: float | None = None


def p_values(checks: Sequence[Check], n_synthetic: int) -> npt.NDArray[np.float64]:
    """Return the p-value of each check by Fisher's exact test, or by a Poisson distribution, shape (k,)."""
    from scipy.special import pdtrc
    from scipy.stats import hypergeom

    hits = np.array([len(one.rows) for one in checks], dtype=float)
    pooled, n_real = (np.array([getattr(one, n) for one in checks]) for n in ("n_pooled", "n_real"))
    exact = hypergeom.sf(hits - 1, n_synthetic + n_real, hits + pooled, n_synthetic)
    expected = np.array([one.expected_share or np.nan for one in checks]) * n_synthetic
    tail = pdtrc(np.maximum(hits - 1, 0), np.nan_to_num(expected, nan=1.0))
    is_tail = ~np.isnan(expected) & (pooled == 0)
    found = np.where(hits == 0, 1.0, np.where(is_tail, tail, exact))
    own = np.array([one.p_value for one in checks], dtype=float)
    return np.asarray(np.where(np.isnan(own), found, own))


def find_faults(checks: Sequence[Check], n_synthetic: int) -> list[int]:
    """Return which checks find a fault, the most certain first.

    Tests that could not reject, however their hits fell on the sets, take no part in the correction for
    many tests (Tarone, "A modified Bonferroni method for discrete data", Biometrics 46, 1990).
    """
    if not checks:
        return []
    from scipy.stats import hypergeom

    p = p_values(checks, n_synthetic)
    hits = np.array([len(one.rows) for one in checks])
    pooled, n_real = (np.array([getattr(one, n) for one in checks]) for n in ("n_pooled", "n_real"))
    total = hits + pooled
    best = hypergeom.sf(
        np.minimum(total, n_synthetic) - 1, n_synthetic + n_real, total, n_synthetic
    )
    own = np.array([one.p_value for one in checks], dtype=float)
    best = np.where(own < 1, 0.0, best)
    n_tests = next(k for k in range(1, len(checks) + 2) if (best <= FAULT_LEVEL / k).sum() <= k)
    found = np.flatnonzero(p <= FAULT_LEVEL / n_tests)
    widths = np.array([len(one.columns) for one in checks])
    order = np.lexsort((found, widths[found], p[found]))
    return [int(i) for i in found[order]]


def measure_checks(comparison: Comparison, checks: Sequence[Check]) -> Measurement:
    """Return the share of synthetic rows with a fault, and the faults."""
    n = len(comparison.synthetic)
    found = find_faults(checks, n)
    p = p_values(checks, n) if checks else np.empty(0)
    faulty = np.zeros(n, dtype=bool)
    for i in found:
        faulty[checks[i].rows] = True
    faults = tuple(_describe(comparison, checks[i], float(p[i])) for i in found)
    finding = IntegrityFaults(faults, len(checks), int(faulty.sum()), n, len(comparison.reference))
    return Measurement(float(faulty.mean()), findings=(finding,))


def _describe(comparison: Comparison, check: Check, p_value: float) -> IntegrityFault:
    first = check.rows[:_MAX_SHOWN_ROWS]
    places = first if comparison.places is None else comparison.places[first]
    return IntegrityFault(
        check.kind,
        check.columns,
        len(check.rows),
        shown_count(check.n_unseen),
        p_value,
        tuple(int(row) + 1 for row in places),
        check.detail,
    )
