"""Pools of values from Faker, filled by ordinary calls once per provider and locale."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from threading import Lock
from typing import Any

from twinset.core.errors import ParameterError, Place, did_you_mean, needs_extra
from twinset.core.seeding import draw_seed, rng_for

# One Faker a locale is shared by all threads: it is seeded and called by one of them at a time.
_LOCK = Lock()

# Faker falls back to another country without a warning. That does no harm in these providers, which
# hold no words; in all others it is an error.
_WORDLESS = ("barcode", "credit_card", "geo", "isbn", "misc", "passport")

# These read the clock, so the same seed would give other texts tomorrow.
_CLOCKED = ("date_time", "passport", "profile")
_CLOCKED_METHODS = ("credit_card_expire", "credit_card_full")


def faker_values(
    provider: str,
    arguments: Mapping[str, object],
    *,
    locale: str,
    calls: int,
    seed: int,
    subject: str,
    place: Place = (),
) -> tuple[str, ...]:
    """Return the distinct values of `calls` calls of a provider, in order, with single spaces.

    Pools are cached. A pool depends on provider, arguments, locale and seed alone, and not on earlier
    calls, so any number of workers draws from the same values.
    """
    try:
        key = json.dumps(dict(arguments), sort_keys=True)
    except TypeError as error:
        raise ParameterError(
            f"{subject} gives Faker an argument that is no plain value", place=place
        ) from error
    try:
        return _pool(provider, key, locale, calls, seed, subject)
    except ParameterError as error:
        raise ParameterError(
            error.message, got=error.got, allowed=error.allowed, todo=error.todo, place=place
        ) from error.__cause__


@lru_cache(maxsize=128)
def _pool(
    provider: str, arguments: str, locale: str, calls: int, seed: int, subject: str
) -> tuple[str, ...]:
    fake = _faker(locale)
    method = _provider(subject, provider, locale, fake)
    settings = json.loads(arguments)
    try:
        with _LOCK:
            fake.seed_instance(draw_seed(rng_for(seed, provider, locale, arguments)))
            drawn = [str(method(**settings)) for _ in range(calls)]
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise ParameterError(
            f"the Faker provider of {subject} refuses its arguments", got=str(error)
        ) from error
    values = tuple(dict.fromkeys(" ".join(value.split()) for value in drawn))
    if "" in values:
        raise ParameterError(f"the Faker provider of {subject} gave an empty text")
    return values


@lru_cache(maxsize=128)
def _faker(locale: str) -> Any:
    """Return the generator of a locale; all elements of its lists are equally likely."""
    with needs_extra("faker", "text"):
        from faker import Faker
        from faker.config import AVAILABLE_LOCALES
    if locale not in AVAILABLE_LOCALES:
        raise ParameterError(
            f"Faker does not know the locale '{locale}'",
            allowed="e.g. en_US, en_GB, de_DE, fr_FR, es_ES, it_IT, ja_JP",
            todo=did_you_mean(locale, AVAILABLE_LOCALES),
        )
    # The inner generator: the outer one looks for a locale at every call.
    return Faker(locale, use_weighting=False).factories[0]


def _is_known(fake: Any, method: str) -> bool:
    return not method.startswith("_") and any(
        callable(getattr(provider, method, None)) for provider in fake.get_providers()
    )


def _methods(fake: Any) -> set[str]:
    return {
        name
        for provider in fake.get_providers()
        for name in dir(provider)
        if not name.startswith("_") and callable(getattr(provider, name))
    }


def _provider(subject: str, method: str, locale: str, fake: Any) -> Callable[..., object]:
    """Return a method of Faker, if what it gives depends on the seed alone and fits the locale."""
    from faker.providers import BaseProvider

    if not _is_known(fake, method):
        known = _methods(fake)
        raise ParameterError(
            f"{subject} names an unknown Faker provider",
            got=method,
            todo=did_you_mean(method, known)
            or "see the list of providers in Faker's documentation",
        )
    found: Callable[..., Any] = getattr(fake, method)
    own: Any = getattr(fake, method).__self__
    group = own.__provider__.rpartition(".")[2]
    if hasattr(BaseProvider, method):
        return found
    if group in _CLOCKED or method in _CLOCKED_METHODS:
        raise ParameterError(
            f"{subject} depends on today's date, so a run could not be repeated",
            got=method,
            todo="use {date_range: [2025-01-01, 2025-12-31]} or a list of values",
        )
    spoken = own.__lang__
    if spoken not in (None, locale) and group not in _WORDLESS:
        raise ParameterError(
            f"Faker has no '{method}' for the locale '{locale}' ({subject})",
            got=f"it would give {spoken}",
            todo=f"say so with {{faker: {method}, locale: {spoken}}}, or give a list of values",
        )
    return found
