"""What is odd about a table: columns that give the answer away, and groups that are no groups."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.stats.roc_auc import areas
from twinset.workflows.advise.folds import TrainTestSplit
from twinset.workflows.advise.labelled_table import LabelledTable

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_TELLS = 0.995
_LEAST_ROWS = 10
_ALONE = 0.9


def suspicions(case: LabelledTable, cut: TrainTestSplit) -> list[str]:
    """Return notes on what makes an answer worthless, from the training rows alone."""
    notes = []
    rows, truth = case.dataset.take(cut.train), case.truth[cut.train]
    telling = [name for name in case.features if _tells(rows, name, truth)]
    for name in telling:
        notes.append(
            f"'{name}' alone tells the label nearly always: if it is not known before the label is, "
            "leave it out"
        )
    if case.group is not None and len(np.unique(case.group)) > _ALONE * len(case):
        notes.append("nearly every group has one row only: is this the column of the card?")
    return notes


def _tells(rows: Dataset, name: str, truth: Mask) -> bool:
    """Return whether a column alone ranks nearly every rare row before, or behind, every common one."""
    if rows.schema[name].kind in ("category", "boolean"):
        scores = _level_rates(rows.codes(name)[0], truth)
    else:
        values = rows.values(name)
        # Missing may tell, too: it is put below all values.
        scores = np.where(np.isnan(values), -np.inf, values)
    area = float(areas(scores[~truth], scores[truth])[0])
    return max(area, 1 - area) >= _TELLS


def _level_rates(codes: npt.NDArray[np.integer], truth: Mask) -> Floats:
    """Return for each row the share of rare rows of its level; seldom levels get that of all rows."""
    shifted = codes.astype(np.int64) + 1
    n = np.bincount(shifted)
    rate = np.bincount(shifted, weights=truth) / np.maximum(n, 1)
    return np.where(n >= _LEAST_ROWS, rate, truth.mean())[shifted]
