"""The leakage guard: whether a holdout stands apart from what was trained on."""

from twinset.leaks._check import check, check_made, guard, refuse, refuse_sets
from twinset.leaks._found import LEAKS, Findings, Leak, LeakKind, check_allowed

__all__ = [
    "LEAKS",
    "Findings",
    "Leak",
    "LeakKind",
    "check",
    "check_allowed",
    "check_made",
    "guard",
    "refuse",
    "refuse_sets",
]
