"""A grammar: labels with templates, rules, slots and tables, read from settings and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from twinset.core.errors import ParameterError, Place, did_you_mean

from .slots import Slot, read_slot
from .syntax import Call, Choice, GrammarRule, Literal, Maybe, Nodes, SlotUse, parse, slots_of, walk
from .tables import BoundTable, read_table

RESERVED_COLUMNS = ("text", "spans", "label", "template", "part", "record_id", "span_facts")
PARTS = ("train", "holdout")
# Weights lie within 1e-6 and 1e6 and have nine decimals, so that fractions of them have a common
# denominator and a round of the apportionment is finite.
_MAX_WEIGHT = 1_000_000
_DENOMINATOR = 10**9  # weights are multiples of 1 / this

Mark = tuple[str, str | None, str | None]
"""Label, role and group of a span."""


@dataclass(frozen=True)
class Template:
    """A template: its name (unique in the grammar), label, nodes, and weight within its label.

    `keys` are further labels of its texts, e.g. sentiment; `place` is its path in the settings.
    """

    name: str
    label: str
    nodes: Nodes
    weight: Fraction
    keys: Mapping[str, str]
    place: Place

    @property
    def subject(self) -> str:
        """Its name in errors."""
        return f"the template '{self.name}'"


@dataclass(frozen=True)
class Grammar:
    """Templates in the order of their labels, weights of the labels, and rules, slots, tables by name."""

    templates: tuple[Template, ...]
    shares: Mapping[str, Fraction]
    rules: Mapping[str, GrammarRule]
    slots: Mapping[str, Slot]
    tables: Mapping[str, BoundTable]
    keys: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels, in order."""
        return tuple(self.shares)

    def uses(self, template: Template) -> Iterator[SlotUse]:
        """Yield every use of a slot in a template and in the rules that it calls."""
        return slots_of(template.nodes, self.rules)

    def binding(self, use: SlotUse) -> tuple[str, str] | None:
        """Return the table and column that a use reads, or None for a slot with values of its own."""
        if use.name in self.tables:
            return use.name, use.column
        slot = self.slots[use.name]
        return slot.table_and_column if slot.kind == "column" else None

    def bindings(self) -> tuple[tuple[str, int], ...]:
        """Return the records that texts report, as (table, number), sorted."""
        found = set()
        for template in self.templates:
            for use in self.uses(template):
                bound = self.binding(use)
                if bound is not None and self.tables[bound[0]].names_records:
                    found.add((bound[0], use.number))
        return tuple(sorted(found))

    def mark_of(self, use: SlotUse) -> Mark | None:
        """Return the kind of span that a use becomes, or None where it is not marked."""
        if use.name in self.tables:
            label = self.tables[use.name].label_of(use.column)
            return None if label is None else (label, None, None)
        slot = self.slots[use.name]
        return None if slot.label is None else (slot.label, slot.role, slot.group)

    def marks(self) -> tuple[Mark, ...]:
        """Return every kind of span that texts can have, sorted by label."""
        found: set[Mark] = {
            (rule.label, None, None) for rule in self.rules.values() if rule.label is not None
        }
        for template in self.templates:
            found |= {mark for use in self.uses(template) if (mark := self.mark_of(use))}
        return tuple(sorted(found, key=lambda mark: tuple(part or "" for part in mark)))

    def used(self) -> tuple[str, ...]:
        """Return the names of all used slots and tables, sorted."""
        return tuple(sorted({use.name for t in self.templates for use in self.uses(t)}))


