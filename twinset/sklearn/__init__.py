"""Samplers for scikit-learn and imbalanced-learn pipelines: `fit_resample`, with types and rules kept."""

from twinset.sklearn._errors import NothingToAdd, SamplerInputError
from twinset.sklearn.probabilities import restore_probabilities
from twinset.sklearn.random_over import RandomOverSampler
from twinset.sklearn.smote import SMOTE

__all__ = [
    "NothingToAdd",
    "RandomOverSampler",
    "SMOTE",
    "SamplerInputError",
    "restore_probabilities",
]
