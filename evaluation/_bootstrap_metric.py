"""What metrics with a bootstrap interval share: settings, class attributes, array types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Metric, NotMeasurable
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.parameters import Ge, Replicates

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ROW_KINDS = TABULAR_KINDS | {"image", "text", "boxes", "spans"}


@dataclass(frozen=True, kw_only=True)
class BootstrapMetric(Metric):
    """A metric with a bootstrap interval; unless it says otherwise, of tables and in [0, 1].

    Parameters
    ----------
    margin : float
        Equivalence margin, in units of the value.
    replicates : int
        Bootstrap replicates.
    """

    higher_is_better = False
    bounds = (0.0, 1.0)
    kinds = TABULAR_KINDS

    replicates: Replicates = 200


@dataclass(frozen=True, kw_only=True)
class SampledMetric(BootstrapMetric):
    """A metric of a random sample of whole rows.

    Parameters
    ----------
    max_rows : int
        Rows of each set that are used.
    """

    kinds = ROW_KINDS

    max_rows: Annotated[int, Ge(2)] = 10_000


@dataclass(frozen=True, kw_only=True)
class TextMetric(SampledMetric):
    """A metric of texts; shuffled columns hold the same texts, so that it has no floor."""

    kinds = frozenset({"text"})
    needs = frozenset({"text"})
    has_floor = False


def text_columns(comparison: Comparison) -> list[str]:
    """Return the names of the text columns; raise NotMeasurable where there is none."""
    names = [field.name for field in comparison.train.schema.of_kind("text")]
    if not names:
        raise NotMeasurable("no column holds texts")
    return names
