"""AUC of classifiers that separate synthetic rows from real ones: published, and a stricter one."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler

from benchmarks.intervals import Difference, auc_with_error
from benchmarks.tabular.sets import Coded

_MAX_CATEGORIES = 255  # of scikit-learn's boosting; categories with more levels are numbers


def scores(
    train: pd.DataFrame, drawn: pd.DataFrame, holdout: Coded, synthetic: Coded, seed: int
) -> dict[str, float | str]:
    """Return both, the second with its 95 % interval."""
    # Small holdouts are noisy: more draws of synthetic rows and folds are averaged for them.
    repeats = 3 if len(holdout) > 10_000 else 10
    found = boosted_auc(holdout, synthetic, repeats=repeats, seed=seed)
    auc = {"detector": found.mean, "detector_low": found.low, "detector_high": found.high}
    return {"c2st": logistic_score(train, drawn, seed), **auc}


def logistic_score(real: pd.DataFrame, synthetic: pd.DataFrame, seed: int = 0) -> float:
    """Return 1 - mean over 3 folds of (2 max(0.5, AUC) - 1); 1 means indistinguishable.

    This is SDMetrics 0.11.1's LogisticDetection, whose folds have no seed; here they have.
    """
    x = np.vstack([_by_type(real, real), _by_type(synthetic, real)])
    y = np.repeat([1, 0], [len(real), len(synthetic)])
    scores = []
    folds = StratifiedKFold(n_splits=3, shuffle=True, random_state=seed)
    for fit, test in folds.split(x, y):
        classifier = LogisticRegression(solver="lbfgs", max_iter=100)
        model = make_pipeline(SimpleImputer(), RobustScaler(), classifier)
        with warnings.catch_warnings():
            # 100 steps are part of the protocol
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x[fit], y[fit])
        auc = float(roc_auc_score(y[test], model.predict_proba(x[test])[:, 1]))
        scores.append(2 * max(0.5, auc) - 1)
    return float(1 - np.mean(scores))


def _by_type(frame: pd.DataFrame, real: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return texts as one-hot columns of the real table's levels, all else as one number.

    The type of a column decides, not its role; a new level is all zeros here, an error in SDMetrics.
    """
    parts = []
    for name in real.columns:
        if pd.api.types.is_bool_dtype(real[name]) or pd.api.types.is_numeric_dtype(real[name]):
            filled = frame[name].astype(float).fillna(real[name].astype(float).mean())
            parts.append(filled.to_numpy()[:, None])
        else:
            levels = pd.Index(real[name].unique())
            codes = levels.get_indexer(frame[name])
            parts.append((codes[:, None] == np.arange(len(levels))).astype(float))
    return np.hstack(parts)


def boosted_auc(
    holdout: Coded, synthetic: Coded, *, repeats: int = 3, folds: int = 5, seed: int = 0
) -> Difference:
    """Return the cross-validated AUC of gradient boosting, holdout rows against synthetic rows."""
    # Each repeat takes as many other synthetic rows as the holdout has and other folds. The interval
    # holds the error of one repeat's AUC (DeLong), since all repeats share the holdout; averaging takes
    # the noise of the synthetic draw out of the mean but is not counted in the interval's favour.
    rng = np.random.default_rng([seed, 20])
    size, first = min(len(holdout), len(synthetic)), holdout.numbers.shape[1]
    few = [first + j for j, levels in enumerate(holdout.levels) if len(levels) < _MAX_CATEGORIES]
    aucs, errors = [], []
    for repeat in range(repeats):
        parts = [
            np.hstack([table.numbers[rows], table.codes[rows]])
            for table in (holdout, synthetic)
            for rows in [rng.choice(len(table), size, replace=False)]
        ]
        x, y = np.vstack(parts), np.repeat([0, 1], size)
        model = HistGradientBoostingClassifier(
            categorical_features=few or None, random_state=repeat
        )
        split = StratifiedKFold(n_splits=folds, shuffle=True, random_state=seed * repeats + repeat)
        predicted = cross_val_predict(model, x, y, cv=split, method="predict_proba")[:, 1]
        auc, error = auc_with_error(predicted[y == 1], predicted[y == 0])
        aucs.append(auc)
        errors.append(error)
    return Difference.within(
        float(np.mean(aucs)), 1.96 * float(np.sqrt(np.mean(np.square(errors))))
    )
