"""Columns as a few labels: the commonest levels, or real quantile bins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

Labels = npt.NDArray[np.int64]
Labeller = Callable[[Dataset], tuple[Labels, int]]

_LEVELS = 8


def labeller(
    real: Dataset, name: str, *, n_bins: int = _LEVELS, n_levels: int = _LEVELS
) -> Labeller:
    """Return what turns the column of any set into labels and their number, as the real rows cut it.

    A category or boolean: its commonest real levels, all others, missing. A number, integer or
    datetime: real quantile bins, missing.
    """
    if real.schema[name].has_levels:
        return _of_levels(real, name, n_levels)
    values = real.values(name)
    present = values[np.isfinite(values)]
    edges = np.zeros(0)
    if len(present):
        inner = np.linspace(0, 1, n_bins + 1)[1:-1]
        edges = np.unique(np.quantile(present, inner, method="inverted_cdf"))

    def bins(dataset: Dataset) -> tuple[Labels, int]:
        values = dataset.values(name)
        place = np.searchsorted(edges, values, side="left")
        return np.where(np.isnan(values), len(edges) + 1, place), len(edges) + 2

    return bins


def _of_levels(real: Dataset, name: str, n_levels: int) -> Labeller:
    codes, levels = real.codes(name)
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    common = [levels[i] for i in np.argsort(-counts, kind="stable")[:n_levels]]
    place = {level: i for i, level in enumerate(common)}

    def of_levels(dataset: Dataset) -> tuple[Labels, int]:
        codes, levels = dataset.codes(name)
        to = [*[place.get(level, len(common)) for level in levels], len(common) + 1]
        return np.array(to, dtype=np.int64)[codes], len(common) + 2

    return of_levels
