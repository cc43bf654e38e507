"""What the membership attacks share: the rows attacked, their distances, and ranks turned into an AUC."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.stats.neighbors import nearest
from twinset.core.stats.roc_auc import areas

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AttackTargets:
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
    def of(cls, comparison: Comparison, members: Positions, control: Positions) -> AttackTargets:
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


def distances_to_others(rows: npt.NDArray[np.floating], among: Positions | None = None) -> Floats:
    """Return the distance of each row (of those at `among`) to the nearest other row, shape (n,).

    Examples
    --------
    >>> distances_to_others(np.array([[0.0], [1.0], [5.0]])).tolist()
    [1.0, 1.0, 4.0]
    """
    asked = rows if among is None else rows[among]
    return nearest(asked, rows, 2)[0][:, 1].astype(np.float64)


def auc(members: Floats, control: Floats) -> float:
    """Return how often a member's signal exceeds a control row's, ties counting half, 0 to 1.

    Examples
    --------
    >>> auc(np.array([2.0, 4.0]), np.array([1.0, 3.0]))
    0.75
    """
    return float(areas(control, members)[0])


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
    return areas(control, members, control_weights, member_weights)


def draws(n: int, b: int, rng: np.random.Generator) -> Floats:
    """Return how often each of `n` rows is drawn in each of `b` bootstrap replicates, shape (b, n)."""
    picked = rng.integers(0, n, (b, n)) + n * np.arange(b)[:, None]
    return np.bincount(picked.ravel(), minlength=n * b).reshape(b, n).astype(np.float64)
