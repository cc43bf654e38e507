"""New rows of one class from a fitted generator: in chunks, with parents, and with rules held."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.contracts import FittedGenerator, TracedGenerator
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.rules.enforce import RuleEnforcer
from twinset.core.seeding import rng_for
from twinset.sklearn._columns import Rows
from twinset.sklearn._tables import Table

Parents = npt.NDArray[np.int64]
_FILLED = frozenset({"number", "integer"})
_FIRST_CHUNK, _LARGEST_CHUNK = 256, 65_536


@dataclass(frozen=True)
class ClassSource:
    """A fitted generator and what is needed to draw the rows of one class from it.

    Parameters
    ----------
    fitted : FittedGenerator
        The generator.
    keeper : RuleKeeper or None
        The rules to hold in the rows.
    path : tuple
        Seed first, then names: where the streams come from.
    where : Where, optional
        Condition under which rows are drawn.
    names : tuple of str
        The columns that are kept.
    """

    fitted: FittedGenerator
    keeper: RuleEnforcer | None
    path: tuple[int, str]
    names: tuple[str, ...]
    where: Where | None = None

    def can_fill(self) -> bool:
        """Return whether rows can go straight into an array: numbers only, and no rule to hold."""
        kinds = {self.fitted.schema[name].kind for name in self.names}
        return self.keeper is None and kinds <= _FILLED and isinstance(self.fitted, TracedGenerator)

    def fill(self, out: npt.NDArray[np.float64]) -> Parents:
        """Write rows into `out`, shape (n, d), the same that `draw` gives; return their parents."""
        assert isinstance(self.fitted, TracedGenerator)
        return self.fitted.fill(out, rng_for(*self.path, "rows"), self.where)

    def draw(self, n: int, n_jobs: int = 1) -> tuple[list[Dataset], Parents]:
        """Return `n` rows as a list of sets, and their parents, shape (n, 2); -1 where unknown.

        The first n rows of a request for 2n are the rows of a request for n, on any number of
        threads: each chunk has a stream of its own, and chunk sizes do not depend on n.
        """
        is_traced = isinstance(self.fitted, TracedGenerator)
        if is_traced and self.keeper is None:
            made, parents = self._drawn(n, rng_for(*self.path, "rows"))
            return [made], parents
        sizes = list(chunk_sizes(n))
        starts = np.cumsum([0, *sizes]).tolist()
        whole = self._drawn(starts[-1], rng_for(*self.path, "rows")) if is_traced else None

        def chunk(index: int) -> tuple[Dataset, Parents]:
            rng = rng_for(*self.path, f"chunk-{index}")
            size, start = sizes[index], starts[index]
            if whole is None:
                made, parents = self._drawn(size, rng)
            else:
                made, parents = whole[0].slice(start, size), whole[1][start : start + size]
            return (made, parents) if self.keeper is None else self._held(made, parents, rng)

        n_threads = max(1, min(n_jobs, len(sizes)))
        if n_threads == 1:
            results = [chunk(index) for index in range(len(sizes))]
        else:
            with ThreadPoolExecutor(max_workers=n_threads) as pool:
                results = list(pool.map(chunk, range(len(sizes))))
        parents = np.concatenate([np.empty((0, 2), dtype=np.int64), *(p for _, p in results)])
        parts = [part for part, _ in results]
        if parts:
            parts[-1] = parts[-1].slice(0, n - starts[-2])
        return parts, parents[:n]

    def _drawn(self, n: int, rng: np.random.Generator) -> tuple[Dataset, Parents]:
        if isinstance(self.fitted, TracedGenerator):
            made, parents = self.fitted.draw(n, rng, self.where)
        else:
            made = self.fitted.sample(n, rng, self.where)
            parents = np.full((n, 2), -1, dtype=np.int64)
        made = made.without_reserved()
        return (made if made.schema.names == self.names else made.select(self.names)), parents

    def _held(
        self, made: Dataset, parents: Parents, rng: np.random.Generator
    ) -> tuple[Dataset, Parents]:
        """Hold the rules; a row that was drawn again has the parents of its new draw."""
        assert self.keeper is not None
        known = [parents]

        def redraw(n: int) -> Dataset:
            fresh, found = self._drawn(n, rng)
            first = sum(map(len, known))
            known.append(found)
            return _numbered(fresh, first)

        held = self.keeper.enforce(_numbered(made, 0), rng, None, redraw).dataset
        rows = pc.cast(held.records.column("_id"), pa.int64()).to_numpy()
        return held.without_reserved(), np.concatenate(known)[rows]


@dataclass(frozen=True)
class ClassDraw:
    """An order for rows of one class.

    Parameters
    ----------
    source : ClassSource
        Where they come from.
    rows : numpy.ndarray
        Positions in the caller's table of the rows that the generator was fitted on.
    own : numpy.ndarray
        Positions of the real rows of the class.
    n : int
        Rows wanted.
    """

    source: ClassSource
    rows: Rows
    own: Rows
    n: int

    def traced(self, found: Parents) -> tuple[Parents, Rows]:
        """Return parents as positions in the table, and for each new row a real one of its class.

        Rows without a parent stand for their class by one real row after the other.
        """
        parents = np.where(found >= 0, self.rows[found], -1)
        seeds = np.where(found[:, 0] >= 0, parents[:, 0], np.resize(self.own, len(found)))
        return parents, seeds


def drawn(table: Table, draws: list[ClassDraw], n_jobs: int) -> tuple[Any, Parents, Rows]:
    """Return all real rows with those drawn, the parents of these, and a real row of their class."""
    room = None
    if draws and all(draw.source.can_fill() for draw in draws):
        room = table.room(sum(draw.n for draw in draws))
    made: list[Dataset] = []
    parents, seeds = [np.empty((0, 2), np.int64)], [np.empty(0, np.int64)]
    start = 0
    for draw in draws:
        if room is not None:
            found = draw.source.fill(room[1][start : start + draw.n])
            start += draw.n
        else:
            parts, found = draw.source.draw(draw.n, n_jobs)
            made += parts
        own_parents, own_seeds = draw.traced(found)
        parents.append(own_parents)
        seeds.append(own_seeds)
    origin = np.concatenate(seeds)
    X = table.extended(made, origin) if room is None else table.finished(room[0], origin)
    return X, np.concatenate(parents), origin


def chunk_sizes(n: int) -> Iterator[int]:
    """Yield sizes of chunks that together hold `n` rows or more: 256, 256, 512, ... 65,536.

    Examples
    --------
    >>> list(chunk_sizes(600))
    [256, 256, 512]
    """
    drawn, size = 0, _FIRST_CHUNK
    while drawn < n:
        yield size
        drawn += size
        size = min(max(drawn, _FIRST_CHUNK), _LARGEST_CHUNK)


def _numbered(made: Dataset, first: int) -> Dataset:
    """Return the rows with their number as `_id`, by which they are known after a repair."""
    numbers = pc.cast(pa.array(np.arange(first, first + len(made))), pa.string())
    records = made.records.append_column("_id", numbers)
    return Dataset(records, made.schema, made.card)
