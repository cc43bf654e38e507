"""The checks of scikit-learn and of imbalanced-learn, for every sampler."""

import warnings
from collections.abc import Callable, Iterator
from unittest import SkipTest

import pytest

pytest.importorskip("imblearn", reason="the extra 'imbalanced' is not installed")

from imblearn.utils import estimator_checks as imblearn_checks
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import estimator_checks as sklearn_checks

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

# One sampler for each way through the shared code has all checks; the others differ by their generator.
ALL_CHECKS = [
    RandomOverSampler(random_state=42),
    SMOTE(random_state=42),
    BorderlineSMOTE(random_state=42),
    CopulaSampler(random_state=42),
    # Many fits: a small tree, which takes NaN as the default model does, is 20 times faster.
    HardNegatives(random_state=42, model=DecisionTreeClassifier(max_depth=3, random_state=0)),
    ImblearnSampler("ADASYN", random_state=42),
    ImblearnSampler("TomekLinks", random_state=42),
]
SAMPLERS = [
    *ALL_CHECKS,
    ROSE(random_state=42),
    *(
        pytest.param(sampler(random_state=42), marks=pytest.mark.slow)
        for sampler in (TreesSampler, FilteredSampler)
    ),
]


def faults(estimator, module) -> Iterator[str]:
    """Yield every check that fails, with its message."""
    for one, check in module.estimator_checks_generator(estimator):
        run: Callable[[object], None] = check
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                run(one)
            except SkipTest:
                continue
            except Exception as error:  # noqa: BLE001 - any failure of a check is a fault
                yield f"{getattr(check, 'func', check).__name__}: {error}"


@pytest.mark.parametrize("sampler", ALL_CHECKS, ids=str)
def test_scikit_learn(sampler) -> None:
    assert not list(faults(sampler, sklearn_checks))


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_imbalanced_learn(sampler) -> None:
    assert not list(faults(sampler, imblearn_checks))


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_every_bad_setting_is_named(sampler) -> None:
    imblearn_checks.check_param_validation(type(sampler).__name__, sampler)
