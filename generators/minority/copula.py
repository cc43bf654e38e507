"""`minority.copula`: a Gaussian copula of one class, with correlations shrunk for few rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import rows_to_learn_from
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.data.where import Where
from twinset.core.parameters import Fraction, Ge

from ..tabular.copula import ClassCopula, LatentNormal
from ._engine.per_class import FittedByLabel, Rows

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Copula(Generator):
    """Gaussian copula of a rare class: its own margins, and correlations shrunk where rows are few.

    As `tabular.copula`, one copula per label of the target. With 50 frauds and 30 columns most
    correlations are chance; all of them are shrunk towards 0 by the share of their spread that
    sampling alone explains. New rows have no parents: they are not between two real ones, so they
    fill the class more widely than SMOTE and may leave it where its columns depend in other ways
    than by correlation.

    Parameters
    ----------
    shrink : float or None
        Share by which correlations are shrunk towards 0, in [0, 1]; null estimates it from the data.
    min_repeats : int
        A number that at least this many rows share is drawn as it is; between rarer ones, new values
        are drawn. 2 or more.

    References
    ----------
    Schaefer and Strimmer, "A shrinkage approach to large-scale covariance matrix estimation", Stat.
    Appl. Genet. Mol. Biol. 4, 2005. Nelsen, "An Introduction to Copulas", 2006.

    Examples
    --------
    >>> import pyarrow as pa
    >>> x = np.random.default_rng(0).normal(size=60).round(2)
    >>> real = Dataset.from_arrow(pa.table({"x": x, "y": x.round(1), "fraud": ["yes"] * 60}))
    >>> fitted = Copula().fit(real, np.random.default_rng(1))
    >>> rows = fitted.sample(500, np.random.default_rng(2))
    >>> bool(np.corrcoef(rows.values("x"), rows.values("y"))[0, 1] > 0.9)
    True
    """

    shrink: Fraction | None = None
    min_repeats: Annotated[int, Ge(2)] = 5

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the copula of each label; a label needs 2 rows."""
        train = rows_to_learn_from(
            real, self.kinds, component="minority.copula", min_rows=2
        ).without_reserved()

        def fit_label(number: int, rows: Rows) -> FittedGenerator:
            class_rows = ClassCopula.fit(train.take(rows), self.min_repeats, progress)
            correlation = class_rows.latent.correlation
            share = shrinkage(correlation, len(rows)) if self.shrink is None else self.shrink
            shrunk = correlation * (1 - share)
            np.fill_diagonal(shrunk, 1.0)
            return _FittedLabel(replace(class_rows, latent=LatentNormal(shrunk)))

        return FittedByLabel(train, fit_label, "minority.copula")


class _FittedLabel(FittedGenerator):
    def __init__(self, class_rows: ClassCopula) -> None:
        self.class_rows, self.schema = class_rows, class_rows.train.schema

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        return self.class_rows.sample(n, rng, where)


def shrinkage(correlation: Floats, n: int) -> float:
    """Return the share by which correlations of `n` rows are shrunk towards 0, in [0, 1].

    Schaefer and Strimmer (2005): sum (1 - r^2)^2 / (n - 1) over sum r^2, at most 1. That is what
    sampling alone adds to the squares of the correlations r, over what these squares are.

    Examples
    --------
    >>> strong = np.array([[1.0, 0.8], [0.8, 1.0]])
    >>> round(shrinkage(strong, 11), 3), round(shrinkage(strong, 1001), 4)
    (0.02, 0.0002)
    >>> shrinkage(np.eye(3), 50)
    1.0
    """
    others = correlation[~np.eye(len(correlation), dtype=bool)]
    noise = float(np.sum((1 - others**2) ** 2)) / max(n - 1, 1)
    squares = float(np.sum(others**2))
    return min(1.0, noise / squares) if squares > 0 else 1.0
