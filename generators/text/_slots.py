"""Sources of slot values: lists, dates, and Faker with a seeded instance of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from twinset.core.errors import MissingExtraError, ParameterError, did_you_mean
from twinset.core.seeding import draw_seed

Slots = Mapping[str, Sequence[str] | Mapping[str, object]]
Draw = Callable[[], str]

# Faker falls back to another country without a word. That does no harm in these providers, which
# hold no words; in all others it is an error.
_WORDLESS = ("barcode", "credit_card", "geo", "isbn", "misc", "passport")

# These read the clock, so the same seed would give other texts tomorrow.
_CLOCKED = ("date_time", "passport", "profile")
_CLOCKED_METHODS = ("credit_card_expire", "credit_card_full")

_SOURCES = "a list of values, {faker: name} or {date_range: [2025-01-01, 2025-12-31]}"


def check_slots(slots: Slots) -> None:
    """Raise for a slot that has no usable source; Faker itself is not looked at.

    Raises
    ------
    ParameterError
        The sentence names the slot.
    """
    for name, source in slots.items():
        if not name.isidentifier():
            raise ParameterError(
                f"'{name}' cannot be the name of a slot", allowed="letters, digits and _"
            )
        if isinstance(source, Mapping):
            if ("faker" in source) == ("date_range" in source):
                raise ParameterError(f"the slot '{name}' has no one source", allowed=_SOURCES)
            if "date_range" in source:
                _date_range(name, source)
        elif isinstance(source, str) or not source:
            raise ParameterError(f"the slot '{name}' has no values", allowed=_SOURCES)
        elif any(not v.strip() or v != v.strip() for v in source):
            raise ParameterError(
                f"the slot '{name}' holds a value that is empty or has blanks round it"
            )


def open_slots(slots: Slots, locale: str, rng: np.random.Generator) -> Mapping[str, Draw]:
    """Return a function per slot that draws its next value from `rng`.

    Parameters
    ----------
    slots : mapping
        Checked by `check_slots`.
    locale : str
        Locale of the Faker slots that name none of their own.
    rng : numpy.random.Generator
        Seeds one Faker instance per locale and draws from lists.

    Raises
    ------
    ParameterError
        Faker lacks the locale, the provider, or the provider in that locale, or refuses arguments.
    MissingExtraError
        Faker is needed and is not installed.
    """
    fakes: dict[str, Any] = {}
    return {name: _open(name, source, locale, rng, fakes) for name, source in slots.items()}


def _open(
    name: str,
    source: Sequence[str] | Mapping[str, object],
    locale: str,
    rng: np.random.Generator,
    fakes: dict[str, Any],
) -> Draw:
    if not isinstance(source, Mapping):
        values = list(source)
        return lambda: values[int(rng.integers(len(values)))]
    if "date_range" in source:
        first, last, form = _date_range(name, source)
        days = (last - first).days + 1
        return lambda: (first + timedelta(days=int(rng.integers(days)))).strftime(form)
    chosen = str(source.get("locale", locale))
    if chosen not in fakes:
        fakes[chosen] = _seeded_faker(chosen, draw_seed(rng))
    method = _provider(name, str(source["faker"]), chosen, fakes[chosen])
    arguments = {k: v for k, v in source.items() if k not in ("faker", "locale")}

    def draw() -> str:
        try:
            value = " ".join(str(method(**arguments)).split())
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"the Faker provider of the slot '{name}' refuses its arguments", got=str(error)
            ) from error
        if not value:
            raise ParameterError(f"the Faker provider of the slot '{name}' gave an empty text")
        return value

    return draw


def _seeded_faker(locale: str, seed: int) -> Any:
    try:
        from faker import Faker
        from faker.config import AVAILABLE_LOCALES
    except ImportError as error:
        raise MissingExtraError.of("faker", "text") from error
    if locale not in AVAILABLE_LOCALES:
        raise ParameterError(
            f"Faker does not know the locale '{locale}'",
            allowed="e.g. en_US, en_GB, de_DE, fr_FR, es_ES, it_IT, ja_JP",
            todo=did_you_mean(locale, AVAILABLE_LOCALES),
        )
    fake = Faker(locale, use_weighting=False).factories[0]
    fake.seed_instance(seed)
    return fake


def _provider(slot: str, method: str, locale: str, fake: Any) -> Callable[..., object]:
    """Return a method of Faker, if what it gives depends on the seed alone and fits the locale."""
    from faker.providers import BaseProvider

    known = {
        name
        for provider in fake.get_providers()
        for name in dir(provider)
        if not name.startswith("_") and callable(getattr(provider, name))
    }
    if method not in known:
        raise ParameterError(
            f"the slot '{slot}' asks for an unknown Faker provider",
            got=method,
            todo=did_you_mean(method, known)
            or "see the list of providers in Faker's documentation",
        )
    found = getattr(fake, method)
    group = found.__self__.__provider__.rpartition(".")[2]
    if hasattr(BaseProvider, method):
        return found  # type: ignore[no-any-return]
    if group in _CLOCKED or method in _CLOCKED_METHODS:
        raise ParameterError(
            f"the slot '{slot}' depends on today's date, so a run could not be repeated",
            got=method,
            todo="use {date_range: [2025-01-01, 2025-12-31]} or a list of values",
        )
    spoken = found.__self__.__lang__
    if spoken not in (None, locale) and group not in _WORDLESS:
        raise ParameterError(
            f"Faker has no '{method}' for the locale '{locale}' (slot '{slot}')",
            got=f"it would give {spoken}",
            todo=f"say so with {{faker: {method}, locale: {spoken}}}, or give a list of values",
        )
    return found  # type: ignore[no-any-return]


def _date_range(slot: str, source: Mapping[str, object]) -> tuple[date, date, str]:
    unknown = set(source) - {"date_range", "format"}
    given = source["date_range"]
    try:
        days = (
            [date.fromisoformat(str(day)) for day in given] if isinstance(given, Sequence) else []
        )
    except ValueError:
        days = []
    if unknown or len(days) != 2 or days[0] > days[1]:
        raise ParameterError(
            f"the dates of the slot '{slot}' are not a range",
            allowed="{date_range: [2025-01-01, 2025-12-31], format: '%d %B %Y'}",
        )
    return days[0], days[1], str(source.get("format", "%Y-%m-%d"))
