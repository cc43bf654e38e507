"""Written forms of values: dates and numbers by language, and codes by pattern or mask."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
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
# Directives whose texts depend on the language
_BY_LANGUAGE = {
    "B": "the names of months",
    "A": "the names of days",
    "b": "the short names of months",
    "o": "ordinals",
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
    """Return a function that writes dates in a form, e.g. ``%-d %B %Y``."""
    language = locale.partition("_")[0]
    writers = _writers(language)
    parts: list[str | Callable[[date], str]] = []
    at = 0
    for found in _DIRECTIVE.finditer(form):
        directive = found[1] or ""
        if directive in writers:
            parts += [form[at : found.start()], writers[directive]]
            at = found.end()
            continue
        if directive not in _BY_LANGUAGE:
            raise ParameterError(
                f"{subject} writes dates in an unknown form",
                got=repr(form),
                allowed="%d %-d %o %m %-m %B %b %A %Y %y %j %%",
                place=place,
            )
        raise ParameterError(
            f"{subject} asks for {_BY_LANGUAGE[directive]} in '{language}'",
            allowed=", ".join(sorted(key for key in _NAMES if directive in _writers(key))),
            todo="write dates in digits, e.g. %d.%m.%Y; a locale looks like de_DE",
            place=place,
        )
    parts += [form[at:]]
    return lambda day: "".join(part if isinstance(part, str) else part(day) for part in parts)


def _writers(language: str) -> dict[str, Callable[[date], str]]:
    """Return directive -> what it writes of a date in a language."""
    found = dict(_DIGITS)
    months, days, short = (names.split() for names in _NAMES.get(language, ("", "", "")))
    if months:
        found["B"] = lambda day: months[day.month - 1]
        found["A"] = lambda day: days[day.weekday()]
    if short:
        found["b"] = lambda day: short[day.month - 1]
    if language in _ORDINALS:
        found["o"] = lambda day: _ORDINALS[language](day.day)
    return found


def _english_ending(number: int) -> str:
    if 11 <= number % 100 <= 13:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def number_writer(
    form: str, marks: str, *, subject: str, place: Place = ()
) -> Callable[[float], str]:
    """Return a function that writes numbers in a format of Python, e.g. ``{:,.2f} EUR``."""
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
class _Texts:
    """Numbered texts: how many there are, and a function that writes text i."""

    size: int
    make: Callable[[int], str]


def _listed(texts: Sequence[str]) -> _Texts:
    return _Texts(len(texts), texts.__getitem__)


def _row(parts: Sequence[_Texts]) -> _Texts:
    """Return parts one behind the other: text i is the i-th combination."""

    def make(index: int) -> str:
        text = ""
        for part in reversed(parts):
            index, own = divmod(index, part.size)
            text = part.make(own) + text
        return text

    return _Texts(prod(part.size for part in parts), make)


def _either(parts: Sequence[_Texts]) -> _Texts:
    """Return alternatives: the texts of the first come before those of the second."""

    def make(index: int) -> str:
        for part in parts:
            if index < part.size:
                return part.make(index)
            index -= part.size
        raise IndexError(index)

    return _Texts(sum(part.size for part in parts), make)


def read_pattern(
    pattern: str, *, subject: str, place: Place = ()
) -> tuple[int, Callable[[int], tuple[str, None]]]:
    """Return the number of texts that a pattern describes, and a function that writes text i."""
    parts = _PatternReader(pattern, subject, place).whole()
    whole = _row(parts)
    if not whole.make(0):
        raise ParameterError(
            f"the pattern of {subject} describes the empty text", got=repr(pattern), place=place
        )
    make = _row(_joined(parts)).make
    return whole.size, lambda index: (make(index), None)


def mask_pattern(mask: str, letters: str) -> str:
    """Return the pattern of a mask: ``#`` digit, ``%`` 1 to 9, ``?`` letter, ``!`` optional digit."""
    classes = _MASK | {"?": "[" + re.sub(r"([\\\]^-])", r"\\\1", letters) + "]"}
    return "".join(classes.get(sign, re.escape(sign)) for sign in mask)


def _joined(parts: Sequence[_Texts]) -> list[_Texts]:
    """Return the parts of a row, neighbours joined to lists of at most 5,000 texts; numbers stay."""
    joined: list[_Texts] = []
    pending: list[_Texts] = []

    def close() -> None:
        if pending:
            row = _row(tuple(pending))
            joined.append(_listed(tuple(map(row.make, range(row.size)))))
            pending.clear()

    for one in parts:
        if one.size > _MAX_LISTED:
            close()
            joined.append(one)
            continue
        if prod(part.size for part in (*pending, one)) > _MAX_LISTED:
            close()
        pending.append(one)
    close()
    return joined


class _PatternReader:
    def __init__(self, pattern: str, subject: str, place: Place) -> None:
        self.pattern, self.subject, self.place, self.at = pattern, subject, place, 0
        self.depth = 0

    def whole(self) -> list[_Texts]:
        parts = self.either()
        if self.at < len(self.pattern):
            raise self.fault()
        return parts

    def either(self) -> list[_Texts]:
        """Read alternatives; a single one is returned as its parts."""
        rows = [self.row()]
        while self.pattern[self.at : self.at + 1] == "|":
            self.at += 1
            rows.append(self.row())
        return rows[0] if len(rows) == 1 else [_either([_row(parts) for parts in rows])]

    def row(self) -> list[_Texts]:
        parts: list[_Texts] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            atom = self.atom()
            low, high = self.counts()
            repeats = [atom * n for n in range(low, high + 1)]
            parts += repeats[0] if low == high else [_either([_row(own) for own in repeats])]
        return parts

    def atom(self) -> list[_Texts]:
        sign = self.pattern[self.at]
        self.at += 1
        if sign == "\\" and self.at < len(self.pattern):
            self.at += 1
            named = self.pattern[self.at - 1]
            if named.isalnum() and named not in _CLASSES:
                raise self.fault()
            return [_listed(_CLASSES.get(named, named))]
        if sign == "[":
            return [self.signs()]
        if sign == "(":
            self.depth += 1
            if self.depth > _MAX_DEPTH:
                raise self.fault()
            parts = self.either()
            if self.pattern[self.at : self.at + 1] != ")":
                raise self.fault()
            self.at, self.depth = self.at + 1, self.depth - 1
            return parts
        if sign in "]{}?*+.^$\\":
            raise self.fault()
        return [_listed(sign)]

    def signs(self) -> _Texts:
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
        return _listed("".join(dict.fromkeys(found)))

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
