"""Every error that twinset raises on purpose: one root, few leaves.

The tree::

    TwinsetError
    ├── RecipeError          the recipe (or a command's arguments) cannot be used
    │   └── UnknownNameError     a name that nothing answers to
    ├── ParameterError       a setting is out of its range
    ├── SchemaError          columns or labels do not fit
    ├── DataError            the data themselves cannot be used
    ├── LeakError            a test set shares rows or groups with the train set
    ├── FitError             a component cannot learn from these data
    ├── CatalogError         a data set is missing, damaged or cannot be written
    └── MissingExtraError    an optional library is not installed

A failed gate is a result, not an error: see `twinset.report`. Results that can be used but must be
read with care come with a warning: `FewRowsWarning`, `FormatLossWarning`. What happens to files of
several processes does too: `ConcurrentWriteWarning`, `CatalogRestoredWarning`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Self

Place = tuple[str | int, ...]
"""Path of a value in the settings, e.g. ``("templates", "refund", 1)``."""


class TwinsetError(Exception):
    """Root of all errors that the user can fix.

    Parameters
    ----------
    message : str
        What is wrong, in plain words.
    got : str, optional
        What was found instead. Never a value out of a customer's row.
    allowed : str, optional
        What would have been right.
    todo : str, optional
        What to do now.

    Examples
    --------
    >>> str(TwinsetError("no such column 'agee'", allowed="age, sex", todo="check --target"))
    "no such column 'agee'; allowed: age, sex; check --target"
    """

    def __init__(self, message: str, *, got: str = "", allowed: str = "", todo: str = "") -> None:
        self.message, self.got, self.allowed, self.todo = message, got, allowed, todo
        super().__init__(message)

    @classmethod
    def unknown(cls, message: str, name: object, known: Iterable[str]) -> Self:
        """Build the error for a name that is none of `known`; `got` is the name if the message lacks it."""
        names = list(known)
        return cls(
            message,
            got="" if f"'{name}'" in message else str(name),
            allowed=", ".join(names[:30]) + (", ..." if len(names) > 30 else ""),
            todo=did_you_mean(str(name), names),
        )

    def __str__(self) -> str:
        parts = [self.message]
        if self.got:
            parts.append(f"got {self.got}")
        if self.allowed:
            parts.append(f"allowed: {self.allowed}")
        if self.todo:
            parts.append(self.todo)
        return "; ".join(parts)


class RecipeError(TwinsetError):
    """The recipe, or the arguments of a command, cannot be used as they are."""


class UnknownNameError(RecipeError):
    """A name that nothing answers to; suggests the nearest known one."""

    @classmethod
    def for_name(
        cls, noun: str, name: str, known: Iterable[str], place: str = ""
    ) -> UnknownNameError:
        """Build the error for `name`, which is none of `known`.

        Examples
        --------
        >>> str(UnknownNameError.for_name("generator", "tabular.tres", ["tabular.trees"]))
        "unknown generator 'tabular.tres'; allowed: tabular.trees; did you mean 'tabular.trees'?"
        """
        where = f" ({place})" if place else ""
        error = cls.unknown(f"unknown {noun} '{name}'{where}", name, sorted(known))
        error.allowed = error.allowed or "nothing: there are none"
        return error


class ParameterError(TwinsetError):
    """A setting lies outside its range.

    Parameters
    ----------
    message, got, allowed, todo : str
        As for every error.
    place : tuple of str and int
        Where in the settings it stands, from the outside in; a recipe tells its line.
    """

    def __init__(self, message: str, *, place: Place = (), **facts: str) -> None:
        self.place = place
        super().__init__(message, **facts)


class SchemaError(TwinsetError):
    """Columns, types or labels do not fit what was declared or asked for."""


class DataError(TwinsetError):
    """The data cannot be read or cannot serve the purpose."""


class LeakError(TwinsetError):
    """A test set shares rows or groups with the train set.

    Parameters
    ----------
    message, got, allowed, todo : str
        As for every error.
    kind : str
        Name of the leak, by which it can be allowed: see `twinset.measurement.leakage.LEAKS`.
    """

    def __init__(self, message: str, *, kind: str, **facts: str) -> None:
        self.kind = kind
        super().__init__(message, **facts)


class FitError(TwinsetError):
    """A component cannot learn from these data."""


class CatalogError(TwinsetError):
    """A registered data set is missing, damaged, or cannot be written."""


class MissingExtraError(TwinsetError):
    """An optional library is needed and is not installed."""

    @classmethod
    def for_library(cls, library: str, extra: str) -> MissingExtraError:
        """Build the error that says which extra brings `library`."""
        return cls(
            f"this needs the library '{library}', which is not installed",
            todo=f"install it with: pip install 'twinset[{extra}]'",
        )


class FormatLossWarning(UserWarning):
    """A format cannot hold all that was written: the sentence counts what, and names rows by number."""


class ConcurrentWriteWarning(UserWarning):
    """Another process writes to the same place: the sentence names it, and this one waits."""


class CatalogRestoredWarning(UserWarning):
    """The database of a catalogue lacked registered sets, which were listed again."""


class FewRowsWarning(UserWarning):
    """Too few rows for what was asked: less was done, and the sentence says what."""


def without_values(error: Exception) -> Exception:
    """Return a stand-in for a library's error that names its type only: its text may quote a row.

    Examples
    --------
    >>> without_values(ValueError("invalid value 'Jane Doe'"))
    ValueError('ValueError, whose text is left out because it may quote a value')
    """
    name = type(error).__name__
    return ValueError(f"{name}, whose text is left out because it may quote a value")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'?" for the nearest of `known`, or an empty string.

    Examples
    --------
    >>> did_you_mean("evalute", ["evaluate", "run"])
    "did you mean 'evaluate'?"
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else ""
