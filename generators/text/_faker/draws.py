"""Values of Faker as a plan that is drawn many at a time: lists to pick from, put together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt

_MOST_MERGED = 1_000
"""So many combinations of two short lists are listed, rather than picked one by one."""


class TextDraw(ABC):
    """A way to draw texts, each by itself and all by the same law."""

    @abstractmethod
    def draw(self, n: int, rng: np.random.Generator) -> list[str]:
        """Return `n` texts; their order says nothing only where `is_mixed`."""

    is_mixed: bool = True
    """Whether the order of what is drawn is random; else those of one kind stand together."""

    def mixed(self, n: int, rng: np.random.Generator) -> list[str]:
        """Return `n` texts in random order."""
        found = self.draw(n, rng)
        if self.is_mixed:
            return found
        return [found[i] for i in rng.permutation(n).tolist()]

    @property
    def is_plain(self) -> bool:
        """Whether no text can be empty or hold other blanks than single ones between words."""
        return False


@dataclass(frozen=True)
class Pick(TextDraw):
    """One of a list, all equally likely; what stands there twice comes twice as often.

    Examples
    --------
    >>> Pick(("a",)).draw(2, np.random.default_rng(0))
    ['a', 'a']
    """

    values: tuple[str, ...]

    def draw(self, n: int, rng: np.random.Generator) -> list[str]:
        """Return `n` texts."""
        if len(self.values) == 1:
            return [self.values[0]] * n
        found: list[str] = self._array[rng.integers(0, len(self.values), n)].tolist()
        return found

    def distinct(self, n: int, rng: np.random.Generator) -> list[str]:
        """Return the different ones of `n` texts, in the order in which they came."""
        places = rng.integers(0, len(self.values), n)
        came = np.full(len(self.values), n)
        came[places[::-1]] = np.arange(n)[::-1]  # of those at one place the last, which came first
        order = np.argsort(came, kind="stable")[: int((came < n).sum())]
        return list(dict.fromkeys(self._array[order].tolist()))

    @cached_property
    def _array(self) -> npt.NDArray[Any]:
        return np.array(self.values, dtype=object)

    @cached_property
    def is_plain(self) -> bool:
        """Whether no text is empty or holds other blanks than single ones between words."""
        return all(value and " ".join(value.split()) == value for value in self.values)


@dataclass(frozen=True)
class ConcatenatedDraw(TextDraw):
    """Several draws, one behind the other; build it with `joined`."""

    parts: tuple[TextDraw, ...]

    def draw(self, n: int, rng: np.random.Generator) -> list[str]:
        """Return `n` texts."""
        # One part may keep its order; two that did would come in step with each other.
        first, *others = self.parts
        columns = [first.draw(n, rng), *(part.mixed(n, rng) for part in others)]
        if len(columns) == 2:
            return list(map(add, *columns))
        return list(map("".join, zip(*columns)))

    @property
    def is_mixed(self) -> bool:  # type: ignore[override]
        """Whether the order of what is drawn is random."""
        return self.parts[0].is_mixed

    @cached_property
    def is_plain(self) -> bool:
        """Whether no text is empty or holds other blanks than single ones between words."""
        return all(map(_is_plain_inside, self.parts)) and not (
            _may(self.parts[0], str.startswith) or _may(self.parts[-1], str.endswith)
            or any(_may(a, str.endswith) and _may(b, str.startswith)
                   for a, b in zip(self.parts, self.parts[1:]))
        )  # fmt: skip


@dataclass(frozen=True)
class AnyOf(TextDraw):
    """One of several draws, all equally likely."""

    choices: tuple[TextDraw, ...]
    is_mixed = False

    def draw(self, n: int, rng: np.random.Generator) -> list[str]:
        """Return `n` texts, those of each draw together."""
        chosen = rng.integers(0, len(self.choices), n)
        counts = np.bincount(chosen, minlength=len(self.choices)).tolist()
        found: list[str] = []
        for choice, count in zip(self.choices, counts):
            if count:
                found += choice.draw(count, rng)
        return found

    @cached_property
    def is_plain(self) -> bool:
        """Whether no text is empty or holds other blanks than single ones between words."""
        return all(choice.is_plain for choice in self.choices)


@dataclass(frozen=True)
class MappedDraw(TextDraw):
    """A draw whose texts are changed, e.g. to capitals."""

    of: TextDraw
    change: Callable[[str], str]

    def draw(self, n: int, rng: np.random.Generator) -> list[str]:
        """Return `n` texts."""
        return list(map(self.change, self.of.draw(n, rng)))

    @property
    def is_mixed(self) -> bool:  # type: ignore[override]
        """Whether the order of what is drawn is random."""
        return self.of.is_mixed


@dataclass(frozen=True)
class FakerCall(TextDraw):
    """A method of Faker that is called for each text: it is not understood, or draws in its own way."""

    method: Callable[..., object]

    def draw(self, n: int, rng: np.random.Generator) -> list[str]:
        """Return `n` texts; the random numbers are Faker's own."""
        return [str(self.method()) for _ in range(n)]


