"""Templates and kinds of noise: whose turn it is, which pairs have come together, and which lack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.errors import SchemaError

Ints = npt.NDArray[np.int64]
ReportTouched = Callable[[str, Ints], None]
"""Called with a kind of noise and the rows that it touched."""

_NAMED = ("category", "boolean")
_MAX_NAMED = 30  # groups of missing pairs on the card, which stays readable
_NONE = "(none)"


@dataclass
class NoiseAccount:
    """Which values of a column have come with which kinds of noise, over all chunks of a step.

    Chunks are drawn and applied in the order of the rows: turns go on where the chunk before ended.
    """

    column: str  # Its values are counted, e.g. the template of a text
    kinds: tuple[str, ...]  # Kinds of noise that are switched on
    # Writes rows with noise, and reports the rows that each kind touched
    write: Callable[[Dataset, Mapping[str, npt.NDArray[Any]], ReportTouched], Dataset]
    _next_kinds: dict[str, int] = field(default_factory=dict)
    _came: dict[str, Ints] = field(default_factory=dict)
    _tried: dict[str, Ints] = field(default_factory=dict)

    def draw(self, dataset: Dataset, rng: np.random.Generator) -> Mapping[str, npt.NDArray[Any]]:
        """Return one seed per row; its remainder by the number of kinds says whose turn it is."""
        seeds = rng.integers(0, 2**31 - 1, size=len(dataset), dtype=np.int64)
        values, n = self._values(dataset), len(self.kinds)
        if n:
            seeds -= seeds % n
            for i, value in enumerate(values):
                turn = self._next_kinds.get(value, 0)
                seeds[i] += turn
                self._next_kinds[value] = (turn + 1) % n
        return {"seed": seeds}

    def apply(self, dataset: Dataset, params: Mapping[str, npt.NDArray[Any]]) -> Dataset:
        """Return the noisy rows, and count which kinds touched them."""
        touched = np.zeros((len(dataset), len(self.kinds)), dtype=bool)

        def report(kind: str, rows: Ints) -> None:
            touched[rows, self.kinds.index(kind)] = True

        made = self.write(dataset, params, report)
        if len(self.kinds):
            turns = np.asarray(params["seed"], np.int64) % len(self.kinds)
            for value, turn, row in zip(self._values(dataset), turns, touched):
                zeros = np.zeros(len(self.kinds), np.int64)
                self._came[value] = self._came.get(value, zeros) + row
                self._tried.setdefault(value, zeros.copy())[turn] += 1
        return made

    def gaps(self) -> list[tuple[str, str, bool]]:
        """Return the pairs that did not come: value, kind, and whether a turn found nothing to change."""
        return [
            (value, self.kinds[k], bool(self._tried[value][k]))
            for value, counts in self._came.items()
            for k in np.flatnonzero(counts == 0).tolist()
        ]

    def notes(self) -> tuple[str, ...]:
        """Return the notes of the card on pairs."""
        total = len(self._came) * len(self.kinds)
        if not total:
            return ()
        gaps = self.gaps()
        note = (
            f"Pairs of '{self.column}' and kind of noise: {total - len(gaps):,} of {total:,} came "
            "together"
        )
        if not gaps:
            return (f"{note}.",)
        groups: dict[tuple[str, bool], list[str]] = {}
        for value, kind, tried in gaps:
            groups.setdefault((value, tried), []).append(kind)
        spelled = [
            f"{value} with {', '.join(kinds)} ({'nothing to change' if tried else 'too few rows'})"
            for (value, tried), kinds in groups.items()
        ]
        more = (
            f"; and {len(spelled) - _MAX_NAMED:,} more of this kind" if spelled[_MAX_NAMED:] else ""
        )
        return (f"{note}; missing: {'; '.join(spelled[:_MAX_NAMED])}{more}.",)

    def _values(self, dataset: Dataset) -> list[str]:
        names = dataset.schema.names
        if self.column not in names:
            message = "noise shall cover a column that the set does not have"
            raise SchemaError.unknown(message, self.column, names)
        kind = dataset.schema[self.column].kind
        if kind not in _NAMED:
            # The card names the values that lack a kind: those of a row must never get there.
            raise SchemaError(
                f"noise cannot cover the column '{self.column}', whose values the card would name",
                got=f"a column of kind {kind}",
                allowed=", ".join(_NAMED),
                todo="name a column of templates or labels, or declare this one a category",
            )
        values = dataset.records.column(self.column).to_pylist()
        return [_NONE if value is None else str(value) for value in values]
