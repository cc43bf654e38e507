"""Read what a grammar says of a slot, and refuse what cannot be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twinset.core.errors import ParameterError, did_you_mean

from .nodes import Place
from .slot import ALLOWED, SHARED, SOURCES, Slot
from .sources import open_slot

_OWN: Mapping[str, tuple[str, ...]] = {
    "values": (),
    "date_range": ("format",),
    "number": ("decimals", "format", "marks", "scale"),
    "pattern": (),
    "mask": ("letters",),
    "like": (),
    "column": ("format", "marks"),
}


def read_slot(name: str, source: object) -> Slot:
    """Return what `source` says of the slot `name`; Faker itself is not looked at.

    Raises
    ------
    ParameterError
        It has no usable source, or a setting that does not fit; the sentence names the slot.
    """
    place: Place = ("slots", name)
    if not name.isidentifier():
        raise ParameterError(
            f"'{name}' cannot be the name of a slot", allowed="letters, digits and _", place=place
        )
    said = source if isinstance(source, Mapping) else {"values": source}
    kinds = [kind for kind in SOURCES if kind in said]
    if "lexicon" in said:
        raise ParameterError(
            f"the slot '{name}' names a file, and files are opened for recipes only",
            got=str(said["lexicon"]),
            todo="give its values as a list",
            place=place,
        )
    if len(kinds) != 1:
        raise ParameterError(f"the slot '{name}' has no one source", allowed=ALLOWED, place=place)
    kind = kinds[0]
    known = (kind, *SHARED, *_OWN.get(kind, ()))
    for key in said if kind != "faker" else ():
        if key not in known:
            raise ParameterError(
                f"the slot '{name}' has the unknown setting '{key}'",
                allowed=", ".join(known),
                todo=did_you_mean(str(key), known),
                place=(*place, key),
            )
    slot = Slot(
        name=name,
        kind=kind,
        said=said,
        label=_text_or_none(said, "label", name, place),
        role=_text_or_none(said, "role", None, place),
        group=_text_or_none(said, "group", None, place),
        unique=bool(said.get("unique", False)),
        distinct_from=_names(said.get("distinct_from", ()), name, place),
        place=place,
        list_place=(*place, "values") if isinstance(source, Mapping) else place,
    )
    if kind not in ("faker", "like", "column"):
        # A fault is told before any work, so the source is opened once for the check alone.
        open_slot(slot, "en_US", 0)
    return slot


def _text_or_none(
    said: Mapping[str, Any], key: str, default: str | None, place: Place
) -> str | None:
    value = said.get(key, default)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return None if value is None else str(value)
    if not isinstance(value, str) or not value.strip():
        raise ParameterError(
            f"the {key} of the slot '{place[-1]}' is no text",
            got=repr(value),
            allowed="a name, or null",
            place=(*place, key),
        )
    return value


def _names(value: object, name: str, place: Place) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not all(isinstance(own, str) for own in names):
        raise ParameterError(
            f"'distinct_from' of the slot '{name}' is no list of slots",
            got=repr(value),
            place=(*place, "distinct_from"),
        )
    return tuple(names)
