"""What a look for leaks finds: its kinds, one leak, and all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import LeakKind
from twinset.core.errors import ParameterError, did_you_mean
from twinset.core.findings import Note, NoteKind

LEAKS: tuple[str, ...] = get_args(LeakKind)
"""Kinds of leaks, by the name that allows them."""

_TOLD_ROWS = 5


@dataclass(frozen=True)
class Leak:
    """One way in which a holdout does not stand apart from what was trained on.

    Parameters
    ----------
    kind : str
        One of `LEAKS`.
    what : str
        The finding in one plain sentence, without a full stop.
    rows : int
        Holdout rows that are touched, as far as they were looked at.
    log_chance : float
        Natural logarithm of the probability that chance alone does as much, at most 0; minus
        infinity where chance has no part in it.
    is_doubtful : bool
        Whether the class's nature explains it as well: then it is a remark and no leak.
    at : tuple of int
        Positions of the first touched rows in the holdout, from 0; empty where they are not known.
    """

    kind: str
    what: str
    rows: int
    log_chance: float = -float("inf")
    is_doubtful: bool = False
    at: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the leak as plain JSON values; the chance as a power of ten."""
        tens = None if self.log_chance == -float("inf") else round(self.log_chance / 2.302585, 1)
        return {"kind": self.kind, "what": self.what, "rows": self.rows, "log10_chance": tens}


@dataclass(frozen=True)
class Findings:
    """What a look for leaks found.

    Parameters
    ----------
    leaks : tuple of Leak
        Those that make an evaluation worthless.
    allowed : tuple of Leak
        Those that the caller allowed.
    remarks : tuple of str
        What a reader should know besides.
    """

    leaks: tuple[Leak, ...] = ()
    allowed: tuple[Leak, ...] = ()
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, leaks: Sequence[Leak], allow: Sequence[str] = (), remarks: Sequence[str] = ()
    ) -> Findings:
        """Return the first leak of each kind, those of the allowed kinds apart; doubtful ones are remarks.

        Raises
        ------
        ParameterError
            `allow` names no kind of leak.
        """
        check_allowed(allow)
        first: dict[str, Leak] = {}
        for leak in leaks:
            if not leak.is_doubtful:
                first.setdefault(leak.kind, leak)
        doubts = [leak.what for leak in leaks if leak.is_doubtful]
        return cls(
            tuple(leak for kind, leak in first.items() if kind not in allow),
            tuple(leak for kind, leak in first.items() if kind in allow),
            (*remarks, *doubts),
        )

    def joined(self, other: Findings) -> Findings:
        """Return these findings and those of another look, one leak of each kind."""
        kinds = [leak.kind for leak in (*self.allowed, *other.allowed)]
        leaks = (*self.leaks, *self.allowed, *other.leaks, *other.allowed)
        return Findings.of(leaks, kinds, (*self.remarks, *other.remarks))

    @property
    def is_clean(self) -> bool:
        """Whether nothing stands in the way of an evaluation."""
        return not self.leaks

    @property
    def notes(self) -> list[str]:
        """Sentences for a report: every leak that was allowed, then the remarks."""
        kind = NoteKind.ALLOWED_LEAK
        told = [Note(f"Allowed leak '{leak.kind}': {leak.what}", kind) for leak in self.allowed]
        return [*told, *self.remarks]


def check_allowed(allow: Sequence[str]) -> None:
    """Raise ParameterError for a name that is no kind of leak."""
    for name in allow:
        if name not in LEAKS:
            raise ParameterError(
                "an allowed leak is not known",
                got=f"'{name}'",
                allowed=", ".join(LEAKS),
                todo=did_you_mean(name, LEAKS),
            )


def first_rows(touched: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the positions of the first five rows that are touched.

    Examples
    --------
    >>> first_rows(np.array([False, True, True, False]))
    (1, 2)
    """
    return tuple(np.flatnonzero(touched)[:_TOLD_ROWS].tolist())


def counted(n: int, noun: str = "holdout row") -> str:
    """Return the number with its noun; a number from 1 to 10 is not told.

    Examples
    --------
    >>> counted(1_200), counted(3)
    ('1,200 holdout rows', 'fewer than 11 holdout rows')
    """
    return f"fewer than 11 {noun}s" if 0 < n < 11 else f"{n:,} {noun}s"
