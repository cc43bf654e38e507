"""`RandomOverSampler`: real rows again, drawn with replacement."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from twinset.core.seeding import rng_for
from twinset.sklearn._columns import Rows
from twinset.sklearn._declaration import ADDING
from twinset.sklearn._labels import Labels, Strategy
from twinset.sklearn._order import canonical_order
from twinset.sklearn._oversampler import OverSampler
from twinset.sklearn._tables import Table, dataset_of


class RandomOverSampler(OverSampler):
    """Random oversampling: copies of real rows, drawn with replacement.

    The plain yardstick for every generator. A copy counts as synthetic in `is_synthetic_`: it must
    not get into a test set.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable
        How many rows each class gets, as in imbalanced-learn.
    random_state : int, RandomState, Generator or None
        The seed. The new rows depend on it and on the real rows, not on their order.
    preserve_mass : bool
        Whether `sample_weight_` leaves the total weight of each class as it was.

    Examples
    --------
    >>> sampler = RandomOverSampler(random_state=0)
    >>> X, y = sampler.fit_resample([[1.0], [2.0], [3.0]], ["a", "a", "b"])
    >>> X, y, sampler.parents_.tolist()
    ([[1.0], [2.0], [3.0], [3.0]], ['a', 'a', 'b', 'b'], [[2, 2]])
    """

    _tells_indices: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, Any]] = ADDING

    def __init__(
        self,
        *,
        sampling_strategy: Strategy = "auto",
        random_state: Any = None,
        preserve_mass: bool = False,
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.preserve_mass = preserve_mass

    def _longer(
        self, table: Table, labels: Labels, wanted: dict[int, int]
    ) -> tuple[Any, Rows, Rows]:
        seed = self._seed()
        chosen = [np.empty(0, dtype=np.int64)]
        for code, n in wanted.items():
            rows = labels.rows_of(code)
            rows = rows[canonical_order(dataset_of(table, rows))]
            rng = rng_for(seed, str(labels.classes[code]))
            chosen.append(rows[rng.integers(0, len(rows), n)])
        seeds = np.concatenate(chosen)
        self.sample_indices_ = np.concatenate([np.arange(len(table)), seeds])
        return table.copied(seeds), np.column_stack([seeds, seeds]), seeds
