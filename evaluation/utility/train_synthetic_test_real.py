"""Whether models trained on synthetic rows serve on real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

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
from twinset.core.features.discriminator import build_discriminator_table, fit_discriminator
from twinset.core.features.hashed_words import has_texts, stacked, word_features
from twinset.core.findings import TrainingData
from twinset.core.parameters import Ge, Interval, Margin, Replicates
from twinset.core.seeding import draw_seed

from ._holdout_scores import Scorer, binary_scorer, classes_scorer, numbers_scorer, replicate
from ._model_comparison import compare_models
from ._task import PredictionTask
from ._word_net import TEXT_JUDGES, text_model

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TrainSyntheticTestReal(Metric):
    """Trains models on real, synthetic and mixed rows and tests all on the untouched real holdout.

    Two classes: average precision, and recall when a fixed share of the rows raises an alert. More
    classes: average precision, mean over the classes. A number: R2. The value is that of the model
    trained on synthetic rows alone; where these hold one class only, as made rare cases do, that
    of real and synthetic rows together. Texts are read by a logistic model of their words or by a small
    net, all else by boosted trees. Details say which (`mode`), give all models on all measures,
    and answer whether adding the synthetic rows helps, hurts, or shows no evidence, by a paired
    bootstrap over the holdout rows. The models are not fitted again for the bootstrap.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    alert_rate : float
        Share of the holdout rows that raise an alert, in (0, 1).
    max_rows : int
        Rows of each set that a model is trained on.
    iterations : int
        Trees of each model.
    text_judge : {"linear", "net"}
        Who reads texts; the net needs torch.
    replicates : int
        Bootstrap replicates.

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
    >>> made = even.take(range(50))
    >>> told = Comparison(train=even, synthetic=made, reference=odd, target="y", positive="high")
    >>> found = TrainSyntheticTestReal(iterations=20).compute(told, np.random.default_rng(0))
    >>> found.findings[0].decides.name
    'SYNTHETIC'
    """

    family: ClassVar[MetricFamily] = "utility"
    title: ClassVar[str] = "train on synthetic, test on real"
    interpretation: ClassVar[str] = (
        "The same model is trained once on synthetic and once on real rows, and both are tested on real "
        "rows that neither has seen. The nearer the two, the better synthetic rows can stand in."
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.SUBSTITUTE_MODEL})
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (float("-inf"), 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "text"}
    has_floor: ClassVar[bool] = False

    margin: Margin = 0.05
    alert_rate: Annotated[float, Interval(gt=0, lt=1)] = 0.01
    max_rows: Annotated[int, Ge(10)] = 200_000
    iterations: Annotated[int, Ge(1)] = 100
    text_judge: Literal["linear", "net"] = "linear"
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the score of the model on the holdout; details compare all models."""
        task = PredictionTask.of(comparison)
        holdout = task.labelled(comparison.reference)
        task.check(comparison.train, holdout)
        strata = np.zeros(len(holdout), dtype=np.int64)
        if task.name == "classification":
            strata = task.truth(holdout).astype(np.int64)
        seed = draw_seed(rng)
        rows_rng, draws_rng = rng.spawn(2)
        sets = _training_sets(task, comparison, self.max_rows, rows_rng)
        scorers = {}
        for name, parts in sets.items():
            held = comparison.cache.get(name)
            if held is None:
                held = self._scorer(task, parts, holdout, seed)
                # Only the real-only model is the same in every comparison that shares the cache.
                if name == "real":
                    comparison.cache[name] = held
            scorers[name] = held
        ones = np.ones(len(holdout))
        values = {name: scorer(ones) for name, scorer in scorers.items()}
        found = replicate(list(scorers.values()), strata, self.replicates, draws_rng)
        drawn = dict(zip(scorers, found))
        mode = next(name for name in ("synthetic", "mixed", "real") if name in sets)
        models = compare_models(
            task.measures(self.alert_rate), values, drawn,
            {name: sum(map(len, parts)) for name, parts in sets.items()},
            decides=TrainingData(mode), n_test_rows=len(holdout),
            chance_level=task.chance_level(holdout),
        )  # fmt: skip
        return Measurement(
            float(values[mode][0]),
            drawn[mode][:, 0],
            (models, *task.deciding_rows(holdout)),
            facts={"max_rows": self.max_rows},
        )

    def _scorer(
        self, task: PredictionTask, parts: Sequence[Dataset], holdout: Dataset, seed: int
    ) -> Scorer:
        """Fit a model on the rows of all parts and return how to score it on the holdout."""
        model, held = self._model(task, parts, holdout, seed)
        truth = task.truth(holdout)
        if task.name == "regression":
            return numbers_scorer(model.predict(held), truth)
        scores = np.zeros((len(holdout), len(task.classes)))
        scores[:, model.classes_.astype(np.int64)] = model.predict_proba(held)
        if len(task.classes) == 2:
            return binary_scorer(scores[:, 1], truth == 1, self.alert_rate)
        return classes_scorer(scores, truth.astype(np.int64))

    def _model(
        self, task: PredictionTask, parts: Sequence[Dataset], holdout: Dataset, seed: int
    ) -> tuple[Any, Any]:
        """Return a fitted model, and the holdout as it reads it; texts are read by their words."""
        y = np.concatenate([task.truth(part) for part in parts])
        if has_texts(holdout, task.features):
            *read, held = word_features([*parts, holdout], task.features)
            (judge,) = TEXT_JUDGES[self.text_judge]
            return text_model(judge, task.name, seed).fit(stacked(read), y), held
        table = build_discriminator_table([*parts, holdout], task.features)
        x, held = np.concatenate(table.parts[:-1]), table.parts[-1]
        model = fit_discriminator(
            x, y, table.categorical, task=task.name, seed=seed, iterations=self.iterations
        )
        return model, held


def _training_sets(
    task: PredictionTask, comparison: Comparison, most: int, rng: np.random.Generator
) -> dict[str, tuple[Dataset, ...]]:
    """Return the sets to train on by name; "synthetic" only where it holds more than one class."""
    real = task.labelled(comparison.train).at_most(most, rng)
    if comparison.synthetic is comparison.train:
        return {"real": (real,)}
    synthetic = task.labelled(comparison.synthetic).at_most(most, rng)
    if not len(synthetic):
        raise NotMeasurable(f"the target '{task.target}' is missing in every synthetic row")
    sets = {"real": (real,), "mixed": (real, synthetic)}
    if len(np.unique(task.truth(synthetic))) > 1:
        sets["synthetic"] = (synthetic,)
    return sets
