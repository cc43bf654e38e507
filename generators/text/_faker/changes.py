"""What becomes of the texts of a plan: picked from, their signs filled in, written small, made a slug."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from functools import partial
from types import FunctionType
from typing import Any

from .draws import AnyOf, Change, ConcatenatedDraw, Holds, Pick, TextDraw, any_of, joined

_MOST_FORMATS = 400


class NotUnderstoodError(Exception):
    """The code does something that is not known here."""


def normalize_blanks(plan: Pick) -> Pick:
    """Return a list with single blanks between words, as pools have them."""
    return Pick(tuple(" ".join(value.split()) for value in plan.values))


def elements(told: object) -> tuple[str, ...]:
    """Return a list of Faker without its weights."""
    if not isinstance(told, tuple | list | dict | str) or not told:
        raise NotUnderstoodError
    values = tuple(told)
    if not all(isinstance(value, str) for value in values):
        raise NotUnderstoodError
    return values


def each(told: Any, change: Callable[[object], TextDraw]) -> TextDraw:
    """Return what becomes of a fixed text, or of each one of a short list of formats."""
    if not isinstance(told, TextDraw):
        return change(told)
    if not isinstance(told, Pick) or len(told.values) > _MOST_FORMATS:
        raise NotUnderstoodError
    return any_of([change(value) for value in told.values])


def each_sign(told: Any, change: Callable[[object], TextDraw]) -> TextDraw:
    """Return what becomes of texts whose signs are filled in one by one, wherever they stand."""
    if isinstance(told, ConcatenatedDraw):
        return joined([each_sign(part, change) for part in told.parts])
    if isinstance(told, AnyOf):
        return any_of([each_sign(choice, change) for choice in told.choices])
    if not isinstance(told, Pick):
        return each(told, change)
    # A format's signs were put together with the names beside them.
    first, inner, last = _with_common_ends(told.values)
    if all(map(_has_no_sign, inner)):
        return joined([change(first), Pick(inner), change(last)])
    return each(told, change)


def _with_common_ends(values: tuple[str, ...]) -> tuple[str, tuple[str, ...], str]:
    """Return with what all texts begin, what lies between, and with what they end."""
    first = _shared_beginning(values)
    rest = [value[len(first) :] for value in values]
    last = _shared_beginning([value[::-1] for value in rest])[::-1]
    return first, tuple(value[: len(value) - len(last)] for value in rest), last


def _shared_beginning(values: Sequence[str]) -> str:
    low, high = min(values), max(values)
    n = next((i for i, (a, b) in enumerate(zip(low, high)) if a != b), min(len(low), len(high)))
    return low[:n]


def _has_no_sign(text: str) -> bool:
    return not any(sign in text for sign in "#%$!@?")


def has_no_sigma(text: str, new: str) -> bool:
    """Whether the small letters of a text do not hang on what stands beside them: only sigma's do."""
    return "\u03a3" not in text


def _is_slug(text: str, new: str) -> bool:
    """Whether a part becomes the same piece of a slug wherever it stands."""
    hangs = new.startswith("-") or new.endswith("-") or text != text.strip()
    return text.isascii() and not hangs


def decoration(code: ast.expr, func: FunctionType) -> tuple[Change, Holds]:
    """Return what one of Faker's own decorators does to the text that a method returns."""
    from faker.utils import decorators
    from faker.utils.text import slugify

    known: dict[str, tuple[Change, Holds]] = {
        "lowercase": (str.lower, has_no_sigma),
        "slugify": (slugify, _is_slug),
        "slugify_domain": (partial(slugify, allow_dots=True), _is_slug),
        "slugify_unicode": (partial(slugify, allow_unicode=True), _is_slug),
    }
    name = code.id if isinstance(code, ast.Name) else ""
    if name not in known or func.__globals__.get(name) is not getattr(decorators, name):
        raise NotUnderstoodError
    return known[name]


def as_draws(found: Any) -> TextDraw:
    """Return what was read as a draw: a fixed text is a list of one."""
    if isinstance(found, str):
        return Pick((found,))
    if not isinstance(found, TextDraw):
        raise NotUnderstoodError
    return found
