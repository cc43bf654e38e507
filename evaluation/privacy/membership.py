"""Membership attacks: train rows that synthetic rows separate from control rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from twinset.core.contracts import Comparison, Measurement
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.encoder import distances_to
from twinset.core.findings import DecidingRows, MembershipAttack
from twinset.core.parameters import Ge, Margin
from twinset.core.stats.hypothesis_tests import areas

from ._attacks import (
    Attack,
    AttackTargets,
    Floats,
    Positions,
    choose_positions,
    distance_floor,
    distances_to_others,
    draw_counts,
    true_positive_rate,
)


@dataclass(frozen=True, kw_only=True)
class Membership(Attack):
    """AUC of two attacks that separate train rows from control rows by the synthetic rows.

    value = max(0.5, (AUC(-d_syn) + AUC(ln d_real - ln d_syn)) / 2), with the distances of a row to the
    nearest synthetic row and to the nearest other real row, members and control rows together:

    - *distance*: a row with a near synthetic row is taken for a member;
    - *density ratio*: near synthetic rows mean little where real rows are dense, much where they are
      sparse; this is the calibration of DOMIAS with nearest neighbours as densities.

    The AUC is the probability that the attacker picks the member of a member and a control row. The
    mean, not the better one, keeps the chance level at 0.5. A few copied rows among many do not change it:
    `privacy.outliers` is the attack on those.

    Parameters
    ----------
    max_rows : int
        Train rows that are attacked, and control rows.
    max_synthetic : int
        Synthetic rows of the attacker.

    References
    ----------
    van Breugel, Sun, Qian, van der Schaar (2023), Membership Inference Attacks against Synthetic Data
    through Overfitting Detection, AISTATS (DOMIAS).
    Carlini et al. (2022), Membership Inference Attacks From First Principles, IEEE S&P (the true positive
    rate at a false positive rate of 1 %).
    """

    title: ClassVar[str] = "separating training rows from others"
    interpretation: ClassVar[str] = (
        "An attacker guesses from the synthetic rows who was in the training set: 0.5 is guessing, 1 is "
        "always right. Above what unseen rows get, the set discloses who was in it."
    )
    bounds: ClassVar[tuple[float, float]] = (0.5, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "text"}

    margin: Margin = 0.03
    max_rows: Annotated[int, Ge(1)] = 5_000
    max_synthetic: Annotated[int, Ge(1)] = 200_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean AUC of both attacks, 0.5 to 1; facts hold each, and the true positive rate."""
        members, control = choose_positions(comparison, self.max_rows, rng)
        weights = [draw_counts(len(rows), self.replicates, rng) for rows in (members, control)]
        # Drawn last, so that the number of synthetic rows changes no other draw.
        synthetic = comparison.synthetic.at_most(self.max_synthetic, rng)
        targets, to_other = _prepare_targets(comparison, members, control)
        to_synthetic = distances_to(targets.features, synthetic, targets.encoder)
        signals = attack_signals(to_synthetic, to_other)
        pairs = {name: targets.separate(signal) for name, signal in signals.items()}
        aucs = {name: float(areas(low, high)[0]) for name, (high, low) in pairs.items()}
        drawn = [areas(low, high, *weights[::-1]) for high, low in pairs.values()]
        value = max(float(np.mean(list(aucs.values()))), 0.5)
        n, m = len(members), len(control)
        facts = {
            "auc": aucs,
            "true_positive_rate_at_1_percent_false": true_positive_rate(*pairs["density_ratio"]),
            "rows": {"train": n, "control": m, "synthetic": len(synthetic)},
            "max_rows": {"real": self.max_rows, "synthetic": self.max_synthetic},
        }
        decides = DecidingRows(min(n, m), "attacked rows of the smaller set")
        findings = MembershipAttack(value), decides
        return Measurement(value, np.mean(drawn, axis=0), findings, facts=facts)


def attack_signals(to_synthetic: Floats, to_other: Floats) -> dict[str, Floats]:
    """Return the signals of both attacks, shape (n,) each; larger means a member.

    From the distances of each attacked row to the nearest synthetic and the nearest other attacked row.

    Examples
    --------
    >>> found = attack_signals(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    >>> found["distance"].tolist(), found["density_ratio"].round(2).tolist()
    ([-1.0, -2.0], [0.0, 0.69])
    """
    small = distance_floor(to_other)
    ratio = np.log(to_other + small) - np.log(to_synthetic + small)
    return {"distance": -to_synthetic, "density_ratio": ratio}


def _prepare_targets(
    comparison: Comparison, members: Positions, control: Positions
) -> tuple[AttackTargets, Floats]:
    """Return the attack targets and their distances to others, kept for the next candidate."""
    positions = np.append(members, control)
    known: Any = comparison.cache.get("attack targets")
    if known is None or not np.array_equal(known[0], positions):
        targets = AttackTargets.from_comparison(comparison, members, control)
        known = positions, targets, distances_to_others(targets.features)
        comparison.cache["attack targets"] = known
    return known[1], known[2]
