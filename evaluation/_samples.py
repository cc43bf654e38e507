"""Rows that a metric compares: checks of their number, equal samples, encoded features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.features.encoder import FeatureEncoder, shared_encoder

MIN_SHOWN = 11  # a report that counted 1 to 10 real rows could single out people


def check_not_empty(comparison: Comparison) -> None:
    """Raise NotMeasurable where one of the compared sets has no row."""
    if not len(comparison.synthetic) or not len(comparison.reference):
        raise NotMeasurable("there are no rows to compare")


def common_size(comparison: Comparison, max_rows: int, min_rows: int, subject: str = "rows") -> int:
    """Return the number of rows to compare from each set: what both have, `max_rows` at most.

    Raises
    ------
    NotMeasurable
        It is below `min_rows`.
    """
    n = min(len(comparison.reference), len(comparison.synthetic), max_rows)
    if n < min_rows:
        raise NotMeasurable(f"it needs at least {min_rows} {subject} in each set")
    return n


def draw_samples(
    comparison: Comparison, n: int, rng: np.random.Generator
) -> tuple[Dataset, Dataset]:
    """Return at most `n` random reference rows, then as many synthetic rows."""
    return comparison.reference.at_most(n, rng), comparison.synthetic.at_most(n, rng)


def row_encoder(comparison: Comparison, names: Sequence[str] | None = None) -> FeatureEncoder:
    """Return the encoder of the named columns, by default all, fitted on the train rows."""
    names = comparison.reference.schema.names if names is None else names
    return shared_encoder(comparison.train, names, comparison.cache, comparison.text_embeddings)


def shown_count(n: int) -> int | None:
    """Return a count of real rows; None where it is 1 to 10.

    Examples
    --------
    >>> [shown_count(n) for n in (0, 10, 11)]
    [0, None, 11]
    """
    return None if 0 < n < MIN_SHOWN else n


def shown_share(count: float, n: float) -> float | None:
    """Return the share that `count` of `n` real rows are; None where `count` is 1 to 10."""
    return None if 0 < count < MIN_SHOWN else float(count / n)