def read_grammar(
    templates: Mapping[str, Any],
    *,
    rules: Mapping[str, Any],
    slots: Mapping[str, Any],
    tables: Mapping[str, Any],
    shares: Mapping[str, float] | None,
) -> Grammar:
    """Return the grammar that settings describe; `check_grammar` checks it as a whole."""
    if not templates:
        raise ParameterError("'templates' holds no label", place=("templates",))
    own_slots = {str(name): read_slot(str(name), source) for name, source in slots.items()}
    own_tables = {str(name): read_table(str(name), source) for name, source in tables.items()}
    for name in own_tables:
        if name in own_slots:
            raise ParameterError(
                f"'{name}' is a slot and a table", todo="rename one", place=("tables", name)
            )
    own_rules = {str(name): _rule(str(name), source) for name, source in rules.items()}
    found: list[Template] = []
    weights: dict[str, Fraction] = {}
    for label, source in templates.items():
        own_templates, weights[str(label)] = _label_templates(str(label), source)
        found += own_templates
    return Grammar(
        templates=tuple(found),
        shares=weights if shares is None else _shares(shares, weights),
        rules=own_rules,
        slots=own_slots,
        tables=own_tables,
        keys=_keys(found),
    )


def _label_templates(label: str, source: object) -> tuple[list[Template], Fraction]:
    """Return the templates of a label, and its share."""
    place: Place = ("templates", label)
    settings = source if isinstance(source, Mapping) else {"templates": source}
    texts = settings.get("templates")
    if isinstance(texts, str | Mapping) or not isinstance(texts, Sequence) or not texts:
        raise ParameterError(
            f"the label '{label}' has no list of templates",
            allowed=f"{{{label}: [TEXT, ...]}} or {{{label}: {{templates: [TEXT, ...]}}}}",
            place=place,
        )
    keys = {key: value for key, value in settings.items() if key not in ("templates", "share")}
    at = (*place, "templates") if isinstance(source, Mapping) else place
    share = _weight(settings.get("share", 1), f"the share of '{label}'", (*place, "share"))
    return [_template(label, k, own, keys, (*at, k)) for k, own in enumerate(texts)], share


def _template(
    label: str, k: int, source: object, label_keys: Mapping[str, Any], place: Place
) -> Template:
    settings = source if isinstance(source, Mapping) else {"text": source}
    name = str(settings.get("name", f"{label}-{k + 1}"))
    subject = f"the template '{name}'"
    nodes = _parsed(settings.get("text"), subject, place)
    weight = _weight(settings.get("weight", 1), f"the weight of {subject}", place)
    own = {key: v for key, v in settings.items() if key not in ("text", "weight", "name")}
    keys = {str(key): _key(key, v, subject, place) for key, v in {**label_keys, **own}.items()}
    return Template(name, label, nodes, weight, keys, place)


def _parsed(text: object, subject: str, place: Place) -> Nodes:
    if not isinstance(text, str):
        raise ParameterError(
            f"{subject} is no text", got=repr(text), todo="put it in quotes", place=place
        )
    if not text.strip():
        raise ParameterError(f"{subject} is empty", place=place)
    return parse(text, subject=subject, place=place)


def _rule(name: str, source: object) -> GrammarRule:
    place: Place = ("rules", name)
    settings = source if isinstance(source, Mapping) else {"any_of": source}
    texts, label = settings.get("any_of"), settings.get("label")
    if not name.isidentifier():
        raise ParameterError(
            f"'{name}' cannot be the name of a rule", allowed="letters, digits and _", place=place
        )
    unknown = [key for key in settings if key not in ("any_of", "label")]
    if unknown or isinstance(texts, str | Mapping) or not isinstance(texts, Sequence) or not texts:
        raise ParameterError(
            f"the rule '{name}' has no list of texts",
            got=f"the setting '{unknown[0]}'" if unknown else repr(texts),
            allowed=f"{{{name}: [TEXT, ...]}} or {{{name}: {{label: NAME, any_of: [TEXT, ...]}}}}",
            place=place,
        )
    if not isinstance(label, str | None) or label == "":
        raise ParameterError(f"the label of the rule '{name}' is no text", place=place)
    at = (*place, "any_of") if isinstance(source, Mapping) else place
    options, weights = [], []
    for k, entry in enumerate(texts):
        subject = f"text {k + 1} of the rule '{name}'"
        own = entry if isinstance(entry, Mapping) else {"text": entry}
        text = own.get("text")
        # The empty text is allowed: such a rule is an optional part with a name.
        options.append(() if text == "" else _parsed(text, subject, (*at, k)))
        weights.append(float(_weight(own.get("weight", 1), f"the weight of {subject}", (*at, k))))
    return GrammarRule(Choice(tuple(options), tuple(weights)), label, place)


