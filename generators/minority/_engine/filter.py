"""What `minority.filtered` is once fitted: a judge and a line for each class, made when first needed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import FittedGenerator, Generator, TracedGenerator
from twinset.core.data.conditions import column_masks, unmet
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.features.discriminator import fit_discriminator
from twinset.core.seeding import rng_for

from .engine import assign_makers, classes_of, parents_column
from .matrices import DistinctRows, Grid
from .streams import BLOCK_ROWS, CLASSES, Floats, Positions, Streams

_TRAINED_ON_LEAST, _TRAINED_ON_MOST = 200, 20_000
_LINE_ROWS = 4_096
_MOST_LEVELS = 200
_KEPT_FILTERS = 32
_MOST_BLOCKS, _FRUITLESS_BLOCKS = 100_000, 16


class FittedFilter(FittedGenerator):
    """Filtered rows of one class, or of each class at its share.

    Parameters
    ----------
    train : Dataset
        The rows learnt from, without reserved columns other than `_id`.
    maker : Generator
        What draws the rows.
    keep : float
        Share of them that is kept.
    seed : int
        Decides the draws that judges are trained on.
    """

    def __init__(self, train: Dataset, maker: Generator, keep: float, seed: int) -> None:
        self.train, self.schema = train, train.schema
        self.maker, self.keep, self.seed = maker, keep, seed
        self._filters: dict[str, tuple[list[_Filter], Floats]] = {}
        self._lock = threading.Lock()

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` rows; those of real rows with an `_id` name their parents, if there are any."""
        made, parents = self.draw(n, rng, where)
        column = None if (parents < 0).any() else parents_column(self.train, parents)
        if column is None:
            return made
        return Dataset(made.records.append_column("_parents", column), made.schema, made.card)

    def draw(
        self, n: int, rng: np.random.Generator, where: Where | None = None
    ) -> tuple[Dataset, Positions]:
        """Return `n` rows and the positions of their two parents, shape (n, 2); -1 of a copula."""
        filters, shares = self._of(where)
        streams = Streams.of(rng)
        whose = assign_makers(shares, n, streams.at(0, CLASSES))
        parts, parents, places = [], [], []
        for i, one in enumerate(filters):
            places.append(np.flatnonzero(whose == i))
            made, found = one.draw(
                len(places[-1]), Streams((streams.key[0] ^ i, streams.key[1])), where
            )
            parts.append(made)
            parents.append(found)
        order = np.argsort(np.concatenate(places), kind="stable")
        return Dataset.concat(parts).take(order), np.concatenate(parents)[order]

    def fill(self, out: Floats, rng: np.random.Generator, where: Where | None = None) -> Positions:
        """Write the numbers of the rows of `draw` into `out`, shape (n, p), and return the parents."""
        made, parents = self.draw(len(out), rng, where)
        for i, field in enumerate(made.schema.of_kind("number", "integer", "datetime")):
            out[:, i] = made.values(field.name)
        return parents

    def _of(self, where: Where | None) -> tuple[list[_Filter], Floats]:
        """Return the filters of the classes among the rows that meet `where`, and their shares."""
        key = "" if where is None else str(where)
        with self._lock:
            if key not in self._filters:
                self._filters[key] = self._build(where)
                if len(self._filters) > _KEPT_FILTERS:
                    self._filters.pop(next(iter(self._filters)))
            return self._filters[key]

    def _build(self, where: Where | None) -> tuple[list[_Filter], Floats]:
        rows = np.arange(len(self.train))
        if where is not None and where.conditions:
            column_masks(self.train, where)
            rows = np.flatnonzero(self.train.mask(where))
        grid = Grid.of(self.train.take(rows), rows)
        groups, shares = classes_of(grid)
        if len(rows) < 2:
            raise unmet(where or Where({}))
        # Labels of a single row each, the group None beside others, cannot be judged.
        several = [i for i, group in enumerate(groups) if group is not None] or [0]
        filters = [_Filter(self, DistinctRows.of(grid, groups[i])) for i in several]
        return filters, shares[several] / shares[several].sum()


