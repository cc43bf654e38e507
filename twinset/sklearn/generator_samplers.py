"""Samplers that are generators of twinset: `SMOTE`, `ROSE`, copula, trees and others, one class each.

Parameters, their checks and their documentation come from the fields of the generator. Types, gaps,
whole numbers and decimals come back as they were, and rules are enforced.
"""

from __future__ import annotations

from twinset.sklearn._oversampler import GeneratorSampler


class SMOTE(
    GeneratorSampler, component="minority.smote", settings=("k_neighbors",), is_ordered=True
):
    """SMOTE for numbers, labels and both together, with the rules and types of the table kept.

    Use it in place of SMOTE, SMOTENC and SMOTEN of imbalanced-learn: columns of labels are found by their
    type. Distances are scaled; missing values are allowed and come again in the pattern of real rows;
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


class BorderlineSMOTE(
    GeneratorSampler,
    component="minority.borderline",
    settings=("k_neighbors", "m_neighbors", "danger"),
    is_ordered=True,
):
    """Borderline-SMOTE: SMOTE that starts from rows with many neighbors of other classes.

    Where a class has no such row, all its rows are started from, with a warning; imbalanced-learn
    adds nothing then, without a warning.

    References
    ----------
    Han, Wang and Mao, "Borderline-SMOTE", ICIC 2005 (its first variant).
    """


class ROSE(GeneratorSampler, component="minority.rose", settings=("shrinkage",), is_ordered=True):
    """ROSE, the smoothed bootstrap: a real row drawn again and moved by a little noise.

    References
    ----------
    Menardi and Torelli, "Training and assessing classification rules with imbalanced data", Data
    Min. Knowl. Discov. 28, 2014.
    """


class CopulaSampler(GeneratorSampler, component="minority.copula", settings=("shrink",)):
    """Gaussian copula of a class: its own margins and correlations, shrunk where rows are few.

    New rows are not between two real ones: they have no parents, and `parents_` is -1. On data where
    synthesis helps at all it helped most of the methods tried; it hurts elsewhere, so let `advise`
    or a cross-validation decide.

    References
    ----------
    Schaefer and Strimmer, "A shrinkage approach to large-scale covariance matrix estimation", Stat.
    Appl. Genet. Mol. Biol. 4, 2005.
    """


class FilteredSampler(
    GeneratorSampler,
    component="minority.filtered",
    settings=("method", "keep", "k_neighbors"),
    is_ordered=True,
):
    """Rows of SMOTE, ROSE or a copula, of which a discriminator keeps those that look most real.

    Boosted trees are trained to separate real rows of the class from drawn ones; only draws that they
    take for real pass. That reduces the loss from bad rows and the gain from good ones alike.

    References
    ----------
    Azadi et al., "Discriminator Rejection Sampling", ICLR 2019.
    """


class TreesSampler(GeneratorSampler, component="minority.trees", settings=("others",)):
    """Chain of trees: each column drawn from real values of similar rows of the class.

    The trees are grown on `others` times as many rows of other classes, and values come from rows of the
    class alone. `parents_` is -1: each column of a new row comes from another real one.

    References
    ----------
    Reiter, "Using CART to generate partially synthetic public use microdata", J. Official Statistics
    21, 2005.
    """
