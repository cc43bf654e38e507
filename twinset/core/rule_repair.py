"""Make rules hold in drawn rows: move values, draw again, and say how often each was needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from twinset.core._rule_holding import Held, Holding, Redraw
from twinset.core._rule_settling import RowRules
from twinset.core._rule_table import Mask, Rows
from twinset.core.dataset import Dataset
from twinset.core.rules import Rule
from twinset.core.where import Where

__all__ = ["MENDED", "Held", "Redraw", "RuleKeeper", "RuleTally"]

MENDED = "was mended"
"""Words by which the notes on repairs are known."""


@dataclass(frozen=True)
class RuleKeeper:
    """Holds the rules of a schema in the rows of any generator.

    Rules with a computable answer (range, order, sum, linear, one_hot, combination, dependency) are
    met by moving as little as can be; what is left over, and predicates, by drawing again, a bounded
    number of times; and where no draw will do, by taking the columns in question together from one
    real row. Keys are the matter of `twinset.core.rule_keys`. Build one with `RuleKeeper.learn`.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from dataclasses import replace
    >>> d = Dataset.from_arrow(pa.table({"net": [1.5, 7.0], "tax": [0.5, 2.5], "all": [2.0, 9.5]}))
    >>> d = replace(d, schema=replace(d.schema, rules=(Rule("sum", ("all", "net", "tax")),)))
    >>> keeper = RuleKeeper.learn(d)
    >>> wrong = Dataset.from_arrow(pa.table({"net": [3.5], "tax": [1.0], "all": [2.0]}), d.schema)
    >>> keeper.hold(wrong, np.random.default_rng(0)).dataset.records.to_pylist()
    [{'net': 3.5, 'tax': 1.0, 'all': 4.5}]
    """

    rules: tuple[Rule, ...]
    row_rules: RowRules
    train: Dataset
    _donors: dict[str, Rows] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def learn(cls, train: Dataset, rules: Sequence[Rule] | None = None) -> RuleKeeper | None:
        """Return the keeper of `rules` (by default the schema's); None if there are none."""
        kept = tuple(train.schema.rules if rules is None else rules)
        if not kept:
            return None
        alone = [rule for rule in kept if rule.kind != "unique"]
        named = {name for rule in kept for name in rule.columns}
        names = [name for name in train.schema.names if name in named]
        ordered = (*alone, *(rule for rule in kept if rule.kind == "unique"))
        return cls(ordered, RowRules.learn(alone, train, names), train)

    def hold(
        self,
        made: Dataset,
        rng: np.random.Generator,
        where: Where | None = None,
        redraw: Redraw | None = None,
    ) -> Held:
        """Return as many rows as `made` has, in which every rule but keys holds.

        Parameters
        ----------
        made : Dataset
            Drawn rows; left as they are.
        rng : numpy.random.Generator
            The stream.
        where : Where, optional
            Condition that the rows meet, and must still meet.
        redraw : callable, optional
            Returns that many new rows under the same condition.

        Raises
        ------
        RecipeError
            Some rules cannot be met together.
        """
        return Holding(self, made, rng, where, redraw).run()

    def donors(self, where: Where | None) -> Rows:
        """Return the real rows that meet `where` and in which every rule holds."""
        key = str(where)
        if key not in self._donors:
            table = self.row_rules.read(self.train, self.row_rules.levels)
            good = ~self.row_rules.broken(table).any(axis=0)
            if where is not None:
                good &= where.mask(self.train)
            self._donors[key] = np.flatnonzero(good)
        return self._donors[key]

    def none_broken(self, made: Dataset, where: Where | None = None) -> Mask:
        """Return the rows of `made` in which every rule but keys, and `where`, holds; shape (n,)."""
        table = self.row_rules.read(made, self.row_rules.new_levels())
        good = ~self.row_rules.broken(table).any(axis=0)
        return np.asarray(good if where is None else good & where.mask(made))


class RuleTally:
    """How often each rule was mended in the rows that are delivered.

    Parameters
    ----------
    rules : sequence of Rule
        The rules, in the order of their keeper.

    Examples
    --------
    >>> RuleTally(()).notes()
    ()
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules, self.n_rows = tuple(rules), 0
        self.counts = np.zeros((len(self.rules), 3), dtype=np.int64)

    def add(self, held: Held) -> None:
        """Count the rows of one chunk."""
        self.n_rows += len(held.dataset)
        for j, part in enumerate(held.marks):
            self.counts[:, j] += part.sum(axis=1)

    def notes(self) -> tuple[str, ...]:
        """Return one sentence for each rule that was mended, for the card."""
        told = []
        words = ("changed", "drawn again", "with its columns taken together from one real row")
        for rule, counts in zip(self.rules, self.counts, strict=True):
            parts = [f"{n:,} {word}" for n, word in zip(counts, words, strict=True) if n]
            if parts:
                told.append(f"Rule {rule} {MENDED}; of {self.n_rows:,} rows {', '.join(parts)}.")
        return tuple(told)
