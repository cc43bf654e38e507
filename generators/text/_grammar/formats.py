"""Written forms of values: dates and numbers by language, and codes by pattern or mask."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from math import prod

from twinset.core.errors import ParameterError, Place

# Month names, day names and short month names, after the Unicode CLDR; a language may lack the last.
# A table and not `babel` or the system's locale: forms must not depend on the machine.
_NAMES: dict[str, tuple[str, str, str]] = {
    "en": (
        "January February March April May June July August September October November December",
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    ),
    "de": (
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
        "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.",
    ),
    "fr": (
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "lundi mardi mercredi jeudi vendredi samedi dimanche",
        "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
    ),
    "es": (
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "lunes martes miércoles jueves viernes sábado domingo",
        "ene. feb. mar. abr. may. jun. jul. ago. sept. oct. nov. dic.",
    ),
    "it": (
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        "lunedì martedì mercoledì giovedì venerdì sabato domenica",
        "",
    ),
    "nl": (
        "januari februari maart april mei juni juli augustus september oktober november december",
        "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
        "",
    ),
    "pt": (
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo",
        "",
    ),
}
_ORDINALS: dict[str, Callable[[int], str]] = {
    "en": lambda number: f"{number}{_english_ending(number)}",
    "fr": lambda number: "1er" if number == 1 else str(number),
    "de": lambda number: f"{number}.",
}
_DIGITS: dict[str, Callable[[date], str]] = {
    "d": lambda day: f"{day.day:02}",
    "-d": lambda day: str(day.day),
    "m": lambda day: f"{day.month:02}",
    "-m": lambda day: str(day.month),
    "Y": lambda day: f"{day.year:04}",
    "y": lambda day: f"{day.year % 100:02}",
    "j": lambda day: f"{day.timetuple().tm_yday:03}",
    "%": lambda _: "%",
}
# Directive -> what it writes, and its place in `_NAMES`; ordinals have a table of their own.
_BY_LANGUAGE = {
    "B": ("the names of months", 0),
    "A": ("the names of days", 1),
    "b": ("the short names of months", 2),
    "o": ("ordinals", -1),
}
_DIRECTIVE = re.compile(r"%(-?.)?", re.S)

_MAX_REPEATS = 100  # of {n}: codes are shorter, and numbers of texts stay computable
_MAX_DEPTH = 20  # levels of brackets, far from the limit of recursion
_MAX_LISTED = 5_000  # texts of a piece that are listed once: looked up, a code is written faster
_CLASSES = {"d": "0123456789", "w": "abcdefghijklmnopqrstuvwxyz0123456789_"}
_MASK = {"#": "[0-9]", "%": "[1-9]", "!": "[0-9]?", "@": "[1-9]?"}
_ALLOWED = "text, [A-Z0-9], \\d, (one|other), and {3}, {2,4} or ? behind them"


def date_writer(
    form: str, locale: str, *, subject: str, place: Place = ()
) -> Callable[[date], str]:
    """Return a function that writes dates in a form, e.g. ``%-d %B %Y``.

    Examples
    --------
    >>> date_writer("%-d. %B", "de_DE", subject="the slot 'day'")(date(2025, 3, 1))
    '1. März'
    """
    language = locale.partition("_")[0]
    parts: list[str | Callable[[date], str]] = []
    at = 0
    for found in _DIRECTIVE.finditer(form):
        directive = found[1] or ""
        if directive not in _BY_LANGUAGE and directive not in _DIGITS:
            raise ParameterError(
                f"{subject} writes dates in an unknown form",
                got=repr(form),
                allowed="%d %-d %o %m %-m %B %b %A %Y %y %j %%",
                place=place,
            )
        if directive in _BY_LANGUAGE and language not in (known := _languages_of(directive)):
            raise ParameterError(
                f"{subject} asks for {_BY_LANGUAGE[directive][0]} in '{language}'",
                allowed=", ".join(sorted(known)),
                todo="write dates in digits, e.g. %d.%m.%Y; a locale looks like de_DE",
                place=place,
            )
        parts += [form[at : found.start()], _directive_writer(directive, language)]
        at = found.end()
    parts += [form[at:]]
    return lambda day: "".join(part if isinstance(part, str) else part(day) for part in parts)


def _languages_of(directive: str) -> set[str]:
    column = _BY_LANGUAGE[directive][1]
    return set(_ORDINALS) if column < 0 else {key for key, own in _NAMES.items() if own[column]}


def _directive_writer(directive: str, language: str) -> Callable[[date], str]:
    if directive in _DIGITS:
        return _DIGITS[directive]
    if directive == "o":
        ordinal = _ORDINALS[language]
        return lambda day: ordinal(day.day)
    names = _NAMES[language][_BY_LANGUAGE[directive][1]].split()
    if directive == "A":
        return lambda day: names[day.weekday()]
    return lambda day: names[day.month - 1]


def _english_ending(number: int) -> str:
    if 11 <= number % 100 <= 13:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def number_writer(
    form: str, marks: str, *, subject: str, place: Place = ()
) -> Callable[[float], str]:
    """Return a function that writes numbers in a format of Python, e.g. ``{:,.2f} EUR``.

    Examples
    --------
    >>> number_writer("{:,.2f} €", ".,", subject="the slot 'sum'")(1234.5)
    '1.234,50 €'
    """
    found = re.fullmatch(r"([^{}]*)\{(?::([^{}]*))?\}([^{}]*)", form)
    spec = (found[2] or "") if found else ""
    try:
        format(1234.5, spec)
    except ValueError:
        found = None
    if found is None or len(marks) != 2:
        raise ParameterError(
            f"{subject} writes numbers in a form that cannot be used",
            got=repr(form) if found is None else f"the marks {marks!r}",
            allowed="e.g. '{:,.2f} EUR', and two marks, for thousands and decimals: '.,'",
            place=place,
        )
    before, after = found[1], found[3]
    marks = marks.replace(" ", "\u202f")
    table = str.maketrans({",": marks[0], ".": marks[1]})
    same = marks == ",."

    def write(number: float) -> str:
        digits = format(number, spec)
        return before + (digits if same else digits.translate(table)) + after

    return write


@dataclass(frozen=True)
class _Listed:
    """Texts to choose from: a character class, or pieces that were joined."""

    texts: Sequence[str]

    @property
    def size(self) -> int:
        return len(self.texts)

    def make(self, index: int) -> str:
        return self.texts[index]


@dataclass(frozen=True)
class _Row:
    """Parts one behind the other: text i is the i-th combination."""

    parts: tuple[_TextList, ...]

    @cached_property
    def size(self) -> int:
        return prod(part.size for part in self.parts)

    def make(self, index: int) -> str:
        text = ""
        for part in reversed(self.parts):
            index, own = divmod(index, part.size)
            text = part.make(own) + text
        return text


@dataclass(frozen=True)
class _Either:
    """Alternatives: the texts of the first come before those of the second."""

    parts: tuple[_TextList, ...]

    @cached_property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    def make(self, index: int) -> str:
        for part in self.parts:
            if index < part.size:
                return part.make(index)
            index -= part.size
        raise IndexError(index)


_TextList = _Listed | _Row | _Either


def read_pattern(
    pattern: str, *, subject: str, place: Place = ()
) -> tuple[int, Callable[[int], tuple[str, None]]]:
    """Return the number of texts that a pattern describes, and a function that writes text i.

    Examples
    --------
    >>> size, text_at = read_pattern("[AB]-\\\\d{2}", subject="the slot 'order'")
    >>> size, text_at(105)[0]
    (200, 'B-05')
    """
    part = _PatternReader(pattern, subject, place).whole()
    if not part.make(0):
        raise ParameterError(
            f"the pattern of {subject} describes the empty text", got=repr(pattern), place=place
        )
    row = _Row(tuple(_joined(part)))
    return part.size, lambda index: (row.make(index), None)


def mask_pattern(mask: str, letters: str) -> str:
    """Return the pattern of a mask: ``#`` digit, ``%`` digit above 0, ``?`` letter, ``!`` optional digit.

    Examples
    --------
    >>> mask_pattern("?-%#.", "AB")
    '[AB]\\\\-[1-9][0-9]\\\\.'
    """
    classes = _MASK | {"?": "[" + re.sub(r"([\\\]^-])", r"\\\1", letters) + "]"}
    return "".join(classes.get(sign, re.escape(sign)) for sign in mask)


def _joined(part: _TextList) -> list[_TextList]:
    """Return the parts of a row, neighbours joined to lists of at most 5,000 texts; numbers stay."""
    joined: list[_TextList] = []
    pending: list[_TextList] = []

    def close() -> None:
        if pending:
            row = _Row(tuple(pending))
            joined.append(_Listed(tuple(map(row.make, range(row.size)))))
            pending.clear()

    for one in _flat(part):
        if one.size > _MAX_LISTED:
            close()
            joined.append(one)
            continue
        if _Row((*pending, one)).size > _MAX_LISTED:
            close()
        pending.append(one)
    close()
    return joined


def _flat(part: _TextList) -> Iterator[_TextList]:
    if isinstance(part, _Row):
        for inner in part.parts:
            yield from _flat(inner)
    else:
        yield part


class _PatternReader:
    def __init__(self, pattern: str, subject: str, place: Place) -> None:
        self.pattern, self.subject, self.place, self.at = pattern, subject, place, 0
        self.depth = 0

    def whole(self) -> _TextList:
        part = self.either()
        if self.at < len(self.pattern):
            raise self.fault()
        return part

    def either(self) -> _TextList:
        parts = [self.row()]
        while self.pattern[self.at : self.at + 1] == "|":
            self.at += 1
            parts.append(self.row())
        return parts[0] if len(parts) == 1 else _Either(tuple(parts))

    def row(self) -> _Row:
        parts: list[_TextList] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            part = self.atom()
            low, high = self.counts()
            once = [_Row((part,) * n) for n in range(low, high + 1)]
            parts.append(once[0] if len(once) == 1 else _Either(tuple(once)))
        return _Row(tuple(parts))

    def atom(self) -> _TextList:
        sign = self.pattern[self.at]
        self.at += 1
        if sign == "\\" and self.at < len(self.pattern):
            self.at += 1
            named = self.pattern[self.at - 1]
            if named.isalnum() and named not in _CLASSES:
                raise self.fault()
            return _Listed(_CLASSES.get(named, named))
        if sign == "[":
            return self.signs()
        if sign == "(":
            self.depth += 1
            if self.depth > _MAX_DEPTH:
                raise self.fault()
            part = self.either()
            if self.pattern[self.at : self.at + 1] != ")":
                raise self.fault()
            self.at, self.depth = self.at + 1, self.depth - 1
            return part
        if sign in "]{}?*+.^$\\":
            raise self.fault()
        return _Listed(sign)

    def signs(self) -> _Listed:
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
        return _Listed("".join(dict.fromkeys(found)))

    def counts(self) -> tuple[int, int]:
        found = re.compile(r"\{(\d+)(?:,(\d+))?\}|\?").match(self.pattern, self.at)
        if found is None:
            return 1, 1
        self.at = found.end()
        if found[0] == "?":
            return 0, 1
        low, high = int(found[1]), int(found[2] or found[1])
        if not low <= high <= _MAX_REPEATS:
            raise self.fault()
        return low, high

    def fault(self) -> ParameterError:
        return ParameterError(
            f"the pattern of {self.subject} cannot be read from sign {self.at} on",
            got=repr(self.pattern),
            allowed=_ALLOWED,
            place=self.place,
        )
