"""The promises of a generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from twinset.core.contracts import FittedGenerator, Generator
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.testing._examples import example_dataset
from twinset.testing._shared import (
    as_instance,
    check_class,
    check_labels,
    check_valid,
    fits_or_refuses,
    hard_cases,
    keep_last,
    must_refuse,
    require,
    stream,
    untouched_globals,
)

MANY = 40  # rows: enough that each label and a missing value come with near certainty
Check = Callable[[Generator, Dataset | None], None]


def check_generator(generator: Generator | type[Generator], real: Dataset | None = None) -> None:
    """Run every generator check.

    Parameters
    ----------
    generator : Generator or its class
        A class is built with its default settings.
    real : Dataset, optional
        What it learns from; by default an example set of its kinds.

    Raises
    ------
    AssertionError
        A promise is broken; the sentence says which.
    MissingExtraError
        Its library is not installed.
    """
    instance = as_instance(generator)
    if real is None and type(instance).needs_real:
        real = example_dataset(type(instance).kinds)
    for check in GENERATOR_CHECKS:
        check(instance, real)


def written_as_the_contract_asks(generator: Generator, real: Dataset | None) -> None:
    """Check that the class is a frozen keyword-only dataclass with its facts and a first sentence."""
    check_class(generator, Generator)


def input_unmutated(generator: Generator, real: Dataset | None) -> None:
    """Check that the real set is left as it was."""
    before = real.digest if real is not None else ""
    _fit(generator, real).sample(MANY, stream("draw"))
    require(real is None or real.digest == before, "the real set was changed")


def global_random_state_untouched(generator: Generator, real: Dataset | None) -> None:
    """Check that the global random states stay as they are."""
    with untouched_globals():
        _fit(generator, real).sample(5, stream("draw"))


def same_rng_same_bytes(generator: Generator, real: Dataset | None) -> None:
    """Check that equal streams give equal bytes, also from one fitted generator asked twice."""
    first = _fitted(generator, real)
    made = first.sample(MANY, stream("draw")).digest
    require(first.sample(MANY, stream("draw")).digest == made, "asked twice, it gave other bytes")
    again = _fit(generator, real).sample(MANY, stream("draw"))
    require(again.digest == made, "fitted twice, it gave other bytes")


def same_bytes_in_threads(generator: Generator, real: Dataset | None) -> None:
    """Check that a fitted generator can be asked from several threads at once."""
    fitted = _fitted(generator, real)

    def draw(part: int) -> str:
        return fitted.sample(10, stream(f"part-{part}")).digest

    alone = [draw(part) for part in range(4)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        require(list(pool.map(draw, range(4))) == alone, "in threads it gave other bytes")


def exact_n(generator: Generator, real: Dataset | None) -> None:
    """Check that exactly n valid rows come back, for no, one and many rows."""
    fitted = _fitted(generator, real)
    for n in (0, 1, MANY):
        check_valid(fitted.sample(n, stream("draw")), n)


def schema_kept(generator: Generator, real: Dataset | None) -> None:
    """Check that rows come in the fitted schema, which is the real one, with legal labels only."""
    fitted = _fitted(generator, real)
    made = fitted.sample(MANY, stream("draw"))
    require(made.schema == fitted.schema, "the rows come in another schema than 'fitted.schema'")
    require(made.schema.kinds <= type(generator).kinds, "it makes kinds that 'kinds' does not list")
    if real is None or not type(generator).needs_real:
        return
    require(made.schema == real.schema, "the schema is not that of the real set")
    check_labels(made, real, "category", "boolean")


def nulls_kept(generator: Generator, real: Dataset | None) -> None:
    """Check that columns with missing values miss some, and the others none; or a refusal."""
    if real is None:
        return

    def call() -> None:
        made = _fitted(generator, real).sample(300, stream("draw"))
        for field in real.schema.fields:
            gone, found = real.is_null(field.name).any(), made.is_null(field.name).any()
            require(bool(gone) or not found, f"'{field.name}' is never missing and became so")
            require(
                not gone or bool(found), f"'{field.name}' is sometimes missing and never became so"
            )

    fits_or_refuses(call)


def hard_data_fit_or_are_refused(generator: Generator, real: Dataset | None) -> None:
    """Check that one row, no row, constant and empty columns work or are refused clearly."""

    def call(rows: Dataset) -> None:
        made = _fit(generator, rows).sample(7, stream("draw"))
        check_valid(made, 7)
        require(made.schema == rows.schema, "the schema is not that of the real set")

    for name, rows in hard_cases(real) if real is not None else ():
        fits_or_refuses(call, rows, name=name)


def foreign_kinds_refused(generator: Generator, real: Dataset | None) -> None:
    """Check that a column of a kind outside 'kinds' is refused."""
    own = type(generator).kinds
    foreign = [kind for kind in ("text", "boxes", "number") if kind not in own]
    if type(generator).needs_real and foreign:
        wider = example_dataset({*own, foreign[0]})
        must_refuse(_fit, generator, wider, subject=f"a column of kind {foreign[0]}")


def where_honoured(generator: Generator, real: Dataset | None) -> None:
    """Check that every row meets the condition, or that the condition is refused."""
    fitted = _fitted(generator, real)
    seen = real if real is not None else fitted.sample(MANY, stream("look"))

    def call(where: Where) -> None:
        made = fitted.sample(9, stream("draw"), where)
        check_valid(made, 9)
        require(bool(made.mask(where).all()), f"rows do not meet the condition: {where}")

    for conditions in _conditions(seen):
        fits_or_refuses(call, Where(conditions))


def impossible_where_refused(generator: Generator, real: Dataset | None) -> None:
    """Check that a condition that no row can meet, or on no column, is refused."""
    fitted = _fitted(generator, real)
    refused: list[dict[str, Any]] = [{"no such column": 1}]
    refused += [{field.name: "no such label"} for field in fitted.schema.of_kind("category")]
    for where in map(Where, refused):
        must_refuse(fitted.sample, 3, stream("draw"), where, subject=f"the condition {where}")


def _fit(generator: Generator, real: Dataset | None) -> FittedGenerator:
    return generator.fit(real if type(generator).needs_real else None, stream("fit"))


_fitted = keep_last(_fit)


def _conditions(seen: Dataset) -> Iterator[Mapping[str, Any]]:
    """Yield conditions of every form that rows of `seen` meet."""
    yield {}
    labels = {}
    for field in seen.schema.of_kind("category"):
        codes, levels = seen.codes(field.name)
        if levels:
            counts = np.bincount(codes[codes >= 0], minlength=len(levels))
            labels[field.name] = levels[int(counts.argmax())]
    for name, level in labels.items():
        yield {name: level}
        yield {name: [level]}
        yield {name: {"not": level}} if len(seen.codes(name)[1]) > 1 else {name: level}
        yield {name: {"not": None}}
        if seen.is_null(name).any():
            yield {name: None}
    for field in seen.schema.of_kind("number", "integer"):
        middle = float(np.nanmedian(seen.values(field.name)))
        yield {field.name: {"ge": middle}}
        yield {field.name: {"le": middle}}
        if labels:
            name, level = next(iter(labels.items()))
            yield {name: level, field.name: {"ge": middle}}
    for field in seen.schema.of_kind("boolean"):
        yield {field.name: True}


GENERATOR_CHECKS: tuple[Check, ...] = (
    written_as_the_contract_asks, input_unmutated, global_random_state_untouched,
    same_rng_same_bytes, same_bytes_in_threads, exact_n, schema_kept, nulls_kept,
    hard_data_fit_or_are_refused, foreign_kinds_refused, where_honoured, impossible_where_refused,
)  # fmt: skip
"""Every promise of a generator, as functions of (generator, real set or None)."""
