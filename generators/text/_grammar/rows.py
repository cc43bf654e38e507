"""Columns and schema of a set of texts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from json.encoder import encode_basestring

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import SPAN, Field, Label, Role, Schema, Taxonomy

from .grammar import PARTS, Grammar, Mark
from .writer import Program, TextBuffer, uniforms

Codes = npt.NDArray[np.int32]


Positions = npt.NDArray[np.int64]
Tracked = npt.NDArray[np.int8]


@dataclass(frozen=True)
class TextWriter:
    """Writes rows of templates."""

    programs: Sequence[Program]  # The compiled templates
    columns: TextColumns  # Columns of the rows
    card: Card  # Card of the rows
    n_tracked: int  # Number of slots and tables that are tracked for coverage

    def write(
        self, templates: Codes, places: Positions, n_before: Positions, rng: np.random.Generator
    ) -> tuple[Dataset, Tracked]:
        """Return one row per template, and its buckets of the tracked slots, shape (n, tracked)."""
        buffer = TextBuffer(uniforms(rng).__next__, self.n_tracked)
        for template, place, n in zip(templates.tolist(), places.tolist(), n_before.tolist()):
            self.programs[template].write(buffer, place, n)
        return self.rows(buffer, templates)

    def rows(self, buffer: TextBuffer, templates: Codes) -> tuple[Dataset, Tracked]:
        """Return the texts of a buffer as rows, and their buckets, shape (n, tracked)."""
        rows = self.columns.rows(buffer, templates, self.card)
        return rows, np.array(buffer.seen, dtype=np.int8).reshape(len(rows), self.n_tracked)


@dataclass(frozen=True)
class TextColumns:
    """Columns of a set of texts."""

    grammar: Grammar
    marks: tuple[Mark, ...]  # Kinds of spans
    ids: Mapping[str, tuple[str, ...] | None]  # Table -> identifiers of its records
    # Part of each template, train or holdout; empty where nothing is held out
    parts: tuple[str, ...]
    has_facts: bool  # Whether spans have canonical values, roles or groups

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
            description = (
                "JSON: for each span its canonical value, role and group, where it has one"
            )
            fields.append(
                Field(name="span_facts", kind="id", description=description, nullable=False)
            )
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
        levels = tuple(dict.fromkeys(self.outcomes[name]))
        roles: dict[str, tuple[Role, str]] = {
            "label": ("target", ""),
            "template": ("group", "template of the text; split by it"),
            "part": ("split", "train and holdout share no template"),
        }
        role, description = roles.get(name, ("feature", ""))
        if name == "part":
            levels = PARTS
        return Field(
            name=name,
            kind="category",
            role=role,
            nullable=False,
            levels=levels,
            description=description,
        )

    def rows(self, buffer: TextBuffer, templates: Codes, card: Card) -> Dataset:
        """Return the rows of a buffer, whose templates are `templates`, shape (n,)."""
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
            cells = [ids[rows[key]] if key in rows else None for rows in buffer.records]
            columns[name] = pa.array(cells, pa.string())
        if self.has_facts:
            columns["span_facts"] = pa.array(self._facts(buffer), pa.string())
        return Dataset.from_arrow(pa.table(columns), self.schema, card)

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
