"""Names of crowds: the columns that set a crowd of rows apart from all others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

_MOST_WORDS = 2
_LEAST_ROWS = 11
_CLEAR = 0.5


def mode_names(rows: Dataset, mode: npt.NDArray[np.int64], n_modes: int) -> tuple[str, ...]:
    """Return a name of each crowd: levels that are over-represented in it, numbers that are high or low.

    Numbers are told as high or low only, and levels only where 11 rows of the crowd have them. A
    crowd that no column sets apart, as of images, is called by its number; equal names are numbered.

    Parameters
    ----------
    rows : Dataset
        Real rows.
    mode : numpy.ndarray of int, shape (n,)
        Crowd of each row.
    n_modes : int
        Number of crowds.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rows = Dataset.from_arrow(pa.table({"c": ["a", "b"] * 20, "x": [1.0, 9.0] * 20}))
    >>> mode_names(rows, np.arange(40) % 2, 2)
    ('c = a, x low', 'c = b, x high')
    """
    told: list[list[tuple[float, str]]] = [[] for _ in range(n_modes)]
    sizes = np.maximum(np.bincount(mode, minlength=n_modes), 1)
    for field in rows.schema.fields:
        if field.has_levels:
            _tell_levels(rows, field.name, mode, sizes, told)
        elif field.has_order:
            _tell_numbers(rows, field.name, mode, n_modes, told)
    names: list[str] = []
    for number, words in enumerate(told):
        words.sort(key=lambda word: -word[0])
        name = ", ".join(text for strength, text in words[:_MOST_WORDS] if strength >= _CLEAR)
        name = name or f"crowd {number + 1}"
        twice = sum(one == name or one.startswith(f"{name} (") for one in names)
        names.append(f"{name} ({twice + 1})" if twice else name)
    return tuple(names)


def _tell_levels(
    rows: Dataset,
    name: str,
    mode: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    told: list[list[tuple[float, str]]],
) -> None:
    """Add of each crowd the level that is commonest beyond its share: by how many standard deviations."""
    codes, levels = rows.codes(name)
    known = codes >= 0
    if not levels or not known.any():
        return
    flat = mode[known] * len(levels) + codes[known]
    counts = np.bincount(flat, minlength=len(sizes) * len(levels)).reshape(len(sizes), -1)
    share = counts.sum(axis=0) / len(codes)
    spread = np.sqrt(np.maximum(share * (1 - share), 1e-9))
    beyond = np.where(counts >= _LEAST_ROWS, (counts / sizes[:, None] - share) / spread, -np.inf)
    for crowd, best in enumerate(beyond.argmax(axis=1)):
        if np.isfinite(beyond[crowd, best]):
            told[crowd].append((float(beyond[crowd, best]), f"{name} = {levels[best]}"))


def _tell_numbers(
    rows: Dataset,
    name: str,
    mode: npt.NDArray[np.int64],
    n_modes: int,
    told: list[list[tuple[float, str]]],
) -> None:
    """Add of each crowd how far its mean rank lies from the middle, in standard deviations of ranks."""
    values = rows.values(name)
    known = ~np.isnan(values)
    if known.sum() < _LEAST_ROWS or np.ptp(values[known]) == 0:
        return
    _, place, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - counts / 2)[place] / known.sum() - 0.5
    sums = np.bincount(mode[known], ranks, n_modes)
    sizes = np.bincount(mode[known], minlength=n_modes)
    apart = sums / np.maximum(sizes, 1) / max(float(ranks.std()), 1e-9)
    for crowd in np.flatnonzero(sizes >= _LEAST_ROWS):
        word = "high" if apart[crowd] > 0 else "low"
        told[crowd].append((float(abs(apart[crowd])), f"{name} {word}"))
