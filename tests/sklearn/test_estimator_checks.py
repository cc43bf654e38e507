"""The checks of scikit-learn and of imbalanced-learn, for every sampler."""

import warnings

import pytest

pytest.importorskip("imblearn", reason="the extra 'imbalanced' is not installed")

from imblearn.utils.estimator_checks import parametrize_with_checks as imblearn_checks
from sklearn.utils.estimator_checks import parametrize_with_checks as sklearn_checks

from twinset.sklearn import (
    ROSE,
    SMOTE,
    BorderlineSMOTE,
    CopulaSampler,
    FilteredSampler,
    HardNegatives,
    ImblearnSampler,
    RandomOverSampler,
    TreesSampler,
)

SAMPLERS = [
    RandomOverSampler(random_state=42),
    SMOTE(random_state=42),
    BorderlineSMOTE(random_state=42),
    ROSE(random_state=42),
    CopulaSampler(random_state=42),
    HardNegatives(random_state=42),
    ImblearnSampler("ADASYN", random_state=42),
    ImblearnSampler("SVMSMOTE", random_state=42),
    ImblearnSampler("TomekLinks", random_state=42),
]
SLOW = [TreesSampler(random_state=42), FilteredSampler(random_state=42)]


@sklearn_checks(SAMPLERS)
def test_scikit_learn(estimator, check) -> None:
    run(check, estimator)


@imblearn_checks(SAMPLERS)
def test_imbalanced_learn(estimator, check) -> None:
    run(check, estimator)


@pytest.mark.slow
@sklearn_checks(SLOW)
def test_scikit_learn_slow(estimator, check) -> None:
    run(check, estimator)


@pytest.mark.slow
@imblearn_checks(SLOW)
def test_imbalanced_learn_slow(estimator, check) -> None:
    run(check, estimator)


@pytest.mark.parametrize("sampler", [*SAMPLERS, *SLOW], ids=lambda sampler: type(sampler).__name__)
def test_every_bad_setting_is_named(sampler) -> None:
    from imblearn.utils.estimator_checks import check_param_validation

    check_param_validation(type(sampler).__name__, sampler)


def run(check, estimator) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)
