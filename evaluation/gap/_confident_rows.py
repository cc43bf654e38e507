"""The synthetic rows that a judge is surest of, and one short rule for what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.features.slice_search import MIN_REPORTED
from twinset.core.findings import ConfidentRow, RegionShare
from twinset.core.stats.hypothesis_tests import excess_p

from ._conditions import ColumnCondition, list_conditions

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.floating]
Places = npt.NDArray[np.int64]

_MOST_ROWS = 6
_SMALL_CELL = 10
_CELL_LENGTH = 40

_SUREST_SHARE, _FEWEST_SUREST = 0.05, 25
_MOST_COLUMNS = 12
_MOST_FIRST = 40
_WORTH_A_CONDITION = 0.03
_LEAST_F1 = 0.25
_LEAST_LIFT = 1.5
_SURE = 0.001


@dataclass(frozen=True)
class DiscriminatorScores:
    """Rows of both sides with what a judge said of each without having seen it.

    Parameters
    ----------
    reference, synthetic : Dataset
        Rows of both sides.
    said : numpy.ndarray, shape (m + n,)
        How synthetic each row looks, 0 to 1, those of the reference first.
    fold : numpy.ndarray of int, shape (m + n,)
        A random part of each row.
    """

    reference: Dataset
    synthetic: Dataset
    said: Floats
    fold: npt.NDArray[np.int64]

    @property
    def is_made(self) -> npt.NDArray[np.bool_]:
        """Which rows are synthetic, shape (m + n,)."""
        return np.arange(len(self.said)) >= len(self.reference)


def find_confident_rows(
    judged: DiscriminatorScores, columns: Sequence[str], places: Places | None, train: Dataset
) -> tuple[ConfidentRow, ...]:
    """Return the synthetic rows that the judge is surest of, surest first.

    Each holds its number in the set that was given, counted from 1, the judge's opinion, and its values
    in the columns that told. They are left out of rows made from real ones, and where 1 to 10 real
    rows hold the same values: those would be real rows shown.

    Parameters
    ----------
    judged : Judged
        What the judge said.
    columns : sequence of str
        Columns that told; only those of a table are shown.
    places : numpy.ndarray of int, shape (n,), or None
        Where the synthetic rows stand in the set that was given.
    train : Dataset
        Real rows that the generator saw.
    """
    made, said = judged.synthetic, judged.said[judged.is_made]
    shown = [name for name in columns if made.schema[name].is_tabular]
    rows = []
    for at in np.argsort(-said, kind="stable")[:_MOST_ROWS]:
        place = int(at if places is None else places[at])
        texts = {}
        values = {name: made.records.column(name)[int(at)].as_py() for name in shown}
        if values and not made.card.is_from_real and not _few(values, (train, judged.reference)):
            texts = {name: _cell(value) for name, value in values.items()}
        rows.append(ConfidentRow(place + 1, round(float(said[at]), 4), texts))
    return tuple(rows)


def common_rule(judged: DiscriminatorScores, columns: Sequence[str]) -> RegionShare | None:
    """Return what the surest twentieth of the synthetic rows has in common, in one or two conditions.

    Of all pairs of conditions the one is taken that tells these rows from real ones best. It is looked
    for in one half of the rows, and its shares are those of the other half,
    so that they are not flattered by the search. None where they have nothing so simple in common.

    Parameters
    ----------
    judged : Judged
        What the judge said.
    columns : sequence of str
        Columns to make conditions of, those that told most first.
    """
    looked_at = judged.fold % 2 == 0
    made, said = judged.is_made, judged.said
    candidates = np.flatnonzero(made & looked_at)
    n_surest = min(
        max(_FEWEST_SUREST, round(_SUREST_SHARE * len(candidates))), len(candidates) // 2
    )
    if n_surest < _FEWEST_SUREST:
        return None
    surest = candidates[np.argsort(-said[candidates], kind="stable")[:n_surest]]
    real = np.flatnonzero(~made & looked_at)
    named = columns[:_MOST_COLUMNS]
    literals = list_conditions(
        judged.reference, judged.synthetic, named, surest - len(judged.reference)
    )
    rule = _best(literals, surest, real, n_surest / len(candidates))
    if not rule:
        return None
    holds = np.all([literal.holds for literal in rule], axis=0)
    hits = [int((holds & ~looked_at & side).sum()) for side in (made, ~made)]
    sizes = [int((~looked_at & side).sum()) for side in (made, ~made)]
    beyond = hits[0] * sizes[1] >= _LEAST_LIFT * hits[1] * sizes[0]
    if not beyond or excess_p(hits[0], sizes[0], hits[1], sizes[1]) > _SURE:
        return None
    words = " and ".join(literal.words for literal in rule)
    shares = [None if 0 < k < MIN_REPORTED else k / n for k, n in zip(hits, sizes)]
    return RegionShare(words, real=shares[1], synthetic=shares[0])


def _best(
    literals: Sequence[ColumnCondition], surest: Places, real: Places, share: float
) -> list[ColumnCondition]:
    """Return the one or two conditions with the best F1 at finding the surest rows among real ones.

    `share` is what part the surest rows are of all synthetic ones: as many real rows count.
    """
    if not literals or not len(real):
        return []
    here, there = (
        np.array([literal.holds[rows] for literal in literals], dtype=np.float32)
        for rows in (surest, real)
    )
    alone = _f1(here.mean(axis=1), there.mean(axis=1), share)
    first = np.argsort(-alone, kind="stable")[:_MOST_FIRST]
    hits, alarms = here[first] @ here.T / len(surest), there[first] @ there.T / len(real)
    both = _f1(hits, alarms, share)
    one, other = np.unravel_index(int(np.argmax(both)), both.shape)
    pair, single = float(both[one, other]), float(alone[first[0]])
    if max(pair, single) < _LEAST_F1:
        return []
    if pair < single + _WORTH_A_CONDITION:
        return [literals[first[0]]]
    return [literals[i] for i in sorted((int(first[one]), int(other)))]


def _f1(hits: Matrix, alarms: Matrix, share: float) -> Matrix:
    return np.asarray(2 * share * hits / (share * (1 + hits) + alarms))


def _few(values: dict[str, Any], real: Sequence[Dataset]) -> bool:
    """Return whether 1 to 10 real rows hold these values."""
    n = sum(int(part.mask(Where(values)).sum()) for part in real)
    return 1 <= n <= _SMALL_CELL


def _cell(value: object) -> str:
    if value is None:
        return "missing"
    text = f"{value:.6g}" if isinstance(value, float) else str(value).strip()
    return text if len(text) <= _CELL_LENGTH else text[: _CELL_LENGTH - 1] + "…"
