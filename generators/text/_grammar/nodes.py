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
class GrammarRule:
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


def slots_of(nodes: Nodes, rules: Mapping[str, GrammarRule]) -> Iterator[SlotUse]:
    """Yield every use of a slot, also those in the rules that are called."""
    for node in walk(nodes):
        if isinstance(node, SlotUse):
            yield node
        elif isinstance(node, Call):
            yield from slots_of((rules[node.rule].choice,), rules)


@dataclass(frozen=True)
class Counts:
    """How many different texts nodes can become; exact unless texts coincide.

    Parameters
    ----------
    rules : mapping
        Rules by name; they form no circle.
    sizes : mapping of str to int
        Slot or table -> how many different values it has.
    owners : mapping of str to str
        Slot -> the table whose record it reads.
    """

    rules: Mapping[str, GrammarRule]
    sizes: Mapping[str, int]
    owners: Mapping[str, str]

    def of(self, nodes: Nodes) -> int:
        """Return about how many texts `nodes` can become.

        A slot that occurs again counts once. Ways that happen to give the same text count as two, so
        the number is an upper bound.

        Examples
        --------
        >>> tea = SlotUse("tea")
        >>> Counts({}, {"tea": 7}, {}).of((Maybe((Literal("a "),), 0.5), tea, tea))
        14
        """
        return self._all(nodes, frozenset())[0]

    def _all(self, nodes: Nodes, bound: _Keys) -> tuple[int, _Keys]:
        total = 1
        for node in nodes:
            ways, bound = self._one(node, bound)
            total *= ways
        return total, bound

    def _one(self, node: Node, bound: _Keys) -> tuple[int, _Keys]:
        if isinstance(node, SlotUse):
            name = self.owners.get(node.name, node.name)
            key = name, node.number
            earlier = sum(other == name for other, _ in bound)
            ways = 1 if key in bound else max(self.sizes[name] - earlier, 0)
            return ways, bound | {key}
        if isinstance(node, Call):
            return self._one(self.rules[node.rule].choice, bound)
        if isinstance(node, Maybe):
            ways, inside = self._all(node.nodes, bound)
            return ways + 1, inside
        if isinstance(node, Choice):
            found = [self._all(option, bound) for option in node.options]
            return sum(ways for ways, _ in found), bound.union(*(inside for _, inside in found))
        return 1, bound


_Keys = frozenset[tuple[str, int]]


def spell_count(number: int) -> str:
    """Return a number as a reader can take it in.

    Examples
    --------
    >>> spell_count(12_345), spell_count(3 * 10**20)
    ('12,345', 'about 10^20')
    """
    return f"{number:,}" if number < 10**9 else f"about 10^{len(str(number)) - 1}"
