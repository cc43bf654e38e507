"""Columns in a canonical form, so that another unit, spelling or coding hides no copied row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

# Quantiles by which the scale of a column is compared; the outer ones are robust to 5 % of outliers.
_QUANTILES = (0.05, 0.5, 0.95)
# A spread twice or half the real one, or a middle farther off than the spread, is another scale:
# synthetic columns of the right unit are nearer than that.
_MAX_RATIO = 2.0
# Factors between units in use: of time, length, mass, temperature, dozens; powers of ten come beside.
_UNITS = (12.0, 24.0, 7.0, 60.0, 1_440.0, 3_600.0, 86_400.0, 2.54, 30.48, 0.4536, 1.609344, 1.8)
_NEAR_UNIT = 0.05  # relative: a ratio of spreads of two samples of thousands is as exact as that
_MIN_FOREIGN = (
    0.02  # share of rows with levels unknown to the other set from which levels are aligned
)
_MAX_ALIGNED = 60  # levels of one column that are aligned; more are names, which `texts` compares
# Difference of the mean ranks (half a standard deviation is 0.14) or of the share of a level. Random
# splits of 200 rows and more stay far below it, and the test excludes smaller ones.
_MAX_SHIFT, _CERTAIN = 0.1, 1e-6
_YES, _NO = ("true", "yes", "y", "t", "on"), ("false", "no", "n", "f", "off")


@dataclass(frozen=True)
class CanonicalColumn:
    """A column of real and of synthetic rows: values of a number, else codes of levels; missing is NaN."""

    name: str
    is_number: bool
    real: Floats  # Train rows, then holdout rows, shape (n + m,)
    synthetic: Floats  # shape (c,)

    @property
    def exact(self) -> tuple[Codes, Codes]:
        """Codes that are equal where values are equal; missing is a value."""
        joined = np.concatenate([self.real, self.synthetic])
        codes = np.unique(np.nan_to_num(joined, nan=-np.inf), return_inverse=True)[1].ravel()
        return codes[: len(self.real)], codes[len(self.real) :]

    def is_drifted(self, n_train: int) -> bool:
        """Whether train and holdout rows are no draws of one distribution, as where one is later."""
        from scipy.special import ndtr

        train, holdout = self.real[:n_train], self.real[n_train:]
        train, holdout = train[~np.isnan(train)], holdout[~np.isnan(holdout)]
        if not len(train) or not len(holdout):
            return False
        n, m = len(train), len(holdout)
        if self.is_number:
            # The rank-sum statistic as an area under the ROC curve, and its standard error.
            placed = ranks(np.concatenate([train, holdout]))
            shift = abs(float(placed[n:].mean() - placed[:n].mean()))
            error = np.sqrt((n + m + 1) / (12 * n * m))
        else:
            counts = [np.bincount(part.astype(np.int64), minlength=1) for part in (train, holdout)]
            size = max(map(len, counts))
            shares = [np.pad(count, (0, size - len(count))) / count.sum() for count in counts]
            shift = float(np.abs(shares[0] - shares[1]).max())
            error = np.sqrt((1 / n + 1 / m) / 4)  # of a share of a half, the largest there is
        return shift > _MAX_SHIFT and 2 * ndtr(-shift / error) < _CERTAIN

    def coarse(self, n_bins: int, offset: float, *, by_rank: bool) -> tuple[Codes, Codes]:
        """Return codes of bins for a number: by value, or by rank among the rows of its own set.

        Bins by value divide the range of 90 % of the real values in `n_bins`; `offset`, 0 to 1, moves
        their edges, so that what one edge parts another one does not.
        """
        if not self.is_number:
            return self.exact
        parts = self.real, self.synthetic
        if by_rank:
            scaled = [n_bins * ranks(part) for part in parts]
        else:
            present = self.real[np.isfinite(self.real)]
            low, high = np.quantile(present, [0.05, 0.95]) if len(present) else (0.0, 1.0)
            width = (high - low) / n_bins or (float(np.std(present)) / 2 if len(present) else 0.0)
            scaled = [part / (width or 1.0) for part in parts]
        binned = np.floor(np.concatenate(scaled) + offset)
        codes = np.unique(np.nan_to_num(binned, nan=-np.inf), return_inverse=True)[1].ravel()
        return codes[: len(self.real)], codes[len(self.real) :]


def canonical_columns(
    train: Dataset, holdout: Dataset, synthetic: Dataset, names: Sequence[str]
) -> list[CanonicalColumn]:
    """Return the named columns of all sets, with synthetic units, spellings and codes made the real ones.

    Nothing here depends on which real rows are train rows.
    """
    columns = []
    for name in names:
        field = train.schema[name]
        if field.has_levels:
            columns.append(_level_column(name, train, holdout, synthetic))
            continue
        values = [part.values(name) for part in (train, holdout, synthetic)]
        real = np.concatenate(values[:2])
        found = rescale(real, values[2])
        if field.decimals is not None:
            real, found = np.round(real, field.decimals), np.round(found, field.decimals)
        columns.append(CanonicalColumn(name, True, real + 0.0, found + 0.0))
    return _align_levels(columns)


def rescale(real: Floats, synthetic: Floats) -> Floats:
    """Return synthetic numbers in the unit of the real ones, if their scale is another one.

    Examples
    --------
    >>> heights = np.linspace(1.5, 2.0, 11)
    >>> np.allclose(rescale(heights, 1000 * heights), heights)
    True
    >>> np.allclose(rescale(heights, heights + 0.1), heights + 0.1)  # near enough: left as it is
    True
    """
    parts = [part[np.isfinite(part)] for part in (real, synthetic)]
    if not all(map(len, parts)):
        return synthetic
    (low, middle, high), (own_low, own_middle, own_high) = (
        np.quantile(p, _QUANTILES) for p in parts
    )
    reach, own_reach = high - low, own_high - own_low
    if not reach or not own_reach:
        return synthetic
    ratio = reach / own_reach
    if 1 / _MAX_RATIO < ratio < _MAX_RATIO and abs(own_middle - middle) < reach:
        return synthetic
    units = np.array([10.0 ** np.arange(-9, 10), *(np.full(19, unit) for unit in _UNITS)]).ravel()
    units = np.concatenate([units, 1 / units])
    nearest = units[np.argmin(np.abs(np.log(units / ratio)))]
    factor = float(nearest if abs(nearest / ratio - 1) < _NEAR_UNIT else ratio)
    shift = middle - factor * own_middle
    if abs(shift) < _NEAR_UNIT * reach:
        shift = 0.0
    return np.asarray(synthetic * factor + shift)


def subtract_one(columns: Sequence[CanonicalColumn]) -> list[CanonicalColumn]:
    """Return numbers without the number of most values, so that a shift of all of them hides no row.

    Empty where there are not two numbers.
    """
    numbers = [column for column in columns if column.is_number]
    if len(numbers) < 2:
        return []
    first = max(numbers, key=lambda column: len(np.unique(column.real)))
    found = []
    for column in columns:
        if column.is_number and column is not first:
            # Nine digits: differences of equal numbers agree to about fifteen.
            parts = (column.real - first.real, column.synthetic - first.synthetic)
            scale = 10.0 ** np.ceil(np.log10(np.nanmax(np.abs(parts[0]), initial=1e-300)) - 9)
            column = CanonicalColumn(column.name, True, *(np.round(x / scale) for x in parts))
        elif column is first:
            continue
        found.append(column)
    return found


def ranks(values: Floats) -> Floats:
    """Return the middle ranks of values among themselves, in [0, 1]; missing stays NaN.

    Examples
    --------
    >>> ranks(np.array([5.0, 7.0, 7.0, np.nan])).round(2).tolist()
    [0.17, 0.67, 0.67, nan]
    """
    present = np.sort(values[~np.isnan(values)])
    low, high = (np.searchsorted(present, values, side=side) for side in ("left", "right"))
    found = (low + high) / 2 / max(len(present), 1)
    return np.where(np.isnan(values), np.nan, found)


def spell_alike(levels: Sequence[str], as_booleans: bool) -> list[str]:
    """Return levels without differences of case, blanks, leading zeros and words for true and false.

    Examples
    --------
    >>> spell_alike([" New  York", "007", "1.0", "Yes"], as_booleans=True)
    ['new york', '7', '1', '1']
    """
    found = []
    for level in levels:
        text = " ".join(level.casefold().split())
        if as_booleans:
            text = "1" if text in _YES else "0" if text in _NO else text
        if text.lstrip("+-").replace(".", "", 1).isdecimal():
            text = f"{float(text):.15g}"
        found.append(text)
    return found


def _level_column(
    name: str, train: Dataset, holdout: Dataset, synthetic: Dataset
) -> CanonicalColumn:
    """Return a column of levels as codes of their canonical spelling."""
    coded = [part.codes(name) for part in (train, holdout, synthetic)]
    own = sorted({*coded[0][1], *coded[1][1]})
    both = max(len(own), len(coded[2][1])) <= 2
    spelt = spell_alike(own, both)
    # Levels that only case or blanks tell apart stay as they are.
    same = len(set(spelt)) == len(own)
    place: dict[str, int] = {}
    parts = []
    for codes, levels in coded:
        texts = spell_alike(levels, both) if same else list(levels)
        numbers = [place.setdefault(text, len(place)) for text in texts]
        parts.append(np.array([*numbers, np.nan])[codes])
    return CanonicalColumn(name, False, np.concatenate(parts[:2]), parts[2])


def _align_levels(columns: list[CanonicalColumn]) -> list[CanonicalColumn]:
    """Return the columns with levels that only one set knows paired by frequency and co-occurrence."""
    known: dict[str, tuple[Codes, Codes]] = {}
    for column in columns:
        if not column.is_number:
            values = [
                part[~np.isnan(part)].astype(np.int64) for part in (column.real, column.synthetic)
            ]
            size = max((int(part.max(initial=-1)) + 1 for part in values), default=0)
            counts = [np.bincount(part, minlength=size) for part in values]
            absent = [np.flatnonzero((a > 0) & (b == 0)) for a, b in (counts, counts[::-1])]
            share = counts[1][absent[1]].sum() / max(len(column.synthetic), 1)
            if len(absent[0]) and share >= _MIN_FOREIGN and max(map(len, absent)) <= _MAX_ALIGNED:
                known[column.name] = absent[0], absent[1]
    if not known:
        return columns
    features = [
        _features([c for c in columns if c.name not in known], part)
        for part in ("real", "synthetic")
    ]
    return [
        _paired(column, features, *known[column.name]) if column.name in known else column
        for column in columns
    ]


def _features(columns: Sequence[CanonicalColumn], part: str) -> Floats:
    """Return numbers as ranks and levels as indicators, for profiles of levels, shape (n, d)."""
    found = []
    for column in columns:
        values = getattr(column, part)
        if column.is_number:
            found.append(np.nan_to_num(ranks(values), nan=0.5))
        else:
            top = np.argsort(-np.bincount(column.real[~np.isnan(column.real)].astype(np.int64)))[:5]
            found += [(values == level).astype(np.float64) for level in top]
    rows = len(getattr(columns[0], part)) if columns else 0
    return np.stack(found, axis=1) if found else np.empty((rows, 0))


def _paired(
    column: CanonicalColumn, features: Sequence[Floats], real: Codes, synthetic: Codes
) -> CanonicalColumn:
    """Return the column with these synthetic levels renamed to the real ones that they are most like."""
    from scipy.optimize import linear_sum_assignment

    profiles = []
    for values, levels, rows in (
        (column.real, real, features[0]),
        (column.synthetic, synthetic, features[1]),
    ):
        masks = [values == level for level in levels]
        shares = np.array([[np.sqrt(mask.mean())] for mask in masks])
        means = [rows[mask].mean(axis=0) for mask in masks] if rows.shape[1] else [[]] * len(masks)
        profiles.append(np.hstack([shares, np.array(means).reshape(len(masks), -1)]))
    cost = ((profiles[0][:, None] - profiles[1]) ** 2).sum(axis=2)
    pairs = zip(*linear_sum_assignment(cost), strict=True)
    renamed = column.synthetic.copy()
    for i, j in pairs:
        renamed[column.synthetic == synthetic[j]] = real[i]
    return CanonicalColumn(column.name, False, column.real, renamed)
