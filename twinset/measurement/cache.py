"""What was found of the real rows alone, kept for the further candidates of one comparison."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass
class ResultCache:
    """Results by what they are about, valid as long as all that they depend on stays the same.

    Several candidates are held against the same real rows: these need to be looked at once. It is filled
    while a comparison runs and thrown away with it.

    Examples
    --------
    >>> kept = ResultCache()
    >>> kept.depend_on("digest of the real rows", 7)
    >>> kept.of("sum", lambda: 1 + 1), kept.of("sum", lambda: 1 / 0)
    (2, 2)
    >>> kept.depend_on("digest of other rows", 7)
    >>> kept.of("sum", lambda: 3)
    3
    """

    _content: tuple[Hashable, ...] = ()
    _found: dict[Hashable, Any] = field(default_factory=dict)

    def depend_on(self, *content: Hashable) -> None:
        """Say by digests and settings what results depend on; all are forgotten when it changes."""
        if content != self._content:
            self._content, self._found = content, {}

    def of(self, what: Hashable, find: Callable[[], T]) -> T:
        """Return what is known of `what`; it is found the first time.

        Threads may ask at the same time, each for something else.
        """
        if what not in self._found:
            self._found[what] = find()
        known: T = self._found[what]
        return known
