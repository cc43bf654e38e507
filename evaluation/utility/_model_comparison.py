"""Models trained on real, synthetic and mixed rows, side by side, and whether the synthetic ones help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.findings import Effect, ModelComparison, ModelScore, TrainedModel, TrainingData

Floats = npt.NDArray[np.float64]


def find_effect(low: float, high: float) -> Effect:
    """Return the effect that the 95 % interval of a difference shows; above 0 is better."""
    return Effect.HELPS if low > 0 else Effect.HURTS if high < 0 else Effect.NOT_SHOWN


def compare_models(
    measures: Sequence[str],
    values: Mapping[str, Floats],
    drawn: Mapping[str, Floats],
    n_rows: Mapping[str, int],
    **facts: Any,
) -> ModelComparison:
    """Return all models on all measures, with their differences from the model of real rows alone.

    Parameters
    ----------
    measures : sequence of str
        Names of the measures.
    values, drawn : mapping
        Set -> measures of its model, shape (k,), and their replicates, shape (b, k).
    n_rows : mapping
        Set -> number of its rows.
    **facts
        Further fields of `ModelComparison`.
    """
    models = []
    for name in [data.value for data in TrainingData if data.value in values]:
        scores = []
        for i in range(len(measures)):
            value = float(values[name][i])
            if name == "real":
                scores.append(ModelScore(value))
                continue
            difference = float(values[name][i] - values["real"][i])
            reach = 1.96 * float(np.std(drawn[name][:, i] - drawn["real"][:, i], ddof=1))
            scores.append(ModelScore(value, difference, (difference - reach, difference + reach)))
        first = scores[0].interval
        effect = None if first is None else find_effect(*first)
        models.append(TrainedModel(TrainingData(name), tuple(scores), n_rows.get(name), effect))
    return ModelComparison(tuple(measures), tuple(models), **facts)
