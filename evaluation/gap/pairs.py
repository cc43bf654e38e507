"""How far pairs of columns are from hanging together as the real ones do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import (
    Comparison,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
    Parts,
)
from twinset.core.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.resampling import Groups, total_variation
from twinset.core.schema import TABULAR_KINDS

from ._columns import chosen_columns

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_TOP_LEVELS = 20


@dataclass(frozen=True, kw_only=True)
class Pairs(Metric):
    """Compares pairs of columns: how far their dependence lies from the real one.

    Two numeric columns: half the difference of their rank correlations (Spearman). A pair with a
    category: the total variation distance of the two contingency tables, with numbers cut at the real
    quantiles. The value is the mean over all pairs, 0 (alike) to 1.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    pair_margin : float
        The same for a single pair: one that is farther off makes the whole different.
    n_bins : int
        Bins that a number is cut into beside a category, 2 or more.
    max_columns : int
        Columns looked at, 2 or more; of a wider table the target and the first ones are taken.
    replicates : int
        Bootstrap replicates.
    """

    family: ClassVar[MetricFamily] = "gap"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS

    margin: float = 0.02
    pair_margin: float = 0.05
    n_bins: int = 10
    max_columns: int = 40
    replicates: int = 200

    def __post_init__(self) -> None:
        settings = (self.n_bins, self.max_columns, self.replicates)
        if min(self.margin, self.pair_margin) < 0 or min(settings) < 2:
            raise ParameterError(
                "a setting is out of its range",
                allowed="margin and pair_margin >= 0; n_bins, max_columns and replicates >= 2",
            )

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance over all pairs; details hold every pair's, worst first."""
        synthetic, reference = comparison.synthetic, comparison.reference
        names = chosen_columns(reference, comparison.target, self.max_columns)
        if len(names) < 2:
            raise NotMeasurable("a pair needs two columns, and there are fewer")
        if not len(synthetic) or not len(reference):
            raise NotMeasurable("there are no rows to compare")
        of_reference = Groups.deal(len(reference), self.replicates, rng)
        groups = (Groups.deal(len(synthetic), self.replicates, rng), of_reference)
        numeric = [_is_numeric(reference, name) for name in names]
        matrix = np.zeros((len(names), len(names)))
        drawn = np.zeros((self.replicates, len(names), len(names)))
        numbers = np.flatnonzero(numeric)
        if len(numbers) > 1:
            columns = [names[i] for i in numbers]
            whole, replicates = _correlation_gaps(synthetic, reference, columns, groups)
            matrix[np.ix_(numbers, numbers)] = whole
            drawn[:, numbers[:, None], numbers] = replicates
        cells = _Cells(synthetic, reference, self.n_bins)
        for i, j in combinations(range(len(names)), 2):
            if not (numeric[i] and numeric[j]):
                matrix[i, j], drawn[:, i, j] = _table_gap(
                    cells.of(names[i]), cells.of(names[j]), groups
                )
        first, second = np.triu_indices(len(names), 1)
        values, replicates = matrix[first, second], drawn[:, first, second]
        called = tuple(f"{names[i]} with {names[j]}" for i, j in zip(first, second))
        left_out = len(reference.schema.names) - len(names)
        return Measurement(
            float(values.mean()),
            replicates.mean(axis=1),
            _details(names, matrix, left_out),
            Parts("pair", called, values, replicates, self.pair_margin),
        )


