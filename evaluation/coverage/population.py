"""How far the made set is from the shares that the brief declares for the population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from twinset.core.contracts import (
    Comparison,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
)
from twinset.core.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.schema import TABULAR_KINDS

OTHER = "(any other)"


@dataclass(frozen=True, kw_only=True)
class Population(Metric):
    """Compares a set with the shares that the brief declares for the population.

    A perfect twin of a biased sample is as biased as the sample, so this metric looks at declared
    shares, not at the real rows. For each declared column it takes the total variation distance
    between the shares in the set and the declared ones: the share of rows that would have to belong
    to another group. The value is that of the worst column, 0 to 1. Levels that are not declared,
    and missing values, are counted together as any other.

    Parameters
    ----------
    margin : float
        Largest distance that still counts as meeting the declaration.
    replicates : int
        Bootstrap replicates.

    References
    ----------
    Schwartz et al. (2022), Towards a Standard for Identifying and Managing Bias in Artificial
    Intelligence, NIST SP 1270.
    """

    family: ClassVar[MetricFamily] = "coverage"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    has_floor: ClassVar[bool] = False
    needs_real: ClassVar[bool] = False

    margin: float = 0.05
    replicates: int = 200

    def __post_init__(self) -> None:
        if self.margin < 0 or self.replicates < 2:
            raise ParameterError(
                "a setting is out of its range", allowed="margin >= 0, replicates >= 2"
            )

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the distance of the worst column; details hold every column's and level's shares."""
        if not comparison.population:
            raise NotMeasurable("no population declared in the brief")
        held = {
            column: declared_shares(column, shares)
            for column, shares in comparison.population.items()
            if column in comparison.synthetic.schema.names
        }
        if not held:
            raise NotMeasurable("the set has none of the columns whose population is declared")
        if not len(comparison.synthetic):
            raise NotMeasurable("there are no rows to compare")
        columns: dict[str, float] = {}
        levels: dict[str, Any] = {}
        drawn = np.zeros(self.replicates)
        for column, declared in held.items():
            counts = count_levels(comparison.synthetic, column, declared)
            wanted = np.array([*declared.values()])
            n = counts.sum()
            distance = float(np.abs(counts / n - wanted).sum() / 2)
            samples = rng.multinomial(n, counts / n, size=self.replicates) / n
            drawn = np.maximum(drawn, np.abs(samples - wanted).sum(axis=1) / 2)
            columns[column] = distance
            levels[column] = {
                level: {"found": float(found / n), "declared": float(share)}
                for level, found, share in zip(declared, counts, wanted)
            }
        columns = dict(sorted(columns.items(), key=lambda item: -item[1]))
        absent = sorted(set(comparison.population) - set(held))
        details = {"columns": columns, "levels": levels, "absent": absent}
        return Measurement(max(columns.values()), drawn, details)


def declared_shares(column: str, shares: Mapping[str, float]) -> dict[str, float]:
    """Return the declared shares with the rest of the population, if any, as one more level.

    Raises
    ------
    NotMeasurable
        A share lies outside 0 to 1, or they add up to more than 1.

    Examples
    --------
    >>> declared_shares("sex", {"F": 0.5, "M": 0.25})
    {'F': 0.5, 'M': 0.25, '(any other)': 0.25}
    """
    values = [float(share) for share in shares.values()]
    total = sum(values)
    if any(not 0 <= value <= 1 for value in values) or total > 1.005:
        raise NotMeasurable(
            f"the shares declared for '{column}' add up to {total:.3g}; they must lie between 0 and 1 "
            "and add up to 1, or to less where the rest is not declared"
        )
    # Shares given to two digits may add up to 0.99 or 1.005: that is rounding, not another group.
    rest = 0.0 if total >= 0.985 else 1.0 - total
    kept = total if rest == 0.0 else 1.0
    named = {str(level): value / kept for level, value in zip(shares, values)}
    return {**named, OTHER: rest}


def count_levels(dataset: Dataset, column: str, declared: Mapping[str, float]) -> np.ndarray:
    """Return how many rows have each declared level, any other level or a missing value coming last."""
    codes, levels = dataset.codes(column)
    place = {level: i for i, level in enumerate(declared)}
    target = np.array(
        [*[place.get(level, len(declared) - 1) for level in levels], len(declared) - 1]
    )
    return np.bincount(target[codes], minlength=len(declared))
