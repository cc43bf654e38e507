"""How many groups must positives belong to, so that intervals of redrawn groups cover what they promise?

Tables with a known truth: groups of one or four positive rows, whose scores by two models share a part
within the group. The interval of the difference in average precision is that of `twinset advise`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from benchmarks.runner import Row
from twinset.core.seeding import rng_for
from twinset.workflows.advise.ranking_metrics import (
    BootstrapDraws,
    WeightedRanking,
    small_sample_factors,
)

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
COMMON_ROWS = 60  # for each positive one
N_DRAWS = 120  # of groups: `advise` draws as many
N_GROUPS_OF_TRUTH = 2_000  # so many that the truth has no error of its own


def draw(
    n_groups: int, rows: int, rng: np.random.Generator
) -> tuple[Floats, Bools, npt.NDArray[Any]]:
    """Return two scores (2, n) of groups of positives, which rows are positive, and their groups."""
    sizes = rng.geometric(1 / rows, n_groups) if rows > 1 else np.ones(n_groups, dtype=np.int64)
    owner = np.repeat(np.arange(n_groups), sizes)
    n, n_common = len(owner), COMMON_ROWS * n_groups * rows
    shared, own = rng.normal(size=n_groups), rng.normal(size=(2, n_groups))
    positive = np.array([[2.0], [2.2]]) + 0.7 * shared[owner] + 0.5 * own[:, owner]
    positive += 0.5 * rng.normal(size=n) + 0.5 * rng.normal(size=(2, n))
    common = 0.8 * rng.normal(size=n_common) + 0.6 * rng.normal(size=(2, n_common))
    group = np.concatenate([owner, n_groups + np.arange(n_common)])
    return np.concatenate([positive, common], axis=1), np.arange(n + n_common) < n, group


def difference(scores: Floats, truth: Bools) -> float:
    none, other = (average_precision_score(truth, score) for score in scores)
    return float(other - none)


def measure(job: Row) -> Row:
    """Return the shares of intervals that cover the truth, and half the width of those with t."""
    n_groups, rows, n_tables = job["groups"], job["rows"], job["tables"]
    rng = rng_for(1, "coverage", n_groups, rows)
    true = difference(*draw(N_GROUPS_OF_TRUTH, rows, rng)[:2])
    factor, reach = small_sample_factors(n_groups)
    errors, away = [], []
    for _ in range(n_tables):
        scores, truth, group = draw(n_groups, rows, rng)
        weights = BootstrapDraws.from_rows(truth, N_DRAWS, rng, group).weights()
        none, other = (WeightedRanking(score, truth) for score in scores)
        changes = [other.measures(w, 0.01)[0] - none.measures(w, 0.01)[0] for w in weights]
        errors.append(float(np.std(changes, ddof=1)))
        away.append(abs(difference(scores, truth) - true))
    plain, with_t = 1.96 * np.array(errors), reach * np.sqrt(factor) * np.array(errors)
    shares = {"plain": float(np.mean(away <= plain)), "with_t": float(np.mean(away <= with_t))}
    return {**job, **shares, "width": float(with_t.mean())}
