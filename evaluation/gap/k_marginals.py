"""How far triples of columns are from hanging together as the real ones do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.findings import DifferingTriples
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.stats.bootstrap import Groups, total_variation
from twinset.core.stats.hypothesis_tests import discoveries

from ._cells import Codes, column_cells
from ._two_sample import chance_distance, chi_square_p

Floats = npt.NDArray[np.float64]
Triple = tuple[str, ...]

_SIZE = 3
_MOST_WORST = 10
_FALSE_CALLS = 0.05


@dataclass(frozen=True, kw_only=True)
class KMarginals(Metric):
    """Compares triples of columns: how far the shares of their combinations lie from the real ones.

    Numbers are cut at the quantiles of train and the rarer levels of a category put together, which
    makes a table of combinations for each triple; its distance is the total variation distance to the
    real table. The value is the mean over the triples, 0 (alike) to 1. Of many triples a random part
    is looked at, with all those that hold the target where these are few. The k-marginal score of
    NIST's SDNist, which has other bins, is 1000 (1 - value).

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    n_triples : int
        Triples drawn at random, 1 or more; those with the target are added if there are no more.
    n_bins : int
        Bins that a number is cut into, 2 or more.
    n_levels : int
        Commonest levels of a category that are kept apart, 1 or more.
    replicates : int
        Bootstrap replicates.

    References
    ----------
    Task, Bhagat, Howarth (2023), SDNist v2: Deidentified Data Report Tool, NIST.
    """

    family: ClassVar[MetricFamily] = "gap"
    title: ClassVar[str] = "triples of columns"
    interpretation: ClassVar[str] = (
        "How far the joint shares of three columns at a time are from real: 0 is the same shares. It "
        "finds what goes wrong only when several columns are looked at together."
    )
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS

    margin: Margin = 0.01
    n_triples: Annotated[int, Ge(1)] = 500
    n_bins: Annotated[int, Ge(2)] = 5
    n_levels: Annotated[int, Ge(1)] = 8
    replicates: Replicates = 100

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance over the triples; details name the worst of them."""
        synthetic, reference = comparison.synthetic, comparison.reference
        names = list(reference.schema.names)
        if len(names) < _SIZE:
            raise NotMeasurable("a triple needs three columns, and there are fewer")
        if not len(synthetic) or not len(reference):
            raise NotMeasurable("there are no rows to compare")
        triples = choose_triples(names, comparison.target, self.n_triples, rng)
        of_reference = Groups.assign(len(reference), self.replicates, rng)
        of_synthetic = Groups.assign(len(synthetic), self.replicates, rng)
        used = sorted({name for triple in triples for name in triple})
        cells = {
            name: column_cells(
                comparison.train,
                [synthetic, reference],
                name,
                n_bins=self.n_bins,
                n_levels=self.n_levels,
            )
            for name in used
        }
        drawn, found = np.zeros(self.replicates), []
        for triple in triples:
            sides, n_cells = joint_cells([cells[name] for name in triple])
            made = of_synthetic.counts(sides[0], n_cells)
            real = of_reference.counts(sides[1], n_cells)
            (whole_s, drawn_s), (whole_r, drawn_r) = (
                of_synthetic.shares(made),
                of_reference.shares(real),
            )
            drawn += total_variation(drawn_s, drawn_r) / len(triples)
            counts = made.sum(axis=0), real.sum(axis=0)
            found.append(
                _Found(
                    triple,
                    float(total_variation(whole_s, whole_r)[0]),
                    chance_distance(*counts),
                    chi_square_p(*counts),
                )
            )
        value = float(np.mean([one.distance for one in found]))
        return Measurement(
            value, drawn, (_differing(found),), facts=_facts(found, comb(len(names), _SIZE))
        )


def choose_triples(
    names: Sequence[str], target: str | None, n: int, rng: np.random.Generator
) -> list[Triple]:
    """Return `n` random triples of names, and all those with the target where these are at most `n`.

    Examples
    --------
    >>> choose_triples(["a", "b", "c"], None, 5, np.random.default_rng(0))
    [('a', 'b', 'c')]
    """
    every = range(len(names))
    if comb(len(names), _SIZE) <= n:
        chosen = set(combinations(every, _SIZE))
    else:
        chosen = set()
        while len(chosen) < n:
            drawn = rng.choice(len(names), _SIZE, replace=False)
            chosen.add(tuple(sorted(int(i) for i in drawn)))
    if target in names and comb(len(names) - 1, _SIZE - 1) <= n:
        at = names.index(target)
        others = (i for i in every if i != at)
        chosen |= {tuple(sorted((at, *pair))) for pair in combinations(others, _SIZE - 1)}
    return [tuple(names[i] for i in triple) for triple in sorted(chosen)]


def joint_cells(columns: Sequence[tuple[list[Codes], int]]) -> tuple[list[Codes], int]:
    """Return the cell of every row in the table of all columns, once a set, and how many occur.

    Parameters
    ----------
    columns : sequence of (list of numpy.ndarray, int)
        For each column its cells in every set, and how many cells it has.

    Examples
    --------
    >>> one, other = ([np.array([0, 1, 1])], 2), ([np.array([2, 0, 0])], 3)
    >>> joint_cells([one, other])
    ([array([0, 1, 1])], 2)
    """
    sizes = [len(part) for part in columns[0][0]]
    joint = np.zeros(sum(sizes), dtype=np.int64)
    n_cells = 1
    for parts, n in columns:
        joint = joint * n + np.concatenate(parts)
        n_cells *= n
    # Most combinations never occur: only those that do are numbered.
    occurs = np.zeros(n_cells, dtype=bool)
    occurs[joint] = True
    numbered = (np.cumsum(occurs) - 1)[joint]
    return np.split(numbered, np.cumsum(sizes)[:-1]), int(occurs.sum())


@dataclass(frozen=True)
class _Found:
    """What came of one triple."""

    triple: Triple
    distance: float
    by_chance: float
    p: float

    @property
    def excess(self) -> float:
        return self.distance - self.by_chance


def _ranked(found: Sequence[_Found]) -> tuple[npt.NDArray[np.bool_], list[int]]:
    """Return which triples differ beyond chance, and all positions, farthest beyond chance first."""
    called = discoveries(np.array([one.p for one in found]), _FALSE_CALLS)
    # By the excess over chance: a table of many cells lies far off by chance alone.
    return called, sorted(range(len(found)), key=lambda i: (-found[i].excess, found[i].triple))


def _differing(found: Sequence[_Found]) -> DifferingTriples:
    called, order = _ranked(found)
    first = next((found[i] for i in order if called[i]), None)
    if first is None:
        return DifferingTriples(0, len(found))
    return DifferingTriples(
        int(called.sum()), len(found), first.triple, first.distance, first.by_chance
    )


def _facts(found: Sequence[_Found], n_all: int) -> dict[str, Any]:
    called, order = _ranked(found)
    worst = [
        {
            "columns": list(found[i].triple),
            "distance": found[i].distance,
            "by_chance": found[i].by_chance,
            "differs": bool(called[i]),
        }
        for i in order[:_MOST_WORST]
    ]
    return {
        "worst": worst,
        "triples": len(found),
        "triples_in_all": n_all,
        "triples_that_differ": int(called.sum()),
        "sdnist_score": 1000 * (1 - float(np.mean([one.distance for one in found]))),
    }
