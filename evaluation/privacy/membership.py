"""Whether the synthetic rows tell which real rows the generator saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.encoder import distances_to
from twinset.core.findings import DecidingRows, MembershipAttack
from twinset.core.parameters import Ge, Margin, Replicates

from ._membership_attack import (
    AttackTargets,
    Floats,
    Positions,
    auc,
    distances_to_others,
    draws,
    pick,
    weighted_aucs,
)

_FEWEST_FOR_RATE = 100
"""Control rows that a rate of false alarms of 1 % needs: one row in a hundred."""
_SMALL_CELL = 11


@dataclass(frozen=True, kw_only=True)
class Membership(Metric):
    """Measures how well the synthetic rows tell training rows from real rows never seen.

    Two attacks, each blind to who is a member but for the synthetic rows:

    - *distance*: a row with a near synthetic row is said to be a member;
    - *density ratio*: that distance relative to the distance to the nearest other real row, members
      and control rows taken together. Where people are dense near rows mean nothing, where they are
      sparse much; this is the calibration of DOMIAS with nearest neighbours as densities.

    The value is the mean of their areas under the ROC curve, AUC: shown a member and a control row,
    how often the attacker picks the member. Taking the mean, not the better one, keeps the chance
    level at 0.5. Values below 0.5 are no less of a leak and count as 0.5. A few copied rows among many
    do not move it: `privacy.outliers` is the attack on those that stand out.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    max_rows : int
        Training rows that are attacked, and control rows.
    max_synthetic : int
        Synthetic rows that the attacker holds.
    replicates : int
        Bootstrap replicates of the attacked rows.

    References
    ----------
    van Breugel, Sun, Qian, van der Schaar (2023), Membership Inference Attacks against Synthetic Data
    through Overfitting Detection, AISTATS (DOMIAS).
    Carlini et al. (2022), Membership Inference Attacks From First Principles, IEEE S&P (the rate of
    true alarms at 1 % false ones).
    """

    family: ClassVar[MetricFamily] = "privacy"
    title: ClassVar[str] = "separating training rows from others"
    interpretation: ClassVar[str] = (
        "An attacker guesses from the synthetic rows who was in the training set: 0.5 is guessing, 1 is "
        "always right. Above what unseen rows get, the set discloses who was in it."
    )
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.5, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "text"}
    has_floor: ClassVar[bool] = False
    # Rows of another time are told apart with nothing learnt from the synthetic rows.
    needs_same_time: ClassVar[bool] = True

    margin: Margin = 0.03
    max_rows: Annotated[int, Ge(1)] = 5_000
    max_synthetic: Annotated[int, Ge(1)] = 200_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean AUC of both attacks, 0.5 to 1; details hold each, and the true alarms."""
        members, control = pick(comparison, self.max_rows, rng)
        weights = [draws(len(side), self.replicates, rng) for side in (members, control)]
        # Drawn last, so that the number of synthetic rows moves nothing else.
        synthetic = comparison.synthetic.at_most(self.max_synthetic, rng)
        victims, to_other = _prepared(comparison, members, control)
        to_synthetic = distances_to(victims.features, synthetic, victims.encoder)
        signals = attack_signals(to_synthetic, to_other)
        sides = {
            name: (signal[victims.is_member], signal[~victims.is_member])
            for name, signal in signals.items()
        }
        aucs = {name: auc(*side) for name, side in sides.items()}
        drawn = [weighted_aucs(*side, weights[0], weights[1]) for side in sides.values()]
        value = max(float(np.mean(list(aucs.values()))), 0.5)
        facts = {
            "auc": aucs,
            "true_alarms_at_1_percent_false": round_rate(
                true_positive_rate(*sides["density_ratio"]), len(members)
            ),
            "rows": {
                "train": len(members),
                "control": len(control),
                "synthetic": len(synthetic),
            },
            "max_rows": {"real": self.max_rows, "synthetic": self.max_synthetic},
        }
        n = min(len(members), len(control))
        findings = MembershipAttack(value), DecidingRows(n, "attacked rows on the smaller side")
        return Measurement(value, np.mean(drawn, axis=0), findings, facts=facts)


def attack_signals(to_synthetic: Floats, to_other: Floats) -> dict[str, Floats]:
    """Return the signals of both attacks, shape (n,) each; the larger, the likelier a member.

    Parameters
    ----------
    to_synthetic : numpy.ndarray, shape (n,)
        Distance of each attacked row to the nearest synthetic row.
    to_other : numpy.ndarray, shape (n,)
        Distance to the nearest other attacked row.

    Examples
    --------
    >>> found = attack_signals(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    >>> found["distance"].tolist(), found["density_ratio"].round(2).tolist()
    ([-1.0, -2.0], [0.0, 0.69])
    """
    # A copied row lies at distance 0: far below any distance, but of a finite logarithm. The least
    # distance takes the scale of the rows' own, so that no unit matters.
    apart = to_other[to_other > 0]
    small = 1e-6 * float(np.median(apart)) if len(apart) else 1.0
    ratio = np.log(to_other + small) - np.log(to_synthetic + small)
    return {"distance": -to_synthetic, "density_ratio": ratio}


def true_positive_rate(members: Floats, control: Floats) -> float | None:
    """Return the share of members whose signal exceeds that of all but 1 % of the control rows.

    None below 100 control rows, of which 1 % is less than a row.

    Examples
    --------
    >>> true_positive_rate(np.array([98.5, 97.0]), np.arange(100.0))
    0.5
    """
    if len(control) < _FEWEST_FOR_RATE:
        return None
    threshold = np.sort(control)[len(control) - 1 - len(control) // 100]
    return float((members > threshold).mean())


def _prepared(
    comparison: Comparison, members: Positions, control: Positions
) -> tuple[AttackTargets, Floats]:
    """Return what does not depend on the synthetic rows, kept for the next candidate."""
    key = "membership victims"
    known: Any = comparison.cache.get(key)
    if known is None or not _same(known[0], (members, control)):
        victims = AttackTargets.of(comparison, members, control)
        known = (members, control), victims, distances_to_others(victims.features)
        comparison.cache[key] = known
    return known[1], known[2]


def round_rate(share: float | None, n_members: int) -> float | None:
    """Return a share of the members; None where it would speak of 1 to 10 of them."""
    if share is None or 1 <= round(share * n_members) < _SMALL_CELL:
        return None
    return share


def _same(first: tuple[Positions, ...], second: tuple[Positions, ...]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second))
