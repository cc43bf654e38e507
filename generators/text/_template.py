"""One template: read from text, written out with the place of every filled slot."""

from __future__ import annotations

import string
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypedDict

from twinset.core.errors import ParameterError, did_you_mean


class Span(TypedDict):
    """Where a slot's value stands: half-open, in code points; ``text[start:end] == value``."""

    start: int
    end: int
    label: str
    value: str


@dataclass(frozen=True)
class Template:
    """A text with slots.

    Parameters
    ----------
    name : str
        Its label and number, e.g. ``refund-2``.
    label : str
        Class of the texts it makes.
    pieces : tuple of (str, str or None)
        A literal and the slot that follows it, in order.
    """

    name: str
    label: str
    pieces: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, text: str, *, name: str, label: str, slots: Collection[str]) -> Template:
        """Return the template that `text` spells: ``{slot}``, and ``{{`` ``}}`` for brackets.

        Raises
        ------
        ParameterError
            It is empty, a bracket has no partner, or a slot is unknown; the sentence names the template.

        Examples
        --------
        >>> Template.parse("Hi {name}!", name="greet-1", label="greet", slots=["name"]).pieces
        (('Hi ', 'name'), ('!', None))
        """
        if not text.strip():
            raise ParameterError(f"the template '{name}' is empty")
        try:
            parts = list(string.Formatter().parse(text))
        except ValueError as error:
            raise ParameterError(
                f"a bracket in the template '{name}' has no partner",
                got=repr(text),
                allowed="{slot}, or {{ and }} for brackets in the text",
            ) from error
        for _, slot, form, conversion in parts:
            if slot is not None and (form or conversion or slot not in slots):
                raise ParameterError(
                    f"the template '{name}' names an unknown slot",
                    got="{" + slot + (f"!{conversion}" if conversion else "") + "}",
                    allowed=", ".join(sorted(slots)),
                    todo=did_you_mean(slot, slots),
                )
        return cls(name, label, tuple((literal, slot) for literal, slot, _, _ in parts))

    def write(self, draw: Mapping[str, Callable[[], str]]) -> tuple[str, list[Span]]:
        """Return a text with its spans; a slot that occurs twice gets the same value twice."""
        text, spans = "", list[Span]()
        values: dict[str, str] = {}
        for literal, slot in self.pieces:
            text += literal
            if slot is None:
                continue
            if slot not in values:
                values[slot] = draw[slot]()
            start, text = len(text), text + values[slot]
            spans.append(Span(start=start, end=len(text), label=slot, value=values[slot]))
        return text, spans
