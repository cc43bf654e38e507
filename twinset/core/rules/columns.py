"""The columns that rules speak of as plain arrays, which repairs may change, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.errors import SchemaError

if TYPE_CHECKING:
    from twinset.core.data.dataset import Dataset
    from twinset.core.data.schema import Field

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


class Levels:
    """Texts and their codes; a text that is met for the first time gets the next code."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.texts = list(texts)
        self._codes = {text: code for code, text in enumerate(self.texts)}

    def copy(self) -> Levels:
        """Return the same texts under the same codes, to be extended apart from these."""
        return Levels(self.texts)

    def code(self, text: str) -> int:
        """Return the code of a text."""
        found = self._codes.get(text)
        if found is None:
            found = self._codes[text] = len(self.texts)
            self.texts.append(text)
        return found

    def encode(self, column: pa.ChunkedArray) -> Array:
        """Return a column of texts as codes, shape (n,), missing as -1."""
        whole = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column
        joined = whole.combine_chunks()
        if isinstance(joined, pa.ChunkedArray):
            joined = (
                pa.concat_arrays(joined.chunks) if joined.num_chunks else pa.array([], "string")
            )
        if not pa.types.is_dictionary(joined.type):
            joined = pc.dictionary_encode(pc.cast(joined, pa.string()))
        indices = np.asarray(pc.fill_null(joined.indices, -1).to_numpy(zero_copy_only=False))
        texts = joined.dictionary
        table = np.full(len(texts) + 1, -1, dtype=np.int64)
        used = np.unique(indices)
        used = used[used >= 0]
        for index, text in zip(used, texts.take(pa.array(used)).to_pylist(), strict=True):
            table[index] = self.code(str(text))
        codes: Array = table[indices]
        return codes


@dataclass
class RuleTable:
    """A few columns of a set: numbers, booleans and datetimes as floats, all others as codes."""

    # Name -> floats with NaN for missing (datetimes in microseconds since 1970), or codes with -1
    # for missing; each of shape (n,)
    columns: dict[str, Array]
    fields: Mapping[str, Field]  # Name -> field
    # Name -> what the codes of a column stand for
    levels: dict[str, Levels] = field(default_factory=dict)

    @classmethod
    def from_dataset(
        cls, dataset: Dataset, names: Sequence[str], levels: Mapping[str, Levels] | None = None
    ) -> RuleTable:
        """Return the named columns of a set; with `levels`, coded (and extending) those."""
        known = {} if levels is None else levels
        table = cls({}, {name: dataset.schema[name] for name in names})
        for name in names:
            if table.is_numeric(name):
                table.columns[name] = dataset.values(name)
            else:
                table.levels[name] = known[name] if name in known else Levels()
                table.columns[name] = table.levels[name].encode(dataset.records.column(name))
        return table

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def is_numeric(self, name: str) -> bool:
        """Return whether a column holds floats rather than codes."""
        return self.fields[name].column_kind.has_float_values

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """Return a column as floats."""
        if not self.is_numeric(name):
            raise SchemaError(f"the column '{name}' is not numeric", got=self.fields[name].kind)
        return self.columns[name]

    def missing(self, names: Sequence[str]) -> Mask:
        """Return the rows in which any of the columns is missing, shape (n,)."""
        absent = np.zeros(len(self), dtype=bool)
        for name in names:
            values = self.columns[name]
            absent |= np.isnan(values) if self.is_numeric(name) else values < 0
        return absent

    def keys(self, names: Sequence[str]) -> Rows:
        """Return a number for each distinct tuple of values, shape (n,); -1 where one is missing."""
        joint = np.zeros(len(self), dtype=np.int64)
        for name in names:
            own = pa.array(self.columns[name]).dictionary_encode()
            codes = own.indices.to_numpy(zero_copy_only=False).astype(np.int64)
            joint = joint * max(len(own.dictionary), 1) + codes
            if len(names) > 1:
                joint = pa.array(joint).dictionary_encode().indices.to_numpy().astype(np.int64)
        joint[self.missing(names)] = -1
        return joint

    def take(self, rows: Array | slice) -> RuleTable:
        """Return the rows with these positions (or under this mask), copied."""
        return replace(self, columns={name: v[rows] for name, v in self.columns.items()})

    def copy(self) -> RuleTable:
        """Return the same rows, to be changed apart from these."""
        return replace(self, columns={name: v.copy() for name, v in self.columns.items()})

    def put(self, rows: Array, other: RuleTable) -> None:
        """Overwrite the rows with those of another table of the same levels."""
        for name, values in self.columns.items():
            values[rows] = other.columns[name]

    def onto(self, dataset: Dataset, before: RuleTable, names: Iterable[str]) -> Dataset:
        """Return `dataset`, which `before` was read from, with the cells of `names` that differ."""
        records = dataset.records
        for name in names:
            values, old = self.columns[name], before.columns[name]
            changed = values != old
            if values.dtype.kind == "f":
                changed &= ~(np.isnan(values) & np.isnan(old))
            if changed.any():
                at = records.column_names.index(name)
                column = self._column(name, records.column(name), changed)
                records = records.set_column(at, name, column)
        return replace(dataset, records=records)

    def _column(self, name: str, old: pa.ChunkedArray, changed: Mask) -> pa.ChunkedArray:
        values = self.columns[name]
        if self.is_numeric(name):
            made = _numeric(values, self.fields[name], old.type)
            return pc.if_else(pa.array(changed), made, old)
        indices = pa.array(values.astype(np.int32), mask=values < 0)
        texts = pa.array(self.levels[name].texts, pa.string())
        if pa.types.is_dictionary(old.type):
            coded = pa.DictionaryArray.from_arrays(indices, texts)
            return pa.chunked_array([coded.cast(old.type)])
        return pa.chunked_array([texts.take(indices)])