class _Filter:
    """The rows of one class, a judge of them, and the line that draws must pass."""

    def __init__(self, whole: FittedFilter, cells: DistinctRows) -> None:
        rows = np.repeat(cells.origin, cells.counts)
        self.real, self.origin = whole.train.take(rows).without_reserved(), rows
        plain = self.real.without_reserved()
        self.fitted = whole.maker.fit(plain, rng_for(whole.seed, "maker"))
        size = int(np.clip(len(rows), _TRAINED_ON_LEAST, _TRAINED_ON_MOST))
        drawn, _ = self._drawn(size, rng_for(whole.seed, "train"))
        self.coding = _Coding.of(self.real)
        x = np.vstack([self.coding.apply(self.real), self.coding.apply(drawn)])
        y = np.repeat([1, 0], [len(self.real), len(drawn)])
        weight = np.repeat([1 / len(self.real), 1 / len(drawn)], [len(self.real), len(drawn)])
        self.judge = fit_discriminator(
            x,
            y,
            self.coding.categorical,
            task="classification",
            seed=0,
            weight=weight * len(y) / 2,
        )
        others, _ = self._drawn(_LINE_ROWS, rng_for(whole.seed, "line"))
        self.line = float(np.quantile(self._score(others), 1 - whole.keep))

    def draw(self, n: int, streams: Streams, where: Where | None) -> tuple[Dataset, Positions]:
        """Return the first `n` rows of an endless sequence that pass the line and meet `where`."""
        kept: list[Dataset] = []
        parents: list[Positions] = []
        found = 0
        for block in range(_MOST_BLOCKS):
            made, whose = self._drawn(BLOCK_ROWS, streams.at(block, 0))
            passed = self._score(made) >= self.line
            if where is not None:
                passed &= made.mask(where)
            kept.append(made.filter(passed))
            parents.append(whose[passed])
            found += int(passed.sum())
            if found >= n:
                return Dataset.concat(kept).slice(0, n), np.concatenate(parents)[:n]
            if found == 0 and block == _FRUITLESS_BLOCKS:
                break
        raise unmet(where or Where({}))

    def _drawn(self, n: int, rng: np.random.Generator) -> tuple[Dataset, Positions]:
        if isinstance(self.fitted, TracedGenerator):
            made, parents = self.fitted.draw(n, rng)
            return made, self.origin[parents]
        made = self.fitted.sample(n, rng).without_reserved()
        return made, np.full((n, 2), -1, dtype=np.int64)

    def _score(self, rows: Dataset) -> Floats:
        return np.asarray(self.judge.predict_proba(self.coding.apply(rows))[:, 1])


class _Coding:
    """What the judge sees of a row: numbers as they are, labels as codes by their frequency."""

    def __init__(self, names: Sequence[str], levels: dict[str, dict[str, float]]) -> None:
        self.names, self.levels = names, levels
        self.categorical: npt.NDArray[np.bool_] = np.array([name in levels for name in names])

    @classmethod
    def of(cls, real: Dataset) -> _Coding:
        """Return the coding of these rows; columns of one value tell nothing and are left out."""
        names, levels = [], {}
        for field in real.schema.fields:
            name = field.name
            if field.has_levels:
                codes, texts = real.codes(name)
                counts = np.bincount(codes[codes >= 0], minlength=len(texts))
                order = np.argsort(-counts, kind="stable")[:_MOST_LEVELS]
                levels[name] = {texts[code]: float(i) for i, code in enumerate(order)}
            names.append(name)
        return cls(names, levels)

    def apply(self, rows: Dataset) -> Floats:
        """Return the rows as floats, shape (n, d); missing is NaN."""
        columns: list[Any] = []
        for name in self.names:
            if name not in self.levels:
                columns.append(rows.values(name))
                continue
            codes, texts = rows.codes(name)
            known = self.levels[name]
            table = [min(known.get(text, np.inf), _MOST_LEVELS) for text in texts]
            columns.append(np.array([*table, np.nan])[codes])
        return np.column_stack(columns)
