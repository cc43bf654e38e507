"""`minority.filtered`: rows of another sampler of this folder, filtered by a discriminator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import FittedGenerator, Generator, Progress, TracedGenerator, silent
from twinset.core.data.conditions import rows_to_learn_from, unmet
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.data.where import Where
from twinset.core.features.models import fit_discriminator
from twinset.core.parameters import Ge, Interval
from twinset.core.seeding import draw_seed, rng_for

from ._engine.engine import FittedByCondition, apportion_rows, classes_of
from ._engine.matrices import BLOCK_ROWS, CLASSES, DistinctRows, Floats, Grid, Positions, Streams
from .copula import Copula
from .rose import Rose
from .smote import Smote

_MIN_DRAWN, _MAX_DRAWN = (
    200,
    20_000,
)  # rows drawn to train on: enough for 15 leaves; a fit takes seconds
_THRESHOLD_ROWS = 4_096  # draws behind the threshold: `keep` is met within 1.5 points (2 sd at 1/3)
_MAX_LEVELS = 200  # with a code of their own; boosted trees of scikit-learn take 255 at most
# Blocks of 4,096 draws after which to give up: where none passes, and in all (400 million rows).
_MAX_EMPTY_BLOCKS, _MAX_BLOCKS = 16, 100_000


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


class FittedFilter(FittedByCondition[tuple[list["_ClassFilter"], Floats]]):
    """Filtered rows of one class, or of each class at its share.

    `maker` draws the rows, `keep` is the share that passes, `seed` decides what discriminators see.
    """

    def __init__(self, train: Dataset, maker: Generator, keep: float, seed: int) -> None:
        super().__init__(train)
        self.maker, self.keep, self.seed = maker, keep, seed

    def draw(
        self, n: int, rng: np.random.Generator, where: Where | None = None
    ) -> tuple[Dataset, Positions]:
        """Return `n` rows and the positions of their two parents, shape (n, 2); -1 of a copula."""
        filters, shares = self._fit_of(where)
        streams = Streams.from_rng(rng)
        class_of_row = apportion_rows(shares, n, streams.at(0, CLASSES))
        places = [np.flatnonzero(class_of_row == i) for i in range(len(filters))]
        drawn = [
            one.draw(len(rows), Streams((streams.key[0] ^ i, streams.key[1])), where)
            for i, (one, rows) in enumerate(zip(filters, places))
        ]
        order = np.argsort(np.concatenate(places), kind="stable")
        rows, parents = zip(*drawn)
        return Dataset.concat(rows).take(order), np.concatenate(parents)[order]

    def _fit(self, grid: Grid) -> tuple[list[_ClassFilter], Floats]:
        groups, shares = classes_of(grid)
        # Labels of a single row each (None, beside others) have too few rows for a discriminator.
        several = [i for i, group in enumerate(groups) if group is not None] or [0]
        filters = [_ClassFilter(self, DistinctRows.from_grid(grid, groups[i])) for i in several]
        return filters, shares[several] / shares[several].sum()


class _ClassFilter:
    """The rows of one class, a discriminator for them, and the threshold that draws must pass."""

    def __init__(self, whole: FittedFilter, cells: DistinctRows) -> None:
        self.origin = np.repeat(cells.origin, cells.counts)
        real = whole.train.take(self.origin).without_reserved()
        self.fitted = whole.maker.fit(real, rng_for(whole.seed, "maker"))
        n_drawn = int(np.clip(len(real), _MIN_DRAWN, _MAX_DRAWN))
        drawn, _ = self._draw_raw(n_drawn, rng_for(whole.seed, "train"))
        self.levels = _frequent_levels(real)
        n = len(real) + len(drawn)
        self.discriminator = fit_discriminator(
            np.vstack([self._encode(real), self._encode(drawn)]),
            np.repeat([1, 0], [len(real), len(drawn)]),
            np.array([name in self.levels for name in real.schema.names]),
            task="classification",
            seed=0,
            weight=np.repeat([1 / len(real), 1 / len(drawn)], [len(real), len(drawn)]) * n / 2,
        )
        others, _ = self._draw_raw(_THRESHOLD_ROWS, rng_for(whole.seed, "line"))
        self.threshold = float(np.quantile(self._score(others), 1 - whole.keep))

    def draw(self, n: int, streams: Streams, where: Where | None) -> tuple[Dataset, Positions]:
        """Return the first `n` rows of an endless sequence that pass and meet `where`; parents."""
        kept: list[Dataset] = []
        parents: list[Positions] = []
        found = 0
        for block in range(_MAX_BLOCKS):
            drawn, origin = self._draw_raw(BLOCK_ROWS, streams.at(block, 0))
            passed = self._score(drawn) >= self.threshold
            if where is not None:
                passed &= drawn.mask(where)
            kept.append(drawn.filter(passed))
            parents.append(origin[passed])
            found += int(passed.sum())
            if found >= n:
                return Dataset.concat(kept).slice(0, n), np.concatenate(parents)[:n]
            if found == 0 and block == _MAX_EMPTY_BLOCKS:
                break
        raise unmet(where or Where({}))

    def _draw_raw(self, n: int, rng: np.random.Generator) -> tuple[Dataset, Positions]:
        if isinstance(self.fitted, TracedGenerator):
            drawn, parents = self.fitted.draw(n, rng)
            return drawn, self.origin[parents]
        drawn = self.fitted.sample(n, rng).without_reserved()
        return drawn, np.full((n, 2), -1, dtype=np.int64)

    def _score(self, rows: Dataset) -> Floats:
        return np.asarray(self.discriminator.predict_proba(self._encode(rows))[:, 1])

    def _encode(self, rows: Dataset) -> Floats:
        """Return rows as floats, (n, d): numbers as they are, codes of labels, NaN for missing."""
        columns: list[npt.NDArray[np.float64]] = []
        for name in rows.schema.names:
            if name not in self.levels:
                columns.append(rows.values(name))
                continue
            codes, texts = rows.codes(name)
            known = self.levels[name]
            table = [min(known.get(text, np.inf), _MAX_LEVELS) for text in texts]
            columns.append(np.array([*table, np.nan])[codes])
        return np.column_stack(columns)


def _frequent_levels(real: Dataset) -> dict[str, dict[str, float]]:
    """Return a code by frequency for the most frequent levels of each column of labels."""
    levels = {}
    for field in real.schema.of_kind("category", "boolean"):
        codes, texts = real.codes(field.name)
        counts = np.bincount(codes[codes >= 0], minlength=len(texts))
        order = np.argsort(-counts, kind="stable")[:_MAX_LEVELS]
        levels[field.name] = {texts[code]: float(i) for i, code in enumerate(order)}
    return levels
