"""What a tagger finds in real texts when it is trained with made ones: F1 of entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.registry import component_class

from .intervals import Difference, difference
from .sets import Row, dataset

Floats = npt.NDArray[np.float64]
Found = Any
"""What `utility.entity_labelling` counts of each text: entities that are right, told and true."""

REPLICATES = 200
_ENTITIES: Any = import_module("twinset.evaluation.utility._entities")


@dataclass(frozen=True)
class Bench:
    """The test rows, and the labels that are looked for in them."""

    holdout: Any

    @classmethod
    def of(cls, test: Sequence[Row], labels: Sequence[str]) -> Bench:
        """Return the bench of real test rows."""
        return cls(_ENTITIES.Marked.of(dataset(test), labels))

    def found(self, parts: Sequence[Sequence[Row]], seed: int) -> Found:
        """Return what the tagger finds that is trained on all rows of all parts."""
        marked = [_ENTITIES.Marked.of(dataset(part), self.holdout.labels) for part in parts if part]
        return _ENTITIES.found_by(
            [(m, np.arange(m.tokens.n_texts)) for m in marked], self.holdout, seed
        )

    def f1(self, found: Found) -> float:
        """Return the F1 of entities, exact in span and label."""
        return float(found.f1(np.ones(self.holdout.tokens.n_texts))[0])


def of_f1(better: Sequence[Found], worse: Sequence[Found], n: int) -> Difference:
    """Return the difference in F1, both arms for the same seeds; test rows are drawn again 200 times."""
    whole = np.ones(n)
    by_seed = [one.f1(whole)[0] - other.f1(whole)[0] for one, other in zip(better, worse)]
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(REPLICATES):
        weight = rng.multinomial(n, np.full(n, 1 / n)).astype(np.float64)
        gains = [one.f1(weight)[0] - other.f1(weight)[0] for one, other in zip(better, worse)]
        drawn.append(np.mean(gains))
    return difference(np.array(by_seed), float(np.std(drawn, ddof=1)), n)


def recommended(
    real: Sequence[Row], made: Sequence[Row], holdout: Sequence[Row], seed: int
) -> tuple[int, Mapping[str, object]]:
    """Return how many made rows `utility.entity_exchange_rate` says to add, and its details.

    `holdout` are real rows that neither the tagger nor the final test sees. Where the metric tells
    nothing, the answer is 0.
    """
    told = Comparison(train=dataset(real), synthetic=dataset(made), reference=dataset(holdout))
    try:
        metric: Any = component_class("metric", "utility.entity_exchange_rate")()
        found = metric.compute(told, np.random.default_rng(seed))
    except NotMeasurable as error:
        return 0, {"not measurable": str(error)}
    return int(found.details["best_rows"]), found.details
