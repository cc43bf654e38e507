"""Choosing models by synthetic rows: by hand, and where the right choice differs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.model_findings import ModelChoice
from twinset.evaluation.utility._task import PredictionTask
from twinset.evaluation.utility.model_ranking import (
    HalfModels,
    ModelRanking,
    compute_regrets,
    list_model_kinds,
    rank_correlation,
)


def rows(n: int, seed: int, *, crossed: bool) -> Dataset:
    """The label hangs on the product of two numbers, which lines cannot tell, or on their sum."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    told = a * b if crossed else a + b
    label = np.where(told + 0.3 * rng.normal(size=n) > 0, "yes", "no")
    return Dataset.from_arrow(pa.table({"a": a, "b": b, "label": label}))


def test_regrets_and_orders_by_hand() -> None:
    real = np.array([[0.5, 0.75, 0.25]])
    assert compute_regrets(real, np.array([[0.0, 0.5, 1.0]])).tolist() == [0.5]
    assert compute_regrets(real, np.array([[0.0, 1.0, 0.5]])).tolist() == [0.0]
    # Ranks 1 2 3 4 against 2 1 4 3: 1 - 6 * 4 / 60.
    told = rank_correlation(np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 1.0, 4.0, 3.0]))
    assert told == pytest.approx(0.6)
    assert rank_correlation(np.ones(3), np.arange(3.0)) is None


def test_rows_of_another_law_lead_to_the_wrong_model() -> None:
    real, held = (rows(1500, seed, crossed=True) for seed in (0, 1))
    found = {
        crossed: ModelRanking(replicates=20).compute(
            Comparison(real, rows(1500, 2, crossed=crossed), held, target="label"),
            np.random.default_rng(0),
        )
        for crossed in (True, False)
    }
    assert found[True].value < 0.02
    assert found[False].finding(ModelChoice).by_synthetic.startswith("linear")
    assert found[False].value > 0.3
    assert np.quantile(found[False].replicates, 0.025) > 0.2
    assert found[True].facts["rank_correlation"] > found[False].facts["rank_correlation"]
    assert found[False].facts["scores"]["linear"]["synthetic"] > 0.95


def test_numbers_are_reported_too() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 400))
    parts = [Dataset.from_arrow(pa.table({"x": v, "y": 2 * v})) for v in x]
    found = ModelRanking(replicates=10).compute(Comparison(*parts, target="y"), rng)
    assert found.finding(ModelChoice) == ModelChoice("linear", "linear")
    assert found.value == 0
    assert found.facts["measure"] == "R2"
    assert len(list_model_kinds("regression", 400)) == 7


def test_each_half_is_ranked_by_a_model_that_has_not_seen_it(monkeypatch) -> None:
    """A tree of pure noise is right in every row that it was grown on, and guesses the others."""
    from sklearn.tree import DecisionTreeClassifier

    def one_kind(task: str, n: int) -> dict[str, object]:
        return {"tree": lambda seed: DecisionTreeClassifier(random_state=seed)}

    monkeypatch.setattr("twinset.evaluation.utility.model_ranking.list_model_kinds", one_kind)
    rng = np.random.default_rng(0)
    x, label = rng.normal(size=(2, 400)), np.where(np.arange(400) % 2, "yes", "no")
    noise = Dataset.from_arrow(pa.table({"a": x[0], "b": x[1], "label": label}))
    task = PredictionTask.from_comparison(Comparison(noise, noise, noise, target="label"))
    found = HalfModels.fit(task, noise, noise, 0)
    own = [score(np.ones(400))[0] for score in found.on_rows["tree"]]
    everywhere = [score(np.ones(400))[0] for score in found.on_holdout["tree"]]
    assert max(own) < 0.57
    assert min(everywhere) > 0.6
    assert np.unique(found.strata, return_counts=True)[1].tolist() == [100] * 4


def test_what_cannot_be_ranked_is_said() -> None:
    real = rows(200, 0, crossed=True)
    few = Comparison(real, real.take(range(20)), real, target="label")
    with pytest.raises(NotMeasurable, match="needs 60 synthetic rows"):
        ModelRanking().compute(few, np.random.default_rng(0))
    one = real.filter(np.array(real.records["label"].to_pylist()) == "yes")
    with pytest.raises(NotMeasurable, match="too few cases of a class"):
        ModelRanking().compute(
            Comparison(real, one, real, target="label"), np.random.default_rng(0)
        )
    with pytest.raises(ParameterError, match="out of its range"):
        ModelRanking(max_rows=10)
