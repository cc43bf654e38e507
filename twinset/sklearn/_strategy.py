"""`sampling_strategy` as imbalanced-learn reads it: how many rows each class gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from twinset.core.errors import did_you_mean
from twinset.sklearn._errors import SamplerInputError
from twinset.sklearn._labels import Labels

Strategy = float | str | Mapping[Any, int] | Callable[[Any], Mapping[Any, int]]
NAMES = ("auto", "minority", "not minority", "not majority", "all")


def rows_to_add(strategy: Strategy, labels: Labels) -> dict[Any, int]:
    """Return how many rows each targeted class is to get, label -> rows, in the order of labels.

    Parameters
    ----------
    strategy : float, str, mapping or callable
        A float is the wanted minority / majority ratio, for two classes. A name says which classes
        are raised to the size of the largest: ``auto`` and ``not majority``, ``minority``,
        ``not minority``, ``all``. A mapping gives the wanted rows of each class, the real ones
        included. A callable gets y and returns such a mapping.
    labels : Labels
        The labels of the real rows.

    Raises
    ------
    SamplerInputError
        There is one class only, or the strategy does not fit the labels.
    """
    counts = dict(zip(labels.classes.tolist(), labels.counts.tolist(), strict=True))
    if len(counts) < 2:
        raise SamplerInputError(
            "The target 'y' needs to have more than 1 class",
            got=f"{len(counts)} class instead",
            todo="give rows of both classes",
        )
    if isinstance(strategy, str):
        return _named(strategy, counts)
    if isinstance(strategy, float | int | Real):
        return _ratio(float(strategy), counts)
    wanted = strategy if isinstance(strategy, Mapping) else strategy(labels.given)
    return _wanted(wanted, counts)


def _named(name: str, counts: dict[Any, int]) -> dict[Any, int]:
    most = max(counts.values())
    largest = max(counts, key=lambda label: counts[label])
    smallest = min(counts, key=lambda label: counts[label])
    chosen = {
        "minority": [smallest],
        "not minority": [label for label in counts if label != smallest],
        "all": list(counts),
    }
    chosen["auto"] = chosen["not majority"] = [label for label in counts if label != largest]
    if name not in chosen:
        raise SamplerInputError(
            "unknown name for 'sampling_strategy'",
            got=repr(name),
            allowed=", ".join(NAMES),
            todo=did_you_mean(name, NAMES),
        )
    return {label: most - counts[label] for label in chosen[name]}


def _ratio(ratio: float, counts: dict[Any, int]) -> dict[Any, int]:
    if not 0 < ratio <= 1:
        raise SamplerInputError(
            "When 'sampling_strategy' is a float, it should be in the range (0, 1]", got=f"{ratio}"
        )
    if len(counts) != 2:
        raise SamplerInputError(
            '"sampling_strategy" can be a float only when the type of target is binary',
            got=f"{len(counts)} classes",
            todo="For multi-class, use a dict.",
        )
    largest = max(counts, key=lambda label: counts[label])
    other = next(label for label in counts if label != largest)
    lacking = int(counts[largest] * ratio - counts[other])
    if lacking <= 0:
        raise SamplerInputError(
            "The specified ratio required to remove samples from the minority class while trying "
            "to generate new samples",
            got=f"{ratio}, where the data have {counts[other] / counts[largest]:.3g}",
            todo="Please increase the ratio.",
        )
    return {other: lacking}


def _wanted(wanted: Mapping[Any, int], counts: dict[Any, int]) -> dict[Any, int]:
    strangers = [label for label in wanted if label not in counts]
    if strangers:
        raise SamplerInputError(
            f"The {set(strangers)} target class is/are not present in the data.",
            allowed=", ".join(map(str, list(counts)[:30])),
        )
    added = {}
    for label, n_real in counts.items():
        if label not in wanted:
            continue
        if wanted[label] < n_real:
            raise SamplerInputError(
                "With over-sampling methods, the number of samples in a class should be greater "
                "or equal to the original number of samples",
                got=f"{wanted[label]} for the class {label}, which has {n_real}",
            )
        added[label] = int(wanted[label]) - n_real
    return added
