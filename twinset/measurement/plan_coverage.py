"""How often each combination of conditions came: what became of a plan, in real and made rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError, UnknownNameError
from twinset.core.stats.covering_arrays import Coverage

_MOST_TABLE_ROWS = 2_000


@dataclass(frozen=True)
class PlanCoverage:
    """How often each combination of conditions came, in the real rows, the made ones and both.

    Parameters
    ----------
    step : str
        The step that planned for it.
    factors : mapping
        Condition -> its levels.
    strength, at_least : int
        What a combination is of, and how often each has to come: the stop rule.
    counts_real : bool
        Whether real rows count for the stop rule.
    has_real : bool
        Whether there are real rows that tell these conditions.
    rows : tuple of mapping
        One a combination that may come: ``levels`` (condition -> level), ``real``, ``synthetic`` and
        ``union``, in numbers of rows.
    """

    step: str
    factors: Factors
    strength: int
    at_least: int
    counts_real: bool
    has_real: bool
    rows: tuple[Mapping[str, Any], ...]

    def n_met(self, side: str) -> int:
        """Return how many combinations a side holds often enough: "real", "synthetic" or "union"."""
        return sum(row[side] >= self.at_least for row in self.rows)

    @property
    def decides(self) -> str:
        """The side that the stop rule speaks of."""
        return "union" if self.counts_real and self.has_real else "synthetic"

    @property
    def noun(self) -> str:
        """What a combination is: "level", "pair" or "triple"."""
        return NOUNS[self.strength]

    @property
    def lacking(self) -> tuple[Mapping[str, Any], ...]:
        """Combinations that do not come often enough by the stop rule, the rarest first."""
        short = [row for row in self.rows if row[self.decides] < self.at_least]
        return tuple(sorted(short, key=lambda row: row[self.decides]))

    def to_json(self) -> dict[str, Any]:
        """Return counts and the first combinations as plain JSON values."""
        sides = ("real", "synthetic", "union") if self.has_real else ("synthetic",)
        return {
            "step": self.step,
            "factors": {name: list(levels) for name, levels in self.factors.items()},
            "strength": self.strength,
            "at_least": self.at_least,
            "counts_real": self.counts_real,
            "wanted": len(self.rows),
            "met": {side: self.n_met(side) for side in sides},
            "table": [
                {"levels": row["levels"], **{side: row[side] for side in sides}}
                for row in self.rows[:_MOST_TABLE_ROWS]
            ],
        }


def covered(
    factors: Factors,
    *,
    strength: int,
    at_least: int,
    synthetic: Dataset,
    real: Dataset | None = None,
    forbidden: Sequence[Mapping[str, str]] = (),
    counts_real: bool = False,
    step: str = "",
) -> PlanCoverage:
    """Return how often each combination came in sets that are there.

    Parameters
    ----------
    factors, strength, at_least, forbidden
        As in `plan_scenes`.
    synthetic, real : Dataset
        The made rows, and the real ones where they tell the conditions.
    counts_real : bool
        Whether the plan counted real rows.
    step : str
        The step that planned.

    Raises
    ------
    SchemaError
        A condition is no column of a set.

    Examples
    --------
    >>> import pyarrow as pa
    >>> made = Dataset.from_arrow(pa.table({"light": ["day", "day", "night"], "fog": ["no", "yes", "no"]}))
    >>> found = covered({"light": ["day", "night"], "fog": ["no", "yes"]}, strength=2, at_least=1,
    ...                 synthetic=made)
    >>> found.n_met("synthetic"), found.lacking[0]["levels"]
    (3, {'light': 'night', 'fog': 'yes'})
    """
    names = list(factors)
    sides = {"real": real, "synthetic": synthetic}
    counts = {}
    for side, held in sides.items():
        sizes = [len(factors[n]) for n in names]
        counts[side] = Coverage(
            sizes, strength, at_least, [banned_levels(b, factors) for b in forbidden]
        )
        if held is not None:
            counts[side].add_codes(codes_of(held, factors))
    rows: list[dict[str, Any]] = []
    open_cells = counts["synthetic"]
    for group in open_cells.groups:
        for cell in np.argwhere(open_cells.may_come(group)):
            found = {side: int(own.counts[group][tuple(cell)]) for side, own in counts.items()}
            levels = {names[f]: factors[names[f]][k] for f, k in zip(group, cell)}
            rows.append({"levels": levels, **found, "union": sum(found.values())})
    return PlanCoverage(
        step, dict(factors), strength, at_least, counts_real, real is not None, tuple(rows)
    )


Factors = Mapping[str, Sequence[str]]
"""Condition -> its levels."""


NOUNS = {1: "level", 2: "pair", 3: "triple"}
"""Strength of a plan -> what it calls a combination."""


def codes_of(data: Dataset, factors: Factors) -> npt.NDArray[np.int32]:
    """Return the level of each row and condition, shape (n, f); any other value is one past the last.

    Raises
    ------
    SchemaError
        A condition is no column of the set.
    """
    columns = []
    for name, levels in factors.items():
        data.schema[name]
        found, texts = data.codes(name)
        place = {str(level): k for k, level in enumerate(levels)}
        table = np.array([*(place.get(text, len(levels)) for text in texts), len(levels)], np.int32)
        columns.append(table[found])
    return np.stack(columns, axis=1)


def banned_levels(entry: Mapping[str, str], factors: Factors) -> dict[int, int]:
    """Return a combination that never comes as position of the condition -> position of the level.

    Raises
    ------
    ParameterError
        It is empty.
    UnknownNameError
        It names no condition or no level.
    """
    names = list(factors)
    if not entry:
        raise ParameterError(
            "a forbidden combination is empty, which would forbid every scene",
            allowed="one or more conditions with their levels",
            todo="name what never comes, or leave the entry out",
        )
    made = {}
    for name, level in entry.items():
        if name not in factors:
            raise UnknownNameError.for_name("condition", str(name), names, "forbidden")
        if level not in factors[name]:
            raise UnknownNameError.for_name("level", str(level), factors[name], f"forbidden.{name}")
        made[names.index(name)] = list(factors[name]).index(level)
    return made
