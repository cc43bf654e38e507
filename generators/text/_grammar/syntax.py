"""The syntax of templates: ``{slot}``, ``[optional ?0.3]``, ``(one|other *2)``, ``<rule>``, escapes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from twinset.core.errors import ParameterError, Place

CHANGES = ("upper", "lower", "capital")
_SLOT = re.compile(r"(\w+)(?:#(\d+))?(?:\.([\w -]+))?(?:\|(\w+))?")
_RULE = re.compile(r"<([^\W\d]\w*)>")
_WEIGHT = re.compile(r"\s*\*\s*([0-9]+(?:\.[0-9]+)?)\s*$")
_CHANCE = re.compile(r"\s*\?\s*([0-9]+(?:\.[0-9]+)?)\s*$")
_SPECIAL = "{}[]()|<>\\"
_SIGNS = _SPECIAL + "*?#"
# levels of brackets: nobody reads deeper ones, and recursion stays far from its limit
_MAX_DEPTH = 20


@dataclass(frozen=True)
class Literal:
    """Fixed text."""

    text: str


@dataclass(frozen=True, repr=False)
class SlotUse:
    """A use of a slot, or of a column of a table."""

    # Name of the slot; or names of the table and its column
    name: str
    column: str = ""
    number: int = 1  # 1 for ``{city}``, 2 for ``{city#2}``, which is another value in the same text
    change: str = ""  # Change of the letters: "", upper, lower or capital

    @property
    def key(self) -> tuple[str, int]:
        """Uses with the same key in one text have the same value, or the same record."""
        return self.name, self.number

    def __str__(self) -> str:
        number = f"#{self.number}" if self.number > 1 else ""
        column = f".{self.column}" if self.column else ""
        return "{" + self.name + number + column + "}"

    __repr__ = __str__


@dataclass(frozen=True)
class Choice:
    """Alternatives, each drawn with probability weight / sum of the weights."""

    options: tuple[Nodes, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Maybe:
    """An optional part and its probability."""

    nodes: Nodes
    probability: float


@dataclass(frozen=True)
class Call:
    """A call of a rule."""

    rule: str


Node = Literal | SlotUse | Choice | Maybe | Call
Nodes = tuple[Node, ...]


@dataclass(frozen=True)
class GrammarRule:
    """A named choice; with a label, its text becomes a span."""

    choice: Choice
    label: str | None
    place: Place


def walk(nodes: Nodes) -> Iterator[Node]:
    """Yield every node and the nodes inside it; rules are not followed."""
    for node in nodes:
        yield node
        if isinstance(node, Choice):
            for option in node.options:
                yield from walk(option)
        elif isinstance(node, Maybe):
            yield from walk(node.nodes)


def slots_of(nodes: Nodes, rules: Mapping[str, GrammarRule]) -> Iterator[SlotUse]:
    """Yield every use of a slot, including those in the rules that are called."""
    for node in walk(nodes):
        if isinstance(node, SlotUse):
            yield node
        elif isinstance(node, Call):
            yield from slots_of((rules[node.rule].choice,), rules)


def escape(text: str) -> str:
    """Return the template that writes `text` as it stands."""
    return "".join(f"\\{letter}" if letter in _SPECIAL else letter for letter in text)


def parse(text: str, *, subject: str, place: Place = ()) -> Nodes:
    """Return the nodes of a template; slots and rules are not looked up.

    ``{slot}`` is a value, ``{slot#2}`` another value of the slot, ``{table.column}`` a cell of a record,
    ``{slot|upper}`` a value in capitals. ``[words]`` come in half of the texts, ``[words ?0.3]`` in three
    of ten. Of ``(one|other *2)`` the second comes twice as often; brackets without ``|`` are text.
    ``<rule>`` calls a rule. ``{{``, ``}}`` and a backslash before a sign write the sign.
    """
    return _Parser(text, subject, place).whole()


class _Parser:
    def __init__(self, text: str, subject: str, place: Place) -> None:
        self.text, self.subject, self.place, self.at = text, subject, place, 0
        (self.plain, self.is_unbalanced), self.depth = _plain_brackets(text), 0

    def whole(self) -> Nodes:
        nodes = self.sequence("")
        if self.at < len(self.text) or self.is_unbalanced:
            raise self.unbalanced()
        return nodes

    def sequence(self, stops: str) -> Nodes:
        """Read up to one of `stops`, which is not consumed."""
        nodes: list[Node] = []
        plain = ""
        while self.at < len(self.text):
            if self.text[self.at] in stops and self.at not in self.plain:
                break
            found = self.sign()
            if isinstance(found, str):
                plain += found
                continue
            if plain:
                nodes.append(Literal(plain))
                plain = ""
            nodes.append(found)
        return (*nodes, Literal(plain)) if plain else tuple(nodes)

    def sign(self) -> str | Node:
        """Read one character, or the construct that begins with it."""
        letter, pair = self.text[self.at], self.text[self.at : self.at + 2]
        if _is_escaped(pair):
            self.at += 2
            # A node of its own is not read as the end of a weight or a probability.
            return Literal(pair[1]) if pair[1] in "*?" else pair[1]
        if letter == "{":
            return self.slot()
        if letter == "[":
            return self.maybe()
        if letter == "(" and self.at not in self.plain:
            self.at += 1
            return self.choice(self.parts(")"))
        if letter in "}]":
            raise self.unbalanced()
        call = _RULE.match(self.text, self.at)
        if call:
            self.at = call.end()
            return Call(call[1])
        self.at += 1
        return letter

    def slot(self) -> SlotUse:
        end = self.text.find("}", self.at)
        if end < 0 or "{" in self.text[self.at + 1 : end]:
            raise self.unbalanced()
        inside = self.text[self.at + 1 : end]
        found = _SLOT.fullmatch(inside)
        self.at = end + 1
        if not found or found[1][0].isdigit():
            # Reported by `check_grammar`, which knows the slots.
            return SlotUse(inside)
        name, number, column, change = found.groups()
        if change is not None and change not in CHANGES:
            raise self.fault(
                f"writes a slot in an unknown way: '{change}'", allowed=", ".join(CHANGES)
            )
        if number is not None and int(number) == 0:
            raise self.fault("counts a slot from 0", allowed=f"{{{name}}}, {{{name}#2}}, ...")
        return SlotUse(name, column or "", int(number or 1), change or "")

    def maybe(self) -> Maybe:
        self.at += 1
        parts = self.parts("]")
        parts[-1], probability = self.ending(parts[-1], _CHANCE, 0.5)
        if not 0 < probability <= 1:
            raise self.fault(
                "has an optional part with a probability out of range",
                got=str(probability),
                allowed="above 0 and at most 1, e.g. [please ?0.3]",
            )
        if len(parts) == 1:
            return Maybe(parts[0], probability)
        return Maybe((self.choice(parts),), probability)

    def parts(self, close: str) -> list[Nodes]:
        """Read ``a|b|c`` and the closing bracket."""
        parts = []
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.fault("nests brackets too deep", allowed=f"{_MAX_DEPTH} levels")
        while True:
            parts.append(self.sequence(f"|{close}"))
            if self.at >= len(self.text):
                raise self.unbalanced()
            self.at += 1
            if self.text[self.at - 1] == close:
                self.depth -= 1
                return parts

    def choice(self, parts: list[Nodes]) -> Choice:
        found = [self.ending(part, _WEIGHT, 1.0) for part in parts]
        for _, weight in found:
            if not weight > 0:
                raise self.fault(
                    "has an alternative with a weight that is not above 0",
                    got=str(weight),
                    todo="leave the alternative out",
                )
        return Choice(tuple(nodes for nodes, _ in found), tuple(weight for _, weight in found))

    def ending(self, nodes: Nodes, pattern: re.Pattern[str], default: float) -> tuple[Nodes, float]:
        """Return the nodes without the number that `pattern` finds at their end, and the number."""
        last = nodes[-1] if nodes else None
        found = pattern.search(last.text) if isinstance(last, Literal) else None
        if not isinstance(last, Literal) or found is None:
            return nodes, default
        kept = last.text[: found.start()]
        return ((*nodes[:-1], Literal(kept)) if kept else nodes[:-1]), float(found[1])

    def unbalanced(self) -> ParameterError:
        return ParameterError(
            f"a bracket in {self.subject} has no partner",
            got=repr(self.text),
            allowed="{slot}, [optional], (one|other), and a backslash before a sign meant as text",
            place=self.place,
        )

    def fault(self, problem: str, **facts: str) -> ParameterError:
        return ParameterError(f"{self.subject} {problem}", **facts, place=self.place)


def _plain_brackets(text: str) -> tuple[set[int], bool]:
    """Return the round brackets that hold no ``|``, e.g. a smiley, and whether one of a choice is alone."""
    plain: set[int] = set()
    is_unbalanced = False
    open_: list[tuple[int, str]] = []
    barred: set[int] = set()
    at = 0
    while at < len(text):
        letter = text[at]
        if _is_escaped(text[at : at + 2]):
            at += 2
            continue
        if letter == "{":
            at = max(text.find("}", at), at)
        elif letter in "[(":
            open_.append((at, letter))
        elif letter == "|":
            barred.add(open_[-1][0] if open_ else -1)
        elif letter == "]":
            while open_ and open_[-1][1] == "(":
                plain.add(open_[-1][0])
                is_unbalanced |= open_.pop()[0] in barred
            del open_[-1:]
        elif letter == ")":
            start = open_.pop()[0] if open_ and open_[-1][1] == "(" else None
            if start is None:
                is_unbalanced |= not open_ and -1 in barred
            if start is None or start not in barred:
                plain |= {at} if start is None else {at, start}
        at += 1
    alone = {start for start, letter in open_ if letter == "("}
    return plain | alone, is_unbalanced or bool(alone & barred)


def _is_escaped(pair: str) -> bool:
    return pair in ("{{", "}}") or (pair[:1] == "\\" and pair[1:] != "" and pair[1:] in _SIGNS)
