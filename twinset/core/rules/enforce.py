"""Make rules hold in drawn rows: move values, draw again, and say how often each was needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule
from twinset.core.data.where import Where
from twinset.core.errors import RecipeError
from twinset.core.rules.columns import Mask, Rows, RuleTable
from twinset.core.rules.repair_rows import RowRules, Touched

Redraw = Callable[[int], Dataset]
_GENTLE_ROUNDS, _ROUNDS, _PATIENT_ROUNDS = 2, 8, 150
_MIN_DRAW, _MIN_FULL_DRAW, _HOPELESS = 64, 1_024, 2_000
_BORROWINGS = 6  # donors that are tried: two for each of three widths of columns


MOVED, REDRAWN, BORROWED = range(3)  # first axis of `EnforcedRows.marks`


@dataclass(frozen=True)
class EnforcedRows:
    """Rows in which the rules hold, and what was done to them."""

    dataset: Dataset
    # The rows that were changed, drawn again, or given the columns of one real row, for each rule in
    # the order of the enforcer, shape (3, rules, n)
    marks: Touched

    @classmethod
    def untouched(cls, dataset: Dataset) -> EnforcedRows:
        """Return rows that no rule speaks of."""
        return cls(dataset, np.zeros((3, 0, len(dataset)), dtype=bool))

    @staticmethod
    def concat(parts: Sequence[EnforcedRows]) -> EnforcedRows:
        """Return the rows of all parts, one after the other."""
        marks = np.concatenate([part.marks for part in parts], axis=2)
        return EnforcedRows(Dataset.concat([part.dataset for part in parts]), marks)

    def slice(self, length: int, start: int = 0) -> EnforcedRows:
        """Return `length` rows from position `start` on."""
        marks = self.marks[..., start : start + length]
        return EnforcedRows(self.dataset.slice(start, length), marks)

    def take(self, rows: Rows) -> EnforcedRows:
        """Return the rows with these positions, in this order."""
        return EnforcedRows(self.dataset.take(rows), self.marks[..., rows])


@dataclass
class RuleEnforcement:
    """One call of `RuleEnforcer.enforce`."""

    enforcer: RuleEnforcer
    drawn_rows: Dataset
    rng: np.random.Generator
    where: Where | None
    redraw: Redraw | None

    def __post_init__(self) -> None:
        rules, n = self.enforcer.rules, len(self.drawn_rows)
        self.levels = self.enforcer.row_rules.new_levels()
        asked = frozenset() if self.where is None else frozenset(self.where.conditions)
        self.frozen = asked & {name for rule in rules for name in rule.columns}
        self.marks = np.zeros((3, len(rules), n), dtype=bool)
        # The rows that were drawn beside `drawn_rows`, and where each delivered row is found.
        self.parts: list[Dataset] = []
        self.moves: list[Touched] = []
        self.place = np.arange(n)

    def run(self) -> EnforcedRows:
        """Return the rows in which the rules hold."""
        first, good, touched = self._repair(self.drawn_rows, gentle=True)
        self.parts, self.moves = [first], [touched]
        open_ = np.flatnonzero(~good)
        if len(open_):
            drawn = [len(good), len(good) - len(open_)]
            broken = self._broken(first.take(open_))
            self.marks[REDRAWN, : len(broken), open_] = broken.T
            open_ = self._draw_again(open_, drawn, _GENTLE_ROUNDS, gentle=True)
            open_ = self._repair_harder(open_)
            open_ = self._draw_again(open_, drawn, _ROUNDS, gentle=False)
            open_ = self._borrow(open_)
            open_ = self._draw_again(open_, drawn, _PATIENT_ROUNDS, gentle=False)
        if len(open_):
            raise self._cannot(open_)
        dataset, moved = self.parts[0], self.moves[0]
        if len(self.parts) > 1:
            dataset = Dataset.concat(self.parts).take(self.place)
            moved = np.concatenate(self.moves, axis=1)[:, self.place]
        self.marks[MOVED, : len(moved)] = moved
        return EnforcedRows(dataset, self.marks)

    def _repair(self, drawn_rows: Dataset, *, gentle: bool) -> tuple[Dataset, Mask, Touched]:
        """Move the rows; return them, which of them are good, and which rules moved each."""
        rules = self.enforcer.row_rules
        before = rules.read(drawn_rows, self.levels)
        table = before.copy()
        unrepaired, touched = rules.repair(table, self.frozen, gentle, self.rng)
        moved = [rule for rule, rows in zip(rules.rules, touched, strict=True) if rows.any()]
        names = {name for rule in moved for name in rule.columns}
        return *self._written(drawn_rows, before, table, unrepaired, names), touched

    def _written(
        self,
        drawn_rows: Dataset,
        before: RuleTable,
        table: RuleTable,
        unrepaired: Mask,
        names: Iterable[str],
    ) -> tuple[Dataset, Mask]:
        dataset = table.onto(drawn_rows, before, names)
        good = ~unrepaired
        if self.frozen:
            assert self.where is not None
            good &= dataset.mask(self.where)
        return dataset, good

    def _fill(self, open_: Rows, dataset: Dataset, good: Mask, touched: Touched) -> Rows:
        """Put good rows into open places; return the places that stay open."""
        rows = np.flatnonzero(good)[: len(open_)]
        first = sum(len(part) for part in self.parts)
        self.place[open_[: len(rows)]] = first + np.arange(len(rows))
        self.parts.append(dataset.take(rows))
        self.moves.append(touched[:, rows])
        return open_[len(rows) :]

    def _draw_again(self, open_: Rows, drawn: list[int], rounds: int, *, gentle: bool) -> Rows:
        """Fill open places with new rows, unless that would take more than these rounds."""
        largest = max(len(self.drawn_rows), _MIN_FULL_DRAW)
        for _ in range(rounds):
            # `drawn`: rows so far, and how many of them were good.
            share = max(drawn[1], 1) / drawn[0]
            hopeless = drawn[1] == 0 and drawn[0] >= _HOPELESS * (1 if gentle else 2)
            too_slow = len(open_) > rounds * largest * share
            if not len(open_) or self.redraw is None or hopeless or (too_slow and not gentle):
                break
            size = int(np.clip(1.3 * len(open_) / share, _MIN_DRAW, largest))
            fresh, good, touched = self._repair(self.redraw(size), gentle=gentle)
            drawn[0] += size
            drawn[1] += int(good.sum())
            open_ = self._fill(open_, fresh, good, touched)
        return open_

    def _repair_harder(self, open_: Rows) -> Rows:
        """Move values that lie out of their range, too, in the rows that were drawn at first."""
        if not len(open_):
            return open_
        fresh, good, touched = self._repair(self.drawn_rows.take(open_), gentle=False)
        rows = np.flatnonzero(good)
        self._fill(open_[rows], fresh, good, touched)
        return open_[~good]

    def _borrow(self, open_: Rows) -> Rows:
        """Take the columns of broken rules together from a real row, then those of their neighbours."""
        rules = self.enforcer.row_rules
        if not len(open_):
            return open_
        donors = self.enforcer.donors(self.where)
        if not len(donors):
            return open_
        every = set(self.drawn_rows.schema.names)
        source = self.parts[0].take(open_)
        for attempt in range(_BORROWINGS):
            before = rules.read(source, self.levels)
            table = before.copy()
            given = self._donate(table, donors, hops=attempt // 2, every=every)
            unrepaired, touched = rules.repair(table, self.frozen, False, self.rng)
            fresh, good = self._written(source, before, table, unrepaired, table.columns)
            rows = np.flatnonzero(good)
            if len(rows):
                self.marks[BORROWED, : len(given), open_[rows]] |= given[:, rows].T
                self._fill(open_[rows], fresh, good, touched)
            open_, source = open_[~good], source.filter(~good)
            if not len(open_):
                break
        return open_

    def _donate(self, table: RuleTable, donors: Rows, hops: int, every: set[str]) -> Touched:
        """Copy, row by row, the columns of broken rules from a donor; return the rules of each row."""
        rules = self.enforcer.row_rules
        given = rules.broken(table)
        patterns, member = np.unique(given, axis=1, return_inverse=True)
        for p in range(patterns.shape[1]):
            rows = np.flatnonzero(member.ravel() == p)
            names = {n for i in np.flatnonzero(patterns[:, p]) for n in rules.rules[i].columns}
            # A condition that the moves have broken is met again by its own columns.
            names |= self.frozen
            for _ in range(hops):
                near = [r for r in rules.rules if names & set(r.columns)]
                names |= {name for rule in near for name in rule.columns}
            if names >= every:
                # A whole real row is never handed out.
                continue
            chosen = donors[self.rng.integers(0, len(donors), len(rows))]
            donor = rules.read(self.enforcer.train.take(chosen), self.levels)
            for name in names:
                table.columns[name][rows] = donor.columns[name]
        return given

    def _broken(self, dataset: Dataset) -> Touched:
        rules = self.enforcer.row_rules
        return rules.broken(rules.read(dataset, self.levels))

    def _cannot(self, open_: Rows) -> RecipeError:
        counts = self._broken(self.parts[0].take(open_)).sum(axis=1)
        order = np.argsort(-counts, kind="stable")
        names = [str(self.enforcer.rules[i]) for i in order if counts[i]]
        under = f" under the condition {self.where}" if self.where is not None else ""
        return RecipeError(
            f"no row can be made in which these rules hold together{under}: "
            + (", ".join(names) or ", ".join(str(rule) for rule in self.enforcer.rules)),
            got=f"{len(open_):,} of {len(self.drawn_rows):,} rows that cannot be repaired",
            todo="correct or loosen the rules, or choose a generator that keeps their columns together",
        )


REPAIRED = "was repaired"
"""Words by which the notes on repairs are known."""


@dataclass(frozen=True)
class RuleEnforcer:
    """Enforces the rules of a schema in the rows of any generator.

    Rules with a computable answer (range, order, sum, linear, one_hot, combination, dependency) are
    met by moving as little as can be; what is left over, and predicates, by drawing again, a bounded
    number of times; and where no draw will do, by taking the columns in question together from one
    real row. Keys are the matter of `twinset.core.rules.unique_keys`. Build one with `RuleEnforcer.learn`.
    """

    rules: tuple[Rule, ...]
    row_rules: RowRules
    train: Dataset
    _donors: dict[str, Rows] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def learn(
        cls,
        train: Dataset,
        rules: Sequence[Rule] | None = None,
        shown: Callable[[Rule], Rows] | None = None,
    ) -> RuleEnforcer | None:
        """Return the enforcer of `rules` (by default the schema's); None if there are none.

        `shown` returns the rows in which the values of a rule go together as in real rows; by default
        all.
        """
        kept = tuple(train.schema.rules if rules is None else rules)
        if not kept:
            return None
        alone = [rule for rule in kept if rule.kind != "unique"]
        named = {name for rule in kept for name in rule.columns}
        names = [name for name in train.schema.names if name in named]
        ordered = (*alone, *(rule for rule in kept if rule.kind == "unique"))
        rows = None if shown is None else [shown(rule) for rule in alone]
        return cls(ordered, RowRules.learn(alone, train, names, rows), train)

    def enforce(
        self,
        drawn_rows: Dataset,
        rng: np.random.Generator,
        where: Where | None = None,  # condition that the rows meet, and must still meet
        redraw: Redraw | None = None,  # returns that many new rows under the same condition
    ) -> EnforcedRows:
        """Return as many rows as `drawn_rows` has, in which every rule but keys holds."""
        return RuleEnforcement(self, drawn_rows, rng, where, redraw).run()

    def donors(self, where: Where | None) -> Rows:
        """Return the real rows that meet `where` and in which every rule holds."""
        key = str(where)
        if key not in self._donors:
            self._donors[key] = np.flatnonzero(self.none_broken(self.train, where))
        return self._donors[key]

    def none_broken(self, drawn_rows: Dataset, where: Where | None = None) -> Mask:
        """Return the rows of `drawn_rows` in which every rule but keys, and `where`, holds; shape (n,)."""
        table = self.row_rules.read(drawn_rows, self.row_rules.new_levels())
        good = ~self.row_rules.broken(table).any(axis=0)
        return np.asarray(good if where is None else good & drawn_rows.mask(where))


class RuleTally:
    """How often each rule was repaired in the rows that are delivered.

    Parameters
    ----------
    rules : sequence of Rule
        The rules, in the order of their enforcer.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules, self.n_rows = tuple(rules), 0
        self.counts = np.zeros((len(self.rules), 3), dtype=np.int64)

    def add(self, enforced: EnforcedRows) -> None:
        """Count the rows of one chunk."""
        self.n_rows += len(enforced.dataset)
        self.counts += enforced.marks.sum(axis=2).T

    def notes(self) -> tuple[str, ...]:
        """Return one sentence for each rule that was repaired, for the card."""
        sentences = []
        words = ("changed", "drawn again", "with its columns taken together from one real row")
        for rule, counts in zip(self.rules, self.counts, strict=True):
            parts = [f"{n:,} {word}" for n, word in zip(counts, words, strict=True) if n]
            if parts:
                sentences.append(
                    f"Rule {rule} {REPAIRED}; of {self.n_rows:,} rows {', '.join(parts)}."
                )
        return tuple(sentences)
