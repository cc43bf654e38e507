"""The promises of an augmenter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from twinset.core.contracts import Augmenter
from twinset.core.data.dataset import Dataset
from twinset.testing._examples import example_dataset
from twinset.testing._shared import (
    as_instance,
    check_class,
    check_labels,
    check_valid,
    fits_or_refuses,
    hard_cases,
    keep_last,
    require,
    stream,
    untouched_globals,
)

Check = Callable[[Augmenter, Dataset], None]


def check_augmenter(augmenter: Augmenter | type[Augmenter], real: Dataset | None = None) -> None:
    """Run every augmenter check.

    Parameters
    ----------
    augmenter : Augmenter or its class
        A class is built with its default settings.
    real : Dataset, optional
        What it varies; by default an example set of its kinds. It must hold `_id`.

    Raises
    ------
    AssertionError
        A promise is broken; the sentence says which.
    MissingExtraError
        Its library is not installed.
    """
    instance = as_instance(augmenter)
    real = example_dataset(type(instance).kinds) if real is None else real
    for check in AUGMENTER_CHECKS:
        check(instance, real)


def written_as_the_contract_asks(augmenter: Augmenter, real: Dataset) -> None:
    """Check that the class is a frozen keyword-only dataclass with its facts and a first sentence."""
    check_class(augmenter, Augmenter)


def same_rng_same_bytes(augmenter: Augmenter, real: Dataset) -> None:
    """Check that equal streams give equal parameters and equal bytes."""
    first, second = (augmenter.draw(real, stream("draw")) for _ in range(2))
    require(_bytes(first) == _bytes(second), "equal streams gave other parameters")
    made = augmenter.apply(real, first).digest
    require(augmenter.apply(real, second).digest == made, "equal parameters gave other bytes")


def parameters_are_one_a_row(augmenter: Augmenter, real: Dataset) -> None:
    """Check that each parameter is an array with one entry a row, and that `apply` keeps it."""
    for n in (0, 1, len(real)):
        for name, values in augmenter.draw(real.slice(0, n), stream("draw")).items():
            require(isinstance(values, np.ndarray), f"the parameter '{name}' is no array")
            require(
                len(values) == n, f"the parameter '{name}' has {len(values)} entries for {n} rows"
            )
    params = augmenter.draw(real, stream("draw"))
    before = _bytes(params)
    augmenter.apply(real, params)
    require(_bytes(params) == before, "'apply' changed the parameters")


def global_random_state_untouched(augmenter: Augmenter, real: Dataset) -> None:
    """Check that the global random states stay as they are."""
    with untouched_globals():
        _vary(augmenter, real)


def input_unmutated(augmenter: Augmenter, real: Dataset) -> None:
    """Check that the given rows are left as they were."""
    before = real.digest
    _vary(augmenter, real)
    require(real.digest == before, "the given rows were changed")


def exact_n(augmenter: Augmenter, real: Dataset) -> None:
    """Check that each given row gives one valid row, for no, one and many rows."""
    for n in (0, 1, len(real)):
        check_valid(_vary(augmenter, real.slice(0, n)), n)


def schema_kept(augmenter: Augmenter, real: Dataset) -> None:
    """Check that the rows come in the schema that went in, with its labels."""
    made = _varied(augmenter, real)
    require(made.schema == real.schema, "the rows come in another schema")
    check_labels(made, real, "category")


def nulls_kept(augmenter: Augmenter, real: Dataset) -> None:
    """Check that values are missing where they were missing before."""
    made = _varied(augmenter, real)
    for field in real.schema.fields:
        same = bool((made.is_null(field.name) == real.is_null(field.name)).all())
        require(same, f"'{field.name}' is missing in other rows than before")


def parents_named(augmenter: Augmenter, real: Dataset) -> None:
    """Check that each row names the row it was made from, in order."""
    made = _varied(augmenter, real)
    require("_parents" in made.records.column_names, "the rows do not say what they were made from")
    ids = real.records.column("_id").to_pylist()
    parents = made.records.column("_parents").to_pylist()
    require([found[0] for found in parents] == ids, "wrong parents")


def something_varies(augmenter: Augmenter, real: Dataset) -> None:
    """Check that other streams give other rows."""
    other = augmenter.apply(real, augmenter.draw(real, stream("other")))
    require(_varied(augmenter, real).digest != other.digest, "two streams gave the same rows")


def hard_data_fit_or_are_refused(augmenter: Augmenter, real: Dataset) -> None:
    """Check that one row, no row, constant and empty columns work or are refused clearly."""
    for name, rows in hard_cases(real):
        fits_or_refuses(
            lambda rows: check_valid(_vary(augmenter, rows), len(rows)), rows, name=name
        )


def _vary(augmenter: Augmenter, real: Dataset) -> Dataset:
    return augmenter.apply(real, augmenter.draw(real, stream("draw")))


_varied = keep_last(_vary)


def _bytes(params: Mapping[str, Any]) -> dict[str, bytes]:
    return {name: np.ascontiguousarray(values).tobytes() for name, values in params.items()}


AUGMENTER_CHECKS: tuple[Check, ...] = (
    written_as_the_contract_asks, input_unmutated, global_random_state_untouched,
    same_rng_same_bytes, parameters_are_one_a_row, exact_n, schema_kept, nulls_kept,
    parents_named, something_varies, hard_data_fit_or_are_refused,
)  # fmt: skip
"""Every promise of an augmenter, as functions of (augmenter, rows to vary)."""
