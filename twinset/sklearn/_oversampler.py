"""Samplers that add rows: of which classes, from what, and with which weights."""

from __future__ import annotations

import functools
import os
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from twinset.core.contracts import FittedGenerator, Generator
from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule
from twinset.core.data.schema import Field, Schema
from twinset.core.data.where import Where
from twinset.core.errors import RecipeError
from twinset.core.rules.enforce import RuleEnforcer
from twinset.core.seeding import rng_for
from twinset.registry import component_class
from twinset.sklearn._columns import NothingToAdd, Rows, RulesExcludedWarning
from twinset.sklearn._declaration import declare_parameters
from twinset.sklearn._draws import ClassDraw, ClassSource, drawn
from twinset.sklearn._labels import Labels, rows_to_add
from twinset.sklearn._order import canonical_order
from twinset.sklearn._rules import rules_for
from twinset.sklearn._sampler import Floats, Sampler
from twinset.sklearn._tables import Table, dataset_of, whole_dataset_of

_MOVING = ("sum", "linear", "order", "predicate")


@functools.cache
def generator_class(name: str) -> Any:
    """Return the class of a generator; looking through the folders once is enough."""
    return component_class("generator", name)


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
    """A sampler whose rows come from a generator of twinset, one fit a class.

    Attributes
    ----------
    rules_ : tuple of Rule
        What holds in every new row. Rules are looked for in tables of up to 300 columns.

    Class attributes
    ----------------
    _component : str
        Name of the generator.
    _settings : tuple of str
        Parameters that are its settings, too.
    _sorts_itself : bool
        Whether its rows do not depend on the order of the rows it is fitted on.
    """

    _component: ClassVar[str]
    _settings: ClassVar[tuple[str, ...]] = ()
    _sorts_itself: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        """Declare the parameters of a subclass that has no `__init__` from the generator's fields."""
        super().__init_subclass__(**options)
        if "__init__" not in cls.__dict__:
            declare_parameters(cls, generator_class(cls._component), cls._settings)

    def _generator(self) -> Generator:
        settings = {name: getattr(self, name) for name in self._settings}
        made: Generator = generator_class(self._component)(**settings)
        return made

    def _longer(
        self, table: Table, labels: Labels, wanted: dict[int, int]
    ) -> tuple[Any, Rows, Rows]:
        generator, seed = self._generator(), self._seed()
        rare = np.flatnonzero(np.isin(labels.codes, list(wanted)))
        self.rules_ = rules_for(self.rules, table, rare) if wanted else ()
        try:
            return self._drawn(generator, seed, table, labels, wanted)
        except RecipeError as error:
            if self.rules is not None or not self.rules_:
                raise
            warnings.warn(
                f"the rules that were found cannot be held and were left out: {error}",
                RulesExcludedWarning,
                stacklevel=4,
            )
        self.rules_ = ()
        return self._drawn(generator, seed, table, labels, wanted)

    def _drawn(
        self,
        generator: Generator,
        seed: int,
        table: Table,
        labels: Labels,
        wanted: dict[int, int],
    ) -> tuple[Any, Rows, Rows]:
        # Generators stay inside the range of the class, so a range that was found holds anyway.
        is_found = self.rules is None
        rules = tuple(r for r in self.rules_ if not (is_found and r.kind == "range"))
        together = _Together(table, labels, self._sorts_itself) if wanted else None
        draws = []
        for code, n in wanted.items():
            own = labels.rows_of(code)
            real = dataset_of(table, own)
            order = canonical_order(real)
            own, real = own[order], real.take(order)
            path = (seed, str(labels.classes[code]))
            keeper, names = _keeper(real, rules), real.schema.names
            if not type(generator).needs_others or together is None:
                fitted = generator.fit(real, rng_for(*path, "fit"))
                source, rows = ClassSource(fitted, keeper, path, names), own
            else:
                fitted = together.fitted(generator, seed)
                where = together.condition(code)
                source, rows = ClassSource(fitted, keeper, path, names, where), together.rows
            draws.append(ClassDraw(source, rows, own, n))
        return drawn(table, draws, _n_threads(self.n_jobs))


class _Together:
    """All rows with their label as target, and the one generator that is fitted on them."""

    def __init__(self, table: Table, labels: Labels, sorts_itself: bool) -> None:
        self.table, self.labels, self.sorts_itself = table, labels, sorts_itself
        self.rows = np.arange(len(table))
        self.name = "label"
        while self.name in table.names:
            self.name += "_"
        self._fitted: FittedGenerator | None = None

    def fitted(self, generator: Generator, seed: int) -> FittedGenerator:
        """Return the generator fitted on all rows, once."""
        if self._fitted is None:
            whole = whole_dataset_of(self.table)
            codes = self.labels.codes
            if not self.sorts_itself:
                order = canonical_order(whole)
                self.rows, whole, codes = order, whole.take(order), codes[order]
            texts = pa.array([f"{code}" for code in range(len(self.labels.classes))])
            column = pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), texts)
            field = Field(name=self.name, kind="category", role="target", stored="string")
            records = whole.records.append_column(self.name, column)
            real = Dataset(records, Schema((*whole.schema.fields, field)))
            self._fitted = generator.fit(real, rng_for(seed, "fit"))
        return self._fitted

    def condition(self, code: int) -> Where:
        """Return the condition that means one class."""
        return Where({self.name: f"{code}"})


def _keeper(real: Dataset, rules: tuple[Rule, ...]) -> RuleEnforcer | None:
    if not rules:
        return None
    held = (*rules, *_ranges(real, rules))
    return RuleEnforcer.learn(replace(real, schema=replace(real.schema, rules=held)))


def _ranges(real: Dataset, rules: tuple[Rule, ...]) -> Iterator[Rule]:
    """Yield the range that real rows of the class have in each number that a rule may move.

    A repair must not take a total, say, further than any real one goes.
    """
    moved = {name for rule in rules if rule.kind in _MOVING for name in rule.columns}
    for field in real.schema.fields:
        if field.name in moved and field.is_numeric:
            values = real.values(field.name)
            if not np.isnan(values).all():
                low, high = float(np.nanmin(values)), float(np.nanmax(values))
                yield Rule("range", (field.name,), {"low": low, "high": high})


def _n_threads(n_jobs: int | None) -> int:
    if n_jobs is None:
        return 1
    return n_jobs if n_jobs > 0 else max(1, (os.cpu_count() or 1) + 1 + n_jobs)
