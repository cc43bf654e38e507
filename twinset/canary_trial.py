"""A canary trial beside an attack: made-up rows are planted, the generator is made again."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from twinset.canaries import look_for, plant
from twinset.core.contracts import Remake, Score
from twinset.core.dataset import Dataset
from twinset.core.errors import DataError, SchemaError

_SHARE, _FEWEST, _MOST = 0.01, 5, 50
_MOST_ROWS = 50_000


def with_canaries(score: Score, train: Dataset, remake: Remake, rng: np.random.Generator) -> Score:
    """Return the score of an attack with what became of canaries in its details and its sentence.

    The verdict is that of the attack alone.

    Parameters
    ----------
    score : Score
        What the attack measured.
    train : Dataset
        Real rows to plant canaries among.
    remake : Remake
        Makes the generator again.
    rng : numpy.random.Generator
        Draws canaries and rows.
    """
    if score.value is None:
        return score
    told = canary_trial(train, remake, rng)
    sentence = score.sentence
    if "recall" in told:
        back, chance = (round(told[key] * told["n"]) for key in ("recall", "control_recall"))
        sentence += (
            f". Of {told['n']} made-up rows that were planted among the training rows {back} came back "
            f"value for value, of as many that were not planted {chance}"
        )
    return replace(score, sentence=sentence, details={**score.details, "canaries": told})


def canary_trial(train: Dataset, remake: Remake, rng: np.random.Generator) -> dict[str, Any]:
    """Return what became of canaries as plain JSON values: n, recall, control_recall, auc, interval.

    Up to 50 are planted, at most one in a hundred rows, so that they hardly move what is learnt of the
    rest. A table that has no room for any gives a `note` that says why.

    Examples
    --------
    >>> import pyarrow as pa
    >>> x = np.round(np.random.default_rng(0).normal(size=600), 2)
    >>> real = Dataset.from_arrow(pa.table({"x": x, "y": x, "c": np.where(x > 0, "a", "b")}))
    >>> found = canary_trial(real, lambda rows, most, rng: rows, np.random.default_rng(1))
    >>> found["n"], found["recall"], found["control_recall"]
    (6, 1.0, 0.0)
    """
    n = int(np.clip(round(_SHARE * len(train)), _FEWEST, _MOST))
    draws, learning = rng.spawn(2)
    try:
        planted, canaries = plant(train, n, draws)
    except (DataError, SchemaError) as reason:
        return {"note": f"no canary was planted: {reason}"}
    found = asdict(look_for(canaries, remake(planted, _MOST_ROWS, learning)))
    return {**found, "interval": list(found["interval"])}
