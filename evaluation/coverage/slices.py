"""Share of rows in regions that are neither under- nor over-represented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable, Role
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.errors import ParameterError
from twinset.core.features.discretize import N_BINS, Factor, infer_factors
from twinset.core.features.image_statistics import described
from twinset.core.features.slice_search import search_slices
from twinset.core.findings import (
    DecidingRows,
    DetectableRegion,
    Finding,
    RegionShares,
)
from twinset.core.parameters import Ge, Interval, Margin
from twinset.core.stats.bootstrap import Groups

from .._bootstrap_metric import BootstrapMetric, Floats
from .._samples import check_not_empty, limit_columns
from ._underrepresented import (
    Codes,
    Tuple,
    compute_critical_z,
    compute_min_share,
    compute_rows_needed,
    count_covered_combinations,
    count_tests,
    factor_tuples,
    find_underrepresented_rows,
    list_tested_cells,
)

_MAX_FACTORS = 40  # columns, at random of more: triples grow with their third power
_MAX_TUPLES = 600  # sets of one, two or three factors, at random of more
_MAX_STRENGTH = 3  # factors of a combination: of four, few real sets have 20 rows in each
_UNDER = 1 / 2  # of the real share: a combination below it is under-represented
_OVER = 2 / 3  # real by synthetic share: one below it, at 1.5 times the share, is over-represented
# The harness takes 1.37 / rows for the smallest detectable degradation of a share.
_DETECTABLE_ROWS = 1.372


@dataclass(frozen=True, kw_only=True)
class Slices(BootstrapMetric):
    """Share of the rows in regions that both sets have in about the same share.

    Columns are cut into levels: labels (rare ones together), and quantile bins of numbers and dates. A
    combination of levels of one to three columns is under-represented where its synthetic share is
    below half of the real one, and over-represented where it is above one and a half times it, beyond
    chance. value = min(real rows in no under-represented combination / real rows, synthetic rows in no
    over-represented one / synthetic rows), in [0, 1]: weighted by rows, so that a lost region counts
    by its size, and exactly 1 for real rows, whatever chance does to rare combinations.

    Where so few rows are compared that the halving of a combination as large as the margin would not
    show, a finding names the rows that would. Facts add how many of the combinations have half their
    share (t-way coverage), beside the same number for real train rows.

    Parameters
    ----------
    min_rows : int
        Real rows that a combination needs to be tested.
    max_rows : int
        Rows of each set that are used.

    References
    ----------
    Kuhn, Kacker, Lei (2013), Introduction to Combinatorial Testing, CRC Press.
    """

    family = "coverage"
    title = "combinations with enough rows"
    interpretation = (
        "Which combinations of factors, such as night and rain, are far rarer in the synthetic rows than "
        "in the real ones, or far more frequent. A model trained on the set has seen too little, or too "
        "much, of those."
    )
    roles = frozenset({Role.REPRESENTATION})
    higher_is_better = True
    kinds = TABULAR_KINDS | {"image", "boxes"}

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
        """Return the share of rows in no such combination; findings name the slices."""
        check_not_empty(comparison)
        sets = comparison.train, comparison.synthetic, comparison.reference
        if sets[2].schema.of_kind("image"):
            sets = described(sets[0]), described(sets[1]), described(sets[2])
        train, synthetic, reference = sets
        names = [n for n in reference.schema.names if train.schema[n].is_tabular]
        factors = _choose_factors(train, names, rng)
        if not factors:
            raise NotMeasurable("no column of the train rows can be cut into levels")
        reference = reference.at_most(self.max_rows, rng)
        synthetic = synthetic.at_most(self.max_rows, rng)
        train = train.at_most(len(synthetic), rng)
        sizes = [factor.size for factor in factors]
        by_strength = [
            factor_tuples(len(factors), strength, _MAX_TUPLES, rng)
            for strength in range(1, min(_MAX_STRENGTH, len(factors)) + 1)
        ]
        tuples = [own for group in by_strength for own in group]
        # One factor after the other in memory: tables are counted factor by factor.
        real, codes, train_codes = (
            np.stack([factor.codes(part) for factor in factors]).T
            for part in (reference, synthetic, train)
        )
        (under, under_drawn), (over, over_drawn) = (
            covered_fraction(
                *sets, sizes, tuples, self.replicates, rng, min_rows=self.min_rows, less_than=bar
            )
            for sets, bar in (((real, codes), _UNDER), ((codes, real), _OVER))
        )
        value = min(under, over)
        if comparison.value_only:
            return Measurement(value)
        n_tests = count_tests(list_tested_cells(real, sizes, tuples, self.min_rows))
        n_cells = max(n_tests.values(), default=1)
        detectable = compute_min_share(len(real), len(codes), compute_critical_z(n_cells))
        facts = {
            "underrepresented_fraction": 1 - under,
            "overrepresented_fraction": 1 - over,
            "t_way": {
                str(strength): _t_way(real, codes, train_codes, sizes, group, self.min_rows)
                for strength, group in enumerate(by_strength, start=1)
            },
            "factors": {f.column: [level.words for level in f.levels] for f in factors},
            "rows": {"reference": len(reference), "synthetic": len(synthetic)},
            "n_bins": N_BINS,
            "least_region_that_shows": detectable,
        }
        slices = search_slices(reference, synthetic, factors)
        missing, surplus = (
            tuple(one.region for one in slices if one.is_missing == kind) for kind in (True, False)
        )
        findings = RegionShares(missing, surplus), self._deciding(value, len(reference), detectable)
        limits: tuple[Finding, ...] = limit_columns(len(factors), len(names))
        if detectable > self.margin:
            needed = compute_rows_needed(self.margin, n_cells) if self.margin > 0 else None
            limits = DetectableRegion(detectable, self.margin, needed), *limits
        drawn = np.minimum(under_drawn, over_drawn)
        return Measurement(value, drawn, (*findings, *limits), facts=facts)

    def _deciding(self, value: float, n_rows: int, detectable: float) -> DecidingRows:
        """Return the rows that decide: all, where more than the margin is lost.

        Otherwise as many as could have shown a loss, so that no set passes by being small.
        """
        if 1 - value > self.margin:
            return DecidingRows(n_rows, "rows in each set")
        n = min(n_rows // self.min_rows, round(_DETECTABLE_ROWS / detectable))
        return DecidingRows(n, "regions large enough for their loss to show")


def covered_fraction(
    real: Codes,
    synthetic: Codes,
    sizes: Sequence[int],
    tuples: Sequence[Tuple],
    replicates: int,
    rng: np.random.Generator,
    *,
    min_rows: int = 20,
    less_than: float = _UNDER,
) -> tuple[float, Floats]:
    """Return the share of the real rows in no under-represented combination, and its replicates.

    Examples
    --------
    >>> counts = [900, 100], [990, 10]
    >>> real, synthetic = (np.repeat([[0], [1]], n, axis=0).astype(np.int32) for n in counts)
    >>> covered_fraction(real, synthetic, [2], [(0,)], 10, np.random.default_rng(0))[0]
    0.9
    """
    lost = find_underrepresented_rows(real, synthetic, sizes, tuples, min_rows, less_than)
    groups = Groups.assign(len(real), replicates, rng)
    whole, drawn = groups.shares(groups.counts(lost.astype(np.int64), 2))
    return float(whole[0, 0]), drawn[:, 0]


def _choose_factors(
    train: Dataset, names: Sequence[str], rng: np.random.Generator
) -> tuple[Factor, ...]:
    """Return the factors of the train rows; of very many columns some at random."""
    if len(names) > _MAX_FACTORS:
        chosen = set(rng.choice(len(names), _MAX_FACTORS, replace=False).tolist())
        names = [name for i, name in enumerate(names) if i in chosen]
    return infer_factors(train, names)


def _t_way(
    real: Codes,
    synthetic: Codes,
    train: Codes,
    sizes: Sequence[int],
    tuples: Sequence[Tuple],
    min_rows: int,
) -> dict[str, Any]:
    """Return the t-way coverage of one t; None where no combination is tested."""
    (covered, n), (by_train, _) = (
        count_covered_combinations(real, codes, sizes, tuples, min_rows=min_rows)
        for codes in (synthetic, train)
    )
    return {
        "tuples": len(tuples),
        "combinations": n,
        "covered": covered,
        "coverage": covered / n if n else None,
        "train": by_train / n if n else None,
    }
