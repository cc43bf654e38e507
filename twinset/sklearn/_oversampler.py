"""Samplers that add rows to classes: copies, or rows of a generator, with rules and weights."""

from __future__ import annotations

import functools
import os
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.contracts import FittedGenerator, Generator, TracedGenerator
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
from twinset.sklearn._labels import Labels, rows_to_add
from twinset.sklearn._rows import canonical_order
from twinset.sklearn._rules import RuleWords, rules_for
from twinset.sklearn._sampler import Floats, Sampler
from twinset.sklearn._tables import Table

Parents = npt.NDArray[np.int64]
_MOVING = ("sum", "linear", "order", "predicate")  # kinds of rules whose repair moves numbers
# Rows enforced at a time: small first chunks make small requests fast; no more than fit the caches.
_FIRST_CHUNK, _MAX_CHUNK = 256, 65_536


@functools.cache
def generator_class(name: str) -> Any:
    """Return the class of a generator; the folders are read once."""
    return component_class("generator", name)


class OverSampler(Sampler):
    """A sampler that adds rows to classes.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable
        Number of rows of each class, as in imbalanced-learn.
    preserve_mass : bool
        Let `sample_weight_` keep the total weight of each class as it was.
    """

    sampling_strategy: Any = "auto"
    preserve_mass: bool = False

    def _plan(self, labels: Labels) -> dict[Any, int]:
        return rows_to_add(self.sampling_strategy, labels)

    def _resample(self, table: Table, labels: Labels) -> tuple[Any, Any]:
        missing = {label: n for label, n in self.sampling_strategy_.items() if n > 0}
        if not missing:
            warnings.warn(
                "no class is short of rows for this sampling_strategy: nothing was added",
                NothingToAdd,
                stacklevel=3,
            )
        known = labels.classes.tolist()
        requested = {known.index(label): n for label, n in missing.items()}
        X, parents, seeds = self._add_rows(table, labels, requested)
        rows = np.concatenate([np.arange(len(table)), seeds])
        y = labels.take(rows, getattr(X, "index", None) if hasattr(X, "iloc") else None)
        codes = labels.codes[rows]
        weights = self._weights(codes, labels)
        self._note(codes, len(table), parents, weights, labels.counts)
        return X, y

    @abstractmethod
    def _add_rows(
        self, table: Table, labels: Labels, requested: dict[int, int]
    ) -> tuple[Any, Rows, Rows]:
        """Return all rows with the new ones, the parents of these, and a real row of their class."""

    def _weights(self, codes: Rows, labels: Labels) -> Floats:
        """Return 1 for each row; with `preserve_mass` each class keeps its total weight."""
        if not self.preserve_mass:
            return np.ones(len(codes))
        after = np.bincount(codes, minlength=len(labels.classes))
        return np.asarray((labels.counts / after)[codes])


