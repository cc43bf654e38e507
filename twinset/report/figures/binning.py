"""Bins that real, synthetic and holdout values share, on round numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MAX_BINS = 24

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bins:
    """Bins that are drawn equally wide.

    Parameters
    ----------
    edges : numpy.ndarray, shape (n_bins + 1,)
        Where bins begin and end, ascending.
    whole : bool
        Whether the values are whole numbers; the edges then lie halfway between two of them.
    log_like : bool
        Whether bins grow away from zero.
    """

    edges: Floats
    whole: bool = False
    log_like: bool = False

    def count(self, values: Floats) -> Floats:
        """Return how many values fall into each bin, shape (n_bins,); those beyond the ends none."""
        return np.histogram(values, bins=self.edges)[0].astype(np.float64)

    def labels(self, label: Callable[[float, float], str]) -> tuple[tuple[float, str], ...]:
        """Return up to three (position from 0 to 1, text) pairs; `label` turns value and span to text."""
        n = len(self.edges) - 1
        span = float(self.edges[-1] - self.edges[0])
        if n == 1:
            return ((0.5, label(float(self.edges.mean()), 0.0)),)
        if self.whole and self.edges[1] - self.edges[0] == 1:
            # One whole number a bin: name the first, the middle and the last bin.
            bins = sorted({0, (n - 1) // 2, n - 1})
            return tuple(
                ((i + 0.5) / n, label(self.edges[i] + 0.5, max(span, 100.0))) for i in bins
            )
        middle = float(self.edges[n // 2])
        if self.log_like and self.edges[0] < 0 < self.edges[-1] and abs(middle) < 0.01 * span:
            middle = 0.0
        spans = (span, abs(middle) if self.log_like and middle else span, span)
        moved = 0.5 if self.whole else 0.0
        values = (float(self.edges[0]), middle, float(self.edges[n]))
        places = (0.0, (n // 2) / n, 1.0)
        return tuple((p, label(v + moved, s)) for p, v, s in zip(places, values, spans))


def shared_bins(
    found: Sequence[Floats], *, whole: bool, may_compress: bool = True, most: int = MAX_BINS
) -> Bins | None:
    """Return bins for several samples of one column; None when there is no value at all.

    They reach from the least 0.5 % quantile to the greatest 99.5 % quantile, moved outwards to round
    numbers, so that an end is nobody's value. They grow away from zero when nearly all values would
    share one bin otherwise.

    Parameters
    ----------
    found : sequence of numpy.ndarray
        Values of each sample without missing ones.
    whole : bool
        Whether the values are whole numbers.
    may_compress : bool
        Whether bins may grow away from zero.
    most : int
        Greatest number of bins.

    Examples
    --------
    >>> shared_bins([np.array([1.0, 2.0, 3.0])], whole=True).edges.tolist()
    [0.5, 1.5, 2.5, 3.5]
    """
    filled = [values for values in found if values.size]
    if not filled:
        return None
    low = min(float(np.quantile(values, 0.005)) for values in filled)
    high = max(float(np.quantile(values, 0.995)) for values in filled)
    bins = Bins((_whole_edges if whole else _edges)(low, high, most), whole)
    return _compressed(bins, filled) if may_compress else bins


def _whole_edges(low: float, high: float, most: int) -> Floats:
    low, high = np.floor(low), np.ceil(high)
    if high - low >= most:
        low, high = _rounded_out(low, high)
    # A bin holds a whole number of whole numbers, or its height would swing with how many.
    width = np.ceil((high - low + 1) / most)
    n_bins = int(np.ceil((high - low + 1) / width))
    return np.asarray(low - 0.5 + width * np.arange(n_bins + 1))


def _edges(low: float, high: float, most: int) -> Floats:
    if not high - low > 1e-12 * max(abs(low), abs(high), 1e-300):
        width = max(abs(low) * 0.1, 0.5)
        return np.array([low - width, low + width])
    return np.linspace(*_rounded_out(low, high), most + 1)


def _rounded_out(low: float, high: float) -> tuple[float, float]:
    step = 10 ** np.floor(np.log10((high - low) / 10))
    return float(np.floor(low / step) * step), float(np.ceil(high / step) * step)


def _compressed(bins: Bins, filled: Sequence[Floats]) -> Bins:
    pooled = np.concatenate([values[:: max(1, values.size // 20_000)] for values in filled])
    sizes = np.abs(pooled[pooled != 0])
    n_bins = len(bins.edges) - 1
    crowded = n_bins > 3 and bins.count(pooled).max() > 0.6 * pooled.size
    # Around zero the growing bins would draw two humps out of one: only for values of one sign.
    two_sided = 0.05 < np.mean(pooled < 0) < 0.95
    if not crowded or two_sided or sizes.size < 0.2 * pooled.size:
        return bins
    scale = float(f"{np.quantile(sizes, 0.1):.1g}")
    if scale < 1e-200 * np.abs(bins.edges).max():
        return bins
    ends = np.arcsinh(bins.edges[[0, -1]] / scale)
    edges = np.sinh(np.linspace(ends[0], ends[1], n_bins + 1)) * scale
    if bins.whole:
        edges = np.round(edges - 0.5) + 0.5
        if np.diff(edges).min() < 1:
            return bins
    return Bins(edges, bins.whole, log_like=True)
