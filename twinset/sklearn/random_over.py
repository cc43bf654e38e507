"""`RandomOverSampler`: real rows again, drawn with replacement."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from twinset.core.seeding import rng_for
from twinset.sklearn._columns import Rows
from twinset.sklearn._labels import Labels
from twinset.sklearn._oversampler import OverSampler
from twinset.sklearn._rows import canonical_order
from twinset.sklearn._tables import Table


class RandomOverSampler(OverSampler):
    """Random oversampling: copies of real rows, drawn with replacement.

    The baseline of every generator. A copy counts as synthetic in `is_synthetic_`: it must
    not get into a test set.

    Examples
    --------
    >>> sampler = RandomOverSampler(random_state=0)
    >>> X, y = sampler.fit_resample([[1.0], [2.0], [3.0]], ["a", "a", "b"])
    >>> X, y, sampler.parents_.tolist()
    ([[1.0], [2.0], [3.0], [3.0]], ['a', 'a', 'b', 'b'], [[2, 2]])
    """

    _has_indices: ClassVar[bool] = True

    def _add_rows(
        self, table: Table, labels: Labels, requested: dict[int, int]
    ) -> tuple[Any, Rows, Rows]:
        seed = self._seed()
        chosen = [np.empty(0, dtype=np.int64)]
        for code, n in requested.items():
            rows = labels.rows_of(code)
            rows = rows[canonical_order(table.dataset(rows))]
            rng = rng_for(seed, str(labels.classes[code]))
            chosen.append(rows[rng.integers(0, len(rows), n)])
        seeds = np.concatenate(chosen)
        self.sample_indices_ = np.concatenate([np.arange(len(table)), seeds])
        return table.copy_rows(seeds), np.column_stack([seeds, seeds]), seeds
