"""Checks and data that the three kinds of components share."""

from __future__ import annotations

import dataclasses
import inspect
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import UnionType
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import KINDS, RESERVED, Kind
from twinset.core.errors import MissingExtraError, TwinsetError
from twinset.core.seeding import rng_for

T = TypeVar("T")


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


def keep_last(call: Callable[..., T]) -> Callable[..., T]:
    """Return a function that gives its last result again where it is called with the same objects.

    Most checks look at one fitted generator, one varied set or one measurement.
    """
    kept: list[tuple[tuple[Any, ...], T]] = []

    @wraps(call)
    def cached(*args: Any) -> T:
        if not kept or any(one is not other for one, other in zip(kept[0][0], args)):
            kept[:] = [(args, call(*args))]
        return kept[0][1]

    return cached


@contextmanager
def untouched_globals() -> Iterator[None]:
    """Check that the block leaves the global random states of python, numpy and torch alone."""
    before = global_states()
    yield
    require_same_states(before, global_states())


def require_same_states(before: dict[str, object], after: dict[str, object]) -> None:
    """Raise AssertionError where a global random state is not what it was."""
    for name, state in after.items():
        same = before.get(name, state) == state
        require(same, f"the global random state of {name} was changed: use the given rng")


def global_states() -> dict[str, object]:
    """Return library -> its global random state."""
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


def check_class(component: Any, contract: type) -> None:
    """Check that a component's class is written as its contract, a base class, asks."""
    cls = type(component)
    params = getattr(cls, "__dataclass_params__", None)
    require(params is not None and params.frozen, f"{cls.__name__} must be a frozen dataclass")
    require(
        all(field.kw_only for field in dataclasses.fields(cls) if field.init),
        f"{cls.__name__} must take its settings by keyword only",
    )
    text = (inspect.cleandoc(cls.__dict__.get("__doc__") or "")).partition("\n")[0]
    is_sentence = text.endswith((".", ":")) and len(text) <= 100
    require(is_sentence, "the docstring begins with one short sentence")
    for name, hint in get_type_hints(contract).items():
        if get_origin(hint) is ClassVar:
            require(hasattr(cls, name), f"the class attribute '{name}' is missing")
            fits = _is_of(getattr(cls, name), get_args(hint)[0])
            require(fits, f"'{name}' is of a wrong type")
    unknown = set(cls.kinds) - set(KINDS)
    require(not unknown, f"'kinds' holds unknown kinds: {sorted(unknown)}")
    require(bool(cls.kinds), "'kinds' is empty")
    require(getattr(cls, "chunk_rows", 1) >= 1, "'chunk_rows' must be 1 or more")


def _is_of(value: object, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    return isinstance(value, hint if isinstance(hint, UnionType) else get_origin(hint) or hint)


def check_valid(dataset: Dataset, n: int) -> None:
    """Check that a set has exactly `n` rows which are what its schema says."""
    require(len(dataset) == n, f"asked for {n} rows, got {len(dataset)}")
    strange = set(dataset.records.column_names) - {*dataset.schema.names, *RESERVED}
    require(not strange, f"the rows hold columns outside the schema: {sorted(strange)}")
    for field in dataset.schema.fields:
        column, wanted = dataset.records.column(field.name), field.arrow_type
        sentence = f"the column '{field.name}' is {column.type}, its schema says {wanted}"
        require(column.type == wanted, sentence)
        if not field.nullable:
            require(column.null_count == 0, f"'{field.name}' must not be missing and is")
        if pa.types.is_floating(column.type):
            values = column.to_numpy(zero_copy_only=False)
            stray = bool(np.isinf(values).any()) or int(np.isnan(values).sum()) > column.null_count
            require(not stray, f"the column '{field.name}' holds infinity or NaN")
    again = Dataset.from_arrow(dataset.to_arrow(), dataset.schema, dataset.card)
    require(again.digest == dataset.digest, "the rows do not survive a round trip through Arrow")


def check_labels(new: Dataset, real: Dataset, *kinds: Kind) -> None:
    """Check that columns of these kinds hold no label that the real set lacks."""
    for field in real.schema.of_kind(*kinds):
        extra = set(new.codes(field.name)[1]) - set(real.codes(field.name)[1])
        require(not extra, f"{len(extra)} labels of '{field.name}' do not occur in the real set")


def hard_cases(real: Dataset) -> Iterator[tuple[str, Dataset]]:
    """Yield small, degenerate versions of a set, each with a name."""
    free = [f.name for f in real.schema.fields if f.nullable and f.role == "feature"]
    yield "one row", real.slice(0, 1)
    yield "no rows", real.slice(0, 0)
    yield "constant columns", real.take(np.zeros(20, dtype=np.int64))
    for names in (*([name] for name in free[:2]), free):
        records = real.records
        for name in names:
            column = pa.nulls(len(real), real.schema[name].arrow_type)
            records = records.set_column(records.column_names.index(name), name, column)
        if names:
            yield f"{names} all missing", dataclasses.replace(real, records=records)
