"""Open slots: lists, numbers, dates, patterns and pools of Faker, ready to be drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from math import exp, log

from twinset.core.errors import ParameterError

from .faker_pool import faker_values
from .formats import date_writer, number_writer
from .nodes import Place
from .pattern import mask_pattern, pattern_source
from .slot import ALLOWED, SHARED, Slot
from .values import MOST_BUCKETS, Ranked, Source, ValuePool

# Calls that fill the pool of a Faker slot without `pool`. Of en_US, 4,000 calls give 3,800 to 4,000
# distinct names, cities, companies or addresses in 40 to 120 ms; texts combine the pools of their slots.
CALLS = 4_000

_SHORT_NAMES = {"numerify": "%#", "bothify": "## ??", "lexify": "????"}
_MOST_LISTED = 5_000
_LARGEST_POOL = 1_000_000


def open_slot(slot: Slot, locale: str, seed: int, calls: int = CALLS) -> Source:
    """Return the source of a slot that has one of its own.

    Parameters
    ----------
    slot : Slot
        Of another kind than like and column.
    locale : str
        Locale of those slots that name none of their own.
    seed : int
        Decides the values of Faker.
    calls : int
        How often Faker is asked, where the slot does not say `pool`.

    Raises
    ------
    ParameterError
        The settings cannot be used, or Faker lacks what they ask for.
    MissingExtraError
        Faker is needed and is not installed.
    """
    chosen = str(slot.said.get("locale", locale))
    if slot.kind == "values":
        return _listed(slot)
    if slot.kind == "date_range":
        return _dates(slot, chosen)
    if slot.kind == "number":
        return _numbers(slot)
    if slot.kind == "pattern":
        return pattern_source(str(slot.said["pattern"]), what=slot.what, place=slot.place)
    if slot.kind == "mask":
        return _masked(slot, str(slot.said["mask"]))
    method, arguments = str(slot.said["faker"]), _arguments(slot)
    text = arguments.get("text", _SHORT_NAMES.get(method))
    if method in _SHORT_NAMES and text and set(arguments) <= {"text", "letters"}:
        return _masked(slot, str(text))
    pool = slot.said.get("pool", calls)
    if not isinstance(pool, int) or not 1 <= pool <= _LARGEST_POOL:
        raise slot.fault(
            f"the pool of {slot.what} is out of its range",
            got=repr(pool),
            allowed=f"1 to {_LARGEST_POOL:,} calls of Faker",
        )
    values = faker_values(
        method,
        arguments,
        locale=chosen,
        calls=pool if calls == CALLS else min(pool, calls),
        seed=seed,
        subject=slot.what,
        place=slot.place,
    )
    return ValuePool.of(values)


def _arguments(slot: Slot) -> dict[str, object]:
    own = ("faker", "pool", *SHARED)
    return {key: value for key, value in slot.said.items() if key not in own}


def _masked(slot: Slot, mask: str) -> Ranked:
    letters = slot.said.get("letters", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    return pattern_source(mask_pattern(mask, str(letters)), what=slot.what, place=slot.place)


def _listed(slot: Slot) -> ValuePool:
    values = slot.said["values"]
    if isinstance(values, str | Mapping) or not isinstance(values, Sequence) or not values:
        raise slot.fault(f"{slot.what} has no values", allowed=ALLOWED)
    texts: list[str] = []
    weights: list[float] = []
    meant: list[str | None] = []
    for k, item in enumerate(values):
        place = (*slot.list_place, k)
        told = item if isinstance(item, Mapping) else {"value": item}
        unknown = set(told) - {"value", "weight", "synonyms", "canonical"}
        weight = told.get("weight", 1)
        if unknown or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
            raise ParameterError(
                f"{slot.what} holds a value with settings that cannot be used",
                got=", ".join(sorted(map(str, unknown))) or f"the weight {weight!r}",
                allowed="{value: New York, synonyms: [NYC], weight: 2}, weights above 0",
                place=place,
            )
        first = _value(slot, told.get("value"), place)
        canonical, others = told.get("canonical"), told.get("synonyms", ())
        if isinstance(others, str | Mapping) or not isinstance(others, Sequence):
            raise ParameterError(
                f"the synonyms of a value of {slot.what} are no list",
                got=repr(others),
                allowed="{value: New York, synonyms: [NYC]}",
                place=place,
            )
        names = [first, *(_value(slot, own, place) for own in others)]
        # The weight is that of the thing, whatever it is called.
        weights += [weight / len(names)] * len(names)
        texts += names
        meant += [None if canonical is None else str(canonical)] + [first] * (len(names) - 1)
    if not any(meant):
        return ValuePool.of(texts, weights)
    return ValuePool.of(texts, weights, meant)


def _value(slot: Slot, value: object, place: Place) -> str:
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text.strip() or text != text.strip():
        raise ParameterError(
            f"{slot.what} holds a value that is empty or has blanks round it",
            got=repr(value),
            place=place,
        )
    return text


def _dates(slot: Slot, locale: str) -> Source:
    given = slot.said["date_range"]
    try:
        is_list = isinstance(given, Sequence) and not isinstance(given, str)
        days = [date.fromisoformat(str(day)) for day in given] if is_list else []
    except ValueError:
        days = []
    if len(days) != 2 or days[0] > days[1]:
        raise slot.fault(
            f"the dates of {slot.what} are not a range",
            allowed="{date_range: [2025-01-01, 2025-12-31], format: '%d %B %Y'}",
        )
    first, last = days
    form = str(slot.said.get("format", "%Y-%m-%d"))
    write = date_writer(form, locale, what=slot.what, place=slot.place)

    def make(i: int) -> tuple[str, str | None]:
        day = first + timedelta(days=i)
        text, plain = write(day), day.isoformat()
        return text, None if text == plain else plain

    return _pooled((last - first).days + 1, make)


def _numbers(slot: Slot) -> Source:
    said = slot.said
    decimals = 0
    try:
        decimals = int(str(said.get("decimals", 0)))
        low, high = (Decimal(str(bound)) for bound in said["number"])
        unit = Decimal(1).scaleb(-decimals)
        first, last = low / unit, high / unit
        is_range = low <= high and first == int(first) and last == int(last)
    except (TypeError, ValueError, OverflowError, InvalidOperation):
        is_range = False
    scale = said.get("scale", "linear")
    if not is_range or scale not in ("linear", "log") or (scale == "log" and low <= 0):
        raise slot.fault(
            f"the numbers of {slot.what} are not a range",
            allowed="{number: [5, 900], decimals: 2}; bounds with no more decimals; "
            "scale: linear, or log above 0",
        )
    form = str(said.get("format", "{:." + str(decimals) + "f}"))
    write = number_writer(form, str(said.get("marks", ",.")), what=slot.what, place=slot.place)
    start, power = int(first), 10**decimals

    def make(i: int) -> tuple[str, str | None]:
        number = (start + i) / power
        text, plain = write(number if decimals else start + i), f"{number:.{decimals}f}"
        return text, None if text == plain else plain

    size = int(last) - start + 1
    if scale == "linear":
        return _pooled(size, make)
    stretch = log((int(last) + 1) / start)

    def place(u: float) -> int:
        return min(int(start * exp(u * stretch)) - start, size - 1)

    def bucket(i: int) -> int:
        return min(int(MOST_BUCKETS * log((start + i) / start) / stretch), MOST_BUCKETS - 1)

    return Ranked(size, make, place, bucket)


def _pooled(size: int, make: Callable[[int], tuple[str, str | None]]) -> Source:
    if size > _MOST_LISTED:
        return Ranked(size, make)
    made = [make(i) for i in range(size)]
    meant = [own for _, own in made]
    return ValuePool.of([text for text, _ in made], None, meant)