Change = Callable[[str], str]
Holds = Callable[[str, str], bool]
"""Of a text and what becomes of it: whether a longer text changes here just so."""


def changed(plan: TextDraw, change: Change, holds: Holds) -> TextDraw:
    """Return a draw whose texts are changed, beforehand where the change of each part is that of the whole.

    Examples
    --------
    >>> changed(joined([Pick(("A", "B")), Pick(("C",))]), str.lower, lambda text, new: True)
    Pick(values=('ac', 'bc'))
    """
    found = _beforehand(plan, change, holds)
    return MappedDraw(plan, change) if found is None else found


def _beforehand(plan: TextDraw, change: Change, holds: Holds) -> TextDraw | None:
    if isinstance(plan, Pick):
        new = tuple(map(change, plan.values))
        return Pick(new) if all(map(holds, plan.values, new)) else None
    if isinstance(plan, ConcatenatedDraw | AnyOf):
        is_joined = isinstance(plan, ConcatenatedDraw)
        parts = [
            _beforehand(part, change, holds)
            for part in (plan.parts if isinstance(plan, ConcatenatedDraw) else plan.choices)
        ]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return joined(known) if is_joined else any_of(known)
    return None


def joined(parts: Sequence[TextDraw]) -> TextDraw:
    """Return draws one behind the other, with fixed texts and short lists put together beforehand.

    Examples
    --------
    >>> joined([Pick(("Mr",)), Pick((" ",)), Pick(("Ash", "Oak"))])
    Pick(values=('Mr Ash', 'Mr Oak'))
    """
    flat: list[TextDraw] = []
    for part in parts:
        for one in part.parts if isinstance(part, ConcatenatedDraw) else (part,):
            before = flat[-1] if flat else None
            if one == Pick(("",)):
                continue
            if isinstance(one, Pick) and isinstance(before, Pick) and _is_small(before, one):
                flat[-1] = Pick(tuple(a + b for a in before.values for b in one.values))
            else:
                flat.append(one)
    if not flat:
        return Pick(("",))
    return flat[0] if len(flat) == 1 else ConcatenatedDraw(tuple(flat))


def any_of(choices: Sequence[TextDraw]) -> TextDraw:
    """Return one of several draws, all equally likely."""
    if all(isinstance(one, Pick) and len(one.values) == 1 for one in choices):
        return Pick(tuple(one.values[0] for one in choices if isinstance(one, Pick)))
    return choices[0] if len(choices) == 1 else AnyOf(tuple(choices))


def _is_small(one: Pick, other: Pick) -> bool:
    n, m = len(one.values), len(other.values)
    return 1 in (n, m) or n * m <= _MOST_MERGED


def _is_plain_inside(part: TextDraw) -> bool:
    """Whether no text of a part is empty or holds two blanks, or others than " ", in a row."""
    if isinstance(part, Pick):
        return all(v and " ".join(v.split()) == v.strip(" ") and "  " not in v for v in part.values)
    if isinstance(part, AnyOf):
        return all(map(_is_plain_inside, part.choices))
    return part.is_plain


def _may(part: TextDraw, has: Callable[[str, str], bool]) -> bool:
    """Whether a text of a part may begin, or end, with a blank."""
    if isinstance(part, Pick):
        return any(has(value, " ") for value in part.values)
    if isinstance(part, AnyOf):
        return any(_may(choice, has) for choice in part.choices)
    if isinstance(part, ConcatenatedDraw):
        return _may(part.parts[0 if has is str.startswith else -1], has)
    return True
