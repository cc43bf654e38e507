"""Samplers that only choose among real rows."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from twinset.sklearn._columns import Rows
from twinset.sklearn._labels import Labels
from twinset.sklearn._sampler import Floats, Sampler
from twinset.sklearn._tables import Table


class Chooser(Sampler):
    """A sampler that keeps some real rows and leaves out others, each with a weight."""

    _tells_indices: ClassVar[bool] = True

    @abstractmethod
    def _chosen(self, table: Table, labels: Labels) -> tuple[Rows, Floats]:
        """Return the positions of the rows kept, in their order, and their weights."""

    def _resampled(self, table: Table, labels: Labels) -> tuple[Any, Any]:
        return give(self, table, labels, *self._chosen(table, labels))


def give(
    sampler: Sampler, table: Table, labels: Labels, rows: Rows, weights: Floats
) -> tuple[Any, Any]:
    """Return the chosen rows and labels in the caller's types, and note them on the sampler."""
    sampler.sample_indices_ = rows
    none = np.empty((0, 2), dtype=np.int64)
    sampler._tell(labels.codes[rows], len(rows), none, weights, labels.counts)
    X = table.taken(rows)
    return X, labels.taken(rows, X.index if hasattr(X, "iloc") else None)
