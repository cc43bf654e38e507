"""Leaks between a holdout and training rows: kinds, one leak, and the result of a check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import LeakKind
from twinset.core.errors import LeakError, ParameterError, did_you_mean
from twinset.core.findings import Note, NoteKind

LEAKS: tuple[str, ...] = get_args(LeakKind)
"""Kinds of leaks, by the name that allows them."""

_N_REPORTED_ROWS = 5  # positions in an error: enough to look at, and they still fit on a line


@dataclass(frozen=True)
class Leak:
    """One way in which a holdout shares information with the rows that were trained on.

    Parameters
    ----------
    kind : str
        One of `LEAKS`.
    message : str
        The finding in one sentence, without a full stop.
    rows : int
        Holdout rows that are affected, among those that were examined.
    log_chance : float
        Natural logarithm of the probability of as much by chance, at most 0; minus infinity where chance
        has no part in it.
    is_doubtful : bool
        Whether the nature of the class is another explanation; such a leak is a remark.
    at : tuple of int
        Positions of the first affected rows in the holdout, from 0; empty where they are not known.
    """

    kind: str
    message: str
    rows: int
    log_chance: float = -float("inf")
    is_doubtful: bool = False
    at: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the leak as plain JSON values; the chance as a power of ten."""
        tens = None if self.log_chance == -float("inf") else round(self.log_chance / np.log(10), 1)
        return {
            "kind": self.kind,
            "message": self.message,
            "rows": self.rows,
            "log10_chance": tens,
        }


@dataclass(frozen=True)
class Findings:
    """Result of a leakage check.

    Parameters
    ----------
    leaks : tuple of Leak
        Those that make an evaluation worthless.
    allowed : tuple of Leak
        Those that the caller allowed.
    remarks : tuple of str
        Further sentences for the reader.
    """

    leaks: tuple[Leak, ...] = ()
    allowed: tuple[Leak, ...] = ()
    remarks: tuple[str, ...] = ()

    @classmethod
    def from_leaks(
        cls, leaks: Sequence[Leak], allow: Sequence[str] = (), remarks: Sequence[str] = ()
    ) -> Findings:
        """Return the first leak of each kind; doubtful leaks become remarks.

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
        return cls(
            tuple(leak for kind, leak in first.items() if kind not in allow),
            tuple(leak for kind, leak in first.items() if kind in allow),
            (*remarks, *(leak.message for leak in leaks if leak.is_doubtful)),
        )

    def join(self, other: Findings) -> Findings:
        """Return the findings of two checks, one leak of each kind."""
        kinds = [leak.kind for leak in (*self.allowed, *other.allowed)]
        leaks = (*self.leaks, *self.allowed, *other.leaks, *other.allowed)
        return Findings.from_leaks(leaks, kinds, (*self.remarks, *other.remarks))

    @property
    def is_clean(self) -> bool:
        """Whether there is no leak that was not allowed."""
        return not self.leaks

    @property
    def notes(self) -> list[str]:
        """Sentences for a report: every allowed leak, then the remarks."""
        kind = NoteKind.ALLOWED_LEAK
        notes = [Note(f"Allowed leak '{leak.kind}': {leak.message}", kind) for leak in self.allowed]
        return [*notes, *self.remarks]

    def require_clean(self) -> Findings:
        """Return the findings if they are clean.

        Raises
        ------
        LeakError
            They are not; the error states the first leak and the kinds of all.
        """
        if self.is_clean:
            return self
        first, *others = self.leaks
        more = f" (and {', '.join(leak.kind for leak in others)})" if others else ""
        names = ", ".join(leak.kind for leak in self.leaks)
        raise LeakError(
            f"the holdout is not independent of the training rows: {first.message}"
            f"{_format_positions(first)}{more}",
            kind=first.kind,
            todo="split the real rows first and generate rows from the train set alone; where you know "
            f"better, allow it (--allow-leak, or allow_leaks in a recipe and in Python): {names}",
        )


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
    return tuple(np.flatnonzero(touched)[:_N_REPORTED_ROWS].tolist())


def format_count(n: int, noun: str = "holdout row") -> str:
    """Return the number with its noun; small counts, 1 to 10, are not disclosed.

    Examples
    --------
    >>> format_count(1_200), format_count(3)
    ('1,200 holdout rows', 'fewer than 11 holdout rows')
    """
    return f"fewer than 11 {noun}s" if 0 < n < 11 else f"{n:,} {noun}s"


def _format_positions(leak: Leak) -> str:
    """Return the positions of the first rows in the holdout, without a value of them."""
    if not leak.at:
        return ""
    more = ", ..." if leak.rows > len(leak.at) else ""
    return f" (in the holdout, counted from row 0: {', '.join(map(str, leak.at))}{more})"
