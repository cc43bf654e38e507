"""What the made rare rows look like: copies, newcomers, and intruders among the common rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from twinset.core.features.encoder import FeatureEncoder
from twinset.core.seeding import rng_for
from twinset.core.stats.neighbors import nearest
from twinset.workflows.advise.cross_validation import StrategyTrials
from twinset.workflows.advise.folds import TrainTestSplit
from twinset.workflows.advise.strategies import Strategy, extra_rows

_MOST_MADE, _MOST_COMMON = 1_000, 20_000
_SAME = 1e-6


def measure_novelty(
    bench: StrategyTrials, cut: TrainTestSplit, strategy: Strategy, seed: int
) -> dict[str, Any]:
    """Return novelty and intrusion of the rows that a strategy makes; empty where it makes none.

    Novelty: how far each made row lies from the nearest real rare row, against how far real rare rows
    lie from each other. Intrusion: how often the nearest real row of a made row is a common one, against
    how often that is so for real rare rows.

    Parameters
    ----------
    bench, cut, strategy : Bench, Cut, Strategy
        Which rows are made of which.
    seed : int
        Draws the rows that are looked at.

    References
    ----------
    Hassanat et al., "Stop Oversampling for Class Imbalance Learning", arXiv 2202.03579, 2022.
    """
    case = bench.case
    truth = case.truth[cut.train]
    n = extra_rows(strategy, truth)
    if strategy.family != "rows" or n == 0 or truth.sum() < 3:
        return {}
    rng = rng_for(seed, "advise", "made")
    made = bench.made_rows(strategy.component, cut.train, min(n, _MOST_MADE), "final")
    real = case.dataset.take(cut.train).select(case.features)
    common = rng.permutation(np.flatnonzero(~truth))[:_MOST_COMMON]
    encoder = FeatureEncoder.fit(real)
    rare_x = encoder.transform(real.take(np.flatnonzero(truth)))
    common_x, made_x = encoder.transform(real.take(common)), encoder.transform(made)
    to_rare, between = nearest(made_x, rare_x, 1)[0][:, 0], nearest(rare_x, rare_x, 2)[0][:, 1]
    # Thinned common rows lie further away than all of them would: both rates are low by the same rule.
    intruding = nearest(made_x, common_x, 1)[0][:, 0] < to_rare
    real_intruding = nearest(rare_x, common_x, 1)[0][:, 0] < between
    # Real rows that repeat have no distance; among them every made row would look far enough away.
    apart = between[between > _SAME]
    close = float(np.quantile(apart, 0.05)) if len(apart) else 0.0
    top = float(np.quantile(np.concatenate([to_rare, between]), 0.99)) or 1.0
    edges = np.linspace(0, top, 25)
    return {
        "rows": n,
        "looked_at": len(made),
        "component": strategy.component,
        "copies_fraction": float((to_rare <= _SAME).mean()),
        "close_fraction": float((to_rare <= close).mean()),
        "median_distance_ratio": float(np.median(to_rare)) / max(float(np.median(between)), 1e-9),
        "intrusion_fraction": float(intruding.mean()),
        "real_intrusion_fraction": float(real_intruding.mean()),
        "distances": {
            "edges": edges.tolist(),
            "made": _shares(to_rare, edges),
            "real": _shares(between, edges),
        },
    }


def _shares(values: np.ndarray, edges: np.ndarray) -> list[float]:
    counts = np.histogram(np.minimum(values, edges[-1]), edges)[0]
    return [float(count) / max(1, len(values)) for count in counts]
