"""One set of texts while it is drawn: exact shares over all of it, and no text twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError
from twinset.core.rules.unique_keys import SeenKeys
from twinset.core.seeding import draw_seed, rng_for

from .compile import Room
from .coverage import PairCoverage
from .near_duplicates import NearDuplicates
from .plan import Codes, NoRoomError, Places, TemplatePlan
from .values import Uniform
from .writer import uniforms

Seen = npt.NDArray[np.int8]
# How often a repeated text is written anew: by its own template, then by the richest of its class.
_TRIES = 300
_BATCH = 64


class SetWriter(Protocol):
    """What a set needs to have texts written."""

    def plan(self, where: Where | None) -> TemplatePlan:
        """Return who comes when under a condition."""

    def write(
        self, templates: Codes, places: Places, turns: Places, rng: np.random.Generator
    ) -> tuple[Dataset, Seen]:
        """Return one text per template, place and turn, and the buckets of what is watched, (n, w)."""

    def retry(self) -> Retry:
        """Return what writes single texts until one will do."""


class Retry(Protocol):
    """Texts written one by one in the place of others."""

    def write(self, template: int, place: int, u: Uniform) -> str:
        """Write a text and return it; it is kept unless it is dropped."""

    def drop(self) -> None:
        """Forget the text that was written last."""

    def rows(self) -> tuple[Dataset, Seen]:
        """Return the texts that were kept."""


@dataclass
class TextSet:
    """What is kept of one set of texts while it is drawn in chunks.

    `place` may be called from many threads; `begin`, `record` and `admit` are called in order.

    Parameters
    ----------
    writer : Writer
        Writes texts.
    coverage : PairCoverage
        Which pairs of values have come.
    room : Room, optional
        The scarcest source of values that must not repeat.
    unique_rows : bool
        Whether a text may come once only.
    strict : bool
        Whether it is an error when a class has no new text left; else texts repeat.
    """

    writer: SetWriter
    coverage: PairCoverage
    room: Room | None
    unique_rows: bool
    strict: bool = True
    near: NearDuplicates = field(default_factory=NearDuplicates)
    known: SeenKeys = field(default_factory=SeenKeys)
    n_renewed: int = 0
    _base: int = 0
    _next_base: int = 0
    _seen: dict[int, Seen] = field(default_factory=dict)
    _plans: dict[str, TemplatePlan] = field(default_factory=dict)
    _dry: set[str] = field(default_factory=set)

    def begin(self, n: int, where: Where | None = None) -> None:
        """Start a part of `n` rows under a condition.

        Raises
        ------
        ParameterError
            So many different texts, or values that must not repeat, cannot be had; the sentence tells
            the estimate.
        """
        self._base, self._next_base = self._next_base, self._next_base + n
        if self.room is not None and self._next_base > self.room.n_texts:
            raise NoRoomError(
                f"{self.room.what} is unique and does not have enough values",
                got=f"values for {self.room.n_texts:,} texts of {self._next_base:,}",
                todo="ask for fewer rows, give it more values, or drop 'unique'",
                place=self.room.place,
            )
        if self.unique_rows and self.strict:
            self._plan(where).check_room(n)

    def place(
        self, first: int, n: int, rng: np.random.Generator, where: Where | None = None
    ) -> Dataset:
        """Return the rows of the part from `first` on; they may repeat others."""
        templates, turns = self._plan(where).at(first, n)
        places = np.arange(self._base + first, self._base + first + n)
        made, self._seen[first] = self.writer.write(templates, places, turns, rng)
        return made

    def record(self, earlier: Dataset) -> None:
        """Remember the texts of rows that were made before this set."""
        if self.unique_rows and "text" in earlier.schema.names:
            self.known.add(np.array(_hashes(earlier), dtype=np.uint64))

    def admit(
        self,
        made: Dataset,
        first: int,
        n: int,
        rng: np.random.Generator,
        where: Where | None = None,
    ) -> Dataset:
        """Return the first `n` rows of a chunk; texts that came before are written anew.

        Raises
        ------
        ParameterError
            A class has no new text left.
        """
        seen = self._seen.pop(first)
        if self.unique_rows and n:
            made, seen = self._renewed(made.slice(0, n), seen, first, rng, self._plan(where))
        made = made.slice(0, n)
        self.coverage.add(seen[:n])
        if self.near.is_open:
            self.near.add(made.records.column("text").to_pylist())
        return made

    def notes(self) -> tuple[str, ...]:
        """Return what the card tells of the set."""
        told = (*self.coverage.notes(), *self.near.notes())
        if not self.n_renewed:
            return told
        return (f"{self.n_renewed:,} texts came a second time and were written anew.", *told)

    def _plan(self, where: Where | None) -> TemplatePlan:
        key = str(where)
        if key not in self._plans:
            self._plans[key] = self.writer.plan(where)
        return self._plans[key]

    def _renewed(
        self, made: Dataset, seen: Seen, first: int, rng: np.random.Generator, plan: TemplatePlan
    ) -> tuple[Dataset, Seen]:
        """Write repeated texts anew, one after the other: what follows a row decides nothing about it."""
        hashes = _hashes(made)
        came = self.known.has(np.array(hashes, dtype=np.uint64)).tolist()
        templates = plan.at(first, len(made))[0].tolist()
        seed, own, retry = draw_seed(rng), set[int](), self.writer.retry()
        renewed: list[int] = []
        for i, digest in enumerate(hashes):
            if came[i] or digest in own:
                new = self._new_text(templates[i], self._base + first + i, seed, own, retry, plan)
                if new is None:
                    continue
                renewed.append(i)
                hashes[i] = digest = new
            own.add(digest)
        self.known.add(np.array(hashes, dtype=np.uint64))
        if not renewed:
            return made, seen
        self.n_renewed += len(renewed)
        fresh, fresh_seen = retry.rows()
        order = np.arange(len(made))
        order[renewed] = len(made) + np.arange(len(renewed))
        seen[renewed] = fresh_seen
        return Dataset.concat([made, fresh]).take(order), seen

    def _has(self, digest: int) -> bool:
        return bool(self.known.has(np.array([digest], dtype=np.uint64))[0])

    def _new_text(
        self, template: int, place: int, seed: int, own: set[int], retry: Retry, plan: TemplatePlan
    ) -> int | None:
        """Write a text that has not come, and return its hash; None where the class has run dry."""
        label = plan.grammar.templates[template].label
        if label in self._dry:
            return None
        u = uniforms(rng_for(seed, place), _BATCH).__next__
        for one in (template, plan.richest(template)):
            for _ in range(_TRIES):
                digest = _hash_of(retry.write(one, place, u))
                if digest not in own and not self._has(digest):
                    return digest
                retry.drop()
        if self.strict:
            raise _dried_up(label)
        self._dry.add(label)
        return None


def _dried_up(label: str) -> ParameterError:
    return ParameterError(
        f"the templates of '{label}' have no new text left",
        got="ways to fill them that give the same text, or that are very rare",
        todo="add templates or values, ask for fewer rows, or set unique_rows: false",
        place=("templates", label),
    )


def _hashes(made: Dataset) -> list[int]:
    texts: list[str] = made.records.column("text").to_pylist()
    return [_hash_of(text) for text in texts]


def _hash_of(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
