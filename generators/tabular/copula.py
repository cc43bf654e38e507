"""`tabular.copula`: a Gaussian copula with empirical margins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import column_masks, rows_to_learn_from, unmet
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError
from twinset.core.parameters import Ge

from ._copula.class_copula import ClassCopula

Rows = npt.NDArray[np.int64]

_LEAST_ROWS_PER_LABEL = 50


@dataclass(frozen=True, kw_only=True)
class Copula(Generator):
    """Gaussian copula with empirical margins: every column as it is, dependence by correlations.

    Each column keeps its own distribution; one correlation matrix of normal scores carries what
    the columns know of one another. Categories, heaps of equal values and the fact that a value is
    missing take part through the mean score of their share. The levels of a category are put in
    the order that goes best with the other columns. One correlation matrix cannot tell two classes
    apart, so each label of the target has a copula, with margins, of its own. Fast, and a fair
    baseline; what it cannot learn is dependence inside a label that no correlation tells.

    A condition is met exactly: its columns are drawn from the real rows that meet it (inside their
    cells, so continuous values are new ones), the other columns from the normal given these.

    Parameters
    ----------
    min_repeats : int
        A number that at least this many rows share is drawn as it is; rarer ones only show where
        the column lies densely, and new values between them are drawn. 2 or more.
    per_label : bool
        Whether each label of a category or boolean target that has 50 rows or more gets a copula of
        its own. Rarer labels share one, or, below 50 rows together, join the label with the fewest
        rows; without a target there is one for all rows.

    References
    ----------
    Nelsen, "An Introduction to Copulas", 2006; Rueschendorf, "On the distributional transform",
    J. Statist. Plann. Inference 139, 2009; polyserial correlation: Olsson et al., Psychometrika 47,
    1982.

    Examples
    --------
    >>> import pyarrow as pa
    >>> x = np.random.default_rng(0).normal(size=500)
    >>> real = Dataset.from_arrow(pa.table({"x": x, "big": np.where(x > 1, "yes", "no")}))
    >>> fitted = Copula().fit(real, np.random.default_rng(1))
    >>> rows = fitted.sample(200, np.random.default_rng(2), Where({"big": "yes"}))
    >>> len(rows), bool(rows.values("x").mean() > 1)
    (200, True)
    """

    min_repeats: Annotated[int, Ge(2)] = 5
    per_label: bool = True

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the copula of `real`; needs 2 rows. Time grows as n d log n + n d²."""
        train = rows_to_learn_from(
            real, self.kinds, component="tabular.copula", least=2
        ).without_reserved()
        groups = _rows_by_label(train) if self.per_label else [np.arange(len(train))]
        class_copulas = [
            ClassCopula.of(train.take(rows), self.min_repeats, progress) for rows in groups
        ]
        return _FittedCopula(train, groups, class_copulas)


class _FittedCopula(FittedGenerator):
    def __init__(
        self, train: Dataset, groups: list[Rows], class_copulas: list[ClassCopula]
    ) -> None:
        self.train, self.schema = train, train.schema
        self.groups, self.class_copulas = groups, class_copulas

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        meets = np.ones(len(self.train), dtype=bool)
        if where is not None:
            for mask in column_masks(self.train, where).values():
                meets &= mask
            if not meets.any():
                return self._sample_unseen(n, rng, where)
        sizes = np.array([np.count_nonzero(meets[rows]) for rows in self.groups])
        counts = rng.multinomial(n, sizes / sizes.sum())
        made = Dataset.concat(
            [
                copula.sample(int(count), rng, where)
                for copula, count, size in zip(self.class_copulas, counts, sizes, strict=True)
                if size
            ]
        )
        return made if len(self.class_copulas) == 1 else made.take(rng.permutation(n))

    def _sample_unseen(self, n: int, rng: np.random.Generator, where: Where) -> Dataset:
        """Take the first label whose copula reaches a combination that no real row has."""
        for class_rows in self.class_copulas:
            try:
                return class_rows.sample(n, rng, where)
            except ParameterError:
                continue
        raise unmet(where)


def _rows_by_label(train: Dataset) -> list[Rows]:
    """Return the rows of each frequent label of the target, then those of all others together."""
    target = train.schema.target
    if target is None or not target.has_levels:
        return [np.arange(len(train))]
    codes, levels = train.codes(target.name)
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    frequent = np.flatnonzero(counts >= _LEAST_ROWS_PER_LABEL)
    groups = [np.flatnonzero(codes == code) for code in frequent]
    others = np.flatnonzero(~np.isin(codes, frequent))
    if groups and len(others) < _LEAST_ROWS_PER_LABEL:
        # A copula of a handful of rows would all but copy them.
        smallest = min(range(len(groups)), key=lambda i: len(groups[i]))
        groups[smallest] = np.sort(np.append(groups[smallest], others))
        return groups
    return [*groups, others]
