"""Differences that a scan names: the strongest first, then what is left in the other rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from twinset.core.differences import DetectableDifferences, DifferenceKind, SliceDifference

from .._bootstrap_metric import Bools, Floats
from .._samples import shown_share
from ._scan_features import RowColumn, ScoreName
from ._scan_slices import Tier
from ._scan_tests import Scan, ScanResult, ScanResults

_MAX_NAMED = 8  # differences: after so many, a list says no more than that much is wrong
_ALPHA = 0.05  # of the intervals, which hold for all tests together
_POWER_QUANTILE = 0.84  # 80 % power
# Change of the mean absolute rank score, in its standard deviations, when the standard deviation
# of a normal column grows by its e-th part: 1 / pi by 0.289
_SPREAD_SLOPE = 1.1
# What a reader can act on comes first: a shifted mean also changes how round values are, and a
# changed share in a slice may only be the other side of a shifted number.
_PREFERENCE: Mapping[DifferenceKind, float] = {
    DifferenceKind.LOCATION: 1.0, DifferenceKind.RESIDUAL: 0.95, DifferenceKind.MISSING: 1.0,
    DifferenceKind.SHARE: 0.9, DifferenceKind.SPREAD: 0.8, DifferenceKind.DEPENDENCE: 0.8,
    DifferenceKind.NOISE: 0.8, DifferenceKind.TAIL: 0.6, DifferenceKind.DENSITY: 0.6,
    DifferenceKind.SHAPE: 0.5, DifferenceKind.ROUNDNESS: 0.5, DifferenceKind.REPEATS: 0.45,
}  # fmt: skip
_IN_SLICE = 0.6  # times the preference of a share within a slice
_PER_CONDITION = 0.94  # for each condition: of two slices with about the same z, the wider is named
_OF_ITSELF = 0.6  # times the preference of a column within a band of its own values
# A slice is named in place of all rows if its difference has this part of their z ...
_SPECIFIC = 0.5
# ... and is this many times as large: what is alike in all rows is of the same size in any slice.
_LARGER = 2.5
# Part of the residual's z at which the plain mean is named in its place: it is easier to check
_PLAIN = 0.55
_SHAPES = (
    DifferenceKind.TAIL,
    DifferenceKind.SHAPE,
    DifferenceKind.ROUNDNESS,
    DifferenceKind.REPEATS,
)
# These follow from any other difference of their columns.
_DERIVED = (DifferenceKind.RESIDUAL, DifferenceKind.NOISE, DifferenceKind.DENSITY)


@dataclass(frozen=True)
class _Test:
    """One test that chance does not explain."""

    name: ScoreName
    slice: int
    z: float
    effect: float
    group: str  # The result that it is in
    place: tuple[int, int]
    is_of_itself: bool = False  # Whether the slice is a band of the column itself
    n_conditions: int = 0  # Of the slice

    @property
    def rank(self) -> float:
        """Return how early the difference is named."""
        factor = (_OF_ITSELF if self.is_of_itself else 1.0) * _PER_CONDITION**self.n_conditions
        if self.slice > 0 and self.name.kind == DifferenceKind.SHARE:
            factor *= _IN_SLICE
        return abs(self.z) * _PREFERENCE[self.name.kind] * factor


def name_differences(
    scan: Scan, columns: Sequence[RowColumn], alpha: float, min_effect: float
) -> list[SliceDifference]:
    """Return the differences beyond chance, of which none is explained by one before it."""
    results = scan.test()
    tests = list(_significant(scan, results, np.log(alpha), min_effect))
    named: list[_Test] = []
    keep = np.ones(len(scan.is_synthetic), dtype=bool)
    while tests and len(named) < _MAX_NAMED:
        best = max(tests, key=lambda test: test.rank)
        best = _plainest(_explaining_slice(scan, best, tests, float(np.log(alpha))), tests)
        named.append(best)
        if best.slice:
            keep &= ~scan.slices.mask(best.slice)
            left = scan.test(keep)
            places = {
                (t.group, t.place) for t in _significant(scan, left, np.log(alpha), min_effect)
            }
            tests = [test for test in tests if (test.group, test.place) in places]
        tests = [test for test in tests if not _is_explained(test, best)]
    by_name = {column.name: column for column in columns}
    return [_describe(scan, test, by_name) for test in named]


def detectable_differences(scan: Scan, alpha: float) -> DetectableDifferences:
    """Return the smallest differences that a scan of so many rows finds in four of five cases."""
    n_synthetic = int(scan.is_synthetic.sum())
    n_real = len(scan.is_synthetic) - n_synthetic
    error = float(np.sqrt(1 / n_synthetic + 1 / n_real))
    whole, single = (
        (scan.critical_z(tier, alpha) + _POWER_QUANTILE) * error for tier in (Tier.ALL, Tier.SINGLE)
    )
    return DetectableDifferences(
        all_rows=whole,
        fifth=single * np.sqrt(5.0),
        twentieth=single * np.sqrt(20.0),
        correlation=whole,
        spread=float(np.exp(whole / _SPREAD_SLOPE)),
        n_synthetic=n_synthetic,
        n_real=n_real,
    )


def _significant(
    scan: Scan, results: ScanResults, log_alpha: float, min_effect: float
) -> Iterator[_Test]:
    """Yield the tests that chance does not explain, and that are large enough to matter."""
    scores = scan.scores
    links = ScoreName(DifferenceKind.DENSITY, (), "nearest")
    groups: list[tuple[str, ScanResult, Sequence[ScoreName]]] = [
        ("slices", results.slices, scores.names),
        ("all_rows", results.all_rows, scores.global_names),
        ("links", results.links, (links,)),
    ]
    for group, found, names in groups:
        large = (found.log_p < log_alpha) & (np.abs(found.effect) >= min_effect)
        for i, j in np.argwhere(large):
            z, effect = float(found.z[i, j]), float(found.effect[i, j])
            own = group == "slices" and bool({*names[j].columns} & scan.slices.columns[i])
            is_own = own and names[j].kind != DifferenceKind.NOISE
            n = len(scan.slices.columns[i])
            yield _Test(names[j], int(i), z, effect, group, (int(i), int(j)), is_own, n)
    found, paired = results.pairs, scores.paired_names
    for i, j in np.argwhere((found.log_p < log_alpha) & (np.abs(found.effect) >= min_effect)):
        detail = " and ".join(filter(None, (paired[i].detail, paired[j].detail)))
        columns = (*paired[i].columns, *paired[j].columns)
        name = ScoreName(DifferenceKind.DEPENDENCE, columns, detail)
        z, effect = float(found.z[i, j]), float(found.effect[i, j])
        yield _Test(name, 0, z, effect, "pairs", (int(i), int(j)))


def _explaining_slice(scan: Scan, best: _Test, tests: Sequence[_Test], log_alpha: float) -> _Test:
    """Return the test of the one slice without which the difference of all rows is gone, if any."""
    if best.slice:
        return best
    inside = [
        test
        for test in tests
        if test.slice
        and test.name.columns == best.name.columns
        and not test.is_of_itself
        and abs(test.z) >= _SPECIFIC * abs(best.z)
        and abs(test.effect) >= _LARGER * abs(best.effect)
    ]
    if not inside or best.group not in ("slices", "all_rows"):
        return best
    chosen = max(inside, key=lambda test: test.rank)
    left = scan.test(~scan.slices.mask(chosen.slice))
    found = left.slices if best.group == "slices" else left.all_rows
    return best if found.log_p[best.place] < log_alpha else chosen


def _plainest(best: _Test, tests: Sequence[_Test]) -> _Test:
    """Return the shifted mean or changed spread of the same column and slice, where it is clear.

    A shift also changes residuals, tails, and how round values are.
    """
    if best.name.kind in (DifferenceKind.RESIDUAL, DifferenceKind.NOISE):
        least = _PLAIN * abs(best.z)
    elif best.name.kind in _SHAPES:
        least = 0.0
    else:
        return best
    plain = (DifferenceKind.LOCATION, DifferenceKind.SPREAD)
    others = [
        test
        for test in tests
        if test.name.kind in plain
        and test.name.columns == best.name.columns
        and (test.slice == best.slice or (best.name.kind in _SHAPES and not test.is_of_itself))
        and abs(test.z) >= least
    ]
    return max(others, key=lambda test: test.rank, default=best)


def _is_explained(test: _Test, named: _Test) -> bool:
    """Return whether a difference may follow from one that is named."""
    if named.slice:
        return False  # It is significant outside that slice.
    if test.group == "links":
        return named.group == "links"
    shared = set(test.name.columns) & set(named.name.columns)
    return bool(shared) or not named.name.columns or test.name.kind in _DERIVED


def _describe(scan: Scan, test: _Test, columns: Mapping[str, RowColumn]) -> SliceDifference:
    inside = scan.slices.mask(test.slice)
    synthetic, real = inside & scan.is_synthetic, inside & ~scan.is_synthetic
    tier = Tier(int(scan.slices.tiers[test.slice]))
    width = scan.critical_z(tier, _ALPHA) * abs(test.effect / test.z)
    values = _measure(scan, test, columns)
    means: tuple[float | None, float | None] = (None, None)
    if values is not None:
        pair = [float(np.nanmean(values[rows])) for rows in (synthetic, real)]
        known = int((~np.isnan(values[real])).sum())
        is_share = bool(np.isin(values[~np.isnan(values)], (0, 1)).all())
        means = pair[0], shown_share(pair[1] * known, known) if is_share else pair[1]
        if test.name.kind == DifferenceKind.SPREAD:
            means = float(np.nanstd(values[synthetic])), float(np.nanstd(values[real]))
    return SliceDifference(
        test.name.columns,
        test.name.kind,
        scan.slices.words[test.slice],
        test.name.detail,
        test.effect,
        (test.effect - width, test.effect + width),
        *means,
        int(synthetic.sum()),
        int(real.sum()),
    )


def _measure(scan: Scan, test: _Test, columns: Mapping[str, RowColumn]) -> Floats | None:
    """Return the numbers whose mean the reader is shown, (n,); None where no such number says much."""
    kind, scores = test.name.kind, scan.scores
    column = columns.get(test.name.columns[0]) if test.name.columns else None
    if kind == DifferenceKind.DEPENDENCE:
        if test.group == "pairs":
            i, j = test.place
            return np.asarray(scores.paired[:, i] * scores.paired[:, j], dtype=float)
        return None
    if column is None:
        return None
    if kind == DifferenceKind.SHARE:
        level = test.name.detail
        value = column.levels.index(level) if column.levels else float(level)
        return np.asarray(np.isclose(column.values, value), dtype=float)
    if kind == DifferenceKind.MISSING:
        return column.missing.astype(float)
    if kind in (DifferenceKind.TAIL, DifferenceKind.ROUNDNESS):
        values = scores.values if test.group == "slices" else scores.global_values
        score = values[:, test.place[1]]
        known: Bools = scores.known[:, test.name.known] > 0
        return np.where(known, score > 0, np.nan)
    if kind in (DifferenceKind.LOCATION, DifferenceKind.SPREAD) and not column.field.is_time:
        return column.values
    return None
