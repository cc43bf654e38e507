"""Which parts of a measurement are different, e.g. single columns, and in which words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twinset.core.contracts import Metric, Parts
from twinset.core.shares import discoveries

FEWEST_ROWS = 20
"""Below this many rows on a side nothing is decided, whatever the numbers say."""

_DISCOVERY_RATE = 0.05
_DEGREES = 49
"""Degrees of freedom of an error that 50 groups of rows tell (see `core.resampling.Groups`)."""
_MOST_NAMED = 3
_REACH = 1.96


@dataclass(frozen=True)
class DifferentParts:
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


def different_parts(
    metric: Metric, measured: Parts | None, baseline: Parts | None, n_rows: int
) -> DifferentParts | None:
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
    error = np.maximum(error, least_error(metric, n_rows))
    p_values = np.asarray(stdtr(_DEGREES, -(harm - measured.margin) / error))
    found = np.flatnonzero(discoveries(p_values, _DISCOVERY_RATE))
    found = found[np.argsort(-harm[found], kind="stable")]
    sure = (harm - _REACH * error)[found] / max(measured.margin, 1e-12)
    return DifferentParts(
        measured.what,
        tuple(measured.names[i] for i in found),
        tuple(float(measured.values[i]) for i in found),
        tuple(float(baseline.values[i]) for i in found),
        measured.margin,
        float(sure.max(initial=0.0)),
    )


def _only(parts: Parts, names: Sequence[str]) -> Parts:
    """Return the named parts, in this order."""
    place = {name: i for i, name in enumerate(parts.names)}
    rows = [place[name] for name in names]
    return replace(
        parts,
        names=tuple(names),
        values=parts.values[rows],
        replicates=parts.replicates[:, rows],
    )


def least_error(metric: Metric, n_rows: int) -> float:
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
