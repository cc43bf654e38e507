"""Which share of the real rows lies in combinations of up to three levels that the made set starves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

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
from twinset.core.errors import ParameterError
from twinset.core.features.discretize import N_BINS, Factor, infer_factors
from twinset.core.features.image_statistics import described
from twinset.core.features.slice_search import Slice, search_slices
from twinset.core.findings import (
    ColumnLimit,
    DecidingRows,
    DetectableRegion,
    Finding,
    RegionShare,
    RegionShares,
)
from twinset.core.parameters import Ge, Interval, Margin
from twinset.core.stats.bootstrap import Groups
from twinset.core.stats.covering_arrays import (
    Codes,
    Tuple,
    count_covered_combinations,
    factor_tuples,
)

from ._underrepresented import (
    chance_calls,
    compute_critical_z,
    compute_min_share,
    find_underrepresented_rows,
    rows_for,
    watched_cells,
)

Floats = npt.NDArray[np.float64]

_MOST_FACTORS = 40
_MOST_TUPLES = 600
_STARVED, _CROWDED = 1 / 2, 2 / 3
"""Starved: held at less than half the real share. Crowded: at more than one and a half times it."""


@dataclass(frozen=True, kw_only=True)
class Slices(Metric):
    """Measures which share of the rows lies in regions that both sets hold about alike.

    Columns are cut into levels: labels (rare ones together), and quantile bins of numbers and dates.
    A combination of levels of one to three columns is starved when the synthetic set holds it at less
    than half of its real share, and crowded at more than one and a half times it, and surely so. The
    value is the share of the real rows that lie in no starved combination, or of the synthetic rows
    in no crowded one, whichever is less, 0 to 1: weighted by rows, so that a lost region counts by
    what it means for the whole, and exactly 1 for real rows, whatever chance does to rare
    combinations. Where there are so few rows that the halving of a combination as large as the margin
    would go unseen, the metric refuses, and says how many it needs. Details add how many of the
    combinations are held at half their share (t-way coverage), beside the same number for real train
    rows, and name the regions that have too few or too many rows in words.

    Parameters
    ----------
    margin : float
        Largest share of the rows that may lie in starved, or in crowded, combinations.
    min_rows : int
        Real rows that a combination needs to be looked at.
    max_rows : int
        Rows of each side that are looked at.
    replicates : int
        Bootstrap replicates; the real rows are drawn, 2 to 1,000.

    References
    ----------
    Kuhn, Kacker, Lei (2013), Introduction to Combinatorial Testing, CRC Press.
    """

    family: ClassVar[MetricFamily] = "coverage"
    title: ClassVar[str] = "combinations with enough rows"
    interpretation: ClassVar[str] = (
        "Which combinations of factors, such as night and rain, are far rarer in the synthetic rows than "
        "in the real ones, or far more frequent. A model trained on the set has seen too little, or too "
        "much, of those."
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.REPRESENTATION})
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "boxes"}

    margin: Margin = 0.02
    min_rows: Annotated[int, Ge(1)] = 20
    max_rows: int = 20_000
    replicates: Annotated[int, Interval(ge=2, le=1000)] = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_rows < self.min_rows:
            raise ParameterError(
                "'max_rows' is out of its range",
                got=str(self.max_rows),
                allowed=f"{self.min_rows} (min_rows) or more",
            )

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the share of rows in no starved or crowded combination; details name the slices."""
        if not len(comparison.synthetic) or not len(comparison.reference):
            raise NotMeasurable("there are no rows to compare")
        comparison = _with_pictures_described(comparison)
        names = comparison.reference.schema.names
        factors = _factors(comparison, names, rng)
        if not factors:
            raise NotMeasurable("no column of the train rows can be cut into levels")
        reference = comparison.reference.at_most(self.max_rows, rng)
        synthetic = comparison.synthetic.at_most(self.max_rows, rng)
        train = comparison.train.at_most(len(synthetic), rng)
        sizes = [factor.size for factor in factors]
        tuples = [
            factor_tuples(len(factors), t, _MOST_TUPLES, rng)
            for t in range(1, min(3, len(factors)) + 1)
        ]
        real, made, seen = (_coded(part, factors) for part in (reference, synthetic, train))
        flat = [factors_ for group in tuples for factors_ in group]
        (covered, drawn), (loose, drawn_loose) = (
            covered_fraction(
                *sides,
                sizes,
                flat,
                self.replicates,
                rng,
                min_rows=self.min_rows,
                less_than=less,
            )
            for sides, less in (((real, made), _STARVED), ((made, real), _CROWDED))
        )
        value, drawn = min(covered, loose), np.minimum(drawn, drawn_loose)
        if comparison.value_only:
            return Measurement(value)
        n_tests = chance_calls(watched_cells(real, sizes, flat, self.min_rows))
        n_cells = max(n_tests.values(), default=1)
        shows = compute_min_share(len(real), len(made), compute_critical_z(n_cells))
        ways = {
            str(t): _way(real, made, seen, sizes, group, self.min_rows)
            for t, group in enumerate(tuples, start=1)
        }
        found = search_slices(reference, synthetic, factors)
        facts = {
            "starved_fraction": 1 - covered,
            "crowded_fraction": 1 - loose,
            "t_way": ways,
            "factors": {f.column: [level.words for level in f.levels] for f in factors},
            "rows": {"reference": len(reference), "synthetic": len(synthetic)},
            "n_bins": N_BINS,
            "least_region_that_shows": shows,
        }
        findings: list[Finding] = [
            _regions(found), self._deciding(value, len(reference), shows)
        ]  # fmt: skip
        if shows > self.margin:
            needed = rows_for(self.margin, n_cells) if self.margin > 0 else None
            findings.append(DetectableRegion(shows, self.margin, needed))
        able = _able(comparison.train, names)
        if len(able) > len(factors):
            findings.append(ColumnLimit(len(factors), len(able)))
        return Measurement(value, drawn, tuple(findings), facts=facts)

    def _deciding(self, value: float, n_rows: int, shows: float) -> DecidingRows:
        """Return which rows decide. What is lost beyond the margin is shown by all of them.

        Where nothing is, what counts is what would have been seen: the frame takes 1.37 / rows for
        the least harm, and with few rows that is above the margin, so that no set passes by being
        small.
        """
        if 1 - value > self.margin:
            return DecidingRows(n_rows, "rows on each side")
        fewest = min(n_rows // self.min_rows, round(1.372 / shows))
        return DecidingRows(fewest, "regions large enough for their loss to show")


def covered_fraction(
    real: Codes,
    synthetic: Codes,
    sizes: Sequence[int],
    tuples: Sequence[Tuple],
    replicates: int,
    rng: np.random.Generator,
    *,
    min_rows: int = 20,
    less_than: float = _STARVED,
) -> tuple[float, Floats]:
    """Return the share of the real rows that lie in no starved combination, and its replicates.

    Parameters
    ----------
    real, synthetic : numpy.ndarray of int, shapes (n, f) and (m, f)
        Code of each row and factor; the code `size` is any other value.
    sizes : sequence of int
        Levels of each factor.
    tuples : sequence of tuple of int
        The sets of factors whose combinations are looked at.
    replicates : int
        Bootstrap replicates b.
    rng : numpy.random.Generator
        Draws the replicates.
    min_rows : int
        Real rows that a combination needs.
    less_than : float
        The part of its real share below which a combination is starved, in (0, 1].

    Returns
    -------
    value : float
        The share, in [0, 1].
    drawn : numpy.ndarray, shape (b,)
        Replicates: the real rows are drawn, in groups. What is starved stays as it is: a combination
        is called only where chance is ruled out, and which one it is does not vary by the draw.

    Examples
    --------
    >>> real = np.repeat([[0], [1]], [900, 100], axis=0).astype(np.int32)
    >>> made = np.repeat([[0], [1]], [990, 10], axis=0).astype(np.int32)
    >>> covered_fraction(real, made, [2], [(0,)], 10, np.random.default_rng(0))[0]
    0.9
    """
    lost = find_underrepresented_rows(real, synthetic, sizes, tuples, min_rows, less_than)
    groups = Groups.deal(len(real), replicates, rng)
    whole, drawn = groups.shares(groups.counts(lost.astype(np.int64), 2))
    return float(whole[0, 0]), drawn[:, 0]


def _with_pictures_described(comparison: Comparison) -> Comparison:
    """Return the comparison with columns that say in numbers what pictures are like, where it has any."""
    if not comparison.reference.schema.of_kind("image"):
        return comparison
    return replace(
        comparison,
        train=described(comparison.train),
        synthetic=described(comparison.synthetic),
        reference=described(comparison.reference),
    )


def _factors(
    comparison: Comparison, names: Sequence[str], rng: np.random.Generator
) -> tuple[Factor, ...]:
    """Return the factors of the train rows; of very many columns some at random."""
    able = _able(comparison.train, names)
    if len(able) > _MOST_FACTORS:
        chosen = set(rng.choice(len(able), _MOST_FACTORS, replace=False).tolist())
        able = [name for i, name in enumerate(able) if i in chosen]
    return infer_factors(comparison.train, able)


def _able(train: Dataset, names: Sequence[str]) -> list[str]:
    return [name for name in names if train.schema[name].is_tabular]


def _coded(dataset: Dataset, factors: Sequence[Factor]) -> Codes:
    # One factor after the other in memory: tables are counted factor by factor.
    return np.stack([factor.codes(dataset) for factor in factors]).T


def _way(
    real: Codes,
    made: Codes,
    train: Codes,
    sizes: Sequence[int],
    tuples: Sequence[Tuple],
    min_rows: int,
) -> dict[str, Any]:
    """Return the t-way coverage of one t; `train` is that of real rows, None where there are none."""
    held, wanted = count_covered_combinations(real, made, sizes, tuples, min_rows=min_rows)
    by_train, _ = count_covered_combinations(real, train, sizes, tuples, min_rows=min_rows)
    return {
        "tuples": len(tuples),
        "combinations": wanted,
        "held": held,
        "coverage": held / wanted if wanted else None,
        "train": by_train / wanted if wanted else None,
    }


def _regions(found: Sequence[Slice]) -> RegionShares:
    """Return the slices without the counts that would disclose 1 to 10 rows."""
    regions: dict[bool, list[RegionShare]] = {True: [], False: []}
    for one in found:
        told = one.to_json()
        share = RegionShare(told["words"], told["real_share"], told["synthetic_share"])
        regions[one.is_missing].append(share)
    return RegionShares(tuple(regions[True]), tuple(regions[False]))
