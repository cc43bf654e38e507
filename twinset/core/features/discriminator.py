"""The discriminator: one boosted-tree model for every metric that predicts from rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.features.models import Task, fit_boosted_trees

Floats = npt.NDArray[np.float64]

_MAX_LEVELS = 200  # the bins of boosted trees end at 255
_FULL_LEAF = 50  # rows: smaller leaves fit noise where one row in 600 is positive


@dataclass(frozen=True)
class DiscriminatorTable:
    """One or more sets in one coding, as the discriminator reads them."""

    # One matrix a set, shape (n, d): numbers as they are, categories as codes, missing as NaN
    parts: tuple[Floats, ...]
    categorical: npt.NDArray[np.bool_]  # Which columns are codes, shape (d,)


def build_discriminator_table(sets: Sequence[Dataset], names: Sequence[str]) -> DiscriminatorTable:
    """Return the named columns of all `sets` in one coding.

    Trees need no scaling, so numbers stay raw. The 200 most frequent levels of a category keep a code of
    their own. Images, texts, boxes and spans enter as their features (see `FeatureEncoder`).

    Parameters
    ----------
    sets : sequence of Dataset
        Sets that all hold the named columns; encoders of images and texts are fitted on the first.
    names : sequence of str
        Columns to encode.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"x": [1.5, None, 2.5], "c": ["b", "a", "b"]}))
    >>> build_discriminator_table([real], ["x", "c"]).parts[0].tolist()
    [[1.5, 0.0], [nan, 1.0], [2.5, 0.0]]
    """
    columns: list[list[Floats]] = [[] for _ in sets]
    categorical: list[bool] = []
    rest = []
    for name in names:
        field = sets[0].schema[name]
        if not field.is_tabular:
            rest.append(name)
            continue
        is_code = field.has_levels
        found = _codes(sets, name) if is_code else [part.values(name) for part in sets]
        for held, column in zip(columns, found):
            held.append(column)
        categorical.append(is_code)
    parts = [np.column_stack(c) if c else np.zeros((len(s), 0)) for c, s in zip(columns, sets)]
    if rest:
        encoder = FeatureEncoder.fit(sets[0].select(rest))
        features = [encoder.transform(part.select(rest)) for part in sets]
        parts = [np.column_stack([part, more]) for part, more in zip(parts, features)]
        categorical += [False] * features[0].shape[1]
    return DiscriminatorTable(tuple(parts), np.array(categorical, dtype=bool))


def fit_discriminator(
    x: Floats,
    y: npt.NDArray[Any],
    categorical: npt.NDArray[np.bool_],
    *,
    task: Task,
    seed: int,
    iterations: int = 100,
    weight: Floats | None = None,
) -> Any:
    """Return a boosted-tree model fitted on one thread.

    Slow learning, small trees and a strong penalty, because the usual defaults collapse where one row
    in 600 is positive: on the ULB card-fraud table, cut by time, they reach an average precision of
    0.31 and these settings 0.80. Leaves shrink with the table, so that 50 rows can still be split.

    Parameters
    ----------
    x : numpy.ndarray, shape (n, d)
        Columns from `build_discriminator_table`.
    y : numpy.ndarray, shape (n,)
        Labels or numbers to predict.
    categorical : numpy.ndarray of bool, shape (d,)
        Which columns are codes.
    task : {"classification", "regression"}
        What `y` is.
    seed : int
        Seed of the model; it only chooses the rows that set the bins of very large tables.
    iterations : int
        Number of trees.
    weight : numpy.ndarray, shape (n,), optional
        How much each row counts; by default all count alike.
    """
    return fit_boosted_trees(
        x,
        y,
        weight,
        task=task,
        seed=seed,
        learning_rate=0.08,
        max_iter=iterations,
        max_leaf_nodes=15,
        min_samples_leaf=int(np.clip(len(x) // 20, 1, _FULL_LEAF)),
        l2_regularization=5.0 if len(x) >= 20 * _FULL_LEAF else 1.0,
        categorical_features=categorical if categorical.any() else None,
    )


def _codes(sets: Sequence[Dataset], name: str) -> list[Floats]:
    """Return codes by falling frequency over all sets; missing is NaN, levels beyond 200 share a code."""
    coded = [part.codes(name) for part in sets]
    counts: dict[str, int] = {}
    for codes, levels in coded:
        for level, count in zip(levels, np.bincount(codes[codes >= 0], minlength=len(levels))):
            counts[level] = counts.get(level, 0) + int(count)
    common = sorted(counts, key=lambda level: (-counts[level], level))
    place = {level: float(min(i, _MAX_LEVELS)) for i, level in enumerate(common)}
    return [
        np.array([*[place[level] for level in levels], np.nan])[codes] for codes, levels in coded
    ]
