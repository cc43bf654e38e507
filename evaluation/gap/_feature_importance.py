"""Which columns gave the synthetic rows away: what a judge loses when a column tells it nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.features.discriminator import build_discriminator_table
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.stats.hypothesis_tests import excess_p

from ._rounding import compute_roundness

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Opinion = Callable[[Floats], Floats]

_MOST_CELLS = 1_500_000
_CLEAR = 3.0
_TOP, _SURE = 0.025, 1e-4
_NOTEWORTHY = 0.25
_CLOSE = 0.6
_MOST_NAMED = 3


@dataclass(frozen=True)
class SideTable:
    """Real rows, then synthetic rows, as the judge sees them.

    Parameters
    ----------
    x : numpy.ndarray, shape (n, d)
        Columns of `build_discriminator_table`, then how round each number is.
    y : numpy.ndarray of int, shape (n,)
        0 for real, 1 for synthetic.
    categorical : numpy.ndarray of bool, shape (d,)
        Which columns of `x` are codes.
    places : mapping
        Column of the set -> its columns in `x`.
    """

    x: Floats
    y: npt.NDArray[np.int64]
    categorical: Mask
    places: Mapping[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, real: Dataset, synthetic: Dataset, train: Dataset) -> SideTable:
        """Return the table of both sides; images and texts are encoded as those of `train` are.

        A tree cuts a number into at most 255 ranges, and so cannot see that all of its values are
        multiples of a hundred: how round they are is told to it in a column of its own.
        """
        names = list(real.schema.names)
        plain = [name for name in names if real.schema[name].is_tabular]
        table = build_discriminator_table([real, synthetic], plain)
        parts, categorical = [np.concatenate(table.parts)], [table.categorical]
        places = {name: [i] for i, name in enumerate(plain)}
        width = len(plain)
        for name in names:
            if name not in plain:
                # Directions found in one of the two sides would fit its rows better than the other's.
                encoder = FeatureEncoder.fit(train.select([name]))
                told = [encoder.transform(part.select([name])) for part in (real, synthetic)]
                parts.append(np.concatenate(told).astype(np.float64))
                categorical.append(np.zeros(parts[-1].shape[1], dtype=bool))
            elif (found := compute_roundness(real, [synthetic], name)) is not None:
                parts.append(np.concatenate(found)[:, None])
                categorical.append(np.zeros(1, dtype=bool))
            else:
                continue
            places.setdefault(name, []).extend(range(width, width + parts[-1].shape[1]))
            width += parts[-1].shape[1]
        y = np.repeat([0, 1], [len(real), len(synthetic)])
        return cls(np.concatenate(parts, axis=1), y, np.concatenate(categorical), places)

    def without(self, name: str) -> SideTable:
        """Return the table with nothing in the places of one column."""
        x = self.x.copy()
        x[:, self.places[name]] = 0.0
        return SideTable(x, self.y, self.categorical, self.places)


def column_importance(
    table: SideTable,
    fold: npt.NDArray[np.int64],
    opinions: Sequence[Opinion],
    area: Callable[[Floats, Floats], float],
    rng: np.random.Generator,
) -> dict[str, float]:
    """Return by how much the judge's area, or the like, falls when a column is shuffled, largest first.

    A column is shuffled among the rows that the judge has not seen, real and synthetic together:
    shuffled within each side, a column of which only the distribution is wrong would go on telling
    the sides apart. Of many rows or columns a part of the rows is looked at.

    Parameters
    ----------
    table : SideTable
        All rows.
    fold : numpy.ndarray, shape (n,)
        The fold of each row.
    opinions : sequence of callable
        For each fold a judge that was fitted on the others: rows -> how synthetic they look.
    area : callable
        Opinions on real and on synthetic rows -> area under the ROC curve.
    rng : numpy.random.Generator
        Draws the rows and shuffles.
    """
    names = list(table.places)
    most = max(50, _MOST_CELLS // (table.x.shape[1] * len(names) * len(opinions)))
    truth, before, after = [], [], []
    for k, opinion in enumerate(opinions):
        rows = np.flatnonzero(fold == k)
        rows = np.sort(rng.choice(rows, min(most, len(rows)), replace=False))
        x = table.x[rows]
        shuffled = np.repeat(x[None], len(names), axis=0)
        for copy, name in zip(shuffled, names):
            place = table.places[name]
            copy[:, place] = x[rng.permutation(len(rows))][:, place]
        truth.append(table.y[rows])
        before.append(opinion(x))
        after.append(opinion(shuffled.reshape(-1, x.shape[1])).reshape(len(names), len(rows)))
    y, whole, parts = np.concatenate(truth), np.concatenate(before), np.concatenate(after, axis=1)
    full = area(whole[y == 0], whole[y == 1])
    drops = {name: full - area(part[y == 0], part[y == 1]) for name, part in zip(names, parts)}
    return dict(sorted(drops.items(), key=lambda pair: (-pair[1], pair[0])))


def settled(
    importance: Mapping[str, float], area_without: Callable[[str], float]
) -> dict[str, float]:
    """Return the importance with columns that come close to the first one put in order anew.

    If a shuffled column told by its tie to one other column, shuffling either takes the same from a
    judge. Fitted again, it still sees the other ties of the shuffled one once its fellow is gone, but
    nothing once the shuffled one is gone: the column without which it does worst comes first.

    Parameters
    ----------
    importance : mapping
        Column -> drop, largest first.
    area_without : callable
        Column -> area of a judge that was fitted without it.

    Examples
    --------
    >>> settled({"a": 0.3, "b": 0.29, "c": 0.01}, {"a": 0.7, "b": 0.5}.get)
    {'b': 0.29, 'a': 0.3, 'c': 0.01}
    """
    most = max(importance.values(), default=0.0)
    close = [name for name, drop in importance.items() if 0 < _CLOSE * most <= drop]
    close = close[:_MOST_NAMED]
    if len(close) < 2:
        return dict(importance)
    areas = {name: area_without(name) for name in close}
    order = sorted(close, key=lambda name: areas[name])
    return {name: importance[name] for name in [*order, *importance]}


def is_clear(area: float, n_real: int, n_synthetic: int) -> bool:
    """Return whether an area lies three standard errors of a guessing judge above one half.

    Examples
    --------
    >>> is_clear(0.6, 1000, 1000), is_clear(0.6, 20, 20)
    (True, False)
    """
    error = np.sqrt((n_real + n_synthetic + 1) / (12 * n_real * n_synthetic))
    return bool(area > 0.5 + _CLEAR * error)


def is_clear_at_the_top(real: Floats, synthetic: Floats) -> bool:
    """Return whether the judge is right beyond chance about the rows that it is surest of.

    A few plain fakes among many perfect rows hardly move an area. So the surest fortieth of all rows
    is looked at by itself: Fisher's exact test that no more of it than of the rest is synthetic.

    Parameters
    ----------
    real, synthetic : numpy.ndarray, shapes (m,) and (n,)
        Opinions on rows that the judge had not seen.

    Examples
    --------
    >>> opinions = np.linspace(0, 0.9, 1000)
    >>> is_clear_at_the_top(opinions, np.append(opinions, np.ones(40)))
    True
    >>> is_clear_at_the_top(opinions, opinions)
    False
    """
    made, there = _top_hits(real, synthetic)
    return excess_p(made, len(synthetic), there, len(real)) < _SURE


def top_lift(real: Floats, synthetic: Floats) -> float:
    """Return the share of the synthetic rows among the surest fortieth of all, less that of the real ones.

    Examples
    --------
    >>> opinions = np.linspace(0, 0.9, 100)
    >>> round(top_lift(opinions, np.append(opinions, [1.0] * 3)), 2), top_lift(opinions, opinions)
    (0.03, 0.0)
    """
    made, there = _top_hits(real, synthetic)
    return made / len(synthetic) - there / len(real)


def _top_hits(real: Floats, synthetic: Floats) -> tuple[int, int]:
    least = float(np.quantile(np.concatenate([real, synthetic]), 1 - _TOP))
    return int((synthetic > least).sum()), int((real > least).sum())


def find_important_columns(importance: Mapping[str, float]) -> list[str]:
    """Return the one to three columns that gave it away: the first, and those that come near it.

    Examples
    --------
    >>> find_important_columns({"age": 0.2, "sex": 0.06, "job": 0.001})
    ['age', 'sex']
    """
    if not importance:
        return []
    most = max(importance.values())
    named = [name for name, drop in importance.items() if 0 < _NOTEWORTHY * most <= drop]
    return named[:_MOST_NAMED]


def predict_logistic(
    features: npt.NDArray[np.float32], y: npt.NDArray[np.int64], fold: npt.NDArray[np.int64]
) -> Floats:
    """Return out-of-fold opinions of a logistic regression, shape (n,).

    It sees no interplay of columns: next to the boosted judge's area, its own tells whether single
    columns are off or how they hang together.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    out = np.empty(len(y))
    with threadpool_limits(limits=1):
        for k in range(int(fold.max()) + 1):
            judge: Any = LogisticRegression(C=0.1, max_iter=1_000, tol=1e-3)
            judge.fit(features[fold != k], y[fold != k])
            out[fold == k] = judge.decision_function(features[fold == k])
    return out
