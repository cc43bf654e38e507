"""What a template is made of, and how many different texts it can become: counted, never listed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Place = tuple[str | int, ...]
"""Where something stands in the settings, e.g. ``("templates", "refund", 1)``."""


@dataclass(frozen=True)
class Literal:
    """Text that is written as it stands."""

    text: str


@dataclass(frozen=True, repr=False)
class SlotUse:
    """A slot, or a column of a table's record; `number` tells several of the same name apart.

    Parameters
    ----------
    name, column : str
        The slot; or the table and its column.
    number : int
        1 for ``{city}``, 2 for ``{city#2}``, which is another value.
    change : str
        How the value is written: "", upper, lower or capital.
    """

    name: str
    column: str = ""
    number: int = 1
    change: str = ""

    @property
    def key(self) -> tuple[str, int]:
        """What is drawn once in a text: the same key is the same value, or the same record."""
        return self.name, self.number

    def __str__(self) -> str:
        number = f"#{self.number}" if self.number > 1 else ""
        column = f".{self.column}" if self.column else ""
        return "{" + self.name + number + column + "}"

    __repr__ = __str__


@dataclass(frozen=True)
class Choice:
    """One of several ways to go on; each is taken with its weight over the sum of the weights."""

    options: tuple[Nodes, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Maybe:
    """What is written with a probability."""

    nodes: Nodes
    probability: float


@dataclass(frozen=True)
class Call:
    """What a rule gives."""

    rule: str


Node = Literal | SlotUse | Choice | Maybe | Call
Nodes = tuple[Node, ...]


@dataclass(frozen=True)
class Rule:
    """A named choice; with a label, what it gives is marked as a span."""

    choice: Choice
    label: str | None
    place: Place


def walk(nodes: Nodes) -> Iterator[Node]:
    """Yield every node, also those inside others; rules are not followed.

    Examples
    --------
    >>> [type(node).__name__ for node in walk((Maybe((Literal("please"),), 0.5),))]
    ['Maybe', 'Literal']
    """
    for node in nodes:
        yield node
        if isinstance(node, Choice):
            for option in node.options:
                yield from walk(option)
        elif isinstance(node, Maybe):
            yield from walk(node.nodes)


def slots_of(nodes: Nodes, rules: Mapping[str, Rule]) -> Iterator[SlotUse]:
    """Yield every use of a slot, also those in the rules that are called."""
    for node in walk(nodes):
        if isinstance(node, SlotUse):
            yield node
        elif isinstance(node, Call):
            yield from slots_of((rules[node.rule].choice,), rules)


def count_texts(nodes: Nodes, rules: Mapping[str, Rule], sizes: Mapping[str, int]) -> int:
    """Return about how many different texts `nodes` can become; exact unless texts coincide.

    A slot that occurs again counts once. Ways that happen to give the same text count as two, so the
    number is an upper bound.

    Parameters
    ----------
    nodes : tuple of Node
        The template.
    rules : mapping
        Rules by name; they form no circle.
    sizes : mapping of str to int
        Slot or table -> how many different values it has.

    Examples
    --------
    >>> tea = SlotUse("tea")
    >>> count_texts((Maybe((Literal("a "),), 0.5), tea, tea), {}, {"tea": 7})
    14
    """
    return _count(nodes, rules, sizes, frozenset())[0]


_Keys = frozenset[tuple[str, int]]


def _count(
    nodes: Nodes, rules: Mapping[str, Rule], sizes: Mapping[str, int], bound: _Keys
) -> tuple[int, _Keys]:
    total = 1
    for node in nodes:
        ways, bound = _count_one(node, rules, sizes, bound)
        total *= ways
    return total, bound


def _count_one(
    node: Node, rules: Mapping[str, Rule], sizes: Mapping[str, int], bound: _Keys
) -> tuple[int, _Keys]:
    if isinstance(node, SlotUse):
        earlier = sum(name == node.name for name, _ in bound)
        ways = 1 if node.key in bound else max(sizes[node.name] - earlier, 0)
        return ways, bound | {node.key}
    if isinstance(node, Call):
        return _count_one(rules[node.rule].choice, rules, sizes, bound)
    if isinstance(node, Maybe):
        ways, inside = _count(node.nodes, rules, sizes, bound)
        return ways + 1, inside
    if isinstance(node, Choice):
        found = [_count(option, rules, sizes, bound) for option in node.options]
        return sum(ways for ways, _ in found), bound.union(*(inside for _, inside in found))
    return 1, bound


def spell_count(number: int) -> str:
    """Return a number as a reader can take it in.

    Examples
    --------
    >>> spell_count(12_345), spell_count(3 * 10**20)
    ('12,345', 'about 10^20')
    """
    return f"{number:,}" if number < 10**9 else f"about 10^{len(str(number)) - 1}"
