"""A slot: what a grammar says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twinset.core.errors import ParameterError

from .nodes import Place

SOURCES = ("values", "faker", "date_range", "number", "pattern", "mask", "like", "column")
SHARED = ("label", "role", "group", "unique", "distinct_from", "locale")
"""Settings that slots of any source may have."""

ALLOWED = "a list of values, {faker: name}, {date_range: [2025-01-01, 2025-12-31]}, " + ", ".join(
    f"{{{name}: ...}}" for name in ("number", "pattern", "mask", "lexicon", "column", "like")
)


@dataclass(frozen=True)
class Slot:
    """What a grammar says of a slot.

    Parameters
    ----------
    name : str
        Its name.
    kind : str
        One of `SOURCES`.
    said : mapping
        Its settings.
    label : str, optional
        Label of its spans; None: they are not marked.
    role, group : str, optional
        What the value does in the text, e.g. origin; and what it belongs with.
    unique : bool
        Whether no value comes twice in a set.
    distinct_from : tuple of str
        Slots whose value in the same text is another one.
    place, list_place : tuple
        Where it stands in the settings, and where its list of values does.
    """

    name: str
    kind: str
    said: Mapping[str, Any]
    label: str | None
    role: str | None = None
    group: str | None = None
    unique: bool = False
    distinct_from: tuple[str, ...] = ()
    place: Place = ()
    list_place: Place = ()

    @property
    def what(self) -> str:
        """How it is called in errors."""
        return f"the slot '{self.name}'"

    def fault(self, what: str, **more: str) -> ParameterError:
        """Return the error that says what is wrong with it."""
        return ParameterError(what, **more, place=self.place)
