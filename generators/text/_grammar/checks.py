"""What must hold between the parts of a grammar: names that exist, rules that end, spans that fit."""

from __future__ import annotations

from collections.abc import Mapping

from twinset.core.errors import ParameterError, did_you_mean

from .grammar import Grammar
from .nodes import Call, Choice, GrammarRule, Literal, Maybe, Nodes, Place, SlotUse, walk


def check_grammar(grammar: Grammar, *, max_depth: int, nested: bool) -> None:
    """Raise for a grammar whose parts do not fit together.

    Parameters
    ----------
    grammar : Grammar
        Read, but not checked as a whole.
    max_depth : int
        How many rules may call each other in a row.
    nested : bool
        Whether a marked rule may hold marked slots.

    Raises
    ------
    ParameterError
        A slot, a rule, a table or a column is unknown; rules form a circle or a chain that is too long;
        spans would overlap.
    """
    bodies: list[tuple[str, Place, Nodes]] = [
        (template.what, template.place, template.nodes) for template in grammar.templates
    ]
    bodies += [
        (f"the rule '{name}'", rule.place, (rule.choice,)) for name, rule in grammar.rules.items()
    ]
    for what, place, nodes in bodies:
        _check_names(what, place, nodes, grammar)
    for name, rule in grammar.rules.items():
        _check_end(name, grammar.rules, (), max_depth)
        if rule.label is not None and not nested:
            _check_apart(name, rule, grammar)
    for template in grammar.templates:
        if _can_be_empty(template.nodes, grammar.rules):
            raise ParameterError(
                f"{template.what} can become an empty text",
                todo="give it a part that always comes",
                place=template.place,
            )
    _check_slots(grammar)


def _can_be_empty(nodes: Nodes, rules: Mapping[str, GrammarRule]) -> bool:
    for node in nodes:
        if isinstance(node, Literal):
            may_lack = not node.text.strip()
        elif isinstance(node, Choice):
            may_lack = any(_can_be_empty(option, rules) for option in node.options)
        elif isinstance(node, Call):
            may_lack = _can_be_empty((rules[node.rule].choice,), rules)
        else:
            may_lack = isinstance(node, Maybe)
        if not may_lack:
            return False
    return True


def _check_names(what: str, place: Place, nodes: Nodes, grammar: Grammar) -> None:
    known = [*grammar.slots, *(f"{table}.COLUMN" for table in grammar.tables)]
    for node in walk(nodes):
        if isinstance(node, Call) and node.rule not in grammar.rules:
            raise ParameterError(
                f"{what} calls an unknown rule",
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
                table.check_column(node.column, what, place)
        elif node.name not in grammar.slots or node.column:
            raise ParameterError(
                f"{what} names an unknown slot",
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


def _check_apart(name: str, rule: GrammarRule, grammar: Grammar) -> None:
    """Refuse a mark inside a mark."""
    inner = _first_mark((rule.choice,), grammar)
    if inner is not None:
        raise ParameterError(
            f"spans overlap: the rule '{name}' is marked '{rule.label}' and holds {inner}",
            allowed="one of them with label: null, or nested: true for both layers",
            place=rule.place,
        )


def _first_mark(nodes: Nodes, grammar: Grammar) -> str | None:
    for node in walk(nodes):
        if isinstance(node, SlotUse) and _label(node, grammar) is not None:
            return f"{node}, which is marked '{_label(node, grammar)}'"
        if isinstance(node, Call):
            called = grammar.rules[node.rule]
            if called.label is not None:
                return f"<{node.rule}>, which is marked '{called.label}'"
            inner = _first_mark((called.choice,), grammar)
            if inner is not None:
                return inner
    return None


def _label(use: SlotUse, grammar: Grammar) -> str | None:
    if use.name in grammar.tables:
        return grammar.tables[use.name].label_of(use.column)
    return grammar.slots[use.name].label


def _check_slots(grammar: Grammar) -> None:
    own = [name for name, slot in grammar.slots.items() if slot.kind not in ("like", "column")]
    for slot in grammar.slots.values():
        for other in slot.distinct_from:
            if other not in grammar.slots:
                raise ParameterError(
                    f"{slot.what} is to differ from an unknown slot '{other}'",
                    allowed=", ".join(grammar.slots),
                    todo=did_you_mean(other, grammar.slots),
                    place=(*slot.place, "distinct_from"),
                )
        if slot.kind == "like" and slot.said["like"] not in own:
            raise ParameterError(
                f"{slot.what} is like a slot that has no values of its own",
                got=str(slot.said["like"]),
                allowed=", ".join(own),
                todo=did_you_mean(str(slot.said["like"]), own),
                place=(*slot.place, "like"),
            )
        if slot.kind == "column":
            table, _, column = str(slot.said["column"]).partition(".")
            if table not in grammar.tables or not column:
                raise ParameterError(
                    f"{slot.what} names no column of a table",
                    got=str(slot.said["column"]),
                    allowed=", ".join(f"{name}.COLUMN" for name in grammar.tables) or "no table",
                    place=(*slot.place, "column"),
                )
            if not grammar.tables[table].is_pending:
                grammar.tables[table].check_column(column, slot.what, slot.place)
