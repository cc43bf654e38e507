"""Samplers inside the tools of scikit-learn and imbalanced-learn."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("imblearn", reason="the extra 'imbalanced' is not installed")

from imblearn.pipeline import Pipeline, make_pipeline
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from twinset.sklearn import (
    ROSE,
    SMOTE,
    BorderlineSMOTE,
    CopulaSampler,
    FilteredSampler,
    RandomOverSampler,
    TreesSampler,
    restore_probabilities,
)

SAMPLERS = [
    SMOTE,
    RandomOverSampler,
    ROSE,
    BorderlineSMOTE,
    CopulaSampler,
    TreesSampler,
    FilteredSampler,
]


def frauds(n: int = 600) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(0)
    y = pd.Series((rng.random(n) < 0.1).astype(int), name="fraud")
    X = pd.DataFrame(
        {
            "amount": np.round(np.exp(rng.normal(size=n) + y), 2),
            "channel": rng.choice(["web", "shop"], n),
            "age": rng.integers(18, 80, n),
        }
    )
    return X, y


def model() -> LogisticRegression:
    encode = make_column_transformer(
        (OneHotEncoder(), ["channel"]), (StandardScaler(), ["amount", "age"])
    )
    return make_pipeline(encode, LogisticRegression())


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_pipeline_resamples_in_fit_and_not_in_predict(sampler) -> None:
    X, y = frauds()
    pipeline = Pipeline([("sample", sampler(random_state=0)), ("model", model())])
    pipeline.fit(X, y)
    assert len(pipeline.predict(X)) == len(X)
    fitted = pipeline.named_steps["sample"]
    assert len(fitted.is_synthetic_) > len(X)
    # Its model was trained on equal shares.
    raised = pipeline.predict_proba(X)[:, 1].mean()
    restored = restore_probabilities(pipeline.predict_proba(X), fitted.odds_factor_)[:, 1].mean()
    assert raised > 3 * y.mean()
    assert restored == pytest.approx(y.mean(), rel=0.25)


@pytest.mark.parametrize("sampler", [SMOTE, RandomOverSampler, CopulaSampler])
def test_cross_validation_and_grid_search(sampler) -> None:
    X, y = frauds()
    pipeline = Pipeline([("sample", sampler(random_state=0)), ("model", model())])
    scores = cross_validate(pipeline, X, y, cv=3, scoring="average_precision")
    assert np.isfinite(scores["test_score"]).all()
    grid = {"sample": ["passthrough", sampler(random_state=0)]}
    search = GridSearchCV(pipeline, grid, cv=3, scoring="average_precision").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    ratios = {"sample__sampling_strategy": [0.2, 0.5]}
    search = GridSearchCV(pipeline, ratios, cv=3, scoring="average_precision").fit(X, y)
    assert search.best_params_["sample__sampling_strategy"] in (0.2, 0.5)


def test_parameters_are_read_set_and_cloned() -> None:
    for sampler in SAMPLERS:
        one = sampler(sampling_strategy=0.3)
        assert one.get_params()["sampling_strategy"] == 0.3
        assert one.set_params(random_state=4).random_state == 4
        assert clone(one).get_params() == one.get_params()


def test_imbalanced_learn_need_not_be_there() -> None:
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['imblearn'] = None\n"
        "from twinset.sklearn import SMOTE\n"
        "X, y = SMOTE(random_state=0).fit_resample([[1.], [2.], [3.], [7.], [8.5]], [0, 0, 0, 1, 1])\n"
        "assert len(y) == 6"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
