"""`tabular.bootstrap`: real rows again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import column_masks, parents_of, rows_to_learn_from, unmet
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.data.where import Where


@dataclass(frozen=True, kw_only=True)
class Bootstrap(Generator):
    """Real rows drawn with replacement: plain oversampling, and the ceiling for closeness.

    Nothing is closer to the real data and nothing leaks more. Each row names the row it copies in
    `_parents`.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"age": [31, 47, 52], "sex": ["f", "m", "m"]}))
    >>> fitted = Bootstrap().fit(real, np.random.default_rng(0))
    >>> fitted.sample(2, np.random.default_rng(1), Where({"sex": "f"})).records.to_pylist()
    [{'age': 31, 'sex': 'f'}, {'age': 31, 'sex': 'f'}]
    """

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    note: ClassVar[str] = "copies real records: treat as the source data"

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator of real rows; nothing is computed."""
        train = rows_to_learn_from(real, self.kinds, component="tabular.bootstrap")
        return _FittedBootstrap(train)


class _FittedBootstrap(FittedGenerator):
    def __init__(self, train: Dataset) -> None:
        self.train, self.schema = train, train.schema

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        allowed = self._allowed(where)
        rows = allowed[rng.integers(0, len(allowed), size=n)]
        drawn = self.train.without_reserved().take(rows)
        records, parents = drawn.records, parents_of(self.train, rows)
        if parents is not None:
            records = records.append_column("_parents", parents)
        return replace(drawn, records=records, card=Card(name="synthetic", origin="synthetic"))

    def _allowed(self, where: Where | None) -> np.ndarray:
        if where is None:
            return np.arange(len(self.train))
        masks = list(column_masks(self.train, where).values())
        rows = np.flatnonzero(np.logical_and.reduce(masks)) if masks else np.arange(len(self.train))
        if not len(rows):
            raise unmet(where)
        return rows
