"""Membership attack on outliers: train rows far from all others that come back in synthetic rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.encoder import distances_to
from twinset.core.findings import DecidingRows, OutlierCounts
from twinset.core.parameters import Ge, Interval, Margin, Replicates
from twinset.core.seeding import draw_seed, rng_for
from twinset.core.stats.hypothesis_tests import excess_p

from ._membership_attack import (
    Floats,
    Mask,
    choose_positions,
    compute_auc,
    draw_counts,
    hide_small_count,
    weighted_aucs,
)
from ._outlier_rows import find_outlier_rows

# Of the distance to the nearest other real row: near enough to disclose, nearly exact, exact.
_NEAR, _BACK, _EXACT = 0.5, 0.1, 0.001


@dataclass(frozen=True, kw_only=True)
class Outliers(Metric):
    """AUC of a membership attack on outliers, the rows on which attacks succeed first.

    The 1, 2 and 5 % of all real rows, train and control rows together, that are farthest from their nearest
    other real row are attacked. The signal is r, the distance to the nearest synthetic row over the
    distance to the nearest other real row, used in two ways:

    - *near*: a row with r < 1/2 is taken for a member; AUC = 1/2 + (share of train rows - share of control
      rows) / 2, mean over the three parts, so that the farthest rows weigh most. It finds few rows that
      come back.
    - *ranking*: the AUC of r itself over the largest part. It finds many rows with a weak trace each, as of
      rows between real rows.

    The value is the mean of both. It is low where few of many come back. So rows that come back nearly
    exactly (r < 1/10) are also counted in the largest part; where Fisher's exact test (one-sided, at
    `significance`) rejects chance for the excess of train rows among them, the value is, if larger, the
    AUC over the pairs that this decides: of pairs of one train and one control row of which exactly one
    came back, the share where it is the train row.

    Intervals include one more row of each set with an unseen outcome. So few outliers are never certain,
    and the attack passes only where its upper bound does.

    Parameters
    ----------
    margin : float
        Largest degradation that still counts as equivalent, in the unit of the value.
    significance : float
        Level of the test, in (0, 0.5].
    max_rows : int
        Train rows among which outliers are searched, and control rows.
    max_synthetic : int
        Synthetic rows of the attacker.
    replicates : int
        Bootstrap replicates of the attacked rows.

    References
    ----------
    Meeus, Guepin, Cretu, de Montjoye (2023), Achilles' Heels: Vulnerable Record Identification in
    Synthetic Data Publishing, ESORICS workshops.
    """

    family: ClassVar[MetricFamily] = "privacy"
    title: ClassVar[str] = "recognising training rows far from all others"
    interpretation: ClassVar[str] = (
        "The same guess about membership, for the outlier rows only. They are the easiest to disclose, "
        "and an average over all rows hides them."
    )
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.5, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "text"}
    has_floor: ClassVar[bool] = False
    # New kinds of rows of a later time are outliers among the train rows.
    needs_same_time: ClassVar[bool] = True

    margin: Margin = 0.08
    significance: Annotated[float, Interval(gt=0, le=0.5)] = 0.01
    max_rows: Annotated[int, Ge(1)] = 20_000
    max_synthetic: Annotated[int, Ge(1)] = 200_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the AUC on outliers, 0.5 to 1; facts count those that come back."""
        members, control = choose_positions(comparison, self.max_rows, rng)
        # Separate streams: the number of synthetic rows changes no other draw.
        seed = draw_seed(rng)
        outliers = find_outlier_rows(comparison, members, control, seed)
        synthetic = comparison.synthetic.at_most(self.max_synthetic, rng_for(seed, "synthetic"))
        found = distances_to(outliers.features, synthetic, outliers.targets.encoder)
        relative = found / outliers.distances
        value, replicates, back = outlier_attack(
            relative, outliers.is_member, outliers.parts, rng,
            replicates=self.replicates, significance=self.significance,
        )  # fmt: skip
        pairs = [relative[outliers.is_member], relative[~outliers.is_member]]
        facts = {
            "outlier_rows": {"train": len(pairs[0]), "control": len(pairs[1])},
            "near": _count_near(pairs, _NEAR),
            "nearly_exact": _count_near(pairs, _BACK),
            "exact": _count_near(pairs, _EXACT),
            "more_come_back_than_chance": back,
            "ranking_auc": compute_auc(-pairs[0], -pairs[1]),
            "rows": {"train": len(members), "control": len(control), "synthetic": len(synthetic)},
            "max_rows": {"real": self.max_rows, "synthetic": self.max_synthetic},
        }
        near = [hide_small_count(int((rows < _NEAR).sum())) for rows in pairs]
        counts = OutlierCounts(len(pairs[0]), len(pairs[1]), *near)
        rows = DecidingRows(min(map(len, pairs)), "outliers of the smaller set")
        return Measurement(value, replicates, (counts, rows), facts=facts)


