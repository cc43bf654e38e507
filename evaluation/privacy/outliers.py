"""Whether the real rows that stand most alone come back, more often than chance explains."""

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

from ._membership_attack import Floats, Mask, auc, draws, pick, weighted_aucs
from ._outlier_rows import find_outlier_rows

_NEAR, _BACK, _EXACT = 0.5, 0.1, 0.001
"""Of the way to the nearest other real row: near enough to betray, nearly exact, exact."""

_SMALL_CELL = 11


@dataclass(frozen=True, kw_only=True)
class Outliers(Metric):
    """Attacks the real rows that stand most alone, on whom attacks succeed first.

    The 1, 2 and 5 % of all real rows, training and control rows taken together, that are farthest
    from their nearest other real row are attacked. Who of them is a member is told by the distance to
    the nearest synthetic row, relative to that distance to the nearest other real row, in two ways:

    - *near*: below one half a row is said to be a member; the AUC is one half, and half of what the
      share of caught training rows exceeds that of caught control rows by. The mean over the three
      parts, so that the most isolated rows weigh most. It sees few rows that come back.
    - *ranking*: the AUC of the ratio itself, over the widest part. It sees many rows that each leave
      a weak trace, as rows between real rows do.

    The value is the mean of both. It is blurred where few of many come back. So rows that come back
    nearly exactly (within a tenth of the distance) are also counted, in the widest part; where
    Fisher's exact test (one-sided, at `significance`) says that chance does not explain the excess of
    training rows among them, the value is the AUC over the pairs that this decides, if that is
    larger: of pairs of one training and one control row of which exactly one came back, the share
    where it is the training row.

    Intervals let one more row of either side, with an outcome not yet seen, have happened. So few
    isolated rows never look certain, and the attack passes only where its upper bound does.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    significance : float
        Level of the test, in (0, 0.5].
    max_rows : int
        Training rows among which isolated ones are looked for, and control rows.
    max_synthetic : int
        Synthetic rows that the attacker holds.
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
    # What is new in a later time stands alone among the rows of train.
    needs_same_time: ClassVar[bool] = True

    margin: Margin = 0.08
    significance: Annotated[float, Interval(gt=0, le=0.5)] = 0.01
    max_rows: Annotated[int, Ge(1)] = 20_000
    max_synthetic: Annotated[int, Ge(1)] = 200_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the AUC on isolated rows, 0.5 to 1; details count how many come back."""
        members, control = pick(comparison, self.max_rows, rng)
        # Streams of their own: the number of synthetic rows moves nothing but themselves.
        seed = draw_seed(rng)
        isolated = find_outlier_rows(comparison, members, control, seed)
        synthetic = comparison.synthetic.at_most(self.max_synthetic, rng_for(seed, "synthetic"))
        found = distances_to(isolated.features, synthetic, isolated.victims.encoder)
        relative = found / isolated.isolation
        value, replicates, back = outlier_attack(
            relative, isolated.is_member, isolated.parts, rng,
            replicates=self.replicates, significance=self.significance,
        )  # fmt: skip
        sides = [relative[isolated.is_member], relative[~isolated.is_member]]
        facts = {
            "isolated_rows": {"train": len(sides[0]), "control": len(sides[1])},
            "near": _shown(sides, _NEAR),
            "nearly_exact": _shown(sides, _BACK),
            "exact": _shown(sides, _EXACT),
            "more_come_back_than_chance": back,
            "ranking_auc": auc(-sides[0], -sides[1]),
            "rows": {"train": len(members), "control": len(control), "synthetic": len(synthetic)},
            "max_rows": {"real": self.max_rows, "synthetic": self.max_synthetic},
        }
        near = [_cell(int((side < _NEAR).sum())) for side in sides]
        counts = OutlierCounts(len(sides[0]), len(sides[1]), *near)
        rows = DecidingRows(min(map(len, sides)), "isolated real rows on the smaller side")
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
    """Return the AUC of the attack on isolated rows, its replicates, and whether a test decided.

    Parameters
    ----------
    relative : numpy.ndarray, shape (k,)
        Distance of each isolated row to the nearest synthetic row, in units of its distance to the
        nearest other real row; most isolated first.
    is_member : numpy.ndarray of bool, shape (k,)
        Which rows the generator saw; both kinds occur.
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
    # Another candidate must not meet the same luck, or pairing would take the doubt for none.
    weights = [draws(int(side.sum()) + 1, replicates, rng) for side in (is_member, ~is_member)]
    own = rng_for(draw_seed(rng), hashlib.sha256(relative.tobytes()).hexdigest())
    coins = own.random((3, 2, replicates)) < 0.5
    within = np.arange(len(relative))[:, None] < np.asarray(parts)
    near, back = relative < _NEAR, relative < _BACK
    sides = is_member, ~is_member
    used = np.all([within[side].any(axis=0) for side in sides], axis=0)
    caught = [_rates(near[side], within[side][:, used]) for side in sides]
    signals = -relative[is_member], -relative[~is_member]
    near_auc = 0.5 + float(np.mean(caught[0] - caught[1])) / 2
    value = max(0.5, (near_auc + auc(*signals)) / 2)
    rates = [
        _drawn_rates(near[side], within[side][:, used], w, coin)
        for side, w, coin in zip(sides, weights, coins[0])
    ]
    ranked = _drawn_aucs(signals, weights, coins[2])
    drawn = (0.5 + (rates[0] - rates[1]).mean(axis=1) / 2 + ranked) / 2
    if not _beyond_chance(back[is_member], back[~is_member], significance):
        return value, drawn, False
    decided = float(_decided(back[is_member].mean(), back[~is_member].mean()))
    if decided <= value:
        return value, drawn, True
    whole = [within[side][:, -1:] for side in sides]
    returned = [
        _drawn_rates(back[side], part, w, coin)[:, 0]
        for side, part, w, coin in zip(sides, whole, weights, coins[1])
    ]
    return decided, _decided(returned[0], returned[1]), True


def _rates(hits: Mask, within: Mask) -> Floats:
    return np.asarray((hits[:, None] & within).sum(axis=0) / within.sum(axis=0))


def _drawn_rates(hits: Mask, within: Mask, weights: Floats, coin: Mask) -> Floats:
    """Return replicated rates of hits, shape (b, parts); the last weight is the row not yet seen."""
    unseen = weights[:, -1:]
    caught = weights[:, :-1] @ (hits[:, None] & within) + unseen * coin[:, None]
    rows = weights[:, :-1] @ within.astype(np.float64) + unseen
    return np.asarray(caught / np.maximum(rows, 1))


def _drawn_aucs(signals: Sequence[Floats], weights: Sequence[Floats], coins: Mask) -> Floats:
    """Return replicated AUCs, shape (b,); the row not yet seen lies above all others or below."""
    out = np.empty(len(weights[0]))
    ends = {False: -np.inf, True: 1.0}
    for i, coin in enumerate(coins.T):
        sides = [np.append(side, ends[bool(c)]) for side, c in zip(signals, coin)]
        out[i] = weighted_aucs(sides[0], sides[1], weights[0][[i]], weights[1][[i]])[0]
    return out


def _beyond_chance(members: Mask, control: Mask, level: float) -> bool:
    back = int(members.sum())
    return back > 0 and excess_p(back, len(members), int(control.sum()), len(control)) < level


def _decided(members: npt.ArrayLike, control: npt.ArrayLike) -> Floats:
    """Return, of pairs of which exactly one came back, the share where it is the member."""
    member, other = np.asarray(members, dtype=float), np.asarray(control, dtype=float)
    right, wrong = member * (1 - other), other * (1 - member)
    every = right + wrong
    return np.asarray(np.where(every > 0, right / np.where(every > 0, every, 1), 0.5))


def _shown(sides: Sequence[Floats], reach: float) -> dict[str, int | None]:
    counts = [int((side < reach).sum()) for side in sides]
    return {name: _cell(count) for name, count in zip(("train", "control"), counts)}


def _cell(count: int) -> int | None:
    """Return a count of real rows; None for 1 to 10."""
    return count if count == 0 or count >= _SMALL_CELL else None
