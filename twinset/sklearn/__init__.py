"""Samplers for scikit-learn and imbalanced-learn pipelines: `fit_resample`, with types and rules kept."""

from twinset.sklearn._errors import NothingToAdd, RulesExcludedWarning, SamplerInputError
from twinset.sklearn.borderline import BorderlineSMOTE
from twinset.sklearn.copula import CopulaSampler
from twinset.sklearn.filtered import FilteredSampler
from twinset.sklearn.hard_negatives import HardNegatives
from twinset.sklearn.imblearn_sampler import ImblearnSampler
from twinset.sklearn.probabilities import restore_probabilities
from twinset.sklearn.random_over import RandomOverSampler
from twinset.sklearn.rose import ROSE
from twinset.sklearn.smote import SMOTE
from twinset.sklearn.trees import TreesSampler

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
