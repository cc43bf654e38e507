"""`ReadOptions`: how a CSV file is to be read where its cells allow several readings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self, get_args

import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError, did_you_mean

DateOrder = Literal["day-first", "month-first"]
_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "space": " "}
_FLAGS = {"yes": True, "true": True, "no": False, "false": False}
_YES_NO = ("header", "escaped_formulas")
_LISTS = ("text", "number", "category", "missing")


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How a CSV file is to be read; what is not given follows from its cells.

    Parameters
    ----------
    header : bool, optional
        Whether the first line holds the names of the columns.
    skip : int
        Number of lines before the header.
    delimiter : str
        The character between cells, or one of tab, comma, semicolon, bar and space.
    decimal : {".", ","}, optional
        The mark before decimals.
    dates : {"day-first", "month-first"}, optional
        The order of dates such as 03/04/2021.
    text : tuple of str
        Columns that stay texts.
    number : tuple of str
        Columns of numbers: any other cell is missing.
    category : tuple of str
        Columns of labels.
    missing : tuple of str
        Cells that are missing values, in every column.
    escaped_formulas : bool, optional
        Whether an apostrophe stands before texts that a spreadsheet would run; by default as the card or
        the note beside the file says.

    Examples
    --------
    >>> ReadOptions.from_texts(["decimal=,", "text=zip,account"]).text
    ('zip', 'account')
    """

    header: bool | None = None
    skip: int = 0
    delimiter: str = ""
    decimal: str = ""
    dates: str = ""
    text: tuple[str, ...] = ()
    number: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    escaped_formulas: bool | None = None

    def __post_init__(self) -> None:
        if type(self.skip) is not int or self.skip < 0:
            raise _wrong("skip", self.skip, "a whole number of lines, 0 or more")
        if len(self.delimiter) > 1 or (self.delimiter in '"\r\n' and self.delimiter):
            raise _wrong("delimiter", self.delimiter, "one character, or " + ", ".join(_DELIMITERS))
        twice = [name for name in self.text if name in (*self.number, *self.category)]
        twice += [name for name in self.number if name in self.category]
        if twice:
            raise _wrong(twice[0], "two kinds", "one of text, number and category")
        if self.decimal not in ("", ".", ","):
            raise _wrong("decimal", self.decimal, "'.' or ','")
        if self.dates not in ("", *get_args(DateOrder)):
            raise _wrong("dates", self.dates, ", ".join(get_args(DateOrder)))

    @classmethod
    def from_texts(cls, pairs: Iterable[str]) -> Self:
        """Return the options that texts such as "decimal=," spell; lists are separated by commas."""
        found: dict[str, Any] = {}
        for pair in pairs:
            name, sign, value = pair.partition("=")
            if not sign or not value:
                raise ParameterError(
                    "cannot read how to read the file", got=f"'{pair}'", allowed="KEY=VALUE"
                )
            if name in _LISTS:
                value_list = [*found.get(name, ()), *value.split(",")]
                found[name] = [text for text in value_list if text]
            elif name == "skip":
                found[name] = int(value) if re.fullmatch("[0-9]{1,18}", value) else value
            elif name in _YES_NO:
                found[name] = _FLAGS.get(value.lower(), value)
            else:
                found[name] = value
        return cls().merge(found)

    def to_json(self) -> dict[str, Any]:
        """Return what differs from the default as plain JSON values.

        Examples
        --------
        >>> ReadOptions(decimal=",", text=("zip",)).to_json()
        {'decimal': ',', 'text': ['zip']}
        """
        own = {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if one.default != getattr(self, one.name)
        }
        return {key: list(one) if isinstance(one, tuple) else one for key, one in own.items()}

    def merge(self, settings: Mapping[str, Any]) -> Self:
        """Return the options with some of them changed.

        Raises
        ------
        ParameterError
            There is no such option, or its value cannot be used.
        """
        known = [one.name for one in fields(self)]
        changes: dict[str, Any] = {}
        for name, value in settings.items():
            if name not in known:
                raise ParameterError(
                    f"there is no option '{name}' of reading",
                    allowed=", ".join(known),
                    todo=did_you_mean(name, known),
                )
            if name in _LISTS:
                value = (value,) if isinstance(value, str) else tuple(map(str, value))
            elif name in _YES_NO and not isinstance(value, bool):
                raise _wrong(name, value, "yes or no")
            elif name == "delimiter":
                value = _DELIMITERS.get(value, value)
            changes[name] = value
        return replace(self, **changes)


ReadChoice = ReadOptions | Mapping[str, Any] | Iterable[str] | None
"""The forms that options of reading are given in: also a mapping, or texts such as "decimal=,"."""


def read_options(value: ReadChoice) -> ReadOptions:
    """Return the options from any form that they are given in.

    Examples
    --------
    >>> read_options({"decimal": ","}) == read_options(["decimal=,"])
    True
    """
    if isinstance(value, ReadOptions):
        return value
    if value is None or isinstance(value, Mapping):
        return ReadOptions().merge(value or {})
    return ReadOptions.from_texts([value] if isinstance(value, str) else value)


def with_kinds(dataset: Dataset, options: ReadOptions) -> Dataset:
    """Return the set with the columns that the options name as numbers or categories of that kind."""
    schema = dataset.schema
    for name in (*options.number, *options.category):
        field = schema[name]
        kind = "category"
        if name in options.number:
            kind = "integer" if pa.types.is_integer(field.stored_type) else "number"
        if field.kind != kind:
            role = "feature" if field.role == "identifier" else field.role
            schema = schema.with_field(replace(field, kind=kind, role=role, levels=None))
    return dataset.with_schema(schema)


def _wrong(name: str, value: object, allowed: str) -> ParameterError:
    return ParameterError(f"the option '{name}' of reading", got=repr(value), allowed=allowed)
