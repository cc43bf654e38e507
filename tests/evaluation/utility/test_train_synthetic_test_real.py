from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, r2_score

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.findings import DecidingRows
from twinset.core.model_findings import ModelComparison
from twinset.core.seeding import rng_for
from twinset.evaluation.utility import _models as module
from twinset.evaluation.utility._holdout_scores import (
    binary_scorer,
    classes_scorer,
    numbers_scorer,
    paired_draws,
)
from twinset.evaluation.utility.train_synthetic_test_real import TrainSyntheticTestReal

rows = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=40)


def fraud(n: int, seed: int, rate: float = 0.1, noise: float = 0.5) -> Dataset:
    """Rows whose label follows x and y; `noise` blurs it."""
    rng = rng_for(seed, "fraud")
    x, y = rng.normal(size=(2, n))
    score = x + y + noise * rng.normal(size=n)
    label = np.where(score > np.quantile(score, 1 - rate), "yes", "no")
    return Dataset.from_arrow(pa.table({"x": x, "y": y, "label": label}))


def measured(train: Dataset, made: Dataset, holdout: Dataset, **more):
    settings = more.pop("settings", {})
    comparison = Comparison(train, made, holdout, **{"target": "label", "positive": "yes", **more})
    return TrainSyntheticTestReal(**settings).compute(comparison, rng_for(1, "utility"))


@given(rows)
def test_average_precision_is_that_of_sklearn(pairs: list[tuple[int, bool]]) -> None:
    score, truth = (np.array(part) for part in zip(*[*pairs, (4, True)]))
    expected = average_precision_score(truth, score)
    scorer = binary_scorer(score.astype(float), truth.astype(bool), 1.0)
    assert scorer(np.ones(len(score)))[0] == pytest.approx(expected)


@given(rows, st.integers(0, 1000))
def test_drawing_rows_is_the_same_as_repeating_them(
    pairs: list[tuple[int, bool]], seed: int
) -> None:
    score, truth = (np.array(part) for part in zip(*[*pairs, (4, True)]))
    weight = rng_for(seed, "draws").integers(0, 3, len(score))
    weight[-1] = 1
    expected = average_precision_score(np.repeat(truth, weight), np.repeat(score, weight))
    scorer = binary_scorer(score.astype(float), truth.astype(bool), 1.0)
    assert scorer(weight.astype(float))[0] == pytest.approx(expected)


def test_recall_at_a_rate_by_hand() -> None:
    score = np.array([0.9, 0.8, 0.7, 0.7, 0.1])
    truth = np.array([True, False, True, False, True])
    assert binary_scorer(score, truth, 0.2)(np.ones(5))[1] == pytest.approx(1 / 3)
    # The third alert falls on one of two rows with equal score: half a chance of the positive one.
    assert binary_scorer(score, truth, 0.6)(np.ones(5))[1] == pytest.approx(1.5 / 3)


def test_other_scores_are_those_of_sklearn() -> None:
    rng = rng_for(3, "scores")
    truth, predicted = rng.normal(size=(2, 50))
    assert numbers_scorer(predicted, truth)(np.ones(50))[0] == pytest.approx(
        r2_score(truth, predicted)
    )
    classes, scores = rng.integers(0, 3, 50), rng.random((50, 3))
    expected = np.mean([average_precision_score(classes == k, scores[:, k]) for k in range(3)])
    assert classes_scorer(scores, classes)(np.ones(50))[0] == pytest.approx(expected)


def test_draws_keep_the_number_of_positives() -> None:
    strata = np.array([0, 0, 0, 1, 1])
    for weight in paired_draws(strata, 20, rng_for(1, "draws")):
        assert weight[strata == 1].sum() == 2
        assert weight.sum() == 5


def test_a_good_twin_trains_as_well_as_real_rows() -> None:
    found = measured(fraud(1500, 1), fraud(1500, 2), fraud(1000, 3))
    models = found.finding(ModelComparison)
    scores = {m.data: m.scores[0].value for m in models.models}
    assert models.decides == "synthetic"
    assert found.value == scores["synthetic"] == pytest.approx(scores["real"], abs=0.08)
    assert scores["real"] > 0.6
    assert set(models.measures) == {"average precision", "recall at 1 % alerts"}


