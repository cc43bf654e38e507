"""What a set tells of its spans beside label and value: canonical value, role and group, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import SPAN_FACTS
from twinset.core.errors import DataError

from ._edits import Ints

COLUMN = SPAN_FACTS
"""Column with a JSON list a row, an entry a span in the order of the spans, as `text.templates` writes."""

Facts = list[dict[str, Any]]


def read_facts(dataset: Dataset, counts: Ints) -> Facts | None:
    """Return an entry for each span of a set, counted through; None: the set has no such column.

    Parameters
    ----------
    dataset : Dataset
        The set.
    counts : numpy.ndarray of int, shape (n,)
        Spans of each row.

    Raises
    ------
    DataError
        A row does not list one entry for each of its spans.
    """
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
    """Return the column anew for the rows that `changed` names; the others stay as they were spelled."""
    column = dataset.records.column(COLUMN)
    texts = pc.cast(column, pa.string()).to_pylist()
    for row in set(changed):
        first, last = np.searchsorted(owners, [row, row + 1])
        texts[row] = spelled(facts[first:last])
    return pa.array(texts, pa.string()).cast(column.type)


def spelled(facts: Sequence[Mapping[str, Any]]) -> str:
    """Return the entries of one row as JSON.

    Examples
    --------
    >>> spelled([{"canonical": "Köln"}, {}])
    '[{"canonical": "Köln"}, {}]'
    """
    return json.dumps(list(facts), ensure_ascii=False)


def with_canonical(entry: Mapping[str, Any], value: str | None) -> dict[str, Any]:
    """Return an entry with another canonical value, which stands first; None: without one."""
    rest = {key: said for key, said in entry.items() if key != "canonical"}
    return rest if value is None else {"canonical": value, **rest}


def _parsed(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return []
    return found if isinstance(found, list) else []
