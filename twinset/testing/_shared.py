"""Checks and data that the three kinds of components share."""

from __future__ import annotations

import dataclasses
import inspect
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import KINDS, RESERVED
from twinset.core.errors import MissingExtraError, TwinsetError
from twinset.core.seeding import rng_for


def require(condition: bool, sentence: str) -> None:
    """Raise AssertionError with `sentence` unless `condition` holds."""
    if not condition:
        raise AssertionError(sentence)


def stream(name: str) -> np.random.Generator:
    """Return a fresh random stream; equal names give equal streams."""
    return rng_for(20_240, "check", name)


def as_instance(component: Any) -> Any:
    """Return the component; of a class, one with its default settings."""
    return component() if isinstance(component, type) else component


@contextmanager
def untouched_globals() -> Iterator[None]:
    """Check that the block leaves the global random states of python, numpy and torch alone."""
    before = _global_states()
    yield
    for name, state in _global_states().items():
        same = name not in before or before[name] == state
        require(same, f"the global random state of {name} was changed: use the given rng")


def _global_states() -> dict[str, object]:
    kind, keys, position, *rest = np.random.get_state()  # noqa: NPY002
    states: dict[str, object] = {
        "python": random.getstate(),
        "numpy": (kind, np.asarray(keys).tobytes(), position, *rest),
    }
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        states["torch"] = torch.get_rng_state().numpy().tobytes()
    return states


def fits_or_refuses(call: Callable[..., None], *args: Any, name: str = "") -> None:
    """Call with `args`; a refusal by a `TwinsetError` is as good as success, anything else is not."""
    try:
        call(*args)
    except MissingExtraError:
        raise
    except TwinsetError as error:
        require(bool(str(error).strip()), "a refusal must say what is wrong")
    except AssertionError as error:
        raise AssertionError(f"{name}: {error}" if name else str(error)) from error


def must_refuse(call: Callable[..., Any], *args: Any, subject: str) -> None:
    """Call with `args`, and fail unless a `TwinsetError` refuses them."""
    try:
        call(*args)
    except MissingExtraError:
        raise
    except TwinsetError:
        return
    raise AssertionError(f"{subject} was not refused")


def check_class(component: Any, facts: dict[str, type | tuple[type, ...]]) -> None:
    """Check that a component's class is written as the contract asks."""
    cls = type(component)
    params = getattr(cls, "__dataclass_params__", None)
    require(params is not None and params.frozen, f"{cls.__name__} must be a frozen dataclass")
    require(
        all(field.kw_only for field in dataclasses.fields(cls) if field.init),
        f"{cls.__name__} must take its settings by keyword only",
    )
    text = (inspect.cleandoc(cls.__dict__.get("__doc__") or "")).partition("\n")[0]
    require(
        text.endswith((".", ":")) and len(text) <= 100,
        "the docstring begins with one short sentence",
    )
    for name, kind in facts.items():
        require(hasattr(cls, name), f"the class attribute '{name}' is missing")
        require(isinstance(getattr(cls, name), kind), f"'{name}' is of a wrong type")
    unknown = set(cls.kinds) - set(KINDS)
    require(not unknown, f"'kinds' holds unknown kinds: {sorted(unknown)}")
    require(bool(cls.kinds), "'kinds' is empty")


def check_valid(dataset: Dataset, n: int) -> None:
    """Check that a set has exactly `n` rows which are what its schema says."""
    require(len(dataset) == n, f"asked for {n} rows, got {len(dataset)}")
    strange = set(dataset.records.column_names) - {*dataset.schema.names, *RESERVED}
    require(not strange, f"the rows hold columns outside the schema: {sorted(strange)}")
    for field in dataset.schema.fields:
        column = dataset.records.column(field.name)
        require(
            column.type == field.arrow_type,
            f"the column '{field.name}' is {column.type}, its schema says {field.arrow_type}",
        )
        if not field.nullable:
            require(column.null_count == 0, f"'{field.name}' must not be missing and is")
        if pa.types.is_floating(column.type):
            values = column.to_numpy(zero_copy_only=False)
            stray = bool(np.isinf(values).any()) or int(np.isnan(values).sum()) > column.null_count
            require(not stray, f"the column '{field.name}' holds infinity or NaN")
    again = Dataset.from_arrow(dataset.to_arrow(), dataset.schema, dataset.card)
    require(again.digest == dataset.digest, "the rows do not survive a round trip through Arrow")


def hard_cases(real: Dataset) -> Iterator[tuple[str, Dataset]]:
    """Yield small, degenerate versions of a set, each with a name."""

    def with_missing(*names: str) -> Dataset:
        records = real.records
        for name in names:
            place = records.schema.get_field_index(name)
            column = pa.nulls(len(real), real.schema[name].arrow_type)
            records = records.set_column(place, name, column)
        return dataclasses.replace(real, records=records)

    yield "one row", real.slice(0, 1)
    yield "no rows", real.slice(0, 0)
    yield "constant columns", real.take(np.zeros(20, dtype=np.int64))
    free = [f.name for f in real.schema.fields if f.nullable and f.role == "feature"]
    for name in free[:2]:
        yield f"'{name}' all missing", with_missing(name)
    if free:
        yield "every feature missing", with_missing(*free)
