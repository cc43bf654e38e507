"""Gates: the bounds set on scores, by a recipe or in words; a missed one is a result, not an error."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from twinset.core.contracts import Score
from twinset.core.errors import RecipeError, UnknownNameError, did_you_mean
from twinset.report.answers.phrases import short

Bound = Literal["max", "min"]
Of = Literal["value", "difference"]
_BOUNDS: Mapping[str, Bound] = {"<=": "max", ">=": "min"}
_WORDS = re.compile(r"\s*([\w.]+)(?:\s+(value|difference))?\s*(<=|>=)\s*(\S+)\s*")


@dataclass(frozen=True)
class Gate:
    """One bound on a score, with its outcome."""

    metric: str  # Name of the metric
    bound: Bound  # Side of the bound; the limit itself still passes
    limit: float  # The bound
    # What is compared with it: the metric's value, or its difference from the baseline of real
    # rows. Of a difference the far end of its 95 % interval counts, so that a small sample cannot
    # pass by being small.
    of: Of
    # The number that was compared with the limit; None when it could not be measured
    value: float | None
    passed: bool  # Whether the bound is satisfied; what could not be measured fails

    def format_bound(self) -> str:
        """Return the bound in words, e.g. "at most 0.100"."""
        return f"{'at most' if self.bound == 'max' else 'at least'} {short(self.limit)}"


def apply_gates(
    scores: Sequence[Score], gates: Mapping[str, Mapping[str, Any]]
) -> tuple[Gate, ...]:
    """Return every gate with its outcome, in the order of `gates`.

    `gates`: metric -> ``{max: number, min: number, of: "value" | "difference"}``, at least one
    bound.

    Examples
    --------
    >>> from twinset.core.contracts import Estimate
    >>> from twinset.core.findings import Verdict
    >>> score = Score("privacy.exact_copies", "privacy", 0.001, False, Verdict.EQUIVALENT,
    ...               Estimate(0.0, 0.0))
    >>> apply_gates([score], {"privacy.exact_copies": {"max": 0}})[0].passed
    True
    """
    known = {score.metric: score for score in scores}
    check_gates(gates, known)
    bounds: tuple[Bound, ...] = ("max", "min")
    return tuple(
        _apply(known[metric], bound, float(settings[bound]), settings.get("of", "value"))
        for metric, settings in gates.items()
        for bound in bounds
        if bound in settings
    )


def check_gates(
    gates: Mapping[str, Mapping[str, Any]], metrics: Iterable[str], place: str = "evaluate.gates"
) -> None:
    """Raise what `apply_gates` would, before anything is measured.

    `gates`: as for `apply_gates`. `metrics`: the metrics that will be measured. `place`: where the
    gates stand, for the error's sentence.
    """
    known = set(metrics)
    for metric, settings in gates.items():
        if metric not in known:
            raise UnknownNameError.for_name("metric", metric, known, place=f"{place}.{metric}")
        _check(settings, f"{place}.{metric}")


def read_gates(words: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the gates that words like ``"privacy.exact_copies <= 0"`` mean, as a recipe holds them.

    ``difference`` after the name compares the bound with the difference from real rows.

    >>> read_gates(["privacy.exact_copies <= 0", "gap.marginals difference <= 0.05"])
    {'privacy.exact_copies': {'max': 0.0}, 'gap.marginals': {'of': 'difference', 'max': 0.05}}
    """
    gates: dict[str, dict[str, Any]] = {}
    for text in words:
        metric, bound, limit, of = _read(text)
        settings = gates.setdefault(metric, {} if of == "value" else {"of": of})
        if bound in settings or settings.get("of", "value") != of:
            raise RecipeError(
                f"the gates of '{metric}' do not go together",
                got=f"'{text}' beside another one",
                allowed="one <= and one >= a metric, both of its value or both of its difference",
            )
        settings[bound] = limit
    return gates


def _read(text: str) -> tuple[str, Bound, float, Of]:
    found = _WORDS.fullmatch(text)
    try:
        limit = float(found[4]) if found else math.nan
    except ValueError:
        limit = math.nan
    if found is None or not math.isfinite(limit):
        raise RecipeError(
            "a gate is not understood",
            got=f"'{text}'",
            allowed="METRIC <= NUMBER, METRIC >= NUMBER, METRIC difference <= NUMBER",
            todo='write it like --gate "privacy.exact_copies <= 0"',
        )
    of: Of = "difference" if found[2] == "difference" else "value"
    return found[1], _BOUNDS[found[3]], limit, of


def _apply(score: Score, bound: Bound, limit: float, of: Of) -> Gate:
    value = score.value
    if of == "difference" and score.interval is not None:
        value = score.interval[1] if bound == "max" else score.interval[0]
    elif of == "difference" and value is not None:
        value = None if score.baseline is None else value - score.baseline
    if value is None or not math.isfinite(value):
        return Gate(score.metric, bound, limit, of, None, False)
    passed = value <= limit if bound == "max" else value >= limit
    return Gate(score.metric, bound, limit, of, float(value), passed)


def _check(settings: Mapping[str, Any], place: str) -> None:
    """Raise RecipeError for anything else than ``{max: number, min: number, of: word}``."""
    unknown = [str(key) for key in settings if key not in ("max", "min", "of")]
    limits = [settings[key] for key in ("max", "min") if key in settings]
    are_numbers = all(
        isinstance(one, int | float) and not isinstance(one, bool) and not math.isnan(one)
        for one in limits
    )
    knows_of = settings.get("of", "value") in ("value", "difference")
    if unknown or not limits or not are_numbers or not knows_of:
        raise RecipeError(
            f"a gate is not understood ({place})",
            got=", ".join(f"{key}: {value}" for key, value in settings.items()) or "no bound",
            allowed="max: NUMBER, min: NUMBER, of: value or difference",
            todo=did_you_mean(unknown[0], ("max", "min", "of")) if unknown else "",
        )
