"""The settings of a component: what they are, whether given ones fit, and the component built."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, get_type_hints

from twinset.core.errors import ParameterError, TwinsetError, did_you_mean

_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Parameter:
    """One setting of a component.

    Parameters
    ----------
    name : str
        Its key in recipes.
    type : str
        Its type, as the code writes it.
    default : object
        Its value when not given; None also when `required`.
    help : str
        What its class docstring says of it.
    required : bool
        Whether it must be given.
    """

    name: str
    type: str
    default: object
    help: str
    required: bool = False


def parameters_of(cls: type[Any]) -> tuple[Parameter, ...]:
    """Return the parameters of a component class, in the order of its fields.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Shift:
    ...     '''Add a constant.
    ...
    ...     Parameters
    ...     ----------
    ...     by : float
    ...         What is added.
    ...     '''
    ...     by: float = 1.0
    >>> parameters_of(Shift)
    (Parameter(name='by', type='float', default=1.0, help='What is added.', required=False),)
    """
    helps = documented_settings(cls)
    return tuple(
        Parameter(
            name=field.name,
            type=field.type if isinstance(field.type, str) else _type_text(field.type),
            default=None if _is_required(field) else _default(field),
            help=helps.get(field.name, ""),
            required=_is_required(field),
        )
        for field in _fields(cls)
    )


def documented_settings(cls: type[Any]) -> dict[str, str]:
    """Return the help of each setting that the class docstring (or a parent's) describes."""
    found: dict[str, str] = {}
    for parent in reversed(cls.__mro__):
        found |= _parameters_section(inspect.cleandoc(parent.__dict__.get("__doc__") or ""))
    return found


def build_checked(cls: type[Any], name: str, settings: Mapping[str, object], place: str) -> Any:
    """Return `cls` built with `settings`, or raise the first fault with its place."""
    component, faults = _attempt(cls, name, settings)
    for key, error in faults:
        at = ".".join(part for part in (place, key) if part)
        what = f"{at}: {error.what}" if place else error.what
        placed = type(error)(what, got=error.got, allowed=error.allowed, todo=error.todo)
        raise placed from error
    return component


def faults_in(
    cls: type[Any], name: str, settings: Mapping[str, object]
) -> list[tuple[str, TwinsetError]]:
    """Return all faults of `settings` as (setting or empty text, error)."""
    return _attempt(cls, name, settings)[1]


def _attempt(
    cls: type[Any], name: str, settings: Mapping[str, object]
) -> tuple[Any, list[tuple[str, TwinsetError]]]:
    known = {field.name: field for field in _fields(cls)}
    faults: list[tuple[str, TwinsetError]] = []
    values = {}
    hints = get_type_hints(cls)
    for key, value in settings.items():
        if key not in known:
            faults.append((str(key), _unknown(str(key), name, list(known))))
            continue
        try:
            values[key] = _checked(value, hints[key], key, name, known[key])
        except ParameterError as error:
            faults.append((key, error))
    for key, field in known.items():
        if _is_required(field) and key not in settings:
            faults.append((key, ParameterError(f"'{name}' needs the setting '{key}'")))
    if faults:
        return None, faults
    try:
        return cls(**values), []
    except TwinsetError as error:
        return None, [("", error)]


def _unknown(key: str, name: str, known: list[str]) -> ParameterError:
    return ParameterError(
        f"'{name}' has no setting '{key}'",
        allowed=", ".join(known) or "none: it takes no settings",
        todo=did_you_mean(key, known),
    )


def _checked(
    value: object, hint: Any, key: str, name: str, field: dataclasses.Field[Any]
) -> object:
    """Return `value` in the type `hint`.

    It goes through JSON in strict mode: that takes a list for a tuple and 1 for 1.0, as YAML needs,
    and never a text for a number.
    """
    from pydantic import TypeAdapter, ValidationError

    kind = field.type if isinstance(field.type, str) else _type_text(field.type)
    try:
        text = json.dumps(value, default=_plain)
        return TypeAdapter(hint).validate_json(text, strict=True)
    except (TypeError, ValidationError) as error:
        shown = repr(value)
        shown = shown if len(shown) <= _LONGEST_SHOWN else f"a {type(value).__name__}"
        raise ParameterError(
            f"the setting '{key}' of '{name}' has a value of a wrong type",
            got=shown,
            allowed=kind,
        ) from error


def _plain(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(type(value).__name__)


def _fields(cls: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    return tuple(field for field in dataclasses.fields(cls) if field.init)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _default(field: dataclasses.Field[Any]) -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _type_text(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")


def _parameters_section(text: str) -> dict[str, str]:
    match = re.search(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-{3,}\s*$|\Z)", text, re.M | re.S)
    helps: dict[str, list[str]] = {}
    names: list[str] = []
    for line in match[1].splitlines() if match else ():
        if line and not line[0].isspace():
            names = [part.strip() for part in line.partition(" : ")[0].split(",")]
            helps |= {name: [] for name in names}
        elif line.strip():
            for name in names:
                helps[name].append(line.strip())
    return {name: " ".join(lines) for name, lines in helps.items()}
