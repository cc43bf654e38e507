"""Findings on rows: columns that separate them, rules that they break, texts and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from .base import Finding
from .distributions import RegionShare


@dataclass(frozen=True)
class FeatureImportances(Finding):
    """Loss of a discriminator without each column.

    Parameters
    ----------
    importances : mapping
        Column -> loss, largest first.
    names : tuple of str
        Columns whose importance is beyond chance.
    """

    is_headline: ClassVar[bool] = True
    importances: Mapping[str, float]
    names: tuple[str, ...]


@dataclass(frozen=True)
class ConfidentRow:
    """A synthetic row that a discriminator is confident of.

    Parameters
    ----------
    number : int
        Position in the set that was given, from 1.
    probability : float
        Predicted probability of being synthetic.
    values : mapping
        Column -> value as text; empty where values are not shown.
    """

    number: int
    probability: float
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ConfidentRows(Finding):
    """Synthetic rows that a discriminator is most confident of, and what they share.

    Parameters
    ----------
    rows : tuple of ConfidentRow
        The rows, most confident first.
    common : RegionShare, optional
        One or two conditions that most of such rows satisfy.
    """

    rows: tuple[ConfidentRow, ...]
    common: RegionShare | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns whose values are shown."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.values))


@dataclass(frozen=True)
class BrokenRule:
    """A rule that synthetic rows break more often than real ones.

    Parameters
    ----------
    rule : str
        The rule.
    n_synthetic : int
        Synthetic rows that break it.
    n_real : int, optional
        Real rows that break it; None for 1 to 10.
    """

    rule: str
    n_synthetic: int
    n_real: int | None


@dataclass(frozen=True)
class BrokenRules(Finding):
    """Rules that synthetic rows break more often than real ones, worst first, of `n_rules`."""

    is_headline: ClassVar[bool] = True
    rules: tuple[BrokenRule, ...]
    n_rules: int

    @property
    def found_nothing(self) -> bool:
        """Whether no rule is broken more often."""
        return not self.rules


@dataclass(frozen=True)
class TextAnomalyShare(Finding):
    """Most frequent anomaly of texts, and its share of synthetic and of real texts."""

    is_headline: ClassVar[bool] = True
    description: str
    synthetic: float
    real: float


@dataclass(frozen=True)
class TextFeatures(Finding):
    """Words and shapes of words by which a model separates synthetic from real texts."""

    is_headline: ClassVar[bool] = True
    features: tuple[str, ...]


@dataclass(frozen=True)
class ContradictedLabel(Finding):
    """Most frequent label that its image contradicts."""

    is_headline: ClassVar[bool] = True
    column: str
    confusion: str
