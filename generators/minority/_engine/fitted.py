"""What the samplers of this folder are once fitted: classes, conditions, parents, and the ways out."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from twinset.core.contracts import FittedGenerator
from twinset.core.data.conditions import column_masks, unmet
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where

from .engine import Engine, Maker
from .matrices import Grid
from .streams import Floats, Positions, Streams

MakeMaker = Callable[[Grid, Positions | None], Maker]
"""From the grid and the rows of one class (None: all of them) to the maker of that class."""

_ROUNDS = 16
_LARGEST_DRAW = 65_536
_KEPT_ENGINES = 32


class FittedSampler(FittedGenerator):
    """Rows of one class, or of each class at its share; see `Generator.fit` of the samplers.

    Parameters
    ----------
    train : Dataset
        The rows learnt from, without reserved columns other than `_id`.
    make_maker : callable
        Builds the maker of one class.
    least : int
        Fewest rows of a class to make others from.
    """

    def __init__(self, train: Dataset, make_maker: MakeMaker, least: int = 2) -> None:
        self.train, self.schema = train, train.schema
        self.make_maker, self.least = make_maker, least
        self._engines: OrderedDict[str, tuple[Engine, bool]] = OrderedDict()
        self._lock = threading.Lock()

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` rows; those of real rows with an `_id` name their parents."""
        made, parents = self.draw(n, rng, where)
        column = parents_column(self.train, parents)
        if column is None:
            return made
        return Dataset(made.records.append_column("_parents", column), made.schema, made.card)

    def draw(
        self, n: int, rng: np.random.Generator, where: Where | None = None
    ) -> tuple[Dataset, Positions]:
        """Return `n` rows and the positions of the two real rows that each was made from, (n, 2)."""
        (engine, always), streams = self._engine(where), Streams.of(rng)
        if where is None or always:
            return _rows(engine, streams, 0, n)
        kept, parents, found, at = [], [], 0, 0
        size = max(n, 1)
        for _ in range(_ROUNDS):
            made, whose = _rows(engine, streams, at, at + size)
            meets = made.mask(where)
            kept.append(made.filter(meets))
            parents.append(whose[meets])
            found, at = found + len(kept[-1]), at + size
            if found >= n:
                return Dataset.concat(kept).slice(0, n), np.concatenate(parents)[:n]
            size = min(int(1.2 * (n - found) * at / max(found, 1)) + 1, max(4 * n, _LARGEST_DRAW))
        raise unmet(where)

    def fill(self, out: Floats, rng: np.random.Generator, where: Where | None = None) -> Positions:
        """Write rows into `out`, shape (n, p): one column a number, integer or datetime; see `draw`.

        The same rows as `draw` gives, for tables of numbers that shall not pass through Arrow.
        """
        engine, always = self._engine(where)
        if not always:
            made, parents = self.draw(len(out), rng, where)
            for i, column in enumerate(engine.grid.number_columns):
                out[:, i] = made.values(column.field.name)
            return parents
        streams, parents = Streams.of(rng), np.empty((len(out), 2), dtype=np.int64)
        for rows, block in engine.blocks(streams, 0, len(out)):
            out[rows], parents[rows] = block.numbers, block.parents
        return parents

    def _engine(self, where: Where | None) -> tuple[Engine, bool]:
        """Return the engine of the rows that meet `where`, and whether all that it makes does."""
        key = "" if where is None else json.dumps(where.to_json(), sort_keys=True, default=str)
        with self._lock:
            if key not in self._engines:
                engine = self._build(where)
                always = where is None or _always_holds(engine.grid, where)
                self._engines[key] = engine, always
                if len(self._engines) > _KEPT_ENGINES:
                    self._engines.popitem(last=False)
            return self._engines[key]

    def _build(self, where: Where | None) -> Engine:
        rows = np.arange(len(self.train))
        seeds = self.train
        if where is not None and where.conditions:
            column_masks(self.train, where)
            rows = np.flatnonzero(self.train.mask(where))
            seeds = self.train.take(rows)
        if len(rows) < self.least:
            raise unmet(where or Where({}))
        grid = Grid.of(seeds, rows)
        groups, shares = classes_of(grid)
        return Engine(grid, [self.make_maker(grid, group) for group in groups], shares)


def _always_holds(grid: Grid, where: Where) -> bool:
    """Return whether all that can be made meets `where`: its columns hold one value each."""
    numbers = zip(grid.number_columns, grid.numbers.T, strict=True)
    labels = zip(grid.label_columns, grid.codes.T, strict=True)
    constant = {
        column.field.name
        for column, values in [*numbers, *labels]
        if column.field.name in where.conditions and (values == values[0]).all()
    }
    return set(where.conditions) <= constant


def classes_of(grid: Grid) -> tuple[list[Positions | None], Floats]:
    """Return the rows of each label of the target as a crowd of its own, and the share of each.

    Labels of a single row have nothing to lie between: their share is drawn among all rows.
    """
    target = grid.schema.target
    names = [column.field.name for column in grid.label_columns]
    if target is None or target.name not in names:
        return [None], np.ones(1)
    codes = grid.codes[:, names.index(target.name)]
    found, counts = np.unique(codes, return_counts=True)
    if len(found) == 1:
        return [None], np.ones(1)
    groups: list[Positions | None] = [np.flatnonzero(codes == c) for c in found[counts > 1]]
    sizes = [int(count) for count in counts[counts > 1]]
    singles = int((counts == 1).sum())
    if singles:
        groups.append(None)
        sizes.append(singles)
    return groups, np.array(sizes) / len(codes)


def _rows(engine: Engine, streams: Streams, start: int, stop: int) -> tuple[Dataset, Positions]:
    """Return rows `start` to `stop` of the sequence as a set, and their parents."""
    n, grid = stop - start, engine.grid
    numbers = np.empty((len(grid.number_columns), n))
    codes = np.empty((len(grid.label_columns), n), dtype=np.int32)
    parents = np.empty((n, 2), dtype=np.int64)
    for rows, block in engine.blocks(streams, start, stop):
        numbers[:, rows], codes[:, rows], parents[rows] = (
            block.numbers.T,
            block.codes.T,
            block.parents,
        )
    return grid.to_dataset(numbers, codes), parents


def parents_column(train: Dataset, parents: Positions) -> pa.Array | None:
    """Return a `_parents` column that names one or two train rows each; None if they have no `_id`."""
    if "_id" not in train.records.column_names:
        return None
    differ = parents[:, 0] != parents[:, 1]
    named = parents.ravel()[np.column_stack([np.ones_like(differ), differ]).ravel()]
    ids = train.records.column("_id").combine_chunks().take(pa.array(named))
    offsets = np.concatenate([[0], np.cumsum(1 + differ)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), ids)
