"""A set of texts: its columns, and its state while it is drawn: no repeated text, coverage of pairs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from itertools import combinations, pairwise
from json.encoder import encode_basestring

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import SPAN, Field, Label, Role, Schema, Taxonomy
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError
from twinset.core.rules.unique_keys import SeenKeys
from twinset.core.seeding import draw_seed, rng_for

from ..._conditions import outcomes_that_meet
from .grammar import PARTS, Grammar, Mark
from .plan import Codes, NoRoomError, Positions, TemplatePlan, UniqueSource
from .program import TextBuffer, Write, uniforms
from .sources import Sources
from .values import MAX_BUCKETS, Records, Source, ValuePool, bucket_starts

Tracked = npt.NDArray[np.int8]

# Draws of a new text in place of a repeated one, by its own template and then by the one with most texts
# of its label. With the last fifth of the texts free, a template finds one within 300 draws but for a
# chance of 1e-29; with 2 % free, of 0.2 %.
_MAX_TRIES = 300
_BATCH = 64  # random numbers that one new text draws at a time
_MAX_TRACKED = 24  # columns of the design of `values.design_level`
_MAX_NAMED = 30  # groups of missing pairs on the card
_MAX_COMPARED = 2_000  # texts compared for near-duplicates: the work grows with the square
_MIN_SIMILARITY = 0.8  # Jaccard index of word pairs: one changed word in a text of 17 words
_ROLES: Mapping[str, tuple[Role, str]] = {
    "label": ("target", ""),
    "template": ("group", "template of the text; split by it"),
    "part": ("split", "train and holdout share no template"),
}
_FACTS = "JSON: for each span its canonical value, role and group, where it has one"
_UNLIMITED = ("faker", "pattern", "mask")  # sources of names and codes, whose pairs are not tracked


@dataclass(frozen=True)
class TextWriter:
    """Writes rows of templates; knows their columns, schema, order and limits."""

    grammar: Grammar
    ids: Mapping[str, tuple[str, ...] | None]  # Table -> identifiers of its records
    # Part of each template, train or holdout; empty where nothing is held out
    parts: tuple[str, ...]
    has_facts: bool  # Whether spans have canonical values, roles or groups
    writers: Sequence[Write]  # The compiled templates
    card: Card
    tracked: tuple[TrackedSlot, ...]  # Slots and tables whose pairs of buckets are counted
    # Number of distinct texts of each template; None where texts may repeat
    counts: tuple[int, ...] | None
    scarcest: UniqueSource | None  # The source of unique values that is enough for the fewest texts
    seed: int  # Of the order of the templates

    def write(
        self, templates: Codes, places: Positions, n_before: Positions, rng: np.random.Generator
    ) -> tuple[Dataset, Tracked]:
        """Return one row per template, and its buckets of the tracked slots, shape (n, tracked)."""
        buffer = TextBuffer(uniforms(rng).__next__, len(self.tracked))
        for template, place, n in zip(templates.tolist(), places.tolist(), n_before.tolist()):
            self.writers[template](buffer, place, n)
        return self.rows(buffer, templates)

    def plan(self, where: Where | None) -> TemplatePlan:
        """Return the order of the templates under a condition."""
        fit = outcomes_that_meet(where, self.outcomes, self.schema, self.card.name)
        chosen = tuple(int(i) for i in np.flatnonzero(fit))
        return TemplatePlan(self.grammar, chosen, self.counts, self.seed)

    @cached_property
    def marks(self) -> tuple[Mark, ...]:
        """Kinds of spans."""
        return self.grammar.marks()

    @cached_property
    def outcomes(self) -> dict[str, list[str]]:
        """Column -> its value by template."""
        templates = self.grammar.templates
        found = {
            "label": [template.label for template in templates],
            "template": [template.name for template in templates],
        }
        found |= {key: [template.keys[key] for template in templates] for key in self.grammar.keys}
        return found | ({"part": list(self.parts)} if self.parts else {})

    @cached_property
    def schema(self) -> Schema:
        """Schema of the texts."""
        names = tuple(dict.fromkeys(label for label, _, _ in self.marks))
        spans = Taxonomy(tuple(Label(name) for name in names))
        fields = [
            Field(name="text", kind="text", nullable=False),
            Field(name="spans", kind="spans", nullable=False, taxonomy=spans),
        ]
        fields += [self._category(name) for name in self.outcomes]
        fields += [
            Field(name=name, kind="id", description="record that the text is bound to")
            for name in self.record_columns
        ]
        if self.has_facts:
            fields.append(Field(name="span_facts", kind="id", description=_FACTS, nullable=False))
        return Schema(tuple(fields))

    @property
    def record_columns(self) -> tuple[str, ...]:
        """Names of the columns of record identifiers."""
        if len(self._records) == 1:
            return ("record_id",)
        names = (f"{name}#{number}" if number > 1 else name for name, number in self._records)
        return tuple(f"record_id.{name}" for name in names)

    @cached_property
    def _records(self) -> tuple[tuple[str, int], ...]:
        return self.grammar.bindings()

    def _category(self, name: str) -> Field:
        levels = PARTS if name == "part" else tuple(dict.fromkeys(self.outcomes[name]))
        role, description = _ROLES.get(name, ("feature", ""))
        field = Field(name=name, kind="category", role=role, nullable=False, levels=levels)
        return replace(field, description=description)

    def rows(self, buffer: TextBuffer, templates: Codes) -> tuple[Dataset, Tracked]:
        """Return the texts of a buffer as rows, and their buckets, shape (n, tracked)."""
        columns: dict[str, pa.Array] = {
            "text": pa.array(buffer.texts, pa.string()),
            "spans": self._spans(buffer),
        }
        for name, values in self.outcomes.items():
            levels = list(dict.fromkeys(values))
            codes = np.array([levels.index(value) for value in values], dtype=np.int32)
            columns[name] = pa.DictionaryArray.from_arrays(
                pa.array(codes[templates]), pa.array(levels, pa.string())
            )
        for name, key in zip(self.record_columns, self._records):
            ids = self.ids[key[0]]
            assert ids is not None
            cells = [ids[drawn[key][1]] if key in drawn else None for drawn in buffer.drawn]
            columns[name] = pa.array(cells, pa.string())
        if self.has_facts:
            columns["span_facts"] = pa.array(self._facts(buffer), pa.string())
        rows = Dataset.from_arrow(pa.table(columns), self.schema, self.card)
        return rows, np.array(buffer.seen, dtype=np.int8).reshape(len(rows), len(self.tracked))

    def _spans(self, buffer: TextBuffer) -> pa.Array:
        names = pa.array([label for label, _, _ in self.marks], pa.string())
        codes = pa.array(np.array(buffer.marks, dtype=np.int32))
        struct = pa.StructArray.from_arrays(
            [
                pa.array(np.array(buffer.starts, dtype=np.int32)),
                pa.array(np.array(buffer.ends, dtype=np.int32)),
                names.take(codes),
                pa.array(buffer.values, pa.string()),
            ],
            fields=list(SPAN),
        )
        offsets = pa.array(np.array([0, *buffer.row_ends], dtype=np.int32))
        return pa.ListArray.from_arrays(offsets, struct)

    def _facts(self, buffer: TextBuffer) -> list[str]:
        # Joined by hand and not by `json.dumps` of each span: the constant parts are written once.
        without, with_canonical = [], []
        for _, role, group in self.marks:
            facts = {key: value for key, value in (("role", role), ("group", group)) if value}
            text = json.dumps(facts, ensure_ascii=False)
            without.append(text)
            rest = ", " + text[1:] if facts else "}"
            with_canonical.append('{"canonical": %s' + rest.replace("%", "%%"))
        spans = [
            without[mark] if value is None else with_canonical[mark] % encode_basestring(value)
            for mark, value in zip(buffer.marks, buffer.canonical)
        ]
        ends = pairwise([0, *buffer.row_ends])
        return ["[" + ", ".join(spans[start:end]) + "]" for start, end in ends]


@dataclass(frozen=True)
class TrackedSlot:
    """A slot or table that is tracked for coverage."""

    name: str
    buckets: tuple[str, ...]  # Description of each bucket of its values, at most 20
    distinct_from: frozenset[str]  # Slots that have another value in the same text


def tracked_slots(grammar: Grammar, opened: Sources) -> tuple[TrackedSlot, ...]:
    """Return the slots with lists, numbers or dates, and the tables, at most 24 of them."""
    found = []
    for name in grammar.used():
        slot = grammar.slots.get(name)
        own = grammar.slots[str(slot.settings.like)] if slot and slot.kind == "like" else slot
        if own is not None and own.kind in (*_UNLIMITED, "column"):
            continue
        source = opened[name]
        others = set() if slot is None else set(slot.settings.distinct_from)
        others |= {
            other.name for other in grammar.slots.values() if name in other.settings.distinct_from
        }
        if source.size > 1:
            found.append(TrackedSlot(name, _bucket_names(source), frozenset(others)))
    return tuple(found[:_MAX_TRACKED])


def _bucket_names(source: Source) -> tuple[str, ...]:
    n = min(source.size, MAX_BUCKETS)
    if isinstance(source, Records):
        return tuple(f"rows {b + 1}/{n}" for b in range(n))
    if isinstance(source, ValuePool) and source.size <= MAX_BUCKETS:
        return tuple(entry[0] for entry in source.entries)
    starts = bucket_starts(source, n)
    return tuple(f"{source.at(a)[0]} to {source.at(max(b - 1, a))[0]}" for a, b in pairwise(starts))


@dataclass
class TextSet:
    """The state of one set of texts while it is drawn in chunks.

    `place` may be called from many threads; `begin`, `record` and `admit` are called in the order of
    the rows.
    """

    writer: TextWriter
    strict: bool = True  # Whether a label without a new text is an error; else texts repeat
    known: SeenKeys = field(default_factory=SeenKeys)
    n_replaced: int = 0
    pairs: dict[tuple[int, int], npt.NDArray[np.int64]] = field(default_factory=dict)
    compared: list[str] = field(default_factory=list)
    _base: int = 0
    _next_base: int = 0
    _seen: dict[int, Tracked] = field(default_factory=dict)
    _plans: dict[str, TemplatePlan] = field(default_factory=dict)
    _exhausted: set[str] = field(default_factory=set)

    def begin(self, n: int, where: Where | None = None) -> None:
        """Start a part of `n` rows under a condition."""
        self._base, self._next_base = self._next_base, self._next_base + n
        scarcest = self.writer.scarcest
        if scarcest is not None and self._next_base > scarcest.n_texts:
            raise NoRoomError(
                f"{scarcest.subject} is unique and does not have enough values",
                got=f"values for {scarcest.n_texts:,} texts of {self._next_base:,}",
                todo="ask for fewer rows, give it more values, or drop 'unique'",
                place=scarcest.place,
            )
        if self.strict:
            self._plan(where).check_room(n)

    def place(
        self, first: int, n: int, rng: np.random.Generator, where: Where | None = None
    ) -> Dataset:
        """Return rows `first` to `first + n` of the part; their texts may repeat others."""
        templates, n_before = self._plan(where).at(first, n)
        places = np.arange(self._base + first, self._base + first + n)
        rows, self._seen[first] = self.writer.write(templates, places, n_before, rng)
        return rows

    def record(self, earlier: Dataset) -> None:
        """Add the texts of earlier rows to those that must not repeat."""
        if self.writer.counts is not None and "text" in earlier.schema.names:
            self.known.add(np.array(_hashes(earlier), dtype=np.uint64))

    def admit(
        self,
        chunk: Dataset,
        first: int,
        n: int,
        rng: np.random.Generator,
        where: Where | None = None,
    ) -> Dataset:
        """Return the first `n` rows of a chunk; repeated texts are replaced by new ones."""
        seen = self._seen.pop(first)
        chunk = chunk.slice(0, n)
        if self.writer.counts is not None and n:
            chunk, seen = self._without_repeats(chunk, seen, first, rng, self._plan(where))
        self._count_pairs(seen[:n])
        if len(self.compared) < _MAX_COMPARED:
            texts = chunk.records.column("text").to_pylist()
            self.compared += texts[: _MAX_COMPARED - len(self.compared)]
        return chunk

    def notes(self) -> tuple[str, ...]:
        """Return the notes of the card: replaced texts, missing pairs, near-duplicates."""
        notes: list[str] = []
        if self.n_replaced:
            notes.append(f"{self.n_replaced:,} texts came a second time and were replaced.")
        if self.pairs:
            notes.append(self._pair_note())
        if len(self.compared) > 1:
            notes.append(
                f"Near-duplicates: {near_duplicate_fraction(self.compared):.1%} of the first "
                f"{len(self.compared):,} texts share {_MIN_SIMILARITY:.0%} of their word pairs with "
                "another one."
            )
        return tuple(notes)

    def missing_pairs(self) -> list[Mapping[str, str]]:
        """Return the pairs of buckets that are possible and did not come together: slot -> bucket."""
        found: list[Mapping[str, str]] = []
        for (a, b), counts in self.pairs.items():
            one, two = self.writer.tracked[a], self.writer.tracked[b]
            for i, j in zip(*np.nonzero(counts == 0)):
                first, second = one.buckets[int(i)], two.buckets[int(j)]
                if not (two.name in one.distinct_from and first == second):
                    found.append({one.name: first, two.name: second})
        return found

    def _count_pairs(self, seen: Tracked) -> None:
        """Count pairs of buckets in texts, shape (n, tracked); -1 where a slot does not occur."""
        occurs = seen >= 0
        for a, b in combinations(range(len(self.writer.tracked)), 2):
            both = occurs[:, a] & occurs[:, b]
            if both.any():
                shape = len(self.writer.tracked[a].buckets), len(self.writer.tracked[b].buckets)
                cells = seen[both, a].astype(np.int64) * shape[1] + seen[both, b]
                counts = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
                self.pairs[a, b] = self.pairs.get((a, b), 0) + counts

    def _pair_note(self) -> str:
        total = sum(counts.size for counts in self.pairs.values())
        missing = self.missing_pairs()
        note = f"Pairs of slot values: {total - len(missing):,} of {total:,} came together"
        if not missing:
            return f"{note}."
        by_first: dict[str, list[str]] = {}
        for pair in missing:
            (one, first), (two, second) = pair.items()
            by_first.setdefault(f"{one} {first} with {two}", []).append(second)
        groups = [f"{first} {', '.join(others)}" for first, others in by_first.items()]
        n_more = len(groups) - _MAX_NAMED
        more = f"; and {n_more:,} more of this kind" if n_more > 0 else ""
        return f"{note}; missing: {'; '.join(groups[:_MAX_NAMED])}{more}."

    def _plan(self, where: Where | None) -> TemplatePlan:
        key = str(where)
        if key not in self._plans:
            self._plans[key] = self.writer.plan(where)
        return self._plans[key]

    def _without_repeats(
        self,
        chunk: Dataset,
        seen: Tracked,
        first: int,
        rng: np.random.Generator,
        plan: TemplatePlan,
    ) -> tuple[Dataset, Tracked]:
        """Replace repeated texts one after the other, so that no row depends on later ones."""
        hashes = _hashes(chunk)
        came = self.known.has(np.array(hashes, dtype=np.uint64)).tolist()
        templates = plan.at(first, len(chunk))[0].tolist()
        seed, own = draw_seed(rng), set[int]()
        buffer = TextBuffer(_no_stream, len(self.writer.tracked))
        replaced: list[int] = []
        new_templates: list[int] = []
        for i, digest in enumerate(hashes):
            if came[i] or digest in own:
                place = self._base + first + i
                buffer.u = uniforms(rng_for(seed, place), _BATCH).__next__
                new = self._new_text(templates[i], place, own, buffer, plan)
                if new is None:
                    continue
                replaced.append(i)
                new_templates.append(new[0])
                hashes[i] = digest = new[1]
            own.add(digest)
        self.known.add(np.array(hashes, dtype=np.uint64))
        if not replaced:
            return chunk, seen
        self.n_replaced += len(replaced)
        new_rows, new_seen = self.writer.rows(buffer, np.array(new_templates, dtype=np.int32))
        order = np.arange(len(chunk))
        order[replaced] = len(chunk) + np.arange(len(replaced))
        seen[replaced] = new_seen
        return Dataset.concat([chunk, new_rows]).take(order), seen

    def _new_text(
        self, template: int, place: int, own: set[int], buffer: TextBuffer, plan: TemplatePlan
    ) -> tuple[int, int] | None:
        """Write a new text; return its template and hash, or None where the label has none left."""
        label = plan.grammar.templates[template].label
        if label in self._exhausted:
            return None
        for one in (template, plan.richest(template)):
            for _ in range(_MAX_TRIES):
                self.writer.writers[one](buffer, place)
                digest = _hash_of(buffer.texts[-1])
                if digest not in own and not self.known.has(np.array([digest], np.uint64))[0]:
                    return one, digest
                buffer.drop()
        if self.strict:
            raise ParameterError(
                f"the templates of '{label}' have no new text left",
                got="ways to fill them that give the same text, or that are very rare",
                todo="add templates or values, ask for fewer rows, or set unique_rows: false",
                place=("templates", label),
            )
        self._exhausted.add(label)
        return None


def near_duplicate_fraction(texts: Sequence[str], min_similarity: float = _MIN_SIMILARITY) -> float:
    """Return the share of texts whose word pairs are nearly those of another text."""
    from scipy.sparse import csr_array

    if len(texts) < 2:
        return 0.0
    number: dict[tuple[str, str], int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for i, text in enumerate(texts):
        for pair in set(pairwise(["", *text.lower().split(), ""])):
            rows.append(i)
            columns.append(number.setdefault(pair, len(number)))
    ones = np.ones(len(rows), dtype=np.int32)
    table = csr_array((ones, (rows, columns)), shape=(len(texts), len(number)))
    sizes = np.asarray(table.sum(axis=1)).ravel()
    shared = (table @ table.T).tocoo()
    union = sizes[shared.row] + sizes[shared.col] - shared.data
    near = (shared.row != shared.col) & (shared.data >= min_similarity * union)
    return len(np.unique(shared.row[near])) / len(texts)


def _no_stream() -> float:
    raise AssertionError("each new text has a stream of its own")


def _hashes(rows: Dataset) -> list[int]:
    return [_hash_of(text) for text in rows.records.column("text").to_pylist()]


def _hash_of(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
