"""Numbers and dates as texts: decimal marks, names of months, nothing that depends on the machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date

from twinset.core.errors import ParameterError

from .nodes import Place

_MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre "
    "dicembre",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
}
_DAYS = {
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "de": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    "fr": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "es": "lunes martes miércoles jueves viernes sábado domingo",
    "it": "lunedì martedì mercoledì giovedì venerdì sabato domenica",
    "nl": "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
    "pt": "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo",
}
_SHORT_MONTHS = {
    "en": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "de": "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.",
    "fr": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
    "es": "ene. feb. mar. abr. may. jun. jul. ago. sept. oct. nov. dic.",
}
_NAMED = {"B": _MONTHS, "b": _SHORT_MONTHS, "A": _DAYS}
_PLAIN: dict[str, Callable[[date], str]] = {
    "d": lambda day: f"{day.day:02}",
    "-d": lambda day: str(day.day),
    "m": lambda day: f"{day.month:02}",
    "-m": lambda day: str(day.month),
    "Y": lambda day: f"{day.year:04}",
    "y": lambda day: f"{day.year % 100:02}",
    "j": lambda day: f"{day.timetuple().tm_yday:03}",
    "%": lambda _: "%",
}
_ORDINAL: dict[str, Callable[[int], str]] = {
    "en": lambda number: f"{number}{_english_ending(number)}",
    "fr": lambda number: "1er" if number == 1 else str(number),
    "de": lambda number: f"{number}.",
}
_BY_LANGUAGE: dict[str, Mapping[str, object]] = {**_NAMED, "o": _ORDINAL}
_CALLED = {
    "B": "the names of months",
    "b": "the short names of months",
    "A": "the names of days",
    "o": "ordinals",
}
_SIGN = re.compile(r"%(-?.)?", re.S)


def date_writer(form: str, locale: str, *, what: str, place: Place = ()) -> Callable[[date], str]:
    """Return what writes dates in a form, e.g. ``%-d %B %Y``.

    Parameters
    ----------
    form : str
        ``%d %m %Y %y %j``; no leading nought ``%-d %-m``; ``%o`` 1st, 1er or 1.; ``%B %b %A`` name them.
    locale : str
        Whose names, e.g. de_DE.
    what, place : str, tuple
        Whose form it is, for errors, and where it stands.

    Raises
    ------
    ParameterError
        The form holds an unknown sign, or names are asked for in a language whose names are not known.

    Examples
    --------
    >>> date_writer("%-d. %B", "de_DE", what="the slot 'day'")(date(2025, 3, 1))
    '1. März'
    """
    language = locale.partition("_")[0]
    parts: list[str | Callable[[date], str]] = []
    at = 0
    for found in _SIGN.finditer(form):
        sign = found[1] or ""
        known = _BY_LANGUAGE.get(sign)
        if known is not None and language not in known:
            raise ParameterError(
                f"{what} asks for {_CALLED[sign]} in '{language}'",
                allowed=", ".join(sorted(known)),
                todo="write dates in digits, e.g. %d.%m.%Y; a locale looks like de_DE",
                place=place,
            )
        if known is None and sign not in _PLAIN:
            raise ParameterError(
                f"{what} writes dates in an unknown form",
                got=repr(form),
                allowed="%d %-d %o %m %-m %B %b %A %Y %y %j %%",
                place=place,
            )
        parts += [form[at : found.start()], _writer(sign, language)]
        at = found.end()
    parts += [form[at:]]
    return lambda day: "".join(part if isinstance(part, str) else part(day) for part in parts)


def number_writer(form: str, marks: str, *, what: str, place: Place = ()) -> Callable[[float], str]:
    """Return what writes numbers in a form of Python, e.g. ``{:,.2f} EUR``.

    Parameters
    ----------
    form : str
        Text with one place for the number.
    marks : str
        Sign between thousands, then sign before decimals: ``",."`` or ``".,"``; a blank is a
        narrow blank that does not break.
    what, place : str, tuple
        Whose form it is, for errors, and where it stands.

    Raises
    ------
    ParameterError
        The form cannot be used with numbers.

    Examples
    --------
    >>> number_writer("{:,.2f} €", ".,", what="the slot 'sum'")(1234.5)
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
            f"{what} writes numbers in a form that cannot be used",
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


def _writer(sign: str, language: str) -> Callable[[date], str]:
    if sign in _PLAIN:
        return _PLAIN[sign]
    if sign == "o":
        ordinal = _ORDINAL[language]
        return lambda day: ordinal(day.day)
    names = _NAMED[sign][language].split()
    if sign == "A":
        return lambda day: names[day.weekday()]
    return lambda day: names[day.month - 1]


def _english_ending(number: int) -> str:
    if 11 <= number % 100 <= 13:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
