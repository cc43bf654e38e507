"""`tabular.marginals`: independent columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import column_masks, rows_to_learn_from
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.data.where import Where


@dataclass(frozen=True, kw_only=True)
class Marginals(Generator):
    """Independent columns, each drawn from its own real values: the floor for every generator.

    Every marginal is right and no dependence between columns is: a generator that is no better has
    learnt nothing. Missing values are as frequent as in the real column.

    A condition is met exactly, by drawing its column from the values that meet it; the other
    columns do not depend on it.

    Examples
    --------
    >>> real = Dataset.from_arrow(pa.table({"age": [31, 47, 52], "sex": ["f", "m", "m"]}))
    >>> fitted = Marginals().fit(real, np.random.default_rng(0))
    >>> rows = fitted.sample(100, np.random.default_rng(1), Where({"age": {"ge": 40}}))
    >>> sorted(set(rows.records.column("age").to_pylist()))
    [47, 52]
    """

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator of independent columns; nothing is computed."""
        train = rows_to_learn_from(real, self.kinds, component="tabular.marginals")
        return _FittedMarginals(train.without_reserved())


class _FittedMarginals(FittedGenerator):
    def __init__(self, train: Dataset) -> None:
        self.train, self.schema = train, train.schema

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        masks = column_masks(self.train, where) if where is not None else {}
        columns = []
        for name in self.schema.names:
            column = self.train.records.column(name)
            if name in masks:
                column = column.filter(pa.array(masks[name]))
            columns.append(column.take(pa.array(rng.integers(0, len(column), size=n))))
        records = pa.table(columns, names=list(self.schema.names))
        card = Card(name="synthetic", origin="synthetic")
        return replace(self.train, records=records, card=card)
