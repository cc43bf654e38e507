"""Train on synthetic, test on real: scores of models on the real holdout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable, Role
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.parameters import Ge, Interval
from twinset.core.seeding import draw_seed

from ._holdout_scores import Scorer, UtilityMetric, beats_chance, compare_models, fit_sets
from ._models import build_setup, list_models, predict_target, score_predictions
from ._task import PredictionTask


@dataclass(frozen=True, kw_only=True)
class TrainSyntheticTestReal(UtilityMetric):
    """Score on the real holdout of a model that was trained on synthetic rows.

    Two classes: average precision, and recall when a fixed share of the rows raises an alert. More classes:
    average precision, mean over the classes. A number: R2. Where the synthetic rows have one class only, as
    rare cases do, the value is that of a model of real and synthetic rows. The baseline is a model of real
    rows. Texts have a logistic model of their words or a small network, all other rows boosted trees.
    Findings compare models of real, synthetic and both rows, with the effect of adding the synthetic
    ones by a paired bootstrap over the holdout rows; models are not fitted again.

    Parameters
    ----------
    alert_rate : float
        Share of the holdout rows that raise an alert, in (0, 1).
    max_rows : int
        Rows of each set that a model is trained on.
    iterations : int
        Trees of each model.
    text_model : {"linear", "net"}
        Model of texts; the net needs torch.

    References
    ----------
    Esteban, Hyland and Ratsch, "Real-valued (medical) time series generation with recurrent
    conditional GANs", arXiv:1706.02633, 2017 (train on synthetic, test on real).

    Examples
    --------
    >>> import pyarrow as pa
    >>> x = np.arange(200.0)
    >>> rows = Dataset.from_arrow(pa.table({"x": x, "y": np.where(x % 20 < 10, "low", "high")}))
    >>> even, odd = rows.take(range(0, 200, 2)), rows.take(range(1, 200, 2))
    >>> synthetic = even.take(range(50))
    >>> sets = Comparison(train=even, synthetic=synthetic, reference=odd, target="y", positive="high")
    >>> found = TrainSyntheticTestReal(iterations=20).compute(sets, np.random.default_rng(0))
    >>> found.findings[0].decides.name
    'SYNTHETIC'
    """

    title: ClassVar[str] = "train on synthetic, test on real"
    interpretation: ClassVar[str] = (
        "The same model is trained once on synthetic and once on real rows, and both are tested on real "
        "rows that neither has seen. The nearer the two, the better synthetic rows can stand in."
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.SUBSTITUTE_MODEL})
    bounds: ClassVar[tuple[float, float]] = (float("-inf"), 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "text"}

    alert_rate: Annotated[float, Interval(gt=0, lt=1)] = 0.01
    max_rows: Annotated[int, Ge(10)] = 200_000
    iterations: Annotated[int, Ge(1)] = 100
    text_model: Literal["linear", "net"] = "linear"

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the score of the model on the holdout; findings compare all models."""
        task = PredictionTask.from_comparison(comparison)
        holdout = task.labelled(comparison.reference)
        task.check(comparison.train, holdout)
        truth = task.truth(holdout)
        seed = draw_seed(rng)
        rows_rng, draws_rng = rng.spawn(2)
        sets = _list_training_sets(task, comparison, self.max_rows, rows_rng)
        model = list_models(task, holdout, self.text_model)[0]

        def fit(parts: Sequence[Dataset]) -> tuple[Scorer, bool]:
            setup = build_setup(model, task, parts, holdout, seed=seed, iterations=self.iterations)
            predicted = predict_target(setup.fit(setup.x, setup.y, None), setup.holdout_x, task)
            scorer = score_predictions(predicted, truth, task, self.alert_rate)
            return scorer, beats_chance(predicted, truth)

        fitted = fit_sets(sets, fit, comparison.cache)
        found = compare_models(
            task.measures(self.alert_rate), {n: [scorer] for n, (scorer, _) in fitted.items()}, sets,
            task.strata(holdout), self.replicates, draws_rng,
            margin=self.margin, beat_chance={name: beats for name, (_, beats) in fitted.items()},
            chance_level=task.chance_level(holdout), facts={"max_rows": self.max_rows},
        )  # fmt: skip
        return replace(found, findings=(*found.findings, *task.deciding_rows(holdout)))


def _list_training_sets(
    task: PredictionTask, comparison: Comparison, n: int, rng: np.random.Generator
) -> dict[str, tuple[Dataset, ...]]:
    """Return the sets to train on by name; "synthetic" only where it has more than one class."""
    real = task.labelled(comparison.train).at_most(n, rng)
    if comparison.synthetic is comparison.train:
        return {"real": (real,)}
    synthetic = task.labelled(comparison.synthetic).at_most(n, rng)
    if not len(synthetic):
        raise NotMeasurable(f"the target '{task.target}' is missing in every synthetic row")
    sets = {"real": (real,), "mixed": (real, synthetic)}
    if len(np.unique(task.truth(synthetic))) > 1:
        sets["synthetic"] = (synthetic,)
    return sets
