"""Fit a generator and draw rows from it in chunks: the same rows on any number of workers."""

from __future__ import annotations

import json
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import (
    FittedGenerator,
    Generator,
    Progress,
    SetGenerator,
    WholeSet,
    silent,
)
from twinset.core.data.dataset import Dataset
from twinset.core.data.persons import with_shared_labels
from twinset.core.data.placeholders import FreshColumns
from twinset.core.data.rule import Rule
from twinset.core.data.schema import SPAN_FACTS, TABULAR_KINDS, Schema
from twinset.core.data.value_protection import named_values
from twinset.core.data.where import Where
from twinset.core.errors import DataError, FewRowsWarning, RecipeError, SchemaError
from twinset.core.rules.enforce import EnforcedRows, Redraw, RuleEnforcer, RuleTally
from twinset.core.rules.protected_rows import protect_rows
from twinset.core.rules.unique_keys import KeyLedger, unique_integers
from twinset.core.seeding import rng_for

Mask = npt.NDArray[np.bool_]

UNPROTECTED = (
    "value protection is off: rows may repeat values of single persons in real records; treat as the "
    "source data"
)
"""What the card of rows says of a generator that learnt from the real values as they are."""


@dataclass(frozen=True)
class OpenSet:
    """One set while it is drawn, in one part or several: its keys so far, and what was repaired.

    Get one from `RowSource.open_set`.
    """

    ledger: KeyLedger | None
    tally: RuleTally
    whole: WholeSet | None = None

    def notes(self) -> tuple[str, ...]:
        """Return what the card tells of the set, once it is drawn."""
        return (*(() if self.whole is None else self.whole.notes()), *self.tally.notes())

    @property
    def has_keys(self) -> bool:
        """Whether a rule says that values occur once, so that chunks depend on those before."""
        return self.ledger is not None and bool(self.ledger.rules)


# Rows of the first chunk at most: few rows must not cost a whole chunk of 32,768.
_FIRST_ROWS = 2_048


