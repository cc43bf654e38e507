"""Samplers that add rows: of which classes, from what, and with which weights."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from dataclasses import replace
from numbers import Integral
from typing import Any, ClassVar

import numpy as np

from twinset.core.contracts import Generator
from twinset.core.dataset import Dataset
from twinset.core.rule_repair import RuleKeeper
from twinset.core.seeding import rng_for
from twinset.registry import build
from twinset.sklearn._columns import Rows
from twinset.sklearn._draws import ClassSource
from twinset.sklearn._errors import NothingToAdd
from twinset.sklearn._intake import Table, dataset_of
from twinset.sklearn._labels import Labels
from twinset.sklearn._order import canonical_order
from twinset.sklearn._rules import rules_for
from twinset.sklearn._sampler import STRATEGY, Floats, Sampler
from twinset.sklearn._strategy import rows_to_add

ADDING: dict[str, Any] = {
    "sampling_strategy": STRATEGY,
    "random_state": ["random_state", np.random.Generator],
    "preserve_mass": ["boolean"],
}
MAKING: dict[str, Any] = {
    **ADDING,
    "rules": ["array-like", None],
    "n_jobs": [Integral, None],
}


class OverSampler(Sampler):
    """A sampler that adds rows to classes."""

    def _planned(self, labels: Labels) -> dict[Any, int]:
        return rows_to_add(self.sampling_strategy, labels)

    def _resampled(self, table: Table, labels: Labels) -> tuple[Any, Any]:
        lacking = {label: n for label, n in self.sampling_strategy_.items() if n > 0}
        if not lacking:
            warnings.warn(
                "no class is short of rows for this sampling_strategy: nothing was added",
                NothingToAdd,
                stacklevel=3,
            )
        known = labels.classes.tolist()
        wanted = {known.index(label): n for label, n in lacking.items()}
        X, parents, seeds = self._longer(table, labels, wanted)
        rows = np.concatenate([np.arange(len(table)), seeds])
        y = labels.taken(rows, getattr(X, "index", None) if hasattr(X, "iloc") else None)
        codes = labels.codes[rows]
        weights = self._weights(codes, labels)
        self._tell(codes, len(table), parents, weights, labels.counts)
        return X, y

    @abstractmethod
    def _longer(
        self, table: Table, labels: Labels, wanted: dict[int, int]
    ) -> tuple[Any, Rows, Rows]:
        """Return all rows with the new ones, the parents of these, and a real row of their class."""

    def _weights(self, codes: Rows, labels: Labels) -> Floats:
        """Return 1 for each row; with `preserve_mass` each class weighs what it weighed before."""
        if not self.preserve_mass:
            return np.ones(len(codes))
        after = np.bincount(codes, minlength=len(labels.classes))
        return np.asarray((labels.counts / after)[codes])


class GeneratorSampler(OverSampler):
    """A sampler whose rows come from a generator of twinset, one fit a class."""

    _component: ClassVar[str]
    _settings: ClassVar[tuple[str, ...]] = ()

    def _generator(self) -> Generator:
        settings = {name: getattr(self, name) for name in self._settings}
        return build("generator", self._component, settings)

    def _longer(
        self, table: Table, labels: Labels, wanted: dict[int, int]
    ) -> tuple[Any, Rows, Rows]:
        generator, seed = self._generator(), self._seed()
        rare = np.flatnonzero(np.isin(labels.codes, list(wanted)))
        self.rules_ = rules_for(self.rules, table, labels, rare) if wanted else ()
        sources: list[tuple[ClassSource, Rows, int]] = []
        for code, n in wanted.items():
            rows = labels.rows_of(code)
            real = dataset_of(table, rows)
            order = canonical_order(real)
            path = (seed, str(labels.classes[code]))
            sources.append((self._source(generator, real.take(order), path), rows[order], n))
        if sources and all(source.can_fill() for source, _, _ in sources):
            room = table.room(sum(wanted.values()))
            if room is not None:
                return self._filled(table, room, sources)
        made: list[Dataset] = []
        traced = []
        for source, rows, n in sources:
            parts, found = source.draw(n, _n_threads(self.n_jobs))
            made += parts
            traced.append(_traced(rows, found))
        parents, seeds = _joined(traced)
        return table.extended(made, seeds), parents, seeds

    def _filled(
        self, table: Table, room: tuple[Any, Floats], sources: list[tuple[ClassSource, Rows, int]]
    ) -> tuple[Any, Rows, Rows]:
        """Write the rows of all classes into the free end of an array."""
        array, free = room
        traced, start = [], 0
        for source, rows, n in sources:
            traced.append(_traced(rows, source.fill(free[start : start + n])))
            start += n
        parents, seeds = _joined(traced)
        return table.finished(array, seeds), parents, seeds

    def _source(self, generator: Generator, real: Dataset, path: tuple[int, str]) -> ClassSource:
        keeper = None
        if self.rules_:
            ruled = replace(real, schema=replace(real.schema, rules=self.rules_))
            keeper = RuleKeeper.learn(ruled)
        fitted = generator.fit(real, rng_for(*path, "fit"))
        return ClassSource(fitted, keeper, path, real.schema.names)


def _traced(rows: Rows, found: Rows) -> tuple[Rows, Rows]:
    """Return parents as positions among all real rows, and for each new row a real one of its class.

    Rows without a parent stand for their class by one real row after the other.
    """
    parents = np.where(found >= 0, rows[found], -1)
    return parents, np.where(found[:, 0] >= 0, parents[:, 0], np.resize(rows, len(found)))


def _joined(traced: list[tuple[Rows, Rows]]) -> tuple[Rows, Rows]:
    none = np.empty((0, 2), np.int64), np.empty(0, np.int64)
    parents, seeds = zip(none, *traced, strict=True)
    return np.concatenate(parents), np.concatenate(seeds)


def _n_threads(n_jobs: int | None) -> int:
    import os

    if n_jobs is None:
        return 1
    return n_jobs if n_jobs > 0 else max(1, (os.cpu_count() or 1) + 1 + n_jobs)