def outlier_attack(
    relative: Floats,
    is_member: Mask,
    parts: Sequence[int],
    rng: np.random.Generator,
    *,
    replicates: int = 200,
    significance: float = 0.01,
) -> tuple[float, Floats, bool]:
    """Return the AUC of the attack on outliers, its replicates, and whether a test decided.

    Parameters
    ----------
    relative : numpy.ndarray, shape (k,)
        Distance of each outlier to the nearest synthetic row, in units of its distance to the nearest other
        real row; farthest first.
    is_member : numpy.ndarray of bool, shape (k,)
        Train rows; both kinds occur.
    parts : sequence of int
        Sizes of the parts, rising to k.
    rng : numpy.random.Generator
        Draws the replicates.
    replicates : int
        Their number.
    significance : float
        Level of Fisher's test on rows that come back nearly exactly.

    Examples
    --------
    >>> near = np.array([0.0, 1.0, 0.0, 1.0])
    >>> member = np.array([True, False, True, False])
    >>> outlier_attack(near, member, [2, 4], np.random.default_rng(0))[0]
    1.0
    """
    # Another candidate has other draws: with equal ones, pairing would cancel the uncertainty.
    weights = [
        draw_counts(int(rows.sum()) + 1, replicates, rng) for rows in (is_member, ~is_member)
    ]
    own = rng_for(draw_seed(rng), hashlib.sha256(relative.tobytes()).hexdigest())
    coins = own.random((3, 2, replicates)) < 0.5
    within = np.arange(len(relative))[:, None] < np.asarray(parts)
    near, back = relative < _NEAR, relative < _BACK
    masks = is_member, ~is_member
    used = np.all([within[mask].any(axis=0) for mask in masks], axis=0)
    caught = [_rates(near[mask], within[mask][:, used]) for mask in masks]
    signals = -relative[is_member], -relative[~is_member]
    near_auc = 0.5 + float(np.mean(caught[0] - caught[1])) / 2
    value = max(0.5, (near_auc + compute_auc(*signals)) / 2)
    rates = [
        _draw_rates(near[mask], within[mask][:, used], w, coin)
        for mask, w, coin in zip(masks, weights, coins[0])
    ]
    ranked = _draw_aucs(signals, weights, coins[2])
    drawn = (0.5 + (rates[0] - rates[1]).mean(axis=1) / 2 + ranked) / 2
    if not _beyond_chance(back[is_member], back[~is_member], significance):
        return value, drawn, False
    decided = float(_auc_of_pairs(back[is_member].mean(), back[~is_member].mean()))
    if decided <= value:
        return value, drawn, True
    whole = [within[mask][:, -1:] for mask in masks]
    returned = [
        _draw_rates(back[mask], part, w, coin)[:, 0]
        for mask, part, w, coin in zip(masks, whole, weights, coins[1])
    ]
    return decided, _auc_of_pairs(returned[0], returned[1]), True


def _rates(hits: Mask, within: Mask) -> Floats:
    return np.asarray((hits[:, None] & within).sum(axis=0) / within.sum(axis=0))


def _draw_rates(hits: Mask, within: Mask, weights: Floats, coin: Mask) -> Floats:
    """Return replicated rates of hits, shape (b, parts); the last weight is the unseen row."""
    unseen = weights[:, -1:]
    caught = weights[:, :-1] @ (hits[:, None] & within) + unseen * coin[:, None]
    rows = weights[:, :-1] @ within.astype(np.float64) + unseen
    return np.asarray(caught / np.maximum(rows, 1))


def _draw_aucs(signals: Sequence[Floats], weights: Sequence[Floats], coins: Mask) -> Floats:
    """Return replicated AUCs, shape (b,); the unseen row is above all others or below."""
    out = np.empty(len(weights[0]))
    ends = {False: -np.inf, True: 1.0}
    for i, coin in enumerate(coins.T):
        pair = [np.append(signal, ends[bool(c)]) for signal, c in zip(signals, coin)]
        out[i] = weighted_aucs(pair[0], pair[1], weights[0][[i]], weights[1][[i]])[0]
    return out


def _beyond_chance(members: Mask, control: Mask, level: float) -> bool:
    back = int(members.sum())
    return back > 0 and excess_p(back, len(members), int(control.sum()), len(control)) < level


def _auc_of_pairs(members: npt.ArrayLike, control: npt.ArrayLike) -> Floats:
    """Return the share of members among pairs of which exactly one row came back."""
    member, other = np.asarray(members, dtype=float), np.asarray(control, dtype=float)
    right, wrong = member * (1 - other), other * (1 - member)
    every = right + wrong
    return np.asarray(np.where(every > 0, right / np.where(every > 0, every, 1), 0.5))


def _count_near(pairs: Sequence[Floats], distance: float) -> dict[str, int | None]:
    counts = [hide_small_count(int((rows < distance).sum())) for rows in pairs]
    return dict(zip(("train", "control"), counts))
