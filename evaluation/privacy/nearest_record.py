"""Distance to the nearest record: synthetic rows nearer to train rows than to holdout rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.findings import DecidingRows
from twinset.core.parameters import Ge
from twinset.core.stats.neighbors import nearest

from .._samples import row_encoder
from ._attacks import Attack, Floats


@dataclass(frozen=True, kw_only=True)
class NearestRecord(Attack):
    """Share of synthetic rows that are nearer to a train row than to any holdout row, for equal sizes.

    value = max(0.5, 1 - s / (2 e)), with s the share of rows nearer to the holdout, ties counting half, and
    e = n_holdout / (n_train + n_holdout), its expectation if the generator learnt the distribution and
    not the rows. All of train is searched: a sample of the size of the holdout would hide most rows that
    could have been copied. 0.5 is neutral, 1 means that no row is nearer to the holdout. A high value is
    a warning, 0.5 is no proof, because a few copied rows do not change it.

    Parameters
    ----------
    max_queries : int
        Synthetic rows that are searched for.
    max_reference : int
        Rows of each reference set.
    replicates : int
        Bootstrap replicates of the real records that are nearest to some synthetic row.

    References
    ----------
    Yao, Krco, Ganev, de Montjoye (2025), The DCR Delusion: Measuring the Privacy Risk of Synthetic
    Data, ESORICS.
    """

    title: ClassVar[str] = "distance to the nearest training row"
    interpretation: ClassVar[str] = (
        "How often a synthetic row lies nearer to a training row than to an unseen real one: 0.5 is "
        "chance. It can find a leak, but finding none is no proof that there is none."
    )
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "text"}

    max_queries: Annotated[int, Ge(1)] = 10_000
    max_reference: Annotated[int, Ge(1)] = 200_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the share of rows nearer to train, 0 to 1; facts hold typical distances."""
        train = comparison.train.at_most(self.max_reference, rng)
        holdout = comparison.reference.at_most(self.max_reference, rng)
        if not len(train) or not len(holdout) or not len(comparison.synthetic):
            raise NotMeasurable("there are no rows to compare")
        encoder = row_encoder(comparison)
        queries = encoder.transform(comparison.synthetic.at_most(self.max_queries, rng))
        (to_train, train_row), (to_holdout, holdout_row) = (
            nearest(queries, encoder.transform(part), 1) for part in (train, holdout)
        )
        nearer = flag_nearer_to_holdout(to_train[:, 0], to_holdout[:, 0])
        expected = len(holdout) / (len(train) + len(holdout))
        record = np.where(nearer < 1, train_row[:, 0], len(train) + holdout_row[:, 0])
        drawn = resample_records(nearer, record, self.replicates, rng)
        facts = {
            "share_nearer_to_train": float(1 - nearer.mean()),
            "share_expected": 1 - expected,
            "median_distance": {
                "to_train": float(np.median(to_train)),
                "to_holdout": float(np.median(to_holdout)),
            },
            "rows": {"synthetic": len(queries), "train": len(train), "holdout": len(holdout)},
            "nearest_records": len(np.unique(record)),
            "max_rows": {"synthetic": self.max_queries, "reference": self.max_reference},
        }
        # Only nearness to train is a leak.
        value = max(balanced_share(float(nearer.mean()), len(train), len(holdout)), 0.5)
        decides = DecidingRows(min(len(queries), len(holdout)), "rows compared")
        return Measurement(value, 1 - drawn / expected / 2, (decides,), facts=facts)


def flag_nearer_to_holdout(
    to_train: npt.NDArray[np.floating], to_holdout: npt.NDArray[np.floating]
) -> Floats:
    """Return 1 for each row that lies nearer to the holdout, 0.5 for a tie, 0 otherwise, shape (m,).

    Examples
    --------
    >>> flag_nearer_to_holdout(np.array([2.0, 0.0, 1.0]), np.array([1.0, 1.0, 1.0])).tolist()
    [1.0, 0.0, 0.5]
    """
    return np.asarray((to_holdout < to_train) + 0.5 * (to_train == to_holdout), dtype=np.float64)


def resample_records(
    nearer: Floats, record: npt.NDArray[np.integer], replicates: int, rng: np.random.Generator
) -> Floats:
    """Return the share of rows nearer to the holdout in redrawn sets, shape (replicates,).

    The random split assigns real records, and all synthetic rows nearest to a record go with it: the
    images of a blurred set may all be nearest to one. So records are drawn, each with its rows, by
    position, so that two independent sets do not share draws.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> one = resample_records(np.zeros(100), np.zeros(100, dtype=int), 500, rng)
    >>> many = resample_records(np.zeros(100), np.arange(100), 500, rng)
    >>> bool(np.quantile(one, 0.975) > 0.4), bool(np.quantile(many, 0.975) < 0.04)
    (True, True)
    """
    _, own = np.unique(record, return_inverse=True)
    size = np.bincount(own).astype(np.float64)
    hits, k = np.bincount(own, nearer), len(size)
    places = rng.integers(0, k + 1, (replicates, k))
    # One record more with any outcome: a share of few records is no certainty.
    unseen = places == k
    sizes = np.append(size, size.mean())[places]
    picked = np.append(hits, 0.0)[places]
    picked[unseen] = rng.choice([0.0, 0.5, 1.0], int(unseen.sum())) * size.mean()
    return np.asarray(picked.sum(axis=1) / sizes.sum(axis=1))


def balanced_share(nearer_to_holdout: float, n_train: int, n_holdout: int) -> float:
    """Return the share of rows nearer to train as if both sets were equally large, 0 to 1."""
    expected = n_holdout / (n_train + n_holdout)
    return float(np.clip(1 - nearer_to_holdout / expected / 2, 0, 1))