def test_rows_with_turned_labels_hurt() -> None:
    made = fraud(3000, 2)
    turned = np.where(np.array(made.records.column("label").to_pylist()) == "yes", "no", "yes")
    wrong = Dataset.from_arrow(
        pa.table({"x": made.values("x"), "y": made.values("y"), "label": turned}), made.schema
    )
    found = measured(fraud(500, 1), wrong, fraud(1000, 3))
    mixed = found.finding(ModelComparison).trained_on("mixed")
    assert mixed.effect == "hurts"
    assert (
        mixed.scores[0].interval[0] < mixed.scores[0].difference < mixed.scores[0].interval[1] < 0
    )


def test_more_rows_of_the_same_distribution_help_where_real_ones_are_few() -> None:
    found = measured(fraud(60, 1), fraud(3000, 2), fraud(2000, 3))
    assert found.finding(ModelComparison).trained_on("mixed").effect == "helps"


def test_no_rows_of_use_are_no_evidence() -> None:
    train = fraud(1500, 1)
    found = measured(train, train.take(np.arange(2)), fraud(1000, 3))
    assert found.finding(ModelComparison).trained_on("mixed").effect == "no evidence"


def test_made_cases_of_one_class_are_assessed_together_with_the_real_rows() -> None:
    made = fraud(2000, 2)
    made = made.filter(np.array(made.records.column("label").to_pylist()) == "yes")
    found = measured(fraud(800, 1), made, fraud(800, 3))
    models = found.finding(ModelComparison)
    assert models.decides == "mixed"
    assert [m.data for m in models.models] == ["real", "mixed"]


def test_real_rows_beside_themselves_are_fitted_once() -> None:
    train, holdout = fraud(300, 1), fraud(300, 3)
    cache: dict = {}
    with patch.object(module, "fit_discriminator", wraps=module.fit_discriminator) as fits:
        base = measured(train, train, holdout, cache=cache)
        assert fits.call_count == 1
        found = measured(train, fraud(300, 2), holdout, cache=cache)
        assert fits.call_count == 3
    assert base.finding(ModelComparison).decides == "real"
    assert found.finding(ModelComparison).score("average precision", "real").value == base.value
    assert len(base.replicates) == len(found.replicates)


def test_without_a_positive_label_the_rarer_class_is_looked_for() -> None:
    found = measured(fraud(500, 1), fraud(500, 2), fraud(500, 3), positive=None)
    assert found.finding(ModelComparison).chance_level == pytest.approx(0.1, abs=0.01)
    assert found.finding(DecidingRows) == DecidingRows(50, "positive holdout rows")


def test_a_number_is_predicted_with_r2_and_several_classes_with_their_mean() -> None:
    def with_column(seed: int, name: str) -> Dataset:
        data = fraud(400, seed)
        x = data.values("x")
        column = (
            2 * x + 0.5 if name == "number" else np.array(["a", "b", "c"])[np.digitize(x, [-1, 1])]
        )
        return Dataset.from_arrow(pa.table({"x": x, "y": data.values("y"), name: column}))

    for name, measure in (("number", "R2"), ("kind", "mean average precision")):
        parts = [with_column(seed, name) for seed in (1, 2, 3)]
        found = measured(*parts, target=name, positive=None)
        assert list(found.finding(ModelComparison).measures) == [measure]
        assert found.value > 0.9


def test_what_is_lacking_is_said() -> None:
    data = fraud(100, 1)
    constant = data.filter(np.array(data.records.column("label").to_pylist()) == "no")
    for train, holdout, target, words in (
        (data, data, None, "no target column is named"),
        (data, data, "nothing", "not among the columns"),
        (constant, data, "label", "one value only in the train set"),
        (data, constant, "label", "one value only in the holdout"),
        (data.select(["label"]), data.select(["label"]), "label", "no column to predict"),
    ):
        with pytest.raises(NotMeasurable, match=words):
            measured(train, train.take(np.arange(50)), holdout, target=target)
    unlabelled = Dataset.from_arrow(
        pa.table({"x": [1.5], "y": [2.5], "label": pa.array([None], pa.string())}), data.schema
    )
    with pytest.raises(NotMeasurable, match="missing in every synthetic row"):
        measured(data, unlabelled, data)
