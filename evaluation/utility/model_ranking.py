"""Whether synthetic rows tell which model is best, so that models can be chosen without real rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import (
    Comparison,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
    Role,
)
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.findings import ModelChoice
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.seeding import draw_seed

from ._holdout_scores import Scorer, replicate
from ._model_pool import ModelPool
from ._task import PredictionTask

Floats = npt.NDArray[np.float64]

_LEAST_ROWS = 60
_TEST_SHARE = 1 / 3


@dataclass(frozen=True, kw_only=True)
class ModelRanking(Metric):
    """Asks what it costs to choose a model by synthetic rows alone.

    Seven kinds of models are trained on two thirds of the synthetic rows and tested on the others, as
    somebody would who has no real rows. The same kinds are trained on the real rows and tested on
    the real holdout. The value is the real score of the best model less that of the one that the
    synthetic rows call best: 0 is the right choice. The score is average precision of the positive
    label (several classes: their mean; a number: R2). Details hold all scores and the rank correlation
    of both orders.

    Parameters
    ----------
    margin : float
        Largest cost that still counts as good as real.
    max_rows : int
        Rows of each set that are looked at, 60 or more.
    replicates : int
        Bootstrap replicates over both test sets; the models are not fitted again.

    References
    ----------
    Hansen, Seedat, van der Schaar and Petrovic, "Reimagining Synthetic Tabular Data Generation through
    Data-Centric AI", NeurIPS Datasets and Benchmarks 2023 (model selection by synthetic data).

    Examples
    --------
    >>> import pyarrow as pa
    >>> x = np.arange(400.0)
    >>> rows = Dataset.from_arrow(pa.table({"x": x, "y": np.where(x % 40 < 20, "low", "high")}))
    >>> even, odd = rows.take(range(0, 400, 2)), rows.take(range(1, 400, 2))
    >>> told = Comparison(train=even, synthetic=odd, reference=odd, target="y", positive="high")
    >>> found = ModelRanking(replicates=10).compute(told, np.random.default_rng(0))
    >>> sorted(found.facts["scores"])[:3]
    ['boosted stumps', 'boosted trees', 'forest']
    """

    family: ClassVar[MetricFamily] = "utility"
    title: ClassVar[str] = "choosing a model by synthetic rows"
    interpretation: ClassVar[str] = (
        "What it costs to choose among seven kinds of models by the synthetic rows alone: 0 means that "
        "they put the same model first as real rows do. It matters to teams that tune on the twin."
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.MODEL_CHOICE})
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    is_thorough: ClassVar[bool] = True

    margin: Margin = 0.02
    max_rows: Annotated[int, Ge(_LEAST_ROWS)] = 10_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return what choosing by the synthetic rows costs on real ones, 0 or more."""
        task = PredictionTask.of(comparison)
        train, holdout, made = (
            task.labelled(part).at_most(self.max_rows, rng)
            for part in (comparison.train, comparison.reference, comparison.synthetic)
        )
        task.check(train, holdout)
        if len(made) < _LEAST_ROWS:
            raise NotMeasurable(f"it needs {_LEAST_ROWS} synthetic rows whose target is known")
        seed = draw_seed(rng)
        held = comparison.cache.get("ranking")
        if held is None:
            held = ModelPool.of(task, train).scorers(train, holdout, seed)
            comparison.cache["ranking"] = held
        order = rng.permutation(len(made))
        first = round(len(made) * _TEST_SHARE)
        tests, fits = (made.take(np.sort(part)) for part in (order[:first], order[first:]))
        if any(len(np.unique(task.truth(part))) < 2 for part in (tests, fits)):
            raise NotMeasurable(
                "the synthetic rows hold too few cases of a class to rank models by"
            )
        own = ModelPool.of(task, fits).scorers(fits, tests, seed)
        real, real_drawn = _scores(held, _strata(task, holdout), self.replicates, rng)
        told, told_drawn = _scores(own, _strata(task, tests), self.replicates, rng)
        names = list(held)
        picked, best = int(told.argmax()), int(real.argmax())
        facts = {
            "scores": {
                name: {"real": float(a), "synthetic": float(b)}
                for name, a, b in zip(names, real, told)
            },
            "measure": task.measures(0.01)[0],
            "rank_correlation": rank_correlation(real, told),
            "max_rows": self.max_rows,
        }
        return Measurement(
            float(real[best] - real[picked]),
            regrets(real_drawn, told_drawn),
            (ModelChoice(by_synthetic=names[picked], by_real=names[best]),),
            facts=facts,
        )


def regrets(real: Floats, told: Floats) -> Floats:
    """Return the best real score less that of the model told to be best, line by line.

    Parameters
    ----------
    real, told : numpy.ndarray, shape (b, models)
        Scores on real and on synthetic rows.

    Examples
    --------
    >>> regrets(np.array([[0.9, 0.5], [0.5, 0.75]]), np.array([[1.0, 0.0], [1.0, 0.0]])).tolist()
    [0.0, 0.25]
    """
    lines = np.arange(len(real))
    return np.asarray(real.max(axis=1) - real[lines, told.argmax(axis=1)])


def rank_correlation(a: Floats, b: Floats) -> float | None:
    """Return Spearman's rank correlation of two orders, None where one of them has none.

    Examples
    --------
    >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0]))
    -1.0
    """
    from scipy.stats import rankdata

    ranks = [rankdata(side) - (len(a) + 1) / 2 for side in (a, b)]
    spread = float(np.sqrt((ranks[0] @ ranks[0]) * (ranks[1] @ ranks[1])))
    return float(ranks[0] @ ranks[1]) / spread if spread else None


def _strata(task: PredictionTask, rows: Dataset) -> npt.NDArray[np.int64]:
    if task.name == "classification":
        return task.truth(rows).astype(np.int64)
    return np.zeros(len(rows), dtype=np.int64)


def _scores(
    scorers: dict[str, Scorer], strata: npt.NDArray[np.int64], b: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the deciding score of each model, and its replicates, shapes (models,) and (b, models)."""
    ones = np.ones(len(strata))
    whole = np.array([scorer(ones)[0] for scorer in scorers.values()])
    return whole, replicate(list(scorers.values()), strata, b, rng)[:, :, 0].T
