"""The texts of a set and the spans in them, read for editing and written back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import SPAN_FACTS
from twinset.core.errors import DataError, SchemaError
from twinset.core.untrusted import parse_json

from ._annotated import AnnotatedTexts, Ints

COLUMN = SPAN_FACTS
"""Column with a JSON list a row, an entry a span in the order of the spans, as `text.templates` writes."""

Facts = list[dict[str, Any]]


def read_facts(dataset: Dataset, counts: Ints) -> Facts | None:
    """Return an entry for each span of a set, counted through; None: the set has no such column."""
    if COLUMN not in dataset.schema.names:
        return None
    found: Facts = []
    texts = pc.cast(dataset.records.column(COLUMN), pa.string()).to_pylist()
    for row, (text, count) in enumerate(zip(texts, counts.tolist())):
        own = [{} for _ in range(count)] if text is None else _parsed(text)
        if len(own) != count or not all(isinstance(entry, dict) for entry in own):
            raise DataError(
                f"row {row} of '{COLUMN}' does not fit its spans",
                got=f"{len(own)} entries for {count} spans",
                allowed="a JSON list with one mapping for each span, e.g. [{}, {}]",
            )
        found += own
    return found


def write_facts(dataset: Dataset, owners: Ints, facts: Facts, changed: Iterable[int]) -> pa.Array:
    """Return the column with new JSON in the rows `changed`; the others keep theirs."""
    column = dataset.records.column(COLUMN)
    texts = pc.cast(column, pa.string()).to_pylist()
    for row in set(changed):
        first, last = np.searchsorted(owners, [row, row + 1])
        texts[row] = spelled(facts[first:last])
    return pa.array(texts, pa.string()).cast(column.type)


def spelled(facts: Sequence[Mapping[str, Any]]) -> str:
    """Return the entries of one row as JSON."""
    return json.dumps(list(facts), ensure_ascii=False)


def with_canonical(entry: Mapping[str, Any], value: str | None) -> dict[str, Any]:
    """Return an entry with another canonical value, which stands first; None: without one."""
    rest = {key: said for key, said in entry.items() if key != "canonical"}
    return rest if value is None else {"canonical": value, **rest}


def _parsed(text: str) -> list[Any]:
    try:
        found = parse_json(text)
    except ValueError:
        return []
    return found if isinstance(found, list) else []


Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TextRows:
    """A set's first column of texts with its first column of spans, ready to be edited."""

    dataset: Dataset
    # Names of the two columns
    text: str
    spans: str | None
    marked: AnnotatedTexts  # The texts, empty where missing, and the places of the spans
    # Label and value of each span, as the set has them
    labels: list[str | None]
    values: list[str | None]

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> TextRows:
        """Return the texts of a set."""
        texts = dataset.schema.of_kind("text")
        marks = dataset.schema.of_kind("spans")
        if not texts:
            raise SchemaError(
                "varying texts needs a column of texts",
                got=", ".join(dataset.schema.names[:30]),
                todo="declare one in the schema: {NAME: {kind: text}}",
            )
        strings = pc.fill_null(dataset.records.column(texts[0].name), "").to_pylist()
        if not marks:
            return cls(dataset, texts[0].name, None, AnnotatedTexts.from_texts(strings), [], [])
        lists = _whole(dataset.records.column(marks[0].name))
        structs = lists.flatten()
        owners = np.repeat(np.arange(len(lists)), _counts(lists))
        starts, ends = (_numbers(structs, key, owners) for key in ("start", "end"))
        marked = AnnotatedTexts.from_texts(strings, starts, ends, owners)
        labels, values = (structs.field(key).to_pylist() for key in ("label", "value"))
        return cls(dataset, texts[0].name, marks[0].name, marked, labels, values)

    @cached_property
    def facts(self) -> Facts | None:
        """What the set tells of each span in a column of its own; None: it has no such column."""
        counts = np.bincount(self.marked.owners, minlength=len(self.marked))
        return read_facts(self.dataset, counts)

    def written(
        self,
        marked: AnnotatedTexts,
        values: Mapping[int, str | None] | None = None,
        canonical: Mapping[int, str | None] | None = None,
    ) -> Dataset:
        """Return the set with these texts and places of spans.

        A span's value follows its text where it was that text, and what it was becomes its canonical
        value where the set has a column for that. Any other value, such as a canonical form, stays.
        `values` and `canonical` replace those of single spans.
        """
        missing = self.dataset.is_null(self.text)
        texts = pa.array(marked.texts(), pa.string(), mask=missing)
        made = put(self.dataset, self.text, texts)
        if self.spans is None:
            return made
        before, after = self.marked.surfaces(), marked.surfaces()
        new_values = [a if v == b else v for v, b, a in zip(self.values, before, after)]
        for k, value in (values or {}).items():
            new_values[k] = value
        made = put(made, self.spans, self._lists(marked, new_values))
        if self.facts is None:
            return made
        clean = {
            k: self.facts[k].get("canonical", old)
            for k, (old, new, value) in enumerate(zip(before, after, self.values))
            if old == value != new
        }
        return put(made, COLUMN, self._facts_with(clean | dict(canonical or {})))

    def _facts_with(self, canonical: Mapping[int, str | None]) -> pa.Array:
        facts = list(self.facts or [])
        for k, value in canonical.items():
            facts[k] = with_canonical(facts[k], value)
        owners = self.marked.owners
        return write_facts(self.dataset, owners, facts, owners[list(canonical)].tolist())

    def _lists(self, marked: AnnotatedTexts, values: Sequence[str | None]) -> pa.ListArray:
        assert self.spans is not None
        lists = _whole(self.dataset.records.column(self.spans))
        structs = lists.flatten()
        starts, ends = marked.places()
        new: dict[str, Any] = {"start": starts, "end": ends, "value": values}
        fields = [
            pa.array(new[f.name], f.type) if f.name in new else structs.field(f.name)
            for f in structs.type
        ]
        made = pa.StructArray.from_arrays(fields, fields=list(structs.type))
        offsets = np.concatenate([[0], np.cumsum(_counts(lists))]).astype(np.int32)
        mask = pc.is_null(lists)
        return pa.ListArray.from_arrays(pa.array(offsets), made, type=lists.type, mask=mask)


def put(dataset: Dataset, name: str, column: pa.Array) -> Dataset:
    """Return the set with one column replaced."""
    place = dataset.records.schema.get_field_index(name)
    return replace(dataset, records=dataset.records.set_column(place, name, column))


def _whole(column: pa.ChunkedArray) -> pa.ListArray:
    whole = column.combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _counts(lists: pa.ListArray) -> npt.NDArray[np.int64]:
    counts = pc.fill_null(lists.value_lengths(), 0)
    return np.asarray(counts.to_numpy(zero_copy_only=False), np.int64)


def _numbers(structs: pa.StructArray, key: str, owners: npt.NDArray[Any]) -> npt.NDArray[Any]:
    numbers = pc.struct_field(structs, key)
    if numbers.null_count:
        missing = np.asarray(pc.is_null(numbers).to_numpy(zero_copy_only=False))
        row = int(owners[int(np.flatnonzero(missing)[0])])
        raise DataError(
            f"a span in row {row} has no '{key}'", todo="give every span a start and an end"
        )
    return np.asarray(numbers.to_numpy(zero_copy_only=False), np.int64)
