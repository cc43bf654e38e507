"""Fit a generator and draw rows from it in chunks: the same rows on any number of workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import pyarrow as pa

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.dataset import Dataset
from twinset.core.errors import DataError, SchemaError
from twinset.core.fresh import FreshColumns
from twinset.core.schema import Schema
from twinset.core.seeding import rng_for
from twinset.core.where import Where


@dataclass(frozen=True)
class Source:
    """A fitted generator together with the columns that are made afresh beside it.

    Build one with `fit_source`.
    """

    fitted: FittedGenerator
    schema: Schema
    fresh: FreshColumns | None
    chunk_rows: int
    seed: int
    path: tuple[str, ...]

    def draw(
        self,
        n: int,
        *,
        where: Where | None = None,
        start: int = 0,
        part: str = "",
        workers: int = 1,
        progress: Progress = silent,
    ) -> Iterator[Dataset]:
        """Yield chunks that hold exactly `n` rows in all, in order.

        Every chunk is drawn whole from a stream of its own and the last one is cut, so the first n
        rows of a request for 2n are the rows of a request for n, on any number of workers.

        Parameters
        ----------
        n : int
            Rows wanted, 0 or more.
        where : Where, optional
            Condition for every row.
        start : int
            Position of the first row in the whole set; fresh ids count from here.
        part : str
            Name of this request when one set is drawn in several parts.
        workers : int
            Threads that draw chunks, 1 or more.
        progress : Progress
            Told the rows done after each chunk.
        """

        def chunk(index: int) -> Dataset:
            rng = rng_for(self.seed, *self.path, part, f"chunk-{index}")
            made = self.fitted.sample(self.chunk_rows, rng, where)
            first = index * self.chunk_rows
            made = made.slice(0, min(self.chunk_rows, n - first))
            return self._with_fresh(made, start + first)

        done = 0
        for made in _in_order(chunk, -(-n // self.chunk_rows), workers):
            done += len(made)
            progress("draw", done, n)
            yield made

    def _with_fresh(self, made: Dataset, start: int) -> Dataset:
        if self.fresh is None:
            return made
        columns = self.fresh.fill(len(made), start, self.seed, self.schema.fields)
        kept = made.records
        names = list(self.schema.names)
        arrays = [columns[name] if name in columns else kept.column(name) for name in names]
        records = pa.table(arrays, names=names)
        if "_parents" in kept.column_names:
            records = records.append_column("_parents", kept.column("_parents"))
        return replace(made, records=records, schema=self.schema)


def fit_source(
    generator: Generator,
    real: Dataset | None,
    *,
    seed: int,
    path: tuple[str, ...],
    where: Where | None = None,
    known: Dataset | None = None,
    progress: Progress = silent,
) -> Source:
    """Return `generator` fitted on the rows of `real` that `where` means.

    Identifiers and free text are withheld from generators that do not make them, and are made afresh
    when rows are drawn; they are never copied. `known` holds all real rows, the locked ones too: no
    identifier in it is made again, and nothing else is read from it but the share that is missing.

    Raises
    ------
    DataError
        A real set is needed and there is none, or `where` means no row of it.
    SchemaError
        A column is of a kind that the generator can neither make nor leave to be made afresh.
    """
    rng = rng_for(seed, *path, "fit")
    if real is None or not type(generator).needs_real:
        if real is None and type(generator).needs_real:
            raise DataError(
                "this generator learns from real rows and there is no real set",
                todo="give the recipe a source",
            )
        fitted = generator.fit(None, rng, progress)
        return Source(fitted, fitted.schema, None, type(generator).chunk_rows, seed, path)
    meant = real.where(where)
    if len(meant) == 0:
        raise DataError(
            f"no row of the training part meets the condition: {where}",
            got=f"0 of {len(real)} rows",
            todo="correct the condition, or give data that hold such rows",
        )
    kinds = type(generator).kinds
    withheld = [
        f.name for f in real.schema.fields if f.kind in ("id", "text") and f.kind not in kinds
    ]
    _refuse_unmakeable(meant.schema, kinds, withheld)
    learnt = meant.select([name for name in real.schema.names if name not in withheld])
    fresh = _fresh_columns(real, known or real, withheld) if withheld else None
    fitted = generator.fit(learnt, rng, progress)
    return Source(fitted, real.schema, fresh, type(generator).chunk_rows, seed, path)


def _fresh_columns(real: Dataset, known: Dataset, withheld: list[str]) -> FreshColumns:
    of_kind = {
        kind: [name for name in withheld if real.schema[name].kind == kind]
        for kind in ("id", "text")
    }
    ids = FreshColumns.fit(known.select(of_kind["id"])) if of_kind["id"] else None
    texts = FreshColumns.fit(real.select(of_kind["text"])) if of_kind["text"] else None
    return FreshColumns(
        ids.ids if ids else {}, texts.texts if texts else {}, ids.missing if ids else {}
    )


def _refuse_unmakeable(schema: Schema, kinds: frozenset[str], withheld: list[str]) -> None:
    for field in schema.fields:
        if field.kind not in kinds and field.name not in withheld:
            raise SchemaError(
                f"the generator cannot make the column '{field.name}'",
                got=f"a column of kind {field.kind}",
                allowed=", ".join(sorted(kinds)),
                todo="choose another generator or leave the column out",
            )
    if len(withheld) == len(schema.fields):
        raise SchemaError(
            "there is no column to learn from",
            got="only identifiers and free text",
            todo="give a table with at least one number, category, boolean or date",
        )


def _in_order(make: Callable[[int], Dataset], count: int, workers: int) -> Iterator[Dataset]:
    """Yield make(0), make(1), ... in order; at most a few chunks are held at any time."""
    if workers <= 1 or count <= 1:
        yield from (make(index) for index in range(count))
        return
    with ThreadPoolExecutor(max_workers=workers) as pool:
        waiting: deque[Future[Dataset]] = deque()
        for index in range(count):
            waiting.append(pool.submit(make, index))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
