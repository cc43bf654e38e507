"""Gates: the bounds that a recipe sets on scores; a missed one is a result, not an error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from twinset.core.contracts import Score
from twinset.core.errors import RecipeError, UnknownNameError, did_you_mean

Bound = Literal["max", "min"]
Of = Literal["value", "difference"]


@dataclass(frozen=True)
class Gate:
    """One bound and whether it was kept.

    Parameters
    ----------
    metric : str
        Name of the metric.
    bound : {"max", "min"}
        Side of the bound; the limit itself still passes.
    limit : float
        The bound.
    of : {"value", "difference"}
        What is held against it: the metric's value, or its difference from real rows put through the
        same door. Of a difference the far end of its 95 % interval counts, so that a small sample
        cannot pass by being small.
    value : float or None
        The number that was held against the limit; None when it could not be measured.
    passed : bool
        Whether the bound was kept; what could not be measured fails.
    """

    metric: str
    bound: Bound
    limit: float
    of: Of
    value: float | None
    passed: bool

    def to_json(self) -> dict[str, Any]:
        """Return the gate as plain JSON values."""
        return asdict(self)


def apply_gates(
    scores: Sequence[Score], gates: Mapping[str, Mapping[str, Any]]
) -> tuple[Gate, ...]:
    """Return every gate with its outcome, in the order of `gates`.

    Parameters
    ----------
    scores : sequence of Score
        What was measured.
    gates : mapping
        Metric -> ``{max: number, min: number, of: "value" | "difference"}``, at least one bound.

    Raises
    ------
    UnknownNameError
        A gate names a metric that was not measured.
    RecipeError
        A gate has no bound, an unknown key or a limit that is no number.

    Examples
    --------
    >>> score = Score("privacy.exact_copies", "privacy", 0.0, 0.0, None, None, 0.001, False,
    ...               "as good as real", None, "no copies")
    >>> apply_gates([score], {"privacy.exact_copies": {"max": 0}})[0].passed
    True
    """
    known = {score.metric: score for score in scores}
    outcome = []
    for metric, settings in gates.items():
        if metric not in known:
            raise UnknownNameError.of("metric", metric, known, place=f"evaluate.gates.{metric}")
        of = _check(metric, settings)
        for bound in ("max", "min"):
            if bound in settings:
                limit = float(settings[bound])
                outcome.append(_gate(known[metric], "max" if bound == "max" else "min", limit, of))
    return tuple(outcome)


def _gate(score: Score, bound: Bound, limit: float, of: Of) -> Gate:
    value = score.value if of == "value" else _difference(score, bound)
    if value is None or not math.isfinite(value):
        return Gate(score.metric, bound, limit, of, None, False)
    passed = value <= limit if bound == "max" else value >= limit
    return Gate(score.metric, bound, limit, of, float(value), passed)


def _difference(score: Score, bound: Bound) -> float | None:
    if score.interval is not None:
        return score.interval[1] if bound == "max" else score.interval[0]
    if score.value is None or score.baseline is None:
        return None
    return score.value - score.baseline


def _check(metric: str, settings: Mapping[str, Any]) -> Of:
    place = f"evaluate.gates.{metric}"
    unknown = [str(key) for key in settings if key not in ("max", "min", "of")]
    bounds = [key for key in ("max", "min") if key in settings]
    if unknown or not bounds:
        raise RecipeError(
            f"a gate is not understood ({place})",
            got=", ".join(unknown) or "no bound",
            allowed="max, min, of",
            todo=did_you_mean(unknown[0], ("max", "min", "of")) if unknown else "",
        )
    for key in bounds:
        limit = settings[key]
        if isinstance(limit, bool) or not isinstance(limit, int | float) or math.isnan(limit):
            raise RecipeError(
                f"a gate's limit is no number ({place}.{key})", got=type(limit).__name__
            )
    of = settings.get("of", "value")
    if of not in ("value", "difference"):
        raise RecipeError(
            f"a gate compares something unknown ({place}.of)",
            got=str(of),
            allowed="value, difference",
        )
    return "value" if of == "value" else "difference"
