"""Typed results on persons whose rows or values synthetic rows disclose, and on what no test shows."""

from __future__ import annotations

from dataclasses import dataclass

from twinset.core.findings import Finding


@dataclass(frozen=True)
class UntestedColumns(Finding, nothing_without=("identifiers", "texts", "quasi_identifiers")):
    """Columns whose disclosure no test of single values shows."""

    # Identifiers and free texts that most unseen rows share with train rows, so that no copy stands out
    identifiers: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    # Columns that others are likely to know of a person: `privacy.quasi_identifiers` tests them if declared
    quasi_identifiers: tuple[str, ...] = ()


@dataclass(frozen=True)
class DisguisedRows(Finding, headline=True, nothing_without=("n_people",)):
    """Train persons whose rows come back in synthetic rows but for a few columns or small changes."""

    n_people: int  # Matched train persons beyond what unseen ones let expect
    # Persons that synthetic rows match, of the train set and of the holdout, and all that were compared:
    # those of the group, in large sets a sample
    n_matched: int
    n_unseen_matched: int
    n_train: int
    n_unseen: int
    share: float = 0.0  # Estimated share of the synthetic rows that are train rows in disguise
    interval: tuple[float, float] | None = None  # Its 95 % interval
    # How they match: "exact" but for at most two columns, "similar" in numbers, or by "ranks" of numbers
    view: str = ""
    group: str = ""  # Condition of the group that holds them; empty where they are in all


@dataclass(frozen=True)
class Fingerprints(Finding, headline=True, nothing_without=("n_people",)):
    """Train persons that synthetic rows match in a block of columns that only one person has so."""

    n_people: int  # Matched train persons beyond what unseen ones let expect
    # Persons that synthetic rows match, of the train set and of the holdout, and all persons
    n_matched: int
    n_unseen_matched: int
    n_train: int
    n_unseen: int
    columns: tuple[str, ...] = ()  # The worst block; empty where it takes several to show it
