"""Cache of results on real rows alone, for several candidates of one comparison."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass
class ResultCache:
    """Results by key, valid as long as all that they depend on is the same.

    Examples
    --------
    >>> cache = ResultCache()
    >>> cache.depend_on("digest of the real rows", 7)
    >>> cache.get("sum", lambda: 1 + 1), cache.get("sum", lambda: 1 / 0)
    (2, 2)
    >>> cache.depend_on("digest of other rows", 7)
    >>> cache.get("sum", lambda: 3)
    3
    """

    _content: tuple[Hashable, ...] = ()
    _results: dict[Hashable, Any] = field(default_factory=dict)

    def depend_on(self, *content: Hashable) -> None:
        """Set the digests and settings that results depend on; a change empties the cache."""
        if content != self._content:
            self._content, self._results = content, {}

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the result of `key`, computed the first time; threads must ask for different keys."""
        if key not in self._results:
            self._results[key] = compute()
        found: T = self._results[key]
        return found
