"""How far each single column is from the real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from twinset.core.shares import discoveries

from ._column_tests import column_p

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_GRID = 256
_FALSE_CALLS = 0.05
_MOST_NAMED = 5
_SMALL_CELL = 11


@dataclass(frozen=True, kw_only=True)
class Marginals(Metric):
    """Compares single columns: how far each one's distribution lies from the real one.

    Numbers, integers and datetimes by the Kolmogorov-Smirnov distance, categories and booleans by
    the total variation distance. A missing value is a value like any other: a level of a category, a
    number below all numbers. The value is the mean over the columns, 0 (alike) to 1.

    Beside the distances stands which columns differ at all: those that a test of each column calls
    different once the false discovery rate over all columns is held at 5 %. The test sees rounding
    too, which moves no distribution by much (see `column_p`).

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    column_margin : float
        The same for a single column: one that is farther off makes the whole different.
    replicates : int
        Bootstrap replicates.
    """

    family: ClassVar[MetricFamily] = "gap"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    # Shuffling columns changes no single column, so it is no worst case here.
    has_floor: ClassVar[bool] = False

    margin: float = 0.02
    column_margin: float = 0.02
    replicates: int = 200

    def __post_init__(self) -> None:
        if min(self.margin, self.column_margin) < 0 or self.replicates < 2:
            raise ParameterError(
                "a setting is out of its range",
                allowed="margin and column_margin >= 0, replicates >= 2",
            )

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance over the columns; details hold each column's, worst first."""
        synthetic, reference = comparison.synthetic, comparison.reference
        if not len(synthetic) or not len(reference):
            raise NotMeasurable("there are no rows to compare")
        names = synthetic.schema.names
        of_reference = Groups.deal(len(reference), self.replicates, rng)
        of_synthetic = Groups.deal(len(synthetic), self.replicates, rng)
        found = [_column(synthetic, reference, name, of_synthetic, of_reference) for name in names]
        distances = np.array([distance for distance, _ in found])
        drawn = np.column_stack([replicates for _, replicates in found])
        details = _details(names, distances.tolist(), synthetic, reference)
        details |= _differing(details["columns"], synthetic, reference)
        parts = Parts("column", names, distances, drawn, self.column_margin)
        return Measurement(float(distances.mean()), drawn.mean(axis=1), details, parts)


def ks_distance(x: Floats, y: Floats) -> float:
    """Return the largest gap between two empirical distribution functions, in [0, 1].

    Parameters
    ----------
    x, y : numpy.ndarray, shapes (m,) and (n,)
        Numbers; NaN stands for missing and counts as below all numbers.

    Examples
    --------
    >>> ks_distance(np.array([1.0, 2.0]), np.array([2.0, np.nan, 3.0, 4.0]))
    0.5
    """
    low_x, low_y = (np.sort(np.where(np.isnan(v), -np.inf, v)) for v in (x, y))
    # Two sorted runs are merged in one pass; each distinct number is looked up once.
    pooled = np.sort(np.concatenate([low_x, low_y]), kind="stable")
    pooled = pooled[np.append(pooled[1:] != pooled[:-1], True)]
    gap = np.searchsorted(low_x, pooled, side="right") / len(x)
    gap -= np.searchsorted(low_y, pooled, side="right") / len(y)
    return float(np.abs(gap).max())


def wasserstein_distance(x: Floats, y: Floats) -> float:
    """Return the mean distance that `x` must be moved to become `y`, in spreads of `y`.

    The Wasserstein-1 distance of the present values, divided by the standard deviation of `y`, or by
    1 where that is 0. It says how far off values are, which the Kolmogorov-Smirnov distance does not.

    Parameters
    ----------
    x, y : numpy.ndarray, shapes (m,) and (n,)
        Numbers; NaN stands for missing. Where a side has no number, 0.

    Examples
    --------
    >>> wasserstein_distance(np.array([1.0, 3.0]), np.array([2.0, 4.0]))
    1.0
    """
    x, y = np.sort(x[np.isfinite(x)]), np.sort(y[np.isfinite(y)])
    if not len(x) or not len(y):
        return 0.0
    pooled = np.sort(np.concatenate([x, y]))
    gap = np.searchsorted(x, pooled[:-1], side="right") / len(x)
    gap -= np.searchsorted(y, pooled[:-1], side="right") / len(y)
    moved = float(np.abs(gap) @ np.diff(pooled))
    spread = float(y.std())
    return moved / spread if spread > 1e-12 * max(1.0, float(np.abs(y).max())) else moved