def _weight(value: object, subject: str, place: Place) -> Fraction:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else 0
    if not number > 0:
        raise ParameterError(
            f"{subject} is not above 0", got=repr(value), allowed="a number above 0", place=place
        )
    if not 1 / _MAX_WEIGHT <= number <= _MAX_WEIGHT:
        raise ParameterError(
            f"{subject} is out of its range",
            got=repr(value),
            allowed=f"{1 / _MAX_WEIGHT:f} to {_MAX_WEIGHT:,}",
            place=place,
        )
    return Fraction(round(number * _DENOMINATOR), _DENOMINATOR)


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


def _key(key: object, value: object, subject: str, place: Place) -> str:
    if key in RESERVED_COLUMNS or not isinstance(key, str):
        raise ParameterError(
            f"{subject} has a label that cannot be called '{key}'",
            allowed=f"another name than {', '.join(RESERVED_COLUMNS)}",
            place=place,
        )
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float) or value == "":
        raise ParameterError(f"the '{key}' of {subject} is no text", got=repr(value), place=place)
    return str(value)


def _keys(templates: Sequence[Template]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(key for template in templates for key in template.keys))
    seen: set[str] = set()
    for template in templates:
        missing = [name for name in names if name not in template.keys]
        if missing:
            raise ParameterError(
                f"{template.subject} does not say its '{missing[0]}', which other templates say",
                todo="say it for each class or template, or leave it out everywhere",
                place=template.place,
            )
        if template.name in seen:
            raise ParameterError(
                f"two templates are called '{template.name}'", place=template.place
            )
        seen.add(template.name)
    return names


def check_grammar(grammar: Grammar, *, max_depth: int, nested: bool) -> None:
    """Check that the parts of a grammar fit together: names exist, rules end, spans do not overlap."""
    bodies: list[tuple[str, Place, Nodes]] = [
        (template.subject, template.place, template.nodes) for template in grammar.templates
    ]
    bodies += [
        (f"the rule '{name}'", rule.place, (rule.choice,)) for name, rule in grammar.rules.items()
    ]
    for subject, place, nodes in bodies:
        _check_names(subject, place, nodes, grammar)
    for name, rule in grammar.rules.items():
        _check_end(name, grammar.rules, (), max_depth)
        if rule.label is not None and not nested:
            _check_nesting(name, rule, grammar)
    for template in grammar.templates:
        if _can_be_empty(template.nodes, grammar.rules):
            raise ParameterError(
                f"{template.subject} can become an empty text",
                todo="give it a part that always comes",
                place=template.place,
            )
    _check_slots(grammar)


def _can_be_empty(nodes: Nodes, rules: Mapping[str, GrammarRule]) -> bool:
    for node in nodes:
        if isinstance(node, Literal):
            is_optional = not node.text.strip()
        elif isinstance(node, Choice):
            is_optional = any(_can_be_empty(option, rules) for option in node.options)
        elif isinstance(node, Call):
            is_optional = _can_be_empty((rules[node.rule].choice,), rules)
        else:
            is_optional = isinstance(node, Maybe)
        if not is_optional:
            return False
    return True


