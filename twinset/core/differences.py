"""Differences between synthetic and real rows of slices, as typed results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from twinset.core.findings import Finding


class DifferenceKind(StrEnum):
    """Kind of a difference between synthetic and real rows of one slice."""

    LOCATION = "location"
    RESIDUAL = "location given the other columns"
    SPREAD = "spread"
    TAIL = "tail"
    SHAPE = "shape"
    ROUNDNESS = "roundness"
    REPEATS = "repeated values"
    SHARE = "share of a level"
    MISSING = "missing cells"
    DEPENDENCE = "dependence of two columns"
    NOISE = "distance from what the other columns predict"
    DENSITY = "distance to the nearest rows"


@dataclass(frozen=True)
class SliceDifference:
    """A difference between synthetic and real rows in all rows, or in a slice of them."""

    columns: tuple[str, ...]  # Its columns; none where it is of whole rows
    kind: DifferenceKind  # The kind of difference
    slice: str  # The condition that the rows meet; empty for all rows
    detail: str  # Levels of the columns, or the tail or rounding that it is about
    # Difference in standard deviations of the rows of the slice, and an interval that holds at 95 %
    # for all differences that were looked for together
    effect: float
    interval: tuple[float, float]
    # Mean, share, standard deviation or correlation in both sets; None where there is none, or
    # where it would disclose 1 to 10 rows
    synthetic: float | None
    real: float | None
    # Rows of the slice in both sets
    n_synthetic: int
    n_real: int


@dataclass(frozen=True)
class SliceDifferences(Finding, headline=True, nothing_without=("differences",)):
    """Differences beyond chance, largest first, and the number of slices that were compared."""

    differences: tuple[SliceDifference, ...]
    # Slices, and columns, that were compared
    n_slices: int
    n_columns: int


@dataclass(frozen=True)
class DetectableDifferences(Finding):
    """Smallest differences that four of five scans of so many rows would find.

    In standard deviations; a share s has a standard deviation of sqrt(s (1 - s)).
    """

    all_rows: float  # Of a mean or share in all rows
    fifth: float  # In a slice of a fifth of the rows
    twentieth: float  # In a slice of a twentieth of the rows
    correlation: float  # Of two columns in all rows
    spread: float  # Factor of the standard deviation of a column in all rows
    # Rows of both sets
    n_synthetic: int
    n_real: int
