"""A fitted generator that draws each row from the generator of its label, fitted when needed."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import FittedGenerator
from twinset.core.data.conditions import column_masks, unmet
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import FitError

Rows = npt.NDArray[np.int64]
FitLabel = Callable[[int, Rows], FittedGenerator]
"""From the number of a label and the positions of its rows to the generator of its rows."""

_MIN_ROWS = 2  # of a label; rarer labels are drawn only on request, and then refused


class FittedByLabel(FittedGenerator):
    """Draws each row from the generator of its label; labels have their share among real rows.

    `train` holds no reserved columns; `fit_label` depends on its arguments alone; `component` is the
    name for messages.
    """

    def __init__(self, train: Dataset, fit_label: FitLabel, component: str) -> None:
        self.train, self.schema, self.component = train, train.schema, component
        self.groups = rows_by_label(train)
        self._fit_label = fit_label
        self._fitted: dict[int, FittedGenerator] = {}
        self._lock = threading.Lock()

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` rows that meet `where`."""
        meets = np.ones(len(self.train), dtype=bool)
        if where is not None:
            for mask in column_masks(self.train, where).values():
                meets &= mask
            if not meets.any():
                raise unmet(where)
        sizes = np.array([np.count_nonzero(meets[rows]) for rows in self.groups])
        enough = np.array([len(rows) >= _MIN_ROWS for rows in self.groups])
        if not (sizes * enough).any():
            raise FitError(
                f"{self.component} cannot be fitted to a label with so few rows",
                got=f"{int(sizes.max())} rows",
                allowed=f"{_MIN_ROWS} or more",
                todo="widen 'where' or give more rows",
            )
        sizes = sizes * enough
        counts = rng.multinomial(n, sizes / sizes.sum())
        drawn = [
            self._generator(number).sample(int(count), rng, where)
            for number, (count, size) in enumerate(zip(counts, sizes))
            if size
        ]
        return drawn[0] if len(drawn) == 1 else Dataset.concat(drawn).take(rng.permutation(n))

    def _generator(self, number: int) -> FittedGenerator:
        with self._lock:
            if number not in self._fitted:
                self._fitted[number] = self._fit_label(number, self.groups[number])
            return self._fitted[number]


def rows_by_label(train: Dataset) -> list[Rows]:
    """Return the rows of each label of the target, missing ones last; all rows without a target.

    Examples
    --------
    >>> import pyarrow as pa
    >>> d = Dataset.from_arrow(pa.table({"y": ["b", "a", "b"]}))
    >>> [rows.tolist() for rows in rows_by_label(d.with_schema(d.schema.with_target("y")))]
    [[1], [0, 2]]
    """
    target = train.schema.target
    if target is None or not target.has_levels:
        return [np.arange(len(train))]
    codes, levels = train.codes(target.name)
    groups = [np.flatnonzero(codes == code) for code in (*range(len(levels)), -1)]
    return [rows for rows in groups if len(rows)]
