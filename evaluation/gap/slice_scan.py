"""Scan of all columns in all rows and in slices, calibrated for everything that is looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from twinset.core.contracts import Comparison, Measurement, Metric, NotMeasurable, Role
from twinset.core.data.dataset import Dataset
from twinset.core.data.persons import person_codes
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.differences import SliceDifferences
from twinset.core.findings import DecidingRows
from twinset.core.parameters import Ge, Interval, Margin

from .._bootstrap_metric import Ints
from .._samples import limit_columns
from ._scan_features import read_calendar, read_columns, score_rows
from ._scan_names import detectable_differences, name_differences
from ._scan_slices import find_slices
from ._scan_tests import Scan

_MIN_ROWS = 100  # of each set: fewer hold no slice that could be tested
_MAX_COLUMNS = 100  # at random of more: time grows with their square


@dataclass(frozen=True, kw_only=True)
class SliceScan(Metric):
    """Number of differences between synthetic and real rows in all rows or in a slice, beyond chance.

    Slices are the rows of one level, of one band of a number, of an hour, weekday or month, and of two
    such conditions. In each, the means of scores are compared: of the rank of a number, of its residual
    from a regression on all other columns, of the size of that residual, of levels, missing cells and
    products of two columns; and in all rows also those of tails, shape, roundness, repeated values, of
    the loss of boosted trees that predict the target, and of how near the nearest row is. No score
    depends on whether a row is real, so that exchanging rows of both sets gives the distribution by
    chance of the largest difference of each tier of slices.

    value = number of differences that remain when the strongest is named, its rows leave both sets,
    and so on. All real rows, train and holdout together, are compared with all synthetic ones.

    Parameters
    ----------
    margin : float
        Number of differences that is accepted.
    alpha : float
        Probability of naming any difference where there is none.
    min_effect : float
        Smallest difference of means that counts, in standard deviations.
    shuffles : int
        Times that rows of both sets are exchanged.
    max_rows : int
        Rows of each set that are used.

    Examples
    --------
    >>> import pyarrow as pa
    >>> def rows(shift, seed):
    ...     level = np.random.default_rng(seed).normal(size=600) + shift
    ...     return Dataset.from_arrow(pa.table({"level": level}))
    >>> sets = Comparison(rows(0, 1), rows(1, 2), rows(0, 3))
    >>> found = SliceScan().compute(sets, np.random.default_rng(0))
    >>> found.value >= 1
    True

    References
    ----------
    Westfall, Young (1993), Resampling-Based Multiple Testing, Wiley (smallest p-value by permutation).
    Schilling (1986), Multivariate two-sample tests based on nearest neighbors, JASA 81.
    """

    family = "gap"
    title = "differences within slices"
    interpretation = (
        "Number of differences from real rows that chance does not explain, in all rows and in slices such "
        "as one level, band or month. Each is named with its size; 0 is best."
    )
    roles = frozenset({Role.APPEARANCE})
    higher_is_better = False
    bounds = (0.0, math.inf)
    kinds = TABULAR_KINDS
    has_floor = False
    known_baseline = 0.0
    uses_all_rows = True

    margin: Margin = 0.0
    alpha: Annotated[float, Interval(gt=0, lt=0.5)] = 0.006
    min_effect: Annotated[float, Ge(0)] = 0.05
    shuffles: Annotated[int, Ge(5)] = 30
    max_rows: Annotated[int, Ge(_MIN_ROWS)] = 50_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the number of differences; a finding names them."""
        real = [part for part in (comparison.train, comparison.reference) if len(part)]
        n_real, n_synthetic = sum(map(len, real)), len(comparison.synthetic)
        if min(n_real, n_synthetic) < _MIN_ROWS:
            raise NotMeasurable(f"it needs at least {_MIN_ROWS} rows in each set")
        share = min(1.0, self.max_rows / n_real)
        real = [part.at_most(max(1, round(share * len(part))), rng) for part in real]
        parts = [*real, comparison.synthetic.at_most(self.max_rows, rng)]
        groups = {field.name for field in parts[0].schema.with_role("group")}
        names = [f.name for f in parts[0].schema.fields if f.is_tabular and f.name not in groups]
        if not names:
            raise NotMeasurable("no column is of a kind that it compares")
        chosen = names if len(names) <= _MAX_COLUMNS else _choose(names, comparison.target, rng)
        persons = _persons(parts) if groups else None
        parts = [part.select(chosen) for part in parts]
        columns, calendar = read_columns(parts), read_calendar(parts)
        if not columns:
            raise NotMeasurable("no column has a value or a level that enough rows have")
        scores = score_rows(columns, calendar, comparison.target, rng)
        n = [len(part) for part in parts]
        is_synthetic = np.repeat([*[False] * len(real), True], n)
        slices = find_slices(
            parts, columns, calendar, comparison.target, float(is_synthetic.mean())
        )
        scan = Scan(scores, slices, is_synthetic)
        scan.calibrate(persons, self.shuffles, rng)
        found = name_differences(scan, columns, self.alpha, self.min_effect)
        findings = (
            SliceDifferences(tuple(found), len(slices.words) - 1, len(columns)),
            detectable_differences(scan, self.alpha),
            DecidingRows(min(n_real, n_synthetic), "rows of each set"),
            *limit_columns(len(chosen), len(names)),
        )
        return Measurement(float(len(found)), findings=findings)


def _choose(names: list[str], target: str | None, rng: np.random.Generator) -> list[str]:
    """Return the target and others at random, in their order."""
    drawn = {names[i] for i in rng.permutation(len(names))[: _MAX_COLUMNS - 1]} | {target}
    return [name for name in names if name in drawn]


def _persons(parts: Sequence[Dataset]) -> Ints:
    """Return the persons of all rows; those of real and of synthetic rows are never the same."""
    found: list[Ints] = []
    for part in parts:
        first = 1 + int(found[-1].max()) if found else 0
        found.append(first + person_codes(part))
    return np.concatenate(found)
