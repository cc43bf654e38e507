"""A grammar: classes of templates, rules, slots and tables, read from settings and checked as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from twinset.core.errors import ParameterError, did_you_mean

from .nodes import Choice, GrammarRule, Nodes, Place, SlotUse, slots_of
from .parse import parse
from .slot import Slot
from .slots import read_slot
from .tables import BoundTable, read_table

COLUMNS = ("text", "spans", "label", "template", "part", "record_id", "span_facts")
"""Columns that a grammar's own keys cannot be called by."""


_MOST = 1_000_000


@dataclass(frozen=True)
class Template:
    """One template.

    Parameters
    ----------
    name, label : str
        Its name, unique in the grammar; and the class of the texts it makes.
    nodes : tuple of Node
        What it is made of.
    weight : Fraction
        How often it comes, against the other templates of its class.
    keys : mapping of str to str
        Further labels of the texts, e.g. sentiment.
    place : tuple
        Where it stands in the settings.
    """

    name: str
    label: str
    nodes: Nodes
    weight: Fraction
    keys: Mapping[str, str]
    place: Place

    @property
    def what(self) -> str:
        """How it is called in errors."""
        return f"the template '{self.name}'"


@dataclass(frozen=True)
class Grammar:
    """All that texts are made from.

    Parameters
    ----------
    templates : tuple of Template
        In the order of the classes.
    shares : mapping of str to Fraction
        Class -> its weight.
    rules, slots, tables : mapping
        By name.
    keys : tuple of str
        Further labels of every text, e.g. sentiment.
    """

    templates: tuple[Template, ...]
    shares: Mapping[str, Fraction]
    rules: Mapping[str, GrammarRule]
    slots: Mapping[str, Slot]
    tables: Mapping[str, BoundTable]
    keys: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in order."""
        return tuple(self.shares)

    def uses(self, template: Template) -> Iterator[SlotUse]:
        """Yield every use of a slot in a template and in the rules that it calls."""
        return slots_of(template.nodes, self.rules)

    def used(self) -> tuple[str, ...]:
        """Return the slots and tables that texts can hold, sorted."""
        return tuple(sorted({use.name for t in self.templates for use in self.uses(t)}))


def read_grammar(
    templates: Mapping[str, Any],
    *,
    rules: Mapping[str, Any],
    slots: Mapping[str, Any],
    tables: Mapping[str, Any],
    shares: Mapping[str, float] | None,
) -> Grammar:
    """Return the grammar that settings spell.

    Raises
    ------
    ParameterError
        Something in it cannot be used; the sentence names it, and `place` says where it stands.
    """
    if not templates:
        raise ParameterError("'templates' holds no label", place=("templates",))
    own_slots = {str(name): read_slot(str(name), said) for name, said in slots.items()}
    own_tables = {str(name): read_table(str(name), said) for name, said in tables.items()}
    for name in own_tables:
        if name in own_slots:
            raise ParameterError(
                f"'{name}' is a slot and a table", todo="rename one", place=("tables", name)
            )
    own_rules = {str(name): _rule(str(name), said) for name, said in rules.items()}
    found: list[Template] = []
    weights: dict[str, Fraction] = {}
    for label, said in templates.items():
        whole = _Class.read(str(label), said)
        weights[str(label)] = whole.share
        found += whole.templates()
    return Grammar(
        templates=tuple(found),
        shares=weights if shares is None else _shares(shares, weights),
        rules=own_rules,
        slots=own_slots,
        tables=own_tables,
        keys=_keys(found),
    )


@dataclass(frozen=True)
class _Class:
    """One entry of `templates`: its templates, its share and the keys that all of them carry."""

    label: str
    texts: Sequence[Any]
    share: Fraction
    keys: Mapping[str, Any]
    place: Place

    @classmethod
    def read(cls, label: str, said: object) -> _Class:
        place: Place = ("templates", label)
        told = said if isinstance(said, Mapping) else {"templates": said}
        texts = told.get("templates")
        if isinstance(texts, str | Mapping) or not isinstance(texts, Sequence) or not texts:
            raise ParameterError(
                f"the label '{label}' has no list of templates",
                allowed=f"{{{label}: [TEXT, ...]}} or {{{label}: {{templates: [TEXT, ...]}}}}",
                place=place,
            )
        keys = {key: value for key, value in told.items() if key not in ("templates", "share")}
        at = (*place, "templates") if isinstance(said, Mapping) else place
        share = _weight(told.get("share", 1), f"the share of '{label}'", (*place, "share"))
        return cls(label, texts, share, keys, at)

    def templates(self) -> Iterator[Template]:
        for k, entry in enumerate(self.texts):
            yield self.template(entry, f"{self.label}-{k + 1}", (*self.place, k))

    def template(self, entry: object, name: str, place: Place) -> Template:
        told = entry if isinstance(entry, Mapping) else {"text": entry}
        name = str(told.get("name", name))
        what = f"the template '{name}'"
        nodes = _parsed(told.get("text"), what, place)
        weight = _weight(told.get("weight", 1), f"the weight of {what}", place)
        own = {key: v for key, v in told.items() if key not in ("text", "weight", "name")}
        keys = {str(key): _key(key, v, what, place) for key, v in {**self.keys, **own}.items()}
        return Template(name, self.label, nodes, weight, keys, place)


def _parsed(text: object, what: str, place: Place) -> Nodes:
    if not isinstance(text, str):
        raise ParameterError(
            f"{what} is no text", got=repr(text), todo="put it in quotes", place=place
        )
    if not text.strip():
        raise ParameterError(f"{what} is empty", place=place)
    return parse(text, what=what, place=place)


def _rule(name: str, said: object) -> GrammarRule:
    place: Place = ("rules", name)
    told = said if isinstance(said, Mapping) else {"any_of": said}
    ways, label = told.get("any_of"), told.get("label")
    if not name.isidentifier():
        raise ParameterError(
            f"'{name}' cannot be the name of a rule", allowed="letters, digits and _", place=place
        )
    unknown = [key for key in told if key not in ("any_of", "label")]
    if unknown or isinstance(ways, str | Mapping) or not isinstance(ways, Sequence) or not ways:
        raise ParameterError(
            f"the rule '{name}' has no list of texts",
            got=f"the setting '{unknown[0]}'" if unknown else repr(ways),
            allowed=f"{{{name}: [TEXT, ...]}} or {{{name}: {{label: NAME, any_of: [TEXT, ...]}}}}",
            place=place,
        )
    if not isinstance(label, str | None) or label == "":
        raise ParameterError(f"the label of the rule '{name}' is no text", place=place)
    at = (*place, "any_of") if isinstance(said, Mapping) else place
    options, weights = [], []
    for k, entry in enumerate(ways):
        what = f"text {k + 1} of the rule '{name}'"
        way = entry if isinstance(entry, Mapping) else {"text": entry}
        text = way.get("text")
        # A rule may give nothing: that is how an optional part with a name is written.
        options.append(() if text == "" else _parsed(text, what, (*at, k)))
        weights.append(float(_weight(way.get("weight", 1), f"the weight of {what}", (*at, k))))
    return GrammarRule(Choice(tuple(options), tuple(weights)), label, place)


def _weight(value: object, what: str, place: Place) -> Fraction:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else 0
    if not number > 0:
        raise ParameterError(
            f"{what} is not above 0", got=repr(value), allowed="a number above 0", place=place
        )
    if not 1 / _MOST <= number <= _MOST:
        raise ParameterError(
            f"{what} is out of its range",
            got=repr(value),
            allowed=f"{1 / _MOST:f} to {_MOST:,}",
            place=place,
        )
    # Nine decimals: any number of weights has one common denominator, and a round of turns an end.
    return Fraction(round(number * 10**9), 10**9)


def _shares(shares: Mapping[str, float], labels: Mapping[str, Fraction]) -> dict[str, Fraction]:
    for label in shares:
        if label not in labels:
            raise ParameterError(
                f"'shares' names the unknown label '{label}'",
                allowed=", ".join(labels),
                todo=did_you_mean(label, labels),
                place=("shares", label),
            )
    return {
        label: _weight(shares.get(label, 0), f"the share of '{label}'", ("shares",))
        for label in labels
    }


def _key(key: object, value: object, what: str, place: Place) -> str:
    if key in COLUMNS or not isinstance(key, str):
        raise ParameterError(
            f"{what} has a label that cannot be called '{key}'",
            allowed=f"another name than {', '.join(COLUMNS)}",
            place=place,
        )
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float) or value == "":
        raise ParameterError(f"the '{key}' of {what} is no text", got=repr(value), place=place)
    return str(value)


def _keys(templates: Sequence[Template]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(key for template in templates for key in template.keys))
    seen: set[str] = set()
    for template in templates:
        lacking = [name for name in names if name not in template.keys]
        if lacking:
            raise ParameterError(
                f"{template.what} does not say its '{lacking[0]}', which other templates say",
                todo="say it for each class or template, or leave it out everywhere",
                place=template.place,
            )
        if template.name in seen:
            raise ParameterError(
                f"two templates are called '{template.name}'", place=template.place
            )
        seen.add(template.name)
    return names
