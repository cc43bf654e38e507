"""Conditions on how many objects an image has: which pastes they need, and which they allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import ALL_OBJECTS, Where, count_column
from twinset.core.errors import ParameterError, TwinsetError
from twinset.core.image.instance_maps import ObjectLabel

_ALL = ""  # stands for the label of all objects


@dataclass(frozen=True)
class CountWish:
    """Which numbers of objects a condition allows."""

    # Label, or "" for all of them -> whether 0, 1, 2, ... objects are allowed
    allowed: Mapping[str, npt.NDArray[np.bool_]]

    @classmethod
    def from_where(
        cls, where: Where | None, columns: Sequence[str], labels: Sequence[str], max_objects: int
    ) -> tuple[Where | None, CountWish]:
        """Return the part of a condition on columns of the set, and its part on numbers of objects."""
        names = {ALL_OBJECTS: _ALL} | {count_column(label): label for label in labels}
        conditions = where.conditions if where is not None else {}
        counted = {c: v for c, v in conditions.items() if c in names and c not in columns}
        numbers = np.arange(max_objects + 1)
        allowed = {}
        for column, condition in counted.items():
            try:
                table = Dataset.from_arrow(pa.table({column: numbers}))
                allowed[names[column]] = table.mask(Where({column: condition}))
            except TwinsetError as error:
                raise ParameterError(f"the condition cannot be read: {error}") from error
        rest = {c: v for c, v in conditions.items() if c not in counted}
        return (Where(rest) if rest else None), cls(allowed)

    def __bool__(self) -> bool:
        """Return whether there is a condition on a number."""
        return bool(self.allowed)

    def is_met(self, counts: Mapping[str, int]) -> bool:
        """Return whether an image of these numbers of objects meets the condition."""
        return all(allowed[counts.get(label, 0)] for label, allowed in self.allowed.items())

    def missing_objects(self, counts: Mapping[str, int], room: int) -> dict[str, int] | None:
        """Return label -> objects to add at least; None when adding at most `room` cannot meet it."""
        made = {}
        for label, allowed in self.allowed.items():
            more = np.flatnonzero(allowed[counts.get(label, 0) :])
            if not len(more) or more[0] > room:
                return None
            if more[0] and label != _ALL:
                made[label] = int(more[0])
        if sum(made.values()) > room:
            return None
        missing_in_all = self.allowed.get(_ALL)
        if missing_in_all is not None:
            first = counts.get(_ALL, 0) + sum(made.values())
            more = np.flatnonzero(missing_in_all[first:])
            if not len(more) or sum(made.values()) + more[0] > room:
                return None
            if more[0]:
                made[_ALL] = int(more[0])
        return made

    def allows(self, label: str, counts: Mapping[str, int]) -> bool:
        """Return whether one more object of a label keeps to the condition, or brings it nearer."""
        for own in (label, _ALL):
            allowed = self.allowed.get(own)
            if allowed is None:
                continue
            now = counts.get(own, 0)
            # Below the numbers that are allowed one more is a step towards them.
            if not allowed[now + 1] and (allowed[now] or not allowed[now + 1 :].any()):
                return False
        return True


def counts_of(objects: Sequence[ObjectLabel]) -> Counter[str]:
    """Return label -> number of objects, and "" -> number of all."""
    counts = Counter(item["category"] for item in objects)
    counts[_ALL] = len(objects)
    return counts