def rank_correlation(x: Floats) -> Floats:
    """Return the rank correlations of the columns of `x`, shape (d, d); 0 where a column is constant.

    A missing value (NaN) takes the middle rank.

    Examples
    --------
    >>> rank_correlation(np.array([[1.0, 9.0], [2.0, 8.0], [4.0, 1.0]])).round(3).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    ranks = _scores(x)
    return ranks.T @ ranks / len(x)


def _is_numeric(dataset: Dataset, name: str) -> bool:
    return dataset.schema[name].kind in ("number", "integer", "datetime")


def _scores(x: Floats) -> Floats:
    """Return mid-ranks, centred and of unit spread a column, shape (n, d)."""
    out = np.zeros_like(x)
    for j in range(x.shape[1]):
        present = ~np.isnan(x[:, j])
        _, place, counts = np.unique(x[present, j], return_inverse=True, return_counts=True)
        if len(counts) > 1:
            ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
            out[present, j] = ranks - ranks.mean()
            out[:, j] /= np.sqrt(np.mean(out[:, j] ** 2))
    return out


def _correlation_gaps(
    synthetic: Dataset, reference: Dataset, names: Sequence[str], groups: tuple[Groups, Groups]
) -> tuple[Floats, Floats]:
    """Return half the differences of the rank correlations, shape (d, d), and replicates, (b, d, d)."""
    found = []
    for dataset, group in zip((synthetic, reference), groups):
        scores = _scores(np.column_stack([dataset.values(name) for name in names]))
        sizes = np.bincount(group.group, minlength=group.size)
        # Group by group in memory: each is one slice, without a mask over all rows.
        dealt = scores[np.argsort(group.group, kind="stable")]
        parts = np.split(dealt, np.cumsum(sizes)[:-1])
        sums = np.stack([part.sum(axis=0) for part in parts])
        products = np.stack([part.T @ part for part in parts])
        everything = np.ones((1, group.size))
        found.append(
            [
                _correlations(draws, sizes.astype(np.float64), sums, products)
                for draws in (everything, group.draws)
            ]
        )
    (whole_s, drawn_s), (whole_r, drawn_r) = found
    return np.abs(whole_s - whole_r)[0] / 2, np.abs(drawn_s - drawn_r) / 2


def _correlations(draws: Floats, sizes: Codes, sums: Floats, products: Floats) -> Floats:
    """Return the correlation matrix of each replicate, shape (b, d, d), diagonal 0."""
    n = (draws @ sizes)[:, None]
    means = draws @ sums / n
    d = sums.shape[1]
    covariance = (draws @ products.reshape(len(products), -1)).reshape(-1, d, d) / n[..., None]
    covariance -= means[:, :, None] * means[:, None, :]
    spread = np.sqrt(np.maximum(np.einsum("bii->bi", covariance), 0.0))
    scale = spread[:, :, None] * spread[:, None, :]
    out: Floats = np.zeros_like(covariance)
    np.divide(covariance, scale, out=out, where=scale > 1e-12)
    out[:, np.arange(d), np.arange(d)] = 0.0
    return out


class _Cells:
    """Columns of both sets as cells of contingency tables, made when first asked for."""

    def __init__(self, synthetic: Dataset, reference: Dataset, n_bins: int) -> None:
        self.synthetic, self.reference, self.n_bins = synthetic, reference, n_bins
        self.made: dict[str, tuple[Codes, Codes, int]] = {}

    def of(self, name: str) -> tuple[Codes, Codes, int]:
        if name not in self.made:
            make = self._bins if _is_numeric(self.reference, name) else self._levels
            self.made[name] = make(name)
        return self.made[name]

    def _bins(self, name: str) -> tuple[Codes, Codes, int]:
        x, y = self.synthetic.values(name), self.reference.values(name)
        present = y[~np.isnan(y)] if not np.isnan(y).all() else np.zeros(1)
        inner = np.linspace(0, 1, self.n_bins + 1)[1:-1]
        edges = np.unique(np.quantile(present, inner, method="inverted_cdf"))
        a, b = (
            np.where(np.isnan(v), len(edges) + 1, np.searchsorted(edges, v, side="left"))
            for v in (x, y)
        )
        return a, b, len(edges) + 2

    def _levels(self, name: str) -> tuple[Codes, Codes, int]:
        (a, levels_a), (b, levels_b) = self.synthetic.codes(name), self.reference.codes(name)
        counts = np.bincount(b[b >= 0], minlength=len(levels_b))
        common = [levels_b[i] for i in np.argsort(-counts, kind="stable")[:_TOP_LEVELS]]
        place = {level: i for i, level in enumerate(common)}
        other, missing = len(common), len(common) + 1
        to_a = np.array([*[place.get(level, other) for level in levels_a], missing])
        to_b = np.array([*[place.get(level, other) for level in levels_b], missing])
        return to_a[a], to_b[b], len(common) + 2


def _table_gap(
    one: tuple[Codes, Codes, int], other: tuple[Codes, Codes, int], groups: tuple[Groups, Groups]
) -> tuple[float, Floats]:
    """Return the distance of two contingency tables and its replicates, shape (b,)."""
    n_cells = one[2] * other[2]
    whole_s, drawn_s = groups[0].shares(groups[0].counts(one[0] * other[2] + other[0], n_cells))
    whole_r, drawn_r = groups[1].shares(groups[1].counts(one[1] * other[2] + other[1], n_cells))
    return float(total_variation(whole_s, whole_r)[0]), total_variation(drawn_s, drawn_r)


def _details(names: Sequence[str], matrix: Floats, left_out: int) -> dict[str, Any]:
    pairs = [
        [names[i], names[j], float(matrix[i, j])] for i, j in combinations(range(len(names)), 2)
    ]
    details: dict[str, Any] = {"pairs": sorted(pairs, key=lambda pair: -float(pair[2]))}
    if left_out:
        details["note"] = f"{len(names)} of {len(names) + left_out} columns were compared"
    return details
