"""From two measurements to a verdict: interval, margin, smallest detectable effect, plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twinset.core.contracts import ComponentResults, Measurement, Metric, Score, Verdict
from twinset.core.features.slice_search import FEWEST_TOLD
from twinset.core.stats.hypothesis_tests import discoveries

FEWEST_ROWS = 20
"""Below this many rows on a side nothing is decided, whatever the numbers say."""

_DISCOVERY_RATE = 0.05
_DEGREES = 49
"""Degrees of freedom of an error that 50 groups of rows tell (see `core.resampling.Groups`)."""
_MOST_NAMED = 3
_REACH = 1.96


@dataclass(frozen=True)
class DifferentComponents:
    """Parts that are different, worst first; `values` and `baselines` are those of the parts.

    `beyond` is the greatest harm of a part that is sure, the near end of its 95 % interval, in margins.
    """

    what: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    baselines: tuple[float, ...]
    margin: float
    beyond: float

    def sentence(self) -> str:
        """Return which parts are different, the worst with its numbers."""
        n = len(self.names)
        who = ", ".join(self.names[:_MOST_NAMED]) + (
            f" and {n - _MOST_NAMED} more" if n > _MOST_NAMED else ""
        )
        worst = f"{short(self.values[0])}, real rows {short(self.baselines[0])}"
        return (
            f"{n} {self.what}{'' if n == 1 else 's'} ({who}); {worst} for the worst, allowed is "
            f"{short(self.margin)} more"
        )

    def to_json(self) -> dict[str, Any]:
        """Return them as plain JSON values."""
        return {
            "what": self.what,
            "names": list(self.names),
            "margin": self.margin,
            "beyond": self.beyond,
        }


def find_different_components(
    metric: Metric,
    measured: ComponentResults | None,
    baseline: ComponentResults | None,
    n_rows: int,
) -> DifferentComponents | None:
    """Return the parts whose harm is beyond their margin; None where there are none to look at.

    Each part is tested one-sidedly against harm of at most the margin, by Student's t since errors are
    those of a bootstrap of 50 groups of rows, and the false discovery rate over all parts is kept at
    5 %. Parts that only one of the two measurements has, such as a group that
    is large enough on one side, have nothing to be held against and are left out.

    References
    ----------
    Benjamini and Hochberg, "Controlling the false discovery rate", J. R. Stat. Soc. B 57, 1995.
    """
    from scipy.special import stdtr

    if measured is None or baseline is None or n_rows < FEWEST_ROWS:
        return None
    shared = [name for name in measured.names if name in set(baseline.names)]
    if not shared:
        return None
    measured, baseline = _only(measured, shared), _only(baseline, shared)
    sign = -1.0 if metric.higher_is_better else 1.0
    harm = sign * (measured.values - baseline.values)
    error = np.std(measured.replicates - baseline.replicates, axis=0, ddof=1)
    error = np.maximum(error, min_standard_error(metric, n_rows))
    p_values = np.asarray(stdtr(_DEGREES, -(harm - measured.margin) / error))
    found = np.flatnonzero(discoveries(p_values, _DISCOVERY_RATE))
    found = found[np.argsort(-harm[found], kind="stable")]
    sure = (harm - _REACH * error)[found] / max(measured.margin, 1e-12)
    return DifferentComponents(
        measured.what,
        tuple(measured.names[i] for i in found),
        tuple(float(measured.values[i]) for i in found),
        tuple(float(baseline.values[i]) for i in found),
        measured.margin,
        float(sure.max(initial=0.0)),
    )


def _only(parts: ComponentResults, names: Sequence[str]) -> ComponentResults:
    """Return the named parts, in this order."""
    place = {name: i for i, name in enumerate(parts.names)}
    rows = [place[name] for name in names]
    return replace(
        parts,
        names=tuple(names),
        values=parts.values[rows],
        replicates=parts.replicates[:, rows],
    )


def min_standard_error(metric: Metric, n_rows: int) -> float:
    """Return the least standard error that is believed of a number from `n_rows` rows.

    It is the spread of the Jeffreys law of a share seen 0 times in n rows: about 0.7 / n.
    """
    span = metric.bounds[1] - metric.bounds[0]
    return 0.7 * (span if math.isfinite(span) else 1.0) / max(n_rows, 1)


def short(number: float) -> str:
    """Return a number with three decimals, whole from 100 on, one digit where it would be zero."""
    if number == 0 or abs(number) >= 0.0005:
        return f"{number:.3f}" if abs(number) < 100 else _thousands(number)
    return f"{number:.1g}"


def _thousands(number: float) -> str:
    return f"{number:,.0f}" if abs(number) < 1e7 else f"{number:.3g}"


_POWER = 0.84


@dataclass(frozen=True)
class Reference:
    """What a measurement is held against.

    Parameters
    ----------
    baseline : Measurement
        The same metric on real rows, or the best value it can take where it needs no real rows.
    floor : float or None
        The same metric on independent columns.
    n_rows : int
        Rows on the smaller side of the comparison.
    called : str
        What the baseline is, in plain words.
    what : str
        What those rows are, in plain words.
    """

    baseline: Measurement
    floor: float | None
    n_rows: int
    called: str = "real rows"
    what: str = "rows on each side"


def not_measurable(name: str, metric: Metric, reason: str) -> Score:
    """Return the score of a metric that lacks what it needs; `reason` says what."""
    return Score(
        metric=name,
        family=metric.family,
        value=None,
        baseline=None,
        floor=None,
        interval=None,
        margin=metric.margin,
        higher_is_better=metric.higher_is_better,
        verdict="not measurable",
        detectable=None,
        sentence=f"not measurable: {reason}",
    )


def compute_verdict(
    name: str,
    metric: Metric,
    measured: Measurement,
    against: Reference,
    details: Mapping[str, Any],
    note: str = "",
) -> Score:
    """Return the score of `measured` held against its baseline.

    The verdict looks in the direction of harm only: better than real is as good as real. It is "as
    good as real" when the whole 95 % interval of the harm lies within the margin, "different" when
    all of it lies outside, else "cannot tell". Two guards keep small samples from passing: below 20
    rows nothing is decided, and no standard error counts as smaller than that of a share that was
    seen 0 times in n rows. Where the measurement has parts, one that is different makes the whole
    different: see `find_different_components`.

    Parameters
    ----------
    name : str
        Name of the metric.
    metric : Metric
        The metric, for its direction, margin and bounds.
    measured : Measurement
        The candidate's measurement. Without replicates it is taken as exact.
    against : Against
        Baseline, floor and number of rows. Where `measured.details` has ``deciding: {rows, what}``,
        e.g. the positive rows of a rare class, those are the rows that count.
    details : mapping
        Details of the score.
    note : str
        What a reader must know beside the verdict, as a sentence without its stop.
    """
    value, base = float(measured.value), float(against.baseline.value)
    if not math.isfinite(value) or not math.isfinite(base):
        return not_measurable(name, metric, "no finite number came out")
    deciding = measured.details.get("deciding", {"rows": against.n_rows, "what": against.what})
    n_rows = int(deciding["rows"])
    exact = len(measured.replicates) == 0
    error = 0.0 if exact else _standard_error(metric, measured, against.baseline, n_rows)
    difference = value - base
    interval = (difference - _REACH * error, difference + _REACH * error)
    harm = (-interval[1], -interval[0]) if metric.higher_is_better else interval
    verdict = _verdict(harm, metric.margin, enough=exact or n_rows >= FEWEST_ROWS)
    parts = find_different_components(metric, measured.parts, against.baseline.parts, n_rows)
    said = _Said(value, base, against.called, harm, metric.margin, n_rows, str(deciding["what"]))
    sentence = said.sentence(verdict)
    if parts is not None and parts.names:
        details = {**details, "different": parts.to_json()}
        sentence = f"different: {parts.sentence()}" if verdict != "different" else sentence
        verdict = "different"
    told = [words for words in (measured.details.get("summary"), note) if words]
    return Score(
        metric=name,
        family=metric.family,
        value=value,
        baseline=base,
        floor=against.floor,
        interval=interval,
        margin=metric.margin,
        higher_is_better=metric.higher_is_better,
        verdict=verdict,
        detectable=None if exact else (_REACH + _POWER) * error,
        sentence=". ".join([sentence, *told]),
        details=details,
    )


def rows_needed(n_rows: int, harm: tuple[float, float], margin: float) -> int | None:
    """Return about how many rows would decide, two digits rounded up; None where none would.

    Parameters
    ----------
    n_rows : int
        Rows there are.
    harm : tuple of float
        95 % interval of the harm.
    margin : float
        Largest harm that counts as good as real.

    Examples
    --------
    >>> rows_needed(100, (-0.02, 0.06), 0.04)
    400
    """
    middle, reach = (harm[0] + harm[1]) / 2, (harm[1] - harm[0]) / 2
    away = abs(margin - middle)
    if away * 30 <= reach:
        return None
    needed = max(n_rows * (reach / away) ** 2, FEWEST_ROWS)
    digit: int = 10 ** max(math.floor(math.log10(needed)) - 1, 0)
    return math.ceil(round(needed / digit, 6)) * digit


def _standard_error(
    metric: Metric, measured: Measurement, baseline: Measurement, n_rows: int
) -> float:
    mine, other = measured.replicates, baseline.replicates
    if len(mine) == len(other):
        error = float(np.std(mine - other, ddof=1))
    else:
        error = math.hypot(np.std(mine, ddof=1), np.std(other, ddof=1) if len(other) > 1 else 0.0)
    return max(error, min_standard_error(metric, n_rows))


def _verdict(harm: tuple[float, float], margin: float, enough: bool) -> Verdict:
    # A billionth forgives rounding where a harm lies exactly on the margin, as 0 on 0 does.
    if not enough:
        return "cannot tell"
    if harm[1] <= margin + 1e-9:
        return "as good as real"
    return "different" if harm[0] > margin + 1e-9 else "cannot tell"


@dataclass(frozen=True)
class _Said:
    """The numbers of a verdict, ready to be put in words."""

    value: float
    base: float
    called: str
    harm: tuple[float, float]
    margin: float
    n_rows: int
    what: str

    def sentence(self, verdict: Verdict) -> str:
        numbers = f"{short(self.value)}, {self.called} {short(self.base)}"
        if verdict == "as good as real":
            return f"as good as real: {numbers}; {self._most()}"
        if verdict == "different":
            least = short(self.harm[0])
            return f"different: {numbers}; worse by at least {least}, allowed is {self._margin}"
        if self.n_rows < FEWEST_ROWS:
            there = str(self.n_rows)
            if self.n_rows < FEWEST_TOLD:
                there = f"at most {FEWEST_TOLD - 1} (so small a count is not told exactly)"
            return f"cannot tell: needs at least {FEWEST_ROWS} {self.what}, there are {there}; {numbers}"
        needed = rows_needed(self.n_rows, self.harm, self.margin)
        asks = (
            f"needs about {needed:,} {self.what}, there are {self.n_rows:,}"
            if needed is not None
            else "the harm lies right at the margin, more rows will hardly decide"
        )
        between = f"{short(self.harm[0])} and {short(self.harm[1])}"
        return f"cannot tell: {asks}; {numbers}; the harm is between {between}, allowed is {self._margin}"

    def _most(self) -> str:
        if self.harm[1] <= 0:
            return "no worse than that"
        return f"worse by at most {short(self.harm[1])}, allowed is {self._margin}"

    @property
    def _margin(self) -> str:
        return short(self.margin)
