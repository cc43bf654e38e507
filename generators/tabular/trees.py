"""`tabular.trees`: a chain of decision trees whose leaves hold donors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Generator, Progress, silent
from twinset.core.data.conditions import rows_to_learn_from
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.parameters import Ge, Gt

from ._trees.chain import Chain
from ._trees.copy_guard import CopyGuard
from ._trees.fitted import FittedTrees, check_shares
from ._trees.link import LinkSettings
from ._trees.refinement import Refinement
from ._trees.table import ChainTable, Matrix

_LEAF_OF_MIXED, _LEAF_OF_NUMBERS = 8, 40
_MIXED = 0.25
_LEAST_LEAF, _LEAVES = 5, 50


@dataclass(frozen=True, kw_only=True)
class Trees(Generator):
    """Chain of decision trees: each column drawn from real values of alike rows, then smoothed.

    The columns are put in an order, and each gets an entropy tree of those before it, pruned to the
    splits that rows it has not seen confirm. A row is drawn along the chain: the tree leads to a
    leaf, a donor is taken from the leaf's rows, and its number moves inside a narrow bin and along
    the slope that it has in the leaf. A number that is continuous nearly everywhere is drawn as what
    a small forest expects of it, plus a donor's rest beyond that. Numbers that are exactly the sum,
    difference or copy of others stay so. Missing values are a variable of their own. Nothing is
    trained by gradient: a table of 30,000 rows takes one to a few seconds.

    Conditions are drawn first, so they are met exactly and without rejection; a condition on
    columns that come late in the chain regrows a part of it, once.

    Parameters
    ----------
    min_leaf : int
        Fewest rows in a leaf of the tree of a number with more than `n_cells` values, or of one that
        leans on a forest. 0 takes 8, or 40 in tables that hold hardly anything but such numbers,
        where they alone tell rows apart.
    min_leaf_labels : int
        Fewest rows in a leaf of the tree of a category or a number with fewer values, 1 or more. Of
        both: the larger, the less the twin repeats single rows, and the less it knows of them;
        pruning usually leaves larger leaves than this. Neither is taken larger than a fiftieth of
        the rows, or than 5.
    back_off : float
        How strongly leaves of categories are drawn towards their parents' shares, in rows; 0 or
        more.
    n_bins : int
        Bins of a number that its tree tells apart, 2 or more.
    n_cells : int
        Bins of a number inside which a donor moves, 2 or more.
    guard_copies : bool
        Whether exact copies of rows that one individual has are drawn anew where there are more of
        them than among fresh real rows.
    refine : bool
        Whether boosted models look for what the chain gets wrong: labels of a target with 2 to 8
        levels are changed where the chain draws them with other odds than real rows have, and rows
        are drawn anew where real and drawn rows are told apart clearly (then sampling takes about
        twice as long). Only for rows drawn without a condition and at temperature 1.
    temperature : float
        Above 1 rows become more varied than real ones, below 1 more usual; more than 0.
    least_repeats : int
        A level that fewer rows have is never drawn; 0 draws all.
    shares : mapping
        Columns to rebalance: column -> {level: share}, with the sum 1.
    pin_range : bool
        Whether the exact least and greatest value of each number are put into every 32,768 rows.
        Both belong to real individuals.
    private : bool
        Whether the fitted chain forgets which rows its donors come from and keeps rows of its own
        making in the place of real ones, for conditions and for a checkpoint. No formal guarantee.
    max_rows : int
        Rows learnt from at most, drawn at random from longer tables; each tree sees at most 100,000.

    References
    ----------
    Nowok, Raab and Dibben, "synthpop", J. Statistical Software 74, 2016, and Reiter, "Using CART to
    generate partially synthetic public use microdata", J. Official Statistics 21, 2005, drew each
    column from tree leaves first.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.where import Where
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
    least_repeats: Annotated[int, Ge(0)] = 0
    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    pin_range: bool = False
    private: bool = False
    max_rows: Annotated[int, Ge(2)] = 1_000_000

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    chunk_rows: ClassVar[int] = 32_768

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedTrees:
        """Return the chain of `real`; needs 2 rows. Time grows as n d² log n."""
        train = rows_to_learn_from(real, self.kinds, component="tabular.trees", least=2)
        train = train.without_reserved().at_most(self.max_rows, rng)
        check_shares(self.shares, train)
        table = ChainTable.of(train)
        target = train.schema.target
        first = [*self.shares]
        number = ""
        if target is not None and target.is_numeric:
            number = target.name
        elif target is not None and target.name not in first:
            first.append(target.name)
        matrix = table.encode(train)
        links = self._links(table, matrix)
        chain = Chain.fit(table, matrix, first, number, links, rng, progress)
        refinement = Refinement(None, None)
        if self.refine and self.temperature == 1:
            refinement = Refinement.of(chain, None if target is None else target.name, rng)
        guard = None
        if self.guard_copies:
            guard = CopyGuard.of(chain.matrix, lambda n: refinement.draw(chain, n, rng))
        fitted = FittedTrees(chain, refinement, guard, self.shares, self.pin_range, private=False)
        return fitted.made_private(rng) if self.private else fitted

    def from_arrays(
        self, arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any]
    ) -> FittedTrees:
        """Return the fitted chain that `FittedTrees.to_arrays` took apart."""
        return FittedTrees.from_arrays(arrays, meta)

    def _links(self, table: ChainTable, matrix: Matrix) -> LinkSettings:
        """Return the settings of links; leaves are smaller where rows are few."""
        few = [
            variable.is_nominal or len(np.unique(column)) <= self.n_cells
            for variable, column in zip(table.variables, matrix.T, strict=True)
        ]
        mixed = np.mean(few) >= _MIXED
        own = self.min_leaf or (_LEAF_OF_MIXED if mixed else _LEAF_OF_NUMBERS)
        most = max(_LEAST_LEAF, len(matrix) // _LEAVES)
        return LinkSettings(
            min(own, most),
            min(self.min_leaf_labels, most),
            self.back_off,
            self.n_bins,
            self.n_cells,
            self.temperature,
            self.least_repeats,
        )
