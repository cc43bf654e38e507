import numpy as np
import pyarrow as pa
import pytest

from tests.weighted_bins import PercentilesAtOnce
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.features.models import (
    build_discriminator_table,
    build_linear_model,
    fit_discriminator,
    word_features,
    word_model,
)
from twinset.core.seeding import rng_for


def test_both_sets_get_one_coding_by_falling_frequency() -> None:
    one = Dataset.from_arrow(pa.table({"c": ["b", "a", "b"]}))
    other = Dataset.from_arrow(pa.table({"c": ["new", "b", None]}), one.schema)
    table = build_discriminator_table([one, other], ["c"])
    assert table.parts[0].ravel().tolist() == [0, 1, 0]
    assert table.parts[1].ravel()[:2].tolist() == [2, 0]
    assert np.isnan(table.parts[1][2, 0])
    assert table.categorical.tolist() == [True]


def test_a_rare_class_is_learnt_and_not_lost() -> None:
    from sklearn.metrics import average_precision_score

    rng = rng_for(1, "rare")
    x = rng.normal(size=(40_000, 6))
    y = (x[:, 0] + x[:, 1] + 0.5 * rng.normal(size=len(x)) > 4.1).astype(float)
    train, test = slice(0, 20_000), slice(20_000, None)
    assert 0.001 < y.mean() < 0.006
    judge = fit_discriminator(x[train], y[train], np.zeros(6, bool), task="classification", seed=0)
    assert average_precision_score(y[test], judge.predict_proba(x[test])[:, 1]) > 0.5


def test_thirty_rows_and_an_empty_column_can_still_be_split() -> None:
    x = np.column_stack([np.arange(30.0), np.full(30, np.nan)])
    y = (x[:, 0] >= 15).astype(float)
    judge = fit_discriminator(x, y, np.zeros(2, bool), task="classification", seed=0)
    assert judge.score(np.column_stack([x[:, 0], np.ones(30)]), y) == 1.0


def test_numbers_are_predicted_too() -> None:
    x = rng_for(2, "numbers").normal(size=(500, 2))
    judge = fit_discriminator(x, 3 * x[:, 0], np.zeros(2, bool), task="regression", seed=0)
    assert judge.score(x, 3 * x[:, 0]) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_model_of_words_is_the_one_of_all_columns(task) -> None:
    texts = [f"{word} number {i % 7}" for i, word in enumerate(["play", "stop", "", "later"] * 10)]
    fresh = ["play words that training never had", "stop", "", *texts]
    said = [Dataset.from_arrow(pa.table({"said": one})) for one in (texts, fresh, [""] * 4)]
    text_field = Schema((Field(name="said", kind="text"),))
    said = [Dataset(part.records, text_field, part.card) for part in said]
    x, other, empty = word_features(said, ["said"])
    y = np.arange(len(texts)) % 2
    settings = {"solver": "lsqr", "C": 10.0, "max_iter": 200, "tol": 1e-3}
    whole, used = build_linear_model(task, **settings).fit(x, y), word_model(task).fit(x, y)
    method = "predict" if task == "regression" else "predict_proba"
    assert getattr(used, method)(other) == pytest.approx(getattr(whole, method)(other))
    nothing = word_model(task).fit(empty, np.array([0, 1, 0, 1]))
    assert getattr(nothing, method)(other).mean() == pytest.approx(0.5)


def test_the_weighted_bins_of_the_suite_are_those_of_scikit_learn() -> None:
    pytest.importorskip("sklearn", minversion="1.8")
    stats = pytest.importorskip("sklearn.utils.stats")
    rng = rng_for(1, "bins")
    for n, decimals in [(300, 6), (1_000, 2), (2_000, 3)]:
        column = np.sort(rng.normal(size=n).round(decimals))
        weight = rng.choice([0.2, 1.7, 3.1], n)
        at_once = PercentilesAtOnce(stats._weighted_percentile)
        for rank in np.linspace(0, 100, 256)[1:-1]:
            one = stats._weighted_percentile(column, weight, rank, average=True)
            assert at_once(column, weight, rank, average=True) == one
