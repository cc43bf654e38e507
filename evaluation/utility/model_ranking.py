"""Cost of choosing a model by synthetic rows alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from twinset.core.contracts import Comparison, Measurement, NotMeasurable, Role
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.features.models import Task, build_boosted_trees, build_linear_model
from twinset.core.model_findings import ModelChoice
from twinset.core.parameters import Ge, Margin
from twinset.core.seeding import draw_seed, rng_for

from ._holdout_scores import Floats, Scorer, UtilityMetric, bootstrap_models
from ._models import predict_target, score_predictions
from ._task import PredictionTask

_MIN_ROWS = 60  # synthetic rows: 30 to train seven models on, 30 to rank them by, and the reverse
_ALERT_RATE = 0.01  # of the recall beside the average precision, which is not used


@dataclass(frozen=True, kw_only=True)
class ModelRanking(UtilityMetric):
    """Cost, on real rows, of the model that synthetic rows rank first.

    value = max_m s_real(m) - s_real(argmax_m s_syn(m)), 0 for the right choice. Seven kinds of models are
    trained on each half of the synthetic rows and scored on the other one (s_syn, the mean of both), as
    without real rows; the same kinds are trained on each half of the real rows and scored on the real
    holdout (s_real). Replicates draw the rows that models are scored on and, of each kind, the two models:
    chance in training, too, makes another kind the best. The score is the average precision of the positive
    label (several classes: their mean; a number: R2). Facts hold all scores and the rank correlation of
    both orders.

    Parameters
    ----------
    max_rows : int
        Rows of each set that are used, 60 or more.

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
    >>> sets = Comparison(train=even, synthetic=odd, reference=odd, target="y", positive="high")
    >>> found = ModelRanking(replicates=10).compute(sets, np.random.default_rng(0))
    >>> sorted(found.facts["scores"])[:3]
    ['boosted stumps', 'boosted trees', 'forest']
    """

    title: ClassVar[str] = "choosing a model by synthetic rows"
    interpretation: ClassVar[str] = (
        "What it costs to choose among seven kinds of models by the synthetic rows alone: 0 means that "
        "they put the same model first as real rows do. It matters to teams that tune on the twin."
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.MODEL_CHOICE})
    higher_is_better: ClassVar[bool] = False
    has_floor: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    is_thorough: ClassVar[bool] = True

    margin: Margin = 0.02
    max_rows: Annotated[int, Ge(_MIN_ROWS)] = 10_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the cost on real rows of choosing by the synthetic rows, 0 or more."""
        task = PredictionTask.from_comparison(comparison)
        train, holdout, synthetic = (
            task.labelled(part).at_most(self.max_rows, rng)
            for part in (comparison.train, comparison.reference, comparison.synthetic)
        )
        task.check(train, holdout)
        if len(synthetic) < _MIN_ROWS:
            raise NotMeasurable(f"it needs {_MIN_ROWS} synthetic rows whose target is known")
        seed = draw_seed(rng)
        if "ranking" not in comparison.cache:
            comparison.cache["ranking"] = HalfModels.fit(task, train, holdout, seed)
        of_real = of_synthetic = comparison.cache["ranking"]
        if comparison.synthetic is not comparison.train:
            of_synthetic = HalfModels.fit(task, synthetic, None, seed)
        real, real_drawn = _bootstrap(
            of_real.on_holdout, task.strata(holdout), self.replicates, rng
        )
        own, own_drawn = _bootstrap(of_synthetic.on_rows, of_synthetic.strata, self.replicates, rng)
        names = list(of_real.on_holdout)
        picked, best = int(own.argmax()), int(real.argmax())
        scores = ({"real": float(a), "synthetic": float(b)} for a, b in zip(real, own))
        facts = {
            "scores": dict(zip(names, scores)),
            "measure": task.measures(_ALERT_RATE)[0],
            "rank_correlation": rank_correlation(real, own),
            "max_rows": self.max_rows,
        }
        cost, drawn = float(real[best] - real[picked]), compute_regrets(real_drawn, own_drawn)
        choice = ModelChoice(by_synthetic=names[picked], by_real=names[best])
        return Measurement(cost, drawn, (choice,), facts=facts)


