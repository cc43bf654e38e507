"""The leakage guard: whether a holdout stands apart from what was trained on."""

from twinset.leaks._check import check, guard
from twinset.leaks._found import LEAKS, Findings, Leak

__all__ = ["LEAKS", "Findings", "Leak", "check", "guard"]