def _check_names(subject: str, place: Place, nodes: Nodes, grammar: Grammar) -> None:
    known = [*grammar.slots, *(f"{table}.COLUMN" for table in grammar.tables)]
    for node in walk(nodes):
        if isinstance(node, Call) and node.rule not in grammar.rules:
            raise ParameterError(
                f"{subject} calls an unknown rule",
                got=f"<{node.rule}>",
                allowed=", ".join(f"<{name}>" for name in grammar.rules) or "none: there are none",
                todo=did_you_mean(node.rule, grammar.rules)
                or f"write \\<{node.rule}> for the signs themselves",
                place=place,
            )
        if not isinstance(node, SlotUse):
            continue
        table = grammar.tables.get(node.name)
        if table is not None:
            if not table.is_pending:
                table.check_column(node.column, subject, place)
        elif node.name not in grammar.slots or node.column:
            raise ParameterError(
                f"{subject} names an unknown slot",
                got=str(node),
                allowed=", ".join(sorted(known)),
                todo=did_you_mean(node.name, known),
                place=place,
            )


def _check_end(
    name: str, rules: Mapping[str, GrammarRule], above: tuple[str, ...], max_depth: int
) -> None:
    chain = (*above, name)
    place = rules[chain[0]].place
    if name in above:
        raise ParameterError(
            f"the rule '{name}' calls itself and never ends",
            got=" -> ".join(chain[chain.index(name) :]),
            todo="let rules call only rules that do not lead back to them",
            place=place,
        )
    if len(chain) > max_depth:
        raise ParameterError(
            f"the rules call each other {len(chain)} deep",
            got=" -> ".join(chain),
            allowed=f"'max_depth', which is {max_depth}",
            todo="write some of them out, or raise 'max_depth'",
            place=place,
        )
    for node in walk((rules[name].choice,)):
        if isinstance(node, Call):
            _check_end(node.rule, rules, chain, max_depth)


def _check_nesting(name: str, rule: GrammarRule, grammar: Grammar) -> None:
    inner = _first_label((rule.choice,), grammar)
    if inner is not None:
        raise ParameterError(
            f"spans overlap: the rule '{name}' is marked '{rule.label}' and holds {inner}",
            allowed="one of them with label: null, or nested: true for both layers",
            place=rule.place,
        )


def _first_label(nodes: Nodes, grammar: Grammar) -> str | None:
    for node in walk(nodes):
        if isinstance(node, SlotUse) and (mark := grammar.mark_of(node)) is not None:
            return f"{node}, which is marked '{mark[0]}'"
        if isinstance(node, Call):
            called = grammar.rules[node.rule]
            if called.label is not None:
                return f"<{node.rule}>, which is marked '{called.label}'"
            inner = _first_label((called.choice,), grammar)
            if inner is not None:
                return inner
    return None


def _check_slots(grammar: Grammar) -> None:
    own = [name for name, slot in grammar.slots.items() if slot.kind not in ("like", "column")]
    for slot in grammar.slots.values():
        for other in slot.distinct_from:
            if other not in grammar.slots:
                raise ParameterError(
                    f"{slot.subject} is to differ from an unknown slot '{other}'",
                    allowed=", ".join(grammar.slots),
                    todo=did_you_mean(other, grammar.slots),
                    place=(*slot.place, "distinct_from"),
                )
        if slot.kind == "like" and slot.settings["like"] not in own:
            raise ParameterError(
                f"{slot.subject} is like a slot that has no values of its own",
                got=str(slot.settings["like"]),
                allowed=", ".join(own),
                todo=did_you_mean(str(slot.settings["like"]), own),
                place=(*slot.place, "like"),
            )
        if slot.kind == "column":
            table, column = slot.table_and_column
            if table not in grammar.tables or not column:
                raise ParameterError(
                    f"{slot.subject} names no column of a table",
                    got=str(slot.settings["column"]),
                    allowed=", ".join(f"{name}.COLUMN" for name in grammar.tables) or "no table",
                    place=(*slot.place, "column"),
                )
            if not grammar.tables[table].is_pending:
                grammar.tables[table].check_column(column, slot.subject, slot.place)
