"""What models trained on synthetic rows get wrong about each group, beside models of real rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison
from twinset.core.data.dataset import Dataset
from twinset.core.features.discriminator import build_discriminator_table, fit_discriminator

from ._subgroups import Subgroups
from ._target_outcome import TargetOutcome

Floats = npt.NDArray[np.float64]

_ITERATIONS = 60
_SUREST = 1e-5
_ALPHA = 0.05
_PARTS = 4


def errors_by_group(
    comparison: Comparison, outcome: TargetOutcome, groups: Subgroups, max_rows: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Return of each group its loss, calibration and the growth of its loss, with an interval.

    The loss of a row is minus the logarithm of its class's probability, or the squared error in
    variances. Each set trains four models, of a quarter of its rows each: how much they differ tells
    how much is luck of the draw. Intervals hold for all groups at once (Bonferroni). Empty where a
    set to train on has one class only, or where there is no other column.
    """
    from scipy.stats import t

    holdout = outcome.known(comparison.reference)
    names = [name for name in comparison.train.schema.names if name != outcome.target]
    if not names:
        return {}
    rng = np.random.default_rng(seed)
    found = {}
    for side, rows in (("real", comparison.train), ("synthetic", comparison.synthetic)):
        if side == "real" and "group errors" in comparison.cache:
            found[side] = comparison.cache["group errors"]
            continue
        known = outcome.known(rows).at_most(max_rows, rng)
        parts = np.array_split(rng.permutation(len(known)), _PARTS)
        if any(len(np.unique(outcome.truth(known.take(part)))) < 2 for part in parts):
            return {}
        found[side] = _forecasts(known, parts, holdout, names, outcome, seed)
        if side == "real":
            comparison.cache["group errors"] = found[side]
    reach = float(t.ppf(1 - _ALPHA / 2 / max(len(groups.names), 1), 2 * (_PARTS - 1)))
    told = {}
    for name, inside in zip(groups.names, groups.real):
        loss = {side: losses[:, inside] for side, (losses, _) in found.items()}
        growth = loss["synthetic"].mean(axis=0) - loss["real"].mean(axis=0)
        luck = sum(float(part.mean(axis=1).var(ddof=1)) / _PARTS for part in loss.values())
        half = reach * float(np.sqrt(growth.var(ddof=1) / len(growth) + luck))
        told[name] = {
            "loss": {side: float(part.mean()) for side, part in loss.items()},
            "forecast_above_truth": {
                side: float(above[:, inside].mean()) for side, (_, above) in found.items()
            },
            "growth": [float(growth.mean() - half), float(growth.mean() + half)],
        }
    return told


def _forecasts(
    rows: Dataset,
    parts: Sequence[npt.NDArray[np.int64]],
    holdout: Dataset,
    names: list[str],
    outcome: TargetOutcome,
    seed: int,
) -> tuple[Floats, Floats]:
    """Return losses and how far forecasts lie above the truth: one line a model, shape (k, h)."""
    table = build_discriminator_table([rows, holdout], names)
    task: Literal["classification", "regression"] = (
        "classification" if outcome.classes else "regression"
    )
    y, truth = outcome.truth(rows), outcome.truth(holdout)
    losses, aboves = [], []
    for part in parts:
        model = fit_discriminator(
            table.parts[0][part], y[part], table.categorical,
            task=task, seed=seed, iterations=_ITERATIONS,
        )  # fmt: skip
        loss, above = _losses(model, table.parts[1], truth, outcome)
        losses.append(loss)
        aboves.append(above)
    return np.array(losses), np.array(aboves)


def _losses(model: Any, x: Floats, truth: Floats, outcome: TargetOutcome) -> tuple[Floats, Floats]:
    if not outcome.classes:
        above = (model.predict(x) - truth) / outcome.scale
        return above**2, above
    chances = np.zeros((len(truth), len(outcome.classes)))
    chances[:, model.classes_.astype(np.int64)] = model.predict_proba(x)
    own = truth.astype(np.int64)
    loss = -np.log(np.clip(chances[np.arange(len(own)), own], _SUREST, 1.0))
    # Of several classes the commonest one's forecast stands for all.
    told = 1 if len(outcome.classes) == 2 else 0
    return loss, chances[:, told] - (own == told)
