"""A grammar: labels with templates, rules, slots and tables, read from settings and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from twinset.core.errors import ParameterError, Place, did_you_mean

from .settings import (
    GrammarSettings,
    LabelSettings,
    RuleSettings,
    TemplateSettings,
    place_in,
    read_settings,
    unknown_name,
)
from .slots import Slot
from .syntax import Call, Choice, GrammarRule, Literal, Maybe, Nodes, SlotUse, parse, slots_of, walk
from .tables import BoundTable

RESERVED_COLUMNS = ("text", "spans", "label", "template", "part", "record_id", "span_facts")
PARTS = ("train", "holdout")
_DENOMINATOR = 10**9  # weights are multiples of 1 / this, so that a round of them is finite

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
        return None if slot.label is None else (slot.label, slot.settings.role, slot.settings.group)

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


def read_grammar(given: Mapping[str, Any]) -> Grammar:
    """Return the grammar that settings describe; `check_grammar` checks it as a whole."""
    settings = read_settings(GrammarSettings, given)
    tables = {name: BoundTable.read(name, own) for name, own in settings.tables.items()}
    for name in tables:
        if name in settings.slots:
            raise ParameterError(
                f"'{name}' is a slot and a table", todo="rename one", place=("tables", name)
            )
    templates = [
        _template(label, k, text, own, place_in(given, ("templates", label, "templates", k)))
        for label, own in settings.templates.items()
        for k, text in enumerate(own.templates)
    ]
    shares = {label: own.share for label, own in settings.templates.items()}
    return Grammar(
        templates=tuple(templates),
        shares=_shares(settings.shares, shares),
        rules={name: _rule(name, own, given) for name, own in settings.rules.items()},
        slots={name: Slot.read(name, own) for name, own in settings.slots.items()},
        tables=tables,
        keys=_keys(templates),
    )


def _template(
    label: str, k: int, settings: TemplateSettings, of_label: LabelSettings, place: Place
) -> Template:
    name = settings.name or f"{label}-{k + 1}"
    subject = f"the template '{name}'"
    nodes = _parsed(settings.text, subject, place)
    keys = (of_label.model_extra or {}) | (settings.model_extra or {})
    own = {key: _key(key, value, subject, place) for key, value in keys.items()}
    return Template(name, label, nodes, _fraction(settings.weight), own, place)


def _parsed(text: str, subject: str, place: Place) -> Nodes:
    if not text.strip():
        raise ParameterError(f"{subject} is empty", place=place)
    return parse(text, subject=subject, place=place)


def _rule(name: str, settings: RuleSettings, given: Mapping[str, Any]) -> GrammarRule:
    options: list[Nodes] = []
    for k, entry in enumerate(settings.any_of):
        subject = f"text {k + 1} of the rule '{name}'"
        place = place_in(given, ("rules", name, "any_of", k))
        # The empty text is allowed: such a rule is an optional part with a name.
        options.append(_parsed(entry.text, subject, place) if entry.text else ())
    weights = tuple(float(_fraction(entry.weight)) for entry in settings.any_of)
    return GrammarRule(Choice(tuple(options), weights), settings.label, ("rules", name))


def _fraction(weight: float) -> Fraction:
    return Fraction(round(weight * _DENOMINATOR), _DENOMINATOR)


def _shares(
    shares: Mapping[str, float] | None, by_label: Mapping[str, float]
) -> dict[str, Fraction]:
    given = by_label if shares is None else shares
    for label in given:
        if label not in by_label:
            problem = f"'shares' names the unknown label '{label}'"
            raise unknown_name(problem, label, by_label, ("shares", label))
    for label in by_label:
        if label not in given:
            problem = f"'shares' has no share of the label '{label}'"
            raise ParameterError(problem, allowed=", ".join(by_label), place=("shares",))
    return {label: _fraction(given[label]) for label in by_label}


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
            if table.rows is not None:
                table.check_column(node.column, subject, place)
        elif node.name not in grammar.slots or node.column:
            problem = f"{subject} names an unknown slot"
            raise unknown_name(problem, node.name, sorted(known), place, got=str(node))


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
        for other in slot.settings.distinct_from:
            if other not in grammar.slots:
                problem = f"{slot.subject} is to differ from an unknown slot '{other}'"
                raise unknown_name(problem, other, grammar.slots, (*slot.place, "distinct_from"))
        like = str(slot.settings.like)
        if slot.kind == "like" and like not in own:
            problem = f"{slot.subject} is like a slot that has no values of its own"
            raise unknown_name(problem, like, own, (*slot.place, "like"), got=like)
        if slot.kind == "column":
            table, column = slot.table_and_column
            if table not in grammar.tables or not column:
                raise ParameterError(
                    f"{slot.subject} names no column of a table",
                    got=str(slot.settings.column),
                    allowed=", ".join(f"{name}.COLUMN" for name in grammar.tables) or "no table",
                    place=(*slot.place, "column"),
                )
            if grammar.tables[table].rows is not None:
                grammar.tables[table].check_column(column, slot.subject, slot.place)
