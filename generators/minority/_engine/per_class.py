"""A fitted generator with a part of its own for each label of the target, fitted when asked for."""

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
Part = Callable[[int, Rows], FittedGenerator]
"""Number of the label, positions of its rows -> generator of its rows."""


class FittedByLabel(FittedGenerator):
    """Draws each row from the part of its label; labels come at the share they have among real rows.

    Parameters
    ----------
    train : Dataset
        The rows learnt from, without reserved columns.
    fit_part : callable
        Fits the part of one label; must depend on its arguments alone.
    component : str
        Name of the generator, for messages.
    least : int
        Fewest rows of a label to learn it from; rarer labels are made only where they are asked for,
        and then refused.
    """

    def __init__(self, train: Dataset, fit_part: Part, component: str, least: int) -> None:
        self.train, self.schema = train, train.schema
        self.component, self.least = component, least
        self.groups = rows_by_label(train)
        self._fit_part = fit_part
        self._parts: dict[int, FittedGenerator] = {}
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
        enough = np.array([len(rows) >= self.least for rows in self.groups])
        if not (sizes * enough).any():
            raise FitError(
                f"{self.component} cannot learn a label from so few rows",
                got=f"{int(sizes.max())} rows",
                allowed=f"{self.least} or more",
                todo="widen 'where' or give more rows",
            )
        sizes = sizes * enough
        counts = rng.multinomial(n, sizes / sizes.sum())
        made = [
            self._part(number).sample(int(count), rng, where)
            for number, (count, size) in enumerate(zip(counts, sizes, strict=True))
            if size
        ]
        return made[0] if len(made) == 1 else Dataset.concat(made).take(rng.permutation(n))

    def _part(self, number: int) -> FittedGenerator:
        with self._lock:
            if number not in self._parts:
                self._parts[number] = self._fit_part(number, self.groups[number])
            return self._parts[number]


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
