"""Findings on attacks that try to identify train rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .base import Finding


@dataclass(frozen=True)
class CopyCounts(Finding):
    """Rows or values that equal one of the train set.

    Parameters
    ----------
    column : str, optional
        Column of images or texts; None for whole rows.
    n_copies, n_synthetic : int
        Synthetic ones that equal a train one, and all.
    n_real_copies, n_real : int
        The same of real rows that the generator did not see.
    """

    is_headline: ClassVar[bool] = True
    column: str | None
    n_copies: int
    n_synthetic: int
    n_real_copies: int
    n_real: int


@dataclass(frozen=True)
class AttackRates(Finding):
    """Success of an attack on train rows, and on rows that the generator did not see.

    Parameters
    ----------
    members, control : float or str
        Shares in [0, 1]; the text of a range where an exact share would disclose 1 to 10 rows.
    n_members, n_control : int
        Rows that were attacked.
    n_attempts : int, optional
        Attempts, where they are not the rows themselves.
    attribute : str, optional
        Sensitive attribute that is inferred best.
    n_attributes : int, optional
        Number of sensitive attributes.
    """

    is_headline: ClassVar[bool] = True
    members: float | str
    control: float | str
    n_members: int
    n_control: int
    n_attempts: int | None = None
    attribute: str | None = None
    n_attributes: int | None = None


@dataclass(frozen=True)
class MembershipAttack(Finding):
    """Success of telling a train row from another real row; 0.5 is guessing.

    Parameters
    ----------
    success : float
        Share of pairs in which the train row is picked.
    upper : float, optional
        Upper end of its 95 % interval.
    """

    is_headline: ClassVar[bool] = True
    success: float
    upper: float | None = None


@dataclass(frozen=True)
class OutlierCounts(Finding):
    """Outlier rows that have a near synthetic row; a count is None for 1 to 10.

    Parameters
    ----------
    n_train, n_control : int
        Outlier rows of the train set, and of rows that the generator did not see.
    near_train, near_control : int, optional
        Those with a synthetic row less than half as far away as any other real row.
    """

    is_headline: ClassVar[bool] = True
    n_train: int
    n_control: int
    near_train: int | None
    near_control: int | None


@dataclass(frozen=True)
class SmallCells(Finding):
    """Share of synthetic rows with a combination of values that fewer than `k` train rows have."""

    is_headline: ClassVar[bool] = True
    columns: tuple[str, ...]
    k: int
    share: float


@dataclass(frozen=True)
class CanaryCounts(Finding):
    """Rows that were planted in the train set and came back; `reason` where none could be planted.

    Parameters
    ----------
    n : int
        Number of canaries.
    n_recovered, n_control_recovered : int
        Those that came back; and of as many that were not planted, those that occur all the same.
    auc : float, optional
        Probability that a planted canary lies nearer to synthetic rows than another one.
    interval : tuple of float, optional
        Its 95 % interval.
    reason : str
        Why none was planted.
    """

    n: int = 0
    n_recovered: int = 0
    n_control_recovered: int = 0
    auc: float | None = None
    interval: tuple[float, float] | None = None
    reason: str = ""
