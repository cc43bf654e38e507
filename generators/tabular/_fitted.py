"""What fitted table generators share: checkpoints without pickles, and completed rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import DataError

Arrays = dict[str, npt.NDArray[Any]]
ReadArrays = Mapping[str, npt.NDArray[Any]]


def pack(value: Any, name: str, arrays: Arrays) -> Any:
    """Return a dataclass as JSON values; its arrays are put into `arrays` under `name`/field."""
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return {"array": name}
    if isinstance(value, Schema):
        return value.to_json()
    if isinstance(value, Field):
        return Schema((value,)).to_json()
    if is_dataclass(value):
        own = (field.name for field in fields(value))
        return {key: pack(getattr(value, key), f"{name}/{key}", arrays) for key in own}
    if isinstance(value, tuple):
        return [pack(one, f"{name}/{i}", arrays) for i, one in enumerate(value)]
    if isinstance(value, Mapping):
        return [[key, pack(one, f"{name}/{key}", arrays)] for key, one in value.items()]
    return value


def unpack(hint: Any, value: Any, arrays: ReadArrays) -> Any:
    """Return the value of the annotated type `hint` that `pack` turned into JSON and arrays."""
    if value is None or (isinstance(value, dict) and set(value) == {"array"}):
        return None if value is None else arrays[value["array"]]
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return unpack(next(arg for arg in args if arg is not type(None)), value, arrays)
    if hint is Schema:
        return Schema.from_json(value)
    if hint is Field:
        return Schema.from_json(value).fields[0]
    if origin is tuple:
        return tuple(unpack(args[0], one, arrays) for one in value)
    if origin is dict:
        return {key: unpack(args[1], one, arrays) for key, one in value}
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        given = {key: unpack(hints[key], one, arrays) for key, one in value.items()}
        return hint(**given)  # type: ignore[operator]
    return value


def check_checkpoint(meta: Mapping[str, Any], component: str, version: int) -> None:
    """Raise DataError unless a checkpoint is one of this component and format."""
    if meta.get("component") != component or meta.get("format") != version:
        raise DataError(
            f"this is no checkpoint of {component} that this version can read",
            got=f"{meta.get('component')}, format {meta.get('format')}",
            todo="fit it again",
        )


def fill_missing(rows: Dataset, filled: Dataset, names: Sequence[str]) -> Dataset:
    """Return `rows` with the missing cells of the columns `names` taken from `filled`."""
    table = rows.records
    for name in names:
        own, other = table.column(name), filled.records.column(name)
        if pa.types.is_dictionary(own.type):
            text = pc.coalesce(own.cast(pa.string()), other.cast(pa.string()))
            column = text.cast(own.type)
        else:
            column = pc.coalesce(own, other.cast(own.type))
        table = table.set_column(table.column_names.index(name), name, column)
    return Dataset(table, rows.schema, rows.card)
