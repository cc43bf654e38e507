"""Samplers that are generators of twinset: `SMOTE`, `ROSE`, copula, trees and others, one class each.

Parameters, their checks and their documentation come from the fields of the generator.
"""

from __future__ import annotations

from typing import ClassVar

from twinset.sklearn._oversampler import GeneratorSampler


class SMOTE(GeneratorSampler):
    """SMOTE for numbers, labels and both together, with the rules and types of the table kept.

    Stands in for SMOTE, SMOTENC and SMOTEN of imbalanced-learn: columns of labels are found by their
    type. Distances are scaled; missing values are allowed and come again as a pattern of real rows;
    whole numbers and decimals stay so, without bias.

    References
    ----------
    Chawla, Bowyer, Hall and Kegelmeyer, "SMOTE: Synthetic Minority Over-sampling Technique",
    J. Artif. Intell. Res. 16, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> y = np.array([0] * 90 + [1] * 10)
    >>> sampler = SMOTE(sampling_strategy=0.5, random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> X_new.shape, int(y_new.sum()), int(sampler.is_synthetic_.sum())
    ((135, 2), 45, 35)
    """

    _component: ClassVar[str] = "minority.smote"
    _settings: ClassVar[tuple[str, ...]] = ("k_neighbors",)
    _sorts_itself: ClassVar[bool] = True


class BorderlineSMOTE(GeneratorSampler):
    """Borderline-SMOTE: rows are made from those whose neighbours are mostly of other classes.

    Where no row of a class stands so, all its rows are started from, with a warning; imbalanced-learn
    adds nothing then and does not say so. Types, gaps and rules are enforced as by `SMOTE`.

    References
    ----------
    Han, Wang and Mao, "Borderline-SMOTE", ICIC 2005 (its first variant).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.array([0] * 90 + [1] * 10)
    >>> X = rng.normal(size=(100, 2)) + y[:, None]
    >>> X_new, y_new = BorderlineSMOTE(sampling_strategy=0.5, random_state=0).fit_resample(X, y)
    >>> X_new.shape, int(y_new.sum())
    ((135, 2), 45)
    """

    _component: ClassVar[str] = "minority.borderline"
    _settings: ClassVar[tuple[str, ...]] = ("k_neighbors", "m_neighbors", "danger")
    _sorts_itself: ClassVar[bool] = True


class ROSE(GeneratorSampler):
    """ROSE, the smoothed bootstrap: a real row drawn again and moved by a little noise.

    Types, gaps and rules are enforced as by `SMOTE`.

    References
    ----------
    Menardi and Torelli, "Training and assessing classification rules with imbalanced data", Data
    Min. Knowl. Discov. 28, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.array([0] * 90 + [1] * 10)
    >>> X = rng.normal(size=(100, 2)) + y[:, None]
    >>> X_new, y_new = ROSE(sampling_strategy=0.5, random_state=0).fit_resample(X, y)
    >>> X_new.shape, int(y_new.sum())
    ((135, 2), 45)
    """

    _component: ClassVar[str] = "minority.rose"
    _settings: ClassVar[tuple[str, ...]] = ("shrinkage",)
    _sorts_itself: ClassVar[bool] = True


class CopulaSampler(GeneratorSampler):
    """Gaussian copula of a class: its own margins and correlations, drawn towards 0 where rows are few.

    New rows lie not between two real ones: they have no parents, and `parents_` is -1. On data where
    synthesis helps at all it helped most of the methods tried; it hurts elsewhere, so let `advise`
    or a cross-validation decide. Types, gaps and rules are enforced as by `SMOTE`.

    References
    ----------
    Schaefer and Strimmer, "A shrinkage approach to large-scale covariance matrix estimation", Stat.
    Appl. Genet. Mol. Biol. 4, 2005.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.array([0] * 90 + [1] * 10)
    >>> X = rng.normal(size=(100, 2)) + y[:, None]
    >>> X_new, y_new = CopulaSampler(sampling_strategy=0.5, random_state=0).fit_resample(X, y)
    >>> X_new.shape, int(y_new.sum())
    ((135, 2), 45)
    """

    _component: ClassVar[str] = "minority.copula"
    _settings: ClassVar[tuple[str, ...]] = ("shrink",)


class FilteredSampler(GeneratorSampler):
    """Rows of SMOTE, ROSE or a copula, of which a model keeps those that look most real.

    Boosted trees learn to tell real rows of the class from drawn ones; only draws that they take for
    real pass. That shrinks the harm of bad rows and the gain of good ones alike. Types, gaps and
    rules are enforced as by `SMOTE`.

    References
    ----------
    Azadi et al., "Discriminator Rejection Sampling", ICLR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.array([0] * 90 + [1] * 10)
    >>> X = rng.normal(size=(100, 2)) + y[:, None]
    >>> X_new, y_new = FilteredSampler(sampling_strategy=0.5, random_state=0).fit_resample(X, y)
    >>> X_new.shape, int(y_new.sum())
    ((135, 2), 45)
    """

    _component: ClassVar[str] = "minority.filtered"
    _settings: ClassVar[tuple[str, ...]] = ("method", "keep", "k_neighbors")
    _sorts_itself: ClassVar[bool] = True


class TreesSampler(GeneratorSampler):
    """Chain of trees: each column drawn from real values of alike rows of the class.

    The trees see as many rows of other classes as `others` says, and values come from rows of the
    class alone. `parents_` is -1: each column of a new row comes from another real one. Types, gaps
    and rules are enforced as by `SMOTE`.

    References
    ----------
    Reiter, "Using CART to generate partially synthetic public use microdata", J. Official Statistics
    21, 2005.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.array([0] * 90 + [1] * 10)
    >>> X = rng.normal(size=(100, 2)) + y[:, None]
    >>> X_new, y_new = TreesSampler(sampling_strategy=0.5, random_state=0).fit_resample(X, y)
    >>> X_new.shape, int(y_new.sum())
    ((135, 2), 45)
    """

    _component: ClassVar[str] = "minority.trees"
    _settings: ClassVar[tuple[str, ...]] = ("others",)