class GeneratorSampler(OverSampler):
    """A sampler whose rows come from a generator of twinset, fitted to each class.

    A subclass names the generator, the settings that become its parameters, and whether the rows of the
    generator are independent of the order of the real ones:
    ``class ROSE(GeneratorSampler, component="minority.rose", settings=("shrinkage",), is_ordered=True)``.

    Parameters
    ----------
    rules : sequence of Rule or mapping, or None
        Rules that every new row satisfies; None discovers those that every real row satisfies.
    n_jobs : int or None
        Threads that draw rows; the rows are the same for any number.

    Attributes
    ----------
    rules_ : tuple of Rule
        Rules that every new row satisfies. Rules are discovered in tables of up to 300 columns.
    """

    rules: RuleWords = None
    n_jobs: int | None = None

    _component: ClassVar[str] = ""
    _settings: ClassVar[tuple[str, ...]] = ()
    _is_ordered: ClassVar[bool] = False

    def __init_subclass__(
        cls, component: str, settings: tuple[str, ...] = (), is_ordered: bool = False
    ) -> None:
        """Declare the parameters of a subclass from its attributes and the generator's fields."""
        cls._component, cls._settings, cls._is_ordered = component, settings, is_ordered
        super().__init_subclass__()

    @classmethod
    def _declare(cls) -> None:
        generator = generator_class(cls._component) if cls._settings else None
        declare_parameters(cls, generator, cls._settings)

    def _generator(self) -> Generator:
        settings = {name: getattr(self, name) for name in self._settings}
        generator: Generator = generator_class(self._component)(**settings)
        return generator

    def _add_rows(
        self, table: Table, labels: Labels, requested: dict[int, int]
    ) -> tuple[Any, Rows, Rows]:
        seed = self._seed()
        rare = np.flatnonzero(np.isin(labels.codes, list(requested)))
        self.rules_ = rules_for(self.rules, table, rare) if requested else ()
        try:
            return self._draw(seed, table, labels, requested)
        except RecipeError as error:
            if self.rules is not None or not self.rules_:
                raise
            warnings.warn(
                f"the discovered rules cannot be enforced and were left out: {error}",
                RulesExcludedWarning,
                stacklevel=4,
            )
        self.rules_ = ()
        return self._draw(seed, table, labels, requested)

    def _draw(
        self, seed: int, table: Table, labels: Labels, requested: dict[int, int]
    ) -> tuple[Any, Rows, Rows]:
        generator = self._generator()
        # Generators stay inside the range of the class, so a discovered range is satisfied anyway.
        is_found = self.rules is None
        rules = tuple(r for r in self.rules_ if not (is_found and r.kind == "range"))
        together = _fit_together(generator, seed, table, labels, self._is_ordered, bool(requested))
        sources = []
        for code, n in requested.items():
            own = labels.rows_of(code)
            real = table.dataset(own)
            order = canonical_order(real)
            own, real = own[order], real.take(order)
            path = (seed, str(labels.classes[code]))
            if together is None:
                fitted, rows, where = generator.fit(real, rng_for(*path, "fit")), own, None
            else:
                fitted, rows, name = together
                where = Where({name: f"{code}"})
            sources.append(
                _ClassSource(
                    fitted=fitted,
                    enforcer=_enforcer(real, rules),
                    path=path,
                    names=real.schema.names,
                    rows=rows,
                    own=own,
                    n=n,
                    where=where,
                )
            )
        return _draw_all(table, sources, _n_threads(self.n_jobs))


def _fit_together(
    generator: Generator,
    seed: int,
    table: Table,
    labels: Labels,
    is_ordered: bool,
    is_needed: bool,
) -> tuple[FittedGenerator, Rows, str] | None:
    """Return a generator that needs the other classes, fitted on all rows; these; the label's name."""
    if not type(generator).needs_others or not is_needed:
        return None
    name = "label"
    while name in table.names:
        name += "_"
    whole, codes, rows = table.whole_dataset(), labels.codes, np.arange(len(table))
    if not is_ordered:
        rows = canonical_order(whole)
        whole, codes = whole.take(rows), codes[rows]
    texts = pa.array([f"{code}" for code in range(len(labels.classes))])
    column = pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), texts)
    field = Field(name=name, kind="category", role="target", stored="string")
    records = whole.records.append_column(name, column)
    real = Dataset(records, Schema((*whole.schema.fields, field)))
    return generator.fit(real, rng_for(seed, "fit")), rows, name


def _enforcer(real: Dataset, rules: tuple[Rule, ...]) -> RuleEnforcer | None:
    if not rules:
        return None
    with_ranges = (*rules, *_ranges(real, rules))
    return RuleEnforcer.learn(replace(real, schema=replace(real.schema, rules=with_ranges)))


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


