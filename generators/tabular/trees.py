"""`tabular.trees`: a chain of decision trees whose leaves contain donors."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import column_masks, rows_to_learn_from, unmet
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.data.where import Condition, Where
from twinset.core.errors import ParameterError
from twinset.core.parameters import Ge, Gt
from twinset.core.rules.protected_rows import protect_rows

from ._fitted import Arrays, ReadArrays, check_checkpoint, fill_missing, pack, unpack
from ._trees.chain import Chain, ChainConditions
from ._trees.link import LinkSettings
from ._trees.refinement import CopyGuard, Refinement
from ._trees.table import ChainTable, Mask, Matrix

Shares = Mapping[str, Mapping[str, float]]
Kept = TypeVar("Kept")

# Leaf of a fine number: larger where numbers alone distinguish rows, so that synthetic rows do not
# come close to single train rows; where a quarter of the variables are codes, these do.
_LEAF_OF_MIXED, _LEAF_OF_NUMBERS = 8, 40
_MIXED = 0.25  # share of variables with few values: see above
_MIN_LEAF, _LEAVES = (
    5,
    50,
)  # no leaf is required to be larger than 5 rows or a fiftieth of the table
_FORMAT = 5  # of checkpoints; raised when their arrays or values change
_MAX_CACHED = 16  # orders and completions kept for the next call; each holds some links


@dataclass(frozen=True, kw_only=True)
class Trees(Generator):
    """Chain of decision trees: each column drawn from real values of similar rows, then smoothed.

    The columns are put in an order, and each gets an entropy tree of those before it, pruned to the
    splits that held-out rows confirm. A row is drawn along the chain: the tree leads to a leaf, a
    donor is drawn from the leaf's rows, and its number moves inside a narrow bin and along the slope
    that it has in the leaf. A number that is continuous nearly everywhere is drawn as the
    expectation of a small forest plus a donor's residual. Numbers that are exactly the sum,
    difference or copy of others stay so. Missing values are a variable of their own. A table of
    30,000 rows takes one to a few seconds. A column depends on 64 others at most, those closest to it;
    in tables of more than 300 variables on fewer, down to 16.

    Conditions are drawn first, so they are met exactly and without rejection; a condition on
    columns that come late in the chain fits a part of it again, once.

    Parameters
    ----------
    min_leaf : int
        Smallest number of rows in a leaf of the tree of a number with more than `n_cells` values, or
        of one with a forest. 0 takes 8, or 40 in tables of hardly anything but such numbers.
    min_leaf_labels : int
        Smallest number of rows in a leaf of the tree of a category or a number with fewer values, 1
        or more. Of both: larger leaves repeat single rows less and represent them less exactly;
        pruning usually leaves larger leaves than this. Neither is taken larger than a fiftieth of
        the rows, or than 5.
    back_off : float
        Strength of the shrinkage of leaves of categories to their parents' shares, in rows; 0 or
        more.
    n_bins : int
        Bins of a number that its tree separates, 2 or more.
    n_cells : int
        Bins of a number inside which a donor moves, 2 or more.
    guard_copies : bool
        Draw exact copies of rows that one individual has again where there are more of them than
        among fresh real rows.
    refine : bool
        Fit boosted models that find errors of the chain: labels of a target with 2 to 8 levels are
        changed where the chain draws them with other odds than real rows have, and rows are drawn
        again where real and drawn rows are clearly separated (then sampling takes about twice as
        long). Only for rows drawn without a condition and at temperature 1.
    temperature : float
        Above 1 rows become more varied than real ones, below 1 less; more than 0.
    min_repeats : int
        Rows that a level needs in order to be drawn; 0 draws all.
    shares : mapping
        Columns to rebalance: column -> {level: share}, with the sum 1.
    pin_range : bool
        Put the exact smallest and greatest value of each number into every 32,768 rows. Both belong
        to real individuals.
    private : bool
        Forget which rows donors come from and keep synthetic rows in the place of real ones, for
        conditions and for a checkpoint. Values that a single person holds, rare levels and extremes
        are replaced before the fit, also where value protection is off. No formal guarantee.
    max_rows : int
        Rows of the fit at most, drawn at random from longer tables; each tree uses at most 100,000.

    References
    ----------
    Nowok, Raab and Dibben, "synthpop", J. Statistical Software 74, 2016, and Reiter, "Using CART to
    generate partially synthetic public use microdata", J. Official Statistics 21, 2005, drew each
    column from tree leaves first.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=500).round(2)
    >>> real = Dataset.from_arrow(pa.table({"x": x, "big": np.where(x > 1, "yes", "no")}))
    >>> fitted = Trees().fit(real, np.random.default_rng(1))
    >>> rows = fitted.sample(200, np.random.default_rng(2), Where({"big": "yes"}))
    >>> len(rows), bool(rows.values("x").min() > 0.9)
    (200, True)
    """

    min_leaf: Annotated[int, Ge(0)] = 0
    min_leaf_labels: Annotated[int, Ge(1)] = 40
    back_off: Annotated[float, Ge(0)] = 20.0
    n_bins: Annotated[int, Ge(2)] = 16
    n_cells: Annotated[int, Ge(2)] = 256
    guard_copies: bool = True
    refine: bool = True
    temperature: Annotated[float, Gt(0)] = 1.0
    min_repeats: Annotated[int, Ge(0)] = 0
    shares: Shares = field(default_factory=dict)
    pin_range: bool = False
    private: bool = False
    max_rows: Annotated[int, Ge(2)] = 1_000_000

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    chunk_rows: ClassVar[int] = 32_768

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedTrees:
        """Return the chain of `real`; needs 2 rows. Time grows as n d log n beyond 300 columns."""
        train = rows_to_learn_from(real, self.kinds, component="tabular.trees", min_rows=2)
        train = train.without_reserved().at_most(self.max_rows, rng)
        if self.private:
            shares = {name: frozenset(levels) for name, levels in self.shares.items()}
            train = protect_rows(train, rng, shares)
        _check_shares(self.shares, train)
        table = ChainTable.from_dataset(train)
        target = train.schema.target
        first, number = [*self.shares], ""
        if target is not None and target.is_numeric:
            number = target.name
        elif target is not None and target.name not in first:
            first.append(target.name)
        matrix = table.encode(train)
        settings = self._link_settings(table, matrix)
        chain = Chain.fit(table, matrix, first, number, settings, rng, progress)
        refinement = Refinement()
        if self.refine and self.temperature == 1:
            refinement = Refinement.fit(chain, None if target is None else target.name, rng)
        guard = None
        if self.guard_copies:
            guard = CopyGuard.from_rows(chain.matrix, lambda n: refinement.draw(chain, n, rng))
        fitted = FittedTrees(chain, refinement, guard, self.shares, self.pin_range, private=False)
        return fitted.with_privacy(rng) if self.private else fitted

    def from_arrays(self, arrays: ReadArrays, meta: Mapping[str, Any]) -> FittedTrees:
        """Return the fitted chain that `FittedTrees.to_arrays` wrote."""
        return FittedTrees.from_arrays(arrays, meta)

    def _link_settings(self, table: ChainTable, matrix: Matrix) -> LinkSettings:
        """Return the settings of links; leaves are smaller where rows are few."""
        is_coarse = [
            variable.is_nominal or len(np.unique(column)) <= self.n_cells
            for variable, column in zip(table.variables, matrix.T, strict=True)
        ]
        default = _LEAF_OF_MIXED if np.mean(is_coarse) >= _MIXED else _LEAF_OF_NUMBERS
        max_leaf = max(_MIN_LEAF, len(matrix) // _LEAVES)
        return LinkSettings(
            min_leaf=min(self.min_leaf or default, max_leaf),
            min_leaf_labels=min(self.min_leaf_labels, max_leaf),
            back_off=self.back_off,
            n_bins=self.n_bins,
            n_cells=self.n_cells,
            temperature=self.temperature,
            min_repeats=self.min_repeats,
        )


class FittedTrees(FittedGenerator):
    """A fitted chain of trees.

    Parameters
    ----------
    chain : Chain
        The chain; in a private one, its rows are rows that it drew itself.
    refinement : Refinement
        Corrections of rows drawn without a condition.
    guard : CopyGuard or None
        Limits copies of real rows.
    shares : mapping
        Column -> {level: share} that rows are drawn with.
    pin_range : bool
        Put the extremes of each number into every sample.
    private : bool
        No donor discloses the row it comes from, and no real row is kept.
    """

    def __init__(
        self,
        chain: Chain,
        refinement: Refinement,
        guard: CopyGuard | None,
        shares: Shares,
        pin_range: bool,
        private: bool,
    ) -> None:
        self.schema = chain.table.encoding.schema
        self._chain, self._refinement, self._guard = chain, refinement, guard
        # In one order, whatever that of the settings: a checkpoint does not keep it.
        self._shares = {name: dict(sorted(shares[name].items())) for name in sorted(shares)}
        self._pin_range, self._private = pin_range, private
        self._rows = chain.table.decode(chain.matrix)
        self._orders: OrderedDict[tuple[str, ...], Chain] = OrderedDict()
        self._completions: OrderedDict[tuple[str, ...], Any] = OrderedDict()
        self._lock = threading.Lock()

    def with_privacy(self, rng: np.random.Generator) -> FittedTrees:
        """Return the same chain with synthetic rows in the place of real ones."""
        own = self._draw(len(self._chain.matrix), rng, None)
        links = tuple(link.anonymous(rng) for link in self._chain.links)
        # Its own rows have no rare levels; a level that is rare among those alone may stay.
        settings = replace(self._chain.settings, min_repeats=0)
        chain = replace(self._chain, matrix=own, links=links, settings=settings)
        return FittedTrees(
            chain, self._refinement, self._guard, self._shares, self._pin_range, private=True
        )

    def with_donors_in(
        self, is_own: Mask, rng: np.random.Generator, *, guard_copies: bool
    ) -> FittedTrees:
        """Return the same chain with donors of some of its rows only, shape (n,): those of one label.

        With `guard_copies` copies of these rows are limited, of the others not. Corrections of rows
        of the whole chain do not apply to these.
        """
        chain, guard = self._chain.with_donors_in(is_own), None
        if guard_copies:
            guard = CopyGuard.from_rows(chain.matrix[is_own], lambda n: chain.draw(n, rng))
        return FittedTrees(chain, Refinement(), guard, {}, pin_range=False, private=False)

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` rows; those under a condition are drawn from its columns onwards.

        Raises
        ------
        ParameterError
            No train row meets the condition on one of its columns.
        """
        parts = [
            self._draw(count, rng, condition) for condition, count in self._split(n, rng, where)
        ]
        rows = parts[0] if len(parts) == 1 else np.concatenate(parts)[rng.permutation(n)]
        if self._pin_range and where is None:
            self._pin(rows)
        return self._chain.table.decode(rows)

    def complete(
        self, rows: Dataset, rng: np.random.Generator, *, most_likely: bool = False
    ) -> Dataset:
        """Return the rows with every missing value filled, given all known values of its row.

        Other values stay as they are; a label that the train set did not have stays too and is not
        used for the other columns. A column without any value in the train set stays as it is.

        Parameters
        ----------
        rows : Dataset
            Rows of the same columns, any of them missing anywhere.
        rng : numpy.random.Generator
            The only source of randomness.
        most_likely : bool
            Fill in the mean and the most likely level rather than one draw: nearer to the truth on
            average, and less varied.

        Raises
        ------
        SchemaError
            A column is missing or of another kind.
        """
        from ._trees.completion import Completion

        requested = rows.with_schema(self.schema)
        table = self._chain.table
        given = _without_unknown_labels(requested, table)
        missing = {name: given.is_null(name) for name in self.schema.names}
        columns = tuple(name for name, mask in missing.items() if mask.any())
        with self._lock:
            if columns not in self._completions:
                self._completions[columns] = Completion.fit(self._chain, columns)
            completion: Completion = _latest(self._completions, columns)
        matrix = table.encode(_with_placeholders(given, self._rows, columns))
        matrix = completion.fill(matrix, missing, rng, most_likely)
        return fill_missing(requested, table.decode(matrix), list(completion.links))

    def to_arrays(self) -> tuple[Arrays, dict[str, Any]]:
        """Return the fitted chain as plain arrays and JSON values.

        The arrays contain the train rows; of a private chain, rows that it drew itself. They contain
        hashes of the rows that one individual has, unless copies are not guarded against.
        """
        arrays: Arrays = {}
        meta = {
            "component": "tabular.trees",
            "format": _FORMAT,
            "chain": pack(self._chain, "chain", arrays),
            "refinement": pack(self._refinement, "refinement", arrays),
            "guard": None if self._guard is None else pack(self._guard, "guard", arrays),
            "shares": self._shares,
            "pin_range": self._pin_range,
            "private": self._private,
        }
        return arrays, meta

    @classmethod
    def from_arrays(cls, arrays: ReadArrays, meta: Mapping[str, Any]) -> FittedTrees:
        """Return the fitted chain that `to_arrays` wrote.

        Raises
        ------
        DataError
            The arrays are of another component or format.
        """
        check_checkpoint(meta, "tabular.trees", _FORMAT)
        chain = unpack(Chain, meta["chain"], arrays)
        refinement = unpack(Refinement, meta["refinement"], arrays)
        guard = unpack(CopyGuard, meta["guard"], arrays)
        return cls(chain, refinement, guard, meta["shares"], meta["pin_range"], meta["private"])

    def _draw(self, n: int, rng: np.random.Generator, where: Where | None) -> Matrix:
        chain, conditions = self._chain, None
        if where is not None and where.conditions:
            masks = column_masks(self._rows, where)
            chain = self._chain_from(list(masks))
            conditions = ChainConditions.from_where(where, chain, masks)

        def draw(count: int) -> Matrix:
            if conditions is None:
                return self._refinement.draw(chain, count, rng)
            return chain.draw(count, rng, conditions)

        rows = draw(n)
        return rows if self._guard is None else self._guard.redraw(rows, draw, rng)

    def _chain_from(self, columns: Sequence[str]) -> Chain:
        """Return the chain that draws `columns` first and has the row of each donor."""
        ready = not self._private and self._chain.draws_first(columns)
        if ready and not self._chain.uses_expectation(columns):
            return self._chain
        key = tuple(sorted(columns))
        with self._lock:
            if key not in self._orders:
                base = replace(self._chain, links=()) if self._private else self._chain
                rest = [name for name in self._chain.first if name not in key]
                self._orders[key] = base.reordered([*key, *rest])
            return _latest(self._orders, key)

    def _split(
        self, n: int, rng: np.random.Generator, where: Where | None
    ) -> Iterator[tuple[Where | None, int]]:
        """Yield conditions and counts, n in all: one for each combination of rebalanced levels."""
        given: dict[str, Condition] = dict(where.conditions) if where is not None else {}
        open_shares = {name: s for name, s in self._shares.items() if name not in given}
        if not open_shares or n == 0:
            yield where, n
            return
        drawn = []
        for shares in open_shares.values():
            share = np.array(list(shares.values()), dtype=float)
            drawn.append(rng.choice(len(share), n, p=share / share.sum()))
        for combination, count in sorted(Counter(zip(*drawn, strict=True)).items()):
            levels = {
                name: list(shares)[int(at)]
                for (name, shares), at in zip(open_shares.items(), combination, strict=True)
            }
            yield Where({**given, **levels}), count

    def _pin(self, rows: Matrix) -> None:
        """Give the nearest rows the smallest and the greatest value of each number."""
        for link in self._chain.links:
            if link.bins is not None and len(link.bins.values) > 1:
                column = rows[:, link.position]
                indicator = self._chain.table.variables[link.position].indicator
                there = np.arange(len(rows))
                if indicator is not None:
                    there = np.flatnonzero(rows[:, indicator] == 0)
                if len(there) > 1:
                    ordered = there[np.argsort(column[there], kind="stable")]
                    column[ordered[0]] = link.bins.values[0]
                    column[ordered[-1]] = link.bins.values[-1]


