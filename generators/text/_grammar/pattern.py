"""Patterns of codes: a part of regular expressions, or a mask such as ``??-####``; counted and numbered."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from twinset.core.errors import ParameterError

from .nodes import Place
from .values import Ranked

_LONGEST = 100
_DEEPEST = 20
_MOST_LISTED = 5_000
_CLASSES = {"d": "0123456789", "w": "abcdefghijklmnopqrstuvwxyz0123456789_"}
_MASK = {"#": "[0-9]", "%": "[1-9]", "!": "[0-9]?", "@": "[1-9]?"}
_ALLOWED = "text, [A-Z0-9], \\d, (one|other), and {3}, {2,4} or ? behind them"


@dataclass(frozen=True)
class _Signs:
    signs: str

    @property
    def size(self) -> int:
        return len(self.signs)

    def make(self, index: int) -> str:
        return self.signs[index]


@dataclass(frozen=True)
class _Row:
    parts: tuple[_Part, ...]

    @cached_property
    def size(self) -> int:
        total = 1
        for part in self.parts:
            total *= part.size
        return total

    def make(self, index: int) -> str:
        text = ""
        for part in reversed(self.parts):
            index, own = divmod(index, part.size)
            text = part.make(own) + text
        return text


@dataclass(frozen=True)
class _Either:
    parts: tuple[_Part, ...]

    @cached_property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    def make(self, index: int) -> str:
        for part in self.parts:
            if index < part.size:
                return part.make(index)
            index -= part.size
        raise IndexError(index)


@dataclass(frozen=True)
class _Listed:
    texts: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.texts)

    def make(self, index: int) -> str:
        return self.texts[index]


_Part = _Signs | _Row | _Either | _Listed


def pattern_source(pattern: str, *, what: str, place: Place = ()) -> Ranked:
    """Return the texts that a pattern describes, each as likely as any other.

    Parameters
    ----------
    pattern : str
        Text, classes ``[A-Z0-9]``, ``\\d``, groups ``(a|b)``, counts ``{3}``, ``{2,4}`` and ``?``.
    what, place : str, tuple
        Whose it is, for errors, and where it stands.

    Raises
    ------
    ParameterError
        The pattern holds something else, or describes the empty text.

    Examples
    --------
    >>> codes = pattern_source("[AB]-\\\\d{2}", what="the slot 'order'")
    >>> codes.size, codes.at(105)[0]
    (200, 'B-05')
    """
    part = _Reader(pattern, what, place).whole()
    if not part.make(0):
        raise ParameterError(
            f"the pattern of {what} describes the empty text", got=repr(pattern), place=place
        )
    return Ranked(part.size, _numbered(part))


def mask_pattern(mask: str, letters: str) -> str:
    """Return the pattern of a mask: ``#`` a digit, ``%`` one above 0, ``?`` a letter, ``!`` may lack.

    Examples
    --------
    >>> mask_pattern("?-%#.", "AB")
    '[AB]\\\\-[1-9][0-9]\\\\.'
    """
    signs = _MASK | {"?": "[" + re.sub(r"([\\\]^-])", r"\\\1", letters) + "]"}
    return "".join(signs.get(sign, re.escape(sign)) for sign in mask)


def _numbered(part: _Part) -> Callable[[int], tuple[str, None]]:
    """Return what gives text number i; pieces with few texts are listed once and looked up."""
    pieces = _listed(part)
    if len(pieces) == 1:
        only = pieces[0]
        return lambda index: (only.make(index), None)
    steps = [(piece.make, piece.size) for piece in reversed(pieces)]

    def make(index: int) -> tuple[str, None]:
        text = ""
        for piece, size in steps:
            index, own = divmod(index, size)
            text = piece(own) + text
        return text, None

    return make


def _listed(part: _Part) -> list[_Part]:
    """Return the parts of a row, neighbours joined to lists of at most 5,000 texts; numbers stay."""
    joined: list[_Part] = []
    pending: list[_Part] = []

    def close() -> None:
        if pending:
            row = _Row(tuple(pending))
            joined.append(_Listed(tuple(map(row.make, range(row.size)))))
            pending.clear()

    for one in _flat(part):
        if one.size > _MOST_LISTED:
            close()
            joined.append(one)
            continue
        if _Row((*pending, one)).size > _MOST_LISTED:
            close()
        pending.append(one)
    close()
    return joined


def _flat(part: _Part) -> Iterator[_Part]:
    if isinstance(part, _Row):
        for inner in part.parts:
            yield from _flat(inner)
    else:
        yield part


class _Reader:
    def __init__(self, pattern: str, what: str, place: Place) -> None:
        self.pattern, self.what, self.place, self.at = pattern, what, place, 0
        self.depth = 0

    def whole(self) -> _Part:
        part = self.either()
        if self.at < len(self.pattern):
            raise self.fault()
        return part

    def either(self) -> _Part:
        parts = [self.row()]
        while self.pattern[self.at : self.at + 1] == "|":
            self.at += 1
            parts.append(self.row())
        return parts[0] if len(parts) == 1 else _Either(tuple(parts))

    def row(self) -> _Row:
        parts: list[_Part] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            part = self.atom()
            low, high = self.counts()
            once = [_Row((part,) * n) for n in range(low, high + 1)]
            parts.append(once[0] if len(once) == 1 else _Either(tuple(once)))
        return _Row(tuple(parts))

    def atom(self) -> _Part:
        sign = self.pattern[self.at]
        self.at += 1
        if sign == "\\" and self.at < len(self.pattern):
            self.at += 1
            named = self.pattern[self.at - 1]
            if named.isalnum() and named not in _CLASSES:
                raise self.fault()
            return _Signs(_CLASSES.get(named, named))
        if sign == "[":
            return self.signs()
        if sign == "(":
            self.depth += 1
            if self.depth > _DEEPEST:
                raise self.fault()
            part = self.either()
            if self.pattern[self.at : self.at + 1] != ")":
                raise self.fault()
            self.at, self.depth = self.at + 1, self.depth - 1
            return part
        if sign in "]{}?*+.^$\\":
            raise self.fault()
        return _Signs(sign)

    def signs(self) -> _Signs:
        end = re.compile(r"((?:\\.|[^\\\]])+)\]").match(self.pattern, self.at)
        if end is None or end[1][0] == "^":
            raise self.fault()
        self.at = end.end()
        found = ""
        for first, last in re.findall(r"(\\.|.)(?:-(\\.|[^\\\]]))?", end[1]):
            low, high = first[-1], (last or first)[-1]
            if first == "\\d":
                found += _CLASSES["d"]
                continue
            if ord(low) > ord(high):
                raise self.fault()
            found += "".join(map(chr, range(ord(low), ord(high) + 1)))
        return _Signs("".join(dict.fromkeys(found)))

    def counts(self) -> tuple[int, int]:
        found = re.compile(r"\{(\d+)(?:,(\d+))?\}|\?").match(self.pattern, self.at)
        if found is None:
            return 1, 1
        self.at = found.end()
        if found[0] == "?":
            return 0, 1
        low, high = int(found[1]), int(found[2] or found[1])
        if not low <= high <= _LONGEST:
            raise self.fault()
        return low, high

    def fault(self) -> ParameterError:
        return ParameterError(
            f"the pattern of {self.what} cannot be read from sign {self.at} on",
            got=repr(self.pattern),
            allowed=_ALLOWED,
            place=self.place,
        )
