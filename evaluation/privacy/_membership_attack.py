"""Attack targets of membership attacks, their distances, and the AUC with its bootstrap."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.stats.hypothesis_tests import areas
from twinset.core.stats.neighbors import nearest

from ._excess_risk import SMALL_CELL

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]

_MIN_CONTROL_ROWS = 100  # for a false positive rate of 1 %: one row


@dataclass(frozen=True)
class AttackTargets:
    """Real rows under attack: members, which the generator was fitted on, then control rows.

    All is symmetric in both: the encoder is fitted to them together and neighbours are searched among them
    together, so that nothing but the synthetic rows separates them.

    Parameters
    ----------
    features : numpy.ndarray, shape (n, d)
        Members first.
    is_member : numpy.ndarray of bool, shape (n,)
        Rows that the generator was fitted on.
    encoder : FeatureEncoder
        Encodes the synthetic rows alike.
    """

    features: npt.NDArray[np.float32]
    is_member: Mask
    encoder: FeatureEncoder

    @classmethod
    def from_comparison(
        cls, comparison: Comparison, members: Positions, control: Positions
    ) -> AttackTargets:
        """Return the rows of train and reference at these positions."""
        parts = [comparison.train.take(members), comparison.reference.take(control)]
        # A column may be integer in one set and number in the other.
        tables = [part.without_reserved().records for part in parts]
        records = pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()
        both = replace(parts[1].without_reserved(), records=records)
        encoder = FeatureEncoder.fit(both)
        is_member = np.arange(len(both)) < len(members)
        return cls(encoder.transform(both), is_member, encoder)


def choose_positions(
    comparison: Comparison, n: int, rng: np.random.Generator
) -> tuple[Positions, Positions]:
    """Return positions of at most `n` members and `n` control rows, in order.

    Raises
    ------
    NotMeasurable
        One of the three sets has no rows, or both real sets together have a single one.
    """
    sizes = len(comparison.train), len(comparison.reference)
    if not all(sizes) or not len(comparison.synthetic):
        raise NotMeasurable("there are no rows to compare")
    members, control = (
        np.sort(rng.choice(size, n, replace=False)) if size > n else np.arange(size)
        for size in sizes
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


def compute_auc(members: Floats, control: Floats) -> float:
    """Return the probability that a member has a higher signal than a control row, ties half.

    Examples
    --------
    >>> compute_auc(np.array([2.0, 4.0]), np.array([1.0, 3.0]))
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
        Weights of the rows; not all zero.
    """
    return areas(control, members, control_weights, member_weights)


def draw_counts(n: int, b: int, rng: np.random.Generator) -> Floats:
    """Return the count of each of `n` rows in each of `b` bootstrap draws, shape (b, n)."""
    picked = rng.integers(0, n, (b, n)) + n * np.arange(b)[:, None]
    return np.bincount(picked.ravel(), minlength=n * b).reshape(b, n).astype(np.float64)


def true_positive_rate(members: Floats, control: Floats) -> float | None:
    """Return the share of members with a signal above that of all but 1 % of the control rows.

    None below 100 control rows, of which 1 % is less than a row.

    Examples
    --------
    >>> true_positive_rate(np.array([98.5, 97.0]), np.arange(100.0))
    0.5
    """
    if len(control) < _MIN_CONTROL_ROWS:
        return None
    threshold = np.sort(control)[len(control) - 1 - len(control) // 100]
    return float((members > threshold).mean())


def round_rate(share: float | None, n_members: int) -> float | None:
    """Return a share of the members; None where it would disclose 1 to 10 of them."""
    if share is None or 1 <= round(share * n_members) < SMALL_CELL:
        return None
    return share


def hide_small_count(count: int) -> int | None:
    """Return a count of real rows; None for 1 to 10."""
    return count if count == 0 or count >= SMALL_CELL else None
