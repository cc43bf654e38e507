"""Declare `__init__`, parameter checks and documentation of a sampler from its annotated attributes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from twinset.core.parameters import Interval as Range
from twinset.core.parameters import describe_type
from twinset.registry import documented_settings, parameters_of

# Parameters whose values are no plain types: constraints of scikit-learn, and the type in words.
_SPECIAL: dict[str, tuple[Any, str]] = {
    "sampling_strategy": (
        [
            Interval(Real, 0, 1, closed="right"),
            StrOptions({"auto", "minority", "not minority", "not majority", "all"}),
            Mapping,
            callable,
        ],
        "float, str, dict or callable",
    ),
    "random_state": (["random_state", np.random.Generator], "int, RandomState, Generator or None"),
    "rules": (["array-like", None], "sequence of Rule or mapping, or None"),
    "settings": ([Mapping, None], "mapping or None"),
    "model": ("no_validation", "classifier or None"),
}
_EXAMPLE = """
Examples
--------
>>> import numpy as np
>>> y = np.repeat([0, 1], [90, 10])
>>> X = np.random.default_rng(0).normal(size=(100, 2)) + y[:, None]
>>> X_new, y_new = {name}(sampling_strategy=0.5, random_state=0).fit_resample(X, y)
>>> X_new.shape, int(y_new.sum())
((135, 2), 45)
"""


@dataclass(frozen=True)
class _Declared:
    """One parameter of a sampler."""

    default: Any
    constraints: Any
    type: str
    help: str


def declare_parameters(sampler: Any, generator: Any = None, names: tuple[str, ...] = ()) -> None:
    """Give a sampler class `__init__`, parameter checks and a docstring section "Parameters".

    Its parameters are its annotated attributes and those of its base classes, documented in their
    docstrings, and the settings `names` of the dataclass `generator`.
    """
    own, special = {}, _SPECIAL | sampler.__dict__.get("_special", {})
    hints, helps = get_type_hints(sampler, include_extras=True), documented_settings(sampler)
    for name in inspect.get_annotations(sampler):
        if not name.startswith("_"):
            constraints, kind = special.get(name) or _describe(hints[name])
            own[name] = _Declared(getattr(sampler, name), constraints, kind, helps[name])
    settings = {one.name: one for one in parameters_of(generator)} if names else {}
    hints = get_type_hints(generator, include_extras=True) if names else {}
    for name in names:
        own[name] = _Declared(settings[name].default, *_describe(hints[name]), settings[name].help)
    sampler._declared = own
    every: dict[str, _Declared] = {}
    for base in reversed(sampler.__mro__):
        every |= base.__dict__.get("_declared", {})
    sampler.__init__ = _init_of({name: one.default for name, one in every.items()}, sampler)
    sampler._parameter_constraints = {name: one.constraints for name, one in every.items()}
    lines = [f"{name} : {one.type}\n    {one.help}" for name, one in every.items()]
    section = "\n".join(["Parameters", "----------", *lines, "", ""])
    text = re.sub(
        r"Parameters\n-+\n(\S.*\n( .*\n)*)*\n?", "", inspect.cleandoc(sampler.__doc__) + "\n"
    )
    at = re.search(r"^\w[\w ]*\n-{3,}\n", text, re.MULTILINE)
    place = at.start() if at else len(text)
    example = _EXAMPLE.format(name=sampler.__name__) if names and "Examples" not in text else ""
    sampler.__doc__ = text[:place] + section + text[place:] + example


def _describe(hint: Any) -> tuple[list[Any], str]:
    return constraints_of(hint), describe_type(hint)


def constraints_of(hint: Any) -> list[Any]:
    """Return the range of an annotation as scikit-learn's constraints.

    Examples
    --------
    >>> [str(one) for one in constraints_of(Annotated[float, Range(gt=0, le=1)])]
    ['a float in the range (0.0, 1.0]']
    """
    if hint is None or hint is type(None):
        return [None]
    if get_origin(hint) in (Union, UnionType):
        return [found for one in get_args(hint) for found in constraints_of(one)]
    if get_origin(hint) is Literal:
        return [StrOptions(set(get_args(hint)))]
    if hint is bool:
        return ["boolean"]
    kind, *marks = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    number = {int: Integral, float: Real}.get(kind)
    if number is None:
        return [kind]
    bounds = next((mark for mark in marks if isinstance(mark, Range)), Range())
    low = bounds.gt if bounds.ge is None else bounds.ge
    high = bounds.lt if bounds.le is None else bounds.le
    closed = {
        (True, True): "both",
        (True, False): "left",
        (False, True): "right",
        (False, False): "neither",
    }[bounds.ge is not None, bounds.le is not None]
    return [Interval(number, low, None if high == np.inf else high, closed=closed)]


def _init_of(defaults: dict[str, Any], sampler: Any) -> Any:
    """Return an `__init__` with these parameters, which `get_params` reads; all but one by keyword."""
    keyword, either = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    first = getattr(sampler, "_positional", "")
    own = [inspect.Parameter("self", either)]
    own += [inspect.Parameter(n, either, default=defaults[n]) for n in defaults if n == first]
    own += [inspect.Parameter(n, keyword, default=defaults[n]) for n in defaults if n != first]
    signature = inspect.Signature(own)

    def __init__(self: Any, *args: Any, **values: Any) -> None:
        bound = signature.bind(self, *args, **values)
        bound.apply_defaults()
        for name in defaults:
            setattr(self, name, bound.arguments[name])

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    return __init__
