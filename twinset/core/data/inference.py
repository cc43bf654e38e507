"""Guess the schema of a table from its Arrow types and its values."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.schema import BLOB, Field, Kind, Schema
from twinset.core.errors import SchemaError

MAX_LISTED_LEVELS = 1_000
_SAMPLE = 20_000
# Keys of persons and things, which may well repeat: a customer has many payments.
_KEY_NAME = re.compile(
    r"(^|_)(id|uuid|guid|ssn|iban|email|e_mail|passport|(account|card|phone)(_?(number|no|nr))?)$",
    re.IGNORECASE,
)
_KEY_VALUE = re.compile(
    r"[^@\s]+@[^@\s]+\.\w+|[A-Z]{2}\d{2}[A-Z0-9 ]{10,}|\+?[\d -]{9,}\d|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}"
)
_FEW = 20
_MANY = 100


def infer_schema(table: pa.Table) -> Schema:
    """Return a schema for `table`: the kind of every column, judged by type, values and name.

    Parameters
    ----------
    table : pyarrow.Table
        Any table; reserved columns are passed over by the caller.

    Returns
    -------
    Schema
        One field a column. Texts that seldom repeat, and those that look like keys (mail addresses,
        account and telephone numbers), become ids (one word) or free text; others categories.
        Integers with two neighbouring values (0 / 1) become categories.

    Examples
    --------
    >>> import pyarrow as pa
    >>> t = pa.table({"when": ["2024-01-02", "2024-01-03"], "n": [3, 4], "ok": [True, False]})
    >>> [f.kind for f in infer_schema(t).fields]
    ['datetime', 'category', 'boolean']
    """
    return Schema(tuple(_infer_field(name, table.column(name)) for name in table.column_names))


def _infer_field(name: str, column: pa.ChunkedArray) -> Field:
    kind = column.type
    nullable = column.null_count > 0
    if pa.types.is_dictionary(kind):
        column = pc.cast(column, kind.value_type)
        return _category(name, column, nullable)
    if pa.types.is_boolean(kind):
        return Field(name=name, kind="boolean", nullable=nullable, stored=str(kind))
    if pa.types.is_integer(kind):
        return _integer(name, column, nullable)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _number(name, column)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return Field(name=name, kind="datetime", nullable=nullable, stored=str(kind))
    if pa.types.is_null(kind):
        return Field(name=name, kind="category", nullable=True, stored="null", levels=())
    if pa.types.is_struct(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _nested(name, kind, nullable)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view":
        return _text(name, pc.cast(column, pa.string()), nullable)
    raise SchemaError(
        f"the column '{name}' has a type that is not supported",
        got=str(kind),
        allowed="numbers, texts, booleans, dates, images, boxes, spans",
        todo="convert or leave out the column",
    )


def _integer(name: str, column: pa.ChunkedArray, nullable: bool) -> Field:
    distinct = pc.count_distinct(column, mode="only_valid").as_py()
    ends = pc.min_max(column).as_py()
    # Flags such as 0 / 1 and 1 / 2 are labels; two ages that happen to be all there is are not.
    if distinct and distinct <= 2 and ends["max"] - ends["min"] <= 1:
        return _category(name, column, nullable)
    unique = distinct == len(column) > 2 and re.search(r"(^|_)(key|no|nr)$", name, re.IGNORECASE)
    named = _KEY_NAME.search(name) and (distinct > _FEW or distinct == len(column) > 2)
    if unique or named:
        return Field(
            name=name, kind="id", role="identifier", nullable=nullable, stored=str(column.type)
        )
    return Field(name=name, kind="integer", nullable=nullable, stored=str(column.type))


def _number(name: str, column: pa.ChunkedArray) -> Field:
    if pa.types.is_decimal(column.type):
        decimals: int | None = column.type.scale
        nullable = column.null_count > 0
    else:
        values = np.asarray(column.to_numpy(zero_copy_only=False), dtype=float)
        nullable = bool(np.isnan(values).any())
        decimals = count_decimals(values[np.isfinite(values)])
    return Field(
        name=name, kind="number", nullable=nullable, stored=str(column.type), decimals=decimals
    )


def count_decimals(values: np.ndarray) -> int | None:
    """Return how many digits after the point the values use (0 to 6), None for more.

    Examples
    --------
    >>> count_decimals(np.array([1.25, 3.5])), count_decimals(np.array([1 / 3]))
    (2, None)
    """
    for decimals in range(7):
        scaled = values * 10.0**decimals
        if bool(np.all(np.abs(scaled - np.round(scaled)) <= 1e-9 * np.maximum(1, np.abs(scaled)))):
            return decimals
    return None


def _category(name: str, column: pa.ChunkedArray, nullable: bool) -> Field:
    levels = sorted(
        str(v) for v in pc.cast(pc.unique(column), pa.string()).to_pylist() if v is not None
    )
    listed = tuple(levels) if len(levels) <= MAX_LISTED_LEVELS else None
    return Field(
        name=name, kind="category", nullable=nullable, stored=str(column.type), levels=listed
    )


def _text(name: str, column: pa.ChunkedArray, nullable: bool) -> Field:
    present = column.drop_null()
    if _all_dates(present):
        return Field(name=name, kind="datetime", nullable=nullable, stored="string")
    distinct = pc.count_distinct(present).as_py()
    sample = present.slice(0, _SAMPLE).to_pylist()
    lengths = [len(v) for v in sample] or [0]
    words = [v.count(" ") + 1 for v in sample] or [1]
    # Hundreds of values, each in a few rows, are surnames or towns rather than labels.
    many = distinct > _MANY and distinct > 0.2 * len(present)
    mostly_new = many or (len(present) >= _FEW and distinct > 0.5 * len(present))
    keys = distinct > _FEW and all(_KEY_VALUE.fullmatch(v) for v in sample[:200])
    if keys or (distinct > _FEW and _KEY_NAME.search(name)):
        return Field(name=name, kind="id", role="identifier", nullable=nullable, stored="string")
    if mostly_new and np.mean(words) < 1.5 and max(lengths) <= 64:
        return Field(name=name, kind="id", role="identifier", nullable=nullable, stored="string")
    if mostly_new or (np.mean(words) >= 6 and distinct > 0.1 * len(present)):
        return Field(name=name, kind="text", nullable=nullable, stored="string")
    return _category(name, column, nullable)


def _all_dates(present: pa.ChunkedArray) -> bool:
    if len(present) == 0:
        return False
    head = [str(v) for v in present.slice(0, 50).to_pylist()]
    if not all(re.match(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d|$)", v) for v in head):
        return False
    try:
        pc.cast(present, pa.timestamp("us"))
    except pa.ArrowInvalid:
        return False
    return True


def _nested(name: str, kind: pa.DataType, nullable: bool) -> Field:
    found: Kind | None = None
    if pa.types.is_struct(kind) and {f.name for f in kind} == {f.name for f in BLOB}:
        found = "mask" if name in ("instances", "mask") else "image"
    elif not pa.types.is_struct(kind) and pa.types.is_struct(kind.value_type):
        inner = {f.name for f in kind.value_type}
        if {"start", "end", "label"} <= inner:
            found = "spans"
        elif {"category", "box"} <= inner:
            found = "boxes"
    if found is None:
        raise SchemaError(
            f"the column '{name}' is nested in a way that is not known",
            got=str(kind)[:120],
            allowed="image struct<bytes, path>, objects list<struct<category, box, ...>>, "
            "spans list<struct<start, end, label, value>>",
        )
    return Field(name=name, kind=found, nullable=nullable)
