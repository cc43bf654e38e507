"""Membership attack on outliers: train rows far from all others that come back in synthetic rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.encoder import FeatureEncoder, distances_to
from twinset.core.findings import DecidingRows, OutlierCounts
from twinset.core.parameters import Ge, Interval, Margin
from twinset.core.seeding import draw_seed, rng_for
from twinset.core.stats.hypothesis_tests import areas, excess_p
from twinset.core.stats.neighbors import nearest

from .._samples import shown_count
from ._attacks import (
    Attack,
    AttackTargets,
    Floats,
    Mask,
    Positions,
    choose_positions,
    distances_to_others,
    draw_counts,
)

# Of the distance to the nearest other real row: near enough to disclose, nearly exact, exact.
_NEAR, _BACK, _EXACT = 0.5, 0.1, 0.001
_SHARES = (0.01, 0.02, 0.05)  # of the real rows, farthest first: attacks succeed on these first
_MIN_ROWS = 10  # of each part: fewer make no rate
_N_PROBES = 2_000  # rows whose distances bound those of all: about 2 k rows are left to search
_ROUNDING = 1e-5  # relative: a bound and an exact distance are summed in other orders


@dataclass(frozen=True, kw_only=True)
class Outliers(Attack):
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
    significance : float
        Level of the test, in (0, 0.5].
    max_rows : int
        Train rows among which outliers are searched, and control rows.
    max_synthetic : int
        Synthetic rows of the attacker.

    References
    ----------
    Meeus, Guepin, Cretu, de Montjoye (2023), Achilles' Heels: Vulnerable Record Identification in
    Synthetic Data Publishing, ESORICS workshops.
    """

    title: ClassVar[str] = "recognising training rows far from all others"
    interpretation: ClassVar[str] = (
        "The same guess about membership, for the outlier rows only. They are the easiest to disclose, "
        "and an average over all rows hides them."
    )
    bounds: ClassVar[tuple[float, float]] = (0.5, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "text"}

    margin: Margin = 0.08
    significance: Annotated[float, Interval(gt=0, le=0.5)] = 0.01
    max_rows: Annotated[int, Ge(1)] = 20_000
    max_synthetic: Annotated[int, Ge(1)] = 200_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the AUC on outliers, 0.5 to 1; facts count those that come back."""
        members, control = choose_positions(comparison, self.max_rows, rng)
        # Separate streams: the number of synthetic rows changes no other draw.
        seed = draw_seed(rng)
        outliers = find_outlier_rows(comparison, members, control, seed)
        is_member = outliers.is_member
        synthetic = comparison.synthetic.at_most(self.max_synthetic, rng_for(seed, "synthetic"))
        relative = distances_to(outliers.features, synthetic, outliers.encoder) / outliers.distances
        value, replicates, back = outlier_attack(
            relative, is_member, outliers.parts, rng,
            replicates=self.replicates, significance=self.significance,
        )  # fmt: skip
        pairs = relative[is_member], relative[~is_member]
        n, m = map(len, pairs)
        near = _count_near(pairs, _NEAR)
        facts = {
            "outlier_rows": {"train": n, "control": m},
            "near": near,
            "nearly_exact": _count_near(pairs, _BACK),
            "exact": _count_near(pairs, _EXACT),
            "more_come_back_than_chance": back,
            "ranking_auc": float(areas(-pairs[1], -pairs[0])[0]),
            "rows": {"train": len(members), "control": len(control), "synthetic": len(synthetic)},
            "max_rows": {"real": self.max_rows, "synthetic": self.max_synthetic},
        }
        counts = OutlierCounts(n, m, near["train"], near["control"])
        rows = DecidingRows(min(n, m), "outliers of the smaller set")
        return Measurement(value, replicates, (counts, rows), facts=facts)


@dataclass(frozen=True)
class OutlierRows:
    """Outlier rows, farthest first: their features, sets and distances to the nearest other real row.

    `parts` are the numbers of the farthest 1, 2 and 5 %; `encoder` encodes synthetic rows alike.
    """

    features: npt.NDArray[np.float32]
    is_member: Mask
    encoder: FeatureEncoder
    distances: Floats
    parts: tuple[int, ...]


def find_outlier_rows(
    comparison: Comparison, members: Positions, control: Positions, seed: int
) -> OutlierRows:
    """Return the outliers among the rows at these positions, kept for the next candidate."""
    key = f"outlier rows {seed}, {len(members)}, {len(control)}"
    known: Any = comparison.cache.get(key)
    if known is None:
        targets = AttackTargets.from_comparison(comparison, members, control)
        n = len(targets.features)
        sizes = [min(n, max(_MIN_ROWS, round(share * n))) for share in _SHARES]
        rows, distances = rank_outliers(targets.features, sizes[-1], rng_for(seed, "isolated"))
        # A row that equals another one is no outlier.
        rows, distances = rows[distances > 0], distances[distances > 0]
        parts = tuple(min(size, len(rows)) for size in sizes)
        known = comparison.cache[key] = OutlierRows(
            targets.features[rows], targets.is_member[rows], targets.encoder, distances, parts
        )
    found: OutlierRows = known
    if not found.is_member.any() or found.is_member.all():
        raise NotMeasurable("too few outliers are in the train set or in the holdout")
    return found


def rank_outliers(
    rows: npt.NDArray[np.floating], k: int, rng: np.random.Generator
) -> tuple[Positions, Floats]:
    """Return the `k` rows that are farthest from their nearest other row, and that distance.

    Exact, and cheaper than a search for all rows: the distance to the nearest of some rows bounds the
    distance to the nearest of all, and only rows with a large enough bound are searched. Ties are in
    random order.
    """
    n = len(rows)
    probes = rng.choice(n, min(_N_PROBES, n), replace=False)
    near = nearest(rows, rows[probes], min(2, len(probes)))[0].astype(np.float64)
    bound = near[:, 0]
    bound[probes] = near[probes, -1]
    bound = bound * (1 + _ROUNDING) + _ROUNDING
    order = np.argsort(-bound, kind="stable")
    distances = np.full(n, -1.0)
    first, rest = order[: 2 * k], order[2 * k :]
    distances[first] = distances_to_others(rows, first)
    threshold = -np.sort(-distances[first])[k - 1]
    rest = rest[bound[rest] >= threshold]
    if len(rest):
        distances[rest] = distances_to_others(rows, rest)
    top = np.lexsort((rng.permutation(n), -distances))[:k]
    return top, distances[top]


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

    `relative` is the distance of each outlier to the nearest synthetic row in units of its distance to the
    nearest other real row, farthest first, shape (k,); `parts` are sizes, rising to k. Fisher's test at
    `significance` is on rows that come back nearly exactly.

    Examples
    --------
    >>> near = np.array([0.0, 1.0, 0.0, 1.0])
    >>> member = np.array([True, False, True, False])
    >>> outlier_attack(near, member, [2, 4], np.random.default_rng(0))[0]
    1.0
    """
    masks = is_member, ~is_member
    # Another candidate has other draws: with equal ones, pairing would cancel the uncertainty.
    weights = [draw_counts(int(rows.sum()) + 1, replicates, rng) for rows in masks]
    own = rng_for(draw_seed(rng), hashlib.sha256(relative.tobytes()).hexdigest())
    coins = own.random((3, 2, replicates)) < 0.5
    within = np.arange(len(relative))[:, None] < np.asarray(parts)
    near, back = relative < _NEAR, relative < _BACK
    used = np.all([within[mask].any(axis=0) for mask in masks], axis=0)
    caught = [_rates(near[mask], within[mask][:, used]) for mask in masks]
    signals = -relative[is_member], -relative[~is_member]
    near_auc = 0.5 + float(np.mean(caught[0] - caught[1])) / 2
    value = max(0.5, (near_auc + float(areas(*signals[::-1])[0])) / 2)
    rates = [
        _draw_rates(near[mask], within[mask][:, used], w, coin)
        for mask, w, coin in zip(masks, weights, coins[0])
    ]
    ranked = _draw_aucs(signals, weights, coins[2])
    drawn = (0.5 + (rates[0] - rates[1]).mean(axis=1) / 2 + ranked) / 2
    n, m = (int(back[mask].sum()) for mask in masks)
    if not n or excess_p(n, int(is_member.sum()), m, int((~is_member).sum())) >= significance:
        return value, drawn, False
    decided = float(_auc_of_pairs(back[is_member].mean(), back[~is_member].mean()))
    if decided <= value:
        return value, drawn, True
    returned = [
        _draw_rates(back[mask], within[mask][:, -1:], w, coin)[:, 0]
        for mask, w, coin in zip(masks, weights, coins[1])
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
        out[i] = areas(pair[1], pair[0], weights[1][[i]], weights[0][[i]])[0]
    return out


def _auc_of_pairs(members: npt.ArrayLike, control: npt.ArrayLike) -> Floats:
    """Return the share of members among pairs of which exactly one row came back."""
    member, other = np.asarray(members, dtype=float), np.asarray(control, dtype=float)
    right, wrong = member * (1 - other), other * (1 - member)
    every = right + wrong
    return np.asarray(np.where(every > 0, right / np.where(every > 0, every, 1), 0.5))


def _count_near(pairs: Sequence[Floats], distance: float) -> dict[str, int | None]:
    counts = [shown_count(int((rows < distance).sum())) for rows in pairs]
    return dict(zip(("train", "control"), counts))
