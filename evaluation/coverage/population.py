"""Distances from the population shares that the brief declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable, Role
from twinset.core.data.dataset import Dataset
from twinset.core.findings import ColumnDistances, LevelShare, LevelShares
from twinset.core.parameters import Margin
from twinset.core.stats.hypothesis_tests import declared_columns

from .._bootstrap_metric import BootstrapMetric, Ints
from .._results import largest_first

OTHER = "(any other)"
_MIN_EXPECTED = 20  # rows of an intersection under independence: fewer are absent by chance
_MAX_LISTED = 10  # intersections in the facts, rarest first
# Shares given to two digits may add up to 0.985 or 1.005: that is rounding, not another group.
_MIN_TOTAL, _MAX_TOTAL = 0.985, 1.005


@dataclass(frozen=True, kw_only=True)
class Population(BootstrapMetric):
    """Largest distance of a column's shares from those that the brief declares for the population.

    value = max_j sum_k |p_j(k) - declared_j(k)| / 2 over the declared columns j, in [0, 1]: the share
    of rows that would have to belong to another group. Levels that are not declared, and missing
    values, count together as any other. A perfect twin of a biased sample is as biased as the sample,
    so real rows are not used.

    Groups of several columns are declared as their names and levels are read: under "sex and town" the
    share of "f and Bath". They count like a column. Intersections that nobody declared do not count;
    facts hold how frequent each pair of declared levels is beside what it would be under independence.

    References
    ----------
    Schwartz et al. (2022), Towards a Standard for Identifying and Managing Bias in Artificial
    Intelligence, NIST SP 1270.
    """

    family = "coverage"
    title = "declared population shares"
    interpretation = (
        "How far the shares of groups are from those that were declared for the population: 0 is met. It "
        "compares with the declaration, not with the real rows, which may be biased themselves."
    )
    roles = frozenset({Role.REPRESENTATION, Role.DECLARED_SHARES})
    has_floor = False
    needs_real = False

    margin: Margin = 0.05

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the distance of the worst column; findings hold every column's and level's shares."""
        if not comparison.population:
            raise NotMeasurable("no population declared in the brief")
        rows = comparison.synthetic
        names = rows.schema.names
        declared = {
            column: declared_shares(column, shares)
            for column, shares in comparison.population.items()
            if set(declared_columns(column, names)) <= set(names)
        }
        if not declared:
            raise NotMeasurable("the set has none of the columns whose population is declared")
        if not len(rows):
            raise NotMeasurable("there are no rows to compare")
        distances, shares = [], []
        drawn = np.zeros(self.replicates)
        for column, own in declared.items():
            places, n = _level_places(rows, column, own), len(rows)
            counts = np.bincount(places, minlength=len(own))
            expected = np.array([*own.values()])
            distances.append(float(np.abs(counts / n - expected).sum() / 2))
            samples = rng.multinomial(n, counts / n, size=self.replicates) / n
            drawn = np.maximum(drawn, np.abs(samples - expected).sum(axis=1) / 2)
            shares += [
                LevelShare(column, level, float(found / n), float(share))
                for (level, share), found in zip(own.items(), counts)
            ]
        ranked = largest_first(list(declared), np.array(distances))
        below = [one for one in shares if one.level != OTHER and one.found < one.declared]
        lowest = min(below, key=lambda one: one.found / one.declared, default=None)
        findings = LevelShares(tuple(shares), lowest), ColumnDistances(ranked)
        facts = {
            "absent": sorted(set(comparison.population) - set(declared)),
            "intersections": intersections(rows, declared),
        }
        return Measurement(max(distances), drawn, findings, facts=facts)


def declared_shares(column: str, shares: Mapping[str, float]) -> dict[str, float]:
    """Return the declared shares with the rest of the population, if any, as one more level.

    Examples
    --------
    >>> declared_shares("sex", {"F": 0.5, "M": 0.25})
    {'F': 0.5, 'M': 0.25, '(any other)': 0.25}
    """
    values = [float(share) for share in shares.values()]
    total = sum(values)
    if any(not 0 <= value <= 1 for value in values) or total > _MAX_TOTAL:
        raise NotMeasurable(
            f"the shares declared for '{column}' add up to {total:.3g}; they must lie between 0 and 1 "
            "and add up to 1, or to less where the rest is not declared"
        )
    rest = 0.0 if total >= _MIN_TOTAL else 1.0 - total
    whole = total if rest == 0.0 else 1.0
    named = {str(level): value / whole for level, value in zip(shares, values)}
    return {**named, OTHER: rest}


def intersections(
    dataset: Dataset, declared: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    """Return ten pairs of declared levels, the rarest compared with independence first."""
    names, n = dataset.schema.names, len(dataset)
    known = {frozenset(declared_columns(key, names)) for key in declared}
    found: list[dict[str, Any]] = []
    for one, other in combinations([key for key in declared if key in names], 2):
        if frozenset((one, other)) in known:
            continue
        places = _level_places(dataset, one, declared[one]) * len(declared[other])
        places += _level_places(dataset, other, declared[other])
        counts = np.bincount(places, minlength=len(declared[one]) * len(declared[other]))
        pairs = product(declared[one].items(), declared[other].items())
        for count, ((level, share), (other_level, other_share)) in zip(counts, pairs):
            expected = share * other_share
            if OTHER not in (level, other_level) and expected * n >= _MIN_EXPECTED:
                group = f"{one} = {level} and {other} = {other_level}"
                found.append(
                    {"group": group, "found": float(count / n), "if_independent": expected}
                )
    found.sort(key=lambda pair: (pair["found"] / pair["if_independent"], pair["group"]))
    return found[:_MAX_LISTED]


def _level_places(dataset: Dataset, column: str, declared: Mapping[str, float]) -> Ints:
    """Return the position of each row's level among those declared; any other, or missing, is last."""
    first, *others = declared_columns(column, dataset.schema.names)
    codes, levels = dataset.codes(first)
    joint, texts = codes.astype(np.int64), list(levels)
    for name in others:  # levels of several columns together: "f and a"
        codes, own = dataset.codes(name)
        joint = np.where((joint < 0) | (codes < 0), -1, joint * len(own) + codes)
        texts = [f"{text} and {level}" for text in texts for level in own]
    place = {level: i for i, level in enumerate(declared)}
    rest = len(declared) - 1
    # The last place is that of a missing level, whose code is -1.
    return np.array([*[place.get(text, rest) for text in texts], rest])[joint]
