"""Slots and the sources of their values."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from math import exp, log
from threading import Lock
from typing import Any

from twinset.core.errors import ParameterError, Place, did_you_mean
from twinset.core.extras import optional
from twinset.core.seeding import draw_seed, rng_for
from twinset.core.untrusted import parse_json

from .formats import date_writer, mask_pattern, number_writer, read_pattern
from .settings import SlotSettings
from .values import MAX_BUCKETS, ComputedValues, Source, ValuePool

# Calls that fill the pool of a Faker slot without `pool`. Of en_US, 4,000 calls give 3,800 to 4,000
# distinct names, cities, companies or addresses in 40 to 120 ms; texts combine the pools of their slots.
CALLS = 4_000
_MAX_LISTED = 5_000  # numbers or dates that are written once and looked up; more are computed
# One Faker a locale is shared by all threads: it is seeded and called by one of them at a time.
_LOCK = Lock()

# Faker falls back to another country without a warning. That does no harm in these providers, which
# hold no words; in all others it is an error.
_WORDLESS = ("barcode", "credit_card", "geo", "isbn", "misc", "passport")

# These read the clock, so the same seed would give other texts tomorrow.
_CLOCKED = ("date_time", "passport", "profile")
_CLOCKED_METHODS = ("credit_card_expire", "credit_card_full")
_DEFAULT_MASKS = {"numerify": "%#", "bothify": "## ??", "lexify": "????"}  # Faker's own


@dataclass(frozen=True)
class Slot:
    """A slot: its name and settings."""

    name: str
    settings: SlotSettings

    @classmethod
    def read(cls, name: str, settings: SlotSettings) -> Slot:
        """Return a slot whose source is checked; providers of Faker are not looked up."""
        slot = cls(name, settings)
        if slot.kind not in ("faker", "like", "column"):
            open_slot(slot, "en_US", 0)  # reports a fault before any work
        return slot

    @property
    def kind(self) -> str:
        """Its source."""
        return self.settings.kind

    @property
    def label(self) -> str | None:
        """Label of its spans; None: they are not marked."""
        return self.settings.label if "label" in self.settings.model_fields_set else self.name

    @property
    def place(self) -> Place:
        """Its path in the settings."""
        return ("slots", self.name)

    @property
    def subject(self) -> str:
        """Its name in errors."""
        return f"the slot '{self.name}'"

    @property
    def table_and_column(self) -> tuple[str, str]:
        """Table and column that a slot of kind column reads."""
        table, _, column = str(self.settings.column).partition(".")
        return table, column

    def fault(self, problem: str, **facts: str) -> ParameterError:
        """Return an error at the place of the slot."""
        return ParameterError(problem, **facts, place=self.place)


def open_slot(slot: Slot, locale: str, seed: int, calls: int = CALLS) -> Source:
    """Return the source of a slot of another kind than like and column.

    `locale` is that of slots without their own, `seed` that of Faker, and `calls` the number of its
    calls for slots without the setting `pool`.
    """
    settings = slot.settings
    own_locale = settings.locale or locale
    if settings.values is not None:
        return _listed(settings)
    if slot.kind == "date_range":
        return _dates(slot, own_locale)
    if slot.kind == "number":
        return _numbers(slot)
    if settings.pattern is not None:
        return _codes(slot, settings.pattern)
    if settings.mask is not None:
        return _codes(slot, mask_pattern(settings.mask, settings.letters))
    return _faker(slot, own_locale, seed, calls)


def _faker(slot: Slot, locale: str, seed: int, calls: int) -> Source:
    provider, arguments = str(slot.settings.faker), slot.settings.faker_arguments
    mask = arguments.get("text", _DEFAULT_MASKS.get(provider))
    if provider in _DEFAULT_MASKS and mask and set(arguments) <= {"text", "letters"}:
        # Every code is possible, not those of a pool alone.
        return _codes(slot, mask_pattern(str(mask), slot.settings.letters))
    pool = slot.settings.pool or calls
    pool = pool if calls == CALLS else min(pool, calls)
    try:
        key = json.dumps(arguments, sort_keys=True)
    except TypeError as error:
        raise slot.fault(
            f"{slot.subject} gives Faker an argument that is no plain value"
        ) from error
    try:
        return ValuePool.from_texts(_faker_values(provider, key, locale, pool, seed, slot.subject))
    except ParameterError as error:
        raise slot.fault(
            error.message, got=error.got, allowed=error.allowed, todo=error.todo
        ) from error.__cause__


def _codes(slot: Slot, pattern: str) -> ComputedValues:
    return ComputedValues(*read_pattern(pattern, subject=slot.subject, place=slot.place))


def _listed(settings: SlotSettings) -> ValuePool:
    texts: list[str] = []
    weights: list[float] = []
    canonical: list[str | None] = []
    for value in settings.values or ():
        names = [value.value, *value.synonyms]
        # The weight is that of the thing, and its names share it.
        weights += [value.weight / len(names)] * len(names)
        texts += names
        canonical += [value.canonical] + [value.value] * len(value.synonyms)
    return ValuePool.from_texts(texts, weights, canonical if any(canonical) else None)


def _dates(slot: Slot, locale: str) -> Source:
    given = slot.settings.date_range
    try:
        is_list = isinstance(given, Sequence) and not isinstance(given, str)
        days = [date.fromisoformat(str(day)) for day in given] if is_list else []
    except ValueError:
        days = []
    if len(days) != 2 or days[0] > days[1]:
        raise slot.fault(
            f"the dates of {slot.subject} are not a range",
            allowed="{date_range: [2025-01-01, 2025-12-31], format: '%d %B %Y'}",
        )
    first, last = days
    form = slot.settings.format or "%Y-%m-%d"
    write = date_writer(form, locale, subject=slot.subject, place=slot.place)

    def make(i: int) -> tuple[str, str | None]:
        day = first + timedelta(days=i)
        return _with_canonical(write(day), day.isoformat())

    return _listed_or_computed((last - first).days + 1, make)


def _numbers(slot: Slot) -> Source:
    settings = slot.settings
    decimals = settings.decimals
    try:
        low, high = (Decimal(str(bound)) for bound in settings.number)
        unit = Decimal(1).scaleb(-decimals)
        first, last = low / unit, high / unit
        is_range = low <= high and first == int(first) and last == int(last)
    except (TypeError, ValueError, OverflowError, InvalidOperation):
        is_range = False
    if not is_range or (settings.scale == "log" and low <= 0):
        raise slot.fault(
            f"the numbers of {slot.subject} are not a range",
            allowed="{number: [5, 900], decimals: 2}; bounds with no more decimals; "
            "scale: linear, or log above 0",
        )
    form = settings.format or "{:." + str(decimals) + "f}"
    write = number_writer(form, settings.marks, subject=slot.subject, place=slot.place)
    start, power = int(first), 10**decimals

    def make(i: int) -> tuple[str, str | None]:
        number = (start + i) / power
        return _with_canonical(write(number if decimals else start + i), f"{number:.{decimals}f}")

    size = int(last) - start + 1
    if settings.scale == "linear":
        return _listed_or_computed(size, make)
    log_width = log((int(last) + 1) / start)

    def place(u: float) -> int:
        return min(int(start * exp(u * log_width)) - start, size - 1)

    def bucket(i: int) -> int:
        return min(int(MAX_BUCKETS * log((start + i) / start) / log_width), MAX_BUCKETS - 1)

    return ComputedValues(size, make, place, bucket)


def _with_canonical(text: str, canonical: str) -> tuple[str, str | None]:
    return text, None if text == canonical else canonical


def _listed_or_computed(size: int, make: Callable[[int], tuple[str, str | None]]) -> Source:
    if size > _MAX_LISTED:
        return ComputedValues(size, make)
    texts, canonical = zip(*map(make, range(size)))
    return ValuePool.from_texts(texts, None, canonical)


@lru_cache(maxsize=128)
def _faker_values(
    provider: str, arguments: str, locale: str, calls: int, seed: int, subject: str
) -> tuple[str, ...]:
    """Return the distinct values of `calls` calls of a provider, in order, with single spaces.

    A pool depends on provider, arguments, locale and seed alone, and not on earlier calls, so any number
    of workers draws from the same values.
    """
    fake = _faker_in(locale)
    method = _provider(subject, provider, locale, fake)
    settings = parse_json(arguments)
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
def _faker_in(locale: str) -> Any:
    """Return the generator of a locale; all elements of its lists are equally likely."""
    locales = optional("faker.config").AVAILABLE_LOCALES
    if locale not in locales:
        raise ParameterError(
            f"Faker does not know the locale '{locale}'",
            allowed="e.g. en_US, en_GB, de_DE, fr_FR, es_ES, it_IT, ja_JP",
            todo=did_you_mean(locale, locales),
        )
    # The inner generator: the outer one looks for a locale at every call.
    return optional("faker").Faker(locale, use_weighting=False).factories[0]


def _methods(fake: Any) -> set[str]:
    return {
        name
        for provider in fake.get_providers()
        for name in dir(provider)
        if not name.startswith("_") and callable(getattr(provider, name))
    }


def _provider(subject: str, method: str, locale: str, fake: Any) -> Callable[..., object]:
    """Return a method of Faker, if what it gives depends on the seed alone and fits the locale."""
    if method not in (known := _methods(fake)):
        raise ParameterError(
            f"{subject} names an unknown Faker provider",
            got=method,
            todo=did_you_mean(method, known)
            or "see the list of providers in Faker's documentation",
        )
    found: Callable[..., Any] = getattr(fake, method)
    own: Any = getattr(fake, method).__self__
    group = own.__provider__.rpartition(".")[2]
    if hasattr(optional("faker.providers").BaseProvider, method):
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
