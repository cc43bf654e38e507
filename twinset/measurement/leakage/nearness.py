"""Test rows that lie too near to train rows; test set and next train rows show what is natural."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.stats.neighbors import nearest
from twinset.measurement.leakage.evidence import LOG_ALPHA, Floats, Leak, SplitRows, log_tail

Points = npt.NDArray[np.floating]

# of the rows may be that near by nature: in few control rows none may be seen
_NEAR_SHARE = 0.005
# A first gap may be as large as a further one twice as often, or in 3 % of the rows: of wines, messages and
# players up to 4 % have a near copy by nature.
_GAP_TIMES, _GAP_SHARE = 2.0, 0.03
_MIN_DISTANCE = 1e-5  # to which distances are raised: rounding errors have no gaps


def compare_nearness(
    near: Floats,
    control: Floats,
    more: float,
    limits: Sequence[float],
    natural_share: float = _NEAR_SHARE,
) -> tuple[float, int, float, float] | None:
    """Return (limit, rows beyond it, as many by chance, log chance) of the first limit that shows a leak.

    `near`, shape (n,): similarity of each test row to its nearest train row. `control`, shape (n,):
    that to the nearest other test row. `more`: near rows for each one of the control by nature, at
    least 1, such as train rows for each test row. `limits`: similarities that are tried, the largest
    first. `natural_share`: share of the rows that may lie beyond a limit in any case.

    >>> far, copies = np.zeros(200), np.repeat([1.0, 0.0], 100)
    >>> compare_nearness(far, far, 1.0, (0.9,)) is None
    True
    >>> compare_nearness(copies, far, 1.0, (0.9,))[:3]
    (0.9, 100, 1.0)
    """
    n = len(near)
    for limit in limits:
        count, natural_count = int((near >= limit).sum()), int((control >= limit).sum())
        natural = min(1.0, max(natural_share, more * natural_count / n))
        # The control is a sample itself: its error is that of a comparison of two shares.
        share = more / (1 + more)
        chance = max(log_tail(count, natural, n), log_tail(count, share, count + natural_count))
        if chance < LOG_ALPHA:
            return limit, count, natural * n, chance
    return None


def measure_gaps(distances: Points) -> Floats:
    """Return j ln(d_(j+1) / d_j) for the distances of the nearest rows, shape (n, k - 1).

    Where rows lie evenly around a point, all of them have one distribution (Renyi's representation of the
    order statistics); copies make the first ones larger.

    `distances`, shape (n, k): to the nearest row, the second, ..., of each of n rows.

    >>> measure_gaps(np.array([[1.0, np.e, np.e**2]])).round(6).tolist()
    [[1.0, 2.0]]
    """
    logs = np.log(np.maximum(distances.astype(np.float64), _MIN_DISTANCE))
    return np.asarray(np.diff(logs, axis=1) * np.arange(1, logs.shape[1]))


def compare_gaps(
    distances: Points, limits: Sequence[float]
) -> tuple[float, int, float, float] | None:
    """Return the first limit that shows rows with one or two copies, in the form of `compare_nearness`.

    The first two gaps are compared with the next two: rows of which three or four are alike by nature, and
    copies that were made of train rows after the split, make both large.

    `distances`, shape (n, 5): of each test row to its nearest train rows. `limits`: gaps that are tried.
    """
    gaps = measure_gaps(distances)
    near, control = gaps[:, :2].max(axis=1), gaps[:, 2:4].max(axis=1)
    return compare_nearness(near, control, _GAP_TIMES, limits, natural_share=_GAP_SHARE)


_MAX_QUERIES = 1_500  # rows of each set whose nearest train row is searched: a second of CPU
_MAX_CELLS = 3_000_000  # of the searched train rows: bounds memory where features are many
_MIN_QUERIES = 40  # with fewer, low quantiles are single rows
_DIGITS = 5  # of a spread to which rows are equal; exact copies are another leak
# Columns in which a fifth of the rows or more differ, at least: on a grid, rows are near by nature
_MIN_FINE, _FINE_SHARE = 3, 0.2
_K_NEAR = 5  # the distance to the nearest row is compared with that to the fifth
# A copy is 50, 20, 10, 5 or 2.5 times nearer than the next rows; natural pairs are divided by chance
_LOG_RATIOS = np.log([50.0, 20.0, 10.0, 5.0, 2.5]).tolist()
_GAPS = (4.0, 3.0, 2.0, 1.5)  # that mark a copy: see `measure_gaps`


def find_near_duplicates(
    train: Dataset, holdout: Dataset, split: SplitRows, rng: np.random.Generator
) -> list[Leak]:
    """Return the leak of holdout rows that lie too near to train rows; or none.

    Classes are tested one by one: one that was enlarged after the split shifts the distances of the whole.
    """
    names = [
        name
        for name in split.features
        if name in split.keys.numbers or train.schema[name].kind == holdout.schema[name].kind
    ]
    own, other = (part.select(names).without_reserved() for part in (holdout, train))
    if split.labels is None:
        return _find_near_rows(own, other, rng, "")
    for code in np.argsort(split.class_sizes, kind="stable"):
        rows = split.labels == code
        kept = own.filter(rows[split.in_holdout]), other.filter(rows[~split.in_holdout])
        found = _find_near_rows(*kept, rng, f" of the class '{split.names[code]}'")
        if found:
            return found
    return []


def _find_near_rows(
    holdout: Dataset, train: Dataset, rng: np.random.Generator, subject: str
) -> list[Leak]:
    """Return the leak of rows that are much nearer to one train row than to the next ones.

    The holdout itself shows how many rows have such a neighbor by nature: the train set may hold rows
    that were made after the split, which lie nearer or farther than real ones do. Where rows were doubled
    before the split, the holdout holds as many copies: there the next train rows show what is natural.
    """
    points = _draw_points(holdout, train, rng)
    if points is None:
        return []
    query, pools, is_fine = points
    to_train = nearest(query, pools[0], _K_NEAR)[0]
    found = compare_gaps(to_train, _GAPS)
    reason = (
        "or two than to the next: rows were doubled, or changed copies were added, before the split"
    )
    if found is None and is_fine:
        among_holdout = nearest(query, pools[1], _K_NEAR + 1)[0][:, 1:]
        # The ratio falls as rows come nearer: its negative logarithm is a similarity.
        near, control = (
            -np.log(np.maximum(part[:, 0], 1e-12) / np.maximum(part[:, -1], 1e-12))
            for part in (to_train, among_holdout)
        )
        more = max(1.0, len(pools[0]) / len(pools[1]))
        found = compare_nearness(near, control, more, _LOG_RATIOS)
        reason = "than to others, which is seldom so among the holdout rows"
    if found is None:
        return []
    _, n, expected, chance = found
    message = (
        f"{n / len(query):.1%} of the holdout rows{subject}, where chance explains "
        f"{expected / len(query):.1%}, are much nearer to one train row {reason}"
    )
    return [Leak("near_copies", message, n, chance, expected=expected)]


def _draw_points(
    holdout: Dataset, train: Dataset, rng: np.random.Generator
) -> tuple[Points, tuple[Points, Points], bool] | None:
    """Return holdout rows to examine, train and holdout rows as points, and whether these are fine-grained.

    Equal rows are another leak, and would hide that others are near: holdout rows that equal another row
    are excluded. None where too few are left.
    """
    if min(len(train), len(holdout)) < _MIN_QUERIES:
        return None
    encoder = FeatureEncoder.fit(train.at_most(_MAX_CELLS // 100, rng))
    pools = [
        encoder.transform(part.at_most(_MAX_CELLS // 100, rng)).round(_DIGITS)
        for part in (train, holdout)
    ]
    width = pools[0].shape[1]
    if width < 2:
        return None
    is_fine = sum(len(np.unique(x)) > _FINE_SHARE * len(pools[1]) for x in pools[1].T) >= _MIN_FINE
    merged, first, place, counts = np.unique(
        np.vstack(pools), axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    in_train = np.zeros(len(merged), dtype=bool)
    in_train[place[: len(pools[0])]] = True
    alone = np.flatnonzero(~in_train & (counts == 1) & (first >= len(pools[0])))
    n_pool = max(1_000, _MAX_CELLS // width)
    own, other = (rng.permutation(p)[:n_pool] for p in (alone, np.flatnonzero(in_train)))
    if min(len(own), len(other)) < _MIN_QUERIES:
        return None
    return merged[own[:_MAX_QUERIES]], (merged[other], merged[own]), is_fine
