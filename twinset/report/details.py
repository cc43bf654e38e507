"""Read what metrics put into their details; a key that is not there leaves a block out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twinset.core.contracts import Score


@dataclass(frozen=True)
class Change:
    """A difference to real rows alone with its paired 95 % interval; the ends may be unknown."""

    label: str
    difference: float
    low: float | None
    high: float | None

    @property
    def known(self) -> bool:
        """Whether the interval is known."""
        return self.low is not None and self.high is not None


@dataclass(frozen=True)
class Usefulness:
    """Models trained on three sets and tested on the holdout.

    Parameters
    ----------
    answer : str
        "helps", "hurts", "no evidence" or empty: what adding synthetic rows to real ones does.
    measures : tuple of str
        Names of the measures, e.g. "average precision".
    rows : tuple
        (training set, values by measure), with None where a value is not there.
    changes : tuple of (str, tuple of Change)
        (training set, changes against real rows alone).
    """

    answer: str
    measures: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    changes: tuple[tuple[str, tuple[Change, ...]], ...]

    @property
    def main_change(self) -> Change | None:
        """The first change of the mixed set."""
        mixed = dict(self.changes).get("real and synthetic", ())
        return mixed[0] if mixed else None


def column_distances(score: Score) -> dict[str, float]:
    """Return column -> distance, from the details key ``columns``; empty when it is not there."""
    return {}


def worst_pair(score: Score) -> tuple[str, str, float] | None:
    return None


def usefulness(score: Score) -> Usefulness | None:
    return None
