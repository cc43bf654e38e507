"""Rows of drawn images as a set with its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from twinset.core.contracts import Generator
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import BLOB, Schema


def drawn_rows(
    rows: Sequence[Mapping[str, Any]], schema: Schema, name: str, settings: Generator
) -> Dataset:
    """Return the rows as a set, encoded images and maps as they are.

    Parameters
    ----------
    rows : sequence of mapping
        One a row, column -> cell; images and id maps as ``{"bytes": ..., "path": None}``.
    schema : Schema
        Columns of the set.
    name, settings : str, Generator
        What drew them, for the card; a frozen dataclass.
    """
    arrays = {
        f.name: pa.array(
            [row[f.name] for row in rows], BLOB if f.kind in ("image", "mask") else f.stored_type
        )
        for f in schema.fields
    }
    told = asdict(settings)  # type: ignore[call-overload]
    card = Card(name=name, origin="synthetic", component=name, settings=told)
    return Dataset.from_arrow(pa.table(arrays), schema, card)