def _latest(kept: OrderedDict[tuple[str, ...], Kept], key: tuple[str, ...]) -> Kept:
    """Return `kept[key]` and remove all but the 16 entries that were used last."""
    kept.move_to_end(key)
    while len(kept) > _MAX_CACHED:
        kept.popitem(last=False)
    return kept[key]


def _check_shares(shares: Shares, rows: Dataset) -> None:
    """Raise ParameterError when `shares` name a column or a level that cannot be drawn."""
    for name, given in shares.items():
        if not rows.schema[name].has_levels:
            raise ParameterError(
                f"'shares' names the column '{name}', which has no levels",
                got=rows.schema[name].kind,
                allowed="a category or boolean",
            )
        total = sum(given.values())
        if not given or min(given.values()) < 0 or not abs(total - 1) < 1e-6:
            raise ParameterError(
                f"the shares of '{name}' are no shares",
                got=f"a sum of {total:g}",
                allowed="numbers of 0 or more with the sum 1",
            )
        levels = rows.codes(name)[1]
        for level in given:
            if level not in levels:
                raise unmet(Where({name: level}), rows)


def _with_placeholders(given: Dataset, known: Dataset, names: Sequence[str]) -> Dataset:
    """Return `given` with the most frequent known value in missing cells, so that it can be encoded."""
    table = given.records
    for name in names:
        column = table.column(name)
        counts = pc.value_counts(known.records.column(name).drop_null().cast("string"))
        if not len(counts):
            continue
        frequency = counts.field("counts")
        common = counts.field("values")[pc.index(frequency, pc.max(frequency))]
        if given.schema[name].kind == "category":
            filled = pc.fill_null(column.cast("string"), common).cast(column.type)
        else:
            filled = pc.fill_null(column, common.cast(column.type))
        table = table.set_column(table.column_names.index(name), name, filled)
    return Dataset(table, given.schema, given.card)


def _without_unknown_labels(given: Dataset, table: ChainTable) -> Dataset:
    """Return `given` without the labels that the train set did not have."""
    records = given.records
    for column in table.encoding.columns:
        if column.field.kind == "category":
            name = column.field.name
            labels = records.column(name).cast("string")
            known = pc.is_in(labels, value_set=pa.array(column.levels, pa.string()))
            if not pc.all(pc.or_(known, pc.is_null(labels)), min_count=0).as_py():
                kept = pc.if_else(known, labels, pa.scalar(None, pa.string()))
                kept = kept.cast(records.column(name).type)
                records = records.set_column(records.column_names.index(name), name, kept)
    return Dataset(records, given.schema, given.card)
