"""How far the made set is from the shares that the brief declares for the population."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import (
    Comparison,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
    Role,
)
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.findings import ColumnDistances, LevelShare, LevelShares
from twinset.core.parameters import Margin, Replicates
from twinset.core.stats.hypothesis_tests import declared_columns

Codes = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64]

OTHER = "(any other)"
_LEAST_EXPECTED = 20
_MOST_TOLD = 10


@dataclass(frozen=True, kw_only=True)
class Population(Metric):
    """Compares a set with the shares that the brief declares for the population.

    A perfect twin of a biased sample is as biased as the sample, so this metric looks at declared
    shares, not at the real rows. For each declared column it takes the total variation distance
    between the shares in the set and the declared ones: the share of rows that would have to belong
    to another group. The value is that of the worst column, 0 to 1. Levels that are not declared,
    and missing values, are counted together as any other.

    Groups of several columns are declared as their names and levels are read: under "sex and town"
    the share of "f and Bath". They count like a column. Of intersections that nobody declared, none
    is judged: details tell how frequent each pair of declared levels is beside what it would be were
    the columns independent, with the group that has least of that first.

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
    title: ClassVar[str] = "declared population shares"
    interpretation: ClassVar[str] = (
        "How far the shares of groups are from those that were declared for the population: 0 is met. It "
        "compares with the declaration, not with the real rows, which may be biased themselves."
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.REPRESENTATION, Role.DECLARED_SHARES})
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    has_floor: ClassVar[bool] = False
    needs_real: ClassVar[bool] = False

    margin: Margin = 0.05
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the distance of the worst column; details hold every column's and level's shares."""
        if not comparison.population:
            raise NotMeasurable("no population declared in the brief")
        names = comparison.synthetic.schema.names
        held = {
            column: declared_shares(column, shares)
            for column, shares in comparison.population.items()
            if set(declared_columns(column, names)) <= set(names)
        }
        if not held:
            raise NotMeasurable("the set has none of the columns whose population is declared")
        if not len(comparison.synthetic):
            raise NotMeasurable("there are no rows to compare")
        columns: dict[str, float] = {}
        levels: dict[str, tuple[LevelShare, ...]] = {}
        drawn = np.zeros(self.replicates)
        for column, declared in held.items():
            counts = count_levels(comparison.synthetic, column, declared)
            wanted = np.array([*declared.values()])
            n = counts.sum()
            distance = float(np.abs(counts / n - wanted).sum() / 2)
            samples = rng.multinomial(n, counts / n, size=self.replicates) / n
            drawn = np.maximum(drawn, np.abs(samples - wanted).sum(axis=1) / 2)
            columns[column] = distance
            levels[column] = tuple(
                LevelShare(column, level, float(found / n), float(share))
                for level, found, share in zip(declared, counts, wanted)
            )
        columns = dict(sorted(columns.items(), key=lambda item: -item[1]))
        absent = sorted(set(comparison.population) - set(held))
        shares = [share for own in levels.values() for share in own]
        findings = LevelShares(tuple(shares), lowest_share(shares)), ColumnDistances(columns)
        facts = {"absent": absent, "intersections": intersections(comparison.synthetic, held)}
        return Measurement(max(columns.values()), drawn, findings, facts=facts)


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


def count_levels(dataset: Dataset, column: str, declared: Mapping[str, float]) -> Counts:
    """Return how many rows have each declared level, any other level or a missing value coming last."""
    return np.bincount(_places(dataset, column, declared), minlength=len(declared))


def lowest_share(levels: Sequence[LevelShare]) -> LevelShare | None:
    """Return the level furthest below its declared share, None where no level is below it.

    Examples
    --------
    >>> lowest_share([LevelShare("sex", "f", 0.4, 0.5), LevelShare("sex", "m", 0.6, 0.5)]).level
    'f'
    """
    below = [one for one in levels if one.level != OTHER and one.found < one.declared]
    return min(below, key=lambda one: one.found / one.declared, default=None)


def intersections(
    dataset: Dataset, held: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    """Return pairs of declared levels, that with the least of what independence would give it first.

    Pairs of which fewer than 20 rows would be there, and pairs that are declared themselves, are left
    out; ten are told.

    Examples
    --------
    >>> import pyarrow as pa
    >>> made = Dataset.from_arrow(pa.table({"sex": ["f", "m"] * 50, "town": ["a", "b"] * 50}))
    >>> shares = {"sex": {"f": 0.5, "m": 0.5}, "town": {"a": 0.5, "b": 0.5}}
    >>> intersections(made, shares)[0]
    {'group': 'sex = f and town = b', 'found': 0.0, 'if_independent': 0.25}
    """
    names = dataset.schema.names
    told = {frozenset(declared_columns(key, names)) for key in held}
    single = [key for key in held if key in names]
    found: list[dict[str, Any]] = []
    for one, other in combinations(single, 2):
        if frozenset((one, other)) in told:
            continue
        place = _places(dataset, one, held[one]) * len(held[other])
        place += _places(dataset, other, held[other])
        counts = np.bincount(place, minlength=len(held[one]) * len(held[other]))
        pairs = product(held[one].items(), held[other].items())
        for n, ((level, share), (other_level, other_share)) in zip(counts, pairs):
            expected = share * other_share
            if OTHER not in (level, other_level) and expected * len(dataset) >= _LEAST_EXPECTED:
                found.append(
                    {
                        "group": f"{one} = {level} and {other} = {other_level}",
                        "found": float(n / len(dataset)),
                        "if_independent": expected,
                    }
                )
    found.sort(key=lambda pair: (pair["found"] / pair["if_independent"], pair["group"]))
    return found[:_MOST_TOLD]


def _places(dataset: Dataset, column: str, declared: Mapping[str, float]) -> Codes:
    """Return the place of each row's level among those declared, any other being the last one."""
    codes, levels = _joint_levels(dataset, declared_columns(column, dataset.schema.names))
    place = {level: i for i, level in enumerate(declared)}
    other = len(declared) - 1
    # The last place is that of a missing level, whose code is -1.
    return np.array([*[place.get(level, other) for level in levels], other])[codes]


def _joint_levels(dataset: Dataset, columns: Sequence[str]) -> tuple[Codes, list[str]]:
    """Return codes into the levels of several columns together, "f and a"; -1 where one is missing."""
    codes, levels = dataset.codes(columns[0])
    joint, texts = codes.astype(np.int64), list(levels)
    for column in columns[1:]:
        codes, own = dataset.codes(column)
        missing = (joint < 0) | (codes < 0)
        joint = np.where(missing, -1, joint * len(own) + codes)
        texts = [f"{text} and {level}" for text in texts for level in own]
    return joint, texts
