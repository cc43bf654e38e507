"""From the sheet to rows: the columns of a set of texts, and its schema."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from json.encoder import encode_basestring

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import SPAN, Field, Label, Schema, Taxonomy

from .compile import Mark
from .grammar import Grammar
from .open_grammar import PARTS, OpenedSources
from .writer import TextBuffer

Codes = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Columns:
    """What columns a set of texts has, and how they are filled.

    Parameters
    ----------
    grammar : Grammar
        What texts are made from.
    marks : tuple of Mark
        Kinds of spans.
    bound : tuple of (str, int)
        Records that texts name: table and number.
    opened : Opened
        All sources, for the ids of records.
    parts : tuple of str
        Part of each template, train or holdout; empty where nothing is held out.
    tells_facts : bool
        Whether spans have canonical values, roles or groups.
    """

    grammar: Grammar
    marks: tuple[Mark, ...]
    bound: tuple[tuple[str, int], ...]
    opened: OpenedSources
    parts: tuple[str, ...]
    tells_facts: bool

    @cached_property
    def outcomes(self) -> dict[str, list[str]]:
        """Column -> its value in texts of each template."""
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
        if self.tells_facts:
            told = "JSON: for each span its canonical value, role and group, where it has one"
            fields.append(Field(name="span_facts", kind="id", description=told, nullable=False))
        return Schema(tuple(fields))

    @property
    def record_columns(self) -> tuple[str, ...]:
        """Names of the columns of record ids."""
        if len(self.bound) == 1:
            return ("record_id",)
        spelled = (f"{name}#{number}" if number > 1 else name for name, number in self.bound)
        return tuple(f"record_id.{name}" for name in spelled)

    def _category(self, name: str) -> Field:
        levels = tuple(dict.fromkeys(self.outcomes[name]))
        if name == "label":
            return Field(name=name, kind="category", role="target", nullable=False, levels=levels)
        if name == "template":
            told = "template of the text; split by it"
            return Field(
                name=name,
                kind="category",
                role="group",
                nullable=False,
                levels=levels,
                description=told,
            )
        if name == "part":
            told = "train and holdout share no template"
            return Field(
                name=name,
                kind="category",
                role="split",
                nullable=False,
                levels=PARTS,
                description=told,
            )
        return Field(name=name, kind="category", nullable=False, levels=levels)

    def rows(self, sheet: TextBuffer, templates: Codes, card: Card) -> Dataset:
        """Return the rows of a sheet; `templates` says which template each was made from, shape (n,)."""
        columns: dict[str, pa.Array] = {
            "text": pa.array(sheet.texts, pa.string()),
            "spans": self._spans(sheet),
        }
        for name, values in self.outcomes.items():
            levels = list(dict.fromkeys(values))
            codes = np.array([levels.index(value) for value in values], dtype=np.int32)
            columns[name] = pa.DictionaryArray.from_arrays(
                pa.array(codes[templates]), pa.array(levels, pa.string())
            )
        for name, key in zip(self.record_columns, self.bound):
            ids = self.opened.records[key[0]].ids
            assert ids is not None
            told = [ids[rows[key]] if key in rows else None for rows in sheet.records]
            columns[name] = pa.array(told, pa.string())
        if self.tells_facts:
            columns["span_facts"] = pa.array(self._facts(sheet), pa.string())
        return Dataset.from_arrow(pa.table(columns), self.schema, card)

    def _spans(self, sheet: TextBuffer) -> pa.Array:
        names = pa.array([label for label, _, _ in self.marks], pa.string())
        codes = pa.array(np.array(sheet.marks, dtype=np.int32))
        struct = pa.StructArray.from_arrays(
            [
                pa.array(np.array(sheet.starts, dtype=np.int32)),
                pa.array(np.array(sheet.ends, dtype=np.int32)),
                names.take(codes),
                pa.array(sheet.values, pa.string()),
            ],
            fields=list(SPAN),
        )
        offsets = pa.array(np.array([0, *sheet.row_ends], dtype=np.int32))
        return pa.ListArray.from_arrays(offsets, struct)

    def _facts(self, sheet: TextBuffer) -> list[str]:
        # Written by hand: the parts that do not change are spelled once.
        still, opened = [], []
        for _, role, group in self.marks:
            told = {"role": role, "group": group}
            spelled = json.dumps({k: v for k, v in told.items() if v}, ensure_ascii=False)
            still.append(spelled)
            rest = ", " + spelled[1:] if len(spelled) > 2 else "}"
            opened.append('{"canonical": %s' + rest.replace("%", "%%"))
        spans = [
            still[mark] if meant is None else opened[mark] % encode_basestring(meant)
            for mark, meant in zip(sheet.marks, sheet.meant)
        ]
        ends = pairwise([0, *sheet.row_ends])
        return ["[" + ", ".join(spans[start:end]) + "]" for start, end in ends]
