"""How well forests predict each column of holdout rows from its others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.features.discriminator import build_discriminator_table
from twinset.core.stats.bootstrap import Groups

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_TREES, _MIN_LEAF, _OF_COLUMNS = 24, 5, 0.5
_LEVELS = 8


@dataclass(frozen=True)
class ColumnLosses:
    """Squared errors of holdout rows, column by column, and those of guessing.

    Parameters
    ----------
    names : tuple of str
        Columns that vary among the holdout rows.
    own, guessing : numpy.ndarray, shape (n, columns)
        Squared error of each row; 0 where the row lacks the value.
    """

    names: tuple[str, ...]
    own: Floats
    guessing: Floats

    def explained(self, groups: Groups) -> tuple[Floats, Floats]:
        """Return the share of variance explained, shape (columns,), and replicates, (b, columns)."""
        (own, own_drawn), (usual, usual_drawn) = (
            groups.means(self.own),
            groups.means(self.guessing),
        )
        drawn = 1 - own_drawn / np.maximum(usual_drawn, 1e-12)
        return np.asarray(1 - own[0] / usual[0]), np.asarray(drawn)


def losses(
    real: Dataset, learn_from: Dataset, holdout: Dataset, names: Sequence[str], seed: int
) -> ColumnLosses:
    """Return what forests of `learn_from` lose on each column of the holdout.

    Parameters
    ----------
    real : Dataset
        Real rows by which columns are cut into what is predicted.
    learn_from : Dataset
        Rows that the forests are grown from.
    holdout : Dataset
        Rows to test on.
    names : sequence of str
        The columns.
    seed : int
        Seed of the forests.
    """
    table = build_discriminator_table([real, learn_from, holdout], names)
    # Missing is a value below all others.
    low = np.nanmin(np.where(np.isnan(table.parts[0]), np.inf, table.parts[0]), axis=0, initial=0)
    _, x, held = (np.where(np.isnan(part), low - 1, part) for part in table.parts)
    kept, own, guessing = [], [], []
    for i, name in enumerate(names):
        outcomes = _outcomes(real, [learn_from, holdout], name)
        usual = (
            _squared(outcomes[1], np.nanmean(outcomes[1], axis=0)) if _varies(outcomes[1]) else 0
        )
        if not np.any(usual):
            continue
        predicted = _predicted(
            np.delete(x, i, axis=1), outcomes[0], np.delete(held, i, axis=1), seed
        )
        kept.append(name)
        own.append(_squared(outcomes[1], predicted))
        guessing.append(usual)
    if not kept:
        return ColumnLosses((), np.zeros((len(holdout), 0)), np.zeros((len(holdout), 0)))
    return ColumnLosses(tuple(kept), np.column_stack(own), np.column_stack(guessing))


def _varies(outcomes: Floats) -> bool:
    present = outcomes[~np.isnan(outcomes[:, 0])]
    return len(present) > 1 and bool((present != present[0]).any())


def _squared(outcomes: Floats, predicted: Floats) -> Floats:
    """Return the squared error of each row, shape (n,), 0 where the outcome is missing."""
    return np.asarray(np.nan_to_num((outcomes - predicted) ** 2).sum(axis=1))


def _predicted(x: Floats, outcomes: Floats, held: Floats, seed: int) -> Floats:
    """Return a forest's forecast for `held`, shape (n, k); the mean where there is nothing to learn."""
    from sklearn.ensemble import ExtraTreesRegressor

    known = ~np.isnan(outcomes[:, 0])
    if not known.any():
        return np.zeros((len(held), outcomes.shape[1]))
    # Shares of labels are means of indicators: one forest of regression trees forecasts them all.
    forest = ExtraTreesRegressor(
        n_estimators=_TREES,
        min_samples_leaf=_MIN_LEAF,
        max_features=_OF_COLUMNS,
        random_state=seed,
    ).fit(x[known], outcomes[known] if outcomes.shape[1] > 1 else outcomes[known, 0])
    return np.asarray(forest.predict(held)).reshape(len(held), -1)


def _outcomes(real: Dataset, sets: Sequence[Dataset], name: str) -> list[Floats]:
    """Return what is predicted of each set, shape (n, k): a rank in [0, 1], or which label it is."""
    if real.schema[name].has_levels:
        codes, levels = real.codes(name)
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        common = [levels[i] for i in np.argsort(-counts, kind="stable")[:_LEVELS]]
        place = {level: i for i, level in enumerate(common)}
        found = []
        for part in sets:
            codes, its_levels = part.codes(name)
            to = np.array([*[place.get(v, len(common)) for v in its_levels], len(common) + 1])
            found.append(np.eye(len(common) + 2)[to[codes]])
        return found
    values = np.sort(real.values(name))
    values = values[~np.isnan(values)]
    out = []
    for part in sets:
        own = part.values(name)
        sides = [np.searchsorted(values, own, side=side) for side in ("left", "right")]
        rank = (sides[0] + sides[1]) / 2 / max(len(values), 1)
        out.append(np.where(np.isnan(own), np.nan, rank)[:, None])
    return out
