"""Typed results on integrity: faults of single rows, and of rows together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from twinset.core.findings import Finding


class FaultKind(StrEnum):
    """What is wrong with rows; the values are those in JSON."""

    RANGE = "range"
    MISSING = "missing"
    LEVEL = "level"
    SPELLING = "spelling"
    FORMAT = "format"
    PRECISION = "precision"
    ROUNDING = "rounding"
    REPEATED_VALUE = "repeated value"
    REPEATED_KEY = "repeated key"
    REPEATED_ROW = "repeated row"
    NEAR_REPEATED_ROW = "nearly repeated row"
    RULE = "rule"
    COMBINATION = "combination"
    TEXT_FORM = "form of a text"
    UNLIKELY_TEXT = "unlikely text"
    CUT_TEXT = "text that is cut off"
    REPEATED_TEXT = "repeated text"
    REPEATED_PHRASE = "repeated phrase"
    COPIED_VALUE = "copied value"
    CONTRADICTED_LABEL = "contradicted label"
    SPAN = "span"
    IMAGE_FORM = "form of an image"
    IMAGE_CONTENT = "content of an image"
    IMAGE_OBJECTS = "objects of an image"
    REPEATED_IMAGE = "repeated image"


@dataclass(frozen=True)
class IntegrityFault:
    """Something that synthetic rows show and that unseen real rows do not, or more seldom."""

    kind: FaultKind
    columns: tuple[str, ...]  # Columns that show it together
    n_synthetic: int  # Synthetic rows that show it
    n_real: int | None  # Unseen real rows that show it; None for 1 to 10
    p_value: float  # By an exact test that synthetic rows show it no more often than real ones
    rows: tuple[int, ...] = ()  # First of the synthetic rows, positions in the given set from 1
    detail: str = ""  # The rule, level or limit, where no single real person holds it
    also: tuple[
        str, ...
    ] = ()  # Details of other checks of the same columns that mostly find the same rows


@dataclass(frozen=True)
class IntegrityFaults(Finding, headline=True, nothing_without=("faults",)):
    """Faults that synthetic rows show beyond unseen real rows, the most certain first."""

    faults: tuple[IntegrityFault, ...]  # The faults, most certain first
    n_checks: int  # Checks that were made
    n_faulty: int  # Synthetic rows with any fault
    n_synthetic: int  # All synthetic rows
    n_real: int  # Unseen real rows