def _numeric(values: Array, field: Field, target: pa.DataType) -> pa.Array:
    absent = np.isnan(values)
    if field.has_levels:
        return pa.array(np.where(absent, 0, values) == 1, mask=absent)
    if field.is_continuous:
        if pa.types.is_decimal(target) and target.precision <= 15:
            most = 10.0 ** (target.precision - target.scale) - 10.0**-target.scale
            values = np.clip(values, -most, most)
        return pa.array(values, mask=absent).cast(target, safe=False)
    whole = np.rint(np.where(absent, 0, values))
    limits = np.iinfo("int64" if field.is_time else str(target))
    # The greatest 64-bit integers have no exact float.
    most = limits.max if limits.max < 2**53 else np.nextafter(float(limits.max) + 1, 0)
    made = np.clip(whole, limits.min, most).astype(limits.dtype)
    return pa.array(made, mask=absent).cast(target)


@dataclass
class TupleIndex:
    """The distinct tuples of a few columns.

    Build one with `TupleIndex.of` from the rows of a table, or from listed tuples.
    """

    names: tuple[str, ...]
    values: tuple[Array, ...]  # For each column its value in each of the m tuples, shape (m,)
    counts: Rows  # How many rows hold each tuple, shape (m,)
    _finders: dict[tuple[str, ...], _Finder] = field(default_factory=dict, repr=False)

    @classmethod
    def from_table(cls, table: RuleTable, names: Sequence[str]) -> TupleIndex:
        """Return the tuples that occur in a table; rows with a missing value are passed over."""
        keys = table.keys(names)
        rows = np.flatnonzero(keys >= 0)
        _, first, counts = np.unique(keys[rows], return_index=True, return_counts=True)
        values = tuple(table.columns[name][rows[first]] for name in names)
        return cls(tuple(names), values, counts.astype(np.int64))

    def __len__(self) -> int:
        return len(self.counts)

    def find(self, table: RuleTable) -> Rows:
        """Return for each row the position of its tuple, shape (n,); -1 for one not known."""
        return self._finder(self.names).groups(table)

    def draw(
        self, table: RuleTable, rows: Rows, shared: Sequence[str], rng: np.random.Generator
    ) -> Rows:
        """Return for each row a tuple that equals it in the columns `shared`, drawn by count.

        Shape (n,); -1 where there is none.
        """
        finder = self._finder(tuple(shared))
        groups = finder.groups(table.take(rows))
        found = np.full(len(rows), -1, dtype=np.int64)
        known = groups >= 0
        low, high = finder.ends[groups[known]], finder.ends[groups[known] + 1]
        at = low + rng.random(len(low)) * (high - low)
        place = np.searchsorted(finder.cumulated, at, side="right")
        # A draw that falls on the upper end by rounding still belongs to its group.
        place = np.clip(place, finder.starts[groups[known]], finder.starts[groups[known] + 1] - 1)
        found[known] = finder.members[place]
        return found

    def _finder(self, names: tuple[str, ...]) -> _Finder:
        if names not in self._finders:
            self._finders[names] = _Finder.from_index(self, names)
        return self._finders[names]


