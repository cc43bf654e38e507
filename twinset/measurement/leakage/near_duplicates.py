"""Rows that lie nearer to a train row than real rows lie to one another: distances, not cells.

A part of train is put aside as a control. Holdout and control are measured against the rest of train,
so that with a cut at random both are alike; of those nearer than a low quantile of the control's
distances each side holds its share.
"""

from __future__ import annotations

import numpy as np

from twinset.core.data.dataset import Dataset
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.stats.neighbors import nearest
from twinset.measurement.leakage.duplicates import LOG_ALPHA
from twinset.measurement.leakage.findings import Leak
from twinset.measurement.leakage.tail_bounds import log_tail

_MOST_QUERIES = 1_500
_CELLS = 3_000_000
_FEWEST = 40
_SAME = 1e-5
_QUANTILES = {0.002: 1.0, 0.01: 1.0, 0.1: 1.5, 0.3: 1.5}
"""Low quantiles of real distances, and how many times as many rows below them drift may explain."""


def nearer_than_real(
    holdout: Dataset, train: Dataset, rng: np.random.Generator, words: str = ""
) -> list[Leak]:
    """Return the leak of holdout rows that lie too near to train rows; or none.

    Parameters
    ----------
    holdout, train : Dataset
        The same columns.
    rng : numpy.random.Generator
        Chooses the rows that are looked at, at most 1,500 of each side.
    words : str
        What the rows are, for the sentence.
    """
    n_control = min(_MOST_QUERIES, len(train) // 4)
    if n_control < _FEWEST or len(holdout) < _FEWEST:
        return []
    order = rng.permutation(len(train))
    control, rest = train.take(np.sort(order[:n_control])), order[n_control:]
    # Fitted on what neither side is part of: an encoder knows the words and levels of its own rows.
    encoder = FeatureEncoder.fit(train.take(np.sort(rest)))
    queries = [encoder.transform(part) for part in (holdout.at_most(_MOST_QUERIES, rng), control)]
    width = queries[0].shape[1]
    if width < 2:
        return []
    reference = encoder.transform(train.take(np.sort(rest[: max(1_000, _CELLS // width)])))
    found = [nearest(query, reference, 1)[0][:, 0] for query in queries]
    # Whole copies are looked for elsewhere; natural ones would hide what lies next to them.
    mine, own = (apart[apart > _SAME] for apart in found)
    if not len(mine) or not len(own):
        return []
    for quantile, times in _QUANTILES.items():
        bound = float(np.quantile(own, quantile))
        near, usual = int((mine <= bound).sum()), int((own <= bound).sum())
        # Under a cut at random each near row is the holdout's with this chance.
        share = times * len(mine) / (times * len(mine) + len(own))
        chance = log_tail(near, np.array([share]), np.array([near + usual]))
        if chance < LOG_ALPHA:
            expected = usual / len(own)
            what = (
                f"{near / len(mine):.0%} of the holdout rows{words} lie nearer to a train row than "
                f"{1 - expected:.0%} of real rows do"
            )
            return [Leak("near_copies", what, near, chance)]
    return []
