"""The promises of a metric."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twinset.core.contracts import Comparison, Measurement, Metric, NotMeasurable
from twinset.testing._examples import example_comparison
from twinset.testing._shared import (
    as_instance,
    check_class,
    fits_or_refuses,
    global_states,
    hard_cases,
    keep_last,
    require,
    require_same_states,
    stream,
)

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
    check_class(metric, Metric)
    low, high = type(metric).bounds
    require(low < high, "'bounds' must be (least, greatest)")
    known = type(metric).known_baseline
    require(known is None or low <= known <= high, "'known_baseline' must lie within the bounds")
    require(metric.margin >= 0, "'margin' must be 0 or more")


def input_unmutated(metric: Metric, comparison: Comparison) -> None:
    """Check that the compared sets are left as they were."""
    first = _first(metric, comparison)
    require(_digests(comparison) == first.digests, "a compared set was changed")


def global_random_state_untouched(metric: Metric, comparison: Comparison) -> None:
    """Check that the global random states stay as they are."""
    _first(metric, comparison)  # loads libraries, and some of them draw when they are loaded
    other = _other(metric, comparison)
    require_same_states(other.states_before, other.states_after)


def measurement_is_sound(metric: Metric, comparison: Comparison) -> None:
    """Check that value and replicates are numbers within the bounds and details are JSON."""
    _check_sound(metric, _first(metric, comparison).found)


def same_rng_same_value(metric: Metric, comparison: Comparison) -> None:
    """Check that equal streams give equal values and replicates, with and without a cache."""
    first = _first(metric, comparison)
    for cache, subject in (
        ({}, "equal streams"),
        (first.cache, "a filled cache"),
        (_other(metric, comparison).cache, "what another candidate left in the cache"),
    ):
        again = metric.compute(replace(comparison, cache=cache), stream("draw"))
        same = np.array_equal(first.found.replicates, again.replicates)
        require(same and first.found.value == again.value, f"{subject} gave other numbers")


def replicates_pair_up(metric: Metric, comparison: Comparison) -> None:
    """Check that equally large sets get equally many replicates, so that they can be paired."""
    first, second = _first(metric, comparison).found, _other(metric, comparison).found
    require(first.replicates.shape == second.replicates.shape, "replicates cannot be paired")


@dataclass(frozen=True)
class _Observed:
    found: Measurement
    cache: dict[str, Any]  # What it left there
    digests: list[str]  # Of the compared sets, before it
    states_before: dict[str, object]  # Global random states
    states_after: dict[str, object]


def _observe(metric: Metric, comparison: Comparison) -> _Observed:
    """Return a measurement that found nothing in the cache, and what was before it."""
    digests, states, cache = _digests(comparison), global_states(), dict[str, Any]()
    found = metric.compute(replace(comparison, cache=cache), stream("draw"))
    return _Observed(found, cache, digests, states, global_states())


_first = keep_last(_observe)


@keep_last
def _other(metric: Metric, comparison: Comparison) -> _Observed:
    """Return the measurement of another candidate, the reference."""
    return _observe(metric, replace(comparison, synthetic=comparison.reference))


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


def _digests(comparison: Comparison) -> list[str]:
    return [part.digest for part in (comparison.train, comparison.synthetic, comparison.reference)]


METRIC_CHECKS: tuple[Check, ...] = (
    written_as_the_contract_asks, input_unmutated, global_random_state_untouched,
    measurement_is_sound, same_rng_same_value, replicates_pair_up,
    hard_data_measure_or_are_refused,
)  # fmt: skip
"""Every promise of a metric, as functions of (metric, comparison)."""
