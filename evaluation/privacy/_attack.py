"""What the membership attacks share: the rows attacked, their distances, and ranks turned into an AUC."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.dataset import Dataset
from twinset.core.features import FeatureEncoder
from twinset.core.neighbours import nearest

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]

_PROBES = 2_000
_CHUNK = 20_000
# The bound and the exact distance of one pair differ by rounding when they are summed in other orders.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class Victims:
    """Real rows under attack: members, which the generator saw, then control rows, which it did not.

    Everything here is symmetric in both: the encoder is fitted to them together and neighbours are
    looked for among them together, so that before the synthetic rows are looked at nothing tells
    which is which.

    Parameters
    ----------
    features : numpy.ndarray, shape (n, d)
        Members first.
    is_member : numpy.ndarray of bool, shape (n,)
        Which rows the generator saw.
    encoder : FeatureEncoder
        Encodes the synthetic rows alike.
    """

    features: npt.NDArray[np.float32]
    is_member: Mask
    encoder: FeatureEncoder

    @classmethod
    def of(cls, comparison: Comparison, members: Positions, control: Positions) -> Victims:
        """Return the rows of train and reference at these positions."""
        sides = [comparison.train.take(members), comparison.reference.take(control)]
        # A column may be integer on one side and number on the other.
        tables = [side.without_reserved().records for side in sides]
        records = pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()
        both = replace(sides[1].without_reserved(), records=records)
        encoder = FeatureEncoder.fit(both)
        is_member = np.arange(len(both)) < len(members)
        return cls(encoder.transform(both), is_member, encoder)


def pick(
    comparison: Comparison, most: int, rng: np.random.Generator
) -> tuple[Positions, Positions]:
    """Return positions of at most `most` members and `most` control rows, in order.

    Raises
    ------
    NotMeasurable
        One of the three sets has no rows, or both real sets together have a single one.
    """
    sizes = len(comparison.train), len(comparison.reference)
    if not all(sizes) or not len(comparison.synthetic):
        raise NotMeasurable("there are no rows to compare")
    members, control = (
        np.sort(rng.choice(n, most, replace=False)) if n > most else np.arange(n) for n in sizes
    )
    return members, control


def distances_to(
    synthetic: Dataset, victims: npt.NDArray[np.float32], encoder: FeatureEncoder
) -> Floats:
    """Return the distance of each victim to the nearest synthetic row, shape (n,), chunk by chunk."""
    found = np.full(len(victims), np.inf)
    for start in range(0, len(synthetic), _CHUNK):
        chunk = encoder.transform(synthetic.slice(start, _CHUNK))
        np.minimum(found, nearest(victims, chunk, 1)[0][:, 0], out=found)
    return found


def distances_to_others(rows: npt.NDArray[np.floating], among: Positions | None = None) -> Floats:
    """Return the distance of each row (of those at `among`) to the nearest other row, shape (n,).

    Examples
    --------
    >>> distances_to_others(np.array([[0.0], [1.0], [5.0]])).tolist()
    [1.0, 1.0, 4.0]
    """
    asked = rows if among is None else rows[among]
    return nearest(asked, rows, 2)[0][:, 1].astype(np.float64)


def most_isolated(
    rows: npt.NDArray[np.floating], k: int, rng: np.random.Generator
) -> tuple[Positions, Floats]:
    """Return the `k` rows that are farthest from their nearest other row, and that distance.

    Exact, and cheaper than a search for all: the distance to the nearest of some rows bounds the
    distance to the nearest of all, and only rows whose bound reaches far enough are searched. Rows
    that are equally isolated come in random order, so that none is favoured by its place.

    Parameters
    ----------
    rows : numpy.ndarray, shape (n, d)
        At least two rows.
    k : int
        How many, 1 to n.
    rng : numpy.random.Generator
        Chooses the probes and the order of ties.

    Returns
    -------
    positions : numpy.ndarray of int64, shape (k,)
        Most isolated first.
    distances : numpy.ndarray, shape (k,)
        Distance to the nearest other row.

    Examples
    --------
    >>> rows = np.array([[0.0], [1.0], [5.0], [5.5]])
    >>> positions, distances = most_isolated(rows, 1, np.random.default_rng(0))
    >>> distances.tolist(), int(positions[0]) in (0, 1)
    ([1.0], True)
    """
    n = len(rows)
    probes = rng.choice(n, min(_PROBES, n), replace=False)
    near = nearest(rows, rows[probes], min(2, len(probes)))[0].astype(np.float64)
    bound = near[:, 0]
    bound[probes] = near[probes, -1]
    bound = bound * (1 + _ROUNDING) + _ROUNDING
    order = np.argsort(-bound, kind="stable")
    distances = np.full(n, -1.0)
    first, rest = order[: 2 * k], order[2 * k :]
    distances[first] = distances_to_others(rows, first)
    least = -np.sort(-distances[first])[k - 1]
    rest = rest[bound[rest] >= least]
    if len(rest):
        distances[rest] = distances_to_others(rows, rest)
    top = np.lexsort((rng.permutation(n), -distances))[:k]
    return top, distances[top]


def auc(members: Floats, control: Floats) -> float:
    """Return how often a member's signal exceeds a control row's, ties counting half, 0 to 1.

    Examples
    --------
    >>> auc(np.array([2.0, 4.0]), np.array([1.0, 3.0]))
    0.75
    """
    weights = np.ones((1, len(members))), np.ones((1, len(control)))
    return float(weighted_aucs(members, control, *weights)[0])


def weighted_aucs(
    members: Floats, control: Floats, member_weights: Floats, control_weights: Floats
) -> Floats:
    """Return the AUC under each row of weights, shape (b,).

    Parameters
    ----------
    members, control : numpy.ndarray, shapes (m,) and (n,)
        Signals.
    member_weights, control_weights : numpy.ndarray, shapes (b, m) and (b, n)
        How often each row counts; no row of weights is all zero.
    """
    levels, place = np.unique(np.concatenate([members, control]), return_inverse=True)
    at_member, at_control = place[: len(members)], place[len(members) :]
    out = np.empty(len(member_weights))
    for i, (mine, other) in enumerate(zip(member_weights, control_weights)):
        below = np.bincount(at_control, other, len(levels))
        beaten = np.cumsum(below) - 0.5 * below
        out[i] = mine @ beaten[at_member] / (mine.sum() * other.sum())
    return out


def draws(n: int, b: int, rng: np.random.Generator) -> Floats:
    """Return how often each of `n` rows is drawn in each of `b` bootstrap replicates, shape (b, n)."""
    picked = rng.integers(0, n, (b, n)) + n * np.arange(b)[:, None]
    return np.bincount(picked.ravel(), minlength=n * b).reshape(b, n).astype(np.float64)
