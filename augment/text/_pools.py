"""The values of each label that a text's entities can be replaced by, with what they weigh."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from ._rows import TextRows


@dataclass(frozen=True)
class EntityPool:
    """Values of one label, no two alike but for case."""

    positions: Mapping[str, int]  # Value in lowercase -> its position
    donors: tuple[int, ...]  # Donor number of each value
    before: npt.NDArray[np.float64]  # Weight of all values before each, shape (m + 1,)

    @classmethod
    def from_entries(cls, entries: Iterable[tuple[str, int, float]]) -> Self:
        """Return the pool of values with their donors and weights; of values alike the first stays."""
        positions: dict[str, int] = {}
        donors: list[int] = []
        weights: list[float] = []
        for value, donor, weight in entries:
            key = value.casefold()
            if key not in positions:
                positions[key] = len(donors)
                donors.append(donor)
                weights.append(0.0)
            weights[positions[key]] += weight
        return cls(positions, tuple(donors), np.concatenate([[0.0], np.cumsum(weights)]))

    @classmethod
    def from_lexicon(cls, words: Sequence[str] | Mapping[str, float], first: int) -> Self:
        """Return the pool of a lexicon, whose entries have the donors `first`, `first` - 1, ...

        Examples
        --------
        >>> EntityPool.from_lexicon({"Paris": 3, "Rome": 1}, -2).other_than("lima", 0.8)
        -3
        """
        weights = words if isinstance(words, Mapping) else dict.fromkeys(words, 1.0)
        return cls.from_entries(
            (word, first - k, weight) for k, (word, weight) in enumerate(weights.items())
        )

    def other_than(self, key: str, share: float) -> int | None:
        """Return the donor at `share`, 0 to 1, of the weight of all values but one; None: there is none."""
        own = self.positions.get(key)
        low, high = (0.0, 0.0) if own is None else (self.before[own], self.before[own + 1])
        total = float(self.before[-1] - (high - low))
        if total <= 0:
            return None
        at = share * total
        at += float(high - low) if own is not None and at >= low else 0.0
        found = int(np.searchsorted(self.before, at, side="right")) - 1
        return self.donors[min(found, len(self.donors) - 1)]


def pools_of(rows: TextRows, weights: Literal["even", "seen"]) -> dict[str, EntityPool]:
    """Return the values of each label in the texts of a set, with the first span of each as its donor."""
    entries: dict[str, dict[str, tuple[str, int, float]]] = {}
    for k, (label, surface) in enumerate(zip(rows.labels, rows.marked.surfaces())):
        if label is None or not surface.strip():
            continue
        own = entries.setdefault(label, {})
        value, first, count = own.get(surface.casefold(), (surface, k, 0.0))
        own[surface.casefold()] = (value, first, count + 1)
    even = weights == "even"
    return {
        label: EntityPool.from_entries(
            (value, k, 1.0 if even else count) for value, k, count in own.values()
        )
        for label, own in entries.items()
    }
