"""Select the rows of a table that meet a `Where`; conditions may name the number of objects."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.schema import Schema
from twinset.core.data.where import Where
from twinset.core.errors import SchemaError

ALL_OBJECTS = "all objects"
"""Column of the number of all objects of an image."""

_COUNT = re.compile(r"objects '(.+)'")


def count_column(label: str) -> str:
    """Return the name of the column that counts the objects of a label, as reports call it.

    Examples
    --------
    >>> count_column("WBC")
    "objects 'WBC'"
    """
    return f"objects '{label}'"


def counted(records: pa.Table, schema: Schema, column: str) -> pa.ChunkedArray | None:
    """Return the numbers that a column of counts would hold; None if it is unknown.

    It is unknown where the set has no objects, the name is not that of a count, or the taxonomy does not
    list the label.
    """
    fields = schema.of_kind("boxes")
    found = _COUNT.fullmatch(column)
    if not fields or (column != ALL_OBJECTS and found is None):
        return None
    labels = [found[1]] if found is not None else []
    taxonomy = fields[0].taxonomy
    if labels and taxonomy is not None and labels[0] not in {x.name for x in taxonomy.labels}:
        return None
    return pa.chunked_array([pa.array(object_counts(records, schema, labels)[:, -1])])


def object_counts(
    records: pa.Table, schema: Schema, labels: Sequence[str]
) -> npt.NDArray[np.int64]:
    """Return the number of all objects, then of each label, of the first column of boxes.

    Returns
    -------
    numpy.ndarray of int, shape (n, 1 + labels)
        Zeros where there are no objects.
    """
    fields = schema.of_kind("boxes")
    column = records.column(fields[0].name).to_pylist() if fields else []
    made = np.zeros((len(records), 1 + len(labels)), np.int64)
    place = {label: k for k, label in enumerate(labels, start=1)}
    for row, objects in enumerate(column):
        for item in objects or ():
            made[row, 0] += 1
            if item["category"] in place:
                made[row, place[item["category"]]] += 1
    return made


def rows_that_meet(where: Where, records: pa.Table, schema: Schema) -> npt.NDArray[np.bool_]:
    """Return which rows of a table meet every condition, shape (n,).

    Where a set has objects, conditions may name their number: `all objects`, `objects 'LABEL'`.
    """
    keep = np.ones(len(records), dtype=bool)
    for column, condition in where.conditions.items():
        values = _values_of(records, schema, column)
        if values is None:
            message = f"'where' names the column '{column}', which does not exist"
            raise SchemaError.unknown(message, column, schema.names)
        keep &= _holds(values, condition, column)
    return keep


def _values_of(records: pa.Table, schema: Schema, column: str) -> pa.ChunkedArray | None:
    """Return a column, or the numbers of objects that its name means; None for neither."""
    if column in schema.names:
        return records.column(column)
    return counted(records, schema, column)


def _holds(column: pa.ChunkedArray, condition: object, name: str) -> npt.NDArray[np.bool_]:
    if condition is None:
        return _as_mask(pc.is_null(column))
    if isinstance(condition, Mapping):
        keep = np.ones(len(column), dtype=bool)
        for key, bound in condition.items():
            if key == "not":
                keep &= ~_holds(column, bound, name)
            else:
                keep &= _as_mask(_compare(column, key, bound, name))
        return keep
    if isinstance(condition, Sequence) and not isinstance(condition, str):
        keep = np.zeros(len(column), dtype=bool)
        for item in condition:
            keep |= _holds(column, item, name)
        return keep
    return _as_mask(_compare(column, "eq", condition, name))


def _compare(column: pa.ChunkedArray, key: str, value: object, name: str) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = pc.cast(column, pa.string()), pa.string()
    functions = {
        "eq": pc.equal,
        "ge": pc.greater_equal,
        "gt": pc.greater,
        "le": pc.less_equal,
        "lt": pc.less,
    }
    try:
        return functions[key](column, _scalar(value, kind))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, ValueError) as error:
        raise SchemaError(
            f"'where' compares the column '{name}' ({kind}) with something of another type",
            got=f"{type(value).__name__}",
            todo="give a value of the column's type",
        ) from error


def _scalar(value: object, kind: pa.DataType) -> pa.Scalar:
    if pa.types.is_string(kind):
        if isinstance(value, bool):
            value = str(value).lower()
        return pa.scalar(str(value), pa.string())
    if pa.types.is_boolean(kind):
        words = {"true": True, "false": False, "1": True, "0": False}
        return pa.scalar(words.get(str(value).lower(), value))
    if isinstance(value, str):
        return pa.scalar(value).cast(kind)
    if pa.types.is_integer(kind) and isinstance(value, float):
        return pa.scalar(value, pa.float64())
    return pa.scalar(value).cast(kind)


def _as_mask(answer: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.fill_null(answer, False).to_numpy(zero_copy_only=False), dtype=bool)