@dataclass(frozen=True)
class _ClassSource:
    """A fitted generator, and what is needed to draw `n` rows of one class from it."""

    fitted: FittedGenerator
    enforcer: RuleEnforcer | None
    path: tuple[int, str]  # of the random streams
    names: tuple[str, ...]  # of the columns that are kept
    rows: Rows  # positions in the caller's table of the rows that the generator was fitted on
    own: Rows  # positions of the real rows of the class
    n: int
    where: Where | None = None

    def can_fill(self) -> bool:
        """Return whether rows can go straight into an array: numbers only, and no rule to enforce."""
        kinds = {self.fitted.schema[name].kind for name in self.names}
        is_traced = isinstance(self.fitted, TracedGenerator)
        return self.enforcer is None and kinds <= {"number", "integer"} and is_traced

    def fill(self, out: Floats) -> Parents:
        """Write the rows of `draw` into `out`, shape (n, d), and return their parents."""
        assert isinstance(self.fitted, TracedGenerator)
        return self.fitted.fill(out, rng_for(*self.path, "rows"), self.where)

    def draw(self, n_jobs: int) -> tuple[list[Dataset], Parents]:
        """Return `n` rows as a list of sets, and their parents, shape (n, 2); -1 for none.

        The first n rows of a request for 2n are the rows of a request for n, on any number of
        threads: each chunk has a stream of its own, and chunk sizes do not depend on n.
        """
        is_traced = isinstance(self.fitted, TracedGenerator)
        if is_traced and self.enforcer is None:
            new, parents = self._draw_raw(self.n, rng_for(*self.path, "rows"))
            return [new], parents
        sizes = list(chunk_sizes(self.n))
        starts = np.cumsum([0, *sizes]).tolist()
        whole = self._draw_raw(starts[-1], rng_for(*self.path, "rows")) if is_traced else None

        def chunk(index: int) -> tuple[Dataset, Parents]:
            rng = rng_for(*self.path, f"chunk-{index}")
            size, start = sizes[index], starts[index]
            if whole is None:
                new, parents = self._draw_raw(size, rng)
            else:
                new, parents = whole[0].slice(start, size), whole[1][start : start + size]
            return (new, parents) if self.enforcer is None else self._enforce(new, parents, rng)

        # One thread or many: the rows are the same.
        with ThreadPoolExecutor(max_workers=max(1, min(n_jobs, len(sizes)))) as pool:
            results = list(pool.map(chunk, range(len(sizes))))
        parents = np.concatenate([np.empty((0, 2), dtype=np.int64), *(p for _, p in results)])
        parts = [part for part, _ in results]
        if parts:
            parts[-1] = parts[-1].slice(0, self.n - starts[-2])
        return parts, parents[: self.n]

    def trace(self, found: Parents) -> tuple[Parents, Rows]:
        """Return parents as positions in the table, and for each new row a real one of its class.

        Rows without a parent stand for their class by one real row after the other.
        """
        parents = np.where(found >= 0, self.rows[found], -1)
        return parents, np.where(found[:, 0] >= 0, parents[:, 0], np.resize(self.own, len(found)))

    def _draw_raw(self, n: int, rng: np.random.Generator) -> tuple[Dataset, Parents]:
        if isinstance(self.fitted, TracedGenerator):
            new, parents = self.fitted.draw(n, rng, self.where)
        else:
            new = self.fitted.sample(n, rng, self.where)
            parents = np.full((n, 2), -1, dtype=np.int64)
        new = new.without_reserved()
        return (new if new.schema.names == self.names else new.select(self.names)), parents

    def _enforce(
        self, new: Dataset, parents: Parents, rng: np.random.Generator
    ) -> tuple[Dataset, Parents]:
        """Enforce the rules; a row that was drawn again has the parents of its new draw."""
        assert self.enforcer is not None
        known = [parents]

        def redraw(n: int) -> Dataset:
            again, found = self._draw_raw(n, rng)
            first = sum(map(len, known))
            known.append(found)
            return _numbered(again, first)

        repaired = self.enforcer.enforce(_numbered(new, 0), rng, None, redraw).dataset
        rows = pc.cast(repaired.records.column("_id"), pa.int64()).to_numpy()
        return repaired.without_reserved(), np.concatenate(known)[rows]


def _draw_all(table: Table, sources: list[_ClassSource], n_jobs: int) -> tuple[Any, Parents, Rows]:
    """Return all real rows with those drawn, the parents of these, and a real row of their class."""
    array = None
    if sources and all(source.can_fill() for source in sources):
        array = table.allocate(sum(source.n for source in sources))
    new: list[Dataset] = []
    parents, seeds = [np.empty((0, 2), np.int64)], [np.empty(0, np.int64)]
    start = 0
    for source in sources:
        if array is not None:
            found = source.fill(array[1][start : start + source.n])
            start += source.n
        else:
            parts, found = source.draw(n_jobs)
            new += parts
        own_parents, own_seeds = source.trace(found)
        parents.append(own_parents)
        seeds.append(own_seeds)
    origin = np.concatenate(seeds)
    X = table.extend(new, origin) if array is None else table.finish(array[0], origin)
    return X, np.concatenate(parents), origin


def chunk_sizes(n: int) -> Iterator[int]:
    """Yield sizes of chunks that together hold `n` rows or more: 256, 256, 512, ... 65,536.

    Examples
    --------
    >>> list(chunk_sizes(600))
    [256, 256, 512]
    """
    drawn, size = 0, _FIRST_CHUNK
    while drawn < n:
        yield size
        drawn += size
        size = min(max(drawn, _FIRST_CHUNK), _MAX_CHUNK)


def _numbered(new: Dataset, first: int) -> Dataset:
    """Return the rows with their number as `_id`, by which they are known after a repair."""
    numbers = pc.cast(pa.array(np.arange(first, first + len(new))), pa.string())
    return Dataset(new.records.append_column("_id", numbers), new.schema, new.card)