@dataclass(frozen=True)
class HalfModels:
    """Scorers of two models of each kind, each trained on one half of the same rows."""

    on_rows: dict[str, list[Scorer]]  # of weights of these rows; each uses the half it has not seen
    strata: npt.NDArray[np.int64]  # (n,): half and class of these rows
    on_holdout: dict[str, list[Scorer]]  # of weights of the holdout rows; empty without a holdout

    @classmethod
    def fit(
        cls, task: PredictionTask, rows: Dataset, holdout: Dataset | None, seed: int
    ) -> HalfModels:
        """Return the models of the halves, which hold as many rows of each class."""
        order = rng_for(seed, "halves").permutation(len(rows))
        order = order[np.argsort(task.truth(rows)[order], kind="stable")]
        halves = [np.sort(order[i::2]) for i in range(2)]
        parts = [rows.take(half) for half in halves]
        if any(len(np.unique(task.truth(part))) < 2 for part in parts):
            raise NotMeasurable("the rows hold too few cases of a class to rank models by")
        strata = 2 * task.strata(rows)
        strata[halves[1]] += 1
        found = cls({}, strata, {})
        for i in range(2):
            tests = [parts[1 - i], *([] if holdout is None else [holdout])]
            for name, scorers in fit_models(task, parts[i], tests, seed).items():
                within = partial(_score_within, scorers[0], halves[1 - i])
                found.on_rows.setdefault(name, []).append(within)
                if holdout is not None:
                    found.on_holdout.setdefault(name, []).append(scorers[1])
        return found


def _score_within(scorer: Scorer, places: npt.NDArray[np.int64], weights: Floats) -> Floats:
    """Return the scores by the weights of the rows at these places."""
    return scorer(weights[places])


def fit_models(
    task: PredictionTask, train: Dataset, tests: Sequence[Dataset], seed: int
) -> dict[str, list[Scorer]]:
    """Return the scorers on each of `tests` of each kind of model, trained on `train`."""
    names = list(task.features)
    encoder = FeatureEncoder.fit(train.select(names))
    x, *held = (
        encoder.transform(part.select(names)).astype(np.float64) for part in (train, *tests)
    )
    y, truths = task.truth(train), [task.truth(test) for test in tests]
    found = {}
    # Two threads on a busy machine made one fit a hundred times slower than one thread.
    with threadpool_limits(limits=1):
        for name, build in list_model_kinds(task.name, len(y)).items():
            model = build(seed).fit(x, y)
            found[name] = [
                score_predictions(predict_target(model, part, task), truth, task, _ALERT_RATE)
                for part, truth in zip(held, truths, strict=True)
            ]
    return found


def list_model_kinds(task: Task, n: int) -> Mapping[str, Callable[[int], Any]]:
    """Return name -> a function from a seed to an unfitted model: seven kinds for `n` rows."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    is_number = task == "regression"
    near: Any = KNeighborsRegressor if is_number else KNeighborsClassifier
    tree: Any = DecisionTreeRegressor if is_number else DecisionTreeClassifier
    forest: Any = ExtraTreesRegressor if is_number else ExtraTreesClassifier
    linear = partial(build_linear_model, task, max_iter=200)
    min_leaf = min(50, max(1, n // 20))
    boosted = partial(build_boosted_trees, task, max_iter=60, min_samples_leaf=min_leaf)
    return {
        "linear": lambda seed: linear(tol=1e-3),
        "linear, held back": lambda seed: linear(alpha=1000.0, C=0.001),
        "nearest neighbours": lambda seed: near(min(25, n)),
        "one small tree": lambda seed: tree(max_depth=4, min_samples_leaf=25, random_state=seed),
        "forest": lambda seed: forest(60, min_samples_leaf=5, random_state=seed),
        "boosted stumps": lambda seed: boosted(seed, max_depth=1, learning_rate=0.2),
        "boosted trees": lambda seed: boosted(seed),
    }


def compute_regrets(real: Floats, synthetic: Floats) -> Floats:
    """Return the best real score less that of the best model by synthetic scores, of each of b rows."""
    rows = np.arange(len(real))
    return np.asarray(real.max(axis=1) - real[rows, synthetic.argmax(axis=1)])


def rank_correlation(a: Floats, b: Floats) -> float | None:
    """Return Spearman's rank correlation, None where one of them is constant."""
    from scipy.stats import rankdata

    ranks = [rankdata(one) - (len(a) + 1) / 2 for one in (a, b)]
    spread = float(np.sqrt((ranks[0] @ ranks[0]) * (ranks[1] @ ranks[1])))
    return float(ranks[0] @ ranks[1]) / spread if spread else None


def _bootstrap(
    models: Mapping[str, Sequence[Scorer]],
    strata: npt.NDArray[np.int64],
    b: int,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Return the deciding score of each model, and its replicates, shapes (models,) and (b, models)."""
    values, drawn = bootstrap_models(models, strata, b, rng)
    whole = np.array([scores[0] for scores in values.values()])
    return whole, np.column_stack([scores[:, 0] for scores in drawn.values()])
