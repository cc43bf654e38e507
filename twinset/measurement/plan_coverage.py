"""Counts of the combinations of conditions that a plan asks for, in real and synthetic rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError, UnknownNameError
from twinset.core.stats.covering_arrays import Coverage

_MAX_TABLE_ROWS = 2_000  # combinations in the JSON report; the counts are of all
Factors = Mapping[str, Sequence[str]]
"""Condition -> its levels."""
NOUNS = {1: "level", 2: "pair", 3: "triple"}
"""Strength of a plan -> noun of a combination."""


@dataclass(frozen=True)
class PlanCoverage:
    """Number of rows of each combination of conditions, in real rows, synthetic rows and both."""

    step: str  # The step that planned for it
    factors: Factors  # Condition -> its levels
    # strength, at_least: conditions of a combination, and the rows that each needs: the stop rule
    strength: int
    at_least: int
    counts_real: bool  # Whether real rows count for the stop rule
    has_real: bool  # Whether there are real rows with these conditions
    # One for each possible combination: ``levels`` (condition -> level), and the numbers of rows
    # ``real``, ``synthetic`` and ``union``
    rows: tuple[Mapping[str, Any], ...]

    def n_met(self, name: str) -> int:
        """Return the combinations with enough rows in a set: "real", "synthetic" or "union"."""
        return sum(row[name] >= self.at_least for row in self.rows)

    @property
    def decides(self) -> str:
        """Set that the stop rule is about."""
        return "union" if self.counts_real and self.has_real else "synthetic"

    @property
    def noun(self) -> str:
        """Noun of a combination: "level", "pair" or "triple"."""
        return NOUNS[self.strength]

    @property
    def uncovered(self) -> tuple[Mapping[str, Any], ...]:
        """Combinations with too few rows by the stop rule, the rarest first."""
        short = [row for row in self.rows if row[self.decides] < self.at_least]
        return tuple(sorted(short, key=lambda row: row[self.decides]))

    def to_json(self) -> dict[str, Any]:
        """Return counts and the first combinations as plain JSON values."""
        names = ("real", "synthetic", "union") if self.has_real else ("synthetic",)
        return {
            "step": self.step,
            "factors": {name: list(levels) for name, levels in self.factors.items()},
            "strength": self.strength,
            "at_least": self.at_least,
            "counts_real": self.counts_real,
            "wanted": len(self.rows),
            "met": {name: self.n_met(name) for name in names},
            "table": [
                {"levels": row["levels"], **{name: row[name] for name in names}}
                for row in self.rows[:_MAX_TABLE_ROWS]
            ],
        }


def measure_plan_coverage(
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
    """Return the number of rows of each combination.

    `factors`, `strength`, `at_least`, `forbidden`: as in `plan_scenes`. `synthetic`, `real`:
    synthetic rows, and real ones where they have the conditions. `counts_real`: whether the plan
    counted real rows. `step`: the step that planned.

    >>> import pyarrow as pa
    >>> rows = Dataset.from_arrow(pa.table({"light": ["day", "day", "night"], "fog": ["no", "yes", "no"]}))
    >>> factors = {"light": ["day", "night"], "fog": ["no", "yes"]}
    >>> found = measure_plan_coverage(factors, strength=2, at_least=1, synthetic=rows)
    >>> found.n_met("synthetic"), found.uncovered[0]["levels"]
    (3, {'light': 'night', 'fog': 'yes'})
    """
    names, sizes = list(factors), [len(levels) for levels in factors.values()]
    bans = [encode_ban(entry, factors) for entry in forbidden]
    counts = {name: Coverage(sizes, strength, at_least, bans) for name in ("real", "synthetic")}
    for name, part in (("real", real), ("synthetic", synthetic)):
        if part is not None:
            counts[name].add_codes(encode_levels(part, factors))
    rows: list[dict[str, Any]] = []
    cells = counts["synthetic"]
    for group in cells.groups:
        for cell in np.argwhere(cells.may_come(group)):
            found = {name: int(own.counts[group][tuple(cell)]) for name, own in counts.items()}
            levels = {names[f]: factors[names[f]][k] for f, k in zip(group, cell)}
            rows.append({"levels": levels, **found, "union": sum(found.values())})
    return PlanCoverage(
        step, dict(factors), strength, at_least, counts_real, real is not None, tuple(rows)
    )


def encode_levels(data: Dataset, factors: Factors) -> npt.NDArray[np.int32]:
    """Return the level of each row and condition, shape (n, f); any other value is one past the last."""
    columns = []
    for name, levels in factors.items():
        data.schema[name]
        found, texts = data.codes(name)
        place = {str(level): k for k, level in enumerate(levels)}
        table = np.array([*(place.get(text, len(levels)) for text in texts), len(levels)], np.int32)
        columns.append(table[found])
    return np.stack(columns, axis=1)


def encode_ban(entry: Mapping[str, str], factors: Factors) -> dict[int, int]:
    """Return a forbidden combination as position of the condition -> position of the level."""
    names = list(factors)
    if not entry:
        raise ParameterError(
            "a forbidden combination is empty, which would forbid every scene",
            allowed="one or more conditions with their levels",
            todo="name conditions with their levels, or remove the entry",
        )
    codes = {}
    for name, level in entry.items():
        if name not in factors:
            raise UnknownNameError.for_name("condition", str(name), names, "forbidden")
        if level not in factors[name]:
            raise UnknownNameError.for_name("level", str(level), factors[name], f"forbidden.{name}")
        codes[names.index(name)] = list(factors[name]).index(level)
    return codes
