"""Distances of the joint distributions of triples of columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Annotated

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.findings import DifferingTriples
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.stats.hypothesis_tests import discoveries

from .._bootstrap_metric import BootstrapMetric, Ints
from .._results import share_distance
from .._samples import check_not_empty, draw_groups
from ._column_tests import chance_distance, chi_square_p
from ._columns import fit_cells

Triple = tuple[str, ...]

_SIZE = 3  # columns of a table: four would leave most cells of a usual table empty
_MAX_LISTED = 10  # triples in the facts: the worst of hundreds
_FALSE_DISCOVERY_RATE = 0.05  # over the tests of all triples: the usual level


@dataclass(frozen=True, kw_only=True)
class KMarginals(BootstrapMetric):
    """Total variation distance of the joint shares of three columns, averaged over triples.

    value = mean over triples of sum_c |p_synthetic(c) - p_real(c)| / 2, over the cells c of a triple's
    table: numbers are cut at the quantiles of train, and rarer levels of a category share one cell.
    Range [0, 1]; 0 = equal. Of many triples a random sample is compared, with all those that hold the
    target where these are few. The k-marginal score of NIST's SDNist, which has other bins, is
    1000 (1 - value).

    Parameters
    ----------
    n_triples : int
        Triples drawn at random, 1 or more; those with the target are added if there are no more.
    n_bins : int
        Bins that a number is cut into, 2 or more.
    n_levels : int
        Most frequent levels of a category with a cell of their own, 1 or more.

    References
    ----------
    Task, Bhagat, Howarth (2023), SDNist v2: Deidentified Data Report Tool, NIST.
    """

    family = "gap"
    title = "triples of columns"
    interpretation = (
        "How far the joint shares of three columns at a time are from real: 0 is the same shares. It "
        "finds what goes wrong only when several columns are looked at together."
    )

    margin: Margin = 0.01
    n_triples: Annotated[int, Ge(1)] = 500
    n_bins: Annotated[int, Ge(2)] = 5
    n_levels: Annotated[int, Ge(1)] = 8
    replicates: Replicates = 100

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance over the triples; facts list those farthest beyond chance."""
        synthetic, reference = comparison.synthetic, comparison.reference
        names = list(reference.schema.names)
        if len(names) < _SIZE:
            raise NotMeasurable("a triple needs three columns, and there are fewer")
        check_not_empty(comparison)
        triples = choose_triples(names, comparison.target, self.n_triples, rng)
        groups = draw_groups(synthetic, reference, self.replicates, rng)
        cells = {}
        for name in sorted({name for triple in triples for name in triple}):
            code = fit_cells(comparison.train, name, n_bins=self.n_bins, n_levels=self.n_levels)
            (ours, n_cells), (theirs, _) = code(synthetic), code(reference)
            cells[name] = [ours, theirs], n_cells
        drawn, distances, by_chance, p = np.zeros(self.replicates), [], [], []
        for triple in triples:
            joint, n_cells = joint_cells([cells[name] for name in triple])
            counts = [own.counts(rows, n_cells) for own, rows in zip(groups, joint)]
            shares = [own.shares(table) for own, table in zip(groups, counts)]
            distance, replicates = share_distance(shares[0], shares[1])
            drawn += replicates / len(triples)
            distances.append(distance)
            totals = [table.sum(axis=0) for table in counts]
            by_chance.append(chance_distance(totals[0], totals[1]))
            p.append(chi_square_p(totals[0], totals[1]))
        differs = discoveries(np.array(p), _FALSE_DISCOVERY_RATE)
        # By the excess over chance: a table of many cells lies far off by chance alone.
        order = sorted(range(len(triples)), key=lambda i: (by_chance[i] - distances[i], triples[i]))
        first = next((i for i in order if differs[i]), None)
        finding = DifferingTriples(0, len(triples))
        if first is not None:
            worst = triples[first], distances[first], by_chance[first]
            finding = DifferingTriples(int(differs.sum()), len(triples), *worst)
        facts = {
            "worst": [
                {
                    "columns": list(triples[i]),
                    "distance": distances[i],
                    "by_chance": by_chance[i],
                    "differs": bool(differs[i]),
                }
                for i in order[:_MAX_LISTED]
            ],
            "triples": len(triples),
            "triples_in_all": comb(len(names), _SIZE),
            "triples_that_differ": int(differs.sum()),
            "sdnist_score": 1000 * (1 - float(np.mean(distances))),
        }
        return Measurement(float(np.mean(distances)), drawn, (finding,), facts=facts)


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


def joint_cells(columns: Sequence[tuple[list[Ints], int]]) -> tuple[list[Ints], int]:
    """Return the cell of every row in the table of all columns, for each set, and how many occur."""
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
