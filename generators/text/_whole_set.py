"""One set of texts while it is drawn: exact shares over all of it, and no text twice."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from twinset.core.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.rule_keys import SeenKeys
from twinset.core.where import Where

from ._coverage import PairCoverage
from ._near import NearDuplicates
from ._plan import Codes, NoRoomError, Plan

Seen = npt.NDArray[np.int8]
Places = npt.NDArray[np.int64]
BLOCK = 256
"""Rows that are looked at together; a whole number of them is written at a time."""

# How often a repeated text is written anew, first by its own template, then by another of its class.
_SAME, _OTHER = (8, 8, 64, 256), (64, 256)


class Writer(Protocol):
    """What a set needs to have texts written."""

    def plan(self, where: Where | None) -> Plan:
        """Return who comes when under a condition."""

    def write(
        self, templates: Codes, places: Places, rng: np.random.Generator
    ) -> tuple[Dataset, Seen]:
        """Return one text per template and place, and the buckets of what is watched, (n, w)."""


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
    room : tuple, optional
        How many texts the scarcest values that must not repeat are enough for, and whose they are.
    unique_rows : bool
        Whether a text may come once only.
    strict : bool
        Whether it is an error when a class has no new text left; else texts repeat.
    """

    writer: Writer
    coverage: PairCoverage
    room: tuple[int, str] | None
    unique_rows: bool
    strict: bool = True
    near: NearDuplicates = field(default_factory=NearDuplicates)
    known: SeenKeys = field(default_factory=SeenKeys)
    n_renewed: int = 0
    _base: int = 0
    _next_base: int = 0
    _seen: dict[int, Seen] = field(default_factory=dict)
    _plans: dict[str, Plan] = field(default_factory=dict)
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
        if self.room is not None and self._next_base > self.room[0]:
            raise NoRoomError(
                f"{self.room[1]} is unique and does not have enough values",
                got=f"values for {self.room[0]:,} texts of {self._next_base:,}",
                todo="ask for fewer rows, give it more values, or drop 'unique'",
            )
        if self.unique_rows and self.strict:
            self._plan(where).check_room(n)

    def place(
        self, first: int, n: int, rng: np.random.Generator, where: Where | None = None
    ) -> Dataset:
        """Return the rows of the part from `first` on; they may repeat others."""
        templates = self._plan(where).at(first, n)
        places = np.arange(self._base + first, self._base + first + n)
        made, self._seen[first] = self.writer.write(templates, places, rng)
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
        if self.unique_rows and len(made):
            plan = self._plan(where)
            chunk = _Chunk(made, seen, _hashes(made), plan.at(first, len(made)))
            self._renew_all(chunk, self._base + first, n, rng, plan)
            made, seen = chunk.joined()
            self.known.add(np.array(chunk.hashes[:n], dtype=np.uint64))
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

    def _plan(self, where: Where | None) -> Plan:
        key = str(where)
        if key not in self._plans:
            self._plans[key] = self.writer.plan(where)
        return self._plans[key]

    def _renew_all(
        self, chunk: _Chunk, base: int, n: int, rng: np.random.Generator, plan: Plan
    ) -> None:
        """Write repeated texts anew, block by block: what follows a row decides nothing about it."""
        came = self.known.has(np.array(chunk.hashes, dtype=np.uint64))
        own: set[int] = set()
        streams: list[np.random.Generator] = []
        for start in range(0, n, BLOCK):
            open_ = []
            for i in range(start, min(start + BLOCK, len(came))):
                if came[i] or chunk.hashes[i] in own:
                    open_.append(i)
                else:
                    own.add(chunk.hashes[i])
            if open_:
                streams = streams or list(rng.spawn(-(-len(came) // BLOCK)))
                self._renew(chunk, open_, own, base, n, streams[start // BLOCK], plan)

    def _renew(
        self,
        chunk: _Chunk,
        open_: list[int],
        own: set[int],
        base: int,
        n: int,
        rng: np.random.Generator,
        plan: Plan,
    ) -> None:
        label_of = {i: plan.grammar.templates[chunk.templates[i]].label for i in open_}
        left = [i for i in open_ if label_of[i] not in self._dry]
        n_open = len(left)
        for attempt, tries in enumerate((*_SAME, *_OTHER)):
            if not left:
                break
            templates = chunk.templates[left]
            if attempt >= len(_SAME):
                templates = np.array([plan.richest(int(t)) for t in templates], dtype=np.int32)
            again = np.repeat(np.arange(len(left)), tries)
            places = np.array(left, dtype=np.int64)[again] + base
            made, seen = self.writer.write(templates[again], places, rng)
            found = self._new_ones(again, _hashes(made), own)
            chunk.put([left[owner] for owner in found], made, list(found.values()), seen)
            left = [i for owner, i in enumerate(left) if owner not in found]
        self.n_renewed += n_open - len(left)
        self._dry.update(label_of[i] for i in left if not self.strict)
        if self.strict and left and left[0] < n:
            raise _dried_up(label_of[left[0]])

    def _new_ones(self, owners: Places, hashes: list[int], own: set[int]) -> dict[int, int]:
        """Return for each owner the first of its texts that is new."""
        came = self.known.has(np.array(hashes, dtype=np.uint64))
        found: dict[int, int] = {}
        for k, owner in enumerate(owners.tolist()):
            if owner not in found and not came[k] and hashes[k] not in own:
                found[owner] = k
                own.add(hashes[k])
        return found


@dataclass
class _Chunk:
    """Rows of a chunk, and what has replaced some of them."""

    made: Dataset
    seen: Seen
    hashes: list[int]
    templates: Codes
    fresh: list[Dataset] = field(default_factory=list)
    place_of: dict[int, int] = field(default_factory=dict)

    def put(self, rows: list[int], made: Dataset, chosen: list[int], seen: Seen) -> None:
        if not rows:
            return
        first = len(self.made) + sum(map(len, self.fresh))
        taken = made.take(chosen)
        for k, (row, own) in enumerate(zip(rows, _hashes(taken))):
            self.place_of[row], self.hashes[row] = first + k, own
        self.seen[rows] = seen[chosen]
        self.fresh.append(taken)

    def joined(self) -> tuple[Dataset, Seen]:
        if not self.fresh:
            return self.made, self.seen
        order = np.arange(len(self.made))
        order[list(self.place_of)] = list(self.place_of.values())
        return Dataset.concat([self.made, *self.fresh]).take(order), self.seen


def _dried_up(label: str) -> ParameterError:
    return ParameterError(
        f"the templates of '{label}' have no new text left",
        got="ways to fill them that give the same text, or that are very rare",
        todo="add templates or values, ask for fewer rows, or set unique_rows: false",
        place=("templates", label),
    )


def _hashes(made: Dataset) -> list[int]:
    blake, read = hashlib.blake2b, int.from_bytes
    texts: list[str] = made.records.column("text").to_pylist()
    return [read(blake(text.encode(), digest_size=8).digest(), "little") for text in texts]
