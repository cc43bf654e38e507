"""The promises of a metric."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from twinset.core.contracts import Comparison, Measurement, Metric, NotMeasurable
from twinset.testing._examples import example_comparison
from twinset.testing._shared import (
    as_instance,
    check_class,
    fits_or_refuses,
    hard_cases,
    require,
    stream,
    untouched_globals,
)

FAMILIES = ("gap", "coverage", "utility", "privacy")
Check = Callable[[Metric, Comparison], None]


def check_metric(metric: Metric | type[Metric], comparison: Comparison | None = None) -> None:
    """Run every metric check.

    Parameters
    ----------
    metric : Metric or its class
        A class is built with its default settings.
    comparison : Comparison, optional
        What it looks at; by default example sets of its kinds. It must be measurable.

    Raises
    ------
    AssertionError
        A promise is broken; the sentence says which.
    MissingExtraError
        Its library is not installed.
    """
    instance = as_instance(metric)
    given = example_comparison(type(instance).kinds) if comparison is None else comparison
    for check in METRIC_CHECKS:
        check(instance, given)


def written_as_the_contract_asks(metric: Metric, comparison: Comparison) -> None:
    """Check that the class is a frozen keyword-only dataclass with its facts and a first sentence."""
    facts: dict[str, type | tuple[type, ...]] = {
        "family": str,
        "higher_is_better": bool,
        "bounds": tuple,
        "kinds": frozenset,
        "has_floor": bool,
        "known_baseline": (float, type(None)),
        "needs_real": bool,
        "extra": (str, type(None)),
    }
    check_class(metric, facts)
    require(type(metric).family in FAMILIES, f"'family' must be one of {FAMILIES}")
    low, high = type(metric).bounds
    require(low < high, "'bounds' must be (least, greatest)")
    known = type(metric).known_baseline
    require(known is None or low <= known <= high, "'known_baseline' must lie within the bounds")
    require(metric.margin >= 0, "'margin' must be 0 or more")


def measurement_is_sound_and_repeatable(metric: Metric, comparison: Comparison) -> None:
    """Check one measurement: value, side effects, and equality when repeated with and without a cache."""

    def compute(given: Comparison, **other: Any) -> Measurement:
        return metric.compute(replace(given, **other), stream("draw"))

    fresh = replace(comparison, cache={})
    before = _digests(comparison)
    first = compute(fresh)
    with untouched_globals():  # not the first time: importing a library may draw numbers
        again = compute(fresh, cache={})
    require(_digests(comparison) == before, "a compared set was changed")
    require(_equal(first, again), "equal streams gave other numbers")
    require(_equal(first, compute(fresh)), "a filled cache gave other numbers")
    _check_sound(metric, first)
    # The baseline is measured like another candidate of as many rows, and their replicates are paired.
    cache: dict[Any, Any] = {}
    baseline = compute(fresh, synthetic=comparison.reference, cache=cache)
    after = compute(fresh, cache=cache)
    require(_equal(first, after), "what another candidate left in the cache gave other numbers")
    require(first.replicates.shape == baseline.replicates.shape, "replicates cannot be paired")


def hard_data_measure_or_are_refused(metric: Metric, comparison: Comparison) -> None:
    """Check that one row, no row, constant and empty columns are measured or refused clearly."""

    def call(given: Comparison) -> None:
        try:
            _check_sound(metric, metric.compute(given, stream("draw")))
        except NotMeasurable as reason:
            require(bool(str(reason).strip()), "'not measurable' must say why")

    for name, rows in hard_cases(comparison.synthetic):
        alone = replace(comparison, synthetic=rows, cache={})
        fits_or_refuses(call, alone, name=name)
        fits_or_refuses(call, replace(alone, train=rows, reference=rows, cache={}), name=name)


def _check_sound(metric: Metric, found: Measurement) -> None:
    low, high = type(metric).bounds
    require(np.isfinite(found.value), "the value is no finite number")
    require(low - 1e-9 <= found.value <= high + 1e-9, f"the value {found.value} is out of bounds")
    require(found.replicates.ndim == 1, "replicates must have the shape (b,)")
    require(bool(np.isfinite(found.replicates).all()), "a replicate is no finite number")
    json.dumps([dict(found.facts), [one.to_json() for one in found.findings]], allow_nan=False)


def _equal(first: Measurement, second: Measurement) -> bool:
    return first.value == second.value and np.array_equal(first.replicates, second.replicates)


def _digests(comparison: Comparison) -> list[str]:
    return [part.digest for part in (comparison.train, comparison.synthetic, comparison.reference)]


METRIC_CHECKS: tuple[Check, ...] = (
    written_as_the_contract_asks,
    measurement_is_sound_and_repeatable,
    hard_data_measure_or_are_refused,
)
"""Every promise of a metric, as functions of (metric, comparison)."""
