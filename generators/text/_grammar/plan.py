"""Which template is written at which place of a set: shares of classes, turns of templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from twinset.core.errors import ParameterError

from .apportion import Apportionment
from .grammar import Grammar
from .nodes import spell_count

Codes = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]
_LISTED = 64
_USABLE = 0.8
_ENOUGH = 2**40


class NoRoomError(ParameterError):
    """So many different texts cannot be had."""


@dataclass(frozen=True)
class TemplatePlan:
    """Who comes when among the templates that a condition leaves.

    Parameters
    ----------
    grammar : Grammar
        What texts are made from.
    chosen : tuple of int
        Positions of the templates that may come.
    counts : tuple of int, optional
        How many different texts each template of the grammar can become; they then run out.
    seed : int
        Orders what is equally due.
    """

    grammar: Grammar
    chosen: tuple[int, ...]
    counts: tuple[int, ...] | None
    seed: int

    @cached_property
    def by_label(self) -> Mapping[str, tuple[int, ...]]:
        """Class -> positions of its templates."""
        found: dict[str, tuple[int, ...]] = {}
        for i in self.chosen:
            label = self.grammar.templates[i].label
            found[label] = (*found.get(label, ()), i)
        return found

    @cached_property
    def labels(self) -> Apportionment:
        """The turns of the classes."""
        return Apportionment([self.grammar.shares[label] for label in self.by_label], self.seed)

    @cached_property
    def templates(self) -> tuple[Apportionment, ...]:
        """The turns of the templates of each class."""
        return tuple(
            Apportionment(
                [self.grammar.templates[i].weight for i in own],
                self.seed + 1,
                None if self.counts is None else [usable(self.counts[i]) for i in own],
            )
            for own in self.by_label.values()
        )

    def at(self, first: int, n: int) -> tuple[Codes, Places]:
        """Return the templates of `n` places from `first` on, and how often each came before, (n,)."""
        labels = self.labels.at(np.arange(first, first + n))
        before = self.labels.counts(first)
        found = np.empty(n, dtype=np.int32)
        turns_had = np.empty(n, dtype=np.int64)
        for k, (own, turns) in enumerate(zip(self.by_label.values(), self.templates)):
            places = np.flatnonzero(labels == k)
            who = turns.at(before[k] + np.arange(len(places)))
            found[places] = np.array(own, dtype=np.int32)[who]
            for i, n_had in enumerate(turns.counts(int(before[k])).tolist()):
                mine = places[who == i]
                turns_had[mine] = n_had + np.arange(len(mine))
        return found, turns_had

    def richest(self, template: int) -> int:
        """Return the template of the same class that can become most texts."""
        own = self.by_label[self.grammar.templates[template].label]
        counts = self.counts
        return template if counts is None else max(own, key=lambda i: counts[i])

    def check_room(self, n: int) -> None:
        """Raise when `n` different texts cannot be had.

        Raises
        ------
        NoRoomError
            A class has too few; the sentence tells the estimate.
        """
        if self.counts is None:
            return
        wanted = self.labels.counts(n).tolist()
        for (label, own), n_wanted in zip(self.by_label.items(), wanted):
            known = sum(self.counts[i] for i in own)
            room = sum(usable(self.counts[i]) for i in own)
            if n_wanted > room:
                raise NoRoomError(
                    f"the templates of '{label}' cannot give {n_wanted:,} different texts",
                    got=f"about {spell_count(known)} ways to fill them, of which {spell_count(room)} "
                    "can be drawn without long search",
                    todo="add templates or values (to a Faker slot: pool), ask for fewer rows, or set "
                    "unique_rows: false",
                    place=("templates", label),
                )


def usable(count: int) -> int:
    """Return how many of the texts of a template are drawn: the last ones are found too slowly.

    Examples
    --------
    >>> usable(12), usable(1_000)
    (12, 800)
    """
    if count <= _LISTED:
        return count
    return min(max(_LISTED, int(count * _USABLE)), _ENOUGH)


def split_templates(grammar: Grammar, fraction: float, order: Sequence[int]) -> tuple[str, ...]:
    """Return the part of each template, so that every class has templates in both parts.

    Parameters
    ----------
    grammar : Grammar
        What texts are made from.
    fraction : float
        Share of the templates of each class that is held out, above 0 and below 1.
    order : sequence of int
        The templates in random order: the first of a class are held out.

    Raises
    ------
    ParameterError
        A class has one template only.
    """
    parts = ["train"] * len(grammar.templates)
    for label in grammar.labels:
        own = [i for i in order if grammar.templates[i].label == label]
        if len(own) < 2:
            raise ParameterError(
                f"the label '{label}' has one template, which cannot be in both parts",
                todo="add templates, or drop 'holdout'",
                place=("templates", label),
            )
        n_held = min(max(round(fraction * len(own)), 1), len(own) - 1)
        for i in own[:n_held]:
            parts[i] = "holdout"
    return tuple(parts)
