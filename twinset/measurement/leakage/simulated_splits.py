"""Made rows that were drawn from the holdout: copies of it, and lines through its rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinset.measurement.leakage.duplicates import LOG_ALPHA, SplitRows, grown_classes
from twinset.measurement.leakage.findings import Leak, counted
from twinset.measurement.leakage.linear_copies import Cloud, too_many
from twinset.measurement.leakage.tail_bounds import log_tail

_NATURAL_SHARE = 0.001
_NATURAL_TIMES = 2.0


def drawn_from_holdout(cut: SplitRows, rng: np.random.Generator) -> list[Leak]:
    """Return the leaks of made rows (side 2) that only someone who saw the holdout could make.

    Of holdout rows as many may equal a made row as equal a train row, twice over, and in proportion to
    the number of made rows. No more of them may lie on a line with two made or train rows than lie on
    one with two train rows.
    """
    return _copied(cut) or _on_lines(cut, rng)


def _copied(cut: SplitRows) -> list[Leak]:
    for names in dict.fromkeys((cut.columns, cut.features)):
        if not names:
            continue
        key = cut.keys.key(names)
        in_train, in_made = (np.isin(key, key[cut.side == side]) for side in (0, 2))
        for words, rows in cut.crowds():
            mine = cut.in_holdout if rows is None else cut.in_holdout & rows
            n, k = int(mine.sum()), int(in_made[mine].sum())
            if not k:
                continue
            more = max(1.0, _count(cut, 2, rows) / max(1, _count(cut, 0, rows)))
            natural = max(_NATURAL_SHARE, _NATURAL_TIMES * more * float(in_train[mine].mean()))
            if natural >= 1:
                continue
            chance = log_tail(k, np.array([natural]), np.array([n]))
            if chance < LOG_ALPHA:
                what = (
                    f"{counted(k)}{words} equal a made row, where chance explains {natural * n:,.0f}: "
                    "the holdout was seen when rows were made"
                )
                return [Leak("copies", what, k, chance, at=cut.first(in_made & mine))]
    return []


def _on_lines(cut: SplitRows, rng: np.random.Generator) -> list[Leak]:
    cloud = Cloud.of(cut)
    if cloud is None:
        return []
    for code in grown_classes(cut) or [-1]:
        mine = np.ones(len(cut.side), bool) if cut.labels is None else cut.labels == code
        words = "" if cut.labels is None else f" of the class '{cut.names[code]}'"
        if not (mine & (cut.side == 2)).any():
            continue
        held, train = mine & cut.in_holdout, mine & (cut.side == 0)
        seen = cloud.on_lines(held, mine & ~cut.in_holdout, rng)
        if too_many(seen, (0, 1)) >= LOG_ALPHA:
            continue
        chance = too_many(seen, cloud.on_lines(held, train, rng))
        if chance < LOG_ALPHA:
            what = (
                f"{seen[0] / seen[1]:.0%} of the holdout rows{words} lie on a line with two made or "
                "train rows: made rows were interpolated from the holdout"
            )
            return [Leak("interpolated", what, seen[0], chance)]
    return []


def _count(cut: SplitRows, side: int, rows: npt.NDArray[np.bool_] | None) -> int:
    return int((cut.side == side).sum() if rows is None else ((cut.side == side) & rows).sum())
