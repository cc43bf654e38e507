"""Keys: tuples of values that occur once in the whole set, however many chunks it is drawn in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule
from twinset.core.data.where import Where
from twinset.core.errors import RecipeError
from twinset.core.rules.columns import Mask, Rows, RuleTable
from twinset.core.rules.enforce import MOVED, REDRAWN, EnforcedRows, Redraw, RuleEnforcer
from twinset.core.rules.repair_rows import ColumnFacts, Floats
from twinset.core.rules.violations import first_of
from twinset.core.seeding import scramble

# Repeats that so many integers of their range would have by chance: none at all is then by design. With 10
# expected, chance leaves none once in 22,000 columns.
_EXPECTED_REPEATS = 10
_MIN_ROWS = 30  # as for keys that `discover` proposes

Hashes = npt.NDArray[np.uint64]
_BLOCK, _REDRAWS, _NUDGES, _MOST_INSIDE, _TRIES = 512, 3, 400, 24, 16


def unique_integers(real: Dataset) -> tuple[str, ...]:
    """Return the columns of integers that number the rows: no value repeats, though chance would repeat it.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(
    ...     pa.table({"row": np.arange(100, 150), "income": np.arange(50) * 10_000})
    ... )
    >>> unique_integers(real)
    ('row',)
    """
    found = []
    for field_ in real.schema.of_kind("integer"):
        column, n = real.records.column(field_.name), len(real)
        if n < _MIN_ROWS or column.null_count or field_.role == "target":
            continue
        ends = pc.min_max(column).as_py()
        n_values = ends["max"] - ends["min"] + 1
        if (
            n * (n - 1) / (2 * n_values) >= _EXPECTED_REPEATS
            and pc.count_distinct(column).as_py() == n
        ):
            found.append(field_.name)
    return tuple(found)


class SeenKeys:
    """The 64-bit hashes of all keys so far, in sorted blocks of growing size."""

    def __init__(self) -> None:
        self.blocks: list[Hashes] = []

    def has(self, hashes: Hashes) -> Mask:
        """Return which of the hashes were added before, shape (n,)."""
        found = np.zeros(len(hashes), dtype=bool)
        for block in self.blocks:
            place = np.minimum(np.searchsorted(block, hashes), len(block) - 1)
            found |= block[place] == hashes
        return found

    def add(self, hashes: Hashes) -> None:
        """Remember the hashes."""
        block = np.sort(hashes)
        # Blocks of like size are joined, so that there are never more than a few.
        while self.blocks and len(self.blocks[-1]) <= 2 * len(block):
            block = np.sort(np.concatenate([self.blocks.pop(), block]))
        if len(block):
            self.blocks.append(block)


@dataclass
class KeyLedger:
    """Makes the keys of a set unique, block by block and in order.

    Whether a key is free depends on all rows before it. So chunks are drawn on any number of workers
    and pass here one after the other, in blocks of 512 rows: the result depends neither on workers
    nor on how many rows follow. A repeated key is drawn again, at most three times; then one of its
    columns is moved: a number or a date to a free place nearby (beyond the real range once that is
    full, as far as the other rules allow), a category to another value.
    """

    enforcer: RuleEnforcer
    seen: dict[int, SeenKeys] = field(default_factory=dict)
    _texts: dict[str, Hashes] = field(default_factory=dict, repr=False)

    @property
    def rules(self) -> dict[int, Rule]:
        """The rules of kind unique, by their position in the enforcer."""
        return {i: rule for i, rule in enumerate(self.enforcer.rules) if rule.kind == "unique"}

    def admit(
        self,
        enforced: EnforcedRows,
        n: int,
        rng: np.random.Generator,
        where: Where | None,
        redraw: Redraw,
    ) -> EnforcedRows:
        """Return the first `n` rows with every key unique, among them and all admitted before."""
        if not len(self._repeated(enforced.dataset)):
            enforced = enforced.slice(n)
            self.record(enforced.dataset)
            return enforced
        streams = rng.spawn(-(-len(enforced.dataset) // _BLOCK))
        blocks = []
        for start, stream in zip(range(0, n, _BLOCK), streams, strict=False):
            n_rows = min(_BLOCK, n - start)
            block = self._block(enforced.slice(_BLOCK, start), n_rows, stream, where, redraw)
            self.record(block.dataset)
            blocks.append(block)
        return EnforcedRows.concat(blocks)

    def _block(
        self,
        enforced: EnforcedRows,
        n_rows: int,
        rng: np.random.Generator,
        where: Where | None,
        redraw: Redraw,
    ) -> EnforcedRows:
        open_ = self._repeated(enforced.dataset)
        for _ in range(_REDRAWS):
            before = len(open_)
            if not before:
                break
            fresh = self.enforcer.enforce(redraw(max(2 * before, 64)), rng, where, redraw)
            enforced = self._mark(self._put_fresh(enforced, open_, fresh), open_, redrawn=True)
            open_ = self._repeated(enforced.dataset)
            if len(open_) > 0.8 * before:
                break
        if len(open_):
            enforced = self._mark(enforced, open_, redrawn=False)
            dataset, open_ = self._nudge(enforced.dataset, open_, rng, where)
            enforced = replace(enforced, dataset=dataset)
        if len(enforced.dataset) - len(open_) < n_rows:
            names = ", ".join(str(rule) for rule in self.rules.values())
            raise RecipeError(
                f"there are not enough different values for {names}",
                todo="ask for fewer rows, or drop the rule",
            )
        # Rows without a key of their own go last, whatever number of rows is n_rows.
        order = np.append(np.setdiff1d(np.arange(len(enforced.dataset)), open_), open_)
        return enforced.take(order).slice(n_rows)

    def record(self, dataset: Dataset) -> None:
        """Remember the keys of delivered rows."""
        for i, (hashes, present) in self._keys(dataset).items():
            self.seen.setdefault(i, SeenKeys()).add(hashes[present])

    def _keys(self, dataset: Dataset) -> dict[int, tuple[Hashes, Mask]]:
        table = self.enforcer.row_rules.read(dataset, self.enforcer.row_rules.new_levels())
        return {
            i: (self._hashes(table, rule.columns), ~table.missing(rule.columns))
            for i, rule in self.rules.items()
        }

    def _hashes(self, table: RuleTable, names: tuple[str, ...]) -> Hashes:
        joint = np.zeros(len(table), dtype=np.uint64)
        for name in names:
            values = table.columns[name]
            if table.is_numeric(name):
                own = (values + 0.0).view(np.uint64)
            else:
                own = self._text_hashes(name, table.levels[name].texts)[values]
            joint = scramble(joint ^ own)
        return joint

    def _text_hashes(self, name: str, texts: list[str]) -> Hashes:
        """Return the hash of every text, and a last one for a missing value."""
        if name not in self._texts:
            known = self.enforcer.row_rules.levels[name].texts
            self._texts[name] = np.array([_hash_of(text) for text in known], dtype=np.uint64)
        own = self._texts[name]
        strangers = [_hash_of(text) for text in texts[len(own) :]]
        return np.concatenate([own, np.array([*strangers, 0], dtype=np.uint64)])

    def _repeated(self, dataset: Dataset) -> Rows:
        """Return the rows whose key stands in an earlier row of this or of an earlier chunk."""
        repeated = np.zeros(len(dataset), dtype=bool)
        for i, (hashes, present) in self._keys(dataset).items():
            # A key with a missing part is none, and equals none.
            own = hashes[present]
            again = first_of(own) != np.arange(len(own))
            if i in self.seen:
                again |= self.seen[i].has(own)
            repeated[present] |= again
        return np.flatnonzero(repeated)

    def _put_fresh(self, enforced: EnforcedRows, open_: Rows, fresh: EnforcedRows) -> EnforcedRows:
        """Put the fresh rows that are new as a whole into the open places, as far as they go."""
        n = len(enforced.dataset)
        kept = np.setdiff1d(np.arange(n), open_)
        joined = Dataset.concat([enforced.dataset.take(kept), fresh.dataset])
        repeated = self._repeated(joined) - len(kept)
        new = np.setdiff1d(np.arange(len(fresh.dataset)), repeated)[: len(open_)]
        place = np.arange(n)
        place[open_[: len(new)]] = n + new
        return EnforcedRows.concat([enforced, fresh]).take(place)

    def _mark(self, enforced: EnforcedRows, rows: Rows, *, redrawn: bool) -> EnforcedRows:
        for i in self.rules:
            enforced.marks[REDRAWN if redrawn else MOVED, i, rows] = True
        return enforced

    def _nudge(
        self, dataset: Dataset, open_: Rows, rng: np.random.Generator, where: Where | None
    ) -> tuple[Dataset, Rows]:
        """Move keys until none repeats; return the rows that found none, too."""
        rules = self.enforcer.row_rules
        levels, reach = rules.new_levels(), _Reach()
        tries = hits = 0
        for attempt in range(_NUDGES):
            before = rules.read(dataset, levels)
            table = before.copy()
            reach = replace(reach, any_column=attempt % 4 == 3)
            for rule in self.rules.values():
                self._move(table, rule, open_, reach, rng, where)
            tried = table.onto(dataset, before, table.columns)
            good = self.enforcer.none_broken(tried.take(open_), where)
            table.put(open_[~good], before.take(open_[~good]))
            dataset = table.onto(dataset, before, table.columns)
            left = self._repeated(dataset)
            tries, hits = tries + len(open_), hits + len(open_) - len(left)
            if tries >= _TRIES:
                reach = reach.farther() if hits < 0.25 * tries else reach
                tries = hits = 0
            open_ = left
            if not len(open_):
                break
        return dataset, open_

    def _move(
        self,
        table: RuleTable,
        rule: Rule,
        rows: Rows,
        reach: _Reach,
        rng: np.random.Generator,
        where: Where | None,
    ) -> None:
        frozen = set() if where is None else set(where.conditions)
        known = self.enforcer.row_rules
        names = [n for n in rule.columns if n not in frozen] or list(rule.columns)
        numeric = [n for n in names if n in known.facts and not table.fields[n].has_levels]
        chosen = names if reach.any_column or not numeric else numeric
        picks = rng.integers(0, len(chosen), len(rows))
        for j, name in enumerate(chosen):
            own = rows[picks == j]
            column = table.columns[name]
            if name in numeric:
                column[own] = _near(column[own], known.facts[name], reach, rng)
            elif name in known.facts:
                column[own] = rng.integers(0, 2, len(own))
            else:
                column[own] = rng.integers(0, max(len(known.levels[name].texts), 1), len(own))


@dataclass(frozen=True)
class _Reach:
    """How far keys are moved."""

    # How often the reach was doubled: from one step to the whole real range, then past its ends
    inside: int = 0
    beyond: int = 0
    any_column: bool = False  # Whether categories are moved too where there are numbers

    def farther(self) -> _Reach:
        """Return the next wider reach: as long as there is room, keys stay where they were drawn."""
        if self.inside < _MOST_INSIDE:
            return replace(self, inside=self.inside + 2)
        return replace(self, beyond=self.beyond + 1)


def _near(values: Floats, facts: ColumnFacts, reach: _Reach, rng: np.random.Generator) -> Floats:
    unit, n = facts.unit(1e-7), len(values)
    span = facts.high - facts.low
    steps = max(span / unit, 1.0) if np.isfinite(span) else 1e6
    if not reach.beyond and np.isfinite(span):
        width = min(2.0**reach.inside, steps)
        moved = values + np.rint(rng.uniform(-width, width, n) * 1.5) * unit
        out = (moved < facts.low) | (moved > facts.high)
        moved = np.where(out, rng.uniform(facts.low, facts.high, n), moved)
        return np.clip(facts.snap(moved), facts.low, facts.high)
    width = steps * 2.0 ** min(max(reach.beyond - 1, 0), 30)
    moved = facts.snap(values + np.rint(rng.uniform(-width, width, n)) * unit)
    # Amounts and counts that are never negative stay so.
    low = max(facts.rule_low, 0.0 if facts.low >= 0 else -np.inf)
    return np.asarray(np.clip(moved, low, facts.rule_high))


def _hash_of(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
