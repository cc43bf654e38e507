"""`minority.filtered`: rows of another sampler of this folder, filtered by a discriminator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import rows_to_learn_from
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.parameters import Ge, Interval
from twinset.core.seeding import draw_seed

from ._engine.filter import FittedFilter
from .copula import Copula
from .rose import Rose
from .smote import Smote


@dataclass(frozen=True, kw_only=True)
class Filtered(Generator):
    """Rows of SMOTE, ROSE or a copula, of which a discriminator keeps the share that looks most real.

    Boosted trees are trained to separate the real rows of a class from as many drawn ones. Rows are then
    drawn until enough of them score above the threshold, the (1 - keep) quantile of the scores of other
    draws. This reduces the loss from bad rows and the gain from good ones alike; the smaller `keep`, the
    more.

    Fit it on the rare class alone: `where` of the step names the rows. Fitted on a whole table with
    a label as target it filters each class by itself, at its own share; labels of a single row are
    not drawn. The first n rows of a larger request are those of a request for n, and the order of the
    real rows does not matter.

    Parameters
    ----------
    method : {"smote", "rose", "copula"}
        Generator of the rows: `minority.smote`, `minority.rose` or `minority.copula` with its defaults.
    keep : float
        Share of the drawn rows that is kept, above 0, at most 1.
    k_neighbors : int
        Neighbors to choose from (SMOTE only), 1 or more.
    across_entities : bool
        Interpolate rows of different entities (SMOTE only).
    time_window : str
        Longest time between two rows that are interpolated (SMOTE only), e.g. "7d"; empty for any.

    References
    ----------
    Azadi et al., "Discriminator Rejection Sampling", ICLR 2019; here with one threshold for all rows.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=80)
    >>> real = Dataset.from_arrow(pa.table({"x": x, "y": 2 * x}))
    >>> fitted = Filtered(method="rose").fit(real, np.random.default_rng(1))
    >>> off = [fitted, Rose().fit(real, np.random.default_rng(1))]
    >>> rows = [one.sample(500, np.random.default_rng(2)) for one in off]
    >>> near, far = (float(np.abs(r.values("y") - 2 * r.values("x")).mean()) for r in rows)
    >>> near < far
    True
    """

    method: Literal["smote", "rose", "copula"] = "smote"
    keep: Annotated[float, Interval(gt=0, le=1)] = 1 / 3
    k_neighbors: Annotated[int, Ge(1)] = 5
    across_entities: bool = False
    time_window: str = ""

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    note: ClassVar[str] = "made from real records: treat as the source data"

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator for the class of these rows; needs 2. Discriminators come later."""
        train = rows_to_learn_from(real, self.kinds, component="minority.filtered", min_rows=2)
        smote = Smote(
            k_neighbors=self.k_neighbors,
            across_entities=self.across_entities,
            time_window=self.time_window,
        )
        makers: dict[str, Generator] = {"smote": smote, "rose": Rose(), "copula": Copula()}
        return FittedFilter(train.without_parents(), makers[self.method], self.keep, draw_seed(rng))
