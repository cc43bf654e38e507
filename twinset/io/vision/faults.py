"""Faults of an annotated set, each with its file and line; told all at once, or skipped when asked."""

from __future__ import annotations

from typing import Literal

from twinset.core.errors import DataError

OnFault = Literal["stop", "skip"]

_MOST_SHOWN = 10


class Faults:
    """Collects what cannot be used while a set is read.

    Parameters
    ----------
    on_fault : {"stop", "skip"}
        Whether faults end the reading, or what they concern is left out and noted.
    """

    def __init__(self, on_fault: OnFault = "stop") -> None:
        self.on_fault = on_fault
        self.found: list[str] = []

    def add(self, place: str, what: str) -> None:
        """Note a fault: `place` is its file, with line or entry; `what` says what is wrong with it."""
        self.found.append(f"{place}: {what}")

    def settle(self, noun: str) -> tuple[str, ...]:
        """Return the notes of what was left out; with "stop", raise for the first faults.

        Raises
        ------
        DataError
            There are faults, and they are not to be skipped.
        """
        if not self.found:
            return ()
        shown = "; ".join(self.found[:_MOST_SHOWN])
        more = len(self.found) - _MOST_SHOWN
        if self.on_fault == "stop":
            count = "one fault" if len(self.found) == 1 else f"{len(self.found)} faults"
            raise DataError(
                f"{noun} holds {count}",
                got=shown + (f"; and {more} more" if more > 0 else ""),
                todo="repair them, or set on_fault: skip in the source of a recipe to leave them out",
            )
        return tuple(f"left out when read: {fault}" for fault in self.found)
