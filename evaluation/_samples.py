"""Rows that a metric compares: checks of their number, equal samples, encoded features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.features.encoder import FeatureEncoder, shared_encoder
from twinset.core.findings import ColumnLimit
from twinset.core.stats.bootstrap import Groups

T = TypeVar("T")

MIN_SHOWN = 11  # a report that counted 1 to 10 real rows could single out people


def check_not_empty(comparison: Comparison) -> None:
    """Raise NotMeasurable where one of the compared sets has no row."""
    if not len(comparison.synthetic) or not len(comparison.reference):
        raise NotMeasurable("there are no rows to compare")


def common_size(comparison: Comparison, max_rows: int, min_rows: int, subject: str = "rows") -> int:
    """Return the number of rows to compare from each set; NotMeasurable if below `min_rows`."""
    n = min(len(comparison.reference), len(comparison.synthetic), max_rows)
    if n < min_rows:
        raise NotMeasurable(f"it needs at least {min_rows} {subject} in each set")
    return n


def require_rows(sets: Sequence[Dataset], min_rows: int, subject: str = "rows") -> None:
    """Raise NotMeasurable where a set has fewer than `min_rows` rows."""
    if min(map(len, sets)) < min_rows:
        raise NotMeasurable(f"it needs at least {min_rows} {subject} in each set")


def cached(comparison: Comparison, key: str, compute: Callable[[], T]) -> T:
    """Return what the comparison's cache holds under a key, computed where it holds nothing."""
    if key not in comparison.cache:
        comparison.cache[key] = compute()
    found: T = comparison.cache[key]
    return found


def limit_columns(n: int, n_columns: int) -> tuple[ColumnLimit, ...]:
    """Return the finding that only `n` of the columns are compared; none where all are."""
    return (ColumnLimit(n, n_columns),) if n < n_columns else ()


def draw_samples(
    comparison: Comparison, n: int, rng: np.random.Generator
) -> tuple[Dataset, Dataset]:
    """Return at most `n` random reference rows, then as many synthetic rows."""
    return comparison.reference.at_most(n, rng), comparison.synthetic.at_most(n, rng)


def draw_groups(
    synthetic: Dataset, reference: Dataset, replicates: int, rng: np.random.Generator
) -> tuple[Groups, Groups]:
    """Return the bootstrap groups of both sets; those of the reference are drawn first."""
    of_reference = Groups.assign(len(reference), replicates, rng)
    return Groups.assign(len(synthetic), replicates, rng), of_reference


def row_encoder(comparison: Comparison, names: Sequence[str] | None = None) -> FeatureEncoder:
    """Return the encoder of the named columns, by default all, fitted on the train rows."""
    names = comparison.reference.schema.names if names is None else names
    return shared_encoder(comparison.train, names, comparison.cache, comparison.text_embeddings)


def levels_by_frequency(rows: Dataset, name: str) -> list[str]:
    """Return the levels of a column of labels, the most frequent first."""
    codes, levels = rows.codes(name)
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    return [levels[i] for i in np.argsort(-counts, kind="stable")]


def place_levels(
    rows: Dataset, name: str, known: Sequence[str], unknown: float, missing: float
) -> npt.NDArray[Any]:
    """Return the position of each row's level among the known ones, shape (n,)."""
    codes, levels = rows.codes(name)
    place = {level: i for i, level in enumerate(known)}
    # The last place is that of a missing level, whose code is -1.
    return np.array([*[place.get(level, unknown) for level in levels], missing])[codes]


def shown_count(n: int) -> int | None:
    """Return a count of real rows; None where it is 1 to 10."""
    return None if 0 < n < MIN_SHOWN else n


def shown_share(count: float, n: float) -> float | None:
    """Return the share that `count` of `n` real rows are; None where `count` is 1 to 10."""
    return None if 0 < count < MIN_SHOWN else float(count / n)