@dataclass(frozen=True)
class ChunkRows:
    """The rows of each chunk: the first ones are short and double until they have `size` rows.

    Examples
    --------
    >>> rows = ChunkRows(5_000)
    >>> [rows.first(index) for index in range(5)], rows.index_of(9_999), rows.index_of(10_000)
    ([0, 2048, 4096, 5000, 10000], 3, 4)
    """

    size: int

    def first(self, index: int) -> int:
        """Return the position of the first row of a chunk."""
        short = self._n_short
        if 0 < index <= short:
            return _FIRST_ROWS << (index - 1)
        return max(index - short, 0) * self.size

    def index_of(self, row: int) -> int:
        """Return the chunk that the row at this position is in."""
        if row >= self.size:
            return self._n_short + row // self.size
        return (row // _FIRST_ROWS).bit_length()

    def length(self, index: int) -> int:
        """Return the number of rows of a chunk."""
        return self.first(index + 1) - self.first(index)

    @property
    def _n_short(self) -> int:
        return ((self.size - 1) // _FIRST_ROWS).bit_length()


@dataclass(frozen=True)
class _Request:
    n: int
    where: Where | None
    start: int
    part: str


@dataclass(frozen=True)
class RowSource:
    """A fitted generator, the columns that are generated beside it, and the rules to enforce.

    Build one with `fit_source`.
    """

    fitted: FittedGenerator
    schema: Schema
    fresh: FreshColumns | None
    chunk_rows: int
    seed: int
    path: tuple[str, ...]
    enforcer: RuleEnforcer | None = None

    def open_set(self) -> OpenSet:
        """Return the state of one set that is drawn in several parts; give it to each `draw`."""
        whole = self.fitted.open_set() if isinstance(self.fitted, SetGenerator) else None
        if self.enforcer is None:
            return OpenSet(None, RuleTally(()), whole)
        return OpenSet(KeyLedger(self.enforcer), RuleTally(self.enforcer.rules), whole)

    def draw(
        self,
        n: int,
        *,
        where: Where | None = None,
        start: int = 0,
        part: str = "",
        into: OpenSet | None = None,
        skip: int = 0,
        workers: int = 1,
        progress: Progress = silent,
    ) -> Iterator[Dataset]:
        """Yield chunks that hold exactly `n` rows in all, in order; every rule holds in them.

        Every chunk is drawn whole from a stream of its own and the last one is cut, so the first n
        rows of a request for 2n are the rows of a request for n, on any number of workers.

        Parameters
        ----------
        n : int
            Rows wanted, 0 or more.
        where : Where, optional
            Condition for every row.
        start : int
            Position of the first row in the whole set; fresh ids count from here.
        part : str
            Name of this request when one set is drawn in several parts.
        into : OpenSet, optional
            What all parts of the set share: keys used so far, and how often rules were repaired.
        skip : int
            Rows at the beginning that are left out; their chunks are drawn only where keys need them.
        workers : int
            Threads that draw chunks, 1 or more.
        progress : Progress
            Called with (step, rows done, rows in all) after each chunk.
        """

        request = _Request(n, where, start, part)
        shared = into if into is not None else self.open_set()
        if shared.whole is not None:
            shared.whole.begin(n, where)
        in_turn = shared.has_keys or shared.whole is not None

        def chunk(index: int) -> EnforcedRows:
            enforced = self._enforced(request, index, shared.whole)
            return enforced if in_turn else self._trimmed(enforced, request, index)

        first = 0 if in_turn else self._chunks.index_of(skip)
        wanted_chunks = range(first, self._chunks.index_of(n - 1) + 1 if n else 0)
        done = self._chunks.first(first)
        for index, enforced in zip(wanted_chunks, _in_order(chunk, wanted_chunks, workers)):
            if shared.whole is not None:
                enforced = self._admitted(enforced, request, index, shared.whole)
            if shared.ledger is not None and shared.has_keys:
                rng = rng_for(self.seed, *self.path, part, f"chunk-{index}", "keys")
                numbers = min(self._chunks.length(index), n - self._chunks.first(index))
                redraw = self._redraw(rng, where)
                enforced = shared.ledger.admit(enforced, numbers, rng, where, redraw)
            if in_turn:
                enforced = self._trimmed(enforced, request, index)
            shared.tally.add(enforced)
            done += len(enforced.dataset)
            progress("draw", done, n)
            made = enforced.dataset
            if done > skip:
                yield made.slice(max(0, len(made) - (done - skip)), len(made))

    @property
    def _chunks(self) -> ChunkRows:
        return ChunkRows(self.chunk_rows)

    def _redraw(self, rng: np.random.Generator, where: Where | None) -> Redraw:
        return lambda more: self.fitted.sample(more, rng, where)

    def _enforced(self, request: _Request, index: int, whole: WholeSet | None) -> EnforcedRows:
        """Draw one whole chunk, in which all rules but keys hold."""
        rng = rng_for(self.seed, *self.path, request.part, f"chunk-{index}")
        first, count = self._chunks.first(index), self._chunks.length(index)
        if whole is None:
            made = self.fitted.sample(count, rng, request.where)
        else:
            made = whole.place(first, count, rng, request.where)
        if self.enforcer is None:
            return EnforcedRows.untouched(made)
        return self.enforcer.enforce(made, rng, request.where, self._redraw(rng, request.where))

    def _admitted(
        self, enforced: EnforcedRows, request: _Request, index: int, whole: WholeSet
    ) -> EnforcedRows:
        """Return the requested rows, repaired where they clash with earlier chunks."""
        first = self._chunks.first(index)
        rng = rng_for(self.seed, *self.path, request.part, f"chunk-{index}", "set")
        kept = min(self._chunks.length(index), request.n - first)
        repaired = whole.admit(enforced.dataset, first, kept, rng, request.where)
        return replace(enforced.slice(kept), dataset=repaired)

    def _trimmed(self, enforced: EnforcedRows, request: _Request, index: int) -> EnforcedRows:
        """Keep the rows that were asked for, with their fresh columns."""
        first = self._chunks.first(index)
        kept = enforced.slice(min(self._chunks.length(index), request.n - first))
        return replace(kept, dataset=self._with_fresh(kept.dataset, request.start + first))

    def _with_fresh(self, rows: Dataset, start: int) -> Dataset:
        if self.fresh is None:
            return rows
        columns = self.fresh.fill(len(rows), start, self.seed, self.schema.fields)
        kept = rows.records
        if SPAN_FACTS in self.schema.names and SPAN_FACTS not in (*kept.column_names, *columns):
            columns[SPAN_FACTS] = _empty_span_facts(rows)
        names = list(self.schema.names)
        arrays = [columns[name] if name in columns else kept.column(name) for name in names]
        records = pa.table(arrays, names=names)
        if "_parents" in kept.column_names:
            records = records.append_column("_parents", kept.column("_parents"))
        return replace(rows, records=records, schema=self.schema)


def fit_source(
    generator: Generator,
    real: Dataset | None,
    *,
    seed: int,
    path: tuple[str, ...],
    where: Where | None = None,
    known: Dataset | None = None,
    named: Iterable[Where | None] = (),
    value_protection: bool = True,
    progress: Progress = silent,
) -> RowSource:
    """Return `generator` fitted on the rows of `real` that `where` means.

    With `value_protection` it sees no value that a single person holds: see
    `twinset.core.data.value_protection`. Values that `where` or one of the conditions `named` spells
    out stay.

    One that looks at the other classes sees these beside: rows that meet all of `where` but what it says
    of the target.

    Identifiers and free text are withheld from generators that do not make them, and are generated
    when rows are drawn; they are never copied. `known` holds all real rows, the locked ones too: no
    identifier in it is made again, and nothing else is read from it but the share that is missing.
    The rules of the schema hold in every row that is drawn; what they need to know (which values go
    together, the range of a column) is learnt from `real`.

    Raises
    ------
    RecipeError
        A rule names a column that is generated apart from the others, and is not satisfied by construction.
    DataError
        A real set is needed and there is none, or `where` means no row of it.
    SchemaError
        A column is of a kind that the generator can neither make nor leave to placeholders.
    """
    rng = rng_for(seed, *path, "fit")
    if real is None or not type(generator).needs_real:
        if real is None and type(generator).needs_real:
            raise DataError(
                "this generator learns from real rows and there is no real set",
                todo="give the recipe a source",
            )
        fitted = generator.fit(None, rng, progress)
        enforcer = None if real is None else _rule_enforcer(real, fitted.schema, [])
        return RowSource(
            fitted, fitted.schema, None, type(generator).chunk_rows, seed, path, enforcer
        )
    if value_protection and "text" in type(generator).kinds:
        real = _without_lone_labels(real, named_values([where, *named]))
    meant_rows = _mask(real, where)
    if not meant_rows.any():
        raise DataError(
            f"no row of the train set meets the condition: {where}",
            got=f"0 of {len(real)} rows",
            todo="correct the condition, or give data that hold such rows",
        )
    shown, keys = real, tuple[str, ...]()
    if value_protection and is_protectable(generator):
        # One stream for all steps of a recipe: they see the same rows.
        rng_values = rng_for(seed, "value protection")
        spelled = [Where({k: list(v)}) for k, v in getattr(generator, "shares", {}).items()]
        shown = protect_rows(real, rng_values, named_values([where, *named, *spelled]))
        keys = unique_integers(real)  # protected rows may repeat them
    kinds = type(generator).kinds
    withheld = [
        f.name for f in real.schema.fields if f.column_kind.has_placeholders and f.kind not in kinds
    ]
    _refuse_unmakeable(real.schema, kinds, withheld)
    seen = shown.filter(_with_others(real, where) if type(generator).needs_others else meant_rows)
    learnt = seen.select([name for name in real.schema.names if name not in withheld])
    fresh = _fresh_columns(real, known or real, withheld) if withheld else None
    enforcer = _rule_enforcer(shown, learnt.schema, withheld, keys)
    fitted = generator.fit(learnt, rng, progress)
    return RowSource(fitted, shown.schema, fresh, type(generator).chunk_rows, seed, path, enforcer)


def label_of_interest(target: str | None, positive: str | None) -> Where | None:
    """Return the positive label as a condition: it is drawn however few rows have it."""
    return None if target is None or positive is None else Where({target: positive})


def is_protectable(generator: Generator) -> bool:
    """Return whether a generator learns cells of tables, whose values may be those of one person.

    Labels of texts and images describe these, and stay with them.
    """
    return type(generator).needs_real and type(generator).kinds <= TABULAR_KINDS


def _without_lone_labels(real: Dataset, named: Mapping[str, frozenset[object]]) -> Dataset:
    """Return the texts without those whose label one text alone has: it may name a person."""
    shared = with_shared_labels(real, named)
    if shared.all():
        return real
    if not shared.any():
        raise DataError(
            "each text has a label of its own, and such labels are not learnt from",
            todo="name the labels in brief.want, or set value_protection: false",
        )
    warnings.warn(
        f"{int((~shared).sum()):,} of {len(real):,} texts have a label that no other text has, and are not "
        "learnt from; name the label in brief.want or set value_protection: false",
        FewRowsWarning,
        stacklevel=3,
    )
    kept, schema = real.filter(shared), real.schema
    for field in schema.of_kind("category"):
        if field.levels is not None:
            codes, levels = kept.codes(field.name)
            there = set(np.unique(codes).tolist())
            left = tuple(level for code, level in enumerate(levels) if code in there)
            schema = schema.with_field(replace(field, levels=left))
    return kept.with_schema(schema)


def _mask(real: Dataset, where: Where | None) -> Mask:
    """Return which rows `where` means, shape (n,)."""
    return np.ones(len(real), dtype=bool) if where is None else real.mask(where)


def _with_others(real: Dataset, where: Where | None) -> Mask:
    """Return which rows `where` means, whatever their class, shape (n,)."""
    target = real.schema.target
    if where is None or target is None:
        return _mask(real, where)
    rest = {name: condition for name, condition in where.conditions.items() if name != target.name}
    return _mask(real, Where(rest) if rest else None)


def _rule_enforcer(
    real: Dataset, generated: Schema, withheld: Sequence[str], keys: Sequence[str] = ()
) -> RuleEnforcer | None:
    """Return what enforces the rules on columns that the generator makes; `keys` never repeat."""
    for rule in real.schema.rules:
        placeholders = [name for name in rule.columns if name in withheld]
        if placeholders and not _holds_by_itself(rule, real.schema):
            raise RecipeError(
                f"the rule {rule} speaks of the column '{placeholders[0]}', which is generated apart",
                allowed="there: unique, and dependency on an identifier",
                todo="drop the rule, or declare another kind for the column",
            )
    alike = {field.name for field in generated.fields if field.name in real.schema.names}
    alike = {name for name in alike if generated[name].kind == real.schema[name].kind}
    declared = {rule.columns for rule in real.schema.rules if rule.kind == "unique"}
    found = [Rule("unique", (name,)) for name in keys if (name,) not in declared]
    kept = [rule for rule in (*real.schema.rules, *found) if set(rule.columns) <= alike]
    return RuleEnforcer.learn(real, kept)


def _holds_by_itself(rule: Rule, schema: Schema) -> bool:
    """Return whether fresh identifiers, none of which repeats, meet a rule."""
    deciding = rule.columns if rule.kind == "unique" else rule.columns[:-1]
    keys = any(schema[name].column_kind.is_key for name in deciding)
    return rule.kind in ("unique", "dependency") and keys


def _empty_span_facts(rows: Dataset) -> pa.Array:
    """Return the facts of new spans: one empty entry for each."""
    lists = rows.records.column(rows.schema.of_kind("spans")[0].name).to_pylist()
    counts = [len(spans or ()) for spans in lists]
    return pa.array([json.dumps([{}] * count) for count in counts], pa.string())


def _fresh_columns(real: Dataset, known: Dataset, withheld: list[str]) -> FreshColumns:
    if real.schema.of_kind("spans"):  # facts of spans are no identifiers
        withheld = [name for name in withheld if name != SPAN_FACTS]
    of_kind = {
        kind: [name for name in withheld if real.schema[name].kind == kind]
        for kind in ("id", "text")
    }
    ids = FreshColumns.fit(known.select(of_kind["id"])) if of_kind["id"] else None
    texts = FreshColumns.fit(real.select(of_kind["text"])) if of_kind["text"] else None
    return FreshColumns(
        ids.ids if ids else {}, texts.texts if texts else {}, ids.missing if ids else {}
    )


def _refuse_unmakeable(schema: Schema, kinds: frozenset[str], withheld: list[str]) -> None:
    for field in schema.fields:
        if field.kind not in kinds and field.name not in withheld:
            raise SchemaError(
                f"the generator cannot make the column '{field.name}'",
                got=f"a column of kind {field.kind}",
                allowed=", ".join(sorted(kinds)),
                todo="choose another generator or leave the column out",
            )
    if len(withheld) == len(schema.fields):
        raise SchemaError(
            "there is no column to learn from",
            got="only identifiers and free text",
            todo="give a table with at least one number, category, boolean or date",
        )


def _in_order(
    make: Callable[[int], EnforcedRows], numbers: range, workers: int
) -> Iterator[EnforcedRows]:
    """Yield what is made of each index, in order; at most a few chunks are held at any time."""
    if workers <= 1 or len(numbers) <= 1:
        yield from map(make, numbers)
        return
    with ThreadPoolExecutor(max_workers=workers) as pool:
        waiting: deque[Future[EnforcedRows]] = deque()
        for index in numbers:
            waiting.append(pool.submit(make, index))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
