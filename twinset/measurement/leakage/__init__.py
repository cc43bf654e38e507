"""The leakage guard: checks that a holdout is independent of what was trained on."""

from twinset.measurement.leakage.evidence import LEAKS, Findings, Leak, check_allowed
from twinset.measurement.leakage.guard import (
    find_leakage,
    find_synthetic_leakage,
    require_clean_sets,
)

__all__ = [
    "LEAKS",
    "Findings",
    "Leak",
    "check_allowed",
    "find_leakage",
    "find_synthetic_leakage",
    "require_clean_sets",
]
