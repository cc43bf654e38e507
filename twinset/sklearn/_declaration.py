"""Declare `__init__`, parameter checks and documentation of a sampler from its generator's fields."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from twinset.core.parameters import Interval as Range
from twinset.registry import parameters_of

STRATEGY = [
    Interval(Real, 0, 1, closed="right"),
    StrOptions({"auto", "minority", "not minority", "not majority", "all"}),
    Mapping,
    callable,
]
ADDING: dict[str, Any] = {
    "sampling_strategy": STRATEGY,
    "random_state": ["random_state", np.random.Generator],
    "preserve_mass": ["boolean"],
}
MAKING: dict[str, Any] = {
    **ADDING,
    "rules": ["array-like", None],
    "n_jobs": [Integral, None],
}

# Parameters of every sampler that adds rows: default and documentation.
_BEFORE: dict[str, tuple[Any, str]] = {
    "sampling_strategy": (
        "auto",
        """float, str, dict or callable
    Number of rows of each class, as in imbalanced-learn.""",
    ),
    "random_state": (
        None,
        """int, RandomState, Generator or None
    The seed. The new rows depend on it and on the real rows, not on their order.""",
    ),
}
_AFTER: dict[str, tuple[Any, str]] = {
    "rules": (
        None,
        """sequence of Rule or mapping, or None
    Rules that every new row satisfies; None discovers those that every real row satisfies.""",
    ),
    "preserve_mass": (
        False,
        """bool
    Whether `sample_weight_` keeps the total weight of each class as it was.""",
    ),
    "n_jobs": (
        None,
        """int or None
    Threads that draw rows; the rows are the same for any number.""",
    ),
}


def declare_parameters(sampler: Any, generator: Any, names: Sequence[str]) -> None:
    """Give a sampler class `__init__`, parameter checks and a docstring section "Parameters".

    Parameters
    ----------
    sampler : type
        The class to complete.
    generator : type
        Dataclass of the generator.
    names : sequence of str
        Its settings that become parameters of the sampler.
    """
    settings = {one.name: one for one in parameters_of(generator)}
    hints = get_type_hints(generator, include_extras=True)
    own = {n: (settings[n].default, f"{settings[n].type}\n    {settings[n].help}") for n in names}
    declared = _BEFORE | own | _AFTER
    sampler.__init__ = _init_of({name: default for name, (default, _) in declared.items()})
    sampler._parameter_constraints = MAKING | {n: constraints_of(hints[n]) for n in names}
    entries = "\n".join(f"{name} : {text}" for name, (_, text) in declared.items())
    section = f"Parameters\n----------\n{entries}\n\n"
    head, mark, tail = inspect.cleandoc(sampler.__doc__).partition("References\n")
    sampler.__doc__ = head + section + mark + tail


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


def _init_of(defaults: dict[str, Any]) -> Any:
    """Return an `__init__` with these keyword-only parameters, which `get_params` reads."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    given = [inspect.Parameter(n, keyword, default=value) for n, value in defaults.items()]
    signature = inspect.Signature([own, *given])

    def __init__(self: Any, *args: Any, **values: Any) -> None:
        bound = signature.bind(self, *args, **values)
        bound.apply_defaults()
        for name in defaults:
            setattr(self, name, bound.arguments[name])

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    return __init__
