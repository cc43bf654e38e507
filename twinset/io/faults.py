"""Faults of an annotated set, each with its file and line; counted in one error, or skipped on request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from twinset.core.errors import DataError, TwinsetError

OnFault = Literal["stop", "skip", "keep"]
"""End with an error, leave out what has a fault, or keep what can be read so that it can be measured."""

_MAX_SHOWN = 3  # faults in an error: more would not fit its paragraph


class Faults:
    """Collects what cannot be used while a set is read."""

    def __init__(self, on_fault: OnFault = "stop") -> None:
        self.on_fault = on_fault
        self.found: list[str] = []

    def add(self, place: str, text: str) -> None:
        """Add a fault: `place` is its file, with line or entry; `text` says what is wrong with it."""
        self.found.append(f"{place}: {text}")

    @contextmanager
    def caught(self, place: str, text: str = "it cannot be read") -> Iterator[None]:
        """Add the error that ends the block; `text` precedes one that is not ours."""
        try:
            yield
        except TwinsetError as error:
            self.add(place, str(error))
        except UnicodeDecodeError as error:
            self.add(place, f"its text is not UTF-8 ({error})")
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
            self.add(place, f"{text} ({type(error).__name__}: {error})")

    def resolve(self, noun: str) -> tuple[str, ...]:
        """Return a note for each fault that was left out; with "stop", raise for the first faults."""
        if not self.found:
            return ()
        shown = "; ".join(self.found[:_MAX_SHOWN])
        more = len(self.found) - _MAX_SHOWN
        if self.on_fault != "skip":
            count = "one fault" if len(self.found) == 1 else f"{len(self.found)} faults"
            raise DataError(
                f"{noun} holds {count}",
                got=shown + (f"; and {more} more" if more > 0 else ""),
                todo="repair them, or set on_fault: skip in the source of a recipe to leave them out",
            )
        return tuple(f"left out when read: {fault}" for fault in self.found)
