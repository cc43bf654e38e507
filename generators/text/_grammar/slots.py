"""Slots: their settings, read and checked, and the sources of their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from math import exp, log
from typing import Any

from twinset.core.errors import ParameterError, Place, did_you_mean

from .faker_pool import faker_values
from .formats import date_writer, mask_pattern, number_writer, read_pattern
from .values import MAX_BUCKETS, ComputedValues, Source, ValuePool

# Calls that fill the pool of a Faker slot without `pool`. Of en_US, 4,000 calls give 3,800 to 4,000
# distinct names, cities, companies or addresses in 40 to 120 ms; texts combine the pools of their slots.
CALLS = 4_000
_MAX_CALLS = 1_000_000  # of Faker: a pool of 25 to 120 seconds, held in memory
_MAX_LISTED = 5_000  # numbers or dates that are written once and looked up; more are computed

NAME = {"type": "string", "minLength": 1}
LABEL = {"type": ["string", "null"], "minLength": 1}
_PAIR = {"type": "array", "minItems": 2, "maxItems": 2}

# Settings of slots: JSON Schema of each. A source stands alone; `SHARED` fit every source.
SOURCES: Mapping[str, Mapping[str, Any]] = {
    "values": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/value"}},
    "lexicon": {"type": "string", "description": "File with a value a line, UTF-8."},
    "faker": {"type": "string", "description": "Provider of Faker; further keys are arguments."},
    "date_range": {**_PAIR, "items": {"type": "string", "format": "date"}},
    "number": {**_PAIR, "items": {"type": "number"}},
    "pattern": {"type": "string", "examples": ["[A-Z]{2}-\\d{6}"]},
    "mask": {"type": "string", "examples": ["??-####"]},
    "like": NAME,
    "column": {"type": "string", "pattern": r"^\w+\..+$", "examples": ["customer.name"]},
}
SHARED: Mapping[str, Mapping[str, Any]] = {
    "label": LABEL,
    "role": {"type": ["string", "integer"]},
    "group": {"type": ["string", "integer"]},
    "unique": {"type": "boolean"},
    "distinct_from": {"anyOf": [NAME, {"type": "array", "items": NAME}]},
    "locale": NAME,
}
# Settings of some sources: JSON Schema, and the sources that have them.
OWN: Mapping[str, tuple[Mapping[str, Any], tuple[str, ...]]] = {
    "format": ({"type": "string"}, ("date_range", "number", "column")),
    "marks": ({"type": "string", "minLength": 2, "maxLength": 2}, ("number", "column")),
    "decimals": ({"type": "integer", "minimum": 0}, ("number",)),
    "scale": ({"enum": ["linear", "log"]}, ("number",)),
    "letters": (NAME, ("mask",)),
    "pool": ({"type": "integer", "minimum": 1}, ("faker",)),
}
_ALLOWED = "a list of values, {faker: name}, {date_range: [2025-01-01, 2025-12-31]}, " + ", ".join(
    f"{{{name}: ...}}" for name in ("number", "pattern", "mask", "lexicon", "column", "like")
)
_DEFAULT_MASKS = {"numerify": "%#", "bothify": "## ??", "lexify": "????"}  # Faker's own
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Slot:
    """Settings of a slot."""

    # Its name, and one of `SOURCES`
    name: str
    kind: str
    settings: Mapping[str, Any]  # All its settings
    label: str | None  # Label of its spans; None: they are not marked
    # Role of the value in the text, e.g. origin; and the group it belongs to
    role: str | None = None
    group: str | None = None
    unique: bool = False  # Whether values do not repeat in a set
    distinct_from: tuple[str, ...] = ()  # Slots that have another value in the same text
    # Paths of the slot and of its list of values in the settings
    place: Place = ()
    list_place: Place = ()

    @property
    def subject(self) -> str:
        """Its name in errors."""
        return f"the slot '{self.name}'"

    @property
    def table_and_column(self) -> tuple[str, str]:
        """Table and column that a slot of kind column reads."""
        table, _, column = str(self.settings["column"]).partition(".")
        return table, column

    def fault(self, problem: str, **facts: str) -> ParameterError:
        """Return an error at the place of the slot."""
        return ParameterError(problem, **facts, place=self.place)


def read_slot(name: str, source: object) -> Slot:
    """Return the slot that settings describe; providers of Faker are not looked up."""
    place: Place = ("slots", name)
    if not name.isidentifier():
        raise ParameterError(
            f"'{name}' cannot be the name of a slot", allowed="letters, digits and _", place=place
        )
    settings = source if isinstance(source, Mapping) else {"values": source}
    kinds = [kind for kind in SOURCES if kind in settings]
    if "lexicon" in settings:
        raise ParameterError(
            f"the slot '{name}' names a file, and files are opened for recipes only",
            got=str(settings["lexicon"]),
            todo="give its values as a list",
            place=place,
        )
    if len(kinds) != 1:
        raise ParameterError(f"the slot '{name}' has no one source", allowed=_ALLOWED, place=place)
    kind = kinds[0]
    known = (kind, *SHARED, *(key for key, (_, sources) in OWN.items() if kind in sources))
    for key in settings if kind != "faker" else ():
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
        settings=settings,
        label=_text_or_none(settings, "label", name, place),
        role=_text_or_none(settings, "role", None, place),
        group=_text_or_none(settings, "group", None, place),
        unique=bool(settings.get("unique", False)),
        distinct_from=_names(settings.get("distinct_from", ()), name, place),
        place=place,
        list_place=(*place, "values") if isinstance(source, Mapping) else place,
    )
    if kind not in ("faker", "like", "column"):
        open_slot(slot, "en_US", 0)  # reports a fault before any work
    return slot


def _text_or_none(
    settings: Mapping[str, Any], key: str, default: str | None, place: Place
) -> str | None:
    value = settings.get(key, default)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
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


def open_slot(slot: Slot, locale: str, seed: int, calls: int = CALLS) -> Source:
    """Return the source of a slot of another kind than like and column."""
    own_locale = str(slot.settings.get("locale", locale))
    if slot.kind == "values":
        return _listed(slot)
    if slot.kind == "date_range":
        return _dates(slot, own_locale)
    if slot.kind == "number":
        return _numbers(slot)
    if slot.kind == "pattern":
        return _codes(slot, str(slot.settings["pattern"]))
    if slot.kind == "mask":
        return _masked(slot, str(slot.settings["mask"]))
    return _faker(slot, own_locale, seed, calls)


def _faker(slot: Slot, locale: str, seed: int, calls: int) -> Source:
    provider = str(slot.settings["faker"])
    arguments = {
        key: value for key, value in slot.settings.items() if key not in ("faker", "pool", *SHARED)
    }
    mask = arguments.get("text", _DEFAULT_MASKS.get(provider))
    if provider in _DEFAULT_MASKS and mask and set(arguments) <= {"text", "letters"}:
        return _masked(slot, str(mask))  # every code is possible, not those of a pool alone
    pool = slot.settings.get("pool", calls)
    if not isinstance(pool, int) or not 1 <= pool <= _MAX_CALLS:
        raise slot.fault(
            f"the pool of {slot.subject} is out of its range",
            got=repr(pool),
            allowed=f"1 to {_MAX_CALLS:,} calls of Faker",
        )
    values = faker_values(
        provider,
        arguments,
        locale=locale,
        calls=pool if calls == CALLS else min(pool, calls),
        seed=seed,
        subject=slot.subject,
        place=slot.place,
    )
    return ValuePool.from_texts(values)


def _codes(slot: Slot, pattern: str) -> ComputedValues:
    return ComputedValues(*read_pattern(pattern, subject=slot.subject, place=slot.place))


def _masked(slot: Slot, mask: str) -> ComputedValues:
    return _codes(slot, mask_pattern(mask, str(slot.settings.get("letters", _LETTERS))))


def _listed(slot: Slot) -> ValuePool:
    values = slot.settings["values"]
    if isinstance(values, str | Mapping) or not isinstance(values, Sequence) or not values:
        raise slot.fault(f"{slot.subject} has no values", allowed=_ALLOWED)
    texts: list[str] = []
    weights: list[float] = []
    canonical: list[str | None] = []
    for k, item in enumerate(values):
        names, weight, own = _value(slot, item, (*slot.list_place, k))
        # The weight is that of the thing, and its names share it.
        weights += [weight / len(names)] * len(names)
        texts += names
        canonical += [own] + [names[0]] * (len(names) - 1)
    return ValuePool.from_texts(texts, weights, canonical if any(canonical) else None)


def _value(slot: Slot, item: object, place: Place) -> tuple[list[str], float, str | None]:
    """Return the names of a listed value, its weight, and the canonical value of the first name."""
    settings = item if isinstance(item, Mapping) else {"value": item}
    unknown = set(settings) - {"value", "weight", "synonyms", "canonical"}
    weight = settings.get("weight", 1)
    if unknown or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
        raise ParameterError(
            f"{slot.subject} holds a value with settings that cannot be used",
            got=", ".join(sorted(map(str, unknown))) or f"the weight {weight!r}",
            allowed="{value: New York, synonyms: [NYC], weight: 2}, weights above 0",
            place=place,
        )
    first = _value_text(slot, settings.get("value"), place)
    canonical, others = settings.get("canonical"), settings.get("synonyms", ())
    if isinstance(others, str | Mapping) or not isinstance(others, Sequence):
        raise ParameterError(
            f"the synonyms of a value of {slot.subject} are no list",
            got=repr(others),
            allowed="{value: New York, synonyms: [NYC]}",
            place=place,
        )
    names = [first, *(_value_text(slot, own, place) for own in others)]
    return names, weight, None if canonical is None else str(canonical)


def _value_text(slot: Slot, value: object, place: Place) -> str:
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text.strip() or text != text.strip():
        raise ParameterError(
            f"{slot.subject} holds a value that is empty or has blanks round it",
            got=repr(value),
            place=place,
        )
    return text


def _dates(slot: Slot, locale: str) -> Source:
    given = slot.settings["date_range"]
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
    form = str(slot.settings.get("format", "%Y-%m-%d"))
    write = date_writer(form, locale, subject=slot.subject, place=slot.place)

    def make(i: int) -> tuple[str, str | None]:
        day = first + timedelta(days=i)
        return _with_canonical(write(day), day.isoformat())

    return _listed_or_computed((last - first).days + 1, make)


def _numbers(slot: Slot) -> Source:
    settings = slot.settings
    decimals = 0
    try:
        decimals = int(str(settings.get("decimals", 0)))
        low, high = (Decimal(str(bound)) for bound in settings["number"])
        unit = Decimal(1).scaleb(-decimals)
        first, last = low / unit, high / unit
        is_range = low <= high and first == int(first) and last == int(last)
    except (TypeError, ValueError, OverflowError, InvalidOperation):
        is_range = False
    scale = settings.get("scale", "linear")
    if not is_range or scale not in ("linear", "log") or (scale == "log" and low <= 0):
        raise slot.fault(
            f"the numbers of {slot.subject} are not a range",
            allowed="{number: [5, 900], decimals: 2}; bounds with no more decimals; "
            "scale: linear, or log above 0",
        )
    form = str(settings.get("format", "{:." + str(decimals) + "f}"))
    marks = str(settings.get("marks", ",."))
    write = number_writer(form, marks, subject=slot.subject, place=slot.place)
    start, power = int(first), 10**decimals

    def make(i: int) -> tuple[str, str | None]:
        number = (start + i) / power
        return _with_canonical(write(number if decimals else start + i), f"{number:.{decimals}f}")

    size = int(last) - start + 1
    if scale == "linear":
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