def level_codes(synthetic: Dataset, reference: Dataset, name: str) -> tuple[Codes, Codes, int]:
    """Return a column of both sets as codes into the levels of both; missing is the last code."""
    (a, levels_a), (b, levels_b) = synthetic.codes(name), reference.codes(name)
    levels = {level: i for i, level in enumerate(sorted({*levels_a, *levels_b}))}
    place_a = np.array([*[levels[level] for level in levels_a], len(levels)], dtype=np.int64)
    place_b = np.array([*[levels[level] for level in levels_b], len(levels)], dtype=np.int64)
    return place_a[a], place_b[b], len(levels) + 1


def _column(
    synthetic: Dataset, reference: Dataset, name: str, of_synthetic: Groups, of_reference: Groups
) -> tuple[float, Floats]:
    """Return a column's distance and its replicates, shape (b,)."""
    if reference.schema[name].kind in ("category", "boolean"):
        a, b, n_cells = level_codes(synthetic, reference, name)
        whole_a, drawn_a = of_synthetic.shares(of_synthetic.counts(a, n_cells))
        whole_b, drawn_b = of_reference.shares(of_reference.counts(b, n_cells))
        return float(total_variation(whole_a, whole_b)[0]), total_variation(drawn_a, drawn_b)
    x, y = synthetic.values(name), reference.values(name)
    # The replicates look at 256 quantiles only: enough for their spread.
    pooled = np.concatenate([x, y])
    pooled = pooled[~np.isnan(pooled)]
    pooled.sort()
    at = np.linspace(0, len(pooled) - 1, _GRID).astype(np.int64)
    edges = np.unique(pooled[at]) if len(pooled) else np.zeros(1)
    cells_x, cells_y = (
        np.where(np.isnan(v), 0, 1 + np.searchsorted(edges, v, side="left")) for v in (x, y)
    )
    n_cells = len(edges) + 2
    _, drawn_x = of_synthetic.shares(of_synthetic.counts(cells_x, n_cells))
    _, drawn_y = of_reference.shares(of_reference.counts(cells_y, n_cells))
    gap = np.abs(np.cumsum(drawn_x, axis=1) - np.cumsum(drawn_y, axis=1))
    return ks_distance(x, y), gap.max(axis=1)


def _details(
    names: Sequence[str], distances: Sequence[float], synthetic: Dataset, reference: Dataset
) -> dict[str, Any]:
    worst_first = sorted(zip(names, distances), key=lambda pair: (-pair[1], pair[0]))
    missing = {
        name: {
            "synthetic": float(synthetic.is_null(name).mean()),
            "real": _real_share(reference.is_null(name)),
        }
        for name in names
    }
    return {
        "columns": dict(worst_first),
        "missing": {
            name: shares for name, shares in missing.items() if any(v != 0 for v in shares.values())
        },
    }


def _real_share(missing: npt.NDArray[np.bool_]) -> float | None:
    """Return a missing share of real rows; None where it would speak of 1 to 10 rows."""
    return None if 1 <= missing.sum() < _SMALL_CELL else float(missing.mean())


def _differing(
    columns: Mapping[str, float], synthetic: Dataset, reference: Dataset
) -> dict[str, Any]:
    """Return the columns that differ beyond chance, worst first, and how far numbers are off."""
    names = list(columns)
    p = np.array([column_p(synthetic, reference, name) for name in names])
    found = discoveries(p, _FALSE_CALLS)
    # `columns` comes worst first; of columns equally sure to differ the farther one leads.
    called = [names[i] for i in np.argsort(p, kind="stable") if found[i]]
    numbers = [n for n in names if reference.schema[n].kind in ("number", "integer", "datetime")]
    moved = {n: wasserstein_distance(synthetic.values(n), reference.values(n)) for n in numbers}
    named = ", ".join(called[:_MOST_NAMED])
    if len(called) > _MOST_NAMED:
        named += f" and {len(called) - _MOST_NAMED} more"
    verb = "differs" if len(called) == 1 else "differ"
    summary = f"{len(called)} of {len(names)} columns {verb} beyond chance: {named}"
    return {
        "different_columns": called,
        "wasserstein": dict(sorted(moved.items(), key=lambda pair: -pair[1])),
        "summary": summary if called else "no column differs beyond chance",
    }
