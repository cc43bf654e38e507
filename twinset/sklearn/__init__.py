"""Samplers for scikit-learn and imbalanced-learn pipelines: `fit_resample`, with types and rules kept."""

from twinset.sklearn._columns import NothingToAdd, RulesExcludedWarning, SamplerInputError
from twinset.sklearn.generator_samplers import (
    ROSE,
    SMOTE,
    BorderlineSMOTE,
    CopulaSampler,
    FilteredSampler,
    TreesSampler,
)
from twinset.sklearn.hard_negatives import HardNegatives
from twinset.sklearn.imblearn_sampler import ImblearnSampler
from twinset.sklearn.probabilities import restore_probabilities
from twinset.sklearn.random_over import RandomOverSampler

__all__ = [
    "BorderlineSMOTE",
    "CopulaSampler",
    "FilteredSampler",
    "HardNegatives",
    "ImblearnSampler",
    "NothingToAdd",
    "ROSE",
    "RandomOverSampler",
    "RulesExcludedWarning",
    "SMOTE",
    "SamplerInputError",
    "TreesSampler",
    "restore_probabilities",
]