@dataclass
class _Finder:
    """Tuples grouped by some of their columns, and a search tree of sorted keys to find the group."""

    names: tuple[str, ...]
    grids: list[Array]
    stages: list[npt.NDArray[np.int64]]
    members: Rows
    starts: Rows
    cumulated: npt.NDArray[np.float64]
    ends: npt.NDArray[np.float64]

    @classmethod
    def from_index(cls, index: TupleIndex, names: tuple[str, ...]) -> _Finder:
        grids, stages = [], []
        state = np.zeros(len(index), dtype=np.int64)
        for name in names:
            grid, place = np.unique(index.values[index.names.index(name)], return_inverse=True)
            stage, state = np.unique(state * len(grid) + place.ravel(), return_inverse=True)
            grids.append(grid)
            stages.append(stage)
            state = state.ravel()
        members = np.argsort(state, kind="stable")
        weights = index.counts if index.counts.any() else np.ones(len(index))
        cumulated = np.cumsum(weights[members], dtype=float)
        n_groups = int(state.max()) + 1 if len(state) else 0
        starts = np.searchsorted(state[members], np.arange(n_groups + 1))
        ends = np.concatenate([[0.0], cumulated])[starts]
        # A group without weight is drawn from by its first member: see the clipping in `draw`.
        return cls(names, grids, stages, members, starts, cumulated, ends)

    def groups(self, table: RuleTable) -> Rows:
        state = np.zeros(len(table), dtype=np.int64)
        known = np.ones(len(table), dtype=bool)
        if not len(self.members):
            return np.full(len(table), -1, dtype=np.int64)
        for name, grid, stage in zip(self.names, self.grids, self.stages, strict=True):
            place, hit = _search(grid, table.columns[name])
            known &= hit
            state, hit = _search(stage, state * len(grid) + place)
            known &= hit
        return np.where(known, state, -1)


def _search(grid: Array, values: Array) -> tuple[Rows, npt.NDArray[np.bool_]]:
    if grid.dtype.kind == "i" and grid[-1] < 4 * len(grid) + 1024 and grid[0] >= 0:
        # Small codes are looked up directly.
        table = np.full(int(grid[-1]) + 2, -1, dtype=np.int64)
        table[grid] = np.arange(len(grid))
        inside = (values >= 0) & (values <= grid[-1])
        direct = table[np.where(inside, values, -1)]
        return np.maximum(direct, 0), direct >= 0
    place = np.minimum(np.searchsorted(grid, values), len(grid) - 1)
    return place, grid[place] == values


@dataclass(frozen=True)
class RuleStatistics:
    """What train rows show about one rule."""

    # The tuples that may occur: of a combination, or left and right side of a dependency
    tuples: TupleIndex | None = None
    left: TupleIndex | None = None  # Left sides of a dependency
    # For each of them the value of the last column that most real rows show
    right: Array | None = None
    # Values of the first column, sorted, and what the most frequent row with each has on the right:
    # for left sides that no real row has
    fallback: tuple[Array, Array] | None = None
    # Of a one-hot group, the share of rows in which each flag is set
    shares: npt.NDArray[np.float64] | None = None

    def decided(self, table: RuleTable) -> npt.NDArray[np.float64]:
        """Return what the last column must be in each row, shape (n,).

        A left side that no real row has goes with what is most frequent beside the nearest value of its
        first column: some fixed answer, so that equal left sides always get equal right ones.
        """
        assert self.left is not None
        assert self.right is not None
        assert self.fallback is not None
        found = self.left.find(table)
        grid, answers = self.fallback
        if not len(grid):
            return np.full(len(table), np.nan)
        decided = self.right[found].astype(float)
        unseen = np.flatnonzero(found < 0)
        if len(unseen):
            values = table.columns[self.left.names[0]][unseen]
            above = np.clip(np.searchsorted(grid, values), 0, len(grid) - 1)
            below = np.maximum(above - 1, 0)
            nearest = np.where(values - grid[below] < grid[above] - values, below, above)
            decided[unseen] = answers[nearest]
        return decided
