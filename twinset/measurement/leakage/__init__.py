"""The leakage guard: whether a holdout stands apart from what was trained on."""

from twinset.measurement.leakage.findings import LEAKS, Findings, Leak, check_allowed
from twinset.measurement.leakage.guard import (
    check,
    find_synthetic_leakage,
    guard,
    refuse,
    refuse_sets,
)

__all__ = [
    "LEAKS",
    "Findings",
    "Leak",
    "check",
    "check_allowed",
    "find_synthetic_leakage",
    "guard",
    "refuse",
    "refuse_sets",
]
