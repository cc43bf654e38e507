"""Options of the workflows as dataclasses that the command line fills."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, make_dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from cyclopts import Parameter, Token

from twinset.core.errors import RecipeError
from twinset.registry import documented_settings
from twinset.workflows.options import AdviseOptions, EvaluateOptions, TableOptions, TwinOptions

Flat = Parameter(name="*")
"""Marks a dataclass whose fields are options of the command itself."""

Read = Annotated[list[str] | None, Parameter(name="--read")]
"""How to read a CSV file: KEY=VALUE, may be repeated; see `twinset.io.reading.options`."""


def _read_count(kind: Any, tokens: Sequence[Token]) -> int:
    """Return a whole number: digits only, with a sign before them."""
    text = tokens[0].value
    # Longer ones are beyond any column and any count.
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise ValueError(
            f"got '{text}'; allowed: a whole number in digits, 18 at most, such as 1000."
        )
    return int(text)


def _read_number(kind: Any, tokens: Sequence[Token]) -> float:
    """Return a finite number: digits, with a point and an exponent."""
    text = tokens[0].value
    value = float(text) if _NUMBER.fullmatch(text) else inf
    if not isfinite(value):
        raise ValueError(f"got '{text}'; allowed: a number such as 0.25 or 1e-3.")
    return value


def _read_numbers(kind: Any, tokens: Sequence[Token]) -> list[float]:
    return [_read_number(kind, [token]) for token in tokens]


_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
Count = Annotated[int, Parameter(converter=_read_count)]
"""A whole number on the command line."""
Real = Annotated[float, Parameter(converter=_read_number)]
"""A number on the command line."""

# Fields whose values are written differently on a command line than in Python.
_WRITTEN_AS: dict[str, Any] = {
    "where": str | None,
    "gates": Annotated[list[str] | None, Parameter(name="--gate")],
    "allow_leaks": Annotated[list[str] | None, Parameter(name="--allow-leak")],
    "embedders": Annotated[list[str] | None, Parameter(name="--embedder")],
    "attacks": list[str] | None,
    "ignore": list[str] | None,
    "quasi_identifiers": Annotated[list[str] | None, Parameter(name="--quasi-identifier")],
    "read": Read,
    "settings": Annotated[list[str] | None, Parameter(name="--with")],
    "value_protection": Annotated[bool | None, Parameter(negative="--no-value-protection")],
    "ratios": Annotated[list[float] | None, Parameter(name="--ratio", converter=_read_numbers)],
    "models": Annotated[list[str] | None, Parameter(name="--model")],
}


_STRICT: dict[Any, Any] = {
    int: Count,
    int | None: Count | None,
    float: Real,
    float | None: Real | None,
}


@dataclass(frozen=True, kw_only=True)
class ReportFiles:
    """Where the reports of a measurement go.

    Parameters
    ----------
    html : Path
        Write the report as a page to this file.
    markdown : Path
        Write verdict and scores as Markdown to this file.
    junit : Path
        Write gates and verdicts as JUnit XML to this file, one test case per metric.
    json : bool
        Print every score as JSON.
    """

    html: Path | None = None
    markdown: Path | None = None
    junit: Path | None = None
    json: bool = False

    @property
    def by_option(self) -> dict[str, Path | None]:
        """Option -> file."""
        return {"--html": self.html, "--markdown": self.markdown, "--junit": self.junit}


def _arguments_of(options: type[TableOptions]) -> Any:
    """Return a dataclass with the fields of `options`, in types that a command line can hold."""
    hints = get_type_hints(options)
    made = make_dataclass(
        options.__name__.replace("Options", "Arguments"),
        [
            (
                one.name,
                _WRITTEN_AS.get(one.name, _STRICT.get(hints[one.name], hints[one.name])),
                field(default=None if one.name in _WRITTEN_AS else one.default),
            )
            for one in fields(options)
        ],
        frozen=True,
        kw_only=True,
    )
    sections = [f"{name}\n    {text}" for name, text in documented_settings(options).items()]
    made.__module__ = __name__
    made.__doc__ = "Options.\n\nParameters\n----------\n" + "\n".join(sections) + "\n"
    return made


EvaluateArguments = _arguments_of(EvaluateOptions)
TwinArguments = _arguments_of(TwinOptions)
AdviseArguments = _arguments_of(AdviseOptions)


def given(arguments: Any) -> dict[str, Any]:
    """Return the arguments as settings of the options; lists of texts are read."""
    from twinset.report import read_gates

    values = {
        one.name: value
        for one in fields(arguments)
        if (value := getattr(arguments, one.name)) is not None
    }
    if "gates" in values:
        values["gates"] = read_gates(values["gates"])
    if "settings" in values:
        values["settings"] = settings_of(values["settings"])
    return values


def settings_of(pairs: Iterable[str]) -> dict[str, object]:
    """Return the settings; each value is read as YAML, as in a recipe.

    Raises
    ------
    RecipeError
        A pair has no ``=``, or its value cannot be read.

    Examples
    --------
    >>> settings_of(["k_neighbors=3", "columns=[a, b]"])
    {'k_neighbors': 3, 'columns': ['a', 'b']}
    """
    from twinset.recipe import read_yaml

    found: dict[str, object] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign or not key:
            raise RecipeError(f"cannot read the setting '{pair}'", allowed="key=value")
        document = read_yaml(text)
        if document.faults:
            raise RecipeError(
                f"cannot read the value of the setting '{key}'",
                got=f"'{text}'",
                todo=document.faults[0].text,
            )
        found[key] = document.data
    return found
