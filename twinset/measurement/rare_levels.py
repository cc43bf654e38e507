"""Stand-ins for the levels that few real persons hold, so that no result of a metric spells them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.kinds.kind import is_text
from twinset.core.data.persons import shared_levels
from twinset.core.data.rule import rules_to_json


@dataclass(frozen=True)
class StandIns:
    """For each column the rare levels, and the names that results have in their place."""

    names: Mapping[str, Mapping[str, str]]  # Column -> level -> name

    @classmethod
    def from_real(
        cls, train: Dataset, holdout: Dataset | None, named: Mapping[str, frozenset[object]]
    ) -> StandIns:
        """Return stand-ins for the levels of real rows that are neither shared nor `named`.

        A level is shared as it is for `shared_levels`; rules of the schema name levels too.

        Examples
        --------
        >>> towns = Dataset.from_arrow(pa.table({"town": ["Rome"] * 30 + ["Oslo"] * 29 + ["Thule"]}))
        >>> StandIns.from_real(towns, None, {}).hide(towns).codes("town")[1]
        ('Oslo', 'Rome', 'rare level 1')
        """
        columns = [f.name for f in train.schema.fields if f.kind == "category"]
        kept = {
            *columns,
            *(f.name for f in train.schema.fields if f.role in ("group", "identifier")),
        }
        parts = [train] if holdout is None else [train, holdout]
        real = Dataset.concat([part.select(sorted(kept)).without_reserved() for part in parts])
        spelled = set(_spelled(rules_to_json(train.schema.rules)))
        names = {}
        for column in columns:
            levels = real.codes(column)[1]
            known = {*shared_levels(real, column), *spelled, *map(str, named.get(column, ()))}
            rare = [level for level in levels if level not in known]
            free = (f"rare level {i}" for i in range(1, len(levels) + len(rare) + 1))
            names[column] = dict(zip(rare, (name for name in free if name not in levels)))
        return cls({column: pairs for column, pairs in names.items() if pairs})

    def hide(self, rows: Dataset) -> Dataset:
        """Return the rows with the stand-ins in the place of the levels."""
        records, schema = rows.records, rows.schema
        for column, names in self.names.items():
            if column not in schema.names or schema[column].kind != "category":
                continue
            field = schema[column]
            old = records.column(column).unify_dictionaries().combine_chunks()
            texts = [names.get(text, text) for text in old.dictionary.to_pylist()]
            new = pa.DictionaryArray.from_arrays(old.indices, pa.array(texts, pa.string()))
            records = records.set_column(records.column_names.index(column), column, new)
            listed = field.levels and tuple(sorted(names.get(text, text) for text in field.levels))
            stored = field.stored if is_text(field.stored_type) else "string"
            schema = schema.with_field(replace(field, levels=listed, stored=stored, taxonomy=None))
        return replace(rows, records=records, schema=schema)


def _spelled(value: object) -> Iterator[str]:
    """Yield the texts in JSON values, and those in quotes in them: rules name what they allow."""
    if isinstance(value, str):
        yield value
        yield from (match[1] for match in re.finditer(r"""['"]([^'"]+)['"]""", value))
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _spelled(part)
