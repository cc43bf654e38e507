"""A fitted `minority.filtered`: a discriminator and a threshold for each class, made when needed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Generator, TracedGenerator
from twinset.core.data.conditions import unmet
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.features.models import fit_discriminator
from twinset.core.seeding import rng_for

from .engine import FittedByCondition, apportion_rows, classes_of
from .matrices import DistinctRows, Grid
from .streams import BLOCK_ROWS, CLASSES, Floats, Positions, Streams

_MIN_DRAWN, _MAX_DRAWN = (
    200,
    20_000,
)  # rows drawn to train on: enough for 15 leaves; a fit takes seconds
_THRESHOLD_ROWS = 4_096  # draws behind the threshold: `keep` is met within 1.5 points (2 sd at 1/3)
_MAX_LEVELS = 200  # with a code of their own; boosted trees of scikit-learn take 255 at most
# Blocks of 4,096 draws after which to give up: where none passes, and in all (400 million rows).
_MAX_EMPTY_BLOCKS, _MAX_BLOCKS = 16, 100_000


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

    def _fit(self, grid: Grid, where: Where | None) -> tuple[list[_ClassFilter], Floats]:
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
