"""Tests of all slices by all scores, with chance measured by exchanging rows of both sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .._bootstrap_metric import Bools, Floats, Ints
from ._scan_features import RowScores
from ._scan_slices import RowSlices, Tier

Singles = npt.NDArray[np.float32]

_CHUNK = 8_192  # rows whose slices are in memory at once: 25 MB for 800 slices
# Of a difference of means: beyond it the normal approximation is off, and so rare a level too rare
# to show much.
_MAX_SKEWNESS = 0.16
_MIN_SYNTHETIC = 15.0  # expected synthetic rows of a slice, below which a mean says little
_SHUFFLE_ROWS = 9_000  # rows of a shuffle: chance depends on the slices, hardly on the rows
# Parts of the allowance for false discoveries. All rows, the target and single conditions are
# what users look at first, and there are few of them.
_WEIGHTS: Mapping[int, float] = {
    Tier.ALL: 0.35, Tier.TARGET: 0.2, Tier.SINGLE: 0.25, Tier.TARGET_PAIR: 0.1, Tier.PAIR: 0.1,
}  # fmt: skip
_CAUTION = 1.3  # times as many tests as the shuffles show, for the error of that number
_LINK_SHUFFLES = 200  # which give the standard deviation to a twentieth
_FAR = 8.0  # standard errors: beyond it the correction for skewness is of no use


@dataclass(frozen=True)
class ScanResult:
    """Tests of slices by scores, (s, p), of all rows by more scores, (1, q), or of pairs, (v, v)."""

    z: Floats  # Standardised differences of means, synthetic minus real; 0 where not tested
    effect: Floats  # The same in standard deviations of the score in that slice
    log_p: Floats  # Logarithm of the p-value, adjusted for all tests there are


@dataclass(frozen=True)
class ScanResults:
    """All tests of a scan."""

    slices: ScanResult
    all_rows: ScanResult
    pairs: ScanResult
    links: ScanResult  # (1, 1): how often the nearest row is of the other set


@dataclass(frozen=True)
class _Moments:
    """Moments of scores over slices, of both sets together."""

    n: Singles  # Rows that have the score
    mean: Singles
    spread: Singles
    skewness: Singles
    tested: Bools

    @classmethod
    def from_powers(cls, n: Floats, powers: list[Floats], share: float) -> _Moments:
        """Return the moments, given the sums of the first three powers."""
        rows = np.maximum(n, 1.0)
        mean = powers[0] / rows
        variance = powers[1] / rows - mean**2
        third = powers[2] / rows - 3 * mean * powers[1] / rows + 2 * mean**3
        tested = (variance > 1e-6) & (n * share >= _MIN_SYNTHETIC)
        spread = np.sqrt(np.where(tested, variance, 1.0))
        # Of a difference of means, where the sets have their expected shares of the rows.
        skewness = third / spread**3 * (1 - 2 * share) / np.sqrt(rows * share * (1 - share))
        tested &= np.abs(skewness) <= _MAX_SKEWNESS
        singles = [part.astype(np.float32) for part in (n, mean, spread, skewness)]
        return cls(singles[0], singles[1], singles[2], singles[3], tested)

    def standardise(self, n_synthetic: Singles, sums: Singles) -> Singles:
        """Return the differences of means by their standard errors, if rows are exchanged.

        Corrected for skewness by the expansion of Cornish and Fisher; its second term is that of a gamma
        distribution, whose kurtosis is 1.5 times its squared skewness.
        """
        n_real = self.n - n_synthetic
        tested = self.tested & (n_synthetic > 0) & (n_real > 0)
        weight = np.sqrt(np.where(tested, n_synthetic * n_real / np.maximum(self.n, 1), 1))
        z = (sums - n_synthetic * self.mean) / (self.spread * weight)
        near = np.clip(z, -_FAR, _FAR)
        square = near * near
        better = near - self.skewness * (square - 1) / 6 + 0.0486 * self.skewness**2 * near * square
        better = np.where((np.abs(z) > _FAR) | (better * z < 0), z, better)
        return np.where(tested, better, np.float32(0))


class Scan:
    """Sums of scores over slices, for all rows and for shuffles of the sets."""

    def __init__(self, scores: RowScores, slices: RowSlices, is_synthetic: Bools) -> None:
        self.scores, self.slices, self.is_synthetic = scores, slices, is_synthetic
        self.share = float(is_synthetic.mean())
        self._known = np.array([name.known for name in scores.names], dtype=np.int64)
        self._global_known = np.array([name.known for name in scores.global_names], dtype=np.int64)
        self._moments = self._pool(np.arange(len(is_synthetic)))
        self._mixed = (0.0, 1.0)
        self.n_tests: dict[int, float] = dict.fromkeys(Tier, 1.0)
        # How much more a mean varies than that of as many independent rows
        self._inflation: tuple[Floats, ...] = (np.ones(1), np.ones(1), np.ones(1))

    def test(self, keep: Bools | None = None) -> ScanResults:
        """Return the tests of all rows, or of those to keep."""
        if keep is None:
            moments, rows = self._moments, np.flatnonzero(self.is_synthetic)
        else:
            moments = self._pool(np.flatnonzero(keep))
            rows = np.flatnonzero(self.is_synthetic & keep)
        sums = self._sum(rows)
        tiers = self.slices.tiers[:, None], np.zeros((1, 1), np.int64), np.zeros((1, 1), np.int64)
        found = []
        for own, (n, total), tier, inflation in zip(moments, sums, tiers, self._inflation):
            z = own.standardise(n, total).astype(float) / inflation
            n_real = np.maximum(own.n - n, 1)
            effect = z * inflation * np.sqrt(own.n / np.maximum(n, 1) / n_real)
            found.append(ScanResult(z, effect, self._adjust(z, tier)))
        return ScanResults(found[0], found[1], found[2], self._test_links(keep))

    def calibrate(self, persons: Ints | None, shuffles: int, rng: np.random.Generator) -> None:
        """Measure how many independent tests each tier is worth, and how far rows depend.

        `persons`: codes of the persons of the rows, who are exchanged whole; None for one each.
        """
        rows = np.sort(rng.permutation(len(self.is_synthetic))[:_SHUFFLE_ROWS])
        part = self._take(rows)
        n_synthetic = round(len(rows) * self.share)
        members = None if persons is None else np.unique(persons[rows], return_inverse=True)[1]
        largest: dict[int, list[float]] = {tier: [] for tier in Tier}
        squares = []
        for _ in range(shuffles):
            drawn = _draw_rows(len(rows), n_synthetic, members, rng)
            z = [own.standardise(*sums) for own, sums in zip(part._moments, part._sum(drawn))]
            squares.append([z[0] ** 2, z[1] ** 2, z[2] ** 2])
        means = [np.mean([each[k] for each in squares], axis=0) for k in range(3)]
        if members is not None:
            self._inflation = (
                _root(means[0].mean(axis=0)), _root(means[1][0]), _root(np.array(means[2].mean())),
            )  # fmt: skip
        for each in squares:
            scaled = [square / factor**2 for square, factor in zip(each, self._inflation)]
            by_slice = scaled[0].max(axis=1, initial=0.0)
            by_slice[0] = max(by_slice[0], scaled[1].max(initial=0.0), scaled[2].max(initial=0.0))
            for tier in Tier:
                own = by_slice[self.slices.tiers == tier]
                largest[tier].append(float(np.sqrt(own.max(initial=0.0))))
        self._mixed = self._shuffle_links(persons, rng)
        self.n_tests = {tier: _count_tests(np.array(z)) for tier, z in largest.items()}

    def _test_links(self, keep: Bools | None) -> ScanResult:
        """Return the test of which rows are nearest, whose chance is known for all rows only."""
        z = np.zeros((1, 1))
        if keep is None:
            own = self.is_synthetic[self.scores.links.rows]
            mean, spread = self._mixed
            z[0, 0] = (self.scores.links.count_mixed(own) - mean) / spread
        return ScanResult(
            z, z / np.sqrt(len(self.is_synthetic)), self._adjust(z, np.zeros((1, 1), np.int64))
        )

    def _shuffle_links(self, persons: Ints | None, rng: np.random.Generator) -> tuple[float, float]:
        """Return mean and standard deviation of the weight of mixed pairs, of exchanged rows."""
        links = self.scores.links
        n_synthetic = int(self.is_synthetic[links.rows].sum())
        members = (
            None if persons is None else np.unique(persons[links.rows], return_inverse=True)[1]
        )
        found = []
        for _ in range(_LINK_SHUFFLES):
            drawn = np.zeros(len(links.rows), dtype=bool)
            drawn[_draw_rows(len(drawn), n_synthetic, members, rng)] = True
            found.append(links.count_mixed(drawn))
        return float(np.mean(found)), float(np.std(found)) or 1.0

    def critical_z(self, tier: Tier, alpha: float) -> float:
        """Return the standardised difference that a test of a tier needs."""
        from scipy.special import ndtri

        return float(-ndtri(alpha * _WEIGHTS[tier] / self.n_tests[tier] / 2))

    def _adjust(self, z: Floats, tiers: Ints) -> Floats:
        """Return logarithms of p-values for all tests of all tiers together."""
        from scipy.special import log_ndtr

        weight = np.array([self.n_tests[tier] / _WEIGHTS[tier] for tier in Tier])
        log_p = np.log(2) + log_ndtr(-np.abs(z)) + np.log(weight)[tiers]
        return np.where(z == 0, 0.0, log_p)

    def _pool(self, rows: Ints) -> tuple[_Moments, _Moments, _Moments]:
        """Return the moments of all these rows, by slice, of all rows, and by pair."""
        tables: list[list[Floats]] = []
        for part in _chunks(rows):
            mask = self.slices.masks(part).T
            known, score = self.scores.known[part], self.scores.values[part]
            other, own = self.scores.global_values[part], self.scores.paired[part]
            new = [mask @ known, *(mask @ power for power in _powers(score))]
            new += [known.sum(axis=0)[None], *(power.sum(axis=0)[None] for power in _powers(other))]
            new += [power.T @ power for power in _powers(own)]
            tables.append([table.astype(float) for table in new])
        sums = [np.sum(each, axis=0) for each in zip(*tables)]
        n_pairs = np.where(self._same_column, 0.0, float(len(rows)))
        return (
            _Moments.from_powers(sums[0][:, self._known], sums[1:4], self.share),
            _Moments.from_powers(sums[4][:, self._global_known], sums[5:8], self.share),
            _Moments.from_powers(n_pairs, sums[8:], self.share),
        )

    def _sum(self, rows: Ints) -> list[tuple[Singles, Singles]]:
        """Return numbers of rows with a score, and sums of it, as `_pool` orders them."""
        tables = []
        for part in _chunks(rows):
            mask, known = self.slices.masks(part).T, self.scores.known[part]
            own = self.scores.paired[part]
            new = [mask @ known, mask @ self.scores.values[part], known.sum(axis=0)[None]]
            tables.append([*new, self.scores.global_values[part].sum(axis=0)[None], own.T @ own])
        sums = [np.sum(each, axis=0) for each in zip(*tables)]
        n_pairs = np.full_like(sums[4], len(rows))
        return [
            (sums[0][:, self._known], sums[1]),
            (sums[2][:, self._global_known], sums[3]),
            (n_pairs, sums[4]),
        ]

    @property
    def _same_column(self) -> Bools:
        """Pairs that are not compared: those of one column, and half of the others."""
        columns = [name.columns for name in self.scores.paired_names]
        same = np.array([[one == other for other in columns] for one in columns], dtype=bool)
        return np.asarray(same | np.tri(len(columns), dtype=bool))

    def _take(self, rows: Ints) -> Scan:
        """Return the scan of some rows."""
        return Scan(self.scores.take(rows), self.slices.expand(rows), self.is_synthetic[rows])


def _chunks(rows: Ints) -> Iterator[Ints]:
    for start in range(0, max(len(rows), 1), _CHUNK):
        yield rows[start : start + _CHUNK]


def _powers(score: Singles) -> tuple[Singles, Singles, Singles]:
    square = score * score
    return score, square, square * score


def _draw_rows(n: int, n_synthetic: int, persons: Ints | None, rng: np.random.Generator) -> Ints:
    """Return positions of rows that stand for synthetic ones; those of one person stay together."""
    if persons is None:
        return np.sort(rng.permutation(n)[:n_synthetic])
    order = rng.permutation(int(persons.max()) + 1)
    filled = np.cumsum(np.bincount(persons)[order])
    return np.flatnonzero(np.isin(persons, order[filled <= max(n_synthetic, 1)]))


def _root(mean_square: Floats) -> Floats:
    """Return how far the standard deviation of z is above 1."""
    return np.asarray(np.sqrt(np.maximum(mean_square.astype(float), 1.0)))


def _count_tests(largest: Floats) -> float:
    """Return the number of independent tests whose largest z is distributed as those of shuffles.

    The smallest p-value of m independent tests has -log(1 - p) exponential with mean 1 / m.
    """
    from scipy.special import ndtr

    p = np.clip(2 * ndtr(-largest), 1e-300, 1 - 1e-12)
    return float(max(1.0, _CAUTION * len(p) / -np.log1p(-p).sum()))
